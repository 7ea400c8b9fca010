"""Thresholds that several recordings share."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, SettingsError, suggest_threshold
from noisegate_cli.api.file_analysis import measure_level_histogram
from noisegate_cli.api.file_gate import gate_file
from noisegate_cli.batch import thresholds
from noisegate_cli.batch.process_pool import ProcessWorkerPool
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.samples import from_db
from noisegate_cli.terminal.cli import run as ngate
from tests.batch.helpers import InlineWorkerPool, ShuffledWorkerPool, read_manifest, run, statuses
from tests.conftest import tone

AUTO = GateSettings()


@pytest.fixture
def tree(tmp_path, write):
    """Return a tree with two folders of noisy recordings, one 20 dB louder than the other."""
    rng = np.random.default_rng(0)
    for folder, gain in (("quiet", 0.1), ("loud", 1.0)):
        for number in range(4):
            noise = 0.01 * rng.standard_normal(32000)
            noise[8000 : 8000 + 4000 * (number + 1)] += tone(2, 0.3)[: 4000 * (number + 1)]
            write(gain * noise, f"in/{folder}/{number}.wav")
    return tmp_path / "in"


def read_thresholds(output):
    return {line["output"]: line["settings"]["threshold"] for line in read_manifest(output)}


def merge_histograms(*paths):
    return sum((measure_level_histogram(path) for path in paths), LevelHistogram())


@given(
    st.lists(
        st.lists(st.floats(-100, 0), max_size=60).map(np.array), min_size=1, max_size=8
    ).flatmap(lambda parts: st.tuples(st.just(parts), st.permutations(parts))),
    st.integers(0, 8),
)
def test_a_shared_threshold_does_not_depend_on_order_or_grouping(parts, cut):
    def histogram(parts):
        total = LevelHistogram()
        for levels in parts:
            part_histogram = LevelHistogram()
            part_histogram.add(from_db(levels))
            total = total + part_histogram
        return total

    forwards, shuffled = parts
    whole = LevelHistogram()
    whole.add(from_db(np.concatenate(forwards)))
    grouped = histogram(shuffled[:cut]) + histogram(shuffled[cut:])
    assert suggest_threshold(grouped, 3.0) == suggest_threshold(whole, 3.0)


@pytest.mark.parametrize("scope", ["tree", "folder"])
def test_shared_thresholds_do_not_depend_on_the_workers_or_their_order(tree, tmp_path, scope):
    thresholds_by_run = []
    for number, workers in enumerate(
        (
            InlineWorkerPool(),
            ShuffledWorkerPool(2, seed=1),
            ShuffledWorkerPool(5, seed=2),
            ProcessWorkerPool(2),
        )
    ):
        output = tmp_path / f"out{number}"
        run(tree, output, workers, settings=AUTO, threshold_scope=scope)
        thresholds_by_run.append(read_thresholds(output))
    assert (
        thresholds_by_run[0] == thresholds_by_run[1] == thresholds_by_run[2] == thresholds_by_run[3]
    )
    assert len(thresholds_by_run[0]) == 8


def test_the_threshold_of_a_tree_is_computed_from_all_its_levels(tree, tmp_path):
    run(tree, tmp_path / "out", settings=AUTO, threshold_scope="tree")
    expected = suggest_threshold(
        merge_histograms(*tree.rglob("*.wav")), AUTO.hysteresis_db
    ).threshold
    assert set(read_thresholds(tmp_path / "out").values()) == {expected}
    gate_file(tree / "loud/0.wav", tmp_path / "alone.wav", GateSettings(threshold=expected))
    output = tmp_path / "out" / "loud" / "0.wav"
    assert output.read_bytes() == (tmp_path / "alone.wav").read_bytes()


def test_the_threshold_of_a_folder_is_computed_from_its_own_levels(tree, tmp_path):
    run(tree, tmp_path / "out", settings=AUTO, threshold_scope="folder")
    for folder in ("loud", "quiet"):
        expected = suggest_threshold(merge_histograms(*(tree / folder).iterdir()), 3.0).threshold
        thresholds_of_folder = {
            threshold
            for name, threshold in read_thresholds(tmp_path / "out").items()
            if name.startswith(folder)
        }
        assert thresholds_of_folder == {expected}
    loud, quiet = (
        read_thresholds(tmp_path / "out")[f"{folder}/0.wav"] for folder in ("loud", "quiet")
    )
    assert loud == pytest.approx(10 * quiet, rel=0.1)


def test_shared_thresholds_use_the_method_and_the_key_filter(tree, tmp_path):
    settings = GateSettings(threshold="floor+6dB", key_hz=(300.0, 3000.0), channels="separate")
    run(tree, tmp_path / "out", settings=settings, threshold_scope="tree")
    levels = sum(
        (measure_level_histogram(path, settings) for path in tree.rglob("*.wav")), LevelHistogram()
    )
    expected = suggest_threshold(levels, 3.0, "floor+6dB").threshold
    assert set(read_thresholds(tmp_path / "out").values()) == {expected}


def test_recordings_that_cannot_be_measured_are_excluded_and_reported(tree, tmp_path):
    run(tree, tmp_path / "out", settings=AUTO, threshold_scope="tree")
    (tree / "bad.wav").write_text("no recording")
    report, observer = run(tree, tmp_path / "out2", settings=AUTO, threshold_scope="tree")
    assert statuses(observer)["bad.wav"] == "failed"
    assert report.done == 8
    assert (
        read_thresholds(tmp_path / "out2")["loud/0.wav"]
        == read_thresholds(tmp_path / "out")["loud/0.wav"]
    )


def test_the_summary_shows_the_shared_thresholds(tree, tmp_path, write, capsys):
    write(tone(2, 0.1), "in/flat/a.wav")
    for options, pattern in (
        (
            ["--folder-threshold"],
            r"threshold +0\.0\d+ \(-.* in 3 folders; no threshold in 1 of them",
        ),
        (["--shared-threshold", "--force"], r"threshold +0\.\d+ \(-\d+\.\d dBFS\) *\n"),
    ):
        assert ngate(["batch", str(tree), "-o", str(tmp_path / "out"), "-j", "1", *options]) == 0
        assert re.search(pattern, capsys.readouterr().err)


def test_the_gate_stays_open_if_no_shared_threshold_is_found(tmp_path, write):
    for name in "ab":
        write(tone(2, 0.1), f"in/{name}.wav")
    report, _ = run(tmp_path / "in", tmp_path / "out", settings=AUTO, threshold_scope="tree")
    assert report.done == 2
    assert (tmp_path / "out/a.wav").read_bytes() == (tmp_path / "in/a.wav").read_bytes()


def test_a_second_run_measures_nothing_and_a_new_recording_measures_its_folder(
    tree, tmp_path, write, monkeypatch
):
    run(tree, tmp_path / "out", settings=AUTO, threshold_scope="folder")
    (tmp_path / "out" / "loud" / "0.wav").unlink()
    measured = []
    measure_job = thresholds.measure_job
    monkeypatch.setattr(
        thresholds, "measure_job", lambda job: (measured.append(job.name), measure_job(job))[1]
    )
    report, _ = run(tree, tmp_path / "out", settings=AUTO, threshold_scope="folder")
    assert (measured, report.done, report.skipped) == ([], 1, 7)
    write(tone(2, 0.5), "in/quiet/more.wav")
    report, _ = run(tree, tmp_path / "out", settings=AUTO, threshold_scope="folder")
    assert len(measured) == 5
    assert report.reasons == {"other settings": 4, "new": 1}


def test_a_given_threshold_excludes_shared_thresholds(tree, tmp_path):
    with pytest.raises(SettingsError, match="omit threshold="):
        run(tree, tmp_path / "out", threshold_scope="tree")


@pytest.mark.parametrize("scope", ["tree", "folder"])
def test_a_shared_threshold_with_the_speech_detector_is_refused_before_the_batch_starts(
    tmp_path, write, scope
):
    write(tone(1, 0.1), "in/a.wav")
    with pytest.raises(SettingsError, match="speech=True is a part of it: omit one of them"):
        run(
            tmp_path / "in",
            tmp_path / "out",
            settings=GateSettings(speech=True),
            threshold_scope=scope,
        )
    assert not (tmp_path / "out").exists()

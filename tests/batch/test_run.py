import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, OutputError, OutputOptions, gate_file
from noisegate_cli.batch import gating_phase, process_pool
from noisegate_cli.batch.job import gate_job
from noisegate_cli.batch.job_runner import MAX_CHUNK_JOBS, JobRunner, LostJob, split_into_chunks
from noisegate_cli.batch.process_pool import ProcessWorkerPool
from noisegate_cli.batch.trees import default_output_directory
from noisegate_cli.terminal.cli import run as ngate
from tests.batch.helpers import (
    MAX_WAIT_S,
    SETTINGS,
    InlineWorkerPool,
    LargeJob,
    ShuffledWorkerPool,
    SmallJob,
    list_files,
    run,
    start_batch,
    statuses,
    wait_for_half_of_a_batch,
)
from tests.conftest import loud_and_quiet, read, tone


@pytest.fixture
def tree(tmp_path, write):
    for name in ("in/a.wav", "in/deep/er/b.flac", "in/deep/c.wav"):
        write(loud_and_quiet(), name)
    (tmp_path / "in" / "notes.txt").write_text("no recording")
    write(tone(1, 0.1), "in/.hidden.wav")
    write(tone(1, 0.1), "in/.cache/d.wav")
    return tmp_path / "in"


def test_every_recording_has_the_same_relative_path_in_the_output_tree(tree):
    output = default_output_directory(tree)
    assert output == tree.with_name("in-gated")
    report, observer = run(tree, output)
    assert statuses(observer) == {"a.wav": "done", "b.flac": "done", "c.wav": "done"}
    assert list_files(output) == ["a.wav", "deep/c.wav", "deep/er/b.flac"]
    assert (report.total, report.done, report.failed, report.to_do) == (3, 3, 0, 0)


def test_the_output_does_not_depend_on_the_number_of_processes(tree, tmp_path):
    for workers in (1, 3):
        run(tree, tmp_path / f"out{workers}", ProcessWorkerPool(workers))
    gate_file(tree / "a.wav", tmp_path / "alone.wav", SETTINGS)
    expected = (tmp_path / "alone.wav").read_bytes()
    assert (tmp_path / "out1" / "a.wav").read_bytes() == expected
    assert (tmp_path / "out3" / "a.wav").read_bytes() == expected


def test_a_bad_file_does_not_stop_the_batch(tree):
    (tree / "bad.wav").write_text("this is no recording")
    (tree / "deep" / "empty.wav").touch()
    report, observer = run(tree, tree.with_name("out"))
    failed = [name for name, status in statuses(observer).items() if status == "failed"]
    assert sorted(failed) == ["bad.wav", "empty.wav"]
    assert "bad.wav' is not a readable recording" in str(observer.entries["bad.wav"].reason)
    assert (report.done, report.failed, len(report.errors)) == (3, 2, 2)


def test_an_output_tree_inside_the_input_is_not_walked_again(tree):
    run(tree, tree / "gated")
    assert statuses(run(tree, tree / "gated")[1]).keys() == {"a.wav", "b.flac", "c.wav"}


def test_the_input_tree_is_never_the_output(tree):
    with pytest.raises(OutputError, match="is the input folder"):
        run(tree, tree / ".")


def test_a_root_that_is_not_a_directory_is_refused(tree):
    with pytest.raises(AudioError, match="is not a folder: use ngate gate"):
        run(tree / "a.wav", tree)
    with pytest.raises(AudioError, match="does not exist"):
        run(tree / "nowhere", tree)


def test_a_new_output_tree_with_the_name_of_a_recording_is_refused(tree, tmp_path):
    with pytest.raises(OutputError, match=r"clean.wav' has the name of a recording.*folder"):
        run(tree, tmp_path / "clean.wav")
    assert not (tmp_path / "clean.wav").exists()
    (tmp_path / "takes.wav").mkdir()
    assert run(tree, tmp_path / "takes.wav")[0].done == 3


def test_invalid_options_are_reported_before_anything_is_written(tree, tmp_path, capsys):
    output = tmp_path / "out"
    for options, message in (
        (["-t", "0.1", "--shared-threshold"], "omit -t"),
        (["--report", str(tmp_path / "no" / "r.csv")], "the folder does not exist"),
        (["--from-file", "nowhere"], "the list 'nowhere' cannot be read"),
        (["--format", "xyz"], "'xyz'"),
    ):
        assert ngate(["batch", str(tree), "-o", str(output), *options]) in (1, 2)
        errors = capsys.readouterr().err
        assert message in errors
        assert len(errors.splitlines()) == 1
        assert not output.exists()


def test_the_output_of_the_working_directory_is_next_to_it(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert default_output_directory(Path()).name == "in-gated"
    assert default_output_directory(Path("..")).name == f"{tree.parent.name}-gated"


def test_a_recording_of_the_input_tree_is_never_overwritten(tmp_path, write):
    write(loud_and_quiet(), "in/b/x.wav")
    write(tone(1, 0.1), "in/b/b/x.wav")
    before = (tmp_path / "in/b/x.wav").read_bytes()
    report, _ = run(tmp_path / "in" / "b", tmp_path / "in", force=True)
    assert (tmp_path / "in/b/x.wav").read_bytes() == before
    assert (report.done, report.failed) == (1, 1)
    assert "would overwrite" in report.errors[0]


def test_outputs_are_never_written_through_a_link_out_of_the_tree(tmp_path, write):
    elsewhere = write(loud_and_quiet(), "out/a.wav")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    report, _ = run(tmp_path / "in", tmp_path / "out", force=True)
    assert (report.done, report.failed) == (0, 1)
    assert elsewhere.read_bytes() == before


def test_recordings_with_the_same_output_are_reported_first(tmp_path, write):
    write(tone(1, 0.1), "in/a.wav")
    write(tone(1, 0.1), "in/a.flac")
    write(tone(1, 0.1), "in/b.wav")
    submitted = []

    class Watching(InlineWorkerPool):
        def submit(self, work, jobs):
            submitted.extend(job.name for job in jobs)
            return super().submit(work, jobs)

    options = OutputOptions(format="wav", suffix="")
    report, observer = run(tmp_path / "in", tmp_path / "out", Watching(), options=options)
    assert next(iter(observer.entries)) == "a.wav", "not told of first"
    assert "a.wav' would overwrite" in report.errors[0]
    assert "a.flac'" in report.errors[0]
    assert submitted == ["a.flac", "b.wav"]


def test_names_too_long_for_a_suffix_are_cut_and_collisions_are_reported(tmp_path, write):
    long = "a" * 248
    for name in (f"{long}-1.wav", f"{long}-2.wav", f"deep/{long}.wav"):
        write(loud_and_quiet(), f"in/{name}")
    options = OutputOptions(suffix="_clean")
    report, observer = run(tmp_path / "in", tmp_path / "out", options=options)
    cut = f"{long[:245]}_clean.wav"
    assert list_files(tmp_path / "out") == [cut, f"deep/{cut}"]
    assert statuses(observer)[f"{long}-2.wav"] == "failed"
    assert (report.done, report.failed) == (2, 1)
    assert "would overwrite" in report.errors[0]
    second_report, _ = run(tmp_path / "in", tmp_path / "out", options=options)
    assert second_report.skip_reasons == {"already done": 2}


def test_format_subtype_and_suffix_apply_to_all_outputs(tree, tmp_path):
    options = OutputOptions(format="flac", subtype="PCM_24", suffix="_clean", keep_mtime=True)
    run(tree, tmp_path / "out", options=options)
    assert list_files(tmp_path / "out") == [
        "a_clean.flac", "deep/c_clean.flac", "deep/er/b_clean.flac",
    ]  # fmt: skip
    output = tmp_path / "out" / "a_clean.flac"
    assert sf.info(output).subtype == "PCM_24"
    assert output.stat().st_mtime_ns == (tree / "a.wav").stat().st_mtime_ns
    assert run(tree, tmp_path / "out", options=options)[0].skip_reasons == {"already done": 3}


def test_a_dry_run_reports_everything_and_writes_nothing(tree, tmp_path):
    (tree / "bad.wav").write_text("no recording")
    report, observer = run(tree, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    assert statuses(observer) == {
        "a.wav": "pending", "b.flac": "pending", "c.wav": "pending", "bad.wav": "failed",
    }  # fmt: skip
    assert (report.to_do, report.failed, report.reasons) == (3, 1, {"new": 4})
    assert report.audio_seconds == pytest.approx(9)
    assert report.bytes_needed > 2 * 96000
    run(tree, tmp_path / "out")
    assert run(tree, tmp_path / "out", dry_run=True)[0].skip_reasons == {"already done": 3}


def test_an_unexpected_error_of_one_recording_does_not_end_a_dry_run(tree, tmp_path, monkeypatch):
    from noisegate_cli.files.inputs import reader

    original = reader.probe

    def fail(path, track=None):
        if path.name == "b.flac":
            raise OSError(errno.EIO, "Input/output error")
        return original(path, track)

    monkeypatch.setattr(reader, "probe", fail)
    report, _ = run(tree, tmp_path / "out", dry_run=True)
    assert (report.to_do, report.failed) == (2, 1)
    assert "b.flac': Input/output error" in report.errors[0]


def test_a_batch_stops_after_max_errors_and_reports_the_rest(tmp_path, write):
    for i in range(9):
        path = write(tone(1, 0.1), f"in/{i}.wav")
        if i % 2:
            path.write_text("no recording")
    report, _ = run(tmp_path / "in", tmp_path / "out", max_errors=2)
    assert 2 <= report.failed <= 3, "but for those that were being done"
    assert report.stop_reason == f"stopped after {report.failed} failed recordings"
    assert report.done + report.failed + report.to_do == 9
    assert report.to_do >= 2
    second_report, _ = run(tmp_path / "in", tmp_path / "out")
    assert (second_report.done + second_report.skipped, second_report.failed) == (5, 4)


def test_one_worker_stops_exactly_at_max_errors(tmp_path, write):
    for i in range(6):
        write(tone(1, 0.1), f"in/{i}.wav").write_text("no recording")
    report, _ = run(tmp_path / "in", tmp_path / "out", max_errors=2, jobs=1)
    assert (report.failed, report.to_do) == (2, 4)


def test_the_worst_recordings_are_listed_first(tmp_path, write):
    write(tone(2, 0.001), "in/silent.wav")
    write(np.clip(tone(2, 0.9), -1, 32767 / 32768), "in/clipped.wav")
    write(tone(2, 0.2), "in/loud.wav")
    write(loud_and_quiet(), "in/fine.wav")
    report, _ = run(tmp_path / "in", tmp_path / "out")
    candidates = [(candidate.name, candidate.reason) for candidate in report.review_candidates]
    assert candidates[:3] == [
        ("silent.wav", "all closed"), ("clipped.wav", "clipped"), ("loud.wav", "never closed"),
    ]  # fmt: skip
    assert report.review_counts["clipped"] == 1


PARENT = """
import sys
from noisegate_cli.terminal.cli import run

if __name__ == "__main__":
    for _what in ("gated", "already done"):
        assert run(["batch", "in", "-o", "out", "-j", "2", "--json", "--report", "r.csv"]) == 0
    heavy = {"av", "librosa", "numpy", "scipy", "soundfile"} & sys.modules.keys()
    assert not heavy, heavy
"""


def test_only_workers_load_heavy_modules(tree, tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    subprocess.run([sys.executable, "parent.py"], cwd=tmp_path, check=True)
    assert list_files(tmp_path / "out") == ["a.wav", "deep/c.wav", "deep/er/b.flac"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_batch_stops_cleanly_and_can_be_resumed(tmp_path, write, number):
    for i in range(8):
        write(loud_and_quiet(), f"in/{('even', 'odd')[i % 2]}/{i}.wav")
    output = tmp_path / "in-gated"
    process = start_batch(
        "helpers.gate_odd_later", tmp_path / "in", "-j", "2", stderr=subprocess.PIPE, text=True
    )
    wait_for_half_of_a_batch(output, process)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=MAX_WAIT_S)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert "gated      4 of 8 recordings" in errors
    assert "interrupted: 4 of 8 recordings" in errors
    assert "repeat the command to continue" in errors
    done = [f"even/{i}.wav" for i in (0, 2, 4, 6)]
    assert list_files(output) == done, "a temporary file was left"
    assert all(len(read(output / name)) == 48000 for name in done)
    times = [(output / name).stat().st_mtime_ns for name in done]
    assert ngate(["batch", str(tmp_path / "in"), "-t", "0.03", "-j", "1"]) == 0
    assert len(list_files(output)) == 8
    assert [(output / name).stat().st_mtime_ns for name in done] == times


def die_on_a(job):
    """Replace `gate_job`: the recording a.wav kills every process that opens it."""
    if job.name.endswith("a.wav"):
        os.kill(os.getpid(), signal.SIGKILL)
    return gate_job(job)


def die_once(job):
    """Replace `gate_job`: the first worker is terminated from outside."""
    mark = Path(job.output).parent.parent / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    return gate_job(job)


def test_only_the_recording_that_kills_its_worker_fails(tree, monkeypatch):
    monkeypatch.setattr(gating_phase, "gate_job", die_on_a)
    output = tree.with_name("out")
    report, observer = run(tree, output, ProcessWorkerPool(2))
    assert statuses(observer) == {"a.wav": "failed", "b.flac": "done", "c.wav": "done"}
    assert "a.wav': the worker process died" in report.errors[0]
    assert list_files(output) == ["deep/c.wav", "deep/er/b.flac"]
    monkeypatch.undo()
    report, _ = run(tree, output)
    assert (report.done, report.reasons, report.skip_reasons) == (
        1,
        {"failed in the last run": 1},
        {"already done": 2},
    )


def test_a_worker_that_is_terminated_from_outside_loses_no_recordings(tmp_path, write, monkeypatch):
    for name in "ab":
        write(loud_and_quiet(), f"in/{name}.wav")
    monkeypatch.setattr(gating_phase, "gate_job", die_once)
    report, _ = run(tmp_path / "in", tmp_path / "out", ProcessWorkerPool(2))
    assert (report.done, report.failed) == (2, 0)


def process_id(job):
    return os.getpid()


def test_a_worker_process_is_replaced_after_a_number_of_jobs(monkeypatch):
    monkeypatch.setattr(process_pool, "MAX_JOBS_PER_PROCESS", 3)
    ids: list[int] = []
    workers = ProcessWorkerPool(1)
    runner = JobRunner(
        workers, process_id, lambda results: ids.extend(process_id for _, process_id in results)
    )
    runner.run(split_into_chunks(map(LargeJob, range(7)), 7, workers))
    workers.close()
    assert [ids.count(i) for i in dict.fromkeys(ids)] == [3, 3, 1]


@pytest.mark.parametrize(("job_type", "per_worker"), [(LargeJob, 1), (SmallJob, MAX_CHUNK_JOBS)])
def test_the_number_of_queued_jobs_is_bounded(job_type, per_worker):
    started: list[int] = []
    ended: list[int] = []

    class Counting(ShuffledWorkerPool):
        def submit(self, work, jobs):
            assert len(started) - len(ended) <= 6 * per_worker
            return super().submit(work, jobs)

    def feed():
        for number in map(job_type, range(1000)):
            started.append(number)
            yield number

    workers = Counting(2, seed=0)
    runner = JobRunner(workers, abs, lambda results: ended.extend(result for _, result in results))
    runner.run(split_into_chunks(feed(), 1000, workers))
    assert sorted(ended) == started == list(range(1000))


@pytest.mark.parametrize("number", [1, 7, 300, 1000])
def test_chunks_become_smaller_towards_the_end(number):
    workers = ShuffledWorkerPool(2, seed=0)
    sizes = [len(jobs) for jobs in split_into_chunks(map(SmallJob, range(number)), number, workers)]
    assert sum(sizes) == number
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == min(MAX_CHUNK_JOBS, max(1, number // 4))
    assert sizes[-1] == 1


def test_only_the_job_that_cannot_be_sent_to_a_worker_is_lost():
    results = {}

    def unpicklable(job):
        if job == 1:
            raise ModuleNotFoundError("No module named 'noisegate_cli'")
        return job

    workers = InlineWorkerPool()
    jobs = split_into_chunks(map(LargeJob, range(3)), 3, workers)
    JobRunner(workers, unpicklable, results.update).run(jobs)
    assert results == {
        0: 0,
        1: LostJob("ModuleNotFoundError: No module named 'noisegate_cli'"),
        2: 2,
    }


def test_the_automatic_gate_gives_the_same_output_in_a_batch(tree, tmp_path):
    run(tree, tmp_path / "out", settings=GateSettings())
    gate_file(tree / "a.wav", tmp_path / "alone.wav", GateSettings())
    assert (tmp_path / "out" / "a.wav").read_bytes() == (tmp_path / "alone.wav").read_bytes()

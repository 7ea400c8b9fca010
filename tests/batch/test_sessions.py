"""Batches in which the recordings in a folder are the tracks of one session."""

import os
from pathlib import Path

import pytest
import soundfile as sf

from noisegate_cli import GateSettings, SettingsError
from noisegate_cli.batch.interface import BatchConfig
from noisegate_cli.batch.manifest import read_results
from noisegate_cli.batch.run import BatchRun
from tests.batch.helpers import InlineWorkerPool
from tests.conftest import read
from tests.sessions import RATE, find_active, make_session

TRACKS, OWN = make_session(-12)


@pytest.fixture
def root(tmp_path):
    """Return a tree with a session of two tracks, and a broken session."""
    for name, y in (
        ("a/host.wav", TRACKS[0]),
        ("a/guest.flac", TRACKS[1]),
        ("alone.wav", TRACKS[0]),
    ):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(tmp_path / "in" / name, y, RATE)
    (tmp_path / "in" / "b").mkdir()
    (tmp_path / "in" / "b" / "broken.wav").write_bytes(b"RIFF")
    sf.write(tmp_path / "in" / "b" / "other.wav", TRACKS[1], RATE)
    return tmp_path / "in"


def run(root, **options):
    config = BatchConfig(
        root=root, output=root.with_name("out"), settings=GateSettings(), tracks=True, **options
    )
    return BatchRun(config).execute(InlineWorkerPool())


def test_each_folder_is_a_session_and_a_failure_stops_nothing(root):
    report = run(root)
    assert (report.done, report.failed) == (4, 1)
    assert "broken.wav" in report.errors[0]
    me, them = find_active(OWN[0], 0.01), find_active(OWN[1], 0.01)
    closed = {
        name: 1
        - find_active(read(root.with_name("out") / name, "float32"), 1e-7)[them & ~me].mean()
        for name in ("a/host.wav", "alone.wav")
    }
    assert closed["a/host.wav"] > 0.9
    assert closed["alone.wav"] < 0.1


def test_a_track_is_gated_again_only_if_its_session_has_changed(root):
    run(root)
    again = run(root)
    assert (again.done, again.skipped) == (0, 4)
    os.utime(root / "a" / "guest.flac", (1, 1))
    changed = run(root)
    assert (changed.done, changed.skipped) == (2, 2)


def test_the_manifest_and_the_report_contain_the_bleed(root, tmp_path):
    run(root, csv_path=tmp_path / "report.csv")
    results = {result.output: result for result in read_results(root.with_name("out")) if result}
    host = results[str(Path("a", "host.wav"))].result
    assert 0.2 < host["bleed_closed_share"] < 0.5
    assert host["bleed"]["tracks"][0]["level_db"] == pytest.approx(-12, abs=2)
    assert results["alone.wav"].result["bleed"] is None
    header, *_ = (tmp_path / "report.csv").read_text(encoding="utf-8-sig").splitlines()
    assert "bleed_closed_share" in header


def test_sessions_of_exclusive_channels_are_refused(tmp_path):
    settings = GateSettings(channels="exclusive")
    with pytest.raises(SettingsError, match="not both"):
        BatchConfig(root=tmp_path, output=tmp_path / "out", settings=settings, tracks=True)


def test_folders_with_too_many_recordings_are_not_sessions(root, monkeypatch):
    monkeypatch.setattr("noisegate_cli.batch.run.MAX_SESSION_TRACKS", 1)
    report = run(root)
    assert report.done == 1
    assert "too many recordings" in report.errors[0]

"""With `fsync`, what is written reaches the disk in an order that survives a power failure."""

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from noisegate_cli import GateSettings, OutputOptions, gate_file
from noisegate_cli.batch.job import Job, gate_job, pickle_settings
from noisegate_cli.batch.manifest import Manifest
from noisegate_cli.batch.records import RecordingResult
from tests.conftest import tone

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="finds the names of descriptors in /proc"
)


@pytest.fixture
def calls(monkeypatch):
    """Return the list of calls that make changes durable, in order."""
    done = []
    fsync, link = os.fsync, os.link

    def record_fsync(descriptor):
        done.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().suffix or "folder"))
        fsync(descriptor)

    def record_link(old, new):
        done.append(("link", Path(new).suffix))
        link(old, new)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "link", record_link)
    return done


def test_durable_outputs_reach_the_disk_before_their_names(tmp_path, write, calls):
    source = write(tone(1, 0.2))
    out = tmp_path / "new" / "folder" / "out.flac"
    gate_file(source, out, residue=tmp_path / "rest.wav", fsync=True)
    assert calls == [
        *[("fsync", ".partial")] * 2,
        ("link", ".wav"),
        ("fsync", "folder"),
        ("link", ".flac"),
        *[("fsync", "folder")] * 3,
    ]


def test_a_batch_waits_for_the_output_and_then_for_the_manifest(tmp_path, write, calls):
    source, out = write(tone(1, 0.2)), tmp_path / "out"
    with closing(Manifest(out, fsync=True)) as manifest:
        manifest.append(RecordingResult("started", "in.wav"))
        settings = pickle_settings(GateSettings(), OutputOptions())
        job = Job("in.wav", str(source), str(out / "in.wav"), 0, settings, fsync=True)
        manifest.append(gate_job(job)._replace(output="in.wav"))
    assert calls == [
        *[("fsync", "folder")] * 2,
        ("fsync", ".jsonl"),
        ("fsync", ".partial"),
        ("link", ".wav"),
        ("fsync", "folder"),
        ("fsync", ".jsonl"),
    ]


def test_without_fsync_nothing_waits_for_the_disk(tmp_path, write, calls):
    for extension in ("wav", "flac", "ogg", "mka", "m4a"):
        gate_file(write(tone(1, 0.2)), tmp_path / f"out.{extension}")
    assert not [call for call in calls if call[0] == "fsync"]

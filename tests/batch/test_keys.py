"""Batches in which another recording opens the gate."""

import os

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, SettingsError
from noisegate_cli.batch.interface import BatchConfig
from noisegate_cli.batch.run import BatchRun
from noisegate_cli.terminal.cli import run as run_command
from tests.batch.helpers import InlineWorkerPool
from tests.conftest import read

RATE = 16000
SETTINGS = GateSettings(threshold="-30dB")


def make_key(start_s):
    """Return 4 s of faint noise with a loud second in it."""
    y = np.random.default_rng(3).normal(0, 1e-4, 4 * RATE)
    y[round(start_s * RATE) : round((start_s + 1) * RATE)] *= 3000
    return y


@pytest.fixture
def root(tmp_path):
    """Return a tree with two recordings beside a folder of keys."""
    for name, y in {
        "in/a.wav": np.full(4 * RATE, 0.1),
        "in/day/b.wav": np.full(4 * RATE, 0.1),
        "keys/a.wav": make_key(0.5),
        "keys/day/b.flac": make_key(2.0),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(tmp_path / name, y, RATE)
    return tmp_path / "in"


def run(root, key, **options):
    settings = options.pop("settings", SETTINGS)
    config = BatchConfig(
        root=root, output=root.with_name("out"), settings=settings, key=key, **options
    )
    return BatchRun(config).execute(InlineWorkerPool())


def open_at(root, name, second):
    return abs(read(root.with_name("out") / name)[round(second * RATE)]) > 0


def test_one_file_is_the_key_of_all_recordings(root):
    assert run(root, root.with_name("keys") / "a.wav").done == 2
    for name in ("a.wav", "day/b.wav"):
        assert open_at(root, name, 1.0)
        assert not open_at(root, name, 2.5)


def test_a_folder_has_the_key_of_each_recording_with_any_extension(root):
    assert run(root, root.with_name("keys")).done == 2
    assert open_at(root, "a.wav", 1.0)
    assert not open_at(root, "day/b.wav", 1.0)
    assert open_at(root, "day/b.wav", 2.5)


def test_recordings_are_gated_again_only_if_their_key_has_changed(root):
    keys = root.with_name("keys")
    run(root, keys)
    assert run(root, keys).skipped == 2
    os.utime(keys / "day" / "b.flac", (1, 1))
    again = run(root, keys)
    assert (again.done, again.skipped) == (1, 1)


def test_a_missing_key_fails_one_recording(root):
    (root.with_name("keys") / "a.wav").unlink()
    report = run(root, root.with_name("keys"))
    assert (report.done, report.failed) == (1, 1)
    assert "keys/a.wav' does not exist" in report.errors[0].replace(os.sep, "/")


def test_contradictions_are_refused_before_anything_is_gated(root):
    with pytest.raises(AudioError, match="does not exist"):
        run(root, root / "no.wav")
    with pytest.raises(SettingsError, match="a key has other pauses"):
        run(root, root.with_name("keys"), settings=GateSettings(spectral="soft"))
    with pytest.raises(SettingsError, match="use either key= or tracks=, not both"):
        run(root, root.with_name("keys"), tracks=True)
    with pytest.raises(SettingsError, match="use either key= or a shared threshold"):
        run(root, root.with_name("keys"), settings=GateSettings(), threshold_scope="tree")
    assert not root.with_name("out").exists()


def test_the_command_takes_a_key_with_a_band(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    words = ["batch", "in", "-o", "out", "-t", "-30dB", "--key", "keys:100-4000", "-j", "1"]
    assert run_command(words) == 0
    assert open_at(root, "a.wav", 1.0)
    assert not open_at(root, "a.wav", 2.5)

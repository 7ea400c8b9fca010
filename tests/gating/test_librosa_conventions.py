"""Bands, windows and open segments are defined as in librosa."""

import librosa
import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings
from noisegate_cli.gating.detection.band_levels import mel_band_edges
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.frames.window import hann_window
from noisegate_cli.gating.gain.mask import GateMask
from noisegate_cli.samples import to_db
from tests.conftest import GUITAR, SPEECH


@pytest.mark.parametrize(("low", "high"), [(40, 10000), (40, 3920), (250, 4000), (0, 500)])
def test_band_edges_equal_librosa_mel_frequencies(low, high):
    edges = mel_band_edges(low, high)
    expected = librosa.mel_frequencies(len(edges), fmin=low, fmax=high, htk=True)
    np.testing.assert_allclose(edges, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [16, 100, 2048])
def test_the_window_equals_librosas_hann_window(length):
    np.testing.assert_allclose(
        hann_window(length), librosa.filters.get_window("hann", length), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("threshold", [0.003, 0.02, 0.1])
@pytest.mark.parametrize("path", [SPEECH, GUITAR], ids=["speech", "guitar"])
def test_open_segments_of_the_hard_gate_equal_librosa_effects_split(path, threshold):
    y, rate = sf.read(path, always_2d=True, frames=200000)
    y = y[:, :1]
    settings = GateSettings.preset("hard", threshold=threshold)
    timing = settings.timing(rate)
    detector = LevelDetector(threshold, settings, rate)
    values, _ = detector.process(y, last=True)
    mask = GateMask(detector.open_above, detector.close_below, timing).process(values, last=True)
    edges = np.flatnonzero(np.diff(mask[:, 0].astype(int), prepend=0, append=0))
    segments = np.minimum(edges * timing.hop_length, len(y)).reshape(-1, 2)
    expected = librosa.effects.split(
        y[:, 0],
        top_db=-float(to_db(threshold)),
        ref=1.0,
        frame_length=timing.frame_length,
        hop_length=timing.hop_length,
    )
    assert len(segments) > 0
    np.testing.assert_array_equal(segments, expected)

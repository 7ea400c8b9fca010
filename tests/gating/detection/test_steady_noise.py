import numpy as np
import pytest

from noisegate_cli.gating.detection.steady_noise import find_steady_noise
from noisegate_cli.gating.detection.tonal_noise import SparseSpectra

FRAMES_PER_S, SECONDS, BANDS = 50, 30, 496
T = np.arange(SECONDS * FRAMES_PER_S) / FRAMES_PER_S


def spectra(is_tonal=False):
    powers = np.random.default_rng(0).chisquare(8, (len(T) // 20, BANDS))
    powers *= np.where((np.arange(BANDS) % 15 == 0) & is_tonal, 300, 1)
    return SparseSpectra(np.arange(0, len(T), 20), powers.astype(np.float32))


def levels(hum_from, hum_to, hum_db=-45.0):
    """Levels of noise that varies by 2 dB, and of a hum above it."""
    noise = np.random.default_rng(1).normal(-62, 2, len(T))
    return np.where((hum_from <= T) & (hum_to > T), hum_db, noise)


def find(level_db, *, is_tonal=False):
    return find_steady_noise(spectra(is_tonal), level_db, FRAMES_PER_S)


@pytest.mark.parametrize(("start", "end"), [(12, 31), (0, 15), (10, 22)])
def test_a_hum_that_lasts_is_steady_noise(start, end):
    found = find(levels(start, end))
    inside = (start <= T) & (end > T)
    assert found[inside].mean() > 0.95
    assert not found[~inside].any()


@pytest.mark.parametrize(("start", "end"), [(12, 15), (27, 31), (0, 4)])
def test_a_beep_is_not_noise_even_at_an_end(start, end):
    assert not find(levels(start, end)).any()


def test_a_held_chord_is_not_noise():
    assert not find(levels(12, 31), is_tonal=True).any()


def test_speech_over_a_hum_is_not_noise():
    level = levels(0, 31)
    speech = (T % 4 < 2) & (T % 0.3 < 0.2)
    level[speech] = np.random.default_rng(2).normal(-25, 5, np.count_nonzero(speech))
    found = find(level)
    assert found[(T % 4 > 2.1) & (T % 4 < 3.9)].mean() > 0.9
    assert not found[speech].any()


@pytest.mark.parametrize("count", [0, 1, 30, 60])
def test_short_recordings_have_no_steady_noise(count):
    nothing = SparseSpectra(np.zeros(0, np.int64), np.zeros((0, BANDS), np.float32))
    assert not find_steady_noise(nothing, np.full(count, -40.0), FRAMES_PER_S).any()

import numpy as np
import pytest

from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.gating.frames.tonality import (
    MAX_TONAL_HZ,
    MIN_TONAL_HZ,
    NARROW_BAND_HZ,
    NarrowBandExtractor,
    compute_tonality_db,
)


def tonality_db(y, rate):
    powers = NarrowBandExtractor(rate).compute(y[:, None])
    return compute_tonality_db(powers[:, 0].mean(axis=0, keepdims=True))[0]


def colored_noise(rate, slope, seed=0):
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, 5 * rate))
    hz = np.fft.rfftfreq(5 * rate, 1 / rate)
    return np.fft.irfft(spectrum * np.maximum(hz, 30) ** slope)


def chord(rate, notes=(220, 277, 330)):
    t = np.arange(5 * rate) / rate
    return sum(np.sin(2 * np.pi * note * k * t) / k for note in notes for k in range(1, 8))


@pytest.mark.parametrize("rate", [8000, 22050, 96000])
@pytest.mark.parametrize("slope", [-1.0, -0.5, 0.0, 0.5])
def test_noise_of_any_color_is_not_tonal(rate, slope):
    assert 0 <= tonality_db(colored_noise(rate, slope), rate) < 1


@pytest.mark.parametrize("rate", [8000, 22050, 96000])
def test_a_chord_in_noise_is_tonal(rate):
    y = chord(rate)
    noise = colored_noise(rate, -0.5)
    noise *= 0.01 * y.std() / noise.std()
    assert tonality_db(y + noise, rate) > 6


@pytest.mark.parametrize("gain", [0.01, 100.0])
def test_tonality_does_not_depend_on_the_level(gain):
    y = chord(16000) + 0.1 * colored_noise(16000, 0.0)
    assert tonality_db(gain * y, 16000) == pytest.approx(tonality_db(y, 16000), abs=1e-3)


@pytest.mark.parametrize("rate", [100, 330])
def test_a_rate_without_any_narrow_band_gives_no_spectra(rate):
    assert NarrowBandExtractor(rate).compute(np.ones((50 * rate, 2))).size == 0


@pytest.mark.parametrize("sample_type", [np.float32, np.int16])
def test_narrow_bands_equal_the_sums_over_weighted_bins(sample_type):
    rate = 12000
    noise = np.random.default_rng(1).normal(0, 0.1, (2 * rate, 2))
    if sample_type is np.int16:
        noise *= 32767
    samples = noise.astype(sample_type)
    narrow = NarrowBandExtractor(rate)
    edges = np.arange(MIN_TONAL_HZ, MAX_TONAL_HZ + 1, NARROW_BAND_HZ)
    dense = BandPowerExtractor(edges, rate, narrow.frame_length, narrow.hop_length)
    powers = narrow.compute(samples)
    expected = dense.compute(len(powers), samples)
    assert powers.shape == (6, 2, 496)
    assert powers == pytest.approx(expected, rel=1e-5)

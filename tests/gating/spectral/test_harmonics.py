"""Regeneration of harmonics: where they are, groups of bins, channels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.frames.stft import Stft
from noisegate_cli.gating.spectral.bin_groups import BinGrouping
from noisegate_cli.gating.spectral.harmonics import (
    HIGHEST_HARMONIC_HZ,
    LOWEST_HARMONIC_HZ,
    HarmonicRegenerator,
)
from tests.conftest import examples

RATE, BINS = 16000, 257
BIN_HZ = RATE / 2 / (BINS - 1)


def spectra_of_harmonics(numbers, frames=4, fundamental_hz=250):
    """Return the spectra of a voice that has only the harmonics with these numbers."""
    t = np.arange(256 * (frames + 1)) / RATE
    y = sum(np.cos(2 * np.pi * fundamental_hz * k * t) for k in numbers)
    return Stft(512, 256, 0.5).compute_spectra(y.astype(np.float32), frames)


def regenerate(*channels, frames=(1,)):
    regenerator = HarmonicRegenerator(BINS, RATE)
    gains = np.ones((len(frames), regenerator.groups), np.float32)
    return regenerator.regenerate(channels, np.array(frames), gains)


def test_a_missing_harmonic_is_regenerated():
    powers = regenerate(spectra_of_harmonics([1, 2, 3, 5, 6]))[0]
    missing, between = 4 * 250 / BIN_HZ, 4.5 * 250 / BIN_HZ
    assert powers[round(missing)] > 100 * powers[round(between)]


def test_frequencies_below_all_voices_have_no_harmonics():
    powers = regenerate(spectra_of_harmonics([4, 5]))[0]
    hz = np.arange(len(powers)) * BIN_HZ
    assert not powers[hz < LOWEST_HARMONIC_HZ].any()
    assert powers[round(250 / BIN_HZ)] > 0


def test_a_bin_without_gain_gives_no_harmonics():
    spectra = spectra_of_harmonics([1, 2, 3])
    regenerator = HarmonicRegenerator(BINS, RATE)
    gains = np.zeros((1, regenerator.groups), np.float32)
    assert not regenerator.regenerate([spectra], np.array([1]), gains).any()


def test_harmonics_are_those_of_the_chosen_frames_and_the_mean_of_the_channels():
    left, right = spectra_of_harmonics([1, 2]), 3 * spectra_of_harmonics([2, 3])
    left[0] = right[0] = 1
    expected = (regenerate(left, frames=(1, 3)) + regenerate(right, frames=(1, 3))) / 2
    np.testing.assert_allclose(regenerate(left, right, frames=(1, 3)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("sample_rate", "frame_length"), [(8000, 256), (16000, 512), (44100, 2048), (96000, 4096)]
)
def test_harmonics_reach_the_limit_and_less_than_twice_as_much(sample_rate, frame_length):
    bins = frame_length // 2 + 1
    hz = np.linspace(0, sample_rate / 2, bins, dtype=np.float32)
    groups_hz = BinGrouping(bins, sample_rate).mean(hz[None])[0]
    groups = HarmonicRegenerator(bins, sample_rate).groups
    highest_hz = groups_hz[groups - 1]
    assert 0.9 * HIGHEST_HARMONIC_HZ < highest_hz < 2 * HIGHEST_HARMONIC_HZ


@examples(100)
@given(st.integers(2, 300), st.integers(2000, 192000))
def test_groups_of_harmonics_are_the_groups_that_share_a_gain(half_length, sample_rate):
    bins = half_length + 1
    grouping, regenerator = BinGrouping(bins, sample_rate), HarmonicRegenerator(bins, sample_rate)
    y = np.random.default_rng(0).normal(size=2 * half_length).astype(np.float32)
    spectra = np.fft.rfft(y)[None].astype(np.complex64)
    # A rectifier leaves a signal that is never negative as it is.
    spectra[0, 0] = 2 * np.abs(spectra).sum()
    gains = np.ones((1, regenerator.groups), np.float32)
    powers = regenerator.regenerate([spectra], np.array([0]), gains)[0]
    assert len(powers) == regenerator.groups <= grouping.mean(np.abs(spectra)).shape[1]
    expected = grouping.mean((np.abs(spectra) ** 2).astype(np.float32))[0, : len(powers)]
    above = LOWEST_HARMONIC_HZ / (sample_rate / 2 / half_length) + 1
    first = int(np.searchsorted(np.cumsum(grouping.group_widths_bins), above, side="right")) + 1
    np.testing.assert_allclose(powers[first:-1], expected[first : len(powers) - 1], rtol=1e-3)

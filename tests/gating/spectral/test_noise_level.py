"""The level of noise within tenths of a second."""

import numpy as np
import pytest

from noisegate_cli.gating.spectral.noise_level import (
    MAX_NOISE_LEVEL,
    MIN_NOISE_LEVEL,
    estimate_noise_levels,
)


def noise(levels, groups=120):
    """Return γ of noise with a level for each frame."""
    draws = np.random.default_rng(2).exponential(1, (len(levels), groups))
    return (draws * np.asarray(levels)[:, None]).astype(np.float32)


@pytest.mark.parametrize("level", [0.5, 1.0, 1.5])
def test_the_level_of_noise_is_its_mean_power_without_its_peaks(level):
    levels = estimate_noise_levels(noise(np.full(200, level)))
    assert levels.shape == (200,)
    assert 0.75 * level < np.median(levels) < level


@pytest.mark.parametrize("level", [0.5, 1.0, 1.5])
def test_a_signal_in_half_of_the_bins_does_not_change_the_level(level):
    snr = noise(np.full(200, level))
    alone = np.median(estimate_noise_levels(snr))
    snr[:, :60] *= 1000
    assert np.median(estimate_noise_levels(snr)) == pytest.approx(alone, rel=0.15)


def test_the_level_follows_the_noise_within_tenths_of_a_second():
    levels = estimate_noise_levels(noise(np.repeat([0.5, 1.0], 100)))
    assert levels[:90].max() < levels[110:].min()
    assert np.median(levels[110:]) > 1.6 * np.median(levels[:90])


def test_the_level_is_unchanged_where_the_signal_covers_all_noise():
    levels = estimate_noise_levels(np.full((50, 120), 1e6, np.float32))
    np.testing.assert_allclose(levels, 1)


def test_digital_silence_does_not_change_the_level_of_the_noise_beside_it():
    snr, silence = noise(np.ones(50)), np.zeros((8, 120), np.float32)
    levels = estimate_noise_levels(np.concatenate([silence, snr, silence]))
    np.testing.assert_allclose(levels[8:-8], estimate_noise_levels(snr), rtol=0.02)
    np.testing.assert_allclose(estimate_noise_levels(silence), 1)


def test_the_level_has_limits():
    quiet, loud = noise(np.full(50, 0.01)), noise(np.full(50, 6.0))
    np.testing.assert_allclose(estimate_noise_levels(quiet), MIN_NOISE_LEVEL)
    assert estimate_noise_levels(loud).max() <= MAX_NOISE_LEVEL

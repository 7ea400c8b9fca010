import numpy as np
import pytest

from noisegate_cli.gating.spectral.bin_groups import MIN_GROUPED_HZ, BinGrouping


@pytest.mark.parametrize(
    ("bins", "rate", "groups"),
    [(1025, 44100, 192), (1025, 48000, 192), (257, 16000, 128), (129, 8000, 96), (201, 8000, 150)],
)
def test_bins_above_the_speech_range_are_grouped(bins, rate, groups):
    grouping = BinGrouping(bins, rate)
    bin_powers = np.random.default_rng(0).random((3, bins)).astype(np.float32)
    means = grouping.mean(bin_powers)
    assert means.shape == (3, groups)
    expanded = grouping.expand_to_bins(means)
    assert expanded.shape == bin_powers.shape
    is_ungrouped = np.arange(bins) * rate / 2 / (bins - 1) < MIN_GROUPED_HZ
    assert np.array_equal(expanded[:, is_ungrouped], bin_powers[:, is_ungrouped])
    # Every bin of a group has the mean of the group.
    np.testing.assert_allclose(expanded[:, :-1].mean(), bin_powers[:, :-1].mean(), rtol=1e-5)


@pytest.mark.parametrize("frame", [16, 50, 400, 1000, 1440, 4096])
@pytest.mark.parametrize("rate", [8000, 44100, 384000])
def test_grouping_and_expanding_preserves_constant_powers_for_any_frame(frame, rate):
    bins = frame // 2 + 1
    grouping = BinGrouping(bins, rate)
    bin_powers = np.ones((2, bins), np.float32)
    assert np.array_equal(grouping.expand_to_bins(grouping.mean(bin_powers)), bin_powers)


@pytest.mark.parametrize(("bins", "rate"), [(1025, 44100), (257, 16000), (201, 8000)])
@pytest.mark.parametrize("frames", [0, 1, 5])
def test_the_power_of_a_group_is_the_mean_of_the_powers_of_its_bins(bins, rate, frames):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, frames, bins)).astype(np.float32)
    spectra = values[0] + 1j * values[1]
    grouping = BinGrouping(bins, rate)
    expected = grouping.mean(values[0] ** 2 + values[1] ** 2)
    np.testing.assert_allclose(grouping.mean_power(spectra), expected, rtol=1e-6)

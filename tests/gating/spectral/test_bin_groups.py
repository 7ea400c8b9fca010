import numpy as np
import pytest

from noisegate_cli.gating.spectral.bin_groups import MAX_UNGROUPED_HZ, BinGrouping


@pytest.mark.parametrize(
    ("bins", "rate", "groups"),
    [(1025, 44100, 192), (1025, 48000, 192), (257, 16000, 128), (129, 8000, 96), (201, 8000, 150)],
)
def test_bins_above_speech_are_judged_together(bins, rate, groups):
    grouping = BinGrouping(bins, rate)
    bin_powers = np.random.default_rng(0).random((3, bins)).astype(np.float32)
    means = grouping.mean(bin_powers)
    assert means.shape == (3, groups)
    spread = grouping.expand_to_bins(means)
    assert spread.shape == bin_powers.shape
    single = np.arange(bins) * rate / 2 / (bins - 1) < MAX_UNGROUPED_HZ
    assert np.array_equal(spread[:, single], bin_powers[:, single])
    # Whatever is in a group has its mean.
    np.testing.assert_allclose(spread[:, :-1].mean(), bin_powers[:, :-1].mean(), rtol=1e-5)


@pytest.mark.parametrize("frame", [16, 50, 400, 1000, 1440, 4096])
@pytest.mark.parametrize("rate", [8000, 44100, 384000])
def test_any_frame_can_be_grouped_or_stays_as_it_is(frame, rate):
    bins = frame // 2 + 1
    grouping = BinGrouping(bins, rate)
    bin_powers = np.ones((2, bins), np.float32)
    assert np.array_equal(grouping.expand_to_bins(grouping.mean(bin_powers)), bin_powers)

"""Frequency bins that are judged together."""

import numpy as np
from numpy.typing import NDArray

MAX_UNGROUPED_HZ = 1250.0
"""Up to there each bin is judged alone."""


class BinGrouping:
    """Bins in groups: one by one up to 1.5 kHz or so, and then twice as wide with each octave.

    A group is about a quarter of what hearing takes for one band (the equivalent rectangular
    bandwidth of Glasberg and Moore, Derivation of auditory filter shapes from notched-noise data,
    1990). Gains need no more, and cost a fifth.

    Parameters
    ----------
    bins
        Of a spectrum. They stay alone where they can't be halved, as in frames of odd lengths.
    sample_rate
        In Hz.

    Examples
    --------
    >>> grouping = BinGrouping(bins=257, sample_rate=16000)
    >>> groups = grouping.mean(np.ones((3, 257), np.float32))
    >>> groups.shape, grouping.expand_to_bins(groups).shape
    ((3, 128), (3, 257))
    """

    def __init__(self, bins: int, sample_rate: int) -> None:
        width = sample_rate / 2 / (bins - 1)
        self._ungrouped_bins, self._octaves = bins - 1, 0
        while (
            self._ungrouped_bins % 4 == 0 and self._ungrouped_bins // 2 * width >= MAX_UNGROUPED_HZ
        ):
            self._ungrouped_bins //= 2
            self._octaves += 1
        numbers = [self._ungrouped_bins] + [self._ungrouped_bins // 2] * self._octaves
        self._group_widths_bins = np.repeat([1 << i for i in range(len(numbers))], numbers)
        if self._octaves:
            # The last bin, at half the sample rate, goes with its neighbours.
            self._group_widths_bins[-1] += 1
        else:
            self._group_widths_bins = np.ones(bins, np.int64)

    def mean(self, bin_powers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean of each group, shaped (frames, groups), from (frames, bins)."""
        if not self._octaves:
            return bin_powers
        parts, rest = (
            [bin_powers[:, : self._ungrouped_bins]],
            bin_powers[:, self._ungrouped_bins : -1],
        )
        for _ in range(self._octaves):
            rest = rest[:, ::2] + rest[:, 1::2]
            rest *= 0.5
            parts.append(rest[:, : self._ungrouped_bins // 2])
            rest = rest[:, self._ungrouped_bins // 2 :]
        return np.concatenate(parts, axis=1)

    def expand_to_bins(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return for each bin what its group has, shaped (frames, bins)."""
        return np.repeat(values, self._group_widths_bins, axis=1) if self._octaves else values

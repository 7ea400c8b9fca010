"""Frequency bins that are judged together."""

import numpy as np
from numpy.typing import NDArray

SINGLE_HZ = 1250.0
"""Up to there each bin is judged alone."""


class Grouping:
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
    >>> grouping = Grouping(bins=257, sample_rate=16000)
    >>> groups = grouping.mean(np.ones((3, 257), np.float32))
    >>> groups.shape, grouping.spread(groups).shape
    ((3, 128), (3, 257))
    """

    def __init__(self, bins: int, sample_rate: int) -> None:
        width = sample_rate / 2 / (bins - 1)
        self._single, self._octaves = bins - 1, 0
        while self._single % 4 == 0 and self._single // 2 * width >= SINGLE_HZ:
            self._single //= 2
            self._octaves += 1
        numbers = [self._single] + [self._single // 2] * self._octaves
        self._widths = np.repeat([1 << i for i in range(len(numbers))], numbers)
        if self._octaves:
            # The last bin, at half the sample rate, goes with its neighbours.
            self._widths[-1] += 1
        else:
            self._widths = np.ones(bins, np.int64)

    def mean(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean of each group, shaped (frames, groups), from (frames, bins)."""
        if not self._octaves:
            return heard
        parts, rest = [heard[:, : self._single]], heard[:, self._single : -1]
        for _ in range(self._octaves):
            rest = rest[:, ::2] + rest[:, 1::2]
            rest *= 0.5
            parts.append(rest[:, : self._single // 2])
            rest = rest[:, self._single // 2 :]
        return np.concatenate(parts, axis=1)

    def spread(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return for each bin what its group has, shaped (frames, bins)."""
        return np.repeat(values, self._widths, axis=1) if self._octaves else values

"""Group frequency bins that share a gain."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.stft import BinPowers, Spectra, compute_bin_powers

MIN_GROUPED_HZ = 1250.0
"""Bins below this frequency are not grouped: bands of hearing are narrow there."""


class BinGrouping:
    """Groups of bins: single bins up to 1.25 to 2.5 kHz, then twice as wide in each octave.

    The limit depends on the sample rate. A group is about a quarter as wide as an auditory filter
    (the equivalent rectangular bandwidth of Glasberg and Moore, Derivation of auditory filter
    shapes from notched-noise data, 1990). Gains need no finer resolution, and computing them takes
    a fifth of the time.

    Parameters
    ----------
    bins
        Number of bins of a spectrum. They are not grouped if the number does not allow halving.
    sample_rate
        In Hz.

    Examples
    --------
    >>> grouping = BinGrouping(bins=257, sample_rate=16000)
    >>> groups = grouping.mean(np.ones((3, 257), np.float32))
    >>> groups.shape, grouping.expand_to_bins(groups).shape
    ((3, 128), (3, 257))
    """

    def __init__(self, bins: int, sample_rate: float) -> None:
        width = sample_rate / 2 / (bins - 1)
        self._ungrouped_bins = halve_bins(bins - 1, width, MIN_GROUPED_HZ)
        self._octaves = ((bins - 1) // self._ungrouped_bins).bit_length() - 1
        numbers = [self._ungrouped_bins] + [self._ungrouped_bins // 2] * self._octaves
        widths = np.repeat([1 << i for i in range(len(numbers))], numbers)
        if self._octaves:
            # The last bin, at half the sample rate, joins the last group.
            widths[-1] += 1
        else:
            widths = np.ones(bins, np.int64)
        self.group_widths_bins = widths
        """Number of bins in each group, shaped (groups,)."""

    def mean(self, bin_powers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the mean of each group, shaped (frames, groups), from (frames, bins)."""
        if not self._octaves:
            return bin_powers
        parts = [bin_powers[:, : self._ungrouped_bins]]
        grouped = bin_powers[:, self._ungrouped_bins : -1]
        for octave in range(self._octaves):
            grouped = grouped[:, ::2] + grouped[:, 1::2]
            sums = grouped[:, : self._ungrouped_bins // 2]
            parts.append(sums * np.float32(0.5 ** (octave + 1)))
            grouped = grouped[:, self._ungrouped_bins // 2 :]
        return np.concatenate(parts, axis=1)

    def mean_power(self, spectra: Spectra) -> BinPowers:
        """Compute the mean |X|² of each group, shaped (frames, groups), from (frames, bins)."""
        if not self._octaves:
            return compute_bin_powers(spectra)
        end, groups = self._ungrouped_bins, self._ungrouped_bins // 2
        powers = np.empty((len(spectra), len(self.group_widths_bins)), np.float32)
        powers[:, :end] = compute_bin_powers(spectra[:, :end])
        for octave in range(1, self._octaves + 1):
            # One product sums the squares of the real and imaginary parts of a group. The mean of
            # the |X|² of all bins takes twice as long.
            values = spectra[:, end : 2 * end].view(np.float32)
            values = values.reshape(len(spectra), groups, 2 << octave)
            out = powers[:, groups * (octave + 1) :][:, :groups]
            np.einsum("fgi,fgi->fg", values, values, out=out)
            out *= np.float32(0.5**octave)
            end *= 2
        return powers

    def expand_to_bins(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the value of its group for each bin, shaped (frames, bins)."""
        return np.repeat(values, self.group_widths_bins, axis=1) if self._octaves else values


def halve_bins(bins: int, width_hz: float, lowest_hz: float) -> int:
    """Return how many of the lowest bins remain after halving their number as often as possible.

    An even number remains, and the bins up to `lowest_hz` at least.
    """
    while bins % 4 == 0 and bins // 2 * width_hz >= lowest_hz:
        bins //= 2
    return bins

"""Regenerate harmonics that are buried in noise, from those above it.

This follows Plapous, Marro and Scalart (Improved signal-to-noise ratio estimation for speech
enhancement, 2006). A half-wave rectifier gives a periodic sound all multiples of its fundamental
frequency. So the harmonics of a voice that are above the noise show where the others are.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.stft import FFT_NORM, BinPowers, Spectra
from noisegate_cli.gating.spectral.bin_groups import BinGrouping, halve_bins

LOWEST_HARMONIC_HZ = 75.0
"""No voice has harmonics below; a rectifier also gives the envelope, which is there."""

HIGHEST_HARMONIC_HZ = 2500.0
"""Harmonics are regenerated up to this frequency at least, and up to less than twice as much."""


class HarmonicRegenerator:
    """Compute the power of a rectified signal in groups of bins.

    Only the lowest bins are transformed, so that a frame has a lower sample rate and fewer samples.

    Parameters
    ----------
    bins
        Number of bins of a spectrum.
    sample_rate
        In Hz.

    Examples
    --------
    >>> regenerator = HarmonicRegenerator(bins=257, sample_rate=16000)
    >>> spectra, gains = np.ones((3, 257), np.complex64), np.ones((2, 96), np.float32)
    >>> regenerator.regenerate([spectra], np.array([0, 2]), gains).shape
    (2, 96)
    """

    def __init__(self, bins: int, sample_rate: int) -> None:
        width = sample_rate / 2 / (bins - 1)
        # A group ends at this bin, because the groups result from halving too.
        highest = halve_bins(bins - 1, width, HIGHEST_HARMONIC_HZ)
        self._lowest_bin, self._highest_bin = math.ceil(LOWEST_HARMONIC_HZ / width), highest
        group_widths = BinGrouping(bins, sample_rate).group_widths_bins
        # The last bin of a spectrum belongs to the last group.
        self.groups = int(np.searchsorted(np.cumsum(group_widths), highest + 1, side="right"))
        """Number of groups of bins, from the lowest upwards."""
        self._grouping = BinGrouping(highest + 1, 2 * highest * width)

    def regenerate(
        self,
        spectra: Sequence[Spectra],
        frames: NDArray[np.intp],
        gains: NDArray[np.float32],
    ) -> BinPowers:
        """Return the mean |X|² of the rectified channels, shaped (frames, groups).

        Parameters
        ----------
        spectra
            Spectra of the channels of one gate, each shaped (frames, bins).
        frames
            Indices of the frames to use.
        gains
            Linear gains of these frames, shaped (frames, groups).
        """
        length = 2 * self._highest_bin
        # The factor compensates for the division by `FFT_NORM`.
        bin_gains = self._grouping.expand_to_bins(gains * np.float32(length))
        total = np.zeros((len(gains), self.groups), np.float32)
        for channel in spectra:
            voiced = channel[frames, : bin_gains.shape[1]] * bin_gains
            y = np.fft.irfft(voiced, n=length, axis=1)
            np.maximum(y, 0, out=y)
            rectified: Spectra = np.asarray(np.fft.rfft(y, axis=1, norm=FFT_NORM), np.complex64)
            rectified[:, : self._lowest_bin] = 0
            total += self._grouping.mean_power(rectified)[:, : self.groups]
        total *= np.float32(1 / len(spectra))
        return total

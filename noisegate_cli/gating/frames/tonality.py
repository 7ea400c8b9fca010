"""Measure how tonal a sound is, from narrow bands of its spectrum."""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import BandPowerArray, BandPowerExtractor
from noisegate_cli.samples import Samples

NARROW_BAND_HZ = 10.0
MIN_TONAL_HZ, MAX_TONAL_HZ = 160.0, 5120.0
"""Width and range of the narrow bands: a third of an octave has at least four of them."""

NARROW_FRAME_MS = 70.0
"""A frame spans at least this time, so that its Fourier transform resolves the narrow bands."""

NARROW_HOP_FRAMES = 4
"""Distance of the frames in frame lengths: a few frames per second suffice for a mean spectrum."""


class NarrowBandExtractor:
    """Compute the powers of sparse frames in narrow bands.

    Parameters
    ----------
    sample_rate
        In Hz.

    Attributes
    ----------
    hop_length : int
        Distance of the frames in samples. The first frame begins with the samples.
    frame_length : int
        In samples.
    """

    def __init__(self, sample_rate: int) -> None:
        self.frame_length = 1 << max(4, math.ceil(math.log2(NARROW_FRAME_MS / 1000 * sample_rate)))
        self.hop_length = NARROW_HOP_FRAMES * self.frame_length
        highest = min(MAX_TONAL_HZ, sample_rate / 2)
        edges = np.arange(MIN_TONAL_HZ, highest + 1e-9, NARROW_BAND_HZ)
        self._bands = max(0, len(edges) - 1)
        self._powers: BandPowerExtractor | None = None
        if self._bands:
            self._powers = BandPowerExtractor(
                edges, sample_rate, self.frame_length, self.hop_length, oversampling=2
            )

    def compute(self, samples: Samples) -> BandPowerArray:
        """Return the powers of all frames within `samples`, shaped (frames, channels, bands)."""
        if self._powers is None:
            return np.zeros((0, samples.shape[1], 0), np.float32)
        length = self.frame_length + self._powers.margin
        frames = max(0, (len(samples) - length) // self.hop_length + 1)
        starts = [frame * self.hop_length for frame in range(frames)]
        parts = [self._powers.compute(1, samples[start : start + length]) for start in starts]
        empty = np.zeros((0, samples.shape[1], self._bands), np.float32)
        return np.concatenate([empty, *parts])


def compute_tonality_db(powers: NDArray[np.float32]) -> float:
    """Return how far the peaks of a spectrum stand out, in dB.

    The arithmetic mean of the power is compared with its geometric mean in each third of an octave
    (spectral flatness, Gray and Markel, A spectral-flatness measure for studying the
    autocorrelation method of linear prediction of speech analysis, 1974), so that the slope of the
    spectrum does not matter.

    Parameters
    ----------
    powers
        Powers in adjacent bands that are `NARROW_BAND_HZ` wide, from `MIN_TONAL_HZ` on.

    Returns
    -------
    float
        Mean over the thirds of octaves: 0 for white noise of infinite length, about 6 or more for
        music.

    Examples
    --------
    >>> compute_tonality_db(np.ones(400, np.float32))
    0.0
    >>> tones = np.where(np.arange(400) % 20 == 0, 1.0, 0.001).astype(np.float32)
    >>> compute_tonality_db(tones) > 6
    True
    """
    decibels = 10 * np.log10(powers.astype(np.float64) + 1e-30)
    octaves = np.log2(1 + (np.arange(len(powers)) + 0.5) * NARROW_BAND_HZ / MIN_TONAL_HZ)
    starts = np.searchsorted(octaves, np.arange(0, octaves[-1], 1 / 3))
    sizes = np.diff(np.append(starts, len(powers)))
    arithmetic = np.add.reduceat(powers.astype(np.float64), starts) / sizes
    geometric = np.add.reduceat(decibels, starts) / sizes
    return float(np.mean(10 * np.log10(arithmetic + 1e-30) - geometric))

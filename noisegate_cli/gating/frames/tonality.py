"""Measure how tonal a sound is, from narrow bands of its spectrum."""

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.stft import Stft, compute_bin_powers
from noisegate_cli.samples import Samples, full_scale

NARROW_BAND_HZ = 10.0
MIN_TONAL_HZ, MAX_TONAL_HZ = 160.0, 5120.0
"""Width and range of the narrow bands: a third of an octave has at least four of them."""

NARROW_FRAME_MS = 70.0
"""A frame spans at least this time, so that its Fourier transform resolves the narrow bands."""

NARROW_HOP_FRAMES = 4
"""Hop in frame lengths: a few frames per second suffice for a mean spectrum."""

SMOOTH_BANDS = 9
"""Odd number of narrow bands, 90 Hz, whose mean is the smooth shape of a spectrum."""


class NarrowBandExtractor:
    """Compute the powers of sparse frames in narrow bands.

    A bin that crosses an edge is divided between the two bands, as in `BandPowerExtractor`. Many
    narrow bands are cheaper as differences of the cumulative spectrum at their edges than as a
    product with the weights of all bins in all bands.

    Parameters
    ----------
    sample_rate
        In Hz.

    Attributes
    ----------
    hop_length : int
        Distance between the frames in samples. The first frame begins with the samples.
    frame_length : int
        In samples.
    """

    def __init__(self, sample_rate: int) -> None:
        self.frame_length = 1 << max(4, math.ceil(math.log2(NARROW_FRAME_MS / 1000 * sample_rate)))
        self.hop_length = NARROW_HOP_FRAMES * self.frame_length
        self._transform = Stft(self.frame_length, self.hop_length)
        highest = min(MAX_TONAL_HZ, sample_rate / 2)
        edges_hz = np.arange(MIN_TONAL_HZ, highest + 1e-9, NARROW_BAND_HZ)
        # Bin k extends from k − 1/2 to k + 1/2.
        edges = edges_hz * self.frame_length / sample_rate + 0.5
        self._edge_bins = np.minimum(edges.astype(np.intp), self._transform.bins - 1)
        self._edge_fractions = edges - self._edge_bins

    # Very large float samples may overflow; the level detector reports them.
    @np.errstate(over="ignore", invalid="ignore")
    def compute(self, samples: Samples) -> BandPowerArray:
        """Return the powers of all frames within `samples`, shaped (frames, channels, bands)."""
        frames = max(0, (len(samples) - self.frame_length) // self.hop_length + 1)
        bands, channels = max(0, len(self._edge_bins) - 1), samples.shape[1]
        band_powers = np.zeros((frames, channels, bands), np.float32)
        if not band_powers.size:
            return band_powers
        scale = self._transform.mean_square_per_power / full_scale(samples.dtype) ** 2
        for channel in range(channels):
            x = samples[:, channel].astype(np.float32)
            spectra = self._transform.compute_spectra(x, frames)
            powers = compute_bin_powers(spectra[:, : self._edge_bins[-1] + 1]).astype(np.float64)
            below_bins = np.cumsum(powers, axis=1) - powers
            below_edges = below_bins.take(self._edge_bins, axis=1)
            below_edges += powers.take(self._edge_bins, axis=1) * self._edge_fractions
            band_powers[:, channel] = scale * np.diff(below_edges)
        return band_powers


def compute_tonality_db(powers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far the peaks of spectra stand out, in dB.

    The arithmetic mean of the power is compared with its geometric mean in each third of an octave
    (spectral flatness, Gray and Markel, A spectral-flatness measure for studying the
    autocorrelation method of linear prediction of speech analysis, 1974), so that the slope of the
    spectrum does not matter.

    Parameters
    ----------
    powers
        Powers in adjacent bands that are `NARROW_BAND_HZ` wide, from `MIN_TONAL_HZ` on, shaped
        (spectra, bands).

    Returns
    -------
    numpy.ndarray
        Mean over the thirds of octaves, shaped (spectra,): 0 for white noise of infinite length,
        about 6 or more for music.

    Examples
    --------
    >>> tones = np.where(np.arange(400) % 20 == 0, 1.0, 0.001)
    >>> compute_tonality_db(np.stack([np.ones(400), tones]).astype(np.float32)).round(1)
    array([ 0. , 11.6])
    """
    starts, sizes = _divide_octaves(powers.shape[1])
    exact = powers.astype(np.float64) + 1e-30
    arithmetic = np.add.reduceat(exact, starts, axis=1) / sizes
    geometric = np.add.reduceat(10 * np.log10(exact), starts, axis=1) / sizes
    return np.asarray(np.mean(10 * np.log10(arithmetic) - geometric, axis=1))


def compute_fine_structure(powers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the peaks and dips of spectra, without their smooth shape.

    The product of two of them is the coefficient of correlation: about 0 for two frames of noise,
    and up to 1 for two frames with the same tones.

    Parameters
    ----------
    powers
        As in `compute_tonality_db`.

    Returns
    -------
    numpy.ndarray
        Levels relative to the running mean over `SMOOTH_BANDS`, normalized so that the mean of each
        spectrum is 0 and its sum of squares 1; shaped (spectra, bands − `SMOOTH_BANDS` + 1).

    Examples
    --------
    >>> spectra = np.random.default_rng(1).exponential(size=(2, 400))
    >>> first, second = compute_fine_structure(spectra)
    >>> bool(abs(first @ second) < 0.2), round(float(first @ first), 6)
    (True, 1.0)
    """
    levels = np.log(powers.astype(np.float64) + 1e-30)
    smooth = sliding_window_view(levels, SMOOTH_BANDS, axis=1).mean(axis=-1)
    half = SMOOTH_BANDS // 2
    fine = levels[:, half:-half] - smooth
    fine -= fine.mean(axis=1, keepdims=True)
    return np.asarray(fine / np.sqrt((fine**2).sum(axis=1, keepdims=True) + 1e-30))


@lru_cache(maxsize=8)
def _divide_octaves(bands: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first of the narrow bands in each third of an octave, and their number."""
    octaves = np.log2(1 + (np.arange(bands) + 0.5) * NARROW_BAND_HZ / MIN_TONAL_HZ)
    starts = np.searchsorted(octaves, np.arange(0, octaves[-1], 1 / 3))
    sizes = np.diff(np.append(starts, bands))
    starts.flags.writeable = sizes.flags.writeable = False  # because the cache shares them
    return starts, sizes

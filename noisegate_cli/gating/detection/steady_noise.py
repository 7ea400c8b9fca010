"""Find noise that begins within a recording and stays: a hum or a fan that is switched on.

It is far above the noise before it, so it seems to be signal. But unlike speech, its level is
constant, and nothing quieter follows. A note or a beep ends; music that never ends is tonal.
"""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.tonal_noise import Flags, SparseSpectra, find_tonal_segments
from noisegate_cli.gating.gain.mask import MinRunLength

STEADY_MS, MAX_STEADY_DEVIATION_DB = 1000.0, 0.5
"""The level of a steady noise deviates less for this time. A hum deviates by less than 0.3 dB."""

LASTING_S, MAX_OVER_LASTING_DB = 5, 3.0
"""A steady noise lasts: for this many seconds before or after a frame, the quietest level is at
most this far below its level."""

LevelsDb = NDArray[np.float64]


def find_steady_noise(spectra: SparseSpectra, level_db: LevelsDb, frames_per_s: int) -> Flags:
    """Return the frames of noise whose level is constant and that lasts, and is not tonal.

    Parameters
    ----------
    spectra
        Spectra of some of the frames.
    level_db
        Smoothed levels in dB, shaped (frames,).
    frames_per_s
        Number of frames in a second.

    Returns
    -------
    numpy.ndarray
        Boolean mask of the frames, shaped (frames,).
    """
    window = max(2, round(STEADY_MS / 1000 * frames_per_s))
    if len(level_db) < window:
        return np.zeros(len(level_db), np.bool_)
    is_steady = _compute_deviation(level_db, window) < MAX_STEADY_DEVIATION_DB
    if is_steady.any():
        is_steady &= level_db < _lasting_level(level_db, frames_per_s) + MAX_OVER_LASTING_DB
    if not is_steady.any():
        return is_steady
    is_steady &= ~find_tonal_segments(spectra, np.ones_like(is_steady))
    return MinRunLength(True, window).process(is_steady[:, None], last=True)[:, 0]


def _compute_deviation(level_db: LevelsDb, window: int) -> LevelsDb:
    """Return the standard deviation in the window before or after each frame, whichever is less."""
    centered = level_db - level_db.mean()
    sums = np.cumsum(np.stack([centered, centered**2], axis=1), axis=0)
    sums = np.concatenate([np.zeros((1, 2)), sums])
    mean, square = ((sums[window:] - sums[:-window]) / window).T
    variance = np.maximum(square - mean**2, 0)
    edge = np.full(window - 1, np.inf)
    after, before = np.append(variance, edge), np.append(edge, variance)
    return np.asarray(np.sqrt(np.minimum(after, before)))


def _lasting_level(level_db: LevelsDb, frames_per_s: int) -> LevelsDb:
    """Return the quietest level of `LASTING_S` seconds before or after, whichever is higher.

    −∞ where the recording is shorter than that on either side.
    """
    seconds = -(-len(level_db) // frames_per_s)
    starts = np.arange(seconds) * frames_per_s
    quietest = np.minimum.reduceat(level_db, starts)
    edge = np.full(LASTING_S, -np.inf)
    padded = np.concatenate([edge, quietest, edge])
    minima = padded[np.arange(seconds + LASTING_S)[:, None] + np.arange(LASTING_S + 1)].min(axis=1)
    lasting = np.maximum(minima[:seconds], minima[LASTING_S:])
    return np.asarray(np.repeat(lasting, frames_per_s)[: len(level_db)])

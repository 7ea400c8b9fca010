"""Keep the level of a signal whose noise is reduced.

A Wiener gain removes the noise in a bin, and some of the signal. Over a second, the power of the
signal is the power of the recording minus the power of the noise (spectral subtraction). It exceeds
the power after the gains, and the square root of the ratio restores the level.
"""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.stft import BinPowers

LEVEL_TIME_CONSTANT_S = 1.0
"""Time constant of the powers that are compared. Only time in which the gate is open counts."""

MAX_LEVEL_GAIN_DB = 2.0
"""Maximum gain that restores the level."""

LEVEL_STRIDE_FRAMES = 4
"""Stride of the frames whose powers are compared."""


class LevelCompensator:
    """Increase the gains of segments so that the signal keeps its level.

    Parameters
    ----------
    widths
        Number of bins in each group, shaped (groups,).
    frames_per_s
        Frames per second.
    segment
        Number of frames in a segment.

    Examples
    --------
    >>> compensator = LevelCompensator(np.ones(4), frames_per_s=62.5, segment=16)
    >>> gains = np.full((16, 4), 0.9, np.float32)
    >>> compensator.increase(gains, 2 * np.ones_like(gains), np.full((1, 1, 4), 0.2), np.arange(16))
    >>> bool(np.allclose(gains**2, 0.9))
    True
    """

    def __init__(self, widths: NDArray[np.int64], frames_per_s: float, segment: int) -> None:
        self._widths = widths.astype(np.float32)
        self._segment = segment
        self._forgetting_factor = math.exp(-segment / (LEVEL_TIME_CONSTANT_S * frames_per_s))
        self._signal = self._output = 0.0

    def increase(
        self,
        gains: NDArray[np.float32],
        powers: BinPowers,
        noise: BinPowers,
        frames: NDArray[np.intp],
    ) -> None:
        """Increase the gains of open frames in place, to 1 at most.

        Parameters
        ----------
        gains
            Linear gains of the open frames, shaped (open frames, groups).
        powers
            |X|² of all frames, from the start of a segment, shaped (frames, groups).
        noise
            Mean |X|² of the noise in each segment, shaped (segments, frames or 1, groups).
        frames
            Indices of the open frames, ascending.
        """
        segments, offsets = np.divmod(frames, self._segment)
        measured = np.flatnonzero(offsets % LEVEL_STRIDE_FRAMES == 0)
        weighted = powers[frames[measured]] * self._widths
        noise_powers = np.broadcast_to(
            (noise * self._widths).sum(axis=2), (len(noise), self._segment)
        )
        signal = weighted.sum(axis=1) - noise_powers[segments[measured], offsets[measured]]
        weighted *= np.square(gains[measured])
        signals = np.bincount(segments[measured], signal, len(noise))
        outputs = np.bincount(segments[measured], weighted.sum(axis=1), len(noise))
        level_gains = np.ones(len(noise), np.float32)
        # `np.unique` would load `numpy.ma`, which takes as long as a minute of audio.
        for i in np.flatnonzero(np.bincount(segments)):
            self._signal = self._forgetting_factor * self._signal + float(signals[i])
            self._output = self._forgetting_factor * self._output + float(outputs[i])
            level_gains[i] = self._level_gain()
        gains *= level_gains[segments, None]
        np.minimum(gains, 1, out=gains)

    def _level_gain(self) -> float:
        if self._signal <= self._output:
            return 1.0
        max_ratio = 10 ** (MAX_LEVEL_GAIN_DB / 10)
        return math.sqrt(min(self._signal, max_ratio * self._output) / max(self._output, 1e-300))

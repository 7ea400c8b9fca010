"""Store the level of every frame of a recording compactly."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.chunked_values import ChunkedValues
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.noise_floor import QUIET_LEVEL_PERCENT
from noisegate_cli.samples import from_db, to_db

_MAX_CODE = 15000
"""Code of the highest level, 30 dBFS. Only samples in floating point exceed 0 dBFS."""


class LevelTrack:
    """Level of every frame, in order, rounded to 0.01 dB and stored in two bytes.

    An hour takes 0.6 MB for each gate. Thresholds can be evaluated without reading the recording
    again. With coarser levels, the result for a steady hum near the threshold would be wrong.
    """

    CODE_STEP_DB = 0.01
    CODE_OFFSET_DB = -120.0

    def __init__(self) -> None:
        self._codes = ChunkedValues(np.uint16)

    def add(self, levels: RmsLevels) -> None:
        """Append levels shaped (frames, gates), linear RMS."""
        codes = np.rint(
            (to_db(np.maximum(levels, 1e-12)) - self.CODE_OFFSET_DB) / self.CODE_STEP_DB
        )
        # The code 0 is reserved for digital silence.
        self._codes.append(np.where(levels > 0, np.clip(codes, 1, _MAX_CODE), 0))

    def __len__(self) -> int:
        return len(self._codes)

    def levels_at(self, frames: NDArray[np.int64]) -> RmsLevels:
        """Return the levels of the frames with the ascending indices `frames`, linear RMS."""
        codes = self._codes.take(frames)
        return np.where(codes, from_db(self.CODE_OFFSET_DB + codes * self.CODE_STEP_DB), 0.0)

    def peaks_over_median_db(self) -> NDArray[np.float64]:
        """Return the level of the loudest frame of each gate above the median, in dB."""
        parts = (
            np.stack([np.bincount(gate, minlength=_MAX_CODE + 1) for gate in codes.T])
            for codes in self._codes.chunks()
        )
        # One part at a time, because the parts of a long recording take much memory.
        counts = reduce(np.add, parts)
        loudest = _MAX_CODE - np.argmax(counts[:, ::-1] > 0, axis=1)
        counts[:, 0] = 0
        medians = [np.searchsorted(np.cumsum(n), n.sum() / 2) for n in counts]
        return np.asarray((loudest - np.array(medians)) * self.CODE_STEP_DB)

    def compute_quiet_levels_db(self, step_frames: int) -> NDArray[np.float64]:
        """Return the quiet level of the loudest gate in each step of `step_frames` frames, in dB.

        Digital silence is omitted. A step with only silence gets the level of the previous step.
        """
        codes = np.concatenate([codes.max(axis=1) for codes in self._codes.chunks()])
        steps = max(1, len(codes) // step_frames)
        ordered = np.sort(codes[: steps * step_frames].reshape(steps, -1), axis=1)
        silent = np.count_nonzero(ordered == 0, axis=1)
        length = ordered.shape[1]
        rank = silent + (QUIET_LEVEL_PERCENT * (length - 1 - silent)) // 100
        quiet = ordered[np.arange(steps), np.minimum(rank, length - 1)]
        nonsilent = np.flatnonzero(silent < length)
        if not len(nonsilent):
            return np.full(steps, self.CODE_OFFSET_DB)
        previous = np.searchsorted(nonsilent, np.arange(steps), side="right") - 1
        return np.asarray(
            self.CODE_OFFSET_DB + self.CODE_STEP_DB * quiet[nonsilent[np.maximum(previous, 0)]],
            np.float64,
        )

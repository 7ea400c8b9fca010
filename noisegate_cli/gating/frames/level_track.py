"""Store the level of every frame of a recording compactly."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.noise_floor import QUIET_LEVEL_PERCENT
from noisegate_cli.samples import from_db, to_db


@dataclass
class LevelTrack:
    """Level of every frame, in order, rounded to 0.5 dB and stored in one byte.

    An hour takes 0.3 MB for each gate. Thresholds can be evaluated without reading the recording
    again.
    """

    CODE_STEP_DB = 0.5
    CODE_OFFSET_DB = -120.0
    _parts: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, levels: RmsLevels) -> None:
        """Append levels shaped (frames, gates), linear RMS."""
        codes = np.rint(
            (to_db(np.maximum(levels, 1e-12)) - self.CODE_OFFSET_DB) / self.CODE_STEP_DB
        )
        # The code 0 is reserved for digital silence.
        codes = np.where(levels > 0, np.clip(codes, 1, 255), 0)
        self._parts.append(codes.astype(np.uint8))

    def _codes(self) -> NDArray[np.uint8]:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def levels_at(self, frames: NDArray[np.int64]) -> RmsLevels:
        """Return the levels of the frames with the indices `frames`, linear RMS."""
        codes = self._codes()[frames]
        return np.where(codes, from_db(self.CODE_OFFSET_DB + codes * self.CODE_STEP_DB), 0.0)

    def peaks_over_median_db(self) -> NDArray[np.float64]:
        """Return the level of the loudest frame of each gate above the median, in dB."""
        codes = self._codes()
        counts = [np.bincount(gate[gate > 0], minlength=256) for gate in codes.T]
        medians = [np.searchsorted(np.cumsum(n), n.sum() / 2) for n in counts]
        return np.asarray((codes.max(axis=0) - np.array(medians)) * self.CODE_STEP_DB)

    def compute_quiet_levels_db(self, step_frames: int) -> NDArray[np.float64]:
        """Return the quiet level of the loudest gate in each step of `step_frames` frames, in dB.

        Digital silence is left out. A step with only silence gets the level of the previous step.
        """
        codes = self._codes().max(axis=1)
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

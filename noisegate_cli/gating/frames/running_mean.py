"""Running means of band levels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor

BandLevelsDb = NDArray[np.floating[Any]]
"""In dB, shaped (frames, bands)."""


class RunningMean(BlockProcessor[BandLevelsDb, BandLevelsDb]):
    """Running mean over an odd number of frames, at least `frames`, with the end rows repeated."""

    def __init__(self, frames: int) -> None:
        self._half_width = frames // 2
        self._rows: BandLevelsDb | None = None

    def process(self, rows: BandLevelsDb, last: bool = False) -> BandLevelsDb:
        """Return the means that `rows`, shaped (frames, …), complete; all of them if `last`."""
        half_width = self._half_width
        if not half_width:
            return rows
        if self._rows is None:
            if not len(rows):
                return rows
            parts = [rows[:1]] * half_width
        else:
            parts = [self._rows]
        parts.append(rows)
        if last:
            parts += [(rows if len(rows) else parts[0])[-1:]] * half_width
        rows = np.concatenate(parts)
        ready = max(0, len(rows) - 2 * half_width)
        self._rows = rows[ready:]
        # The fixed order of summation makes the result independent of where blocks end.
        sums = rows[:ready] + rows[1 : 1 + ready]
        for start in range(2, 2 * half_width + 1):
            sums += rows[start : start + ready]
        sums /= 2 * half_width + 1
        return sums


def compute_running_mean(rows: BandLevelsDb, frames: int) -> BandLevelsDb:
    """Compute the running mean of all rows; see `RunningMean`."""
    return RunningMean(frames).process(rows, last=True)

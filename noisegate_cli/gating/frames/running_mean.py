"""Running means of band levels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BandLevels = NDArray[np.floating[Any]]
"""In dB, shaped (frames, bands)."""


class Smoother:
    """Mean over an odd number of frames, at least as many as asked for; the ends are repeated."""

    def __init__(self, frames: int) -> None:
        self._reach = frames // 2
        self._rows: BandLevels | None = None

    def process(self, rows: BandLevels, last: bool = False) -> BandLevels:
        """Return the means that `rows`, shaped (frames, …), complete."""
        reach = self._reach
        if self._rows is None:
            if not len(rows):
                return rows
            self._rows = np.repeat(rows[:1], reach, axis=0)
        rows = np.concatenate([self._rows, rows])
        if last:
            rows = np.concatenate([rows, np.repeat(rows[-1:], reach, axis=0)])
        ready = max(0, len(rows) - 2 * reach)
        self._rows = rows[ready:]
        # Summed in one order for every frame, so that no frame depends on where blocks end.
        sums = sum((rows[i : i + ready] for i in range(2 * reach + 1)), np.zeros_like(rows[:ready]))
        return np.asarray(sums / (2 * reach + 1))


def smoothed(rows: BandLevels, frames: int) -> BandLevels:
    """Return the means of all rows, see `Smoother`."""
    return Smoother(frames).process(rows, last=True)

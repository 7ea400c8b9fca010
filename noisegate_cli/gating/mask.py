"""Levels → open or closed: threshold, hysteresis, hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.levels import from_db
from noisegate_cli.gating.settings import GateSettings

Frames = NDArray[np.int64]
Mask = NDArray[np.bool_]
"""Open or closed, shaped (frames, gates)."""

NEVER = 1 << 40
"""Frames since something that has not happened yet."""


def frames_since(flags: Mask, before: Frames) -> Frames:
    """Count, at each frame, the frames since the last True; 0 where it is True.

    Parameters
    ----------
    flags
        Shaped (frames, gates).
    before
        The count at the frame before the first, shaped (gates,): what carries one block on to
        the next.

    Examples
    --------
    >>> flags = np.array([[False], [True], [False], [False]])
    >>> frames_since(flags, before=np.array([5])).ravel()
    array([6, 0, 1, 2])
    """
    frame = np.arange(1, len(flags) + 1)[:, None]
    last = np.maximum.accumulate(np.where(flags, frame, -before), axis=0)
    return frame - last


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """What a gate did. Adding two gives those of both recordings."""

    frames: int = 0
    """Frames of all gates."""
    closed: int = 0
    """Of these, frames in which the gate was closed."""
    openings: int = 0
    """How often it opened, in all gates."""

    @property
    def closed_share(self) -> float:
        """Share of the time that the gate was closed, 0 to 1."""
        return self.closed / self.frames if self.frames else 0.0

    def __add__(self, other: "GateStatistics") -> "GateStatistics":
        return GateStatistics(
            self.frames + other.frames, self.closed + other.closed, self.openings + other.openings
        )


class HysteresisMask:
    """Opens above one level, closes at or below another, and holds.

    Between the two levels the gate stays what it was, so that a level which wavers about the
    threshold doesn't make it chatter.

    Parameters
    ----------
    open_above, close_below
        In the unit of the levels; `close_below` is not above `open_above`.
    hold
        Frames that the gate stays open after the level fell.
    gates
        How many gates there are, side by side.

    Examples
    --------
    >>> gate = HysteresisMask(open_above=0.5, close_below=0.2, hold=0)
    >>> gate.process(np.array([[0.3], [0.6], [0.3], [0.2], [0.3]])).ravel()
    array([False,  True,  True, False, False])
    """

    def __init__(self, open_above: float, close_below: float, hold: int, gates: int = 1) -> None:
        self._open_above = open_above
        self._close_below = close_below
        self._hold = hold
        self._open = np.zeros((1, gates), np.bool_)
        self._since_open = np.full(gates, NEVER)
        self.statistics = GateStatistics()

    @classmethod
    def of(
        cls, settings: GateSettings, threshold: float, sample_rate: int, gates: int = 1
    ) -> "HysteresisMask":
        """Return the mask for `settings` and a threshold in linear RMS; below 0 it is open."""
        # A threshold below 0 keeps the gate open, as no level is at or below it.
        closing = (
            threshold * float(from_db(-settings.hysteresis_db)) if threshold > 0 else threshold
        )
        return cls(threshold, closing, settings.timing(sample_rate).hold, gates)

    def process(self, levels: NDArray[np.float64]) -> Mask:
        """Return the mask of `levels`, shaped (frames, gates)."""
        opens = levels > self._open_above
        decides = opens | (levels <= self._close_below)
        # Each frame takes over from the last that decided; row 0 is the state before this block.
        frame = np.arange(1, len(levels) + 1)[:, None]
        decider = np.maximum.accumulate(np.where(decides, frame, 0), axis=0)
        is_open = np.take_along_axis(np.concatenate([self._open, opens]), decider, axis=0)
        since = frames_since(is_open, self._since_open)
        mask = since <= self._hold
        self._count(mask)
        if len(levels):
            self._open = is_open[-1:]
            self._since_open = np.minimum(since[-1], NEVER)
        return mask

    def _count(self, mask: Mask) -> None:
        states = np.concatenate([[self._since_open <= self._hold], mask])
        self.statistics += GateStatistics(
            frames=mask.size,
            closed=int(mask.size - np.count_nonzero(mask)),
            openings=int(np.count_nonzero(states[1:] & ~states[:-1])),
        )

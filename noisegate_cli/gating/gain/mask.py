"""Convert detector values to an open-or-closed mask: hysteresis, minimum run lengths, hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.timing import Timing

DetectorValues = NDArray[np.float64]
"""Values of a detector, shaped (frames, gates); the gate opens at high values."""
Mask = NDArray[np.bool_]
"""Open or closed, shaped (frames, gates)."""
FrameIndices = NDArray[np.int64]

NEVER = 1 << 40
"""Number of frames since an event that has not happened yet; larger than any real distance."""


def frames_since(flags: Mask, before: FrameIndices) -> FrameIndices:
    """Count, at each frame, the frames since the last True; 0 where it is True.

    Parameters
    ----------
    flags
        Shaped (frames, gates).
    before
        The count at the frame before the first, shaped (gates,). It carries the state from one
        block to the next.

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
    """Statistics of a gate; the sum of two describes both recordings.

    Attributes
    ----------
    frames : int
        Number of frames, summed over all gates.
    closed : int
        Number of frames in which the gate was closed, summed over all gates.
    openings : int
        Number of times that a gate opened, summed over all gates.
    """

    frames: int = 0
    closed: int = 0
    openings: int = 0

    @property
    def closed_share(self) -> float:
        """Share of the frames in which the gate was closed, 0 to 1."""
        return self.closed / self.frames if self.frames else 0.0

    def __add__(self, other: "GateStatistics") -> "GateStatistics":
        return GateStatistics(
            self.frames + other.frames, self.closed + other.closed, self.openings + other.openings
        )


class Hysteresis(BlockProcessor[DetectorValues, Mask]):
    """Open above one value, and close at or below another.

    Between the two values the gate keeps its state, so that it does not chatter when the level
    fluctuates around the threshold. It starts closed.

    Examples
    --------
    >>> gate = Hysteresis(open_above=0.5, close_below=0.2)
    >>> gate.process(np.array([[0.3], [0.6], [0.3], [0.2], [0.3]])).ravel()
    array([False,  True,  True, False, False])
    """

    def __init__(self, open_above: float, close_below: float, gates: int = 1) -> None:
        self._open_above = open_above
        self._close_below = close_below
        self._open = np.zeros((1, gates), np.bool_)

    def process(self, values: DetectorValues, last: bool = False) -> Mask:  # noqa: ARG002
        """Return the mask of `values`, shaped (frames, gates), without delay."""
        opens = values > self._open_above
        decides = opens | (values <= self._close_below)
        # Each frame has the state of the last deciding frame; row 0 is the state before the block.
        frame = np.arange(1, len(values) + 1)[:, None]
        decider = np.maximum.accumulate(np.where(decides, frame, 0), axis=0)
        mask: Mask = np.concatenate([self._open, opens])[decider, np.arange(values.shape[1])]
        if len(mask):
            self._open = mask[-1:]
        return mask


class MinRunLength(BlockProcessor[Mask, Mask]):
    """Invert runs that are too short: short openings, or short closings.

    A run at either end of the recording is never too short, because the sound may continue
    outside it. The output lags behind the input by up to `frames` − 1 frames.

    Parameters
    ----------
    value
        Which runs are checked: True for openings, False for closings.
    frames
        Minimum length of a run that is not inverted.
    gates
        Number of gates.

    Examples
    --------
    >>> mask = np.array([[False], [True], [False], [True], [True], [False]])
    >>> MinRunLength(True, 2).process(mask, last=True).ravel()
    array([False, False, False,  True,  True, False])
    """

    def __init__(self, value: bool, frames: int, gates: int = 1) -> None:
        self._value = value
        self._frames = frames
        self._mask = np.zeros((0, gates), np.bool_)
        self._since = [NEVER] * gates

    def process(self, mask: Mask, last: bool = False) -> Mask:
        """Return the frames of the mask that are final, shaped (frames, gates)."""
        mask = np.concatenate([self._mask, mask])
        if not len(mask):
            return mask
        corrected, pending = np.empty_like(mask), 0
        for gate, since in enumerate(self._since):
            corrected[:, gate], undecided = self._correct(mask[:, gate], since)
            pending = max(pending, undecided)
        ready = len(mask) - (0 if last else pending)
        self._mask = mask[ready:]
        self._since = [
            self._count_since(mask[:ready, gate], since) for gate, since in enumerate(self._since)
        ]
        return corrected[:ready]

    def _correct(self, flags: NDArray[np.bool_], since: int) -> tuple[NDArray[np.bool_], int]:
        """Return the flags of one gate without short runs, and how many may belong to one.

        `since` is the number of frames before the flags that belong to their first run. Few numbers
        describe the runs, so that this takes half as long as counting the frames since each end.
        """
        (changes,) = (flags[1:] != flags[:-1]).nonzero()
        edges = np.zeros(len(changes) + 2, np.int64)
        edges[1:-1], edges[-1] = changes + 1, len(flags)
        lengths = edges[1:] - edges[:-1]
        is_checked = np.zeros(len(lengths), np.bool_)
        is_checked[0 if flags[0] == self._value else 1 :: 2] = True
        is_short = is_checked & (lengths < self._frames)
        if is_checked[0]:
            is_short[0] = since + lengths[0] < self._frames
        # A run that reaches the end of the block or of the recording counts as unfinished.
        undecided = int(lengths[-1]) if is_short[-1] else 0
        is_short[-1] = False
        return ((is_checked == self._value) ^ is_short).repeat(lengths), undecided

    def _count_since(self, flags: NDArray[np.bool_], since: int) -> int:
        """Return the number of frames after the last one that belongs to no checked run."""
        if not len(flags):
            return since
        ends = flags[::-1] != self._value
        nearest = int(ends.argmax())
        return nearest if ends[nearest] else min(since + len(ends), NEVER)


class GateMask(BlockProcessor[DetectorValues, Mask]):
    """Apply hysteresis, then the minimum closing, the minimum opening and the hold.

    Parameters
    ----------
    open_above, close_below
        Detector values; `close_below` must not exceed `open_above`.
    timing
        Timing of the gate. Only `min_closed`, `min_open` and `hold` are used here.
    gates
        Number of parallel gates.
    """

    def __init__(
        self, open_above: float, close_below: float, timing: Timing, gates: int = 1
    ) -> None:
        self._hysteresis = Hysteresis(open_above, close_below, gates)
        # Closings first, so that a word is not lost if its syllables are shorter than `min_open`.
        self._closings = MinRunLength(False, timing.min_closed, gates)
        self._openings = MinRunLength(True, timing.min_open, gates)
        self._hold = timing.hold
        self._since_open = np.full(gates, NEVER)

    def process(self, values: DetectorValues, last: bool = False) -> Mask:
        """Return the frames of the mask that `values`, shaped (frames, gates), complete."""
        mask = self._closings.process(self._hysteresis.process(values, last), last)
        mask = self._openings.process(mask, last)
        since = frames_since(mask, self._since_open)
        if len(mask):
            self._since_open = np.minimum(since[-1], NEVER)
        return since <= self._hold

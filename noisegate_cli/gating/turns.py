"""Alternate between two versions of a recording, to compare them by ear."""

import numpy as np

from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.samples import Samples

TURN_S = 4.0
"""Length of a turn: long enough for a phrase, and short enough to remember how it sounded."""


class Turns(PairedBlockProcessor[Samples, Samples, Samples]):
    """Play each passage of a recording before and after a change.

    The samples are not changed, and there are no crossfades.

    Parameters
    ----------
    length
        Length of a turn in samples.

    Examples
    --------
    >>> before, after = np.array([[1], [2], [3]]), np.array([[-1], [-2], [-3]])
    >>> Turns(2).process(before, after, last=True).ravel()
    array([ 1,  2, -1, -2,  3, -3])
    """

    def __init__(self, length: int) -> None:
        self._length = max(1, length)
        self._pending: list[Samples] | None = None

    def process(self, before: Samples, after: Samples, last: bool = False) -> Samples:
        """Return the turns that are complete; both versions are shaped (samples, channels)."""
        pairs = [before, after]
        if self._pending is not None:
            pairs = [np.concatenate(parts) for parts in zip(self._pending, pairs, strict=True)]
        shared = min(map(len, pairs))
        end = shared if last else shared - shared % self._length
        starts = range(0, end, self._length)
        turns = [part[i : min(i + self._length, end)] for i in starts for part in pairs]
        self._pending = [part[end:].copy() for part in pairs]
        return np.concatenate([before[:0], *turns])

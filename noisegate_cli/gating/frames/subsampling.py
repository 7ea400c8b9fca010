"""Which frames of a recording it is judged by.

Of a long one, batches of them that are evenly spread. And of these every second is heard: by
default they overlap by half, and what is said of one between two is their mean.
"""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import Powers
from noisegate_cli.gating.frames.framing import batch_frames

HEARD_EVERY = 2
"""The frames whose number is a multiple of that are heard."""

KEPT_FRAMES = 16384
"""Frames that are remembered for learning at the most: two to six minutes, in 3 MB."""


def stride(count: int, most: int) -> int:
    """Return which power of two has no more than `most` multiples among the first numbers."""
    return 1 << max(0, math.ceil(math.log2(count / most))) if count else 1


def most_batches(hop_length: int, gates: int) -> int:
    """Return how many batches are kept at the most."""
    return max(8, KEPT_FRAMES // batch_frames(HEARD_EVERY * hop_length) // gates)


def kept_frames(frames: int, hop_length: int, gates: int) -> NDArray[np.int64]:
    """Return the numbers of the frames that a recording of so many is judged by."""
    span = HEARD_EVERY * batch_frames(HEARD_EVERY * hop_length)
    every = stride(-(-frames // span), most_batches(hop_length, gates))
    return np.flatnonzero(np.arange(frames) // span % every == 0)


class EvenlyKept:
    """Keeps what was heard in batches, evenly spread, and no more than `most_batches`.

    When there are too many it forgets every other, and from then on skips as many.

    Parameters
    ----------
    hop_length
        Of all frames, in samples.
    gates
        See `kept_frames`.
    samples
        How many there will be, if that is known: what is forgotten later need not be made.
    """

    def __init__(self, hop_length: int, gates: int, samples: int = 0) -> None:
        size = batch_frames(HEARD_EVERY * hop_length)
        self._span = HEARD_EVERY * size
        self._most = most_batches(hop_length, gates)
        self._expected = samples // (self._span * hop_length)
        self._kept: dict[int, Powers] = {}
        self.most_heard = size * (min(self._most, self._expected + 1) if samples else self._most)
        """That are heard in the batches that will be kept, at the most."""

    def wants(self, index: int) -> bool:
        """Return whether batch `index`, the next one, is to be kept."""
        return index % self._stride(index) == 0

    def keep(self, index: int, powers: Powers) -> None:
        """Keep what was heard in a batch that is wanted."""
        every = self._stride(index)
        self._kept = {i: p for i, p in self._kept.items() if i % every == 0}
        self._kept[index] = powers

    def _stride(self, index: int) -> int:
        return stride(max(index + 1, self._expected), self._most)

    def frames(self, count: int) -> NDArray[np.int64]:
        """Return the numbers of the frames under all batches that are kept, heard or not.

        Parameters
        ----------
        count
            Of the frames of the whole recording.
        """
        starts = [self._span * i for i in self._kept]
        return np.concatenate([np.arange(s, min(s + self._span, count)) for s in starts])

    def numbers(self, every: int = 1) -> NDArray[np.int64]:
        """Return the numbers of the frames that were heard: of a batch each `every`-th."""
        step = HEARD_EVERY * every
        heard = self._kept.items()
        return np.concatenate([self._span * i + step * np.arange(len(p)) for i, p in heard])

    def values(self) -> NDArray[np.float32]:
        """Return all that is kept."""
        return np.concatenate(list(self._kept.values()))

    def get(self, index: int) -> Powers | None:
        """Return what is kept of batch `index`, None if nothing is."""
        return self._kept.get(index)

"""Which frames of a long recording it is judged by: batches of them, evenly spread."""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.bands import Powers, batch_frames

KEPT_FRAMES = 32768
"""Frames that are remembered for learning at the most: two to six minutes, in 6 MB."""


def stride(batches: int, most: int) -> int:
    """Return which of so many batches are kept: each that its number is a multiple of."""
    return 1 << max(0, math.ceil(math.log2(batches / most))) if batches else 1


def most_batches(hop_length: int, gates: int) -> int:
    """Return how many batches are kept at the most."""
    return max(8, KEPT_FRAMES // batch_frames(hop_length) // gates)


def kept_frames(frames: int, hop_length: int, gates: int) -> NDArray[np.int64]:
    """Return the numbers of the frames that a recording of so many is judged by."""
    size = batch_frames(hop_length)
    every = stride(-(-frames // size), most_batches(hop_length, gates))
    return np.flatnonzero(np.arange(frames) // size % every == 0)


class EvenlyKept:
    """Keeps what was made of batches, evenly spread, and no more than `most_batches`.

    When there are too many it forgets every other, and from then on skips as many.

    Parameters
    ----------
    hop_length, gates
        See `kept_frames`.
    samples
        How many there will be, if that is known: what is forgotten later need not be made.
    """

    def __init__(self, hop_length: int, gates: int, samples: int = 0) -> None:
        self.size = batch_frames(hop_length)
        """Frames of a batch."""
        self._most = most_batches(hop_length, gates)
        self._expected = samples // (self.size * hop_length)
        self._kept: dict[int, Powers] = {}
        self.most_frames = self.size * (
            min(self._most, self._expected + 1) if samples else self._most
        )
        """Of the batches that will be kept, at the most."""

    def wants(self, index: int) -> bool:
        """Return whether batch `index`, the next one, is to be kept."""
        return index % self._stride(index) == 0

    def keep(self, index: int, powers: Powers) -> None:
        """Keep what was made of a batch that is wanted."""
        every = self._stride(index)
        self._kept = {i: p for i, p in self._kept.items() if i % every == 0}
        self._kept[index] = powers

    def _stride(self, index: int) -> int:
        return stride(max(index + 1, self._expected), self._most)

    def numbers(self, every: int = 1) -> NDArray[np.int64]:
        """Return the numbers of the frames that are kept: of a batch each `every`-th."""
        return np.concatenate(
            [self.size * i + every * np.arange(len(p)) for i, p in self._kept.items()]
        )

    def values(self) -> list[Powers]:
        """Return what is kept."""
        return list(self._kept.values())

    def get(self, index: int) -> Powers | None:
        """Return what is kept of batch `index`, None if nothing is."""
        return self._kept.get(index)

"""Which frames of a recording it is judged by.

Of a long one, batches of them that are evenly spread. And of these every second is heard: by
default they overlap by half, and what is said of one between two is their mean.
"""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.framing import frames_per_batch

SUBSAMPLE_STRIDE_FRAMES = 2
"""The frames whose number is a multiple of that are heard."""

MAX_SUBSAMPLE_FRAMES = 16384
"""Frames that are remembered for learning at the most: two to six minutes, in 3 MB."""


def power_of_two_stride(count: int, max_count: int) -> int:
    """Return which power of two has no more than `max_count` multiples among the first numbers."""
    return 1 << max(0, math.ceil(math.log2(count / max_count))) if count else 1


def max_subsample_batches(hop_length: int, gates: int) -> int:
    """Return how many batches are kept at the most."""
    return max(
        8, MAX_SUBSAMPLE_FRAMES // frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * hop_length) // gates
    )


def subsample_frame_indices(frames: int, hop_length: int, gates: int) -> NDArray[np.int64]:
    """Return the numbers of the frames that a recording of so many is judged by."""
    span = SUBSAMPLE_STRIDE_FRAMES * frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * hop_length)
    every = power_of_two_stride(-(-frames // span), max_subsample_batches(hop_length, gates))
    return np.flatnonzero(np.arange(frames) // span % every == 0)


class BatchSubsampler:
    """Keeps what was heard in batches, evenly spread, and no more than `max_subsample_batches`.

    When there are too many it forgets every other, and from then on skips as many.

    Parameters
    ----------
    hop_length
        Of all frames, in samples.
    gates
        See `subsample_frame_indices`.
    samples
        How many there will be, if that is known: what is forgotten later need not be made.
    """

    def __init__(self, hop_length: int, gates: int, samples: int = 0) -> None:
        size = frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * hop_length)
        self._batch_span_frames = SUBSAMPLE_STRIDE_FRAMES * size
        self._max_batches = max_subsample_batches(hop_length, gates)
        self._expected_batches = samples // (self._batch_span_frames * hop_length)
        self._stored_batches: dict[int, BandPowerArray] = {}
        self.max_stored_frames = size * (
            min(self._max_batches, self._expected_batches + 1) if samples else self._max_batches
        )
        """That are heard in the batches that will be kept, at the most."""

    def should_store(self, index: int) -> bool:
        """Return whether batch `index`, the next one, is to be kept."""
        return index % self._batch_stride(index) == 0

    def store(self, index: int, powers: BandPowerArray) -> None:
        """Keep what was heard in a batch that is wanted."""
        every = self._batch_stride(index)
        self._stored_batches = {i: p for i, p in self._stored_batches.items() if i % every == 0}
        self._stored_batches[index] = powers

    def _batch_stride(self, index: int) -> int:
        return power_of_two_stride(max(index + 1, self._expected_batches), self._max_batches)

    def covered_frame_indices(self, count: int) -> NDArray[np.int64]:
        """Return the numbers of the frames under all batches that are kept, heard or not.

        Parameters
        ----------
        count
            Of the frames of the whole recording.
        """
        starts = [self._batch_span_frames * i for i in self._stored_batches]
        return np.concatenate(
            [np.arange(s, min(s + self._batch_span_frames, count)) for s in starts]
        )

    def stored_frame_indices(self, every: int = 1) -> NDArray[np.int64]:
        """Return the numbers of the frames that were heard: of a batch each `every`-th."""
        step = SUBSAMPLE_STRIDE_FRAMES * every
        heard = self._stored_batches.items()
        return np.concatenate(
            [self._batch_span_frames * i + step * np.arange(len(p)) for i, p in heard]
        )

    def stored_powers(self) -> NDArray[np.float32]:
        """Return all that is kept."""
        return np.concatenate(list(self._stored_batches.values()))

    def get(self, index: int) -> BandPowerArray | None:
        """Return what is kept of batch `index`, None if nothing is."""
        return self._stored_batches.get(index)

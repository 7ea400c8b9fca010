"""Select the frames of a recording that are analyzed.

From a long recording, evenly spaced batches of frames are selected. Only every second frame of a
batch is measured: by default these frames overlap by half, and the value of a frame between two
measured ones is their mean.
"""

import math
from collections.abc import ItemsView, Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.framing import frames_per_batch

SUBSAMPLE_STRIDE_FRAMES = 2
"""Only frames whose index is a multiple of this stride are measured."""

MAX_SUBSAMPLE_FRAMES = 16384
"""Maximum number of frames that are stored for learning: two to six minutes, in 3 MB."""


def power_of_two_stride(count: int, max_count: int) -> int:
    """Return the smallest power of two with at most `max_count` multiples below `count`."""
    return 1 << max(0, math.ceil(math.log2(count / max_count))) if count else 1


def max_subsample_batches(hop_length: int, gates: int) -> int:
    """Return the maximum number of batches that are stored."""
    return max(
        8, MAX_SUBSAMPLE_FRAMES // frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * hop_length) // gates
    )


def subsample_frame_indices(frames: int, hop_length: int, gates: int) -> NDArray[np.int64]:
    """Return the indices of the selected frames of a recording with `frames` frames."""
    span = SUBSAMPLE_STRIDE_FRAMES * frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * hop_length)
    stride = power_of_two_stride(-(-frames // span), max_subsample_batches(hop_length, gates))
    starts = range(0, max(frames, 1), span * stride)
    return np.concatenate([np.arange(start, min(start + span, frames)) for start in starts])


class BatchSubsampler:
    """Store the powers of evenly spaced batches, at most `max_subsample_batches` of them.

    When there are too many, every second stored batch is discarded and the stride doubles.

    Parameters
    ----------
    hop_length
        Hop of the frames, in samples.
    gates
        Number of gates; more gates leave room for fewer batches.
    samples
        Expected length of the recording in samples; 0 if unknown. It avoids computing batches that
        would be discarded later.
    """

    def __init__(self, hop_length: int, gates: int, samples: int = 0) -> None:
        size = frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * hop_length)
        self._batch_span_frames = SUBSAMPLE_STRIDE_FRAMES * size
        self._max_batches = max_subsample_batches(hop_length, gates)
        self._expected_batches = samples // (self._batch_span_frames * hop_length)
        self._stored_batches: dict[int, BandPowerArray] = {}
        self._scores: tuple[object, NDArray[np.float64]] | None = None
        self.max_stored_frames = size * (
            min(self._max_batches, self._expected_batches + 1) if samples else self._max_batches
        )
        """Maximum number of measured frames in the stored batches."""

    def should_store(self, index: int) -> bool:
        """Return whether batch `index`, the next one, should be stored."""
        return index % self._batch_stride(index) == 0

    def store(self, index: int, powers: BandPowerArray) -> None:
        """Store the powers of a batch for which `should_store` is true."""
        stride = self._batch_stride(index)
        self._stored_batches = {i: p for i, p in self._stored_batches.items() if i % stride == 0}
        self._stored_batches[index] = powers

    def _batch_stride(self, index: int) -> int:
        return power_of_two_stride(max(index + 1, self._expected_batches), self._max_batches)

    def covered_frame_indices(self, count: int) -> NDArray[np.int64]:
        """Return the indices of all frames that the stored batches span, measured or not.

        Parameters
        ----------
        count
            Number of frames of the whole recording.
        """
        starts = [self._batch_span_frames * i for i in self._stored_batches]
        return np.concatenate(
            [np.arange(s, min(s + self._batch_span_frames, count)) for s in starts]
        )

    def stored_frame_indices(self, stride: int = 1) -> NDArray[np.int64]:
        """Return the indices of the stored frames, `stride` measured frames apart in a batch."""
        distance = SUBSAMPLE_STRIDE_FRAMES * stride
        return np.concatenate(
            [
                self._batch_span_frames * index + distance * np.arange(len(powers))
                for index, powers in self._stored_batches.items()
            ]
        )

    def stored_powers(self) -> NDArray[np.float32]:
        """Return the powers of all stored batches, concatenated along the frames."""
        return np.concatenate(list(self._stored_batches.values()))

    def items(self) -> ItemsView[int, BandPowerArray]:
        """Return the indices and the powers of the stored batches, in order."""
        return self._stored_batches.items()

    def store_scores(self, models: object, scores: NDArray[np.float64]) -> None:
        """Store the scores of all frames of a recording, which `models` gave the stored batches."""
        self._scores = models, scores

    def recall_scores(
        self, models: object, batches: Sequence[BandPowerArray]
    ) -> NDArray[np.float64] | None:
        """Return the stored scores, if they are those that `models` give all of `batches`."""
        if self._scores is None or self._scores[0] is not models:
            return None
        are_same = [*map(id, batches)] == [*map(id, self._stored_batches.values())]
        return self._scores[1] if are_same else None

    def get(self, index: int) -> BandPowerArray | None:
        """Return the powers of batch `index`, or None if it is not stored."""
        return self._stored_batches.get(index)

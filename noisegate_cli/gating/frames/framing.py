"""Cut blocks of samples into batches of overlapping frames."""

from collections.abc import Iterator

import numpy as np

from noisegate_cli.samples import Samples

MAX_BATCH_FRAMES, MAX_BATCH_SAMPLES = 128, 1 << 18
"""Maximum number of frames in a batch, and of samples that they span: they bound the memory."""


def frames_per_batch(hop_length: int) -> int:
    """Return the number of frames in a batch: a power of two, smaller for long hops."""
    return 1 << (max(8, min(MAX_BATCH_FRAMES, MAX_BATCH_SAMPLES // hop_length)).bit_length() - 1)


class FrameBatcher:
    """Cut blocks of samples into spans that contain one batch of frames each.

    The batches do not depend on where the blocks end.

    Parameters
    ----------
    frame_length, hop_length
        In samples, as in `FrameRmsMeter`.
    margin
        Samples that a span extends beyond its last frame.
    frames
        Number of frames in a batch; `frames_per_batch(hop_length)` by default.
    """

    def __init__(
        self, frame_length: int, hop_length: int, margin: int = 0, frames: int | None = None
    ) -> None:
        self._length, self._hop, self._margin = frame_length, hop_length, margin
        self.frames = frames or frames_per_batch(hop_length)
        """Number of frames in every batch but the last."""
        self._index = 0
        self._received = 0
        self._rest: Samples | None = None

    def process(self, block: Samples, last: bool = False) -> Iterator[tuple[int, int, Samples]]:
        """Yield the index, the number of frames and the samples of each batch that is complete."""
        if self._rest is None:
            self._rest = np.zeros((self._length // 2, block.shape[1]), block.dtype)
        # `rest` precedes the block. Most batches lie within the block and need no copy.
        rest, frames, at = self._rest, self.frames, 0
        length = len(rest) + len(block)
        self._received += len(block)
        while True:
            if last:
                left = self._received // self._hop + 1 - self._index * self.frames
                frames = min(self.frames, left)
            end = at + (frames - 1) * self._hop + self._length + self._margin
            if frames < 1 or (length < end and not last):
                break
            samples = _slice_concatenated(rest, block, at, end)
            if len(samples) < end - at:
                padding = np.zeros((end - at - len(samples), block.shape[1]), block.dtype)
                samples = np.concatenate([samples, padding])
            yield self._index, frames, samples
            self._index += 1
            at += self.frames * self._hop
        self._rest = _slice_concatenated(rest, block, at, length).copy()


def _slice_concatenated(rest: Samples, block: Samples, start: int, end: int) -> Samples:
    """Return samples `start` to `end` of the concatenation of `rest` and `block`."""
    before = len(rest)
    if start >= before:
        return block[start - before : end - before]
    return np.concatenate([rest[start:], block[: max(0, end - before)]])

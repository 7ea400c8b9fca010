"""Cut blocks of samples into batches of overlapping frames."""

from collections.abc import Iterator

import numpy as np

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.samples import Samples

FrameBatch = tuple[int, int, Samples]
"""Index of a batch, number of its frames, and the samples that they span."""

MAX_BATCH_FRAMES, MAX_BATCH_SAMPLES = 128, 1 << 18
"""Maximum number of frames in a batch, and of samples that they span: they bound the memory."""


def frames_per_batch(hop_length: int) -> int:
    """Return the number of frames in a batch: a power of two, smaller for long hops."""
    return 1 << (max(8, min(MAX_BATCH_FRAMES, MAX_BATCH_SAMPLES // hop_length)).bit_length() - 1)


class FrameBatcher(BlockProcessor[Samples, Iterator[FrameBatch]]):
    """Cut blocks of samples into spans that contain one batch of frames each.

    Parameters
    ----------
    frame_length, hop_length
        In samples, as in `FrameRmsMeter`.
    margin
        Samples that a span extends beyond its last frame.
    frames
        Number of frames in a batch; `frames_per_batch(hop_length)` by default.
    center
        Whether frame k is centered on sample k·hop, with zeros before the first sample and after
        the last one, as in `librosa.stft`. Otherwise frame k begins at sample k·hop, and the last
        frame ends within the stream.
    """

    def __init__(
        self,
        frame_length: int,
        hop_length: int,
        margin: int = 0,
        frames: int | None = None,
        center: bool = True,
        mirrors: bool = False,
    ) -> None:
        self._length, self._hop, self._margin = frame_length, hop_length, margin
        self.frames = frames or frames_per_batch(hop_length)
        """Number of frames in every batch except for the last one."""
        self._padding = frame_length // 2 if center else 0
        self._mirrors = mirrors
        self._index = 0
        self._received = 0
        self._beginning: Samples | None = None
        self._unframed: Samples | None = None

    def process(self, block: Samples, last: bool = False) -> Iterator[FrameBatch]:
        """Yield the batches that `block`, shaped (samples, channels), completes."""
        self._received += len(block)
        if self._unframed is None:
            if self._beginning is not None:
                block = np.concatenate([self._beginning, block])
            if self._mirrors and len(block) < self._padding and not last:
                self._beginning = block.copy()
                return
            self._beginning = None
            self._unframed = self._extend(block[: self._padding][::-1], self._padding)[::-1]
        # `unframed` precedes the block. Most batches lie within the block and need no copy.
        unframed, frames, start = self._unframed, self.frames, 0
        length = len(unframed) + len(block)
        while True:
            if last:
                frames = min(self.frames, self._count_frames() - self._index * self.frames)
            end = start + (frames - 1) * self._hop + self._length + self._margin
            if frames < 1 or (length < end and not last):
                break
            samples = _slice_concatenated(unframed, block, start, end)
            if len(samples) < end - start:
                missing = end - start - len(samples)
                samples = np.concatenate([samples, self._extend(samples, missing)])
            yield self._index, frames, samples
            self._index += 1
            start += self.frames * self._hop
        self._unframed = _slice_concatenated(unframed, block, start, length).copy()

    def _extend(self, samples: Samples, length: int) -> Samples:
        """Return `length` samples that follow the last of `samples`, beyond the recording."""
        extension = np.zeros((length, samples.shape[1]), samples.dtype)
        if self._mirrors:
            mirrored = samples[::-1][:length]
            extension[: len(mirrored)] = mirrored
        return extension

    def _count_frames(self) -> int:
        """Return the number of frames of all samples so far."""
        return max(0, (self._received + 2 * self._padding - self._length) // self._hop + 1)


def _slice_concatenated(first: Samples, second: Samples, start: int, end: int) -> Samples:
    """Return samples `start` to `end` of the concatenation of two arrays."""
    first_length = len(first)
    if start >= first_length:
        return second[start - first_length : end - first_length]
    return np.concatenate([first[start:], second[: max(0, end - first_length)]])

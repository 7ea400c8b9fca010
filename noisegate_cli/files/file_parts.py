"""Read files that consist of several recordings joined end to end, one after the other."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from noisegate_cli.errors import AudioError, DamageError
from noisegate_cli.files.chapters import Chapter
from noisegate_cli.files.holes import Hole
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.protocols import Decoder, ResumingDecoder
from noisegate_cli.samples import Samples


class FilePart(NamedTuple):
    """Byte range of a file that holds one recording."""

    start: int
    end: int
    demuxer: str
    """FFmpeg's name of the format."""
    declared_end: int | None = None
    """Position after the recording as it declares it; None if it doesn't."""

    @property
    def declares_length(self) -> bool:
        """Whether the declared length is that of the whole part.

        The tolerance of 1/16 allows for tags after MP3 frames; FFmpeg uses the same one.
        """
        if self.declared_end is None:
            return False
        return self.end - self.declared_end <= (self.declared_end - self.start) // 16


class UnnamedFile:
    """An open file that hides its name, so that FFmpeg can't guess the format from it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek to an offset; return -1 if it is invalid, as offsets in a damaged index can be."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


class PartOfFile:
    """A part of an open file, which looks like a whole file to libraries."""

    def __init__(self, file: io.BufferedReader, part: FilePart) -> None:
        self._file = file
        self._start, self._size = part.start, part.end - part.start
        file.seek(self._start)

    def read(self, length: int) -> bytes:
        """Read up to `length` bytes, but not beyond the end of the part."""
        return self._file.read(max(0, min(length, self._size - self.tell())))

    def tell(self) -> int:
        """Return the position in the part."""
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek to an offset; return -1 if it is invalid."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        if not 0 <= origin + offset <= self._size:
            return -1
        return self._file.seek(self._start + origin + offset) - self._start


class JoinedDecoder:
    """A file of several recordings, open for reading.

    Parameters
    ----------
    parts
        Parts of the file.
    open_part
        Function that opens a part.
    tolerance_samples
        Number of samples that may be missing from each part without a warning.
    open_rest
        Function that opens a part, which is damaged, with another decoder; it may return None.

    Raises
    ------
    AudioError
        If no part contains audio that can be decoded. The message contains no path.
    """

    chapters: tuple[Chapter, ...] = ()  # They are in the tags.

    def __init__(
        self,
        parts: Sequence[FilePart],
        open_part: Callable[[FilePart], Decoder],
        tolerance_samples: int = 0,
        open_rest: Callable[[FilePart], ResumingDecoder | None] = lambda _: None,
    ) -> None:
        self._open_part, self._open_rest = open_part, open_rest
        self._decoder, self._parts = self._open_first_part(parts)
        self.tolerance_samples = tolerance_samples * len(self._parts)
        self.damaged = 0
        """Number of errors while decoding."""
        self.holes: list[Hole] = []
        """Holes that are filled with silence; see `Decoder.holes`."""
        duration = self._decoder.info.duration
        for part in self._parts[1:]:
            with suppress(AudioError), closing(open_part(part)) as decoder:
                duration += decoder.info.duration
        samples = round(duration * self._decoder.info.sample_rate)
        self.info = replace(self._decoder.info, samples=samples)
        is_declared = all(part.declares_length for part in self._parts)
        self.declared_length = float(samples if is_declared else 0)
        """Expected number of samples; 0 if it is unknown."""

    def _open_first_part(self, parts: Sequence[FilePart]) -> tuple[Decoder, Sequence[FilePart]]:
        """Open the first part that can be decoded; return it, and the parts from it on."""
        errors = []
        for index, part in enumerate(parts):
            try:
                return self._open_part(part), parts[index:]
            except AudioError as error:  # other bytes before the first recording
                errors.append(error)
        raise errors[0]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the first part."""
        return self._decoder.tags

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of about `length` samples; see `AudioReader.blocks`."""
        expected = self.info.channels, self.info.sample_rate
        position = 0
        for index, part in enumerate(self._parts):
            if index:
                self._decoder.close()
                try:
                    self._decoder = self._open_part(part)
                except AudioError:
                    self.damaged += 1
                    continue
            info = self._decoder.info
            if (info.channels, info.sample_rate) != expected:
                self.damaged += 1
                continue
            start = position
            try:
                for block, _ in self._decoder.blocks(length):
                    position += len(block)
                    yield block, False
            except DamageError:
                self.damaged += 1
                for block in self._blocks_of_rest(part, start, position, length):
                    position += len(block)
                    yield block, False
            self.damaged += self._decoder.damaged
            self._note_holes(self._decoder.holes, start)
        yield np.zeros((0, self.info.channels), self.info.dtype), True

    def _blocks_of_rest(
        self, part: FilePart, start: int, position: int, length: int
    ) -> Iterator[Samples]:
        """Yield the samples of a damaged part, which begins at sample `start`, from a position."""
        rest = self._open_rest(part)
        if rest is not None:
            with rest:
                for block, _ in rest.blocks_from(position - start, length):
                    yield convert_to_subtype(block, self.info.subtype)[0]
                self._note_holes(rest.holes, start)

    def _note_holes(self, holes: list[Hole], start: int) -> None:
        self.holes += [Hole(start + hole.start, hole.length) for hole in holes]

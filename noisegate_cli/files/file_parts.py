"""Parts of files, and the file objects through which libraries read a file or a part of it."""

import io
from typing import NamedTuple


class FilePart(NamedTuple):
    """Byte range of a file that holds one recording."""

    start: int
    end: int
    demuxer: str
    """FFmpeg's name of the format; empty if only libsndfile reads it."""
    declared_end: int | None = None
    """Position after the recording as it declares it; None if it does not."""

    @property
    def declares_length(self) -> bool:
        """Whether the declared length is the length of the whole part.

        The tolerance of 1/16 allows for tags after MP3 frames; FFmpeg uses the same one.
        """
        if self.declared_end is None:
            return False
        return self.end - self.declared_end <= (self.declared_end - self.start) // 16


class UnnamedFile:
    """An open file that hides its name, so that FFmpeg cannot guess the format from it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek to an offset; return -1 if it is invalid, as offsets in a damaged index can be."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


class SequentialFile:
    """An open file that FFmpeg reads from the beginning to the end, without an index.

    The index of an AVI file can be damaged; FFmpeg would skip what it does not list.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self.read, self.tell = file.read, file.tell


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

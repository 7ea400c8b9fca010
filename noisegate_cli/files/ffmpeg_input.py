"""Open files as FFmpeg reads them through PyAV: without a name, whole or in part."""

import io

from noisegate_cli.files.mpeg import FilePart


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
    """A part of an open file, which looks like a whole file to FFmpeg."""

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

"""A new file for encoders in C libraries, which ignore some errors of the system while writing."""

import errno
import os
from pathlib import Path

BUFFER_BYTES = 1 << 18


class OutputFile:
    """A new file that keeps the first error instead of raising it; `close` raises it.

    libsndfile and FFmpeg call the methods. An exception would be printed and then lost, and some
    encoders ignore a short write, so that the output would lack its end. After an error, the
    methods do nothing and pretend that they succeed, so that the encoder ends as usual.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=BUFFER_BYTES)
        self._error: OSError | None = None

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def write(self, octets: bytes) -> int:
        """Write bytes at the current position."""
        if self._error is None:
            try:
                self._file.write(octets)
            except OSError as error:
                self._error = error
        return len(octets)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another position and return it; 0 after an error."""
        if self._error is None:
            try:
                return self._file.seek(offset, whence)
            except OSError as error:
                self._error = error
        return 0

    def tell(self) -> int:
        """Return the current position; 0 after an error."""
        return 0 if self._error else self._file.tell()

    def check(self) -> None:
        """Raise the error of an earlier call, if there was one.

        Raises
        ------
        OSError
            If the system has refused to write.
        """
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close the file; raise the error of this call or of an earlier one, see `check`."""
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error
        self.check()

    def discard(self) -> None:
        """Ignore everything that is written from now on, because the output is abandoned."""
        self._error = self._error or OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))

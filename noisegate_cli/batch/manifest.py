"""Manifest of a batch, a file in the output tree.

The manifest, `ngate-manifest.jsonl`, receives two lines of JSON for each recording: a short one
with the status `started` before its output is written, and one with the result. The last result of
an output is valid. After a crash, an output whose last line is `started` may be incomplete, and is
written again. If a started output is not changed, a short line with the status `skipped` follows.

A batch locks the manifest while it runs, so that only one batch writes to an output tree. The lock
ends with the process, even after a crash. A batch that holds the lock therefore knows that a
started output belongs to a batch that no longer runs.

The manifest must be a regular file. `manifest_line` checks its lines, which may be damaged.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from noisegate_cli.batch.manifest_line import encode_result, parse_line
from noisegate_cli.batch.records import RecordingResult
from noisegate_cli.errors import OutputError
from noisegate_cli.files.outputs.partial_files import sync_folders
from noisegate_cli.text import quote_path

MANIFEST_NAME = "ngate-manifest.jsonl"

MAX_LINE_BYTES = 1 << 18
"""Maximum length of a line of the manifest; the longest names and messages need less."""

LOCK_OFFSET_BYTES = (1 << 31) - 2
"""Offset of the byte that is locked on Windows: beyond the data, as locked bytes are unreadable."""

_OPEN_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(
    os, "O_NONBLOCK", 0
)  # fmt: skip
"""No link is followed, and opening a pipe does not wait for its other end."""


def read_results(folder: Path) -> Iterator[RecordingResult | None]:
    """Yield the lines of the manifest in `folder`, oldest first; none if there is no manifest.

    See `parse_line` for a line that cannot be read. An incomplete last line is ignored: a crash has
    left it, or a batch that still runs is writing it.

    Raises
    ------
    OutputError
        If the manifest cannot be read.
    """
    path = folder / MANIFEST_NAME
    try:
        number = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _make_open_error(path, "read", error) from error
    try:
        _check_regular(path, number)
    except OutputError:
        os.close(number)
        raise
    with os.fdopen(number, "rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            part = line
            while len(part) == MAX_LINE_BYTES and not part.endswith(b"\n"):
                part = file.readline(MAX_LINE_BYTES)
            if part.endswith(b"\n"):
                yield from parse_line(line)


class Manifest:
    """The manifest of an output tree, locked and open for appending.

    Parameters
    ----------
    folder
        The output tree.
    fsync
        Whether to wait after each change until it is on the disk.

    Raises
    ------
    OutputError
        If the manifest cannot be written or another batch has locked it.
    """

    def __init__(self, folder: Path, fsync: bool = False) -> None:
        self.path = folder / MANIFEST_NAME
        self._fsync = fsync
        self.is_locked = False
        """Whether the manifest is locked; some network filesystems do not support locks."""
        made = [path for path in (folder, *folder.parents) if not path.exists()] if fsync else []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _OPEN_FLAGS
            self._file = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise _make_open_error(self.path, "written", error) from error
        try:
            _check_regular(self.path, self._file)
            self.is_locked = _try_lock(self._file)
            if self.is_locked:
                self._truncate_partial_line()
            if fsync:
                sync_folders([folder, *(path.parent for path in made)])
        except BlockingIOError:
            self.close()
            raise OutputError(
                f"another ngate batch writes to {quote_path(folder)}: wait until it has finished, "
                "or give another output with output="
            ) from None
        except OutputError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise _make_open_error(self.path, "written", error) from error

    def append(self, *results: RecordingResult) -> None:
        """Append results, either all of them or none.

        Raises
        ------
        OutputError
            If the results cannot be written, for example because the disk is full, or if the
            manifest is no longer in the output tree.
        """
        self._check_in_place()
        try:
            _write_all(self._file, b"".join(map(encode_result, results)))
            if self._fsync:
                os.fsync(self._file)
        except OSError as error:
            raise _make_open_error(self.path, "written", error) from error

    def close(self) -> None:
        """Close and unlock the manifest."""
        os.close(self._file)

    def _check_in_place(self) -> None:
        """Check that the file in the output tree is still the open file."""
        with suppress(OSError):
            if os.path.samestat(os.lstat(self.path), os.fstat(self._file)):
                return
        raise OutputError(
            f"{quote_path(self.path)} was removed or replaced during the batch: run the batch again"
        )

    def _truncate_partial_line(self) -> None:
        """Truncate an incomplete last line that a crash has left."""
        size = end = os.fstat(self._file).st_size
        tail = b""
        while end and b"\n" not in tail:
            start = max(0, end - (1 << 16))
            os.lseek(self._file, start, os.SEEK_SET)
            tail = os.read(self._file, end - start)
            end = start
        complete_size = end + tail.rfind(b"\n") + 1
        if complete_size < size:
            os.ftruncate(self._file, complete_size)


def _check_regular(path: Path, file: int) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise OutputError(_irregular_message(path))


def _make_open_error(path: Path, action: str, error: OSError) -> OutputError:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return OutputError(_irregular_message(path))
    return OutputError(f"{quote_path(path)} cannot be {action}: {error.strerror}")


def _irregular_message(path: Path) -> str:
    return (
        f"{quote_path(path)} is not a regular file: remove it, or give another output with output="
    )


def _write_all(file: int, data: bytes) -> None:
    """Write all of `data`; truncate the file to its previous size on an error."""
    previous_size = os.fstat(file).st_size
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, previous_size)
        raise


def _try_lock(file: int) -> bool:
    """Lock an open file until it is closed; return False if the filesystem has no locks.

    Raises
    ------
    BlockingIOError
        If another process has locked the file.
    """
    if sys.platform == "win32":
        import msvcrt

        position = os.lseek(file, 0, os.SEEK_CUR)
        os.lseek(file, LOCK_OFFSET_BYTES, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(file, position, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a filesystem without locks
        return False
    return True

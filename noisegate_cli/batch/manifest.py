"""Manifest and journal of a batch, two files in the output tree.

The manifest, `ngate-manifest.jsonl`, receives one line of JSON for each finished recording. If it
has several lines for one output, the last line is valid. The journal, `.ngate-started`, lists the
outputs that a batch has started, and is removed when the batch ends. After a crash, an output that
is in the journal but has no manifest line of the same batch may be incomplete, and is made again.

A batch locks the manifest while it runs, so that only one batch writes to an output tree. The lock
ends with the process, even after a crash. A batch that holds the lock therefore knows that an
existing journal belongs to a batch that no longer runs.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from noisegate_cli.errors import OutputError
from noisegate_cli.text import quote_path

MANIFEST_NAME = "ngate-manifest.jsonl"
JOURNAL_NAME = ".ngate-started"

MAX_JOURNAL_LINES = 1000
"""Maximum number of lines in the journal before it is rewritten with unfinished outputs only."""

LOCK_OFFSET_BYTES = (1 << 31) - 2
"""Offset of the byte that is locked on Windows: beyond the data, as locked bytes are unreadable."""

STATUS_INTERRUPTED = "interrupted"
"""Status of an output that was started and may be incomplete."""

_OUTPUT_RE = re.compile(rb'"output": ("(?:[^"\\]|\\.)+")')

ManifestEntry = dict[str, Any]
"""One line of the manifest as a dict."""


def read_entries(
    folder: Path, unreadable_lines: list[int] | None = None
) -> Iterator[ManifestEntry]:
    """Yield the lines of the manifest in `folder`, oldest first; none if there is no manifest.

    The numbers of lines that cannot be parsed are added to `unreadable_lines`. A damaged line that
    still names an output is yielded as interrupted, because the settings of the output are unknown.
    """
    try:
        file = (folder / MANIFEST_NAME).open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, start=1):
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict) or not isinstance(entry.get("output"), str):
                    raise ValueError
            except ValueError:
                if unreadable_lines is not None:
                    unreadable_lines.append(number)
                entry = _salvage_entry(line)
            if entry:
                yield entry


class Manifest:
    """The manifest of an output tree, locked and open for appending.

    Raises
    ------
    OutputError
        If the manifest cannot be written or another batch has locked it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST_NAME
        self.is_locked = False
        """Whether the manifest is locked; some network filesystems do not support locks."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise self._make_write_error(error) from error
        try:
            self.is_locked = _try_lock(self._file)
            if self.is_locked:
                self._truncate_partial_line()
        except BlockingIOError:
            self.close()
            raise OutputError(
                f"another ngate batch writes to {quote_path(folder)}: wait until it is done, "
                "or give another output with output="
            ) from None
        except OSError as error:
            self.close()
            raise self._make_write_error(error) from error

    def append(self, *entries: ManifestEntry) -> None:
        """Append entries, either all of them or none.

        Raises
        ------
        OutputError
            If the entries cannot be written, for example because the disk is full.
        """
        try:
            _write_all(self._file, b"".join(map(_encode_line, entries)))
        except OSError as error:
            raise self._make_write_error(error) from error

    def close(self) -> None:
        """Close and unlock the manifest."""
        os.close(self._file)

    def _truncate_partial_line(self) -> None:
        """Truncate an incomplete last line that a crash has left."""
        size = end = os.fstat(self._file).st_size
        last = b""
        with self.path.open("rb") as file:
            while end and b"\n" not in last:
                start = max(0, end - (1 << 16))
                file.seek(start)
                last = file.read(end - start)
                end = start
        whole = end + last.rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(self._file, whole)

    def _make_write_error(self, error: OSError) -> OutputError:
        return OutputError(f"{quote_path(self.path)} can't be written: {error.strerror}")


class OutputJournal:
    """Journal of started outputs, stored in a file in case the batch is killed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_NAME
        self._file: int | None = None
        self._lines = 0
        self.batch_id = os.urandom(8).hex()
        """Random identifier of this batch, which its manifest entries contain."""
        self.previous_batch_id, left = _read_journal(self._path)
        self.unfinished = left
        """Outputs that may be incomplete; initially the outputs in an existing journal."""

    def add(self, *outputs: str) -> None:
        """Record that `outputs` are about to be made.

        Raises
        ------
        OutputError
            If the journal cannot be written.
        """
        self.unfinished.update(outputs)
        try:
            if self._file is None or self._lines >= MAX_JOURNAL_LINES:
                self._rewrite()
            else:
                _write_all(self._file, b"".join(map(_encode_line, outputs)))
                self._lines += len(outputs)
        except OSError as error:
            raise OutputError(
                f"{quote_path(self._path)} can't be written: {error.strerror}"
            ) from error

    def mark_finished(self, output: str) -> None:
        """Record that the manifest has an entry for `output`."""
        self.unfinished.discard(output)

    def close(self) -> None:
        """Close the journal and remove its file if all outputs are finished."""
        if self._file is not None:
            os.close(self._file)
        if not self.unfinished:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _rewrite(self) -> None:
        """Replace the file atomically by one that lists only unfinished outputs."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        new = self._path.with_name(f"{self._path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        file = os.open(new, flags | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _write_all(file, b"".join(map(_encode_line, (self.batch_id, *sorted(self.unfinished)))))
        except OSError:
            new.unlink()
            raise
        finally:
            os.close(file)
        new.replace(self._path)
        flags = os.O_WRONLY | os.O_APPEND
        self._file = os.open(self._path, flags | getattr(os, "O_BINARY", 0))
        self._lines = len(self.unfinished)


def _encode_line(value: object) -> bytes:
    return (json.dumps(value, allow_nan=False) + "\n").encode()


def _salvage_entry(line: bytes) -> ManifestEntry:
    """Return an interrupted entry for the output that a damaged line names, or an empty dict."""
    if named := _OUTPUT_RE.search(line):
        with suppress(ValueError):
            return {"output": json.loads(named[1]), "status": STATUS_INTERRUPTED}
    return {}


def _read_journal(path: Path) -> tuple[str, set[str]]:
    """Return the identifier of the batch that wrote the journal, and the outputs in it."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return "", set()
    values = []
    for line in lines:
        # The output in an incomplete line was not started yet.
        with suppress(ValueError):
            values.append(str(json.loads(line)))
    return "".join(values[:1]), set(values[1:])


def _write_all(file: int, data: bytes) -> None:
    """Write all of `data`; truncate the file to its previous size on an error."""
    before = os.fstat(file).st_size
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, before)
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

        at = os.lseek(file, 0, os.SEEK_CUR)
        os.lseek(file, LOCK_OFFSET_BYTES, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(file, at, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a filesystem without locks
        return False
    return True

"""What a batch remembers: a line for each recording in a file beside the outputs.

Two files lie in the output tree. The manifest, `ngate-manifest.jsonl`, gets one line of JSON for
each recording when it is dealt with; of several lines for one output the last one counts. The other
one, `.ngate-started`, names the outputs that a batch has begun, and is gone when that is over: what
it names after a crash, and the manifest has no line for by the same batch, is neither known to be
complete nor foreign, and is made again.

The manifest is locked as long as a batch runs, so that there is one batch at most in an output
tree. The lock ends with the process, however that ends: who holds it knows that whatever the other
file names was left by a batch that is no more.
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
"""Lines in the file of what was started; then it is written anew with what still is."""

LOCK_OFFSET_BYTES = (1 << 31) - 2
"""Where Windows locks a byte: it refuses to read what is locked."""

STATUS_INTERRUPTED = "interrupted"
"""The status of what was begun, and maybe done."""

_OUTPUT_RE = re.compile(rb'"output": ("(?:[^"\\]|\\.)+")')

ManifestEntry = dict[str, Any]
"""A line of the manifest."""


def read_entries(
    folder: Path, unreadable_lines: list[int] | None = None
) -> Iterator[ManifestEntry]:
    """Yield the lines of the manifest in `folder`, oldest first; none if there is no manifest.

    The numbers of lines that cannot be parsed are added to `unreadable_lines`. A damaged line that
    still names an output counts as interrupted: a batch has written it with unknown settings.
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
    """The manifest of an output tree, locked and open for more lines.

    Raises
    ------
    OutputError
        When it can't be written, or another batch writes it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST_NAME
        self.is_locked = False
        """Whether no other batch can write here; some network filesystems have no locks."""
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
                "or give another output with -o"
            ) from None
        except OSError as error:
            self.close()
            raise self._make_write_error(error) from error

    def append(self, *entries: ManifestEntry) -> None:
        """Write lines, all of them whole or none.

        Raises
        ------
        OutputError
            When the disk is full, or gone.
        """
        try:
            _write_all(self._file, b"".join(map(_encode_line, entries)))
        except OSError as error:
            raise self._make_write_error(error) from error

    def close(self) -> None:
        """Close and unlock it."""
        os.close(self._file)

    def _truncate_partial_line(self) -> None:
        """Take away what a crash left of a line that was being written."""
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
    """The names of outputs that a batch has begun, also in a file for when it is killed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_NAME
        self._file: int | None = None
        self._lines = 0
        self.batch_id = os.urandom(8).hex()
        """Which batch this is; its lines in the manifest have it, too."""
        self.previous_batch_id, left = _read_journal(self._path)
        self.unfinished = left
        """What isn't known to be complete; what was left by another batch at first."""

    def add(self, *outputs: str) -> None:
        """Note that `outputs` are about to be made.

        Raises
        ------
        OutputError
            When that can't be written.
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
        """Note that the manifest knows about `output`."""
        self.unfinished.discard(output)

    def close(self) -> None:
        """End; the file stays where something isn't settled."""
        if self._file is not None:
            os.close(self._file)
        if not self.unfinished:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _rewrite(self) -> None:
        """Write the file anew, whole or not at all, with what isn't settled."""
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
    """Return what is left of a damaged line: which output it is about; nothing if not even that."""
    if named := _OUTPUT_RE.search(line):
        with suppress(ValueError):
            return {"output": json.loads(named[1]), "status": STATUS_INTERRUPTED}
    return {}


def _read_journal(path: Path) -> tuple[str, set[str]]:
    """Return which batch wrote the file, and the outputs that it names."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return "", set()
    values = []
    for line in lines:
        # A torn line names what was not begun yet.
        with suppress(ValueError):
            values.append(str(json.loads(line)))
    return "".join(values[:1]), set(values[1:])


def _write_all(file: int, data: bytes) -> None:
    """Write all of `data`, or take away what was written of it."""
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
    """Lock an open file for as long as it is open; whether that is possible here.

    Raises
    ------
    BlockingIOError
        When another process has locked it.
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

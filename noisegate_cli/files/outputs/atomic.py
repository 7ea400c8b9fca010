"""Outputs that appear only when they are complete, and the errors of writing them."""

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import soundfile as sf

from noisegate_cli.errors import NoisegateError, OutputError, OutputExistsError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.files.libsndfile.conventions import error_text
from noisegate_cli.files.outputs.partial_files import (
    partial_path,
    rename_without_replacing,
    sync_file,
    sync_folders,
)
from noisegate_cli.files.unfinished import remove_when_left
from noisegate_cli.text import quote_path

WRITE_ERRORS = (sf.SoundFileError, OSError, AssertionError, ValueError)
"""Errors of encoders: soundfile asserts that all samples were written."""


class PartialFiles:
    """Partial files of outputs that appear together; created by `open_partial_files`.

    Parameters
    ----------
    force
        Whether to overwrite existing files.
    fsync
        Whether the files and their names are on the disk before the context exits.
    stack
        Removes the partial files that are left.
    """

    def __init__(self, force: bool, fsync: bool, stack: ExitStack) -> None:
        self.force = force
        self._fsync = fsync
        self._stack = stack
        self._files: list[_PartialFile] = []

    def add(self, path: Path) -> Path:
        """Return the path of a new partial file for the output at `path`.

        Raises
        ------
        OutputError
            If `path` is a directory, or if it exists and may not be overwritten.
        """
        check_overwrite(path, self.force)
        partial = partial_path(path)
        new_folders = list(takewhile(lambda folder: not folder.exists(), path.parents))
        self._stack.enter_context(remove_when_left(partial, new_folders))
        parents = [path.parent, *(folder.parent for folder in new_folders)]
        # In reverse order, so that the first output gets its name last.
        self._files.insert(0, _PartialFile(path, partial, parents))
        return partial

    def rename(self) -> None:
        """Give all files their names, when all of them are complete."""
        for file in self._files:
            check_overwrite(file.path, self.force)
            if self._fsync:
                with wrap_write_errors(file.path):
                    sync_file(file.partial)
        for file in self._files:
            with wrap_write_errors(file.path):
                _rename(file, self.force)
                if self._fsync:
                    sync_folders(file.parents)


class _PartialFile(NamedTuple):
    path: Path
    partial: Path
    parents: list[Path]
    """The directory of the file, and those of the new directories above it."""


def _rename(file: _PartialFile, force: bool) -> None:
    if force:
        file.partial.replace(file.path)
        return
    try:
        rename_without_replacing(file.partial, file.path)
    except FileExistsError:
        raise OutputExistsError(_exists_message(file.path)) from None


@contextmanager
def open_partial_files(force: bool = False, fsync: bool = False) -> Iterator[PartialFiles]:
    """Yield partial files, all of which get their names when the context exits.

    On an error or an interrupt, they are removed, and the directories that were created for them.
    No output appears if one of them cannot be completed. See `PartialFiles` for the parameters.
    """
    with ExitStack() as stack:
        files = PartialFiles(force, fsync, stack)
        yield files
        files.rename()


def check_overwrite(path: Path, force: bool) -> None:
    """Raise OutputError if `path` is a directory, or if it exists and `force` is false."""
    if path == STDIO_PATH:
        return
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(unwritable_message(path, error)) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{quote_path(path)} is a folder: give a file name")
    if not force:
        raise OutputExistsError(_exists_message(path))


def is_stream(path: Path) -> bool:
    """Return whether an output cannot be replaced: standard output, a named pipe or a device."""
    if path == STDIO_PATH:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def wrap_write_errors(path: Path) -> Iterator[None]:
    """Convert errors of the system and the libraries while writing to OutputError."""
    try:
        yield
    except (BrokenPipeError, NoisegateError):
        raise
    except WRITE_ERRORS as error:
        raise OutputError(unwritable_message(path, error)) from error


def unwritable_message(path: Path, error: Exception) -> str:
    """Return the error message for an output that cannot be written."""
    if isinstance(error, AssertionError):
        reason = "not all samples were written, is the disk full?"
    else:
        reason = getattr(error, "strerror", None) or error_text(error)
        if reason == "System error":
            reason = "is the disk full?"
    name = "standard output" if path == STDIO_PATH else quote_path(path)
    return f"{name} cannot be written: {reason}"


def _exists_message(path: Path) -> str:
    return f"{quote_path(path)} already exists: force=True overwrites it"

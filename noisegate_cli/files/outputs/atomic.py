"""Outputs that appear only when they are complete, and the errors of writing them."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

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


@contextmanager
def open_partial_file(path: Path, force: bool = False, fsync: bool = False) -> Iterator[Path]:
    """Yield the path of a partial file, which is renamed to `path` when the context exits.

    On an error or an interrupt, the partial file is removed, and the directories that were created
    for it. See `open_writer` for the parameters and the errors.
    """
    check_overwrite(path, force)
    partial = partial_path(path)
    new_folders = list(takewhile(lambda folder: not folder.exists(), path.parents))
    with remove_when_left(partial, new_folders):
        yield partial
        check_overwrite(path, force)
        with wrap_write_errors(path):
            if fsync:
                sync_file(partial)
            if force:
                partial.replace(path)
            else:
                try:
                    rename_without_replacing(partial, path)
                except FileExistsError:
                    raise OutputExistsError(_exists_message(path)) from None
            if fsync:
                sync_folders([path.parent, *(folder.parent for folder in new_folders)])


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

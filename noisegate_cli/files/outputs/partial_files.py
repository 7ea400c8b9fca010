"""Names of partial files, flushing them to disk, and removing those that a crash has left."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

PARTIAL_SUFFIX = ".partial"
"""Suffix of the names of partial files."""


def partial_path(path: Path) -> Path:
    """Return a new path, in the same directory, for the partial file of `path`."""
    return path.with_name(f"{_partial_prefix(path.name)}{os.urandom(4).hex()}{PARTIAL_SUFFIX}")


def make_folders(folder: Path) -> None:
    """Create a directory and those above it, unless they exist.

    Raises
    ------
    NotADirectoryError
        If a file has the name of one of them.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def rename_without_replacing(partial: Path, path: Path) -> None:
    """Rename a partial file, without a race if the filesystem has hard links.

    Raises
    ------
    FileExistsError
        If `path` exists.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError as error:  # a filesystem without hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from error
        partial.rename(path)
    else:
        partial.unlink()


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk, so that it survives a power failure."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folders(folders: Iterable[Path]) -> None:
    """Wait until the names in some folders are on the disk."""
    if os.name == "nt":  # Windows cannot open folders.
        return
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_partials(folder: str | Path, names: Iterable[str]) -> None:
    """Remove partial files of the outputs `names` that killed processes left in `folder`.

    No process may be writing these outputs. Partial files of other outputs are not removed.
    `names` is not iterated unless `folder` contains partial files.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        partials = [Path(entry.path) for entry in entries if entry.name.endswith(PARTIAL_SUFFIX)]
        if not partials:
            return
        prefixes = tuple({_partial_prefix(name) for name in names})
        for path in partials:
            if path.name.startswith(prefixes):
                with suppress(OSError):
                    path.unlink()


def _partial_prefix(name: str) -> str:
    """Return the prefix of the names of partial files of the output `name`."""
    return f".ngate-{crc32(os.fsencode(name)):08x}-"

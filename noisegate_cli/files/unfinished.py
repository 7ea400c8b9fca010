"""Unfinished files of this process, which are removed when they are complete or abandoned.

A signal handler can remove all of them at any time, because a file is registered before it is
created. It imports this module before anything else, so the module must load fast.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_unfinished: dict[str, tuple[str, ...]] = {}
"""Path of each unfinished file, and the directories that were created for it, innermost first."""


@contextmanager
def remove_when_left(
    path: os.PathLike[str], folders: Sequence[os.PathLike[str]] = ()
) -> Iterator[None]:
    """Remove a file and the directories created for it, if they are empty, on exit.

    A finished output is renamed before the exit, so that the file no longer exists.

    Parameters
    ----------
    path
        File that is created within the context.
    folders
        Directories that are created within the context, innermost first.
    """
    name = os.fspath(path)
    _unfinished[name] = tuple(os.fspath(folder) for folder in folders)
    try:
        yield
    finally:
        _remove(name)
        del _unfinished[name]


def remove_unfinished_files() -> None:
    """Remove all unfinished files of this process, which must exit immediately afterwards."""
    for path in list(_unfinished):
        _remove(path)


def _remove(path: str) -> None:
    with suppress(OSError):
        with suppress(FileNotFoundError):
            os.unlink(path)
        for folder in _unfinished[path]:
            os.rmdir(folder)

"""Unfinished files of this process, which are removed when they are complete or abandoned.

A signal handler can remove all of them at any time, because a file is registered before it is
created. It imports this module before anything else, so the module must load fast.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_unfinished: dict[str, tuple[str, ...]] = {}
"""Path of each unfinished file, and the directories that were created for it, innermost first."""


@contextmanager
def remove_when_left(
    path: os.PathLike[str], folders: Sequence[os.PathLike[str]] = ()
) -> Iterator[None]:
    """Remove a file and the directories created for it, if they are empty, on exit.

    A finished output is renamed before the exit, so that the file no longer exists. If Ctrl-C
    raises KeyboardInterrupt, as in a Python program, another one does not interrupt the cleanup.

    Parameters
    ----------
    path
        File that is created within the context.
    folders
        Directories that are created within the context, innermost first.
    """
    name = os.fspath(path)
    with _raise_one_interrupt():
        _unfinished[name] = tuple(os.fspath(folder) for folder in folders)
        try:
            yield
        finally:
            _remove(name)
            del _unfinished[name]


@contextmanager
def _raise_one_interrupt() -> Iterator[None]:
    """Ignore SIGINT while the KeyboardInterrupt of an earlier one is being handled.

    A program that handles SIGINT itself is not affected, nor are other threads than the main one.
    """
    import signal
    import threading

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    try:
        signal.signal(signal.SIGINT, _raise_unless_interrupted)
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _raise_unless_interrupted(*_: object) -> None:
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    if error is None:
        raise KeyboardInterrupt


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

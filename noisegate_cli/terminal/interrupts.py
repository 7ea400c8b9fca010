"""Exit statuses, and the exit on SIGINT, SIGTERM and SIGHUP, which leaves nothing unfinished.

An exception could interrupt any line, also in a cleanup or in a callback of a library that ignores
it. The handler therefore raises none: it removes the unfinished files and ends the process. Only a
batch, which must record its results and stop its workers, is unwound by a KeyboardInterrupt.

The module is imported before anything else, so it must load fast.
"""

import os
import signal
import sys
from contextlib import suppress

from noisegate_cli.files.unfinished import remove_unfinished_files

EXIT_SUCCESS, EXIT_FAILURE, EXIT_USAGE_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130
"""Exit statuses; after a signal other than SIGINT it is 128 + signal, as in a shell."""

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last one on Windows
    if hasattr(signal, name)
]

EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE, as other programs end if the program that reads standard output has exited."""

MESSAGE = "interrupted"

MAX_CALL_S = 1.0
"""Time after which the process exits even in a call of a library."""


class InterruptedWithMessage(Exception):  # noqa: N818  # it is not an error
    """Interrupt with a message, because Typer drops the message of a KeyboardInterrupt."""


class _State:
    """State of the handler; a process has only one."""

    received = 0
    """Number of the first signal; 0 if there was none."""
    raises = os.name == "nt"  # Windows does not remove open files: they must be closed first.
    """Whether the first signal raises KeyboardInterrupt; later signals are then ignored."""
    terminal_reset = b""
    """Bytes that remove the progress bar from the terminal."""


def handle_signals() -> None:
    """Handle signals unless they are ignored, as SIGHUP is by nohup."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def exit_from_long_calls() -> None:
    """Let a thread handle a signal that arrives during a long call of a library.

    Python handles signals between the calls, so that a damaged file could delay them for minutes.
    """
    if sys.platform == "win32":
        return
    from threading import Thread

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    Thread(target=_handle_late_signals, args=(reader,), daemon=True).start()


def ignore_signals() -> None:
    """Ignore signals, because the process is about to exit."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def raise_on_signals() -> None:
    """Raise KeyboardInterrupt on the first signal from now on, instead of exiting."""
    _State.raises = True


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal was received, because a library may have ignored it."""
    if _State.received:
        raise KeyboardInterrupt


def is_interrupted() -> bool:
    """Return whether a signal was received."""
    return _State.received != 0


def exit_status() -> int:
    """Return the exit status of an interrupted command, as a shell reports it."""
    return 128 + (_State.received or signal.SIGINT)


def set_terminal_reset(reset: bytes) -> None:
    """Set the bytes that remove the progress bar before the message; empty without a bar."""
    _State.terminal_reset = reset


def _handle(number: int, _frame: object) -> None:
    if _State.received:
        return
    _State.received = number
    if _State.raises:
        # Python reports an exception in a destructor or a callback, but cannot raise it there.
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt
    _exit()


def _handle_late_signals(pipe: int) -> None:
    """Exit if the main thread does not handle a signal, whose number the pipe receives, in time."""
    import time

    while octet := os.read(pipe, 1):
        if octet[0] not in SIGNALS:
            continue
        time.sleep(MAX_CALL_S)
        is_late = not (_State.received or _State.raises)
        if is_late and signal.getsignal(octet[0]) is _handle:
            _State.received = octet[0]
            _exit()


def _exit() -> None:
    """Remove the unfinished files and end the process."""
    remove_unfinished_files()
    with suppress(OSError):
        os.write(2, _State.terminal_reset + f"ngate: {MESSAGE}\n".encode())
    os._exit(exit_status())

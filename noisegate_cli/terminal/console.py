"""Terminal output: messages, errors and progress on stderr; data on stdout."""

import codecs
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from noisegate_cli.errors import OutputError
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.interrupts import set_terminal_reset
from noisegate_cli.text import escape_unprintable, quote_path

if TYPE_CHECKING:
    from rich.console import Console

BAR_DELAY_S = 0.5
"""Delay of the progress bar: for shorter work a bar only flickers and costs import time."""

BAR_INTERVAL_S = 0.1
"""Minimum interval between updates of the progress bar."""

LOG_INTERVAL_S = 10.0
"""Interval between progress lines in a log."""

MAX_NAME_CHARS = 40
"""Maximum length of a name in a progress bar; longer names are shortened in the middle."""

TERMINAL_RESET = b"\r\x1b[2K\x1b[?25h"
"""Control sequence that erases the line of the progress bar and shows the cursor again."""


SUBSTITUTES = {"×": "x", "…": "."}
"""Characters of the same width for terminals that support only ASCII."""


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """Return a substitute for a character that can't be encoded, and where to continue."""
    assert isinstance(error, UnicodeEncodeError)
    char = error.object[error.start]
    escaped = char.encode("ascii", "backslashreplace").decode()
    return SUBSTITUTES.get(char, escaped), error.start + 1


codecs.register_error("ngate.substitute", _substitute)


def escape_unencodable_output() -> None:
    """Escape or substitute characters that the encoding of the terminal does not support."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="ngate.substitute")


def escape_for_terminal(text: str, encoding: str) -> str:
    """Return a text as a terminal displays it, so that a progress bar knows its width."""
    return text.encode(encoding, "ngate.substitute").decode(encoding)


def print_message(text: str) -> None:
    """Print a line to stderr, with unprintable characters escaped.

    A message only informs: if stderr can't be written, the work must go on.
    """
    with suppress(OSError):
        print(escape_unprintable(text), file=sys.stderr, flush=True)


def print_data(text: str) -> None:
    """Print a line of data to stdout.

    Raises
    ------
    OutputError
        If stdout can't be written.
    """
    with wrap_stdout_errors():
        print(text, flush=True)


def discard_stdout() -> None:
    """Redirect stdout to the null device after its reader has closed the pipe.

    Otherwise Python would fail again when it flushes stdout at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: object) -> None:
    """Print an error on a single line to stderr."""
    print_message("ngate: " + " ".join(to_flags(str(message)).split("\n")))


@contextmanager
def wrap_stdout_errors() -> Iterator[None]:
    """Convert errors while writing to stdout to OutputError; BrokenPipeError is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output can't be written: {error.strerror}") from error


def console(stderr: bool = False) -> "Console":
    """Return a rich console, 100 columns wide if the stream is not a terminal.

    Text that looks like markup or emoji codes, such as a name with brackets, is printed unchanged.
    """
    from rich.console import Console

    target = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not target.is_terminal:
        target = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=100)
    return target


class LogProgressBars:
    """Progress as plain lines at intervals, for a log."""

    def __init__(self, totals: dict[str, float]) -> None:
        [(self._name, self._total)] = totals.items()
        self._start_time = self._print_time = time.monotonic()

    def update(self, done: dict[str, float], note: str = "") -> None:
        """Print the progress if the log interval has passed."""
        now = time.monotonic()
        if now - self._print_time < LOG_INTERVAL_S:
            return
        self._print_time = now
        from tqdm import tqdm

        line = tqdm.format_meter(
            done[self._name],
            self._total,
            now - self._start_time,
            prefix=f"ngate: {self._name}",
            postfix=note,
            bar_format="{desc}: {percentage:3.0f} % in {elapsed}, {remaining} to go{postfix}",
        )
        print_message(line)

    def close(self) -> None:
        """Do nothing: lines stay in the log."""


class _TerminalBar:
    """Progress bar of a recording on a terminal, with speed and remaining time."""

    def __init__(self, name: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        target = console(stderr=True)
        if len(name) > MAX_NAME_CHARS:
            name = name[: MAX_NAME_CHARS // 2] + "..." + name[3 - MAX_NAME_CHARS // 2 :]
        # Without a thread that refreshes it, an interrupt can remove the bar at any time.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=target,
            transient=True,
            auto_refresh=False,
        )
        self._task = self._progress.add_task(name, total=1.0, note="")
        set_terminal_reset(TERMINAL_RESET if target.is_terminal else b"")
        self._progress.start()

    def update(self, share: float, speed: float) -> None:
        """Show the finished share of the work and the speed relative to real time."""
        note = f"{speed:.0f} × real time" if speed else ""
        self._progress.update(self._task, completed=share, note=note, refresh=True)

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()
        set_terminal_reset(b"")


class RecordingProgress:
    """Progress of one recording on stderr: a bar on a terminal, lines in a log.

    The progress only informs: none of its errors, such as a full disk under a log, reaches the
    caller.

    Parameters
    ----------
    name
        Name to show.
    read_duration
        Returns the duration of the recording in seconds, 0 if unknown. It is called only if the
        bar appears.
    """

    def __init__(self, name: str, read_duration: Callable[[], float]) -> None:
        self._name = escape_for_terminal(quote_path(name), sys.stderr.encoding or "utf-8")
        self._read_duration = read_duration
        self._start_time = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._next_time = self._start_time + (BAR_DELAY_S if self._is_terminal else LOG_INTERVAL_S)
        self._log = LogProgressBars({self._name: 1.0})
        self._bar: _TerminalBar | None = None
        self._duration = 0.0

    def update(self, share: float) -> None:
        """Show the finished share of the work, 0 to 1, if it is time to."""
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = now + BAR_INTERVAL_S
        try:
            if self._is_terminal:
                self._update_bar(share, now - self._start_time)
            else:
                self._log.update({self._name: share})
        except Exception:
            self._next_time = math.inf

    def _update_bar(self, share: float, elapsed_s: float) -> None:
        if self._bar is None:
            # An unknown duration must not prevent the bar.
            with suppress(Exception):
                self._duration = self._read_duration()
            self._bar = _TerminalBar(self._name)
        self._bar.update(share, share * self._duration / elapsed_s)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar:
            with suppress(Exception):
                self._bar.close()

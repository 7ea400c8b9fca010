"""Terminal output: messages, errors and progress on stderr; data on stdout."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from noisegate_cli.terminal.flags import to_flags

if TYPE_CHECKING:
    from rich.console import Console

BAR_DELAY_S = 0.5
"""Delay of the progress bar: for shorter work a bar only flickers and costs import time."""

LOG_INTERVAL_S = 10.0
"""Interval between progress lines in a log."""


def escape_unencodable_output() -> None:
    """Escape characters that the encoding of the terminal does not support."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_message(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr, flush=True)


def print_data(text: str) -> None:
    """Print a line of data to stdout."""
    print(text, flush=True)


def discard_stdout() -> None:
    """Redirect stdout to the null device after its reader has closed the pipe.

    Otherwise Python would fail again when it flushes stdout at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: object) -> None:
    """Print an error on a single line to stderr."""
    print_message("ngate: " + " ".join(to_flags(str(message)).split("\n")))


def console(stderr: bool = False) -> "Console":
    """Return a rich console, 100 columns wide if the stream is not a terminal."""
    from rich.console import Console

    target = Console(stderr=stderr, highlight=False)
    if not target.is_terminal:
        target = Console(stderr=stderr, highlight=False, width=100)
    return target


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, so that they clean up like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        # nohup ignores SIGHUP, which must stay ignored.
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), interrupt)


class ProgressBars(Protocol):
    """Display of progress."""

    def update(self, done: dict[str, float]) -> None:
        """Show the finished amount of each total."""


class NullProgressBars:
    """Display that shows nothing."""

    def update(self, done: dict[str, float]) -> None:
        """Do nothing."""


class RichProgressBars:
    """Progress bar for each total on a terminal, with speed and remaining time."""

    def __init__(self, totals: dict[str, float]) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._start_time = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console(stderr=True),
            transient=True,
        )
        self._tasks = {n: self._progress.add_task(n, total=t, note="") for n, t in totals.items()}
        self._progress.start()

    def update(self, done: dict[str, float]) -> None:
        """Show the finished amount of each total."""
        elapsed = max(1e-9, time.monotonic() - self._start_time)
        for name, amount in done.items():
            text = f"{amount / elapsed:.0f} × real time"
            self._progress.update(self._tasks[name], completed=amount, note=text)

    def close(self) -> None:
        """Remove the bars."""
        self._progress.stop()


class LogProgressBars:
    """Progress as plain lines at intervals, for a log."""

    def __init__(self, totals: dict[str, float]) -> None:
        from tqdm import tqdm

        class Lines(tqdm):  # type: ignore[misc,unused-ignore]  # typed or not, as it is installed
            """tqdm that prints each status on a new line instead of overwriting the last one."""

            @staticmethod
            def status_printer(file: Any) -> Any:
                """Return a function that prints one status line."""

                def show(line: str) -> None:
                    if line.strip():
                        print(line, file=file, flush=True)

                return show

        self._name = next(iter(totals))
        self._bar = Lines(
            total=totals[self._name],
            desc=f"ngate: {self._name}",
            mininterval=LOG_INTERVAL_S,
            delay=LOG_INTERVAL_S,
            ascii=True,
            ncols=160,
            leave=False,
            file=sys.stderr,
            bar_format="{desc}: {percentage:3.0f} % in {elapsed}, {remaining} to go{postfix}",
        )

    def update(self, done: dict[str, float], note: str = "") -> None:
        """Print the progress if the log interval has passed."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done[self._name] - self._bar.n)

    def close(self) -> None:
        """Close the progress bar."""
        self._bar.close()


ProgressTotals: TypeAlias = dict[str, float] | Callable[[], dict[str, float]]
"""Total amounts by name, or a function that returns them when the display appears."""


class DelayedProgressBars:
    """Bars that appear only after a delay, so that short work shows none."""

    def __init__(self, totals: ProgressTotals) -> None:
        self._totals = totals
        self._show_at = time.monotonic() + (BAR_DELAY_S if sys.stderr.isatty() else LOG_INTERVAL_S)
        self._bars: RichProgressBars | LogProgressBars | None = None

    def update(self, done: dict[str, float]) -> None:
        """Show the finished amount of each total once the delay has passed."""
        if self._bars is None:
            if time.monotonic() < self._show_at:
                return
            totals = self._totals() if callable(self._totals) else self._totals
            self._bars = (RichProgressBars if sys.stderr.isatty() else LogProgressBars)(totals)
        self._bars.update(done)

    def close(self) -> None:
        """Remove the bars if they are visible."""
        if self._bars:
            self._bars.close()


@contextmanager
def show_progress(totals: ProgressTotals, quiet: bool = False) -> Iterator[ProgressBars]:
    """Show progress towards each of `totals` while the block runs, unless `quiet` is set."""
    if quiet:
        yield NullProgressBars()
        return
    shown = DelayedProgressBars(totals)
    try:
        yield shown
    finally:
        shown.close()

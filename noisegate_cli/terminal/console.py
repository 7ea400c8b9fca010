"""What is said on the terminal: errors, progress. Talk goes to stderr; stdout is for data."""

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
"""A bar for work that is done sooner would only flicker, and cost the time to import it."""

LOG_INTERVAL_S = 10.0
"""Seconds between two lines of progress in a log."""


def escape_unencodable_output() -> None:
    """Let no character be an error on a terminal or a code page that doesn't have it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_message(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr, flush=True)


def print_data(text: str) -> None:
    """Print a line of data to stdout."""
    print(text, flush=True)


def print_error(message: object) -> None:
    """Print an error as the one line that it is."""
    print_message("ngate: " + " ".join(to_flags(str(message)).split("\n")))


def console(stderr: bool = False) -> "Console":
    """Return a rich console, 100 columns wide where it isn't a terminal."""
    from rich.console import Console

    target = Console(stderr=stderr, highlight=False)
    if not target.is_terminal:
        target = Console(stderr=stderr, highlight=False, width=100)
    return target


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the work as Ctrl-C does: through the clean-up."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        # Under nohup a hang-up is ignored, and stays so.
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), interrupt)


class ProgressBars(Protocol):
    """Where progress is shown."""

    def update(self, done: dict[str, float]) -> None:
        """Show how much is done of each total."""


class NullProgressBars:
    """Progress that is not shown."""

    def update(self, done: dict[str, float]) -> None:
        """Do nothing."""


class RichProgressBars:
    """A bar for each total on a terminal, with speed and time to go."""

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
        """Show how much is done of each total."""
        elapsed = max(1e-9, time.monotonic() - self._start_time)
        for name, amount in done.items():
            text = f"{amount / elapsed:.0f} × real time"
            self._progress.update(self._tasks[name], completed=amount, note=text)

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()


class LogProgressBars:
    """A plain line now and then, for a log."""

    def __init__(self, totals: dict[str, float]) -> None:
        from tqdm import tqdm

        class Lines(tqdm):  # type: ignore[misc,unused-ignore]  # typed or not, as it is installed
            """tqdm that ends its lines instead of painting over them."""

            @staticmethod
            def status_printer(file: Any) -> Any:
                """Return what prints one line of status."""

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
        """Print how much is done, if it is time to."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done[self._name] - self._bar.n)

    def close(self) -> None:
        """End."""
        self._bar.close()


ProgressTotals: TypeAlias = dict[str, float] | Callable[[], dict[str, float]]
"""What there is to do, or how to find out when it is shown."""


class DelayedProgressBars:
    """Bars that appear only when the work takes long enough to wonder about it."""

    def __init__(self, totals: ProgressTotals) -> None:
        self._totals = totals
        self._show_at = time.monotonic() + (BAR_DELAY_S if sys.stderr.isatty() else LOG_INTERVAL_S)
        self._bars: RichProgressBars | LogProgressBars | None = None

    def update(self, done: dict[str, float]) -> None:
        """Show how much is done of each total, when it is time."""
        if self._bars is None:
            if time.monotonic() < self._show_at:
                return
            totals = self._totals() if callable(self._totals) else self._totals
            self._bars = (RichProgressBars if sys.stderr.isatty() else LogProgressBars)(totals)
        self._bars.update(done)

    def close(self) -> None:
        """Take away what is shown."""
        if self._bars:
            self._bars.close()


@contextmanager
def show_progress(totals: ProgressTotals, quiet: bool = False) -> Iterator[ProgressBars]:
    """Show progress towards each of `totals` while the block runs, nothing if `quiet`."""
    if quiet:
        yield NullProgressBars()
        return
    shown = DelayedProgressBars(totals)
    try:
        yield shown
    finally:
        shown.close()

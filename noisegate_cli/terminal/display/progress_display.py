"""Progress on stderr: a bar on a terminal, lines in a log."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from noisegate_cli.terminal.console import console, escape_for_terminal, print_message
from noisegate_cli.terminal.interrupts import set_terminal_reset
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from noisegate_cli.files.raw_format import RawFormat

BAR_DELAY_S = 0.5
"""Delay of the progress bar: for shorter work a bar only flickers and costs import time."""

BAR_INTERVAL_S = 0.1
"""Minimum interval between updates of the progress bar."""

LOG_INTERVAL_S = 10.0
"""Interval between progress lines in a log."""

MAX_NAME_CHARS = 40
"""Maximum length of a name in a progress bar; longer names are shortened in the middle."""

INTERRUPT_ECHO = "^C"
"""What a terminal prints for Ctrl-C. A bar leaves room for it: on a line of its own, it would stand
between the bar and the cursor, and the bar would not be erased."""

TERMINAL_RESET = b"\r\x1b[2K\x1b[?25h"
"""Control sequence that erases the line of the progress bar and shows the cursor again."""


class ProgressBar(Protocol):
    """Something that shows progress: a bar, or lines."""

    def update(self, done: float, notes: Sequence[str]) -> None:
        """Show the finished work and the notes, most important first."""

    def close(self) -> None:
        """Remove the display."""


class ProgressDisplay:
    """Progress of work, shown when it takes longer than a moment.

    The display only informs: none of its errors, such as a full disk under a log, reaches the
    caller.

    Parameters
    ----------
    name, total
        Name and amount of the work.
    create_bar
        Creates the bar on a terminal.
    """

    def __init__(
        self, name: str, total: float, create_bar: Callable[[str, float], ProgressBar]
    ) -> None:
        self._name, self._total, self._create_bar = name, total, create_bar
        self._is_terminal = sys.stderr.isatty()
        self._bar: ProgressBar | None = None
        self._start_time = time.monotonic()
        self._next_time = self._start_time + (BAR_DELAY_S if self._is_terminal else LOG_INTERVAL_S)

    def update(self, done: float, describe: Callable[[float], Sequence[str]]) -> None:
        """Show the finished work if it is time to.

        Parameters
        ----------
        done
            Finished amount of the work.
        describe
            Returns notes from the elapsed seconds.
        """
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = now + (BAR_INTERVAL_S if self._is_terminal else LOG_INTERVAL_S)
        try:
            if self._bar is None:
                create = self._create_bar if self._is_terminal else ProgressLog
                self._bar = create(self._name, self._total)
            elapsed_s = now - self._start_time
            notes = [*describe(elapsed_s)]
            if 0 < done < self._total:
                remaining_s = elapsed_s * (self._total - done) / done
                remaining = f"{format_duration(remaining_s, 0)} left"
                notes = [", ".join([remaining, *notes[:1]]), *notes[1:]]
            self._bar.update(done, notes)
        except Exception:
            self.close()
            self._next_time = math.inf

    def close(self) -> None:
        """Remove the bar."""
        if self._bar:
            with suppress(Exception):
                self._bar.close()
            self._bar = None


class ProgressLog:
    """Progress as plain lines."""

    def __init__(self, name: str, total: float) -> None:
        self._name, self._total = name, total

    def update(self, done: float, notes: Sequence[str]) -> None:
        """Print the progress and the first note."""
        share = done / self._total if self._total else 0.0
        print_message(f"ngate: {', '.join([f'{self._name} {100 * share:.0f}%', *notes[:1]])}")

    def close(self) -> None:
        """Do nothing: lines stay in the log."""


class RecordingBar:
    """Progress bar of a recording on a terminal, with the remaining time."""

    def __init__(self, name: str, total: float) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        target = console(stderr=True, min_columns=1)
        if len(name) > MAX_NAME_CHARS:
            name = name[: MAX_NAME_CHARS // 2] + "..." + name[3 - MAX_NAME_CHARS // 2 :]
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self._task = self._progress.add_task(name, total=total, note="")
        # Without a thread that refreshes it, an interrupt can remove the bar at any time.
        self._live = Live(
            get_renderable=lambda: _leave_room_for_echo(self._progress, target),
            console=target,
            transient=True,
            auto_refresh=False,
        )
        set_terminal_reset(TERMINAL_RESET if target.is_terminal else b"")
        self._live.start()

    def update(self, done: float, notes: Sequence[str]) -> None:
        """Show the finished work and the notes."""
        note = ", ".join(notes)
        self._progress.update(self._task, completed=done, note=note)
        self._live.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self._live.stop()
        set_terminal_reset(b"")


class BatchPanel:
    """Progress bar of a batch on a terminal, with notes below it."""

    def __init__(self, name: str, total: float) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
        )
        self._task = self._progress.add_task(name, total=total or None)
        self._console = console(stderr=True, min_columns=1)
        self._live = Live(
            self._render([]), console=self._console, transient=True, auto_refresh=False
        )
        self._live.start()

    def update(self, done: float, notes: Sequence[str]) -> None:
        """Show the finished work and the notes, one per line."""
        self._progress.update(self._task, completed=done)
        self._live.update(self._render(notes), refresh=True)

    def close(self) -> None:
        """Remove the panel."""
        self._live.stop()

    def _render(self, notes: Sequence[str]) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        text = escape_for_terminal("\n".join(notes), self._console.encoding)
        panel = Group(self._progress, Text(text, no_wrap=True, overflow="ellipsis"))
        return _leave_room_for_echo(panel, self._console)


def _leave_room_for_echo(display: "RenderableType", target: "Console") -> "RenderableType":
    """Return the display, narrower than the terminal."""
    from rich.constrain import Constrain

    return Constrain(display, max(1, target.width - len(INTERRUPT_ECHO)))


class RecordingProgress:
    """Progress of one recording.

    Parameters
    ----------
    name
        Name to show.
    read_duration
        Returns the duration of the recording in seconds, 0 if unknown. It is called only if the
        progress is shown.
    prefix
        Text to show before the name.
    """

    def __init__(self, name: str, read_duration: Callable[[], float], prefix: str = "") -> None:
        title = escape_for_terminal(prefix + quote_path(name), sys.stderr.encoding or "utf-8")
        self._display = ProgressDisplay(title, 1.0, RecordingBar)
        self._read_duration = read_duration
        self._duration: float | None = None

    def update(self, share: float) -> None:
        """Show the finished share of the work, 0 to 1, if it is time to."""
        self._display.update(share, lambda elapsed_s: self._describe(share, elapsed_s))

    def close(self) -> None:
        """Remove the display."""
        self._display.close()

    def _describe(self, share: float, elapsed_s: float) -> list[str]:
        """Return the speed relative to real time."""
        if self._duration is None:
            self._duration = 0.0
            # An unknown duration must not prevent the bar.
            with suppress(Exception):
                self._duration = self._read_duration()
        speed = share * self._duration / elapsed_s
        return [f"{speed:.0f}× real time"] if speed else []


@contextmanager
def show_recording_progress(
    file: Path | str, raw: "RawFormat | None", quiet: bool, prefix: str = ""
) -> Iterator[Callable[[float], None]]:
    """Show the progress of one recording; yield a function that takes the finished share.

    `prefix` is shown before its name.
    """
    path = Path(file)
    if quiet or str(file) == "-":
        yield lambda _: None
        return

    def read_duration() -> float:
        from noisegate_cli.files.inputs.reader import open_reader

        with open_reader(path, raw) as reader:
            return reader.info.duration

    progress = RecordingProgress(path.name, read_duration, prefix)
    try:
        yield progress.update
    finally:
        progress.close()

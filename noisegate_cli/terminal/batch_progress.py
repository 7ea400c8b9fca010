"""Progress of a batch: a live display on a terminal, lines in a log, and data on stdout."""

import sys
import time
from typing import TYPE_CHECKING, Any

from noisegate_cli.terminal.console import (
    BAR_DELAY_S,
    LOG_INTERVAL_S,
    LogProgressBars,
    console,
    escape_for_terminal,
    print_data,
)
from noisegate_cli.terminal.interrupts import raise_if_interrupted
from noisegate_cli.terminal.json_data import build_recording_data, to_json
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from pathlib import Path

    from noisegate_cli.batch.interface import BatchReport
    from noisegate_cli.batch.records import RecordingResult

DISPLAY_INTERVAL_S = 0.1
"""Minimum interval between updates of the display."""


class ProgressPanel:
    """Progress bar on a terminal, with details below it."""

    def __init__(self, name: str, size: int) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task(name, total=size or None)
        target = console(stderr=True)
        self._encoding = target.encoding
        self._live = Live(self._render(""), console=target, transient=True, refresh_per_second=5)
        self._live.start()

    def update(self, size: int, note: str, current: list[str]) -> None:
        """Show the progress, a note, and the current recordings."""
        self._progress.update(self._task, completed=size)
        self._live.update(
            self._render(f"{note}\nnow {', '.join(map(quote_path, current))}" if current else note)
        )

    def close(self) -> None:
        """Remove the display."""
        self._live.stop()

    def _render(self, note: str) -> Any:
        from rich.console import Group
        from rich.text import Text

        text = Text(
            escape_for_terminal(note, self._encoding),
            style="dim",
            no_wrap=True,
            overflow="ellipsis",
        )
        return Group(self._progress, text)


class ProgressLog:
    """Progress as plain lines at intervals, for a log."""

    def __init__(self, name: str, size: int) -> None:
        self._bars = LogProgressBars({name: size})
        self._name = name

    def update(self, size: int, note: str, current: list[str]) -> None:  # noqa: ARG002
        """Print the progress if the log interval has passed."""
        self._bars.update({self._name: size}, note)

    def close(self) -> None:
        """Close the progress bar."""
        self._bars.close()


class BatchProgress:
    """Observer that shows the progress of a batch and optionally prints each result as JSON."""

    def __init__(self, root: "Path", output: "Path", quiet: bool, json: bool) -> None:
        self._root, self._output = root, output
        self._quiet, self._json = quiet, json
        self._display: ProgressPanel | ProgressLog | None = None
        self._name, self._files, self._total_bytes = "", 0, 0
        self._phase_start_time = self._next_update_time = time.monotonic()

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Start the display of a phase with this number of files and bytes."""
        self.close()
        self._name, self._files, self._total_bytes = name, files, size
        self._phase_start_time = time.monotonic()
        self._next_update_time = self._phase_start_time + (
            BAR_DELAY_S if sys.stderr.isatty() else LOG_INTERVAL_S
        )

    def on_progress(self, files: int, size: int, report: "BatchReport", current: list[str]) -> None:
        """Show the progress in the phase and the current recordings."""
        raise_if_interrupted()
        moment = time.monotonic()
        if self._quiet or moment < self._next_update_time:
            return
        self._next_update_time = moment + DISPLAY_INTERVAL_S
        if self._display is None:
            self._display = (ProgressPanel if sys.stderr.isatty() else ProgressLog)(
                self._name, self._total_bytes
            )
        note = f"{files} of {self._files} files" if self._files else f"{files} files"
        if report.audio_seconds:
            speed = report.audio_seconds / max(1e-9, moment - self._phase_start_time)
            note += f", {format_duration(report.audio_seconds)} of audio, {speed:.0f} × real time"
        if report.failed:
            note += f", {report.failed} failed"
        self._display.update(size, note, current)

    def on_recording(self, name: str, result: "RecordingResult") -> None:
        """Print the result of a recording as JSON if requested."""
        if self._json:
            print_data(to_json(build_recording_data(self._root / name, self._output, result)))

    def close(self) -> None:
        """Remove the display."""
        if self._display:
            self._display.close()
            self._display = None

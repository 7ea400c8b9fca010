"""How a batch goes on: live on a terminal, a line now and then in a log, data on stdout."""

import sys
import time
from typing import TYPE_CHECKING, Any

from noisegate_cli.terminal.console import (
    BAR_DELAY_S,
    LOG_INTERVAL_S,
    LogProgressBars,
    console,
    print_data,
)
from noisegate_cli.terminal.json_data import build_recording_data, to_json
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from pathlib import Path

    from noisegate_cli.batch.interface import BatchReport
    from noisegate_cli.batch.manifest import ManifestEntry

DISPLAY_INTERVAL_S = 0.1
"""Seconds between two looks at what is done."""


class ProgressPanel:
    """A bar on a terminal, with what there is to know below it."""

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
        self._live = Live(
            self._render(""), console=console(stderr=True), transient=True, refresh_per_second=5
        )
        self._live.start()

    def update(self, size: int, note: str, current: list[str]) -> None:
        """Show how much is done, and what is being done."""
        self._progress.update(self._task, completed=size)
        self._live.update(
            self._render(f"{note}\nnow {', '.join(map(quote_path, current))}" if current else note)
        )

    def close(self) -> None:
        """Take it away."""
        self._live.stop()

    def _render(self, note: str) -> Any:
        from rich.console import Group
        from rich.text import Text

        return Group(self._progress, Text(note, style="dim", no_wrap=True, overflow="ellipsis"))


class ProgressLog:
    """A plain line now and then."""

    def __init__(self, name: str, size: int) -> None:
        self._bars = LogProgressBars({name: size})
        self._name = name

    def update(self, size: int, note: str, current: list[str]) -> None:  # noqa: ARG002
        """Print how much is done, if it is time to."""
        self._bars.update({self._name: size}, note)

    def close(self) -> None:
        """End."""
        self._bars.close()


class BatchProgress:
    """Shows how a batch goes on, and prints what became of each recording as data if asked."""

    def __init__(self, root: "Path", output: "Path", quiet: bool, json: bool) -> None:
        self._root, self._output = root, output
        self._quiet, self._json = quiet, json
        self._display: ProgressPanel | ProgressLog | None = None
        self._name, self._files, self._total_bytes = "", 0, 0
        self._phase_start_time = self._next_update_time = time.monotonic()

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Begin something that has so much to do."""
        self.close()
        self._name, self._files, self._total_bytes = name, files, size
        self._phase_start_time = time.monotonic()
        self._next_update_time = self._phase_start_time + (
            BAR_DELAY_S if sys.stderr.isatty() else LOG_INTERVAL_S
        )

    def on_progress(self, files: int, size: int, report: "BatchReport", current: list[str]) -> None:
        """Show how much of that is done, and which recordings are being worked on."""
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

    def on_recording(self, name: str, entry: "ManifestEntry") -> None:
        """Print what became of a recording."""
        if self._json:
            print_data(to_json(build_recording_data(self._root / name, self._output, entry)))

    def close(self) -> None:
        """Take away what is shown."""
        if self._display:
            self._display.close()
            self._display = None

"""Observer of a batch that shows its progress and prints its results as data."""

from typing import TYPE_CHECKING

from noisegate_cli.terminal.console import print_data, print_wrapped
from noisegate_cli.terminal.display.batch_summary import format_recording_line
from noisegate_cli.terminal.display.json_data import build_recording_data, to_json
from noisegate_cli.terminal.display.progress_display import BatchPanel, ProgressDisplay
from noisegate_cli.terminal.interrupts import raise_if_interrupted
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from pathlib import Path

    from noisegate_cli.batch.interface import BatchReport
    from noisegate_cli.batch.records import RecordingResult


class BatchProgress:
    """Observer that shows the progress of a batch and optionally prints each result.

    Parameters
    ----------
    root, output
        Input tree and output tree.
    quiet
        Whether to show no progress.
    json
        Whether to print each result as JSON.
    verbose
        Whether to print a line for each recording instead of the progress.
    """

    def __init__(
        self, root: "Path", output: "Path", quiet: bool, json: bool, verbose: bool = False
    ) -> None:
        self._root, self._output = root, output
        self._quiet, self._json, self._verbose = quiet, json, verbose
        self._display: ProgressDisplay | None = None
        self._phase_files = 0

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Start the display of a phase with this number of files and bytes."""
        self.close()
        self._phase_files = files
        if not (self._quiet or self._verbose):
            self._display = ProgressDisplay(name, size, BatchPanel)

    def on_progress(self, files: int, size: int, report: "BatchReport", current: list[str]) -> None:
        """Show the progress in the phase and the current recordings."""
        raise_if_interrupted()

        def describe(elapsed_s: float) -> list[str]:
            note = (
                f"{files} of {self._phase_files} files" if self._phase_files else f"{files} files"
            )
            if report.audio_seconds:
                speed = report.audio_seconds / max(1e-9, elapsed_s)
                audio = format_duration(report.audio_seconds)
                note += f", {audio} of audio, {speed:.0f}× real time"
            if report.failed:
                note += f", {report.failed} failed"
            return [note, f"now {', '.join(map(quote_path, current))}"] if current else [note]

        if self._display:
            self._display.update(size, describe)

    def on_recording(self, name: str, result: "RecordingResult") -> None:
        """Print the result of a recording, as text and as JSON, if requested."""
        if self._verbose:
            print_wrapped(format_recording_line(name, result), indent=2)
        if self._json:
            print_data(to_json(build_recording_data(self._root / name, self._output, result)))

    def close(self) -> None:
        """Remove the display."""
        if self._display:
            self._display.close()
            self._display = None

"""Analyses of several recordings: one line each, as text or as CSV."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import quote_input
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.analysis_report import AnalysisReport

COLUMNS = (
    ("length", 9),
    ("peak dB", 7),
    ("noise dB", 8),
    ("signal dB", 9),
    ("closed", 7),
    ("-t", 8),
    ("verdict", 12),
)
"""Title and width of each column before the name of the recording."""

OPTIONAL_COLUMNS = ("peak dB", "verdict", "signal dB", "noise dB", "length")
"""Columns that a narrow terminal does not show, from the least important on."""

MIN_NAME_CHARS = 32

CSV_COLUMNS = (
    *("file", "duration_s", "sample_rate", "channels", "peak_db", "rms_db", "noise_floor_db"),
    *("active_db", "closed_share", "openings_per_minute", "threshold", "verdict"),
)


def choose_columns(width: int) -> tuple[str, ...]:
    """Return the titles of the columns that fit into `width` characters together with a name."""
    titles = [title for title, _ in COLUMNS]
    for optional in OPTIONAL_COLUMNS:
        if sum(size + 1 for title, size in COLUMNS if title in titles) + MIN_NAME_CHARS <= width:
            break
        titles.remove(optional)
    return tuple(titles)


def format_header(titles: Sequence[str]) -> str:
    """Return the titles of the columns; levels are in dBFS."""
    return _join({title: title for title in titles}, "recording")


def format_line(report: "AnalysisReport", titles: Sequence[str]) -> str:
    """Return the figures of one recording and its name."""
    levels, suggestion = report.levels, report.levels.suggestion
    cells = {
        "length": format_duration(report.info.duration),
        "peak dB": _format_db(levels.peak_db),
        "noise dB": _format_db(suggestion.noise_floor_db),
        "signal dB": _format_db(suggestion.active_db),
        "closed": f"{100 * levels.closed_share:.0f}%",
        "-t": "-" if suggestion.threshold is None else f"{suggestion.threshold:.3g}",
        "verdict": str(suggestion.verdict).replace("_", " "),
    }
    return _join({title: cells[title] for title in titles}, quote_input(report.info.path))


def format_csv_header() -> str:
    """Return the first line of the CSV."""
    return _format_csv(CSV_COLUMNS)


def format_csv_line(report: "AnalysisReport") -> str:
    """Return the figures of one recording as a line of CSV, empty where there is none."""
    from noisegate_cli.batch.csv_report import escape_formulas

    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    values: list[Any] = [
        *(str(info.path), info.duration, info.sample_rate, info.channels),
        *(levels.peak_db, levels.rms_db, suggestion.noise_floor_db, suggestion.active_db),
        *(levels.closed_share, levels.openings_per_minute, suggestion.threshold),
        str(suggestion.verdict),
    ]
    finite = ["" if isinstance(v, float) and not math.isfinite(v) else v for v in values]
    rounded = [f"{v:.6g}" if isinstance(v, float) else v for v in finite]
    # A negative level is a number: a spreadsheet evaluates only the name.
    return _format_csv([*escape_formulas((rounded[0],)), *rounded[1:]])


def find_recordings(
    paths: Iterable[Path | str],
    warn: Callable[[str], None],
    fail: Callable[[Path, AudioError], None],
) -> Iterator[Path | str]:
    """Yield the given recordings, and in place of a folder those below it, by name.

    Parameters
    ----------
    paths
        Recordings and folders.
    warn
        Called with a line about outputs of ngate that are skipped.
    fail
        Called with each folder that contains other files only, and its error.
    """
    from noisegate_cli.batch.discovery import GlobPatterns, SkippedFiles, walk_tree
    from noisegate_cli.terminal.display.batch_summary import format_own_outputs

    for path in paths:
        folder = Path(path)
        if str(path) != "-" and folder.is_dir():
            # No other recording can have this name, so nothing is skipped.
            skipped = SkippedFiles()
            found = sorted(walk_tree(folder, folder, GlobPatterns(), skipped))
            for line in format_own_outputs(skipped.output_files, skipped.output_folders):
                warn(line)
            if not found and skipped.has_only_other_files:
                message = (
                    f"{quote_path(folder)} contains no recordings, only other files: give another "
                    "folder, or the names of recordings with unusual extensions"
                )
                fail(folder, AudioError(message))
            yield from (folder / recording.name for recording in found)
        else:
            yield path


def _format_db(db: float) -> str:
    return f"{db:.0f}" if math.isfinite(db) else "-inf"


def _format_csv(values: Sequence[Any]) -> str:
    target = io.StringIO()
    csv.writer(target, lineterminator="").writerow(values)
    return target.getvalue()


def _join(cells: dict[str, str], name: str) -> str:
    """Return a line with right-aligned cells, and the verdict and the name after them."""
    widths = dict(COLUMNS)
    parts = [
        f"{cell:<{widths[title]}}" if title == "verdict" else f"{cell:>{widths[title]}}"
        for title, cell in cells.items()
    ]
    return " ".join([*parts, name])

"""Format what a batch has done: the line of a recording, the final table, and the errors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from noisegate_cli.terminal.display.tables import create_fact_table, drop_columns
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.text import (
    format_bytes,
    format_duration,
    format_level,
    format_time,
    pluralize,
    quote_path,
)

if TYPE_CHECKING:
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from noisegate_cli.batch.interface import BatchReport
    from noisegate_cli.batch.records import RecordingResult, ReviewCandidate

FORCE_HINT = " (--force overwrites it)"

OPTIONAL_REVIEW_COLUMNS = ("peak", "contrast", "cut-offs at", "closed")
"""Columns of the table of recordings to review that a narrow terminal does not show."""

MAX_CUTOFF_TIMES = 2
"""Number of the times of cut-offs in a row of the table of recordings to review."""


def format_recording_line(name: str, result: "RecordingResult") -> str:
    """Return a line about one recording of a batch: what was done, and why."""
    reason = to_flags(result.reason or "")
    if result.status == "failed":
        return f"failed {reason}"  # It has the path.
    if result.status != "done":
        action = {"pending": "would gate"}.get(result.status, result.status)
        return f"{action} {quote_path(name)}: {reason}"
    figures = result.result
    count = figures["cutoffs"]["count"]
    cut = f", {pluralize(count, 'cut-off')}" if count else ""
    return (
        f"gated {quote_path(name)} ({reason}): closed {100 * figures['closed_share']:.1f}% of "
        f"{format_duration(figures['duration_s'])}, {pluralize(figures['openings'], 'opening')}"
        f"{cut}"
    )


def format_own_outputs(files: int, folders: Sequence[str]) -> list[str]:
    """Return lines about outputs of ngate in an input tree, which are skipped."""
    lines = [f"skipped {quote_path(folder)}: it is an output folder of ngate" for folder in folders]
    if files:
        outputs = pluralize(files, "output")
        lines.append(f"skipped {outputs} of ngate, named NAME_gated.EXT next to NAME")
    return lines


def format_batch_errors(report: "BatchReport") -> list[str]:
    """Return the first error messages of a batch, one per line."""
    errors = list(report.errors)
    if report.failed > len(errors):
        remaining = report.failed - len(errors)
        more = pluralize(remaining, "more recording" if errors else "recording")
        errors.append(f"{more} failed: --report FILE lists all of them")
    return errors


def format_batch_remainder(report: "BatchReport") -> str:
    """Return the progress of a stopped batch and a hint how to continue it."""
    processed = report.total - report.to_do
    finished = "recording is finished" if report.total == 1 else "recordings are finished"
    return f"{processed} of {report.total} {finished}: repeat the command to continue"


def build_batch_table(report: "BatchReport", width: int = 80) -> "Group":
    """Return the summary of a batch as a rich renderable, with recordings to review first.

    A table that is wider than `width` loses its less important columns.
    """
    from rich.console import Group
    from rich.text import Text

    table = _build_fact_table(report)
    if not report.review_candidates:
        return Group(table)
    review = _build_review_table(report.review_candidates)
    review = drop_columns(review, OPTIONAL_REVIEW_COLUMNS, width)
    parts: list[Any] = [_add_margin_below(review), table]
    hidden = sum(report.review_counts.values()) - len(report.review_candidates)
    if hidden > 0:
        more = pluralize(hidden, "more recording")
        text = f"The table is truncated: {more}. --report FILE lists all of them."
        parts.insert(1, _add_margin_below(Text(text)))
    return Group(*parts)


def _add_margin_below(content: "Table | Text") -> "Padding":
    from rich.padding import Padding

    return Padding(content, (0, 0, 1, 0), expand=False)


def _build_fact_table(report: "BatchReport") -> "Table":
    from rich.text import Text

    table = create_fact_table()
    if report.dry_run:
        _add_planned_work(table, report)
    else:
        table.add_row("gated", _format_finished_work(report))
    if report.thresholds:
        table.add_row("threshold", _format_shared_thresholds(report.thresholds))
    if report.done:
        table.add_row("closed", f"{100 * report.closed_share:.1f}% of the time")
    if report.done or report.review_counts:
        table.add_row("to review", _format_review_counts(report.review_counts))
    if report.warned:
        warned = pluralize(report.warned, "recording")
        table.add_row("warnings", f"{warned}: --report FILE lists the warnings")
    _add_skipped_and_failed(table, report)
    if report.unreadable_lines:
        lines = pluralize(report.unreadable_lines, "unreadable line")
        table.add_row("manifest", f"{lines} ignored")
    if not report.is_locked:
        table.add_row(
            "note", "this filesystem has no locks: do not run another batch into the same folder"
        )
    table.add_row("output", Text(quote_path(report.output)))
    return table


def _format_finished_work(report: "BatchReport") -> str:
    """Return how much was gated, and how fast."""
    count = f"{report.done} of {pluralize(report.total, 'recording')}"
    if not report.done:
        return count
    speed = report.audio_seconds / max(report.seconds, 1e-9)
    audio, taken = format_duration(report.audio_seconds), format_duration(report.seconds)
    return f"{count}, {audio} in {taken} ({speed:.0f}× real time)"


def _format_review_counts(counts: Mapping[str, int]) -> str:
    """Return the reasons for which recordings should be reviewed, with their numbers."""
    reviews = (
        f"{number} {'with ' * (reason in {'cut-offs', 'warnings'})}{reason}"
        for reason, number in counts.items()
    )
    return ", ".join(reviews) or "none"


def _add_skipped_and_failed(table: "Table", report: "BatchReport") -> None:
    from rich.text import Text

    from noisegate_cli.batch.incremental import FORCE_ONLY_REASONS

    for reason, number in report.skip_reasons.items():
        table.add_row(
            "skipped", f"{number}: {reason}" + (FORCE_HINT if reason in FORCE_ONLY_REASONS else "")
        )
    if report.failed:
        table.add_row("failed", Text(str(report.failed), style="bold red"))


def _add_planned_work(table: "Table", report: "BatchReport") -> None:
    """Add what a batch would gate, and the disk space that it would need."""
    from rich.text import Text

    reasons = ", ".join(f"{number} {reason}" for reason, number in report.reasons.items())
    table.add_row(
        "would gate",
        f"{report.to_do} of {pluralize(report.total, 'recording')}, "
        f"{format_duration(report.audio_seconds)}" + (f" ({reasons})" if report.to_do else ""),
    )
    needed, free = format_bytes(report.bytes_needed), format_bytes(report.bytes_free)
    style = "bold red" if report.bytes_needed > report.bytes_free else ""
    table.add_row("disk", Text(f"about {needed} needed, {free} free", style=style))


def _format_shared_thresholds(thresholds: dict[str, float | None]) -> str:
    """Return a short description of the shared thresholds."""
    levels = sorted(t for t in thresholds.values() if t is not None)
    if not levels:
        return "none: signal and noise are too similar, the gate stays open"
    text = format_level(levels[0])
    if len(thresholds) > 1:
        text += f" to {format_level(levels[-1])}, in {len(thresholds)} folders"
    if len(levels) < len(thresholds):
        text += (
            f"; no threshold in {len(thresholds) - len(levels)} of them, where the gate stays open"
        )
    return text


def _build_review_table(review_candidates: "Sequence[ReviewCandidate]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for title in ("listen to", "reason", "closed", "contrast", "peak", "cut-offs at"):
        table.add_column(title, justify="left" if title in ("listen to", "reason") else "right")
    for candidate in review_candidates:
        table.add_row(
            Text(quote_path(candidate.name)),
            candidate.reason,
            f"{100 * candidate.closed_share:.0f}%",
            "" if candidate.contrast_db is None else f"{candidate.contrast_db:.1f} dB",
            "" if candidate.peak_db is None else f"{candidate.peak_db:.1f} dBFS",
            _format_cutoff_times(candidate),
        )
    return table


def _format_cutoff_times(candidate: "ReviewCandidate") -> str:
    """Return the times of the first listed cut-offs, and the number of the others."""
    times = [format_time(float(time)) for time in candidate.cutoff_times.split()]
    shown = times[:MAX_CUTOFF_TIMES]
    hidden = candidate.cutoffs - len(shown)
    return ", ".join(shown) + (f" + {hidden}" if hidden > 0 and shown else "")

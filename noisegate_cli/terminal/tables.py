"""Format results as tables for a terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from noisegate_cli.terminal.advice import collect_advice
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.histogram import build_histogram
from noisegate_cli.terminal.reasons import format_reason
from noisegate_cli.terminal.summary import format_sample_type
from noisegate_cli.terminal.tracks import format_track
from noisegate_cli.text import (
    format_bytes,
    format_db,
    format_duration,
    format_level,
    format_time,
    quote_path,
)

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from noisegate_cli.api.file_analysis import AnalysisReport
    from noisegate_cli.batch.interface import BatchReport
    from noisegate_cli.batch.records import ReviewCandidate
    from noisegate_cli.gating.analysis import LevelReport
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.gating.simulation import Trial
    from noisegate_cli.plots.overview import Overview

OCTAVE_BAR_WIDTH_CHARS, OCTAVE_BAR_RANGE_DB = 40, 60.0
"""Width of the bar of the loudest octave, and the distance below it where the width is 0."""

FORCE_HINT = " (--force overwrites it)"

OPTIONAL_SWEEP_COLUMNS = ("openings/min", "cut-offs/min", "at risk", "dBFS", "")
"""Columns that a narrow terminal does not show, from the least important on."""

MAX_CUTOFF_TIMES = 2
"""Number of the times of cut-offs in a row of the table of recordings to review."""

SWEEP_STEP_DB, MAX_SWEEP_ROWS = 3, 9
"""Step between displayed trials, which are 1 dB apart, and the greatest number of them."""


def build_analysis_table(
    report: "AnalysisReport",
    ascii_only: bool = False,
    overview: "Overview | None" = None,
    width: int = 80,
) -> "Group":
    """Return an analysis as a rich renderable, with a timeline if there is an overview."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    levels = report.levels
    parts: list[Any] = [
        Text(quote_path(report.info.path), style="bold"),
        Padding(_build_levels_table(report), (0, 0, 0, 2), expand=False),
    ]
    if levels.histogram.nonsilent_frames:
        threshold, inner_width = levels.suggestion.threshold, width - 4
        if overview:
            from noisegate_cli.terminal.timeline import build_timeline

            text = build_timeline(overview, inner_width, ascii_only)
            parts.append(Padding(text, (1, 2, 0, 2), expand=False))
        text = build_histogram(levels.histogram, threshold, inner_width, ascii_only)
        parts.append(Padding(text, (1, 2), expand=False))
    if levels.trials or levels.given_trial:
        sweep = _build_sweep_table(levels, ascii_only)
        sweep = drop_columns(sweep, OPTIONAL_SWEEP_COLUMNS, width - 2)
        parts.append(Padding(sweep, (0, 0, 0, 2), expand=False))
        legend = "at risk: signal that the threshold would mute; agrees: with the automatic gate"
        if not any(trial.agreement for trial in levels.trials):
            legend = "at risk, agrees: unknown, because the automatic gate finds no pauses"
        parts.append(Padding(Text(legend), (0, 0, 1, 2), expand=False))
    parts.append(Padding(_build_suggestion_table(report), (0, 0, 0, 2), expand=False))
    for gate, noise in enumerate(levels.noises):
        channel = f", channel {gate + 1}" if len(levels.noises) > 1 else ""
        text = _build_noise_text(noise, channel, ascii_only)
        parts.append(Padding(text, (1, 2, 0, 2), expand=False))
    return Group(*parts)


def drop_columns(table: "Table", optional: "Sequence[str]", width: int) -> "Table":
    """Return a table without optional columns, dropped in this order until it fits `width`."""
    from rich.cells import cell_len
    from rich.table import Table

    columns = {str(column.header): (column, list(column.cells)) for column in table.columns}
    _, right, _, left = table.padding

    def measure() -> int:
        widths = [max(map(cell_len, [h, *map(str, c)])) for h, (_, c) in columns.items()]
        return sum(widths) + (left + right) * (len(widths) - 1)

    for header in optional:
        if measure() > width:
            columns.pop(header, None)
    narrow = Table(box=None, pad_edge=False, padding=table.padding, header_style="")
    for header, (column, _) in columns.items():
        narrow.add_column(header, justify=column.justify)
    for row, cells in zip(
        table.rows, zip(*(c for _, c in columns.values()), strict=True), strict=True
    ):
        narrow.add_row(*cells, style=row.style)
    return narrow


def _create_fact_table() -> "Table":
    """Return an empty table with a column of labels and a column of values."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    return table


def _build_levels_table(report: "AnalysisReport") -> "Table":
    """Return the measured levels of a recording."""
    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    table = _create_fact_table()
    if track := format_track(info):
        table.add_row("track", track)
    channels = "mono" if info.channels == 1 else f"{info.channels} channels"
    table.add_row(
        "recording",
        f"{format_duration(info.duration)}, {info.sample_rate} Hz, {channels}, "
        f"{format_sample_type(info)}",
    )
    table.add_row("peak, RMS", f"{format_db(levels.peak_db)}FS, {format_db(levels.rms_db)}FS")
    if math.isfinite(suggestion.noise_floor_db):
        table.add_row("noise floor", f"{format_db(suggestion.noise_floor_db)}FS")
        if math.isfinite(suggestion.active_db):
            table.add_row(
                "active level",
                f"{format_db(suggestion.active_db)}FS, {suggestion.contrast_db:.1f} dB above the "
                "floor",
            )
        table.add_row(
            "frames, dBFS",
            "  ".join(f"{p} %: {db:.0f}" for p, db in levels.percentiles_db.items()),
        )
    if levels.silent_share:
        table.add_row(
            "digital silence", f"{100 * levels.silent_share:.1f} % of the frames, not counted"
        )
    return table


def _build_suggestion_table(report: "AnalysisReport") -> "Table":
    """Return the suggested threshold with its reason, and notes about the recording."""
    from rich.text import Text

    levels, suggestion = report.levels, report.levels.suggestion
    table = _create_fact_table()
    style = "yellow" if suggestion.threshold is None else ""
    table.add_row("automatic", Text(format_reason(suggestion), style=style))
    if suggestion.confidence:
        table.add_row(
            "confidence",
            f"{100 * suggestion.confidence:.0f} % of the frames are clearly signal or noise",
        )
    table.add_row(
        "would close",
        f"{100 * levels.closed_share:.1f} % of the time, "
        f"{levels.openings_per_minute:.0f} openings per minute"
        + (", with the given threshold" if levels.given_trial else ""),
    )
    if suggestion.threshold is not None:
        text = Text(format_level(suggestion.threshold), style="bold green")
        text.append(
            f", agrees with the automatic gate for {100 * (suggestion.agreement or 0):.0f} %",
            style="none",
        )
        table.add_row("threshold", text)
    if suggestion.estimates_db:
        table.add_row("estimates", _format_estimates(suggestion.estimates_db))
    for sentence in report.warnings:
        table.add_row("warning", Text(to_flags(sentence), style="yellow"))
    for sentence in collect_advice(report):
        table.add_row("note", Text(sentence, style="yellow"))
    return table


def _format_estimates(estimates_db: "Mapping[str, float]") -> str:
    """Return the estimate of each method in dBFS, and their spread."""
    spread = max(estimates_db.values()) - min(estimates_db.values())
    estimates = (f"{name.removeprefix('auto:')} {db:.0f}" for name, db in estimates_db.items())
    return f"{'  '.join(estimates)} dBFS, within {spread:.0f} dB"


def format_octave(hz: float) -> str:
    """Return the nominal frequency of the octave around `hz`, which is a power of 2 × 1000 Hz.

    Examples
    --------
    >>> format_octave(31.25), format_octave(125.1), format_octave(4000)
    ('31 Hz', '125 Hz', '4 kHz')
    """
    return f"{hz / 1000:.0f} kHz" if hz > 900 else f"{hz:.0f} Hz"


def _build_noise_text(noise: "NoiseProfile | None", channel: str, ascii_only: bool) -> "Text":
    from rich.text import Text

    if noise is None:
        hint = "give it with --noise FROM-TO or --noise FILE"
        return Text(f"noise{channel}: none was learned, {hint}", style="yellow")
    text = Text(f"noise{channel}, {noise.level_db():.1f} dBFS, in octave bands:\n")
    bands = noise.compute_band_levels(1)
    loudest = max((db for _, _, db in bands if math.isfinite(db)), default=0.0)
    for low, _, db in bands:
        hz = format_octave(low * 2**0.5)
        share = 1 + (db - loudest) / OCTAVE_BAR_RANGE_DB if math.isfinite(db) else 0.0
        width = round(OCTAVE_BAR_WIDTH_CHARS * max(0.0, share))
        text.append(f"{hz:>8} {db:6.1f} dB ")
        text.append(("#" if ascii_only else "█") * width + "\n")
    text.rstrip()
    return text


def _build_sweep_table(levels: "LevelReport", ascii_only: bool) -> "Table":
    from rich.table import Table

    from noisegate_cli.gating.simulation import best_trial

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    titles = ("-t", "dBFS", "closed", "openings/min", "cut-offs/min", "at risk", "agrees", "")
    for title in titles:
        table.add_column(title, justify="left" if not title else "right")
    arrow = "<--" if ascii_only else "◄──"
    best, given = best_trial(levels.trials), levels.given_trial
    rows = [(trial, f"{arrow} suggested" if trial is best else "") for trial in levels.trials]
    rows = _select_rows(rows, levels.trials.index(best) if best else None)
    if given:
        rows = [*rows, (given, f"{arrow} given")]
    for trial, mark in sorted(rows, key=lambda row: row[0].threshold_db):
        table.add_row(
            f"{10 ** (trial.threshold_db / 20):.3g}",
            f"{trial.threshold_db:.0f}",
            f"{100 * trial.closed_share:.0f} %",
            f"{trial.openings_per_minute:.0f}",
            f"{trial.cutoffs_per_minute:.0f}",
            "" if trial.at_risk is None else f"{100 * trial.at_risk:.1f} %",
            "" if trial.agreement is None else f"{100 * trial.agreement:.0f} %",
            mark,
            style="bold" if mark else None,
        )
    return table


def _select_rows(rows: "list[tuple[Trial, str]]", center: int | None) -> "list[tuple[Trial, str]]":
    """Return a few rows around the row `center`, or from all of them without a center."""
    if center is None:
        return rows[:: max(SWEEP_STEP_DB, -(-len(rows) // MAX_SWEEP_ROWS))]
    displayed = rows[center % SWEEP_STEP_DB :: SWEEP_STEP_DB]
    half = MAX_SWEEP_ROWS // 2
    place = center // SWEEP_STEP_DB
    return displayed[max(0, place - half) : place + half + 1]


def build_batch_table(report: "BatchReport") -> "Group":
    """Return the summary of a batch as a rich renderable, with recordings to review first."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from noisegate_cli.batch.incremental import FORCE_ONLY_REASONS

    table = _create_fact_table()
    if report.dry_run:
        _add_planned_work(table, report)
    else:
        speed = report.audio_seconds / max(report.seconds, 1e-9)
        table.add_row(
            "gated",
            f"{report.done} of {report.total} recordings, {format_duration(report.audio_seconds)} "
            f"in {format_duration(report.seconds)} ({speed:.0f} × real time)",
        )
    if report.thresholds:
        table.add_row("threshold", _format_shared_thresholds(report.thresholds))
    if report.done:
        table.add_row("closed", f"{100 * report.closed_share:.1f} % of the time")
        reviews = ", ".join(f"{number} {reason}" for reason, number in report.review_counts.items())
        table.add_row("to review", reviews or "none")
    for reason, number in report.skip_reasons.items():
        table.add_row(
            "skipped", f"{number}: {reason}" + (FORCE_HINT if reason in FORCE_ONLY_REASONS else "")
        )
    if report.failed:
        table.add_row("failed", Text(str(report.failed), style="bold red"))
    if report.unreadable_lines:
        table.add_row("manifest", f"{report.unreadable_lines} unreadable lines were ignored")
    if not report.is_locked:
        table.add_row(
            "note", "this filesystem has no locks: do not run another batch into the same folder"
        )
    table.add_row("output", Text(quote_path(report.output)))
    if not report.review_candidates:
        return Group(table)
    review = _build_review_table(report.review_candidates)
    parts: list[Any] = [Padding(review, (0, 0, 1, 0), expand=False), table]
    hidden = sum(report.review_counts.values()) - len(report.review_candidates)
    if hidden > 0:
        text = f"The table is truncated: {hidden} more recordings. --report FILE lists all of them."
        parts.insert(1, Padding(Text(text), (0, 0, 1, 0), expand=False))
    return Group(*parts)


def _add_planned_work(table: "Table", report: "BatchReport") -> None:
    """Add what a batch would gate, and the disk space that it would need."""
    from rich.text import Text

    reasons = ", ".join(f"{number} {reason}" for reason, number in report.reasons.items())
    table.add_row(
        "would gate",
        f"{report.to_do} of {report.total} recordings, {format_duration(report.audio_seconds)}"
        + (f" ({reasons})" if report.to_do else ""),
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
            f"{100 * candidate.closed_share:.0f} %",
            "" if candidate.contrast_db is None else f"{candidate.contrast_db:.0f} dB",
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

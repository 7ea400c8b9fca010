"""Format an analysis as tables for a terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from noisegate_cli.files.audio_info import quote_input
from noisegate_cli.terminal.display.advice import collect_advice
from noisegate_cli.terminal.display.histogram import build_histogram
from noisegate_cli.terminal.display.reasons import format_contrast, format_reason
from noisegate_cli.terminal.display.recording_lines import describe_bleed, format_track
from noisegate_cli.terminal.display.summary import format_sample_type
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.text import (
    format_db,
    format_duration,
    format_level,
    pluralize,
)

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from noisegate_cli.api.analysis_report import AnalysisReport
    from noisegate_cli.gating.level_report import LevelReport
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.gating.trials import Trial
    from noisegate_cli.plots.overview import Timeline

OCTAVE_BAR_WIDTH_CHARS, OCTAVE_BAR_RANGE_DB = 40, 60.0
"""Width of the bar of the loudest octave, and the distance below it where the width is 0."""

NOTICE_STYLE = "bold magenta"
"""Style of the label of a note, legible on dark and on light backgrounds."""

SHOWN_PERCENTILES = (5, 25, 50, 75, 95)
"""Percentiles for which a terminal of 80 columns has room."""

OPTIONAL_SWEEP_COLUMNS = ("openings/min", "cut-offs/min", "at risk", "dBFS", "")
"""Columns that a narrow terminal does not show, from the least important on."""

SWEEP_LEGENDS = {
    "at risk": "at risk: signal that the threshold would mute",
    "agrees": "agrees: with the automatic gate",
}

SWEEP_STEP_DB, MAX_SWEEP_ROWS = 3, 9
"""Step between displayed trials, which are 1 dB apart, and the greatest number of them."""


def build_analysis_table(
    report: "AnalysisReport",
    ascii_only: bool = False,
    timeline: "Timeline | None" = None,
    width: int = 80,
) -> "Group":
    """Return an analysis as a rich renderable, with a timeline if it is given."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    levels = report.levels
    parts: list[Any] = [
        Text(quote_input(report.info.path), style="bold"),
        Padding(_build_levels_table(report), (0, 0, 0, 2), expand=False),
    ]
    if levels.histogram.nonsilent_frames:
        threshold, inner_width = levels.suggestion.threshold, width - 4
        if timeline:
            from noisegate_cli.terminal.display.timeline import build_timeline

            text = build_timeline(timeline, inner_width, ascii_only)
            parts.append(Padding(text, (1, 2, 0, 2), expand=False))
        text = build_histogram(levels.histogram, threshold, inner_width, ascii_only)
        parts.append(Padding(text, (1, 2), expand=False))
    if levels.trials or levels.given_trial:
        sweep = _build_sweep_table(levels, ascii_only)
        sweep = drop_columns(sweep, OPTIONAL_SWEEP_COLUMNS, width - 2)
        shown = [column.header for column in sweep.columns]
        legends = [text for title, text in SWEEP_LEGENDS.items() if title in shown]
        parts.append(Padding(sweep, (0, 0, not legends, 2), expand=False))
        if legends:
            parts.append(Padding(Text("; ".join(legends)), (0, 0, 1, 2), expand=False))
    parts.append(Padding(_build_suggestion_table(report), (0, 0, 0, 2), expand=False))
    for gate, noise in enumerate(levels.noises):
        channel = f", channel {gate + 1}" if len(levels.noises) > 1 else ""
        text = _build_noise_text(noise, channel, ascii_only)
        is_last = gate == len(levels.noises) - 1
        parts.append(Padding(text, (1, 2, is_last, 2), expand=False))
    return Group(*parts)


def drop_columns(table: "Table", optional: "Sequence[str]", width: int) -> "Table":
    """Return a table without empty columns, and without optional ones until it fits `width`.

    The optional columns are dropped in their order.
    """
    from rich.cells import cell_len
    from rich.table import Table

    columns = {
        str(column.header): (column, cells)
        for column in table.columns
        if any(map(str, cells := [*column.cells]))
    }
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
    lines = zip(*(cells for _, cells in columns.values()), strict=True)
    for row, line in zip(table.rows, lines, strict=True):
        narrow.add_row(*line, style=row.style)
    return narrow


def create_fact_table() -> "Table":
    """Return an empty table with a column of labels and a column of values."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    return table


def _build_levels_table(report: "AnalysisReport") -> "Table":
    """Return the measured levels of a recording."""
    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    table = create_fact_table()
    if track := format_track(info):
        table.add_row("track", track)
    channels = "mono" if info.channels == 1 else f"{info.channels} channels"
    table.add_row(
        "recording",
        f"{format_duration(info.duration)}, {info.sample_rate} Hz, {channels}, "
        f"{format_sample_type(info)}",
    )
    if math.isfinite(levels.peak_db):
        table.add_row("peak, RMS", f"{format_db(levels.peak_db)}FS, {format_db(levels.rms_db)}FS")
    if math.isfinite(suggestion.noise_floor_db):
        table.add_row("noise floor", f"{format_db(suggestion.noise_floor_db)}FS")
        if math.isfinite(suggestion.active_db):
            contrast = format_contrast(suggestion.noise_floor_db, suggestion.active_db)
            table.add_row(
                "active level", f"{format_db(suggestion.active_db)}FS, {contrast} above the floor"
            )
        table.add_row(
            "frames, dBFS",
            "  ".join(f"{p}%: {levels.percentiles_db[p]:.0f}" for p in SHOWN_PERCENTILES),
        )
    if levels.silent_share:
        table.add_row(
            "digital silence", f"{100 * levels.silent_share:.1f}% of the frames, not counted"
        )
    return table


def _build_suggestion_table(report: "AnalysisReport") -> "Table":
    """Return the suggested threshold with its reason, and notes about the recording."""
    from rich.text import Text

    levels, suggestion = report.levels, report.levels.suggestion
    table = create_fact_table()
    style = NOTICE_STYLE if suggestion.threshold is None else ""
    table.add_row(Text("automatic", style=style), format_reason(suggestion))
    if suggestion.confidence:
        table.add_row(
            "confidence",
            f"{100 * suggestion.confidence:.0f}% of the frames are clearly signal or noise",
        )
    table.add_row(
        "would close",
        f"{100 * levels.closed_share:.1f}% of the time, "
        f"{pluralize(round(levels.openings_per_minute), 'opening')} per minute"
        + (", with the given threshold" if levels.given_trial else ""),
    )
    if report.bleed:
        for number, line in enumerate(describe_bleed(report.bleed, report.others)):
            table.add_row("" if number else "bleed", line)
    if suggestion.threshold is not None:
        text = Text.assemble((format_level(suggestion.threshold), "bold green"))
        if suggestion.agreement is not None:
            agreement = f"{100 * suggestion.agreement:.0f}% of the time"
            text.append(f", agrees with the automatic gate for {agreement}")
        table.add_row("threshold", text)
    if suggestion.estimates_db:
        table.add_row("estimates", _format_estimates(suggestion.estimates_db))
    for sentence in report.warnings:
        table.add_row(Text("warning", style=NOTICE_STYLE), to_flags(sentence))
    for sentence in collect_advice(report):
        table.add_row(Text("note", style=NOTICE_STYLE), sentence)
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
        return Text.assemble((f"noise{channel}", NOTICE_STYLE), f": none was learned, {hint}")
    text = Text(f"noise{channel} in octave bands, dBFS:\n")
    bands = noise.compute_band_levels(1)
    loudest = max((db for _, _, db in bands if math.isfinite(db)), default=0.0)
    for low, _, db in bands:
        hz = format_octave(low * 2**0.5)
        share = 1 + (db - loudest) / OCTAVE_BAR_RANGE_DB if math.isfinite(db) else 0.0
        width = round(OCTAVE_BAR_WIDTH_CHARS * max(0.0, share))
        text.append(f"{hz:>8} {db:6.1f} ")
        text.append(("#" if ascii_only else "█") * width + "\n")
    text.rstrip()
    return text


def _build_sweep_table(levels: "LevelReport", ascii_only: bool) -> "Table":
    from rich.table import Table

    from noisegate_cli.gating.trials import best_trial

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
            f"{100 * trial.closed_share:.0f}%",
            f"{trial.openings_per_minute:.0f}",
            f"{trial.cutoffs_per_minute:.0f}",
            "" if trial.at_risk is None else f"{100 * trial.at_risk:.1f}%",
            "" if trial.agreement is None else f"{100 * trial.agreement:.0f}%",
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

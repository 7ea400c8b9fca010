"""A recording across the width of a terminal: its peaks, and where a gate is open."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from noisegate_cli.plots.style import TIME_STEPS_S, format_clock
from noisegate_cli.samples import to_db

if TYPE_CHECKING:
    from rich.text import Text

    from noisegate_cli.plots.overview import Timeline

PEAK_ROWS = 3

PEAK_FLOOR_DB = -60.0
"""Peaks at or below this level, in dBFS, have no bar."""

LABEL_WIDTH_CHARS = 9

MIN_COLUMNS = 16

BLOCKS, ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " .:|"
"""Bars of one character, by height."""

STATES, ASCII_STATES = "·░▒▓█", ".-+*#"
"""Share of a column in which the gate is open, from never to always."""

CUT, ASCII_CUT = "▲", "^"

OPEN_STYLE, CUT_STYLE = "green", "bold red"


def build_timeline(timeline: "Timeline", width: int, ascii_only: bool = False) -> "Text":
    """Return the timeline of a gate, at most `width` characters wide, without trailing spaces.

    The rows are the peak of each column on a scale of dB, the share of its time in which the gate
    is open, the sounds that the gate cuts off, and the time.
    """
    from rich.text import Text

    columns = max(MIN_COLUMNS, width - LABEL_WIDTH_CHARS)
    text = Text()
    for label, line, style in _build_rows(timeline, columns, ascii_only):
        shown = line.rstrip()
        text.append(f"{label:<{LABEL_WIDTH_CHARS}}" if shown else label)
        text.append(shown + "\n", style=style)
    text.rstrip()
    return text


def _build_rows(
    timeline: "Timeline", columns: int, ascii_only: bool
) -> "list[tuple[str, str, Any]]":
    """Return the label, the characters and the style of each row."""
    blocks, states, cut = (
        (ASCII_BLOCKS, ASCII_STATES, ASCII_CUT) if ascii_only else (BLOCKS, STATES, CUT)
    )
    rows: list[tuple[str, str, Any]] = []
    labels = ["0 dBFS", "peak", f"{PEAK_FLOOR_DB:.0f}"]
    for label, line in zip(labels, _draw_peaks(timeline, columns, blocks), strict=True):
        rows.append((label, line, ""))
    open_share = timeline.open_share(columns)
    steps = np.ceil(open_share * (len(states) - 2)).astype(int) + (open_share >= 1)
    rows.append(("gate", "".join(states[i] for i in steps), OPEN_STYLE))
    cutoffs = timeline.report.cutoffs
    if cutoffs.count:
        marks = [" "] * columns
        for cutoff in cutoffs.marked:
            marks[min(columns - 1, int(cutoff.time / timeline.duration * columns))] = cut
        rows.append(("cut-offs", "".join(marks), CUT_STYLE))
    rows.append(("", _draw_times(timeline.duration, columns, timeline.offset_s), ""))
    legend = f"open {states[-1]}  partly {states[1:-1]}  closed {states[0]}"
    if cutoffs.count > len(cutoffs.marked):
        legend += f"  the worst {len(cutoffs.marked)} of {cutoffs.count} cut-offs {cut}"
    rows.append(
        ("", legend if len(legend) <= columns else f"{states[-1]} open, {states[0]} closed", "")
    )
    return rows


def _draw_peaks(timeline: "Timeline", columns: int, blocks: str) -> list[str]:
    """Return the rows of the bars that show the peak of each column, the uppermost first."""
    samples = timeline.before.resample(columns)
    peaks_db = to_db(np.maximum(np.maximum(-samples.low, samples.high), 1e-9))
    levels = len(blocks) - 1
    share = np.clip(1 - peaks_db / PEAK_FLOOR_DB, 0.0, 1.0)
    heights = np.rint(share * PEAK_ROWS * levels).astype(int)
    return [
        "".join(blocks[min(max(0, height - row * levels), levels)] for height in heights)
        for row in reversed(range(PEAK_ROWS))
    ]


def _draw_times(duration: float, columns: int, offset_s: float) -> str:
    """Return labels of round times, each at its column; the first column is at `offset_s`."""
    end = offset_s + duration
    for step in TIME_STEPS_S:
        if duration / step * 3 > columns:
            continue
        times = [i * step for i in range(math.ceil(offset_s / step), int(end / step) + 1)]
        if not times:
            break
        labels = [format_clock(time, step) for time in times]
        starts = [round((time - offset_s) / duration * columns) for time in times]
        line = ""
        for start, label in zip(starts, labels, strict=True):
            if line and start < len(line) + 2:
                break
            if start + len(label) <= columns:
                line = f"{line:<{start}}{label}"
        else:
            return line
    return format_clock(offset_s, 0.1 if offset_s else 1.0)

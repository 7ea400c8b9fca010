"""Histogram of frame levels as lines of text."""

import math
from typing import TYPE_CHECKING

from noisegate_cli.api.result_data import level_db

if TYPE_CHECKING:
    from rich.text import Text

    from noisegate_cli.gating.frames.histogram import LevelHistogram

LABEL_WIDTH_CHARS = len("-120 to -117 dB ")

MAX_BAR_CHARS, MIN_BAR_CHARS = 80, 8


def build_histogram(
    histogram: "LevelHistogram", threshold: float | None, width: int, ascii_only: bool = False
) -> "Text":
    """Return a histogram, at most `width` characters wide, with an arrow at the threshold."""
    from rich.text import Text

    block, arrow = ("#", "<--") if ascii_only else ("█", "◄──")
    threshold_db = level_db(threshold or 0.0)
    note = f" {arrow} -t {threshold_db:.1f} dBFS" if math.isfinite(threshold_db) else ""
    if width - LABEL_WIDTH_CHARS - len(note) < 2 * MIN_BAR_CHARS:
        note = f" {arrow} -t" if note else ""
    bar_chars = min(MAX_BAR_CHARS, max(MIN_BAR_CHARS, width - LABEL_WIDTH_CHARS - len(note)))
    rows = histogram.rebin()
    max_frames = max(frames for _, _, frames in rows) or 1
    text = Text()
    for start, end, frames in rows:
        bar = block * math.ceil(bar_chars * frames / max_frames)
        has_threshold = start <= threshold_db < end
        text.append(f"{start:4.0f} to {end:3.0f} dB" + (" " if bar or has_threshold else ""))
        text.append(
            f"{bar:<{bar_chars}}" if has_threshold else bar,
            style="green" if start >= threshold_db else "",
        )
        text.append(note if has_threshold else "", style="bold")
        text.append("\n")
    text.rstrip()
    return text

"""A sheet of small plots of several recordings."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from noisegate_cli.plots.overview import Overview
from noisegate_cli.plots.panels import amplitude_limit, draw_range, mark_cuts, shade_closed
from noisegate_cli.plots.style import (
    BLUE,
    VERMILION,
    create_figure,
    own_style,
    set_time_axis,
    set_title,
)
from noisegate_cli.text import escape_unprintable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHEET_COLUMNS = 2

WIDTH_IN, PANEL_HEIGHT_IN, TITLE_HEIGHT_IN = 12.0, 1.7, 0.5

MAX_NAME_CHARS = 48
"""Longer names lose their beginning, since folders come first."""


class SheetEntry(NamedTuple):
    """One recording of a contact sheet."""

    name: str
    reason: str
    """Reason to listen to it."""
    overview: Overview


def draw_contact_sheet(entries: Sequence[SheetEntry], title: str) -> "Figure":
    """Return a sheet with the waveform of each recording, its cut-offs and its closed segments.

    Parameters
    ----------
    entries
        The recordings, at least one.
    title
        Title of the sheet.
    """
    rows = math.ceil(len(entries) / SHEET_COLUMNS)
    with own_style():
        figure = create_figure(WIDTH_IN, TITLE_HEIGHT_IN + rows * PANEL_HEIGHT_IN)
        panels = list(figure.subplots(rows, SHEET_COLUMNS, squeeze=False).flat)
        set_title(figure, title, fontsize="large")
        for axes, entry in zip(panels, entries, strict=False):
            _draw_entry(axes, entry)
        for axes in panels[len(entries) :]:
            axes.axis("off")
    return figure


def _draw_entry(axes: "Axes", entry: SheetEntry) -> None:
    overview = entry.overview
    limit = amplitude_limit(overview.before)
    shade_closed(axes, overview)
    draw_range(axes, overview.before, 1 / overview.sample_rate, BLUE)
    axes.set_ylim(-limit, limit)
    axes.locator_params(axis="y", nbins=3)
    mark_cuts(axes, overview, limit)
    name = escape_unprintable(entry.name)
    name = name if len(name) <= MAX_NAME_CHARS else f"…{name[1 - MAX_NAME_CHARS :]}"
    set_title(axes, name)
    closed = f"{100 * overview.report.statistics.closed_share:.0f}% closed"
    axes.set_title(f"{entry.reason}, {closed}", loc="right", color=VERMILION)
    set_time_axis(axes, overview.duration, overview.offset_s, max_ticks=6)

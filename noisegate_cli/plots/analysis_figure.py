"""The plot of an analysis: the levels of a recording, and what a gate would do."""

from typing import TYPE_CHECKING

from noisegate_cli.plots.overview import Overview
from noisegate_cli.plots.panels import (
    amplitude_limit,
    describe_closed,
    draw_histogram,
    draw_levels,
    draw_scores,
    draw_spectrogram,
    draw_waveform,
    has_scores,
    mark_cuts,
    separated_levels,
)
from noisegate_cli.plots.style import (
    create_figure,
    format_number,
    own_style,
    place_ylabel,
    set_figure_title,
    set_time_axis,
)
from noisegate_cli.text import format_duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_IN = 12.0


def draw_analysis(overview: Overview, name: str, suggested_db: float | None = None) -> "Figure":
    """Return the plot of an analysis.

    It shows the waveform with the closed segments shaded, the level of each frame with the
    thresholds, the histogram of the levels, the scores of the automatic detector and the
    spectrogram.

    Parameters
    ----------
    overview
        Recorded with a spectrogram.
    name
        Name of the recording.
    suggested_db
        Fixed threshold that an analysis suggests, in dBFS; None if there is none.
    """
    assert overview.spectrogram is not None
    scores = [1.3] if has_scores(overview) else []
    heights = [1.3, 1.8, *scores, 2.0]
    with own_style():
        figure = create_figure(WIDTH_IN, 0.9 + 1.35 * sum(heights))
        grid = figure.add_gridspec(len(heights), 2, width_ratios=(5, 1), height_ratios=heights)
        panels = [figure.add_subplot(grid[row, 0]) for row in range(len(heights))]
        set_figure_title(figure, name, describe(overview))
        limit = amplitude_limit(overview.before)
        title = f"waveform, {describe_closed(overview)}"
        draw_waveform(panels[0], overview, overview.before, title, limit)
        mark_cuts(panels[0], overview, limit)
        draw_levels(panels[1], overview, suggested_db)
        histogram = figure.add_subplot(grid[1, 1], sharey=panels[1])
        draw_histogram(histogram, overview)
        if scores:
            # Its labels are next to the gap between two panels, which need not grow for them.
            histogram.xaxis.set_in_layout(False)
            draw_scores(panels[2], overview)
        mesh = draw_spectrogram(panels[-1], overview.spectrogram, "spectrogram")
        # In the column of the histogram, which otherwise would be far from its panel.
        cell = figure.add_subplot(grid[-1, 1])
        cell.axis("off")
        figure.colorbar(mesh, cax=cell.inset_axes((0.0, 0.0, 0.08, 1.0)), label="dBFS")
        for axes in panels:
            set_time_axis(axes, overview.duration, overview.offset_s)
            axes.tick_params(labelbottom=axes is panels[-1])
            place_ylabel(axes)
        panels[-1].grid(visible=False)
    return figure


def describe(overview: Overview) -> str:
    """Return the length, the format and the levels of a recording in a few words."""
    channels = {1: "mono", 2: "stereo"}.get(overview.channels, f"{overview.channels} channels")
    parts = [format_duration(overview.duration), f"{overview.sample_rate} Hz {channels}"]
    if levels := separated_levels(overview):
        noise, signal = (format_number(levels[name], 0) for name in ("noise", "signal"))
        parts.append(f"noise around {noise} dBFS, signal around {signal} dBFS")
    return " · ".join(parts)

"""The plot of a gate: before, gain, after, removed."""

from typing import TYPE_CHECKING

from noisegate_cli.plots.analysis_figure import WIDTH_IN, describe
from noisegate_cli.plots.overview import Overview
from noisegate_cli.plots.panels import (
    amplitude_limit,
    describe_closed,
    draw_gains,
    draw_spectrogram,
    draw_waveform,
    mark_cuts,
    max_level,
)
from noisegate_cli.plots.style import (
    GREEN,
    VERMILION,
    create_figure,
    own_style,
    place_ylabel,
    set_figure_title,
    set_time_axis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_ZOOM = 2.0
"""The removed signal gets its own axis if it is smaller by this factor."""


def draw_gate(overview: Overview, name: str) -> "Figure":
    """Return the plot of a gate.

    It shows the waveforms before and after the gate, the gain between them, and the removed
    signal. For a spectral gate it also shows the spectrograms before and after.

    Parameters
    ----------
    overview
        Recorded while the gate ran.
    name
        Name of the recording.
    """
    spectrograms = [s for s in (overview.spectrogram, overview.spectrogram_after) if s]
    heights = [1.4, 0.8, 1.4, 1.4] + [1.6] * len(spectrograms)
    limit = amplitude_limit(overview.before, overview.after)
    removed_limit = amplitude_limit(overview.removed)
    if limit / removed_limit < MIN_ZOOM:
        removed_limit = limit
    with own_style():
        figure = create_figure(WIDTH_IN, 0.9 + 1.2 * sum(heights))
        panels = list(figure.subplots(len(heights), 1, gridspec_kw={"height_ratios": heights}).flat)
        set_figure_title(figure, name, describe(overview))
        before = f"before, {describe_closed(overview)}"
        draw_waveform(panels[0], overview, overview.before, before, limit)
        mark_cuts(panels[0], overview, limit)
        draw_gains(panels[1], overview)
        draw_waveform(panels[2], overview, overview.after, "after", limit, GREEN)
        zoom = f", magnified {limit / removed_limit:.0f} times" if removed_limit < limit else ""
        draw_waveform(
            panels[3], overview, overview.removed, f"removed signal{zoom}", removed_limit, VERMILION
        )
        titles = ("spectrogram before", "spectrogram after")
        for axes, spectrogram, title in zip(panels[4:], spectrograms, titles, strict=False):
            mesh = draw_spectrogram(axes, spectrogram, title, max_level(spectrograms[0]))
            bar = axes.inset_axes((1.01, 0.0, 0.012, 1.0))
            figure.colorbar(mesh, cax=bar, label="dBFS")
        for axes in panels:
            set_time_axis(axes, overview.duration, overview.offset_s)
            axes.tick_params(labelbottom=axes is panels[-1])
            place_ylabel(axes)
        for axes in panels[4:]:
            axes.grid(visible=False)
    return figure

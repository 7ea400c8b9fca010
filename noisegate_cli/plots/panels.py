"""Panels of plots: each draws one kind of data into the axes that it gets."""

from typing import TYPE_CHECKING, Any

import numpy as np

from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.plots.overview import Overview
from noisegate_cli.plots.style import (
    BLUE,
    CLOSED,
    FLOOR_DB,
    LIGHT_BLUE,
    LIGHT_VERMILION,
    NOISE,
    TEXT,
    VERMILION,
    format_number,
    set_title,
)
from noisegate_cli.plots.tracks import Range, Spectrogram
from noisegate_cli.text import format_duration, pluralize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

SPECTROGRAM_RANGE_DB = 80.0
"""Distance from the loudest color of a spectrogram to the quietest."""

LOWEST_SHARE = 0.003
"""Share of the frames that may lie below an axis of levels, such as those of a fade-in."""

MAX_GAIN_BIN_S = 0.25
"""In longer bins the gain is nearly always both high and low, so that its range shows nothing."""

OPENNESS_COLUMNS = 360
"""Number of columns; each shows the share of its time in which the gate is open."""

MIN_AMPLITUDE = 1e-4
"""Smallest limit of an axis of amplitudes. Digital silence has an axis of full scale."""


def draw_range(
    axes: "Axes", values: Range, unit_s: float, color: str, fill: str | None = None
) -> None:
    """Draw the lowest and the highest value in each bin as an area, single values as a line.

    Parameters
    ----------
    axes
        Where to draw.
    values
        The values; infinite ones are drawn beyond the axes.
    unit_s
        Time from one value to the next in seconds.
    color
        Color of the area and of its outline.
    fill
        Lighter color of the area, if only the highest values get the other one.
    """
    low, high = (np.nan_to_num(part, neginf=-1e4) for part in (values.low, values.high))
    if not len(low):
        return
    times = values.edges * unit_s
    low, high = np.append(low, low[-1]), np.append(high, high[-1])
    is_binned = values.bin_length > 1
    if not np.array_equal(low, high):
        # Without an outline, an area between equal values would be invisible.
        step: Any = "post" if is_binned else None
        axes.fill_between(times, low, high, color=fill or color, linewidth=0.8, step=step)
    if fill or np.array_equal(low, high):
        drawstyle: Any = "steps-post" if is_binned else "default"
        axes.plot(times, high, color=color, linewidth=0.8, drawstyle=drawstyle)


def shade_closed(axes: "Axes", overview: Overview) -> None:
    """Shade the segments in which the gate is closed."""
    spans = [(start, end - start) for start, end in overview.closed_seconds]
    axes.broken_barh(
        spans,
        (0, 1),
        transform=axes.get_xaxis_transform(),
        facecolor=CLOSED,
        edgecolor="none",
        zorder=0.5,
    )


def mark_cuts(axes: "Axes", overview: Overview, limit: float) -> None:
    """Mark the cut-offs at the bottom of a waveform."""
    times = [cutoff.time for cutoff in overview.report.cutoffs.marked]
    if times:  # An empty line that is not clipped would break the layout.
        axes.plot(times, [-limit] * len(times), "^", color=VERMILION, markersize=5, clip_on=False)


def amplitude_limit(*ranges: Range) -> float:
    """Return the limit of an axis that shows the amplitudes of all `ranges`."""
    peaks = [max(-r.low.min(), r.high.max()) for r in ranges if len(r.low)]
    return max(MIN_AMPLITUDE, 1.05 * max(peaks, default=0.0)) if any(peaks) else 1.0


def draw_waveform(
    axes: "Axes", overview: Overview, samples: Range, title: str, limit: float, color: str = BLUE
) -> None:
    """Draw samples between −limit and limit, with the closed segments shaded."""
    shade_closed(axes, overview)
    draw_range(axes, samples, 1 / overview.sample_rate, color)
    axes.set_ylim(-limit, limit)
    axes.locator_params(axis="y", nbins=5)
    axes.set_ylabel("amplitude")
    set_title(axes, title)


def level_limits(overview: Overview) -> tuple[float, float]:
    """Return the limits of an axis of levels in dBFS; the few lowest levels lie outside."""
    split = overview.level_split
    counts = np.cumsum(split.open + split.closed)
    if not counts[-1]:
        return FLOOR_DB, 2.5
    low = float(split.edges_db[np.searchsorted(counts, LOWEST_SHARE * counts[-1])])
    high = float(split.edges_db[np.searchsorted(counts, counts[-1]) + 1])
    if overview.score is None and overview.opens_above is not None:
        low, high = min(low, overview.opens_above - 5), max(high, overview.opens_above + 5)
    return 5 * np.floor(low / 5) - 2.5, 5 * np.ceil(high / 5) + 2.5


def draw_levels(axes: "Axes", overview: Overview, suggested_db: float | None = None) -> None:
    """Draw the level of each frame, with the thresholds of the gate or a suggested one."""
    shade_closed(axes, overview)
    draw_range(axes, overview.level_db, overview.frame_s, BLUE, LIGHT_BLUE)
    if overview.score is None:
        _draw_thresholds(axes, overview, " dBFS")
    elif suggested_db is not None:
        axes.axhline(suggested_db, color=VERMILION, linewidth=1.2, linestyle=(0, (1, 2)))
        _set_note(axes, f"as a fixed threshold: {format_number(suggested_db, 0)} dBFS")
    axes.set_ylim(*level_limits(overview))
    axes.set_ylabel("dBFS")
    settings, title = overview.report.settings, "frame level (RMS)"
    if overview.score is None:
        # These are the values that the detector compares with the threshold.
        title += f", {settings.key_hz[0]:g} to {settings.key_hz[1]:g} Hz" if settings.key_hz else ""
        title += ", noise drift removed" if settings.adaptive else ""
    set_title(axes, title)


def _draw_thresholds(axes: "Axes", overview: Overview, unit: str) -> None:
    """Draw the values that open and close the gate."""
    above, below = overview.opens_above, overview.closes_below
    if above is None or below is None:
        return
    axes.axhline(above, color=VERMILION, linewidth=1.3)
    text = f"opens above {format_number(above, 1)}{unit}"
    if below < above:
        axes.axhline(below, color=VERMILION, linewidth=1.1, linestyle=(0, (4, 3)))
        text += f", closes below {format_number(below, 1)}{unit} (dashed)"
    _set_note(axes, text)


def _set_note(axes: "Axes", text: str) -> None:
    """Explain the red lines above the right end of the axes."""
    axes.set_title(text, loc="right", color=VERMILION)


def draw_histogram(axes: "Axes", overview: Overview) -> None:
    """Draw the share of the time at each level, horizontally: open and closed stacked."""
    split = overview.level_split
    total = max(1, int((split.open + split.closed).sum()))
    closed, opened = 100 * split.closed / total, 100 * split.open / total
    style: dict[str, Any] = {"orientation": "horizontal", "fill": True, "linewidth": 0}
    edges, total_share = split.edges_db, closed + opened
    axes.stairs(closed, edges, color=NOISE, label="gate closed", **style)
    axes.stairs(total_share, edges, baseline=closed, color=BLUE, label="gate open", **style)
    if overview.score is None and overview.opens_above is not None:
        axes.axhline(overview.opens_above, color=VERMILION, linewidth=1.4)
        assert overview.closes_below is not None
        axes.axhline(overview.closes_below, color=VERMILION, linewidth=1.1, linestyle=(0, (4, 3)))
    widest = float(total_share.max(initial=0.0))
    axes.set_xlim(0, 1.9 * widest or 1.0)
    for name, level in separated_levels(overview).items():
        axes.annotate(
            f"◂ {name} {format_number(level, 0)}", (1, level), ha="right", va="center",
            xycoords=("axes fraction", "data"), fontsize="small", color=TEXT,
        )  # fmt: skip
    axes.set_xlabel("% of the time per dB", fontsize="small")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handlelength=1.0)
    axes.tick_params(labelleft=False)


def separated_levels(overview: Overview) -> dict[str, float]:
    """Return the levels of noise and signal in dBFS, or nothing if they are not separable."""
    suggestion = overview.report.suggestion
    if suggestion is None or suggestion.verdict not in (Verdict.SEPARATED, Verdict.RAISED):
        return {}
    return {"signal": suggestion.active_db, "noise": suggestion.noise_floor_db}


def describe_closed(overview: Overview) -> str:
    """Return how much of the time the gate is closed."""
    statistics = overview.report.statistics
    if not statistics.closed:
        return "gate always open"
    if not statistics.openings:
        return "gate always closed (gray)"
    text = f"gate closed {100 * statistics.closed_share:.1f}% of the time (gray)"
    cutoffs = overview.report.cutoffs
    shown = len(cutoffs.marked)
    mark = "(▲)" if shown == cutoffs.count else f"(▲ the worst {shown})"
    cut = f", {pluralize(cutoffs.count, 'cut-off')} {mark}"
    return text + (cut if cutoffs.count else "")


def has_scores(overview: Overview) -> bool:
    """Return whether the automatic detector has compared its scores with anything."""
    score = overview.score
    return score is not None and bool(np.isfinite(score.high).any())


def draw_scores(axes: "Axes", overview: Overview) -> None:
    """Draw the scores of the automatic detector and the values that open and close the gate."""
    assert overview.score is not None
    shade_closed(axes, overview)
    draw_range(axes, overview.score, overview.frame_s, BLUE, LIGHT_BLUE)
    _draw_thresholds(axes, overview, "")
    finite = overview.score.high[np.isfinite(overview.score.high)]
    axes.set_yscale("symlog", linthresh=1.0)
    axes.yaxis.set_major_formatter(lambda value, _: format_number(value, 0))
    low = overview.score.low[np.isfinite(overview.score.low)]
    axes.set_ylim(min(-1.0, 1.1 * float(low.min(initial=0.0))), max(1.0, 1.1 * float(finite.max())))
    axes.set_ylabel("score")
    set_title(axes, "automatic detector: log-likelihood ratio of signal to noise")


def draw_gains(axes: "Axes", overview: Overview) -> None:
    """Draw the gain of the gate in dB; of a long recording, how much of the time it is open."""
    if overview.gain_db.bin_length * overview.frame_s > MAX_GAIN_BIN_S:
        _draw_openness(axes, overview)
        return
    range_db = overview.report.range_db
    floor = max(range_db, -60.0) if range_db < 0 else -12.0
    gain = overview.gain_db
    limited = Range(
        np.maximum(gain.low, floor), np.maximum(gain.high, floor), gain.bin_length, gain.count
    )
    draw_range(axes, limited, overview.frame_s, VERMILION, LIGHT_VERMILION)
    axes.set_ylim(1.08 * floor, -0.08 * floor)
    ticks = [0.0, floor / 2, floor]
    muted = range_db < floor
    axes.set_yticks(
        ticks, ["0", format_number(floor / 2, 0), "−∞" if muted else format_number(floor, 0)]
    )
    axes.set_ylabel("dB")
    set_title(axes, "gain" + (", without the spectral gate" if overview.spectrogram_after else ""))


def _draw_openness(axes: "Axes", overview: Overview) -> None:
    """Draw the share of the time in which the gate is open, in columns of equal duration."""
    share = 100 * overview.open_share(OPENNESS_COLUMNS)
    edges = np.linspace(0.0, overview.duration, OPENNESS_COLUMNS + 1)
    axes.stairs(share, edges, fill=True, color=LIGHT_VERMILION)
    axes.stairs(share, edges, color=VERMILION, linewidth=0.8)
    axes.set_ylim(0, 108)
    axes.set_yticks([0, 50, 100])
    axes.set_ylabel("%")
    column = format_duration(overview.duration / OPENNESS_COLUMNS)
    set_title(axes, f"gate open, % of each {column}")


def draw_spectrogram(
    axes: "Axes", spectrogram: Spectrogram, title: str, loudest_db: float | None = None
) -> "ScalarMappable":
    """Draw a spectrogram on a logarithmic axis of frequency; return what a color bar needs."""
    import librosa.display

    loudest = max_level(spectrogram) if loudest_db is None else loudest_db
    mesh = librosa.display.specshow(
        spectrogram.level_db,
        x_coords=spectrogram.edges_s,
        y_coords=spectrogram.edges_hz,
        x_axis=None,
        y_axis="log",
        ax=axes,
        cmap="magma",
        vmin=loudest - SPECTROGRAM_RANGE_DB,
        vmax=loudest,
        rasterized=True,
    )
    low = min(40.0, float(spectrogram.edges_hz[-1]) / 8)
    axes.set_ylim(low, float(spectrogram.edges_hz[-1]))
    axes.set_ylabel("Hz")
    set_title(axes, title)
    return mesh


def max_level(spectrogram: Spectrogram) -> float:
    """Return the level of the loudest point of a spectrogram, in dBFS, rounded up to 5 dB."""
    return 5 * float(np.ceil(spectrogram.level_db.max(initial=-120.0) / 5))

"""Show results in a notebook: the plot, and players of an excerpt."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.segments import Segments
from noisegate_cli.plots.overview import Excerpt, Overview
from noisegate_cli.samples import Samples, full_scale
from noisegate_cli.text import format_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXCERPT_S = 10.0
"""Duration of the excerpt that the players hold: it bounds the size of the page."""

MAX_PLAYER_CHANNELS = 2
"""More channels are mixed to one for the players."""

MAX_PLAYER_RATE = 192_000
"""Highest sample rate in Hz that browsers play; there are no players above it."""


def show(record: Callable[..., Overview], draw: Callable[[Overview], "Figure"]) -> str:
    """Return a plot and players as HTML.

    Parameters
    ----------
    record
        Gates the recording again and returns the overview; takes `OverviewParts`. It is called
        twice: the excerpt is chosen by what the gate does.
    draw
        Returns the plot of an overview.
    """
    overview = record(with_spectrogram=True)
    excerpt = record(excerpt=choose_excerpt(overview.segments)).excerpt
    return build_html(draw(overview), excerpt, overview.sample_rate, overview.offset_s)


def choose_excerpt(segments: Segments) -> tuple[int, int]:
    """Return the segment of at most `EXCERPT_S` in which open and closed are most balanced."""
    length = min(segments.length, round(EXCERPT_S * segments.sample_rate))
    edges = np.concatenate([[0], segments.samples.ravel(), [segments.length]])
    open_until = np.concatenate([[0], np.cumsum(np.diff(edges) * (np.arange(len(edges) - 1) % 2))])
    starts = np.unique(np.clip(edges - length // 2, 0, segments.length - length))
    counts = np.interp(starts + length, edges, open_until) - np.interp(starts, edges, open_until)
    start = int(starts[np.argmin(np.abs(counts - length / 2))])
    return start, start + length


def build_html(
    figure: "Figure", excerpt: Excerpt | None, sample_rate: int, offset_s: float = 0.0
) -> str:
    """Return a plot and three players as HTML, which needs no other file.

    `offset_s` is the time of the first sample of the recording in seconds.
    """
    from noisegate_cli.plots.style import render

    image = base64.b64encode(render(figure, "png")).decode()
    source = f"data:image/png;base64,{image}"
    parts = [f'<img style="max-width:100%" alt="plot of the gate" src="{source}">']
    if excerpt is not None and sample_rate <= MAX_PLAYER_RATE:
        start_s = excerpt.start / sample_rate + offset_s
        end_s = start_s + len(excerpt.before) / sample_rate
        span = f"{format_time(start_s)} to {format_time(end_s)}"
        for title, samples in (
            ("before", excerpt.before), ("after", excerpt.after), ("removed", excerpt.removed),
        ):  # fmt: skip
            parts.append(
                f"<figure><figcaption>{title}, {span}</figcaption>"
                f'<audio controls preload="none" src="{_encode_player(samples, sample_rate)}">'
                "</audio></figure>"
            )
    return "<div>" + "".join(parts) + "</div>"


def _encode_player(samples: Samples, sample_rate: int) -> str:
    """Return samples as a URL that holds a FLAC file of 16 bits."""
    import soundfile as sf

    y = samples / full_scale(samples.dtype)
    if y.shape[1] > MAX_PLAYER_CHANNELS:
        y = y.mean(axis=1)
    target = io.BytesIO()
    sf.write(target, np.clip(y, -1.0, 1.0), sample_rate, "PCM_16", format="FLAC")
    return f"data:audio/flac;base64,{base64.b64encode(target.getvalue()).decode()}"

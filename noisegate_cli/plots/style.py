"""Appearance of all plots: colors, fonts, axes of time and level, and export to a file format."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from noisegate_cli.text import escape_unprintable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of Okabe and Ito, which people with any color vision can distinguish.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
LIGHT_BLUE, LIGHT_VERMILION = "#A6CFE6", "#F3C6A5"
TEXT, GRID, CLOSED = "#222222", "#D9D9D9", "#E3E3E3"
NOISE = "#8C8C8C"
"""Color of noise and of closed frames."""

FORMATS = ("png", "pdf", "svg")
"""File name extensions of plots."""

DPI = 120

FLOOR_DB = -90.0
"""Lowest level that an axis shows, except for recordings that are quieter."""

YLABEL_DISTANCE_IN = 0.75
"""Distance between a y axis and its label, with room for numbers of eight characters."""

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.color": TEXT,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": TEXT,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    # No axis has ticks at its top, for which a title would have to be moved.
    "axes.titley": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "font.size": 9.5,
    "legend.frameon": False,
    "legend.fontsize": "small",
    "svg.hashsalt": "ngate",
    "svg.fonttype": "path",
}

TIME_STEPS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400),
)
"""Steps between ticks of a time axis."""

MAX_TIME_TICKS = 12

TITLE_SIZE = "large"

TITLE_WIDTH_SHARE = 0.97
"""Share of the width of a figure that its title may have; it begins at 0.01."""

MIN_NAME_CHARS = 10
"""Number of characters that a name keeps in any case."""


@contextmanager
def own_style() -> Iterator[None]:
    """Draw in the style of this module, whatever the configuration of the user is.

    A character that the font does not have is drawn as a box, without a warning. In a notebook
    without widgets, tqdm, which librosa.display loads, gives no warning either.
    """
    import matplotlib

    defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    style: Any = defaults | _STYLE
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


def render(figure: "Figure", extension: str, title: str = "ngate") -> bytes:
    """Return a figure in a file format, one of `FORMATS`; equal figures give equal bytes.

    The title is part of the metadata of the file.
    """
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
    }
    target = io.BytesIO()
    with own_style():
        figure.savefig(
            target, format=extension, dpi=DPI, metadata=metadata[extension] | {"Title": title}
        )
    return target.getvalue()


def create_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, in inches. It is not known to pyplot and needs no window system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    # A notebook shows figures of pyplot by itself, and others by this method.
    figure._repr_png_ = partial(render, figure, "png")  # type: ignore[attr-defined]
    return figure


def set_title(target: "Axes | Figure", text: str, **options: Any) -> None:
    """Set a title that may contain any characters, such as the name of a file."""
    text = escape_unprintable(text)
    if hasattr(target, "suptitle"):
        target.suptitle(text, x=0.01, ha="left", parse_math=False, **options)
    else:
        target.set_title(text, parse_math=False, **options)


def set_figure_title(figure: "Figure", name: str, facts: str) -> None:
    """Set the title of a figure of one recording; a name without enough room loses its middle."""
    name = escape_unprintable(name)
    kept = len(name)
    title = f"{name} · {facts}"
    room_pt = TITLE_WIDTH_SHARE * 72 * figure.get_figwidth()
    while kept > MIN_NAME_CHARS and _measure_title(title) > room_pt:
        kept = min(kept - 1, int(kept * room_pt / _measure_title(title)) + 1)
        start = kept // 2
        title = f"{name[:start]}…{name[len(name) - (kept - start) :]} · {facts}"
    set_title(figure, title, fontsize=TITLE_SIZE)


def _measure_title(text: str) -> float:
    """Return the width of a title in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=TITLE_SIZE)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def place_ylabel(axes: "Axes") -> None:
    """Place the label of the y axis at the same distance in all panels.

    `Figure.align_ylabels` would measure the labels of all ticks of all panels for each panel, which
    takes a third of the time of a plot.
    """
    from matplotlib.transforms import ScaledTranslation

    shift = ScaledTranslation(-YLABEL_DISTANCE_IN, 0.0, axes.figure.dpi_scale_trans)
    axes.yaxis.set_label_coords(0.0, 0.5, axes.transAxes + shift)


def format_number(value: float, decimals: int) -> str:
    """Return a number with a typographic minus sign, as on the axes.

    Examples
    --------
    >>> format_number(-30.46, 1)
    '−30.5'
    """
    return f"{value:.{decimals}f}".replace("-", "−")


def format_clock(seconds: float, step: float) -> str:
    """Return a time as the label of a tick, with as many decimals as the step needs.

    Examples
    --------
    >>> format_clock(0.25, 0.05), format_clock(75, 15), format_clock(5400, 600)
    ('0.25 s', '1:15', '1:30:00')
    """
    if step < 1:
        decimals = max(0, math.ceil(-math.log10(step) - 1e-9))
        return f"{seconds:.{decimals}f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def set_time_axis(
    axes: "Axes", duration: float, offset_s: float = 0.0, max_ticks: int = MAX_TIME_TICKS
) -> None:
    """Let the x axis, which goes from 0 to `duration` seconds, show times later by `offset_s`."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((s for s in TIME_STEPS_S if duration / s <= max_ticks), TIME_STEPS_S[-1])
    axes.set_xlim(0, max(duration, 1e-3))
    axes.xaxis.set_major_locator(MultipleLocator(step, -offset_s % step))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: format_clock(value + offset_s, step))
    )
    axes.grid(axis="x")
    axes.set_axisbelow(True)

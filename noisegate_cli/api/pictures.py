"""Draw plots of recordings, write them to files, and show results in a notebook."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from noisegate_cli.errors import NoisegateError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.samples import to_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from noisegate_cli.api.overviews import OverviewParts
    from noisegate_cli.gating.level_report import LevelReport
    from noisegate_cli.plots.overview import Overview


class DrawableResult(ABC):
    """A result that can gate its recording again to draw it."""

    __slots__ = ()

    @abstractmethod
    def _record(self, **parts: "Unpack[OverviewParts]") -> "Overview":
        """Gate the recording again, and return the overview."""

    @abstractmethod
    def _draw(self, overview: "Overview") -> "Figure":
        """Return the plot of the overview."""

    def _repr_html_(self) -> str:
        """Return the plot and players of an excerpt for a notebook.

        It is the text of the result if the recording cannot be gated again.
        """
        from html import escape

        from noisegate_cli.api.notebook import show

        try:
            return show(self._record, self._draw)
        except NoisegateError:
            return f"<code>{escape(repr(self))}</code>"


def check_picture(plot: str | Path | None, others: dict[str, Path], force: bool) -> Path | None:
    """Return the path of a plot, or None without one, after checking that it can be written.

    Raises
    ------
    OutputError
        See `check_document`.
    """
    if plot is None:
        return None
    from noisegate_cli.files.outputs.document import check_document
    from noisegate_cli.plots.style import FORMATS

    path = Path(plot)
    check_document(path, "plot", FORMATS, others, force)
    return path


def save_picture(figure: "Figure", path: Path, force: bool, fsync: bool = False) -> None:
    """Write a figure in the format that the extension of the path names."""
    from noisegate_cli.files.outputs.document import write_document
    from noisegate_cli.plots.style import render

    write_document(path, render(figure, path.suffix.lower().removeprefix(".")), force, fsync)


def draw_analysis_of(path: Path | None, overview: "Overview", levels: "LevelReport") -> "Figure":
    """Return the plot of an analysis of a recording."""
    from noisegate_cli.plots.analysis_figure import draw_analysis

    threshold = levels.suggestion.threshold
    suggested_db = None if threshold is None else float(to_db(threshold))
    return draw_analysis(overview, display_name(path), suggested_db)


def draw_gate_of(path: Path | None, overview: "Overview") -> "Figure":
    """Return the plot of a gate."""
    from noisegate_cli.plots.gate_figure import draw_gate

    return draw_gate(overview, display_name(path))


def display_name(path: Path | None) -> str:
    """Return the name of a recording for a title; None is an array."""
    if path is None:
        return "array"
    return "standard input" if path == STDIO_PATH else path.name

"""Options of `ngate gate` for segments: labels, forced segments, excerpts and comparisons."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.parsing import parse_time, parse_time_span
from noisegate_cli.terminal.options.groups import OptionGroup

if TYPE_CHECKING:
    from noisegate_cli.api.excerpts import Excerpt

SEGMENT_PANEL: dict[str, Any] = {"rich_help_panel": "Segments"}

LABEL_ENDINGS = ".txt (Audacity) .csv .json .TextGrid .rttm .srt .edl .rpp (REAPER)"

LabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help=f"Also write the open segments to a file: {LABEL_ENDINGS}.",
        **SEGMENT_PANEL,
    ),
]

AnalysisLabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help=f"Also write the open segments to a file: {LABEL_ENDINGS}. For several recordings or "
        "a folder, give only the extension: each recording gets a file next to it.",
        **SEGMENT_PANEL,
    ),
]


@dataclass(eq=False, repr=False)
class SegmentGroup(OptionGroup):
    """Options of labels, forced segments, excerpts and comparisons."""

    labels: LabelsOption = None
    apply: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Open only in the segments of this file, such as one from --labels.",
            **SEGMENT_PANEL,
        ),
    ] = None
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM-TO",
            help="Keep the gate open here, such as 1:20-1:25. Repeatable; has priority over --cut.",
            **SEGMENT_PANEL,
        ),
    ] = None
    cut: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM-TO",
            help="Keep the gate closed here, such as 0:00-0:03. Repeatable.",
            **SEGMENT_PANEL,
        ),
    ] = None
    preview: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="Write only this many seconds: from --start, or where the gate opens and "
            "closes most often.",
            **SEGMENT_PANEL,
        ),
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Start writing at this time, such as 80 or 1:20.",
            **SEGMENT_PANEL,
        ),
    ] = None
    duration: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="Write only this many seconds: from --start, or from the beginning.",
            **SEGMENT_PANEL,
        ),
    ] = None
    ab: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a comparison: 4 s of the input, the same 4 s of the output, and so on.",
            **SEGMENT_PANEL,
        ),
    ] = None

    @property
    def outputs(self) -> list[str]:
        """The files that are written."""
        return [file for file in (self.labels, self.ab) if file]

    @property
    def single_files(self) -> dict[str, str | None]:
        """The files of a single recording, by flag."""
        return {"--labels": self.labels, "--apply": self.apply, "--ab": self.ab}

    @property
    def excerpt(self) -> "Excerpt | None":
        """The part of the recording that is written; None for all of it."""
        if not (self.preview or self.start or self.duration):
            return None
        from noisegate_cli.api.excerpts import Excerpt

        if self.preview and self.duration:
            raise SettingsError("use either --preview or --duration, not both")
        start = parse_time("start", self.start) if self.start else None
        if self.preview:
            duration = parse_time("preview", self.preview)
            if not duration:
                raise SettingsError(f"preview {self.preview!r} must be more than 0 s")
            return Excerpt(start=start, duration=duration)
        if self.duration:
            return Excerpt(start=start or 0.0, duration=parse_time("duration", self.duration))
        return Excerpt(start=start)

    def build_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `gate_file` for these options."""
        from noisegate_cli.files.outputs.naming import parse_path

        return {
            "labels": self.labels,
            "comparison": parse_path(self.ab) if self.ab else None,
            "segments": Path(self.apply) if self.apply else None,
            "keep": [parse_time_span("keep", text) for text in self.keep or ()],
            "cut": [parse_time_span("cut", text) for text in self.cut or ()],
            "excerpt": self.excerpt,
        }

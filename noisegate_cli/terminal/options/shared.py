"""Options that several commands have, and how they are read."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.terminal.options.completion import complete_subtypes
from noisegate_cli.terminal.options.gate_settings import ADVANCED_PANEL, OUTPUT_PANEL
from noisegate_cli.terminal.options.groups import OptionGroup

if TYPE_CHECKING:
    from noisegate_cli.files.raw_format import RawFormat


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors and data only: no progress, no summary.")
]


ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite existing outputs.")]


SubtypeOption = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        help="Sample type of the output, such as PCM_16, PCM_24 or FLOAT.",
        show_default="same as the input",
        rich_help_panel=OUTPUT_PANEL,
        autocompletion=complete_subtypes,
    ),
]


AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Another track of the session: close where only that track has sound. Repeatable.",
    ),
]

TrackOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Audio track to use if the recording has several.",
        show_default="the main one",
    ),
]


@dataclass(eq=False, repr=False)
class RateGroup(OptionGroup):
    """Options of the bit rate of lossy outputs."""

    bitrate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Bit rate of a lossy output, such as 128k.",
            show_default="about the same as the input",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    quality: Annotated[
        float | None,
        typer.Option(
            metavar="Q",
            help="Quality of a lossy output, instead of --bitrate: Vorbis 0 to 10 (best), "
            "MP3 9 to 0 (best).",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None


KeepMtimeOption = Annotated[
    bool,
    typer.Option(
        "--keep-mtime",
        help="Give the output the modification time of the input.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]


FsyncOption = Annotated[
    bool,
    typer.Option(
        "--fsync",
        help="Wait until the outputs are on disk and survive a power failure.",
        rich_help_panel=ADVANCED_PANEL,
    ),
]


PlotOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Save a plot of the result: FILE ends in .png, .pdf or .svg."
    ),
]


RawOption = Annotated[
    str | None,
    typer.Option(
        metavar="RATE:CHANNELS:TYPE",
        help="Format of an input without a header, such as 44100:1:s16. Other types: s8, u8, s24, "
        "s32, f32, f64.",
        rich_help_panel=ADVANCED_PANEL,
    ),
]


def expand_patterns(files: Sequence[str]) -> list[str]:
    """Return the names of recordings with patterns expanded, which Windows shells do not do."""
    if sys.platform != "win32":
        return list(files)
    from glob import glob

    return [name for file in files for name in sorted(glob(file)) or [file]]  # noqa: PTH207


def parse_raw_format(text: str | None) -> "RawFormat | None":
    """Return the sample format of a raw input, or None if no format is given."""
    if text is None:
        return None
    from noisegate_cli.files.raw_format import RawFormat

    return RawFormat.parse(text)

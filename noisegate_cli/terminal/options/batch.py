"""Options of `ngate batch`: its outputs, the selection of recordings, and the execution."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.terminal.options.completion import (
    complete_files,
    complete_formats,
    complete_label_formats,
)
from noisegate_cli.terminal.options.gate_settings import OUTPUT_PANEL
from noisegate_cli.terminal.options.groups import OptionGroup
from noisegate_cli.terminal.options.shared import (
    FsyncOption,
    KeepMtimeOption,
    RateGroup,
    SubtypeOption,
)

if TYPE_CHECKING:
    from noisegate_cli.batch.discovery import GlobPatterns
    from noisegate_cli.files.outputs.naming import OutputOptions

DISCOVERY_PANEL = "Selection"
EXECUTION_PANEL = "Execution"


@dataclass(eq=False, repr=False)
class OutputGroup(OptionGroup):
    """Options of the output tree."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Output folder.",
            show_default="DIR-gated, next to DIR",
        ),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            metavar="EXT",
            help="Output format, such as flac.",
            rich_help_panel=OUTPUT_PANEL,
            show_default="same as the input",
            autocompletion=complete_formats,
        ),
    ] = None
    subtype: SubtypeOption = None
    suffix: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Append this to the output names, before the extension.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = ""
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="EXT",
            help="Also write the open segments next to each output: txt, csv, json, TextGrid, "
            "rttm, srt, edl or rpp.",
            autocompletion=complete_label_formats,
        ),
    ] = None
    keep_mtime: KeepMtimeOption = False
    fsync: FsyncOption = False

    def build_options(self, rate: RateGroup, track: int | None) -> "OutputOptions":
        """Return the format and the name of an output."""
        from noisegate_cli.files.outputs.naming import OutputOptions

        return OutputOptions(
            format=self.format,
            subtype=self.subtype,
            suffix=self.suffix,
            keep_mtime=self.keep_mtime,
            labels=self.labels,
            track=track,
            bit_rate=rate.bitrate,
            quality=rate.quality,
        )


@dataclass(eq=False, repr=False)
class DiscoveryGroup(OptionGroup):
    """Options that select the recordings."""

    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Gate only matching recordings, such as '*.wav' or 'day1/*'. Repeatable.",
            rich_help_panel=DISCOVERY_PANEL,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Skip matching recordings and everything in matching folders. Repeatable.",
            rich_help_panel=DISCOVERY_PANEL,
        ),
    ] = None
    from_file: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Gate only the recordings in a list, one per line; - reads standard input.",
            rich_help_panel=DISCOVERY_PANEL,
        ),
    ] = None
    null: Annotated[
        bool,
        typer.Option(
            "--null",
            "-0",
            help="The names in LIST end with a NUL character instead of a newline.",
            rich_help_panel=DISCOVERY_PANEL,
        ),
    ] = False

    def choose_root(self, directory: Path | None) -> Path:
        """Return the folder of the recordings; paths in a list are relative to this one."""
        if directory is None and self.from_file is None:
            raise SettingsError(
                "batch needs a folder DIR, or a list of recordings with --from-file LIST"
            )
        return directory or Path()

    def build_patterns(self) -> "GlobPatterns":
        """Return the patterns that select recordings."""
        from noisegate_cli.batch.discovery import GlobPatterns

        return GlobPatterns(tuple(self.include or ()), tuple(self.exclude or ()))


@dataclass(eq=False, repr=False)
class ExecutionGroup(OptionGroup):
    """Options of the execution."""

    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Number of recordings to gate at the same time.",
            show_default="one per processor",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Dask cluster that shares the files, such as tcp://host:8786.",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Give up on a recording that makes no progress for this long; not on a cluster.",
            show_default="600",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            "-n",
            help="Show what would be done, but do nothing.",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Print a line for each recording, with the reason, instead of the progress bar.",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = False
    max_errors: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Stop after N failed recordings; those in progress are finished.",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = None
    fail_fast: Annotated[
        bool,
        typer.Option(
            "--fail-fast",
            help="Stop after the first recording that fails; same as --max-errors 1.",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = False
    checksum: Annotated[
        bool,
        typer.Option(
            "--checksum",
            help="Detect changed recordings by their content instead of their modification time.",
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = False
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a table with a row for each recording: FILE ends in .csv.",
            autocompletion=complete_files,
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the recordings to listen to first: FILE ends in .png, .pdf or .svg.",
            autocompletion=complete_files,
            rich_help_panel=EXECUTION_PANEL,
        ),
    ] = None

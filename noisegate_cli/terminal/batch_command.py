"""`ngate batch`: gate every recording below a directory."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.terminal.console import (
    console,
    discard_stdout,
    print_error,
    print_message,
    print_renderable,
)
from noisegate_cli.terminal.interrupts import EXIT_FAILURE, InterruptedWithMessage
from noisegate_cli.terminal.options.completion import (
    complete_files,
    complete_formats,
    complete_label_formats,
)
from noisegate_cli.terminal.options.gate_settings import (
    OUTPUT_PANEL,
    TypedSettings,
    add_gate_options,
)
from noisegate_cli.terminal.options.groups import OptionGroup, expand_option_groups
from noisegate_cli.terminal.options.key import BatchKeyOption, parse_key_option
from noisegate_cli.terminal.options.shared import (
    ForceOption,
    FsyncOption,
    JsonOption,
    KeepMtimeOption,
    QuietOption,
    RateGroup,
    SubtypeOption,
    TrackOption,
)
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.batch.discovery import GlobPatterns
    from noisegate_cli.batch.interface import BatchConfig, BatchReport
    from noisegate_cli.batch.run import BatchRun
    from noisegate_cli.files.outputs.naming import OutputOptions

RELATED_PANEL = "Related recordings"

DISCOVERY_PANEL: dict[str, Any] = {"rich_help_panel": "Selection"}


EXECUTION_PANEL: dict[str, Any] = {"rich_help_panel": "Execution"}


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
            show_default="as the input",
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
            self.format,
            self.subtype,
            self.suffix,
            self.keep_mtime,
            self.labels,
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
            **DISCOVERY_PANEL,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Skip matching recordings and everything in matching folders. Repeatable.",
            **DISCOVERY_PANEL,
        ),
    ] = None
    from_file: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Gate only the recordings in a list, one per line; - reads standard input.",
            **DISCOVERY_PANEL,
        ),
    ] = None
    null: Annotated[
        bool,
        typer.Option(
            "--null",
            "-0",
            help="The names in LIST end with a NUL character instead of a newline.",
            **DISCOVERY_PANEL,
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
            **EXECUTION_PANEL,
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Dask cluster that shares the files, such as tcp://host:8786.",
            **EXECUTION_PANEL,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Give up on a recording that makes no progress for this long; not on a cluster.",
            show_default="600",
            **EXECUTION_PANEL,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", "-n", help="Show what would be done, but do nothing.", **EXECUTION_PANEL
        ),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Print a line for each recording, with the reason, instead of the progress.",
            **EXECUTION_PANEL,
        ),
    ] = False
    max_errors: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Stop after N failed recordings; those in progress are finished.",
            **EXECUTION_PANEL,
        ),
    ] = None
    fail_fast: Annotated[
        bool,
        typer.Option(
            "--fail-fast",
            help="Stop after the first recording that fails; same as --max-errors 1.",
            **EXECUTION_PANEL,
        ),
    ] = False
    checksum: Annotated[
        bool,
        typer.Option(
            "--checksum",
            help="Detect changed recordings by their content instead of their modification time.",
            **EXECUTION_PANEL,
        ),
    ] = False
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a CSV file with a row for each recording.",
            autocompletion=complete_files,
            **EXECUTION_PANEL,
        ),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the recordings to listen to first: FILE ends in .png, .pdf or .svg.",
            autocompletion=complete_files,
            **EXECUTION_PANEL,
        ),
    ] = None


@add_gate_options("key_hz")
@expand_option_groups
def batch(
    typed: TypedSettings,
    outputs: OutputGroup,
    rate: RateGroup,
    discovery: DiscoveryGroup,
    execution: ExecutionGroup,
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            readable=False,  # The batch reports it, as every other failure to read.
            help="Folder with the recordings; optional with --from-file.",
        ),
    ] = None,
    threshold_scope: Annotated[
        bool | None,
        typer.Option(
            "--shared-threshold/--folder-threshold",
            help="Find one threshold for all recordings, or one for each folder.",
            show_default="one for each recording",
            rich_help_panel=RELATED_PANEL,
        ),
    ] = None,
    tracks: Annotated[
        bool,
        typer.Option(
            "--tracks",
            help="The recordings of a folder are the tracks of one session: close where only the "
            "other tracks have sound.",
            rich_help_panel=RELATED_PANEL,
        ),
    ] = False,
    key: BatchKeyOption = None,
    track: TrackOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Gate every recording below a folder.

    The outputs have the same names below the output folder. The manifest
    ngate-manifest.jsonl there records what is done. If you repeat the
    command, it gates only recordings that are new, changed or failed, or
    that were gated with other settings.
    """
    from noisegate_cli.batch.interface import BatchConfig
    from noisegate_cli.batch.trees import default_output_directory
    from noisegate_cli.terminal.flags import to_flags

    root = discovery.choose_root(directory)
    output = outputs.output or default_output_directory(root)
    key_path, settings = parse_key_option(key, typed.settings)
    if execution.cluster:
        root, output = root.absolute(), output.absolute()
        key_path = Path(key_path).absolute() if key_path else None
    if settings.noise_file:
        from noisegate_cli.api.noise_input import resolve_noise_file

        settings = resolve_noise_file(settings)
    config = BatchConfig(
        root=root,
        output=output,
        settings=settings,
        options=outputs.build_options(rate, track),
        patterns=discovery.build_patterns(),
        names_file=discovery.from_file,
        null_separated=discovery.null,
        threshold_scope={None: None, True: "tree", False: "folder"}[threshold_scope],
        tracks=tracks,
        key=Path(key_path) if key_path else None,
        jobs=execution.jobs,
        cluster=execution.cluster,
        timeout_s=execution.timeout,
        force=force,
        fsync=outputs.fsync,
        checksum=execution.checksum,
        max_errors=1 if execution.fail_fast else execution.max_errors,
        csv_path=execution.report,
        reword=to_flags,
        plot_path=execution.plot,
        with_segments=json,
        dry_run=execution.dry_run,
    )
    _run_batch(config, quiet, json, execution.verbose)


def _run_batch(config: "BatchConfig", quiet: bool, json: bool, verbose: bool) -> None:
    """Run a batch and show its progress, its summary and its errors."""
    from noisegate_cli.batch.run import BatchRun
    from noisegate_cli.terminal.display.batch_progress import BatchProgress
    from noisegate_cli.terminal.display.batch_summary import (
        format_batch_errors,
        format_batch_remainder,
    )
    from noisegate_cli.terminal.interrupts import raise_on_signals

    progress = BatchProgress(config.root, config.output, quiet, json, verbose)
    run = BatchRun(config, progress)
    report = run.report
    raise_on_signals()
    try:
        _execute(run)
    finally:
        progress.close()
        if report.is_planned and not quiet:
            _print_table(report)
        for line in [] if verbose else format_batch_errors(report):
            print_error(line)
    if not report.total:
        print_message(f"no recordings in {quote_path(config.root)}")
    if config.plot_path and not quiet and not report.dry_run:
        is_drawn = report.review_candidates and config.plot_path.exists()
        _print_picture_path(config.plot_path if is_drawn else None)
    if report.stop_reason:
        print_error(f"{report.stop_reason}: {format_batch_remainder(report)}")
    if report.failed:
        raise typer.Exit(EXIT_FAILURE)


def _execute(run: "BatchRun") -> None:
    """Run a batch; if it is interrupted, say how to continue."""
    from noisegate_cli.terminal.display.batch_summary import format_batch_remainder

    report = run.report
    try:
        run.execute()
    except KeyboardInterrupt:
        if not report.is_planned:
            raise
        raise InterruptedWithMessage(format_batch_remainder(report)) from None
    except BrokenPipeError:
        discard_stdout()
        if report.to_do:
            message = "the program that reads standard output has exited"
            print_error(f"{message}: {format_batch_remainder(report)}")
        raise


def _print_picture_path(path: Path | None) -> None:
    name = quote_path(path) if path else "none, because there is nothing to review"
    print_message(f"picture    {name}")


def _print_table(report: "BatchReport") -> None:
    from noisegate_cli.terminal.display.batch_summary import build_batch_table, format_own_outputs

    with suppress(OSError):  # A table only informs.
        target = console(stderr=True)
        print_renderable(target, build_batch_table(report, target.width))
    for line in format_own_outputs(report.own_files, report.own_folders):
        print_message(line)

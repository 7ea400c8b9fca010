"""`ngate batch`: gate every recording below a directory."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.terminal.console import (
    console,
    discard_stdout,
    print_error,
    print_message,
    print_renderable,
)
from noisegate_cli.terminal.interrupts import EXIT_FAILURE, InterruptedWithMessage
from noisegate_cli.terminal.options.batch import DiscoveryGroup, ExecutionGroup, OutputGroup
from noisegate_cli.terminal.options.gate_settings import TypedSettings, add_gate_options
from noisegate_cli.terminal.options.groups import expand_option_groups
from noisegate_cli.terminal.options.key import BatchKeyOption, parse_key_option
from noisegate_cli.terminal.options.shared import (
    ForceOption,
    JsonOption,
    QuietOption,
    RateGroup,
    TrackOption,
)
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.batch.interface import BatchConfig, BatchReport
    from noisegate_cli.batch.run import BatchRun

RELATED_PANEL = "Related recordings"


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
            help="Treat the recordings in a folder as the tracks of one session: close where only "
            "the other tracks have sound.",
            rich_help_panel=RELATED_PANEL,
        ),
    ] = False,
    key: BatchKeyOption = None,
    track: TrackOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Gate every recording in a folder tree.

    The outputs have the same names in the output folder. The manifest
    ngate-manifest.jsonl in that folder records what was done. If you
    repeat the command, it gates only recordings that are new, changed or
    failed, or that were gated with other settings.
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
    print_message(f"plot       {name}")


def _print_table(report: "BatchReport") -> None:
    from noisegate_cli.terminal.display.batch_summary import build_batch_table, format_own_outputs

    with suppress(OSError):  # A table only informs.
        target = console(stderr=True)
        print_renderable(target, build_batch_table(report, target.width))
    for line in format_own_outputs(report.own_files, report.own_folders):
        print_message(line)

"""`ngate batch`: gate every recording below a directory."""

from pathlib import Path
from typing import Annotated, Any

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.console import complain, console, say
from noisegate_cli.terminal.options import with_settings
from noisegate_cli.terminal.shared_options import (
    FAILED,
    Force,
    Interrupted,
    Json,
    KeepMtime,
    Quiet,
    Subtype,
)
from noisegate_cli.text import shown

CHOOSING: dict[str, Any] = {"rich_help_panel": "Which recordings"}


RUNNING: dict[str, Any] = {"rich_help_panel": "How it runs"}


@with_settings()
def batch(
    settings: GateSettings,
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Where the recordings are; with --from-file it may be left out.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where the tree goes.",
            show_default="DIR-gated, beside it",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="EXT",
            help="Write all in this format, such as flac.",
            show_default="that of the input",
        ),
    ] = None,
    subtype: Subtype = None,
    suffix: Annotated[
        str, typer.Option(metavar="TEXT", help="Follows the names of the recordings.")
    ] = "",
    keep_mtime: KeepMtime = False,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only these, such as '*.wav' or 'day1/*'.", **CHOOSING),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="None of these, nor what is below them.", **CHOOSING),
    ] = None,
    from_file: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Those that a file names, a line each; - for stdin.", **CHOOSING
        ),
    ] = None,
    null: Annotated[
        bool,
        typer.Option("--null", "-0", help="Names in LIST end in a NUL, not in a line.", **CHOOSING),
    ] = False,
    shared: Annotated[
        bool | None,
        typer.Option(
            "--shared-threshold/--folder-threshold",
            help="One threshold for all, or for each folder, from all their levels.",
            show_default="each its own",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Recordings at a time.",
            show_default="one a processor",
            **RUNNING,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Dask cluster whose workers see the same files: tcp://host:8786.",
            **RUNNING,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done.", **RUNNING)
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after so many fail.", **RUNNING)
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop when one fails.", **RUNNING)
    ] = False,
    checksum: Annotated[
        bool,
        typer.Option(
            "--checksum",
            help="Tell by what recordings hold whether they changed, not by their time.",
            **RUNNING,
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what became of all as CSV.", **RUNNING),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Gate every recording below a directory into the same tree elsewhere.

    What is done is noted in ngate-manifest.jsonl there: run it again, and it does what is missing,
    has changed, failed, or was gated otherwise.
    """
    from noisegate_cli.batch.choosing import Patterns
    from noisegate_cli.batch.run import Run, default_output_directory
    from noisegate_cli.batch.terms import Batch
    from noisegate_cli.files.names import OutputOptions
    from noisegate_cli.terminal.batch_progress import BatchProgress
    from noisegate_cli.terminal.summary import batch_errors, batch_left
    from noisegate_cli.terminal.tables import batch_table

    if directory is None:
        if from_file is None:
            raise SettingsError("batch needs a DIR, or a list of recordings with --from-file")
        directory = Path()
    output = output or default_output_directory(directory)
    if cluster:
        directory, output = directory.absolute(), output.absolute()
    if settings.noise_file:
        from noisegate_cli.recordings import with_noise_found

        settings = with_noise_found(settings)
    options = OutputOptions(format_, subtype, suffix, keep_mtime)
    progress = BatchProgress(directory, output, quiet, json)
    run = Run(
        Batch(
            root=directory,
            output=output,
            settings=settings,
            options=options,
            patterns=Patterns(tuple(include or ()), tuple(exclude or ())),
            names=from_file,
            separator=b"\0" if null else b"\n",
            shared={None: None, True: "tree", False: "folder"}[shared],
            jobs=jobs,
            cluster=cluster,
            force=force,
            checksum=checksum,
            max_errors=1 if fail_fast else max_errors,
            table=report,
            dry=dry_run,
        ),
        progress,
    )
    try:
        run.go()
    except KeyboardInterrupt:
        if not run.report.is_decided:
            raise
        raise Interrupted(batch_left(run.report)) from None
    finally:
        progress.close()
        found = run.report
        if found.is_decided and not quiet:
            console(stderr=True).print(batch_table(found))
        for line in batch_errors(found):
            complain(line)
    if not found.total:
        say(f"no recordings below {shown(directory)}")
    if found.stopped:
        complain(f"{found.stopped}: {batch_left(found)}")
    if found.failed:
        raise typer.Exit(FAILED)

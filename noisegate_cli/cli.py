"""The command line. Each command parses, makes one call, and shows."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisegate_cli import __version__
from noisegate_cli.console import (
    bars,
    complain,
    console,
    escape_what_cannot_be_shown,
    interrupt_on_signals,
    put,
    say,
)
from noisegate_cli.errors import AudioError, NoisegateError, SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_what_is_freed
from noisegate_cli.options import with_settings
from noisegate_cli.report import presets_text
from noisegate_cli.units import shown

if TYPE_CHECKING:
    from noisegate_cli.pipes import RawFormat

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses."""

DEBUG = "--debug"

app = typer.Typer(
    name="ngate",
    help="Silence what is not signal in recordings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, no summary: only errors and data.")
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite outputs that exist.")]
Subtype = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        help="Write samples of this type, such as PCM_16, PCM_24 or FLOAT.",
        show_default="that of the input",
    ),
]
KeepMtime = Annotated[
    bool, typer.Option("--keep-mtime", help="Leave the time of the last change as it was.")
]

CHOOSING: dict[str, Any] = {"rich_help_panel": "Which recordings"}
RUNNING: dict[str, Any] = {"rich_help_panel": "How it runs"}


class Interrupted(Exception):  # noqa: N818  # it is no error
    """An interrupt with something to say; Typer lets a plain one through without its words."""


Raw = Annotated[
    str | None,
    typer.Option(
        metavar="RATE:CHANNELS:TYPE",
        help="The input is nothing but samples: 44100:1:s16, or s8, u8, s24, s32, f32, f64.",
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        put(f"ngate {__version__}")
        raise typer.Exit


@app.callback()
def ngate(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show tracebacks; works after a command too.")
    ] = False,
) -> None:
    """Silence what is not signal in recordings."""


@app.command(epilog="Presets:\n\n" + presets_text().replace("\n", "\n\n"))
@with_settings()
def gate(
    settings: GateSettings,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The recording; it is only read. - is standard input."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write: a file, a folder, or - for standard output.",
            show_default="FILE_gated.EXT, beside it",
        ),
    ] = None,
    residue: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write what was removed (input - output) here too."),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            metavar="EXT", help="The format where -o names none: flac.", show_default="as the input"
        ),
    ] = None,
    subtype: Subtype = None,
    keep_mtime: KeepMtime = False,
    raw: Raw = None,
    fail_on_chop: Annotated[
        bool,
        typer.Option(
            "--fail-on-chop",
            help="Exit with 1 if a decay or an attack was cut, or all of it; for scripts.",
        ),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Gate one recording: silent in the pauses, untouched elsewhere."""
    from noisegate_cli.naming import OutputOptions, named
    from noisegate_cli.process import gate_file
    from noisegate_cli.report import (
        chops_counted,
        gate_data,
        gate_summary,
        nothing_opened,
        to_json,
    )

    keep_what_is_freed()
    if json and "-" in (output, residue):
        raise SettingsError("--json and -o - both write to standard output: give -o a file")
    source, kind = named(file), _raw_format(raw)
    with _one_bar(source, quiet) as progress:
        result = gate_file(
            source,
            named(output) if output else None,
            settings,
            residue=named(residue) if residue else None,
            options=OutputOptions(format=format, subtype=subtype, keep_mtime=keep_mtime),
            raw=kind,
            force=force,
            progress=progress,
        )
    if json:
        put(to_json(gate_data(result)))
    elif not quiet:
        for line in gate_summary(result):
            say(line)
    if fail_on_chop and (result.chops.count or nothing_opened(result)):
        cut = chops_counted(result.chops) if result.chops.count else "all of it was turned down"
        complain(f"{shown(result.output.path)}: {cut}")
        raise typer.Exit(FAILED)


@app.command()
@with_settings("threshold", "adaptive")
def analyze(
    settings: GateSettings,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="The recordings; - is standard input.")
    ],
    raw: Raw = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Print the levels of recordings and suggest a threshold, with why."""
    from noisegate_cli.naming import named
    from noisegate_cli.process import analyze_file
    from noisegate_cli.report import analysis_data, gate_command, to_json
    from noisegate_cli.tables import analysis_table

    keep_what_is_freed()
    failed = False
    kind = _raw_format(raw)
    for file in map(named, files):
        try:
            with _one_bar(file, quiet) as progress:
                report = analyze_file(file, settings, progress, raw=kind)
        except AudioError as error:
            complain(error)
            failed = True
            continue
        if json:
            put(to_json(analysis_data(report)))
        else:
            target = console()
            target.print(analysis_table(report, ascii_only=not target.encoding.startswith("utf")))
            if line := gate_command(report):
                put(f"  type         {line}")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
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
    from noisegate_cli.naming import OutputOptions
    from noisegate_cli.progress import BatchProgress
    from noisegate_cli.report import batch_errors, batch_left
    from noisegate_cli.tables import batch_table

    if directory is None:
        if from_file is None:
            raise SettingsError("batch needs a DIR, or a list of recordings with --from-file")
        directory = Path()
    output = output or default_output_directory(directory)
    if cluster:
        directory, output = directory.absolute(), output.absolute()
    if settings.noise_file:
        from noisegate_cli.process import with_noise_found

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


def _raw_format(text: str | None) -> "RawFormat | None":
    """Return what the samples of an input are that is nothing else."""
    if text is None:
        return None
    from noisegate_cli.pipes import RawFormat

    return RawFormat.parse(text)


@contextmanager
def _one_bar(file: Path | str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Give a function to tell which share of one recording is done."""
    file, seconds = Path(file), 0.0

    def total() -> dict[str, float]:
        """Look only when there is something to show."""
        from noisegate_cli.audio import probe

        nonlocal seconds
        seconds = probe(file).duration
        return {file.name: seconds}

    with bars(total, quiet or str(file) == "-") as shown:
        yield lambda share: shown.update({file.name: share * seconds})


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status; nothing but it leaves this function."""
    arguments = list(arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = DEBUG in options
    arguments = [a for i, a in enumerate(arguments) if a != DEBUG or i >= len(options)]
    try:
        status = app(args=arguments, prog_name="ngate", standalone_mode=False) or DONE
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        return int(status)
    except (BrokenPipeError, SystemExit):
        # Who read our output has seen enough, which Typer takes for a reason to leave. Python would
        # complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (KeyboardInterrupt, typer.Abort, Interrupted) as interrupt:
        complain(": ".join(("interrupted", *map(str, interrupt.args))))
        return INTERRUPTED
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        return _status(error)


def _status(error: Exception) -> int:
    """Say what was wrong, and return the exit status for it."""
    if isinstance(error, NoisegateError):
        complain(error)
        return MISUSED if isinstance(error, SettingsError) else FAILED
    if hasattr(error, "format_message"):
        # Wrong usage, in the words of Typer. No arguments at all have printed the help instead.
        if message := error.format_message().rstrip("."):
            command = getattr(getattr(error, "ctx", None), "command_path", "ngate")
            complain(f"{message}: see {command} --help")
        return MISUSED
    if isinstance(error, OSError) and error.strerror:
        complain(f"{error.strerror}: {error.filename or 'standard output'}")
        return FAILED
    complain(f"this should not happen: {type(error).__name__}: {error} ({DEBUG} shows where)")
    return FAILED


def main() -> None:
    """Run the command line of this process."""
    # Nothing here is multiplied in threads. Starting them would take longer than a short recording,
    # and the workers of a batch would get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    escape_what_cannot_be_shown()
    interrupt_on_signals()
    sys.exit(run(sys.argv[1:]))

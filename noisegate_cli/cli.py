"""The command line. Each command parses, makes one call, and shows."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from noisegate_cli import __version__
from noisegate_cli.console import AUDIO, bars, complain, console, interruptible, put, say
from noisegate_cli.errors import NoisegateError, SettingsError
from noisegate_cli.gating.settings import PRESETS, GateSettings
from noisegate_cli.report import presets_text
from noisegate_cli.units import parse_range, parse_threshold

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


def _options() -> dict[str, Any]:
    """Return the options that make a GateSettings, by the names of its fields."""
    detector, envelope = "How it listens", "How it opens and closes"

    def option(*names: str, text: str, panel: str, metavar: str | None = None) -> Any:
        return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)

    return {
        "threshold": Annotated[
            str | None,
            option(
                "--threshold", "-t", panel=detector, metavar="LEVEL",
                text="Frame RMS above which it opens: 0.03 (of full scale 1.0), -30dB, or auto "
                "[default: auto]",
            ),
        ],
        "hysteresis_db": Annotated[
            float | None,
            option("--hysteresis", panel=detector, metavar="DB",
                   text="It closes only this far below the threshold, in dB"),
        ],
        "channels": Annotated[
            str | None,
            option("--channels", panel=detector, metavar="linked|separate",
                   text="linked: the loudest channel opens all; separate: each has its own gate"),
        ],
        "frame_length": Annotated[
            int | None,
            option("--frame-length", panel=detector, metavar="SAMPLES",
                   text="Length of a frame [default: the power of two from 30 ms on]"),
        ],
        "hop_length": Annotated[
            int | None,
            option("--hop-length", panel=detector, metavar="SAMPLES",
                   text="From frame to frame [default: a quarter of the frame]"),
        ],
        "preset": Annotated[
            str,
            option("--preset", "-p", panel=envelope, metavar="|".join(PRESETS),
                   text="Values for all below, and the hysteresis"),
        ],
        "attack_ms": Annotated[
            float | None,
            option("--attack", panel=envelope, metavar="MS",
                   text="Fade-in, complete before the sound begins, in ms"),
        ],
        "hold_ms": Annotated[
            float | None,
            option("--hold", panel=envelope, metavar="MS",
                   text="Stays open this long after the sound, in ms"),
        ],
        "release_ms": Annotated[
            float | None,
            option("--release", panel=envelope, metavar="MS", text="Fade-out after the hold, in ms"),
        ],
        "lookahead_ms": Annotated[
            float | None,
            option("--lookahead", panel=envelope, metavar="MS",
                   text="Is open this long before the sound, in ms"),
        ],
        "range_db": Annotated[
            str | None,
            option("--range", panel=envelope, metavar="DB|mute",
                   text="Gain of the closed gate: -24dB, or mute for silence"),
        ],
    }  # fmt: skip


def with_settings(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a gate, but for some; it gets them as one `settings`."""
    options = {name: option for name, option in _options().items() if name not in without}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**arguments: Any) -> None:
            chosen = {name: arguments.pop(name) for name in options}
            command(settings=_settings(**chosen), **arguments)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "settings"]
        own += [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default="voice" if name == "preset" else None,
                annotation=option,
            )
            for name, option in options.items()
        ]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in own}
        return run

    return decorate


def _settings(
    preset: str, threshold: str | None = None, range_db: str | None = None, **given: Any
) -> GateSettings:
    changes = {name: value for name, value in given.items() if value is not None}
    if threshold is not None:
        changes["threshold"] = parse_threshold(threshold)
    if range_db is not None:
        changes["range_db"] = parse_range(range_db)
    return GateSettings.preset(preset, **changes)


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite outputs that exist.")]


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
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording; it is only read.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="[default: FILE_gated.EXT]"),
    ] = None,
    residue: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what was removed (input − output) here too."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Gate one recording: silent in the pauses, untouched elsewhere."""
    from noisegate_cli.process import gate_file
    from noisegate_cli.report import gate_data, gate_summary, to_json

    with _one_bar(file, quiet) as progress:
        result = gate_file(
            file, output, settings, residue=residue, force=force, progress=progress
        )
    if json:
        put(to_json(gate_data(result)))
    elif not quiet:
        for line in gate_summary(result):
            say(line)


@app.command()
@with_settings("threshold")
def analyze(
    settings: GateSettings,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="The recordings.")],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Print the levels of recordings and suggest a threshold, with why."""
    from noisegate_cli.process import analyze_file
    from noisegate_cli.report import analysis_data, analysis_table, to_json

    failed = False
    for file in files:
        try:
            with _one_bar(file, quiet) as progress:
                report = analyze_file(file, settings, progress)
        except NoisegateError as error:
            complain(error)
            failed = True
            continue
        if json:
            put(to_json(analysis_data(report)))
        else:
            target = console()
            target.print(analysis_table(report, ascii_only=not target.encoding.startswith("utf")))
    if failed:
        raise typer.Exit(FAILED)


@app.command()
@with_settings()
def batch(
    settings: GateSettings,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the recordings are.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="[default: DIR-gated]"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Recordings at a time [default: one a processor]"),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Gate every recording below a directory into the same tree elsewhere."""
    import time

    from noisegate_cli.batch import (
        BatchReport,
        default_output_directory,
        find_jobs,
        processors,
        run_jobs,
    )
    from noisegate_cli.report import batch_data, batch_table, to_json

    started = time.perf_counter()
    report = BatchReport(output or default_output_directory(directory))
    found = find_jobs(directory, report.output)
    seconds = sum(job.duration for job in found)
    done = {"files": 0.0, AUDIO: 0.0}
    try:
        with bars({"files": len(found), AUDIO: seconds}, seconds, quiet) as shown:
            for result in run_jobs(found, settings, workers=jobs or processors(), force=force):
                report.results.append(result)
                done["files"] += 1
                done[AUDIO] += result.job.duration
                shown.update(done)
    finally:
        report.results.sort(key=lambda r: r.job.source)
        report.seconds = time.perf_counter() - started
        if json:
            put(to_json(batch_data(report)))
        elif not quiet:
            console(stderr=True).print(batch_table(report))
    if report.of("failed"):
        raise typer.Exit(FAILED)


def _one_bar(file: Path, quiet: bool) -> Any:
    """Return a context whose value takes the share of one recording that is done."""
    from contextlib import contextmanager

    @contextmanager
    def bar() -> Any:
        with bars({file.name: 1.0}, 0.0, quiet) as shown:
            yield lambda share: shown.update({file.name: share})

    return bar()


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status; nothing but it leaves this function."""
    arguments = list(arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = DEBUG in options
    try:
        with interruptible():
            arguments = [a for i, a in enumerate(arguments) if a != DEBUG or i >= len(options)]
            return app(args=arguments, prog_name="ngate", standalone_mode=False) or DONE
    except BrokenPipeError:
        # Who read our output has seen enough. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        complain("interrupted")
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
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if hasattr(error, "format_message"):
        # Wrong usage, in the words of Typer. No arguments at all have printed the help instead.
        if message := error.format_message():
            complain(f"{message} See ngate --help.")
        return MISUSED
    complain(f"this should not happen: {type(error).__name__}: {error} ({DEBUG} shows where)")
    return FAILED


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))

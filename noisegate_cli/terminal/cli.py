"""The command line: the app, its exit statuses and its error messages."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from noisegate_cli import __version__
from noisegate_cli.errors import NoisegateError, SettingsError
from noisegate_cli.terminal.analyze_command import analyze
from noisegate_cli.terminal.batch_command import batch
from noisegate_cli.terminal.console import (
    escape_unencodable_output,
    print_data,
    print_error,
)
from noisegate_cli.terminal.gate_command import gate
from noisegate_cli.terminal.interrupts import (
    MESSAGE,
    exit_status,
    ignore_signals,
    is_interrupted,
    raise_if_interrupted,
)
from noisegate_cli.terminal.preset_table import format_preset_table
from noisegate_cli.terminal.shared_options import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_SUCCESS,
    EXIT_USAGE_ERROR,
    InterruptedWithMessage,
)
from noisegate_cli.text import quote_path

DEBUG_FLAG = "--debug"

app = typer.Typer(
    name="ngate",
    help="Noise gate for recordings: silence the pauses, keep the signal unchanged.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        print_data(f"ngate {__version__}")
        raise typer.Exit


@app.callback()
def ngate(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            DEBUG_FLAG, help="Show a traceback for each error. It can also follow a command."
        ),
    ] = False,
) -> None:
    """Noise gate for recordings: silence the pauses, keep the signal unchanged."""


PRESETS_EPILOG = f"Presets:\n\n{format_preset_table()}"
for command in (gate, analyze, batch):
    app.command(epilog=PRESETS_EPILOG)(command)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status; catch and report all exceptions."""
    arguments = list(arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = DEBUG_FLAG in options
    arguments = [a for i, a in enumerate(arguments) if a != DEBUG_FLAG or i >= len(options)]
    try:
        status = app(args=arguments, prog_name="ngate", standalone_mode=False) or EXIT_SUCCESS
        if status == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        raise_if_interrupted()
        return int(status)
    except (BrokenPipeError, SystemExit):
        # The reader of stdout has closed the pipe, for which Typer raises SystemExit.
        return EXIT_SUCCESS
    except (KeyboardInterrupt, typer.Abort, InterruptedWithMessage) as interrupt:
        return _print_interrupt(*map(str, interrupt.args))
    except Exception as error:
        if is_interrupted():  # A library has replaced the KeyboardInterrupt.
            return _print_interrupt()
        if debug:
            import traceback

            traceback.print_exc()
        return _print_error_status(error)


def _print_interrupt(*details: str) -> int:
    """Print that the command was interrupted, and return the exit status."""
    print_error(": ".join((MESSAGE, *details)))
    return exit_status()


def _print_error_status(error: Exception) -> int:
    """Print an error message and return the exit status of the error."""
    if isinstance(error, NoisegateError):
        print_error(error)
        return EXIT_USAGE_ERROR if isinstance(error, SettingsError) else EXIT_FAILURE
    if hasattr(error, "format_message"):
        # A usage error of Typer. Without arguments its message is empty: Typer prints the help.
        if message := error.format_message().rstrip("."):
            command = getattr(getattr(error, "ctx", None), "command_path", "ngate")
            print_error(f"{message}: see {command} --help")
        return EXIT_USAGE_ERROR
    if isinstance(error, OSError) and error.strerror:
        path = f": {quote_path(error.filename)}" if error.filename else ""
        print_error(f"{error.strerror}{path}")
        return EXIT_FAILURE
    print_error(f"internal error: {type(error).__name__}: {error} ({DEBUG_FLAG} shows a traceback)")
    return EXIT_FAILURE


def main() -> None:
    """Run the command line with the arguments of this process."""
    # ngate does not benefit from BLAS threads. Starting them takes longer than gating a short
    # recording, and they would oversubscribe the CPUs in the workers of a batch.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    escape_unencodable_output()
    status = run(sys.argv[1:])
    ignore_signals()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # It has been reported. Python would fail again when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)

"""The command line: the app, its exit statuses and its error messages."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from noisegate_cli import __version__
from noisegate_cli.errors import NoisegateError, SettingsError
from noisegate_cli.terminal.console import (
    escape_unencodable_output,
    print_data,
    print_error,
    wrap_stdout_errors,
)
from noisegate_cli.terminal.help_layout import make_help_legible
from noisegate_cli.terminal.interrupts import (
    EXIT_BROKEN_PIPE,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_SUCCESS,
    EXIT_USAGE_ERROR,
    MESSAGE,
    InterruptedWithMessage,
    exit_status,
    ignore_signals,
    is_interrupted,
    raise_if_interrupted,
)
from noisegate_cli.terminal.options.completion import (
    is_completion_request,
    prepare_request_of_this_process,
)
from noisegate_cli.text import quote_path

DEBUG_FLAG, JSON_FLAG = "--debug", "--json"

COMMANDS = {
    "gate": "Gate recordings: silence the pauses, leave the signal unchanged.",
    "analyze": "Print the levels of recordings and suggest a threshold.",
    "batch": "Gate every recording in a folder tree.",
}
"""The commands, each with the first line of its help."""


class CommandGroup(TyperGroup):
    """The commands, of which only the one that runs is imported with its options."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.commands = {name: TyperCommand(name, help=line) for name, line in COMMANDS.items()}

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help so that it is legible on any terminal."""
        make_help_legible()
        with wrap_stdout_errors():
            super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, as Typer requires it."""
        if args and args[0] in COMMANDS:
            from noisegate_cli.terminal.commands import build_command

            self.commands[args[0]] = build_command(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="ngate",
    cls=CommandGroup,
    help="Noise gate for recordings: silence the pauses, leave the signal unchanged.",
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
            "--version",
            "-V",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            DEBUG_FLAG, help="Show a traceback for each error. Can also be given after the command."
        ),
    ] = False,
) -> None:
    """Noise gate for recordings: silence the pauses, leave the signal unchanged."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status; catch and report all exceptions."""
    arguments = list(arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = DEBUG_FLAG in options
    prepare_request_of_this_process()
    arguments = [a for i, a in enumerate(arguments) if a != DEBUG_FLAG or i >= len(options)]
    try:
        status = app(args=arguments, prog_name="ngate", standalone_mode=False) or EXIT_SUCCESS
        if status == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        raise_if_interrupted()
        return int(status)
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except SystemExit as exit_:
        # Typer raises it if the reader of stdout has closed the pipe, and with the answer to a
        # shell that asks whether there are values to complete.
        return int(exit_.code or 0) if is_completion_request() else EXIT_BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort, InterruptedWithMessage) as interrupt:
        return _print_interrupt(*map(str, interrupt.args))
    except Exception as error:
        if is_interrupted():  # A library has replaced the KeyboardInterrupt.
            return _print_interrupt()
        if debug:
            import traceback

            traceback.print_exc()
        message, status = _describe_error(error)
        if message:
            print_error(message)
        is_reported = isinstance(error, NoisegateError)  # by the command, which knows the file
        if JSON_FLAG in options and not is_reported and (command := _find_command(options)):
            from noisegate_cli.terminal.display.json_data import print_failure_data

            print_failure_data(command, None, message)
        return status


def _print_interrupt(*details: str) -> int:
    """Print that the command was interrupted, and return the exit status."""
    print_error(": ".join((MESSAGE, *details)))
    return exit_status()


def _describe_error(error: Exception) -> tuple[str, int]:
    """Return the message and the exit status of an error."""
    if isinstance(error, NoisegateError):
        is_usage = isinstance(error, SettingsError)
        return str(error), EXIT_USAGE_ERROR if is_usage else EXIT_FAILURE
    if hasattr(error, "format_message"):  # a Typer usage error
        from noisegate_cli.terminal.suggestions import describe_usage_error

        # Without arguments its message is empty: Typer prints the help.
        message = error.format_message().rstrip(".")
        return message and describe_usage_error(error, message), EXIT_USAGE_ERROR
    if isinstance(error, FileNotFoundError) and not _has_current_folder():
        return "the current folder has been removed: change to another one", EXIT_FAILURE
    if isinstance(error, OSError) and error.strerror:
        path = f": {quote_path(error.filename)}" if error.filename else ""
        return f"{error.strerror}{path}", EXIT_FAILURE
    detail = f"{type(error).__name__}: {error}"
    return f"internal error: {detail} ({DEBUG_FLAG} shows a traceback)", EXIT_FAILURE


def _has_current_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  # `pathlib` takes longer to load
    except FileNotFoundError:
        return False
    return True


def _find_command(options: Sequence[str]) -> str | None:
    """Return the name of the command in the arguments, if there is one."""
    return next((name for name in options if name in COMMANDS), None)


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

"""Build a Typer command: its options, the presets in its help, and its failures as JSON."""

import inspect
import os
import re
from collections.abc import Collection, Mapping, Sequence
from functools import wraps
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from noisegate_cli.api.presets import is_file_name
from noisegate_cli.errors import NoisegateError, SettingsError
from noisegate_cli.gating.parsing import parse_key
from noisegate_cli.terminal.console import (
    StandardOutputConflictError,
    print_message,
    wrap_stdout_errors,
)
from noisegate_cli.terminal.help_layout import make_help_legible
from noisegate_cli.terminal.options.completion import complete_whole_words_in_fish
from noisegate_cli.terminal.options.gate_settings import (
    ADVANCED_PANEL,
    GATE_OPTIONS,
    choose_typed_preset,
)
from noisegate_cli.terminal.options.groups import Command, hide_environment_variables
from noisegate_cli.terminal.options.preset_files import save_preset
from noisegate_cli.terminal.options.preset_table import format_preset_table
from noisegate_cli.text import find_nearest, normalize_number, quote_path

ENV_PREFIX = "NGATE"
"""Prefix of the environment variables that set options, such as NGATE_GATE_PRESET."""

SAVE_PARAMETER = "save_preset"

SETTING_PARAMETERS = {"preset", *(option.parameter for option in GATE_OPTIONS.values())}
"""Parameters of a command that determine the settings of the gate."""


SavePresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.toml",
        help="Also save the preset and the given options as your own preset.",
        rich_help_panel=ADVANCED_PANEL,
    ),
]


MAY_BE_EMPTY = "suffix"
"""Parameter for which an empty text is a valid value."""

UNITS = ("db", "dbfs", "hz", "khz", "ms", "s", "k", "kbps", "kbit/s")

VALUE_BEFORE_UNIT = (
    r"(?:--?[a-z-]*[a-z]=?)?((?:floor\s*\+)?-?[\d.:]*\d(?:[km]?(?:hz|s)?-[\d.:]*\d)?)"
)
"""A number or two with a hyphen between them, which can follow an option in the same word."""

SHORT_ASSIGNMENT = re.compile(r"^(-[A-Za-z])=")
"""The beginning of a word such as `-t=-40dB`, whose value would be "=-40dB"."""

SEPARATE_UNIT = "has a space: write"
"""Part of the message for a value that a space separates from its unit."""


class StrictCommand(TyperCommand):
    """A command that refuses arguments which would have no effect.

    These are an option with two values, and an empty text, usually from an unset shell variable. A
    unit after a space would be the name of a recording. Settings of the gate may have two values:
    one at the end of a line overrides an earlier one.
    """

    def make_parser(self, ctx: Any) -> Any:
        """Return Typer's parser, which would use the last value."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> Any:
            end = args.index("--") if "--" in args else len(args)
            options = [SHORT_ASSIGNMENT.sub(r"\1", arg) for arg in args[:end]]
            args = [*options, *args[end:]]
            if not ctx.resilient_parsing and (message := _describe_separate_unit(options)):
                ctx.fail(message)
            try:
                values, rest, order = parse(args=args)
            except Exception as error:
                if getattr(error, "ctx", ctx) is None:  # Its message names the command.
                    error.ctx = ctx  # type: ignore[attr-defined]
                raise
            seen = set()
            for parameter in order:
                is_empty = _has_empty_text(values.get(parameter.name or ""))
                if is_empty and parameter.name != MAY_BE_EMPTY and not ctx.resilient_parsing:
                    message = "it is empty: is a shell variable unset?"
                    raise typer.BadParameter(message, ctx, parameter)
                takes_one = not getattr(parameter, "is_flag", True) and not parameter.multiple
                is_repeated = parameter.name in seen and parameter.name not in SETTING_PARAMETERS
                if takes_one and is_repeated and not ctx.resilient_parsing:
                    ctx.fail(f"give {parameter.opts[0]} only once")
                seen.add(parameter.name)
            return values, rest, order

        parser.parse_args = parse_once  # type: ignore[method-assign]
        return parser

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help so that it is legible on any terminal."""
        make_help_legible()
        with wrap_stdout_errors():
            super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, after warnings of mistyped environment variables."""
        if not ctx.params["quiet"]:
            commands = ctx.parent.command.commands
            for warning in _describe_mistyped_variables(ctx.command.name, commands):
                print_message(f"ngate: warning: {warning}")
        return super().invoke(ctx)


def _describe_mistyped_variables(command: str, commands: Collection[str]) -> list[str]:
    """Return a warning for each environment variable that looks like one of an option.

    Other variables that begin with NGATE_ may belong to other programs.
    """
    prefix = f"{ENV_PREFIX}_"
    names = sorted(name for name in os.environ if name.startswith(prefix))
    if not names:
        return []
    options = {
        name: [
            str(parameter.name).upper()
            for parameter in build_command(name).params
            if parameter.param_type_name == "option" and parameter.name != "help"
        ]
        for name in commands
    }
    warnings = []
    for name in names:
        word, separator, option = name.removeprefix(prefix).partition("_")
        owner = find_nearest(word, commands) if separator else None
        if owner is None:
            owner, option = command, name.removeprefix(prefix)
        nearest = find_nearest(option, options[owner])
        right = f"{prefix}{owner.upper()}_{nearest}"
        if nearest and name != right:
            warnings.append(f"environment variable {name} has no effect: did you mean {right}?")
    return warnings


def _describe_separate_unit(arguments: Sequence[str]) -> str:
    """Return a message for a value that a space separates from its unit; empty without one.

    Examples
    --------
    >>> _describe_separate_unit(["take.wav", "-t", "-48", "dB"])
    "'-48 dB' has a space: write -48dB"
    """
    for value, unit in pairwise(arguments):
        if unit.lower() not in UNITS or Path(unit).exists():
            continue
        if found := re.fullmatch(VALUE_BEFORE_UNIT, normalize_number(value), re.IGNORECASE):
            return f"'{found[1]} {unit}' {SEPARATE_UNIT} {found[1]}{unit}"
    return ""


def _has_empty_text(value: Any) -> bool:
    """Return whether the typed value of a parameter, or one of its values, is an empty text."""
    return value == "" or (isinstance(value, list | tuple) and "" in value)


def build_command(name: str) -> TyperCommand:
    """Return the command of the module `NAME_command`, with all its options."""
    function = getattr(import_module(f"noisegate_cli.terminal.{name}_command"), name)
    function = report_failures_as_data(add_save_option(function))
    app = typer.Typer(add_completion=False)
    app.command(
        cls=StrictCommand,
        epilog=f"Presets:\n\n{format_preset_table()}\n\n{describe_environment(name)}",
        context_settings={
            "auto_envvar_prefix": f"{ENV_PREFIX}_{name.upper()}",
            "help_option_names": ["-h", "--help"],
        },
    )(hide_environment_variables(function))
    command = get_command(app)
    assert isinstance(command, TyperCommand)
    complete_whole_words_in_fish(command)
    return command


def describe_environment(name: str) -> str:
    """Return the sentence of the help about the environment variables of a command."""
    return (
        f"Environment variables set options: {ENV_PREFIX}_{name.upper()}_MIN_OPEN=50 is "
        "--min-open 50."
    )


def add_save_option(command: Command) -> Command:
    """Return a command with `--save-preset`, which saves the preset before the command runs.

    The command has the options of the gate, --force and --quiet.
    """

    @wraps(command)
    def run(**arguments: Any) -> None:
        name = arguments.pop(SAVE_PARAMETER)
        if name is not None:
            _check_key_can_be_saved(arguments)
            preset = choose_typed_preset(arguments)
            preset.parse()  # A preset with a wrong value is not saved.
            path = save_preset(name, preset, arguments["force"])
            if not arguments["quiet"]:
                place = "" if is_file_name(name) else f"{name} in "
                print_message(f"preset     {place}{quote_path(path)}")
        command(**arguments)

    signature = inspect.signature(command)
    parameter = inspect.Parameter(
        SAVE_PARAMETER, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SavePresetOption
    )
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), parameter]
    )
    return run


def _check_key_can_be_saved(arguments: Mapping[str, Any]) -> None:
    """Raise SettingsError if the key is a recording, which differs for each recording."""
    key = arguments.get("key")
    if key is not None and parse_key(key)[0] is not None:
        raise SettingsError(
            f"--save-preset cannot save the recording in --key {key!r}: omit one of them"
        )


def report_failures_as_data(command: Command) -> Command:
    """Return a command that prints an error of ngate as JSON too, with --json, and raises it."""

    @wraps(command)
    def run(**arguments: Any) -> None:
        try:
            command(**arguments)
        except NoisegateError as error:
            if arguments["json"] and not isinstance(error, StandardOutputConflictError):
                from noisegate_cli.terminal.display.json_data import print_failure_data

                files = arguments.get("files") or [arguments.get("directory")]
                print_failure_data(command.__name__, files[0] if len(files) == 1 else None, error)
            raise

    return run

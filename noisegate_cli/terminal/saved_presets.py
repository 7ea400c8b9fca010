"""The option `--save-preset` of all commands."""

import inspect
from functools import wraps
from typing import Annotated, Any

import typer

from noisegate_cli.terminal.console import print_message
from noisegate_cli.terminal.option_groups import Command
from noisegate_cli.terminal.options import (
    ADVANCED_PANEL,
    GATE_OPTIONS,
    choose_typed_preset,
    parse_preset,
)
from noisegate_cli.terminal.preset_files import is_file_name, save_preset
from noisegate_cli.text import quote_path

PARAMETER = "save_preset"

SavePresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.toml",
        help="Save the preset and the options given as a preset of your own.",
        rich_help_panel=ADVANCED_PANEL,
    ),
]


def add_save_option(command: Command) -> Command:
    """Return a command with the option, which saves the preset before the command runs.

    The command has the options of the gate, --force and --quiet.
    """

    @wraps(command)
    def run(**arguments: Any) -> None:
        name = arguments.pop(PARAMETER)
        if name is not None:
            preset = choose_typed_preset(arguments)
            parse_preset(preset)  # A preset with a wrong value is not saved.
            path = save_preset(name, preset, GATE_OPTIONS, arguments["force"])
            if not arguments["quiet"]:
                place = "" if is_file_name(name) else f"{name} in "
                print_message(f"preset     {place}{quote_path(path)}")
        command(**arguments)

    signature = inspect.signature(command)
    parameter = inspect.Parameter(
        PARAMETER, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SavePresetOption
    )
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), parameter]
    )
    return run

"""Group the options of a command in dataclasses.

Typer derives the options of a command from the signature of its function. The functions here build
this signature, so that a command receives one object for several options.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from noisegate_cli.terminal.signatures import replace_parameters

Command = Callable[..., None]


class OptionGroup:
    """Base class of dataclasses whose fields are options, annotated as Typer requires it."""


def expand_option_groups(command: Command) -> Command:
    """Return a command with options in place of each parameter that is an `OptionGroup`."""
    for name, group in command.__annotations__.items():
        if isinstance(group, type) and issubclass(group, OptionGroup):
            options = [
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=field.type,
                )
                for field in fields(group)  # type: ignore[arg-type]  # it is a dataclass
            ]
            command = replace_parameter(command, name, options, group)
    return command


def replace_parameter(
    command: Command,
    name: str,
    options: Sequence[inspect.Parameter],
    build: Callable[..., Any],
    at_end: bool = False,
) -> Command:
    """Return a command with `options` in place of the parameter `name`, or after the others.

    The command receives the result of `build`, which is called with the values of the options.
    """

    def run(**arguments: Any) -> None:
        values = {option.name: arguments.pop(option.name) for option in options}
        command(**arguments, **{name: build(**values)})

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command).parameters.values()
    ]
    place = [parameter.name for parameter in own].index(name)
    rest = own[place + 1 :]
    parameters = [*own[:place], *rest, *options] if at_end else [*own[:place], *options, *rest]
    return replace_parameters(command, run, parameters)

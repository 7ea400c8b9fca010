"""Group the options of a command in dataclasses.

Typer derives the options of a command from the signature of its function. The functions here build
this signature, so that a command receives one object for several options.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from noisegate_cli.terminal.signatures import replace_parameters

Command = Callable[..., None]


class OptionGroup:
    """Base class of dataclasses whose fields are options, annotated as Typer requires it."""


def expand_option_groups(command: Command) -> Command:
    """Return a command with options in place of each parameter that is an `OptionGroup`."""
    for name, group in get_type_hints(command).items():
        if isinstance(group, type) and issubclass(group, OptionGroup):
            hints = get_type_hints(group, include_extras=True)
            options = [
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=hints[field.name],
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

    parameters_before = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command).parameters.values()
    ]
    index = [parameter.name for parameter in parameters_before].index(name)
    following = parameters_before[index + 1 :]
    parameters = (
        [*parameters_before[:index], *following, *options]
        if at_end
        else [*parameters_before[:index], *options, *following]
    )
    return replace_parameters(command, run, parameters)

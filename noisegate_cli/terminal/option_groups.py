"""Group the options of a command in objects.

Typer derives the options of a command from `inspect.signature`, which returns the attribute
`__signature__` of a function if it has one (PEP 362). The functions here set it, so that a command
receives one object for several options. Nothing else in ngate depends on this.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from typing import Any

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

    @wraps(command)
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
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run

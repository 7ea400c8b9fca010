"""Describe the options of a command, and group them in objects.

Typer derives the options of a command from `inspect.signature`, which returns the attribute
`__signature__` of a function if it has one (PEP 362). The functions here set it, so that a command
receives one object for several options. Nothing else in ngate depends on this.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from typing import Any, NamedTuple

Command = Callable[..., None]


class Option(NamedTuple):
    """Command-line option that sets one field of GateSettings."""

    flags: tuple[str, ...]
    metavar: str
    """Placeholder of the value in the help; empty for a switch."""
    panel: str
    help: str
    default: str = ""
    """Default as shown in the help; empty if the preset determines it."""

    @property
    def key(self) -> str:
        """Name of the option in a preset file: the flag without its dashes."""
        return self.flags[0].removeprefix("--")

    @property
    def parameter(self) -> str:
        """Name of the parameter of a command, from which its environment variable derives."""
        return self.key.replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Whether the option has no value. `--no-KEY` turns off what a preset turns on."""
        return not self.metavar

    @property
    def off_parameter(self) -> str:
        """Name of the parameter of a command that turns a switch off."""
        return f"no_{self.parameter}"


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


def order_by_panel(command: Command, panels: Sequence[str | None]) -> Command:
    """Return a command with its options in the order of `panels`; None stands for all others."""
    signature = inspect.signature(command)

    def rank(parameter: inspect.Parameter) -> int:
        option = next(iter(getattr(parameter.annotation, "__metadata__", ())), None)
        panel = getattr(option, "rich_help_panel", None)
        return panels.index(panel if panel in panels else None)

    @wraps(command)
    def run(**arguments: Any) -> None:
        command(**arguments)

    ordered = sorted(signature.parameters.values(), key=rank)
    run.__signature__ = signature.replace(parameters=ordered)  # type: ignore[attr-defined]
    return run


def hide_environment_variables(command: Command) -> Command:
    """Leave the names of environment variables, which derive from the options, out of the help."""
    for parameter in inspect.signature(command).parameters.values():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            option.show_envvar = False
    return command


def replace_parameter(
    command: Command,
    name: str,
    options: Sequence[inspect.Parameter],
    build: Callable[..., Any],
) -> Command:
    """Return a command with `options` in place of the parameter `name`.

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
    run.__signature__ = inspect.Signature([*own[:place], *options, *rest])  # type: ignore[attr-defined]
    return run

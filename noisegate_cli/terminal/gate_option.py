"""The description of a command-line option of the gate settings."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Option(NamedTuple):
    """Command-line option that sets one field of GateSettings."""

    flags: tuple[str, ...]
    metavar: str
    """Placeholder of the value in the help; empty for a switch."""
    panel: str
    help: str
    parse: Callable[[str], Any]
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

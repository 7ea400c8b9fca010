"""Words of the command line that the page shows; only the terminal knows them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandWords:
    """Parts of a command line, quoted for a shell, between which the page puts its settings."""

    start: Mapping[str, str]
    """The command, and the settings that the page cannot change, by the preset that follows."""
    not_previewed: str
    """The options in `start` that the page cannot play; empty if there are none."""
    end: str
    """The recording."""
    flags: Mapping[str, str]
    """Flag of each setting that the page changes, and of the segments to `keep` and to `cut`."""

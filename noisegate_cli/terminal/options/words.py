"""Options and recordings as words of a command."""

from collections.abc import Sequence
from typing import Any

from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.terminal.options.gate_settings import GATE_OPTIONS
from noisegate_cli.text import format_time


def format_option(name: str, value: Any) -> str:
    """Return a setting, as its value or as text, as a command-line option."""
    option = GATE_OPTIONS[name].flags[0]
    if isinstance(value, bool):
        return option if value else f"--no-{GATE_OPTIONS[name].key}"
    if isinstance(value, str):
        return f"{option}={value}"
    if name == "noise":
        value = format_noise_value(value)
    elif isinstance(value, tuple):
        value = "-".join(f"{hz:g}" for hz in value)
    elif value in (MUTE, -MUTE):
        value = "mute"
    elif name in ("range_db", "target_floor_db"):
        value = f"{value:g}dB"
    return f"{option}={value:g}" if isinstance(value, float) else f"{option}={value}"


def format_noise_value(noise: Any) -> str:
    """Return the noise setting as typed on the command line: a time span or a file name."""
    return "-".join(map(format_time, noise)) if isinstance(noise, tuple) else str(noise)


def list_reading_options(
    raw: str | None, track: int | None, against: Sequence[str] = ()
) -> list[str]:
    """Return the options with which recordings are read, as words of a command."""
    return [
        *(f"--against={path}" for path in against),
        *([f"--raw={raw}"] if raw else []),
        *([f"--track={track}"] if track else []),
    ]


def looks_like_option(path: str) -> bool:
    """Return whether `--` must precede the name of a recording; not before standard input."""
    return path.startswith("-") and path != "-"

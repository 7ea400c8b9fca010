"""The option `--key`."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.parsing import parse_key
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.options.gate_settings import DETECTOR_PANEL, GATE_OPTIONS, TypedSettings

KeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="HZ-HZ|FILE|FILE:HZ-HZ",
        help="Detect only between these frequencies, for example 250-4000, or detect in another "
        "recording (sidechain), or both. The output keeps all frequencies.",
        rich_help_panel=DETECTOR_PANEL,
        show_default="all frequencies",
    ),
]

BatchKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="HZ-HZ|FILE|DIR|…:HZ-HZ",
        help="Detect only between these frequencies, for example 250-4000, or detect in another "
        "recording (sidechain), or both. DIR has a key for each recording, of the same name.",
        rich_help_panel=DETECTOR_PANEL,
        show_default="all frequencies",
    ),
]


AnalysisKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="HZ-HZ",
        help=GATE_OPTIONS["key_hz"].help,
        rich_help_panel=DETECTOR_PANEL,
        show_default="all frequencies",
    ),
]


def parse_key_option(
    text: str | None, settings: GateSettings
) -> tuple[str | Path | None, GateSettings]:
    """Return the recording that is the key, if one is given, and the settings with its band."""
    if text is None:
        return None, settings
    file, band = parse_key(text)
    settings = replace(settings, key_hz=band)
    if file is None:
        return None, settings
    if not file:
        raise SettingsError(f"--key {text!r} names no file: give HZ-HZ, FILE or FILE:HZ-HZ")
    from noisegate_cli.files.outputs.naming import parse_path

    number = r"[-+]?(\d[\d.,]*(e[-+]?\d+)?|inf|nan) *(k?hz|k)?"
    is_number = re.fullmatch(rf"{number}( *- *{number})?", file, re.IGNORECASE)
    if is_number and not os.path.lexists(file):
        what = "not a band of frequencies" if "-" in file else "a single frequency"
        raise SettingsError(f"--key {text!r} is {what}: give a band such as 2000-8000, or a file")
    return parse_path(file), settings


def add_key_band(text: str | None, typed: TypedSettings) -> TypedSettings:
    """Return the settings of a command whose key can only be a band."""
    file, settings = parse_key_option(text, typed.settings)
    if text is None:
        return typed
    if file is not None:
        raise SettingsError(
            f"--key {text!r} is not a band of frequencies: give Hz, 250-4000. "
            "A recording as the key works with `ngate gate` and `ngate batch`; "
            "to choose their threshold, analyze that recording"
        )
    return typed._replace(settings=settings, texts={**typed.texts, "key_hz": text})

"""The option `--key` of `ngate gate` and `ngate batch`, and the text about a key."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.parsing import parse_key
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.bleed_text import format_alignment
from noisegate_cli.terminal.options import DETECTOR_PANEL
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from pathlib import Path

    from noisegate_cli.api.key_input import KeyTrack

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


def parse_key_option(
    text: str | None, settings: GateSettings
) -> "tuple[str | Path | None, GateSettings]":
    """Return the recording that is the key, if one is given, and the settings with its band."""
    if text is None:
        return None, settings
    file, band = parse_key(text)
    settings = replace(settings, key_hz=band)
    if file is None:
        return None, settings
    if not file:
        raise SettingsError(f"--key {text!r} names no file: give HZ-HZ, FILE or FILE:HZ-HZ")
    from noisegate_cli.files.output_naming import parse_path

    return parse_path(file), settings


def format_key(key: "KeyTrack") -> str:
    """Return the line of the summary about a key."""
    alignment = key.alignment
    if alignment is None:
        return f"key        {quote_path(key.path)}: no sound in common, so both start together"
    return f"key        {quote_path(key.path)}: {format_alignment(alignment)}"


def build_key_data(key: "KeyTrack | None") -> dict[str, Any] | None:
    """Return a key as JSON-compatible data."""
    if key is None:
        return None
    alignment = key.alignment
    return {
        "file": key.path,
        "start_s": alignment.start_s if alignment else None,
        "drift_ppm": alignment.drift_ppm if alignment else None,
    }

"""Presets in TOML files, whose keys are the settings of the gate.

A preset is a table of settings, such as `hold = 120` or `range = "-24dB"`. The key `preset` names
the built-in preset that sets the others.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.parsing import parse_noise
from noisegate_cli.gating.settings import PRESETS, GateSettings
from noisegate_cli.gating.text_settings import (
    PARSERS,
    SPECTRAL_ONLY,
    SWITCHES,
    Texts,
    parse_settings,
    parse_text,
    text_key,
)
from noisegate_cli.text import quote_path, suggest_nearest

BASE_KEY = "preset"
"""Key of the built-in preset on which a preset is based."""

FILE_EXTENSION = ".toml"

EXCLUSIVE = {"range_db": "target_floor_db", "target_floor_db": "range_db"}
"""Settings that exclude each other: if one is given, it replaces the other one of a preset."""


class Preset(NamedTuple):
    """A built-in preset and settings that override it."""

    base: str
    texts: Texts
    source: str = ""
    """Where it was read, for messages; empty for a built-in preset."""

    def override(self, texts: Mapping[str, Any]) -> "Preset":
        """Return the preset with some of its texts replaced."""
        replaced = {EXCLUSIVE[name] for name in texts if name in EXCLUSIVE}
        if texts.get("spectral") in (False, "off"):
            replaced |= SPECTRAL_ONLY
        kept = {name: text for name, text in self.texts.items() if name not in replaced}
        return self._replace(texts={**kept, **texts})

    def parse(self) -> GateSettings:
        """Return the settings.

        Raises
        ------
        SettingsError
            If a text is invalid or settings contradict each other; the message has the source.
        """
        try:
            return parse_settings(self.base, self.texts)
        except SettingsError as error:
            if not self.source:
                raise
            raise SettingsError(f"{self.source}: {error}") from error

    def build(self, changes: Mapping[str, Any]) -> GateSettings:
        """Return the settings, with values in place of texts of the preset.

        Raises
        ------
        SettingsError
            See `parse`; or if a value is out of its range.
        """
        self.parse()  # A message about the preset has its source.
        values = {field: parse_text(field, text) for field, text in self.texts.items()}
        return GateSettings.preset(self.base, **self._replace(texts=values).override(changes).texts)


def is_file_name(name: str | Path) -> bool:
    """Return whether the name of a preset is a path."""
    text = str(name)
    is_path = any(separator in text for separator in ("/", os.sep))
    return isinstance(name, Path) or is_path or text.lower().endswith(FILE_EXTENSION)


def read_preset(path: Path) -> Preset:
    """Return the preset in a file.

    Raises
    ------
    SettingsError
        If there is no such file, it cannot be read, or one of its values is wrong.
    """
    if not path.exists():
        raise SettingsError(f"preset {quote_path(path)} does not exist: check the name")
    return parse_table(read_toml(path), path, quote_path(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file, empty if there is no such file.

    Raises
    ------
    SettingsError
        If it cannot be read, or is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        message = f"preset {quote_path(path)} cannot be read: {error.strerror}"
        raise SettingsError(message) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise SettingsError(f"preset {quote_path(path)} is not TOML: {error}") from error


def parse_table(table: Any, path: Path, source: str) -> Preset:
    """Return the preset in a table, whose values have been checked one by one.

    Parameters
    ----------
    table
        Content of the table.
    path
        Path of its file, to which the path of a noise recording is relative.
    source
        Where the table is, for messages.

    Raises
    ------
    SettingsError
        If a key or a value is wrong.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"{source} must be a table of options, such as hold = 120")
    fields = {text_key(field): field for field in (*PARSERS, *SWITCHES)}
    base = table.get(BASE_KEY, "voice")
    if not isinstance(base, str) or base.lower() not in PRESETS:
        hint = suggest_nearest(str(base), PRESETS)
        raise SettingsError(f"{source}: preset {base!r} is not one of {', '.join(PRESETS)}{hint}")
    texts: Texts = {}
    for key, value in table.items():
        if key == BASE_KEY:
            continue
        field = fields.get(key.replace("_", "-"))
        if field is None:
            hint = suggest_nearest(key, [*fields, BASE_KEY])
            raise SettingsError(f"{source}: there is no gate option {key!r}{hint}")
        try:
            texts[field] = _check_value(key, value, field)
        except SettingsError as error:
            raise SettingsError(f"{source}: {error}") from error
    if not texts.get("spectral", True):
        del texts["spectral"]
    if isinstance(noise := texts.get("noise"), str):
        texts["noise"] = resolve_noise(noise, path.parent)
    return Preset(base.lower(), texts, source)


def _check_value(key: str, value: object, field: str) -> str | bool:
    """Return the text of a value, after a check that the setting accepts it."""
    if field in SWITCHES:
        if not isinstance(value, bool):
            raise SettingsError(f"{key} {value!r} must be true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{key} {value!r} must be text or a number")
    text = str(value)
    parse_text(field, text)
    return text


def resolve_noise(text: str, folder: Path) -> str:
    """Return a source of the noise, with the path of a recording relative to `folder` resolved."""
    return text if isinstance(parse_noise(text), tuple) else str(folder.absolute() / text)

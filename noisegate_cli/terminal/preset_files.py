"""Presets of the user: TOML files whose keys are the options of the gate.

A preset is a table of options, such as `hold = 120` or `range = "-24dB"`. The key `preset` names
the built-in preset that sets the other options. A file given by its path holds one preset. The
file of the user's presets holds a table for each.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.gate_option import Option
from noisegate_cli.text import quote_path, suggest_nearest

BASE_KEY = "preset"
"""Key of the built-in preset on which a preset is based."""

FILE_EXTENSION = ".toml"

EXCLUSIVE = {"range_db": "target_floor_db", "target_floor_db": "range_db"}
"""Options of which a given one replaces the other one of a preset."""

SPECTRAL_ONLY = {"reduction_db", "noise"}
"""Options that require --spectral."""

Texts = dict[str, Any]
"""Options as typed, by the name of the setting: text, or True for a switch."""


class Preset(NamedTuple):
    """A built-in preset and options that override it."""

    base: str
    texts: Texts
    source: str = ""
    """Where it was read, for messages; empty for a built-in preset."""

    def override(self, texts: Mapping[str, Any]) -> "Preset":
        """Return the preset with options in place of its own; None is no option."""
        given = {name: text for name, text in texts.items() if text is not None}
        replaced = {EXCLUSIVE[name] for name in given if name in EXCLUSIVE}
        if given.get("spectral") is False:
            replaced |= SPECTRAL_ONLY
        kept = {name: text for name, text in self.texts.items() if name not in replaced}
        return self._replace(texts=kept | given)


def user_presets_path() -> Path:
    """Return the path of the file with the user's presets."""
    from platformdirs import user_config_path

    return user_config_path("ngate", appauthor=False) / "presets.toml"


def list_user_presets() -> list[str]:
    """Return the names of the user's presets; none if their file can't be read."""
    try:
        return list(_read_toml(user_presets_path()))
    except SettingsError:
        return []


def load_preset(name: str, options: Mapping[str, Option]) -> Preset:
    """Return the preset called `name`, or the one in the file of that name.

    Parameters
    ----------
    name
        Name of a built-in preset, in any case, of a preset of the user, or path of a TOML file.
    options
        Options that a preset may have, by the name of their setting.

    Raises
    ------
    SettingsError
        If there is no such preset, its file can't be read, or one of its options is wrong.
    """
    if name.lower() in PRESETS:
        return Preset(name.lower(), {})
    if is_file_name(name):
        path = Path(name)
        if not path.exists():
            raise SettingsError(f"preset {quote_path(name)} doesn't exist: check the name")
        return _parse_table(_read_toml(path), path, quote_path(path), options)
    path = user_presets_path()
    tables = _read_toml(path)
    if name not in tables:
        names = [*PRESETS, *tables]
        raise SettingsError(
            f"preset {name!r} is not one of {', '.join(names)}{suggest_nearest(name, names)}"
        )
    return _parse_table(tables[name], path, f"{quote_path(path)}, {name}", options)


def is_file_name(name: str) -> bool:
    """Return whether the name of a preset is a path."""
    return name.lower().endswith(FILE_EXTENSION) or any(s in name for s in ("/", os.sep))


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a file, empty if there is no such file."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"preset {quote_path(path)} can't be read: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise SettingsError(f"preset {quote_path(path)} is not TOML: {error}") from error


def _parse_table(table: Any, path: Path, source: str, options: Mapping[str, Option]) -> Preset:
    """Return the preset in a table; its file is at `path`."""
    if not isinstance(table, dict):
        raise SettingsError(f"{source} must be a table of options, such as hold = 120")
    fields = {option.key: name for name, option in options.items()}
    base = table.get(BASE_KEY, "voice")
    if not isinstance(base, str) or base.lower() not in PRESETS:
        hint = suggest_nearest(str(base), PRESETS)
        raise SettingsError(f"{source}: preset {base!r} is not one of {', '.join(PRESETS)}{hint}")
    texts: Texts = {}
    for key, value in table.items():
        if key == BASE_KEY:
            continue
        name = fields.get(key.replace("_", "-"))
        if name is None:
            hint = suggest_nearest(key, [*fields, BASE_KEY])
            raise SettingsError(f"{source}: there is no option {key!r}{hint}")
        try:
            texts[name] = _parse_value(key, value, options[name])
        except SettingsError as error:
            raise SettingsError(f"{source}: {error}") from error
    if not texts.get("spectral", True):
        del texts["spectral"]
    if isinstance(noise := texts.get("noise"), str):
        texts["noise"] = _resolve_noise(noise, path.parent)
    return Preset(base.lower(), texts, source)


def _parse_value(key: str, value: object, option: Option) -> str | bool:
    """Return the text of a value, after a check that the option accepts it."""
    if not option.metavar:
        if not isinstance(value, bool):
            raise SettingsError(f"{key} {value!r} must be true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{key} {value!r} must be text or a number")
    text = str(value)
    option.parse(text)
    return text


def _resolve_noise(text: str, folder: Path) -> str:
    """Return a source of the noise, with the path of a recording relative to `folder` resolved."""
    from noisegate_cli.gating.parsing import parse_noise

    return text if isinstance(parse_noise(text), tuple) else str(folder.absolute() / text)


def save_preset(name: str, preset: Preset, options: Mapping[str, Option], force: bool) -> Path:
    """Write a preset to the file `name`, or under this name to the file of the user's presets.

    The rest of that file, with its comments, is unchanged. Returns the path of the file.

    Raises
    ------
    SettingsError
        If a preset can't have this name.
    OutputError
        If there is another preset of this name and `force` is false, or the file can't be written.
    """
    from noisegate_cli.files.document import write_document

    texts = dict(preset.texts)
    if isinstance(noise := texts.get("noise"), str):
        texts["noise"] = _resolve_noise(noise, Path())
    table = {BASE_KEY: preset.base} | {options[n].key: text for n, text in texts.items()}
    lines = "".join(f"{key} = {_format_value(value)}\n" for key, value in table.items())
    if is_file_name(name):
        path = Path(name)
        if not name.lower().endswith(FILE_EXTENSION):
            raise SettingsError(f"preset {quote_path(name)} is not a TOML file: try {name}.toml")
        content = lines
        is_new = not path.exists()
    else:
        path = user_presets_path()
        _check_name(name)
        tables = _read_toml(path)
        is_new = name not in tables
        content = _replace_table(
            path.read_text(encoding="utf-8") if path.exists() else "", name, lines
        )
    if not is_new and not force and path.read_bytes() != content.encode():
        raise OutputError(f"preset {name!r} exists already: force=True overwrites it")
    # A link, such as into a folder of settings under version control, stays a link.
    write_document(Path(os.path.realpath(path)), content.encode(), force=True)
    return path


def _check_name(name: str) -> None:
    if name.lower() in PRESETS:
        raise SettingsError(f"preset {name!r} is built in: save it under another name")
    if not name.strip() or not name.isprintable() or name != name.strip():
        raise SettingsError(f"preset {name!r} is not a name: give letters and digits")


def _format_value(value: str | bool) -> str:
    """Return a value as TOML: a plain number where it is one, else text."""
    if isinstance(value, bool):
        return str(value).lower()
    import json

    is_number = re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", value)
    return value if is_number else json.dumps(value, ensure_ascii=False)


def _replace_table(content: str, name: str, lines: str) -> str:
    """Return the content of a TOML file in which the table `name` holds `lines`.

    Raises
    ------
    OutputError
        If the table is written in a way that can't be replaced, such as an inline table.
    """
    import json
    import tomllib

    header = f"[{name}]" if re.fullmatch(r"[\w-]+", name, re.ASCII) else f"[{json.dumps(name)}]"
    parts = re.split(r"^(?=[ \t]*\[)", content, flags=re.MULTILINE)
    others = [part for part in parts if not _is_table(part, name)]
    place = next((i for i, part in enumerate(parts) if _is_table(part, name)), len(others))
    rest = "".join(others[:place])
    separator = "" if not rest or rest.endswith("\n\n") else "\n" if rest.endswith("\n") else "\n\n"
    after = "".join(others[place:])
    table = f"{header}\n{lines}" + ("\n" if after else "")
    replaced = f"{rest}{separator}{table}{after}"
    expected = tomllib.loads(content) | {name: tomllib.loads(lines)}
    try:
        if tomllib.loads(replaced) == expected:
            return replaced
    except ValueError:
        pass
    raise OutputError(f"preset {name!r} can't be replaced in its file: edit it there")


def _is_table(part: str, name: str) -> bool:
    """Return whether a part of a TOML file is the table `name`."""
    import tomllib

    try:
        return part.lstrip().startswith("[") and list(tomllib.loads(part)) == [name]
    except ValueError:
        return False

"""The user's presets: by name in one file of tables, or each in its own file."""

import os
import re
from pathlib import Path

from noisegate_cli.api.presets import (
    BASE_KEY,
    FILE_EXTENSION,
    Preset,
    is_file_name,
    parse_table,
    read_preset,
    read_toml,
    resolve_noise,
)
from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.gating.text_settings import text_key
from noisegate_cli.text import quote_path, suggest_nearest


def user_presets_path() -> Path:
    """Return the path of the file with the user's presets."""
    from platformdirs import user_config_path

    return user_config_path("ngate", appauthor=False) / "presets.toml"


def list_user_presets() -> list[str]:
    """Return the names of the user's presets; none if their file cannot be read."""
    try:
        return list(read_toml(user_presets_path()))
    except SettingsError:
        return []


def load_preset(name: str) -> Preset:
    """Return the preset called `name`, or the one in the file of that name.

    Parameters
    ----------
    name
        Name of a built-in preset, in any case, name of a user preset, or path of a TOML file.

    Raises
    ------
    SettingsError
        If there is no such preset, its file cannot be read, or one of its options is wrong.
    """
    if name.lower() in PRESETS:
        return Preset(name.lower(), {})
    if is_file_name(name):
        return read_preset(Path(name))
    path = user_presets_path()
    tables = read_toml(path)
    if name not in tables:
        names = [*PRESETS, *tables]
        raise SettingsError(
            f"preset {name!r} is not one of {', '.join(names)}{suggest_nearest(name, names)}"
        )
    return parse_table(tables[name], path, f"{quote_path(path)}, {name}")


def save_preset(name: str, preset: Preset, force: bool) -> Path:
    """Write a preset to the file `name`, or under this name to the file of the user's presets.

    The rest of that file, with its comments, is unchanged. Returns the path of the file.

    Raises
    ------
    SettingsError
        If a preset cannot have this name.
    OutputError
        If there is another preset of this name and `force` is false, or the file cannot be written.
    """
    from noisegate_cli.files.outputs.document import write_document

    texts = dict(preset.texts)
    if isinstance(noise := texts.get("noise"), str):
        texts["noise"] = resolve_noise(noise, Path())
    table = {BASE_KEY: preset.base} | {text_key(field): text for field, text in texts.items()}
    lines = "".join(f"{key} = {_format_value(value)}\n" for key, value in table.items())
    if is_file_name(name):
        path = Path(name)
        if not name.lower().endswith(FILE_EXTENSION):
            raise SettingsError(f"preset {quote_path(name)} is not a TOML file: give {name}.toml")
        content = lines
        is_new = not path.exists()
    else:
        path = user_presets_path()
        _check_name(name)
        tables = read_toml(path)
        is_new = name not in tables
        content = _replace_table(
            path.read_text(encoding="utf-8") if path.exists() else "", name, lines
        )
    if not is_new and not force and path.read_bytes() != content.encode():
        raise OutputError(f"preset {name!r} already exists: force=True overwrites it")
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
        If the table is written in a way that cannot be replaced, such as an inline table.
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
    raise OutputError(f"preset {name!r} cannot be replaced in its file: edit it there")


def _is_table(part: str, name: str) -> bool:
    """Return whether a part of a TOML file is the table `name`."""
    import tomllib

    try:
        return part.lstrip().startswith("[") and list(tomllib.loads(part)) == [name]
    except ValueError:
        return False

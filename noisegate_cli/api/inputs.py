"""Arguments of the library: settings, presets, and the files that it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.api.arguments import check_path
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.gating.setting_values import SettingsChanges
from noisegate_cli.gating.settings import PRESETS, GateSettings, build_settings
from noisegate_cli.text import find_nearest

if TYPE_CHECKING:
    from noisegate_cli.files.raw_format import RawFormat


def choose_settings(
    settings: GateSettings | None, preset: str | Path | None, changes: SettingsChanges
) -> GateSettings:
    """Return `settings`, or a preset by its name or in a file, with single settings overridden.

    Raises
    ------
    SettingsError
        If both are given, the preset does not exist, or a value is wrong.
    """
    if isinstance(preset, GateSettings):
        raise SettingsError("preset= is a name: give these settings as settings=")
    if preset is not None:
        check_path("preset", preset)
    if preset is None or settings is not None or str(preset) in PRESETS:
        return build_settings(settings, None if preset is None else str(preset), changes)
    from noisegate_cli.api.presets import is_file_name, read_preset

    if not is_file_name(preset):
        return build_settings(None, str(preset), changes)
    return read_preset(Path(preset)).build(changes)


def check_no_output_options(changes: Mapping[str, object]) -> None:
    """Raise TypeError if a keyword argument of `gate_file` is a field of `OutputOptions`."""
    settings = [field.name for field in fields(GateSettings)]
    options = [field.name for field in fields(OutputOptions)]
    for name in changes:
        option = None if find_nearest(name, settings) else find_nearest(name, options)
        if option:
            raise TypeError(
                f"{name!r} is not a parameter: give options=OutputOptions({option}=...)"
            )


def parse_raw_format(raw: "RawFormat | str | None") -> "RawFormat | None":
    """Return the format of an input without a header, given as an object or as text."""
    if raw is None:
        return None
    from noisegate_cli.files.raw_format import RawFormat

    return RawFormat.from_value(raw)


def list_inputs(
    path: Path,
    noise_file: str | None,
    segments: str | Path | None = None,
    key: str | Path | None = None,
    against: Sequence[str | Path] = (),
) -> dict[str, Path]:
    """Return the paths of the files that are only read, by their description."""
    others: dict[str, str | Path | None] = {
        "the recording of the noise": noise_file,
        "the applied label file": segments,
        "the key": key,
    }
    for number, track in enumerate(against, 1):
        others["another track" if number == 1 else f"another track ({number})"] = track
    return {"the input": path} | {name: Path(source) for name, source in others.items() if source}

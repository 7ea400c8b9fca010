"""Settings as text: the parser of each one, and the settings that result from several."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.extras import check_speech_extra
from noisegate_cli.gating.parsing import (
    parse_band,
    parse_choice,
    parse_duration,
    parse_level,
    parse_noise,
    parse_quantity,
    parse_range,
    parse_ratio,
    parse_reduction,
    parse_samples,
    parse_threshold,
)
from noisegate_cli.gating.setting_values import SWITCH_FIELDS, Channels, NonFinite
from noisegate_cli.gating.settings import GateSettings

SWITCHES = (*SWITCH_FIELDS, "spectral")
"""Settings that are true or false instead of text."""

PARSERS: Mapping[str, Callable[[str], Any]] = {
    "threshold": parse_threshold,
    "key_hz": partial(parse_band, "key"),
    "hysteresis_db": partial(parse_quantity, "hysteresis", unit="dB"),
    "min_open_ms": partial(parse_duration, "min open"),
    "min_closed_ms": partial(parse_duration, "min closed"),
    "listen": str,
    "channels": partial(parse_choice, "channels", choices=get_args(Channels)),
    "nonfinite": partial(parse_choice, "nonfinite", choices=get_args(NonFinite)),
    "frame_length": partial(parse_samples, "frame length"),
    "hop_length": partial(parse_samples, "hop length"),
    "lookahead_ms": partial(parse_duration, "lookahead"),
    "attack_ms": partial(parse_duration, "attack"),
    "hold_ms": partial(parse_duration, "hold"),
    "release_ms": partial(parse_duration, "release"),
    "range_db": parse_range,
    "target_floor_db": partial(parse_level, "target floor"),
    "ratio": parse_ratio,
    "knee_db": partial(parse_quantity, "knee", unit="dB"),
    "reduction_db": parse_reduction,
    "noise": parse_noise,
}
"""Parser of each setting that is text, by the name of the field of `GateSettings`."""

SPECTRAL_ONLY = {"reduction_db", "noise"}
"""Settings that require a spectral gate."""

Texts = dict[str, Any]
"""Text of settings by the name of the field, or True or False for a switch."""


def text_key(field: str) -> str:
    """Return the name of a setting in text: the name of the field without its unit.

    Examples
    --------
    >>> text_key("min_open_ms"), text_key("key_hz"), text_key("spectral")
    ('min-open', 'key', 'spectral')
    """
    for unit in ("_db", "_ms", "_hz"):
        field = field.removesuffix(unit)
    return field.replace("_", "-")


def parse_text(field: str, value: Any) -> Any:
    """Return the value of a setting; the value of a switch is returned unchanged.

    Raises
    ------
    SettingsError
        If the text is invalid; the message quotes it.
    """
    return value if field in SWITCHES else PARSERS[field](value)


def parse_settings(preset: str, texts: Mapping[str, Any]) -> GateSettings:
    """Return the settings of a built-in preset, overridden by texts; None changes nothing.

    Raises
    ------
    SettingsError
        If a text is invalid or out of range, or if settings contradict each other.
    """
    changes = {name: parse_text(name, text) for name, text in texts.items() if text is not None}
    if not changes.get("spectral") and (misplaced := SPECTRAL_ONLY & set(changes)):
        raise SettingsError(f"{min(misplaced)}= requires spectral=True")
    if changes.get("speech"):
        check_speech_extra()
    settings = GateSettings.preset(preset, **changes)
    return settings if settings.softens_range else settings.resolved

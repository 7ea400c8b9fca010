"""Values that each setting of the gate may have: their types, limits and checks."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal, Protocol, TypedDict, get_args

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.parsing import parse_range, parse_reduction, parse_threshold
from noisegate_cli.gating.timing import MAX_FRAME_LENGTH, MAX_TIME_MS, MIN_FRAME_LENGTH
from noisegate_cli.text import suggest_nearest

Channels = Literal["linked", "separate", "exclusive"]
Spectral = Literal["off", "soft", "mask"]
NonFinite = Literal["refuse", "zero"]
Listen = Literal["voice", "all"]

FIELD_CHOICES = {
    "channels": Channels,
    "spectral": Spectral,
    "nonfinite": NonFinite,
    "listen": Listen,
}

MAX_KNEE_DB = 60.0
"""Maximum width of the knee of an expander."""

NON_NEGATIVE_FIELDS = (
    "hysteresis_db",
    "min_closed_ms",
    "min_open_ms",
    "lookahead_ms",
    "attack_ms",
    "hold_ms",
    "release_ms",
)

SWITCH_FIELDS = ("adaptive", "duck", "speech")

PYTHON_NUMBERS = (float, int, bool)
"""Types of numbers that are stored unchanged."""

OPTIONAL_FIELDS = ("key_hz", "range_db", "frame_length", "hop_length", "target_floor_db", "noise")
"""Settings that may be None."""

TEXT_PARSERS: Mapping[str, Callable[[str], float | str]] = {
    "threshold": parse_threshold,
    "range_db": parse_range,
    "reduction_db": parse_reduction,
}
"""Parser of each number that may be given as text."""


class PathLike(Protocol):
    """A path, such as `pathlib.Path`."""

    def __fspath__(self) -> str:
        """Return the path as text."""
        ...


class SettingsChanges(TypedDict, total=False):
    """Keyword arguments that override single fields of `GateSettings`; see there."""

    threshold: float | str
    adaptive: bool
    key_hz: tuple[float, float] | None
    hysteresis_db: float
    min_closed_ms: float
    min_open_ms: float
    lookahead_ms: float
    attack_ms: float
    hold_ms: float
    release_ms: float
    range_db: float | str | None
    ratio: float
    knee_db: float
    duck: bool
    frame_length: int | None
    hop_length: int | None
    target_floor_db: float | None
    channels: Channels
    spectral: Spectral | bool
    """True chooses the mode: `mask` for the preset `hard`, else `soft`."""
    reduction_db: float | str
    noise: str | PathLike | tuple[float, float] | None
    nonfinite: NonFinite
    listen: Listen
    speech: bool


def convert_value(name: str, value: Any) -> Any:
    """Return the value of a setting in the form in which it is stored.

    Pairs become tuples, paths become text, text becomes numbers, and NumPy scalars and other
    numbers become Python numbers. Settings are then compared and hashed by value.

    Raises
    ------
    SettingsError
        If a text is invalid; the message quotes it.
    """
    if name in ("key_hz", "noise"):
        if isinstance(value, list | tuple):
            return tuple(map(_to_python_number, value))
        return value.__fspath__() if hasattr(value, "__fspath__") else value
    if isinstance(value, str):
        return TEXT_PARSERS[name](value) if name in TEXT_PARSERS else value
    value = _to_python_number(value)
    if name == "spectral" and isinstance(value, bool):
        return "soft" if value else "off"
    return value


def _to_python_number(value: Any) -> Any:
    """Return a number of any type as a Python number, and other values unchanged.

    A small NumPy integer would overflow in a product with the sample rate.
    """
    if type(value) in PYTHON_NUMBERS:
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def check_value(name: str, value: Any) -> None:
    """Check the type and the range of the value of a setting.

    Raises
    ------
    SettingsError
        If the value is not allowed, whatever the other settings are; the message quotes it.
    """
    if value is not None or name not in OPTIONAL_FIELDS:
        CHECKS[name](value)


def _check_threshold(value: Any) -> None:
    if isinstance(value, str):
        return
    if not _is_number(value):
        raise SettingsError(f"threshold {value!r} must be a number or text")
    if not 0 <= value <= 1:
        decibels = abs(value) if math.isfinite(value) else 30
        raise SettingsError(
            f"threshold {value:g} is not a linear RMS between 0 and full scale, 1.0: "
            f"for a level in dBFS give threshold='-{decibels:g}dB'"
        )


def _check_key(value: Any) -> None:
    if not _is_pair(value):
        raise SettingsError(f"key {value!r} must be two frequencies in Hz, such as (250, 4000)")
    if not 0 <= value[0] < value[1] < math.inf:
        raise SettingsError(
            f"key {value[0]:g}-{value[1]:g} Hz must be two frequencies, low to high"
        )


def _check_non_negative(name: str, value: Any) -> None:
    _check_number(name, value)
    if not 0 <= value <= MAX_TIME_MS:
        raise SettingsError(f"{_label(name)} {value:g} must be 0 to {MAX_TIME_MS:g}")


def _check_range(value: Any) -> None:
    _check_number("range_db", value)
    if not value <= 0:
        raise SettingsError(
            f"range {value:g} dB must be 0 or below: it is the gain of the closed gate"
        )


def _check_target_floor(value: Any) -> None:
    _check_number("target_floor_db", value)
    if not value < 0:
        raise SettingsError(f"target floor {value + 0.0:g} dBFS must be below 0")


def _check_ratio(value: Any) -> None:
    _check_number("ratio", value)
    if not value > 1:
        raise SettingsError(f"ratio {value:g} must be above 1, because 1 changes nothing")


def _check_knee(value: Any) -> None:
    _check_number("knee_db", value)
    if not 0 <= value <= MAX_KNEE_DB:
        raise SettingsError(f"knee {value:g} dB must be 0 to {MAX_KNEE_DB:g}")


def _check_switch(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} {value!r} must be True or False")


def _check_frame_length(value: Any) -> None:
    _check_number("frame_length", value, int)
    if not MIN_FRAME_LENGTH <= value <= MAX_FRAME_LENGTH:
        raise SettingsError(
            f"frame length {value} must be {MIN_FRAME_LENGTH} to {MAX_FRAME_LENGTH} samples"
        )


def _check_hop_length(value: Any) -> None:
    _check_number("hop_length", value, int)
    if value < 1:
        raise SettingsError(f"hop length {value} must be 1 or more samples")


def _check_choice(name: str, value: Any) -> None:
    choices = get_args(FIELD_CHOICES[name])
    if value not in choices:
        hint = suggest_nearest(str(value), choices)
        raise SettingsError(f"{name} {value!r} must be {' or '.join(map(repr, choices))}{hint}")


def _check_reduction(value: Any) -> None:
    _check_number("reduction_db", value)
    if not value >= 0:
        raise SettingsError(f"reduction {value:g} dB must be 0 or more")


def _check_noise(value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, tuple):
        raise SettingsError(
            f"noise of type {type(value).__name__} is neither the path of a recording nor a "
            "time span, (from, to) in seconds; give samples of the noise as y_noise="
        )
    if not (_is_pair(value) and 0 <= value[0] < value[1] < math.inf):
        raise SettingsError(f"noise {value} is not a time span: give (from, to) in seconds")


def _check_number(name: str, value: Any, kind: type[float] = float) -> None:
    if not _is_number(value, kind):
        number = "an integer" if kind is int else "a number"
        raise SettingsError(f"{_label(name)} {value!r} must be {number}")


def _is_number(value: Any, kind: type[float] = float) -> bool:
    """Return whether `value` is an integer or, unless `kind` is int, a float that is not NaN."""
    if isinstance(value, int):
        return not isinstance(value, bool)
    return kind is float and isinstance(value, float) and not math.isnan(value)


def _is_pair(value: object) -> bool:
    """Return whether `value` is a tuple of two numbers."""
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))


def _label(name: str) -> str:
    return name.replace("_db", " (dB)").replace("_ms", " (ms)").replace("_", " ")


CHECKS: Mapping[str, Callable[[Any], None]] = {
    **{name: partial(_check_non_negative, name) for name in NON_NEGATIVE_FIELDS},
    **{name: partial(_check_choice, name) for name in FIELD_CHOICES},
    **{name: partial(_check_switch, name) for name in SWITCH_FIELDS},
    "threshold": _check_threshold,
    "key_hz": _check_key,
    "range_db": _check_range,
    "target_floor_db": _check_target_floor,
    "ratio": _check_ratio,
    "knee_db": _check_knee,
    "frame_length": _check_frame_length,
    "hop_length": _check_hop_length,
    "reduction_db": _check_reduction,
    "noise": _check_noise,
}
"""Check of each setting, by its name."""

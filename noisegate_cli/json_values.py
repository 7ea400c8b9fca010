"""Convert values to JSON-compatible values."""

import dataclasses
import math
from enum import Enum
from pathlib import PurePath
from typing import Any

from noisegate_cli.text import escape_undecodable

UNCHANGED_TYPES = frozenset((type(None), bool, int))


def to_json_value(value: object, significant_digits: int | None = None) -> Any:
    r"""Return `value` as None, bool, int, float, str, list or dict.

    Parameters
    ----------
    value
        A plain value, a path, an enum, a dataclass, a NumPy scalar or array, or a dict, list or
        tuple of such values. NaN and infinite numbers become None, because JSON has none. Bytes of
        a path that cannot be decoded are escaped, because lone surrogates are invalid in UTF-8.
    significant_digits
        Number of digits to which floats are rounded; None to keep them exactly.

    Raises
    ------
    TypeError
        If a value has any other type.

    Examples
    --------
    >>> to_json_value({"file": PurePath("a.wav"), "level_db": float("-inf")})
    {'file': 'a.wav', 'level_db': None}
    >>> to_json_value((1 / 3, "\udcff.wav"), significant_digits=3)
    [0.333, '\\udcff.wav']
    """
    kind = type(value)
    if kind in UNCHANGED_TYPES:  # Most values are of these types, so they come first.
        return value
    if kind is str:
        return escape_undecodable(str(value))
    if isinstance(value, dict):
        return {
            escape_undecodable(str(key)): to_json_value(item, significant_digits)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [to_json_value(item, significant_digits) for item in value]
    if isinstance(value, float):
        return _convert_float(float(value), significant_digits)
    return to_json_value(_simplify(value), significant_digits)


def _convert_float(value: float, significant_digits: int | None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if significant_digits is None else float(f"{value:.{significant_digits}g}")


def _simplify(value: object) -> Any:
    """Return a value of a simpler type; raise TypeError if there is none."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str | PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, without an import of NumPy
        return value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON equivalent")

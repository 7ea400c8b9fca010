"""Convert values to JSON-compatible values."""

import dataclasses
import math
from enum import Enum
from pathlib import PurePath
from typing import Any

from noisegate_cli.text import escape_undecodable

PLAIN_TYPES = frozenset((type(None), bool, int, float, str, list, tuple, dict))


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
    if isinstance(value, Enum):
        value = value.value
    # Most values are of these types. An attribute of them takes long to look up.
    if type(value) not in PLAIN_TYPES and hasattr(value, "tolist"):
        value = value.tolist()  # NumPy scalars and arrays, without an import of NumPy
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if significant_digits is None else float(f"{value:.{significant_digits}g}")
    if isinstance(value, str | PurePath):
        return escape_undecodable(str(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {
            escape_undecodable(str(key)): to_json_value(item, significant_digits)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [to_json_value(item, significant_digits) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON equivalent")

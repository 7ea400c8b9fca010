"""Parse levels, times, bands and methods: `0.03`, `-30dB`, `auto`, `mute`."""

import math
import re
from collections.abc import Sequence

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.timing import MAX_TIME_MS
from noisegate_cli.text import normalize_number, suggest_nearest

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_TIME = r"((?:\d+:){0,2}\d+(?:\.\d*)?)s?"
_EDGE = r"([\d.]+)\s*(k?)(?:Hz)?"
_BAND = re.compile(rf"{_EDGE}\s*-\s*{_EDGE}", re.IGNORECASE)
_DB = re.compile(rf"({_NUMBER})\s*dB(?:FS)?", re.IGNORECASE)
_TIME_UNITS_MS = {"ms": 1.0, "s": 1000.0}

AUTO = "auto"

METHODS = (AUTO, "auto:otsu", "auto:gmm", "auto:p56")
"""Methods that find a threshold. `auto` uses signal models, the others the histogram of levels;
"floor+6dB", for example, is 6 dB above the noise."""

_ABOVE_FLOOR = re.compile(r"floor\s*\+\s*(\d+\.?\d*|\.\d+)\s*(?:dB)?", re.IGNORECASE)

MAX_PERCENT = 100
"""Maximum threshold that may be a percentage or a level without its sign."""

MUTE = -math.inf
"""Range in dB of a gate that closes to digital silence."""


def parse_threshold(text: str) -> float | str:
    """Parse a threshold: return its linear RMS, or the name of a method.

    A number of -1 or below is a level in dBFS.

    Raises
    ------
    SettingsError
        If `text` is invalid; the message quotes it and suggests a correction.

    Examples
    --------
    >>> parse_threshold("0.03"), round(parse_threshold("-30dB"), 4), parse_threshold("auto")
    (0.03, 0.0316, 'auto')
    >>> parse_threshold("-20"), parse_threshold("floor + 6")
    (0.1, 'floor+6dB')
    """
    plain = normalize_number(text)
    if plain.lower().startswith(("auto", "floor")):
        method = plain.lower() if plain.lower() in METHODS else plain
        above_db = above_floor_db(method)
        return method if above_db is None else f"floor+{above_db:g}dB"
    decibels, value = _parse_decibels(text)
    if value is not None and value <= -1:
        decibels = value
    if decibels is not None:
        if decibels > 0:
            raise SettingsError(f"threshold {text!r} is above full scale: give -{decibels:g}dB")
        return float(10 ** (decibels / 20))
    if value is None:
        raise SettingsError(
            f"threshold {text!r} is not a level: give a linear RMS such as 0.03, "
            "a level in dBFS such as -30dB, auto, or a distance from the noise such as floor+6dB"
            + suggest_nearest(text, METHODS)
        )
    if value < 0:
        raise SettingsError(f"threshold {text!r} has no unit: for a level in dBFS give {plain}dB")
    if value > MAX_PERCENT:
        raise SettingsError(f"threshold {text!r} is above full scale: give 0 to 1, or dBFS")
    if value > 1:
        raise SettingsError(
            f"threshold {text!r} is above full scale, 1.0: "
            f"for {value:g}% give {value / 100:g}, for a level in dBFS give -{value:g}dB"
        )
    return value


def parse_range(text: str) -> float:
    """Parse the gain of the closed gate, and return it in dB.

    It is an attenuation, so the unit and the minus sign may be missing.

    Raises
    ------
    SettingsError
        If `text` is invalid; the message quotes it and suggests a correction.

    Examples
    --------
    >>> parse_range("-24dB"), parse_range("24"), parse_range("mute")
    (-24.0, -24.0, -inf)
    """
    if text.strip().lower() == "mute":
        return MUTE
    decibels, value = _parse_decibels(text)
    if value is not None and 0 < value < 1:
        raise SettingsError(
            f"range {text!r} has no unit: for this linear gain give {20 * math.log10(value):.3g}dB"
        )
    decibels = value if decibels is None else decibels
    if decibels is None:
        raise SettingsError(
            f"range {text!r} is not a gain: give dB such as -24dB, or mute"
            + suggest_nearest(text, ["mute"])
        )
    if normalize_number(text).startswith("+") and decibels > 0:
        raise SettingsError(
            f"range {text!r} would make the closed gate louder: give -{decibels:g}dB"
        )
    return -abs(decibels)


def parse_reduction(text: str) -> float:
    """Parse the maximum attenuation of a bin, and return it in dB as a positive number.

    The attenuation may also be written as a gain, with a minus sign.

    Raises
    ------
    SettingsError
        If `text` is invalid; the message quotes it and suggests a correction.

    Examples
    --------
    >>> parse_reduction("12dB"), parse_reduction("-12"), parse_reduction("mute")
    (12.0, 12.0, inf)
    """
    if text.strip().lower() == "mute":
        return -MUTE
    decibels, number = _parse_decibels(text)
    value = number if decibels is None else decibels
    if value is None:
        raise SettingsError(
            f"reduction {text!r} is not a number of dB: give 12dB, or mute"
            + suggest_nearest(text, ["mute"])
        )
    return abs(value)


def parse_ratio(text: str) -> float:
    """Parse the ratio of an expander such as "4" or "4:1"; "inf" is a gate.

    Raises
    ------
    SettingsError
        If `text` is not a ratio; the message quotes it.

    Examples
    --------
    >>> parse_ratio("4"), parse_ratio("2.5:1"), parse_ratio("inf")
    (4.0, 2.5, inf)
    """
    number = re.sub(r"\s*:\s*1$", "", normalize_number(text))
    value = math.inf if number.lower() == "inf" else _number(number)
    if value is None:
        raise SettingsError(f"ratio {text!r} is not a ratio: give for example 4, or inf for a gate")
    return value


def parse_noise(text: str) -> tuple[float, float] | str:
    """Parse a time span such as "0:00-0:02.5" to seconds; return other text, a path, unchanged.

    Raises
    ------
    SettingsError
        If the span ends before it starts; the message quotes `text`.

    Examples
    --------
    >>> parse_noise("0:00-0:02.5"), parse_noise("1:02:03-1:02:04"), parse_noise("room.wav")
    ((0.0, 2.5), (3723.0, 3724.0), 'room.wav')
    """
    span = _parse_span("noise", text)
    return text if span is None else span


def parse_time_span(name: str, text: str) -> tuple[float, float]:
    """Parse a time span such as "1:20-1:25", and return its start and end in seconds.

    Raises
    ------
    SettingsError
        If `text` is not a time span, or ends before it starts; the message quotes it.

    Examples
    --------
    >>> parse_time_span("keep", "1:20-1:25.5"), parse_time_span("cut", "0-3s")
    ((80.0, 85.5), (0.0, 3.0))
    """
    span = _parse_span(name, text)
    if span is None:
        raise SettingsError(f"{name} {text!r} is not a time span: give FROM-TO, such as 1:20-1:25")
    return span


def parse_time(name: str, text: str) -> float:
    """Parse a time such as "80", "80s" or "1:20", and return seconds.

    Raises
    ------
    SettingsError
        If `text` is not a time; the message quotes it.

    Examples
    --------
    >>> parse_time("start", "1:20.5"), parse_time("duration", "30s")
    (80.5, 30.0)
    """
    match = re.fullmatch(_TIME, normalize_number(text))
    if match is None:
        raise SettingsError(f"{name} {text!r} is not a time: give seconds, or minutes as in 1:20")
    return _seconds(match[1])


def _parse_span(name: str, text: str) -> tuple[float, float] | None:
    """Return a time span in seconds; None if `text` has another form."""
    match = re.fullmatch(rf"{_TIME}\s*-\s*{_TIME}", normalize_number(text))
    if match is None:
        return None
    start, end = _seconds(match[1]), _seconds(match[2])
    if start >= end:
        when = "where it starts" if start == end else "before it starts"
        raise SettingsError(f"{name} {text!r} ends {when}: give FROM-TO, such as 0:00-0:02.5")
    return start, end


def parse_level(name: str, text: str) -> float:
    """Parse a level below full scale such as "-62dB", and return it in dBFS.

    The unit and the minus sign may be missing.

    Raises
    ------
    SettingsError
        If `text` is invalid; the message quotes it and suggests a correction.

    Examples
    --------
    >>> parse_level("target floor", "-62dB"), parse_level("target floor", "62")
    (-62.0, -62.0)
    """
    decibels, value = _parse_decibels(text)
    level = value if decibels is None else decibels
    if level is None:
        raise SettingsError(f"{name} {text!r} is not a level: give dBFS such as -62dB")
    if normalize_number(text).startswith("+") and level > 0:
        raise SettingsError(f"{name} {text!r} is above full scale: give -{level:g}dB")
    return -abs(level)


def parse_band(name: str, text: str) -> tuple[float, float]:
    """Parse a band such as "250-4000", "250-4000Hz" or "0.25-4kHz", and return its edges in Hz.

    Raises
    ------
    SettingsError
        If `text` is not a band; the message quotes it.

    Examples
    --------
    >>> parse_band("key", "250-4000"), parse_band("key", "0.25-4 kHz")
    ((250.0, 4000.0), (250.0, 4000.0))
    >>> parse_band("key", "250Hz - 4kHz")
    (250.0, 4000.0)
    """
    match = _BAND.fullmatch(normalize_number(text))
    low, high = (_number(match[1]), _number(match[3])) if match else (None, None)
    if match is None or low is None or high is None:
        raise SettingsError(
            f"{name} {text!r} is not a band of frequencies: give one in Hz, such as 250-4000"
        )
    high *= 1000 if match[4] else 1
    # In "0.25-4 kHz" both are kHz, in "250-4kHz" one is.
    return low * (1000 if match[2] or (match[4] and 1000 * low < high) else 1), high


def parse_key(text: str) -> tuple[str | None, tuple[float, float] | None]:
    """Parse a key: a band of frequencies, a file, or both as FILE:BAND.

    Returns
    -------
    file, band_hz
        None for the part that is not given.

    Examples
    --------
    >>> parse_key("250-4000"), parse_key("voice.wav")
    ((None, (250.0, 4000.0)), ('voice.wav', None))
    >>> parse_key("C:voice.wav:0.25-4kHz")
    ('C:voice.wav', (250.0, 4000.0))
    """
    file, colon, band = text.rpartition(":")
    if _BAND.fullmatch(normalize_number(band)):
        return file if colon else None, parse_band("key", band)
    return text, None


def parse_quantity(name: str, text: str, unit: str) -> float:
    """Parse a number with or without its unit.

    Raises
    ------
    SettingsError
        If `text` is not a number of that unit; the message quotes it.

    Examples
    --------
    >>> [parse_quantity("hysteresis", text, unit="dB") for text in ("5", "5 dB")]
    [5.0, 5.0]
    """
    value = _number(re.sub(rf"\s*{unit}$", "", text.strip(), flags=re.IGNORECASE))
    if value is None:
        raise SettingsError(f"{name} {text!r} is not a number of {unit}: give for example 5{unit}")
    return value


def parse_duration(name: str, text: str) -> float:
    """Parse a duration in ms, or with the unit ms or s, and return ms.

    A fraction of 1 needs a unit.

    Raises
    ------
    SettingsError
        If `text` is not a duration, or out of range; the message has the unit of `text`.

    Examples
    --------
    >>> [parse_duration("hold", text) for text in ("300", "300 ms", "0.3s")]
    [300.0, 300.0, 300.0]
    """
    match = re.fullmatch(rf"({_NUMBER})\s*(ms|s)?", normalize_number(text), re.IGNORECASE)
    if match is None:
        raise SettingsError(f"{name} {text!r} is not a duration: give ms, such as 300ms or 0.3s")
    if match[2] is None and 0 < float(match[1]) < 1:  # Most people who type this mean seconds.
        raise SettingsError(f"{name} {text!r} has no unit: give {match[1]}s or {match[1]}ms")
    unit = (match[2] or "ms").lower()
    value_ms = float(match[1]) * _TIME_UNITS_MS[unit]
    if not 0 <= value_ms <= MAX_TIME_MS:
        limit = MAX_TIME_MS / _TIME_UNITS_MS[unit]
        raise SettingsError(f"{name} {text!r} must be 0 to {limit:g} {unit}")
    return value_ms


def parse_choice(name: str, text: str, choices: Sequence[str]) -> str:
    """Return the choice that equals `text` in any case.

    Raises
    ------
    SettingsError
        If there is none; the message quotes `text` and suggests the nearest.

    Examples
    --------
    >>> parse_choice("channels", "Linked", ["linked", "separate"])
    'linked'
    """
    for choice in choices:
        if choice.lower() == text.strip().lower():
            return choice
    listed = " or ".join(choices) if len(choices) < 3 else f"one of {', '.join(choices)}"
    raise SettingsError(f"{name} {text!r} must be {listed}{suggest_nearest(text, choices)}")


def parse_samples(name: str, text: str) -> int:
    """Parse a whole number; see `parse_quantity`."""
    try:
        return int(text)
    except ValueError:
        raise SettingsError(
            f"{name} {text!r} is not a whole number of samples: give for example 2048"
        ) from None


def _parse_decibels(text: str) -> tuple[float | None, float | None]:
    """Return the decibels in `text`, and the number if it has no unit; None for what it is not."""
    match = _DB.fullmatch(normalize_number(text))
    return (float(match[1]), None) if match else (None, _number(text))


def _seconds(text: str) -> float:
    """Parse "2.5", "0:02.5" or "1:02:03" to seconds."""
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _number(text: str) -> float | None:
    number = normalize_number(text)
    return float(number) if re.fullmatch(_NUMBER, number, re.IGNORECASE) else None


def above_floor_db(method: str) -> float | None:
    """Return the distance from the noise in a method such as "floor+6dB"; None for other methods.

    Raises
    ------
    SettingsError
        If there is no such method.

    Examples
    --------
    >>> above_floor_db("floor+6dB"), above_floor_db("auto:otsu")
    (6.0, None)
    """
    if method in METHODS:
        return None
    if match := _ABOVE_FLOOR.fullmatch(method):
        return float(match[1])
    raise SettingsError(
        f"threshold {method!r} is not a level such as -30dB, not one of {', '.join(METHODS)}, and "
        "not a distance such as floor+6dB" + suggest_nearest(method, METHODS)
    )

"""Format levels, durations, sizes, paths and objects for messages."""

import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import PurePath

MIN_SIMILARITY = 0.7
"""Minimum ratio of difflib between a mistyped word and the one that is suggested for it."""

MIN_PREFIX_CHARS = 3
"""Minimum length of the beginning of a word for which the word is suggested."""

_TYPOGRAPHIC_MINUS = str.maketrans(dict.fromkeys("−–‐‑﹣-", "-"))
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(\d+),(\d+)(?![\d.,])")


def normalize_number(text: str) -> str:
    """Return text with a plain minus sign and a decimal point in its numbers.

    A comma before three digits stays, because it may also separate thousands, except after a zero
    or in a time with minutes.

    Examples
    --------
    >>> normalize_number("−40dB"), normalize_number("0,03"), normalize_number("1:20,5–1:25,125")
    ('-40dB', '0.03', '1:20.5-1:25.125')
    >>> normalize_number("1,500")
    '1,500'
    """

    def replace_comma(match: re.Match[str]) -> str:
        whole, decimals = match.groups()
        follows_minutes = match.string[: match.start()].endswith(":")
        is_decimal = len(decimals) != 3 or int(whole) == 0 or follows_minutes
        return f"{whole}.{decimals}" if is_decimal else match[0]

    return _DECIMAL_COMMA.sub(replace_comma, text.strip().translate(_TYPOGRAPHIC_MINUS))


def find_nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that was probably meant by a mistyped word; None if none is similar.

    Examples
    --------
    >>> find_nearest("voce", ["voice", "music"]), find_nearest("verbose", ["noise", "preset"])
    ('voice', None)
    >>> find_nearest("thresh", ["threshold", "reduction"])
    'threshold'
    """
    from difflib import get_close_matches

    by_lower = {choice.lower(): choice for choice in choices}
    lower = word.lower()
    longer = [choice for choice in by_lower if choice.startswith(lower)]
    if len(lower) >= MIN_PREFIX_CHARS and len(longer) == 1:
        return by_lower[longer[0]]
    matches = get_close_matches(lower, by_lower, n=1, cutoff=MIN_SIMILARITY)
    return by_lower[matches[0]] if matches else None


def suggest_nearest(word: str, choices: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest choice, or an empty text.

    Examples
    --------
    >>> suggest_nearest("voce", ["voice", "music"]), suggest_nearest("loud", ["voice"])
    (': did you mean voice?', '')
    """
    nearest = find_nearest(word, choices)
    return "" if nearest is None else f": did you mean {nearest}?"


def format_repr(value: object, *names: str) -> str:
    """Return a short `repr` with some attributes of an object; floats have 4 digits.

    Parameters
    ----------
    value
        The object.
    names
        Names of attributes, or of attributes of attributes, separated by dots.

    Examples
    --------
    >>> format_repr(1.23456 + 2j, "real", "imag")
    'complex(real=1.235, imag=2)'
    """
    values = ((name, attrgetter(name)(value)) for name in names)
    return f"{type(value).__name__}({', '.join(f'{n}={_short_repr(v)}' for n, v in values)})"


def _short_repr(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return repr(str(value)) if isinstance(value, str | PurePath) else repr(value)


def format_level(linear: float) -> str:
    """Return a linear level together with its value in dBFS.

    Examples
    --------
    >>> format_level(0.03)
    '0.03 (-30.5 dBFS)'
    """
    return f"{linear:.3g} ({format_db(20 * math.log10(linear) if linear > 0 else -math.inf)}FS)"


def format_db(db: float) -> str:
    """Return a level or a gain in dB; minus infinity becomes "-inf dB"."""
    return f"{db:.1f} dB" if math.isfinite(db) else "-inf dB"


def format_duration(seconds: float, decimals: int = 2) -> str:
    """Return a duration in seconds, with this number of decimals, or in minutes or hours.

    Examples
    --------
    >>> format_duration(7.25), format_duration(75), format_duration(3723)
    ('7.25 s', '1:15 min', '1:02:03 h')
    """
    if seconds < 60:
        return f"{seconds:.{decimals}f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02} h" if hours else f"{m}:{s:02} min"


def pluralize(number: int, thing: str) -> str:
    """Return a number of things.

    Examples
    --------
    >>> pluralize(1, "opening"), pluralize(2, "opening")
    ('1 opening', '2 openings')
    """
    return f"{number} {thing}" + ("" if number == 1 else "s")


def format_bytes(size: float) -> str:
    """Return a size with a decimal unit (1 kB is 1000 bytes).

    Examples
    --------
    >>> format_bytes(999), format_bytes(1234567), format_bytes(2.5e12)
    ('999 B', '1.2 MB', '2.5 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_time(seconds: float) -> str:
    """Return a position in a recording as minutes and seconds, with hours if needed.

    Examples
    --------
    >>> format_time(7.256), format_time(3723)
    ('0:07.26', '1:02:03.00')
    """
    minutes, s = divmod(round(seconds, 2), 60)
    hours, m = divmod(int(minutes), 60)
    return f"{hours}:{m:02}:{s:05.2f}" if hours else f"{m}:{s:05.2f}"


def escape_undecodable(text: str) -> str:
    r"""Return text that UTF-8 can encode: lone surrogates, such as undecodable bytes, are escaped.

    Examples
    --------
    >>> print(escape_undecodable("\udcff.wav"))
    \udcff.wav
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def quote_path(path: object) -> str:
    r"""Return a path in quotes, escaped so that it fits on one line.

    Line breaks, other unprintable characters and undecodable bytes are escaped. The result
    therefore never breaks the line and can always be encoded as UTF-8.

    Examples
    --------
    >>> quote_path("two\nlines.wav")
    "'two\\nlines.wav'"
    """
    return f"'{escape_unprintable(str(path))}'"


def escape_unprintable(text: str) -> str:
    r"""Return a text with unprintable characters and lone surrogates escaped.

    Examples
    --------
    >>> print(escape_unprintable("\x1b[1mtwo\nlines\udcff"))
    \x1b[1mtwo\nlines\udcff
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quote_for_shell(words: Sequence[str]) -> str:
    r"""Return a command line for a shell, with unprintable characters and bytes escaped.

    On Windows it is quoted as programs parse it, and nothing is escaped. Elsewhere the escapes are
    those of ``$'…'`` in POSIX.1-2024, which bash and zsh support.

    Examples
    --------
    >>> print(quote_for_shell(["ngate", "a b.wav", "two\nlines.wav"]))
    ngate 'a b.wav' $'two\x0alines.wav'
    """
    if sys.platform == "win32":
        import subprocess

        return subprocess.list2cmdline(words)
    import shlex

    return " ".join(
        shlex.quote(word) if word.isprintable() else f"$'{_escape_octets(word)}'" for word in words
    )


def _escape_octets(word: str) -> str:
    octets = os.fsencode(word)
    return "".join(
        chr(octet) if 0x20 <= octet < 0x7F and octet not in b"\\'" else f"\\x{octet:02x}"
        for octet in octets
    )

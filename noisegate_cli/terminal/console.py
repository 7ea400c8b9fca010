"""Terminal output: messages and errors on stderr, data on stdout."""

import codecs
import errno
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.text import escape_unprintable

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH_CHARS = 11
"""Width of the labels of a summary."""

MIN_COLUMNS = 40
"""Minimum width of tables; a narrower terminal breaks their lines."""

SUBSTITUTES = {"×": "x", "…": "."}
"""Characters of the same width for terminals that support only ASCII."""


class StandardOutputConflictError(SettingsError):
    """Two outputs would share standard output, so that nothing is written to it."""


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """Return a substitute for a character that cannot be encoded, and where to continue."""
    assert isinstance(error, UnicodeEncodeError)
    char = error.object[error.start]
    escaped = char.encode("ascii", "backslashreplace").decode()
    return SUBSTITUTES.get(char, escaped), error.start + 1


codecs.register_error("ngate.substitute", _substitute)


def escape_unencodable_output() -> None:
    """Escape or substitute characters that the encoding of the terminal does not support."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="ngate.substitute")


def escape_for_terminal(text: str, encoding: str) -> str:
    """Return a text as a terminal displays it, so that a progress bar knows its width."""
    return text.encode(encoding, "ngate.substitute").decode(encoding)


def is_ascii_only(encoding: str) -> bool:
    """Return whether character graphics are drawn in ASCII.

    In the locale C, Python writes UTF-8, but the terminal may show other characters.
    """
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next(filter(None, names), "")
    return locale in ("C", "POSIX") or not encoding.startswith("utf")


def print_message(text: str) -> None:
    """Print a line to stderr, with unprintable characters escaped.

    A message only informs: if stderr cannot be written, the work must go on.
    """
    with suppress(OSError):
        print(escape_unprintable(text), file=sys.stderr, flush=True)


def print_summary(lines: Iterable[str]) -> None:
    """Print lines of a label and a value to stderr; a terminal shows them wrapped at words.

    Names in quotes are not broken, so that they can be copied.
    """
    for line in lines:
        print_wrapped(line, LABEL_WIDTH_CHARS)


def print_wrapped(line: str, indent: int) -> None:
    """Print a line to stderr; on a terminal as several lines if it is too long."""
    shown, width = escape_unprintable(line), 0
    with suppress(OSError, ValueError):  # stderr is not a terminal.
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    for part in wrap_line(shown, width, indent) if 0 < width < len(shown) else [shown]:
        print_message(part)


def wrap_line(line: str, width: int, indent: int = LABEL_WIDTH_CHARS) -> list[str]:
    """Return a line as lines of at most `width` characters, all but the first one indented.

    Examples
    --------
    >>> wrap_line("output     'my talk.wav' (WAV PCM_16)", 30)
    ["output     'my talk.wav' (WAV", '           PCM_16)']
    """
    import textwrap

    protected = re.sub("'[^']*'", lambda quoted: quoted[0].replace(" ", "\0"), line)
    wrapped = textwrap.wrap(
        protected,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace("\0", " ") for part in wrapped]


def print_data(text: str) -> None:
    """Print a line of data to stdout.

    Raises
    ------
    OutputError
        If stdout cannot be written.
    """
    with wrap_stdout_errors():
        print(text, flush=True)


def discard_stdout() -> None:
    """Redirect stdout to the null device after its reader has closed the pipe.

    Otherwise Python would fail again when it flushes stdout at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: object) -> None:
    """Print an error on a single line to stderr; a terminal shows it wrapped at words."""
    from noisegate_cli.terminal.flags import to_flags

    print_wrapped("ngate: " + " ".join(to_flags(str(message)).split("\n")), len("ngate: "))


@contextmanager
def wrap_stdout_errors() -> Iterator[None]:
    """Convert errors while writing to stdout to OutputError; BrokenPipeError is kept."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError from error  # Windows reports a closed pipe like this.
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def print_renderable(target: "Console", *renderables: object) -> None:
    """Print rich tables or text; log lines have no trailing spaces."""
    if target.is_terminal:
        target.print(*renderables)
        return
    with target.capture() as capture:
        target.print(*renderables)
    lines = [line.rstrip() for line in capture.get().split("\n")]
    target.file.write("\n".join(lines))
    target.file.flush()


def console(stderr: bool = False, min_columns: int = MIN_COLUMNS) -> "Console":
    """Return a rich console, 100 columns wide if the stream is not a terminal.

    A narrower terminal than `min_columns` breaks the lines. A progress bar must not be broken:
    it would be printed again on each update.

    Text that looks like markup or emoji codes, such as a name with brackets, is printed unchanged.
    A closed pipe raises BrokenPipeError, where rich would end the process.
    """
    from rich.console import Console, ConsoleDimensions

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    target = PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not target.is_terminal:
        target.width = 100
    elif target.is_dumb_terminal:  # rich assumes 80 columns, whatever the terminal has.
        target.size = ConsoleDimensions(*shutil.get_terminal_size())
    if target.width < min_columns:  # noqa: PLR1730  # a fixed width does not follow the terminal
        target.width = min_columns
    return target

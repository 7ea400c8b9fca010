"""Temporary files for recordings that cannot be streamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.errors import AudioError
from noisegate_cli.files.unfinished import remove_when_left
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.files.inputs.stream import StandardInput


@contextmanager
def spool_to_file(source: "StandardInput") -> Iterator[Path]:
    """Copy standard input to a private temporary file that is removed when the context exits."""
    from noisegate_cli.files.inputs.stream import EMPTY_MESSAGE

    if not source.peek(0, 1):
        raise AudioError(EMPTY_MESSAGE)
    path = _temporary_path()
    with remove_when_left(path):
        try:
            with open(path, "xb", opener=_open_private) as file:
                while octets := source.read_available():
                    file.write(octets)
        except OSError as error:
            raise AudioError(
                f"standard input cannot be kept in {quote_path(path.parent)}: {error.strerror}: "
                "set TMPDIR to a folder with more room"
            ) from error
        yield path


@contextmanager
def spool_output() -> Iterator[Path]:
    """Yield the path of a file to write in a private directory, which is removed on exit."""
    folder = _temporary_path()
    path = folder / "output"
    with remove_when_left(path, [folder]):
        folder.mkdir(mode=0o700)
        yield path


def _temporary_path() -> Path:
    """Return a new path in the directory for temporary files."""
    import tempfile

    return Path(tempfile.gettempdir()) / f"ngate-{os.urandom(8).hex()}"


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

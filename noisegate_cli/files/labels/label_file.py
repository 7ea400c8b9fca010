"""Read label files, and write them completely or not at all."""

import codecs
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.files.labels.registry import LABEL_FORMATS, find_label_format, find_reader
from noisegate_cli.files.labels.track import LabelFormat, LabelTrack, Segment
from noisegate_cli.files.outputs.atomic import (
    PartialFiles,
    is_stream,
    open_partial_files,
    wrap_write_errors,
)
from noisegate_cli.files.outputs.partial_files import make_folders
from noisegate_cli.files.outputs.stream import write_all
from noisegate_cli.text import escape_undecodable, quote_path

MAX_LABEL_BYTES = 1 << 26
"""Maximum size of a label file that is read: a million labels."""

STREAM_FORMAT = ".txt"
"""Extension that stands for the format of standard output and devices, which have none."""


def find_output_format(path: Path) -> LabelFormat:
    """Return the format in which to write `path`; see `find_label_format` for the error."""
    if not path.suffix and is_stream(path):
        return LABEL_FORMATS[STREAM_FORMAT]
    return find_label_format(path)


@contextmanager
def open_label_writer(path: Path, force: bool = False) -> Iterator[Callable[[LabelTrack], None]]:
    """Yield a function that writes a track; the file appears complete when the context exits.

    See `create_label_writer` for the errors.
    """
    with open_partial_files(force) as files:
        yield create_label_writer(path, files)


def create_label_writer(path: Path, files: PartialFiles) -> Callable[[LabelTrack], None]:
    """Return a function that writes a track to a partial file, or immediately to a device.

    Raises
    ------
    LabelsError
        If no format has the extension of the name.
    OutputError
        If `path` exists and may not be overwritten, or if it cannot be written.
    """
    label_format = find_output_format(path)
    target = path if is_stream(path) else files.add(path)

    def write(track: LabelTrack) -> None:
        octets = escape_undecodable(label_format.write(track)).encode()
        if target == path:
            _write_to_stream(path, octets)
            return
        with wrap_write_errors(path):
            make_folders(target.parent)
            target.write_bytes(octets)

    return write


def _write_to_stream(path: Path, octets: bytes) -> None:
    with wrap_write_errors(path):
        if path == STDIO_PATH:
            write_all(sys.stdout.buffer, octets)
            return
        with path.open("wb", buffering=0) as sink:
            write_all(sink, octets)


def read_label_file(path: Path) -> list[Segment]:
    """Return the segments in a label file.

    Raises
    ------
    LabelsError
        If it cannot be read, or is malformed; the message quotes the path and names the line.
    """
    read = find_reader(path)
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise LabelsError(f"{quote_path(path)} is a folder: give a label file")
        with path.open("rb") as file:
            octets = file.read(MAX_LABEL_BYTES + 1)
    except OSError as error:
        raise LabelsError(f"{quote_path(path)} cannot be read: {error.strerror}") from error
    if len(octets) > MAX_LABEL_BYTES:
        raise LabelsError(f"{quote_path(path)} is too large for a label file")
    try:
        return read(_decode(octets))
    except LabelsError as error:
        raise LabelsError(f"{quote_path(path)}: {error}") from None


def _decode(octets: bytes) -> str:
    """Return a text in UTF-8, or in UTF-16 with a byte order mark, as Praat writes it."""
    is_utf_16 = octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return octets.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise LabelsError(f"line {line}: it is not UTF-8 text") from None

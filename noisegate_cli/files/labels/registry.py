"""All formats of label files, by the extension of the file name."""

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels import (
    audacity,
    csv_table,
    edl,
    json_object,
    reaper,
    rttm,
    srt,
    textgrid,
)
from noisegate_cli.files.labels.track import LabelFormat, Read
from noisegate_cli.text import quote_path

LABEL_FORMATS: Mapping[str, LabelFormat] = MappingProxyType(
    {
        ".txt": audacity.FORMAT,
        ".csv": csv_table.FORMAT,
        ".json": json_object.FORMAT,
        ".TextGrid": textgrid.FORMAT,
        ".rttm": rttm.FORMAT,
        ".srt": srt.FORMAT,
        ".edl": edl.FORMAT,
        ".rpp": reaper.FORMAT,
    }
)
"""Formats by extension, in its usual case; other cases are accepted too."""


def find_label_format(path: PurePath) -> LabelFormat:
    """Return the format of a label file, by the extension of its name.

    Raises
    ------
    LabelsError
        If no format has this extension; the message lists the extensions.
    """
    ending = _find_ending(path.suffix)
    if ending is None:
        bare = _find_ending(f".{path.name}")
        hint = (
            f"give the name of a file, such as labels{bare}"
            if bare
            else f"end the name in one of {' '.join(LABEL_FORMATS)}"
        )
        raise LabelsError(f"{quote_path(path)} has no known extension for labels: {hint}")
    return LABEL_FORMATS[ending]


def _find_ending(text: str) -> str | None:
    """Return the extension that equals `text` apart from the case, as `LABEL_FORMATS` has it."""
    return next((ending for ending in LABEL_FORMATS if ending.lower() == text.lower()), None)


def find_reader(path: PurePath) -> Read:
    """Return the function that reads a label file, by the extension of its name.

    Raises
    ------
    LabelsError
        If no format has this extension, or ngate only writes it; the message lists the extensions.
    """
    read = find_label_format(path).read
    if read is None:
        endings = (ending for ending, label_format in LABEL_FORMATS.items() if label_format.read)
        raise LabelsError(
            f"{quote_path(path)} is not a known label format: give a file that ends "
            f"in one of {' '.join(endings)}"
        )
    return read


def check_label_extension(extension: str) -> str:
    """Return an extension in its usual case, without its dot.

    Raises
    ------
    LabelsError
        If there is no such format; the message lists the extensions.
    """
    ending = _find_ending(f".{extension.removeprefix('.')}")
    if ending is None:
        extensions = " ".join(ending.removeprefix(".") for ending in LABEL_FORMATS)
        raise LabelsError(f"labels {extension!r} cannot be written: give one of {extensions}")
    return ending.removeprefix(".")

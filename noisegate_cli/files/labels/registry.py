"""All formats of label files, by the ending of the file name."""

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
        ".textgrid": textgrid.FORMAT,
        ".rttm": rttm.FORMAT,
        ".srt": srt.FORMAT,
        ".edl": edl.FORMAT,
        ".rpp": reaper.FORMAT,
    }
)
"""Formats by ending, in lower case."""


def find_label_format(path: PurePath) -> LabelFormat:
    """Return the format of a label file, by the ending of its name.

    Raises
    ------
    LabelsError
        If no format has this ending; the message lists the endings.
    """
    label_format = LABEL_FORMATS.get(path.suffix.lower())
    if label_format is None:
        raise LabelsError(
            f"{quote_path(path)} doesn't say which labels: let the name end in one of "
            f"{' '.join(LABEL_FORMATS)}"
        )
    return label_format


def find_reader(path: PurePath) -> Read:
    """Return the function that reads a label file, by the ending of its name.

    Raises
    ------
    LabelsError
        If no format has this ending, or ngate only writes it; the message lists the endings.
    """
    read = find_label_format(path).read
    if read is None:
        endings = (ending for ending, label_format in LABEL_FORMATS.items() if label_format.read)
        raise LabelsError(
            f"{quote_path(path)} can't be read: give a file that ends in one of {' '.join(endings)}"
        )
    return read


def check_label_extension(extension: str) -> str:
    """Return an extension without its dot.

    Raises
    ------
    LabelsError
        If there is no such format; the message lists the extensions.
    """
    name = extension.lower().removeprefix(".")
    if f".{name}" not in LABEL_FORMATS:
        extensions = " ".join(ending.removeprefix(".") for ending in LABEL_FORMATS)
        raise LabelsError(f"labels {extension!r} can't be written: give one of {extensions}")
    return name

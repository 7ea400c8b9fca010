"""How outputs are to be written, and what they are called.

That is all that the parent of a batch has to know of outputs: nothing here needs numpy.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from noisegate_cli.errors import SettingsError
from noisegate_cli.files.formats import READ_ONLY_EXTENSIONS, STDIO_PATH, WRITABLE_EXTENSIONS

MAX_NAME_BYTES = 255
"""Bytes of a file name, as file systems have it."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How outputs are written, and what they are called where they get no name.

    Raises
    ------
    SettingsError
        When a format or a subtype doesn't exist; the message quotes it.

    Examples
    --------
    >>> OutputOptions(format="flac", subtype="pcm_24")
    OutputOptions(format='flac', subtype='PCM_24', suffix='_gated', keep_mtime=False, inside=None)
    """

    format: str | None = None
    """An ending, such as flac, for outputs that get no name; None keeps that of the input."""
    subtype: str | None = None
    """libsndfile's name of a sample type, such as PCM_24; None keeps that of the input."""
    suffix: str = "_gated"
    """What follows the name of the input where the output gets none."""
    keep_mtime: bool = False
    """Whether outputs were last changed when their input was."""
    inside: Path | None = None
    """A folder that outputs must not leave, through links neither."""

    def __post_init__(self) -> None:
        if self.format is not None:
            ending = f".{self.format.lower().removeprefix('.')}"
            if ending not in WRITABLE_EXTENSIONS:
                endings = " ".join(name.removeprefix(".") for name in WRITABLE_EXTENSIONS)
                raise SettingsError(
                    f"format {self.format!r} can't be written: give one of {endings}"
                )
            object.__setattr__(self, "format", ending.removeprefix("."))
        if self.subtype is not None:
            from soundfile import available_subtypes

            subtypes = [*available_subtypes(), "AAC"]
            if self.subtype.upper() not in subtypes:
                raise SettingsError(
                    f"subtype {self.subtype!r} is no sample type: give one of {' '.join(subtypes)}"
                )
            object.__setattr__(self, "subtype", self.subtype.upper())
        if any(c and c in self.suffix for c in (os.sep, os.altsep, "\0")):
            raise SettingsError(f"suffix {self.suffix!r} is no part of a file name: try _gated")


DEFAULT_OUTPUT_OPTIONS = OutputOptions()


def add_suffix(stem: str, extension: str, options: OutputOptions) -> str:
    """Return the name of an output: as much of `stem` as there is room for, and what follows it."""
    stem, tail = stem[:MAX_NAME_BYTES], f"{options.suffix}{extension}"
    while len(os.fsencode(stem + tail)) > MAX_NAME_BYTES and stem:
        stem = stem[:-1]
    return stem + tail


def output_name(name: str, options: OutputOptions) -> str:
    """Return the path below the output tree for a recording at `name` below its root.

    It follows from the name alone, so that two that would be one are found before anything runs.

    Examples
    --------
    >>> output_name("a/b.flac", OutputOptions(suffix="")), output_name("c.mp4", OutputOptions())
    ('a/b.flac', 'c_gated.m4a')
    """
    folder, name = os.path.split(name)
    stem, extension = os.path.splitext(name)
    if options.format:
        extension = f".{options.format}"
    elif extension.lower() not in WRITABLE_EXTENSIONS:
        extension = READ_ONLY_EXTENSIONS.get(extension.lower(), ".wav")
    return os.path.join(folder, add_suffix(stem, extension, options))


def parse_path(text: str) -> Path | str:
    """Return the path that was typed; `STDIO_PATH` for `-`, but not for `./-`.

    A slash at the end, which says that it is a folder, stays.
    """
    if text.endswith(("/", os.sep)):
        return text
    path = Path(text)
    return path.absolute() if path == STDIO_PATH and text != str(STDIO_PATH) else path

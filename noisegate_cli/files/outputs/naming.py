"""Output options and output file names.

The main process of a batch imports this module, so it must not load numpy.
"""

import os
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.files.formats import READ_ONLY_EXTENSIONS, WRITABLE_EXTENSIONS
from noisegate_cli.text import quote_path

MAX_NAME_BYTES = 255
"""Maximum length of a file name on common file systems."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Format, name and other properties of outputs.

    Parameters
    ----------
    format : str, optional
        File name extension for outputs without an explicit name, such as flac; None uses the
        extension of the input.
    subtype : str, optional
        libsndfile's name of a sample type, such as PCM_24; None uses the subtype of the input.
    suffix : str, default "_gated"
        Text appended to the input name for outputs without an explicit name.
    keep_mtime : bool, default False
        Whether outputs get the modification time of their input.
    labels : str, optional
        Extension of a file of labels next to the output; None for no such file.
    track : int, optional
        Number of the audio track of the input, from 1; None for the main one.
    bit_rate : int or str, optional
        Bit rate of lossy outputs in bit/s, or text such as 128k; None keeps about the same.
    quality : float, optional
        Quality of lossy outputs instead of a bit rate: 0 to 10 (best) for Vorbis, 9 to 0 (best)
        for MP3.
    inside : Path, optional
        Directory that must contain all outputs, even after symbolic links are resolved.

    Raises
    ------
    SettingsError
        If the format, the subtype, the track or the bit rate does not exist, or the suffix cannot
        be part of a file name. The message quotes the value.

    Examples
    --------
    >>> OutputOptions(format="flac", subtype="pcm_24")
    OutputOptions(format='flac', subtype='PCM_24', suffix='_gated', ...)
    """

    format: str | None = None
    subtype: str | None = None
    suffix: str = "_gated"
    keep_mtime: bool = False
    labels: str | None = None
    track: int | None = None
    bit_rate: int | str | None = None
    quality: float | None = None
    inside: Path | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if self.format is not None:
            extension = f".{self.format.lower().removeprefix('.')}"
            if extension not in WRITABLE_EXTENSIONS:
                extensions = " ".join(name.removeprefix(".") for name in WRITABLE_EXTENSIONS)
                raise SettingsError(
                    f"format {self.format!r} cannot be written: give one of {extensions}"
                )
            object.__setattr__(self, "format", extension.removeprefix("."))
        if self.subtype is not None:
            from soundfile import available_subtypes

            subtypes = [*available_subtypes(), "AAC"]
            if self.subtype.upper() not in subtypes:
                raise SettingsError(
                    f"subtype {self.subtype!r} is not a sample type: give one of "
                    f"{' '.join(subtypes)}"
                )
            object.__setattr__(self, "subtype", self.subtype.upper())
        if self.labels is not None:
            from noisegate_cli.files.labels.registry import check_label_extension

            object.__setattr__(self, "labels", check_label_extension(self.labels))
        check_track_number(self.track)
        if self.bit_rate is not None:
            if self.quality is not None:
                raise SettingsError("use either bit_rate= or quality=, not both")
            from noisegate_cli.files.outputs.rate_control import parse_bit_rate

            object.__setattr__(self, "bit_rate", parse_bit_rate(self.bit_rate))
        if any(c and c in self.suffix for c in (os.sep, os.altsep, "\0")):
            raise SettingsError(
                f"suffix {self.suffix!r} cannot be part of a file name: give for example _gated"
            )

    def _check_types(self) -> None:
        for name in ("format", "subtype", "suffix", "labels"):
            value = getattr(self, name)
            if not isinstance(value, str | None):
                raise SettingsError(f"{name} {value!r} must be text")
        is_number = isinstance(self.quality, Real) and not isinstance(self.quality, bool)
        if self.quality is not None and not is_number:
            raise SettingsError(f"quality {self.quality!r} must be a number")
        if self.inside is not None:
            if not isinstance(self.inside, str | PathLike):
                raise SettingsError(f"inside {self.inside!r} must be the path of a folder")
            object.__setattr__(self, "inside", Path(self.inside))


def check_track_number(track: Any) -> None:
    """Check the number of an audio track; None is the main one.

    Raises
    ------
    SettingsError
        If it is not a whole number from 1.
    """
    is_number = isinstance(track, Integral) and not isinstance(track, bool)
    if track is not None and not (is_number and track >= 1):
        raise SettingsError(f"track {track!r} is not a track number: the first one is track=1")


DEFAULT_OUTPUT_OPTIONS = OutputOptions()


def add_suffix(stem: str, extension: str, options: OutputOptions) -> str:
    """Return an output name, with `stem` shortened so that the name fits `MAX_NAME_BYTES`."""
    stem, tail = stem[:MAX_NAME_BYTES], f"{options.suffix}{extension}"
    while len(os.fsencode(stem + tail)) > MAX_NAME_BYTES and stem:
        stem = stem[:-1]
    return stem + tail


def source_stem(name: str) -> str | None:
    """Return the stem of the recording whose output has this name by default.

    None means that no output of ngate has this name.

    Examples
    --------
    >>> source_stem("take_gated.flac"), source_stem("take.flac")
    ('take', None)
    """
    stem, suffix = os.path.splitext(name)[0], DEFAULT_OUTPUT_OPTIONS.suffix
    return stem.removesuffix(suffix) if stem.endswith(suffix) and stem != suffix else None


def output_name(name: str, options: OutputOptions) -> str:
    """Return the output path of a recording, relative to the output root.

    `name` is the path of the recording relative to the input root. The result depends only on the
    name and the options, so that colliding outputs are found before any job starts.

    Examples
    --------
    >>> output_name("a/b.flac", OutputOptions(suffix="")), output_name("c.mp4", OutputOptions())
    ('a/b.flac', 'c_gated.mp4')
    """
    folder, name = os.path.split(name)
    stem, extension = os.path.splitext(name)
    if options.format:
        extension = f".{options.format}"
    elif extension.lower() not in WRITABLE_EXTENSIONS:
        extension = READ_ONLY_EXTENSIONS.get(extension.lower(), ".wav")
    return os.path.join(folder, add_suffix(stem, extension, options))


def parse_path(text: str) -> Path | str:
    """Parse a path from the command line: `-` becomes `STDIO_PATH`, but `./-` is a file.

    Text with a trailing slash, which marks a directory, is returned unchanged.
    """
    if text.endswith(("/", os.sep)):
        return text
    path = Path(text)
    return path.absolute() if path == STDIO_PATH and text != str(STDIO_PATH) else path


def check_extension(path: Path, kind: str, extensions: tuple[str, ...]) -> None:
    """Raise OutputError if a document of this kind cannot have the extension of `path`."""
    if path.suffix.lower().removeprefix(".") not in extensions:
        *most, final = (f".{extension}" for extension in extensions)
        choices = f"{', '.join(most)} or {final}" if most else final
        raise OutputError(
            f"{quote_path(path)} has no known extension for a {kind}: end the name in {choices}"
        )

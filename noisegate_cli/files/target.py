"""Where recordings are written, in which format, and what must not be overwritten."""

import math
import os
from dataclasses import replace
from pathlib import Path

import soundfile as sf

from noisegate_cli.errors import OutputError
from noisegate_cli.files.formats import EXTENSIONS, STREAM, AudioInfo
from noisegate_cli.files.names import AS_IT_IS, OutputOptions, suffixed
from noisegate_cli.files.riff import rf64_if_large
from noisegate_cli.files.writer import BY_PYAV, why_not
from noisegate_cli.text import shown

SAME_FILES = {"WAVEX": "WAV", "RF64": "WAV", "MP4": "M4A"}
"""Formats that share their extensions with another."""

UNCOMPRESSED = {
    "WAV",
    "WAVEX",
    "RF64",
    "W64",
    "AIFF",
    "AU",
    "CAF",
    "RAW",
    "NIST",
    "VOC",
    "SVX",
    "MP4",
}
"""Formats that don't make files smaller; where one can't be written, WAV is like it."""

HOME = {"AAC": ".m4a", "OPUS": ".opus", "VORBIS": ".ogg", "MPEG_LAYER_III": ".mp3"}
"""The extension of a codec that can be written where its container can't."""

BLOCKWISE = ("IMA_ADPCM", "MS_ADPCM", "GSM610", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32")
"""Subtypes that hold whole blocks only, which would make a recording longer. They decode to 16
bits."""

GOOD_BIT_RATE = {"OPUS": 64000}
"""Bits a second for a channel of 44.1 kHz that few can tell from none lost; of others 96,000."""


def output_info(source: AudioInfo, path: Path, options: OutputOptions = AS_IT_IS) -> AudioInfo:
    """Return what is written to `path`: like `source` as far as its extension and options allow.

    Raises
    ------
    OutputError
        When the extension says nothing, or its format can't hold the recording.
    """
    kind = _container(source, path, options)
    endian = source.endian if kind == source.format else "FILE"
    why = ""
    for subtype in [options.subtype] if options.subtype else _subtypes(source, kind, path):
        info = replace(source, path=path, format=kind, subtype=subtype, endian=endian)
        why = why_not(info)
        if not why:
            if info.is_coded:
                info = replace(info, bit_rate=_bit_rate(source, info))
            return rf64_if_large(info)
    if options.subtype:
        raise OutputError(f"{shown(path)} can't hold {options.subtype}: {_holds(kind)}")
    raise OutputError(
        f"{shown(path)} can't hold this recording ({why}): give -o a name that ends in .wav"
    )


def _container(source: AudioInfo, path: Path, options: OutputOptions) -> str:
    """Return in which container to write."""
    family = SAME_FILES.get(source.format, source.format)
    if path == STREAM:
        like_input = family if family in ("WAV", "AU", "RAW") else "WAV"
        kind = EXTENSIONS[f".{options.format}"] if options.format else like_input
    else:
        extension = path.suffix.lower()
        # What ngate doesn't know by its name libsndfile may write as it was.
        same = extension and extension == source.path.suffix.lower()
        unknown = source.format if same and source.format not in BY_PYAV else ""
        kind = EXTENSIONS.get(extension, unknown)
    if not kind:
        raise OutputError(
            f"{shown(path)} doesn't say in which format to write: "
            f"let the name end in one of {' '.join(EXTENSIONS)}"
        )
    return source.format if kind == family and kind not in BY_PYAV else kind


def _subtypes(source: AudioInfo, kind: str, path: Path) -> list[str]:
    """Return the sample types in which a container may hold a recording, the best first."""
    extension = path.suffix.lower()
    coded = {
        "OGG": source.subtype if source.format == "OGG" and extension != ".opus" else "VORBIS",
        "MP3": "MPEG_LAYER_III" if extension == ".mp3" else source.subtype,
        "WEBM": "OPUS",
    }
    if kind in coded:
        return ["OPUS" if extension == ".opus" else coded[kind]]
    if kind == "M4A":
        return ["AAC"] if source.is_coded else ["ALAC_16", "ALAC_24"][source.bits > 16 :]
    if source.subtype in BLOCKWISE and kind == source.format:
        return ["PCM_16"]
    if source.is_coded:
        stays = kind in (source.format, "MKA")
        return [source.subtype, "PCM_24", "PCM_16"] if stays else ["PCM_24", "PCM_16"]
    if source.dtype.kind == "f":
        return [source.subtype, "FLOAT", "PCM_24", "PCM_16"]
    enough = [f"PCM_{bits}" for bits in (16, 24, 32) if bits >= source.bits]
    return [source.subtype, *enough, "PCM_24", "PCM_16"]


def _bit_rate(source: AudioInfo, output: AudioInfo) -> int:
    """Return how many bits a second of a coded output takes: as many as the input's, if coded."""
    if source.is_coded and source.bit_rate:
        return source.bit_rate
    narrower = math.pow(min(1.0, output.sample_rate / 44100), 0.7)
    return round(GOOD_BIT_RATE.get(output.subtype, 96000) * output.channels * narrower)


def _holds(kind: str) -> str:
    if kind in BY_PYAV:
        from noisegate_cli.files.ffmpeg import CODECS

        return f"{kind} holds {' '.join(CODECS[kind])}"
    return f"{kind} holds {' '.join(sf.available_subtypes(kind))}"


def default_output(info: AudioInfo, options: OutputOptions = AS_IT_IS) -> Path:
    """Return `NAME_gated.EXT` beside the recording; the options have their say in both parts.

    Where EXT can't be written, or not with the same codec, it is that of the codec, as `.m4a` for
    AAC; else `.flac` for what was compressed, and `.wav` for what wasn't. What comes from standard
    input goes to `stdin_gated.EXT`, here.
    """
    if options.format:
        return _beside(info, f".{options.format}", options)
    plain = info.format in UNCOMPRESSED and not info.is_coded
    last = [".wav", ".flac"] if plain else [".flac", ".wav"]
    for extension in (info.path.suffix, HOME.get(info.subtype, ""), *last):
        path = _beside(info, extension, options)
        try:
            written = output_info(info, path, options)
        except OutputError:
            continue
        if extension in last or written.is_coded == info.is_coded == (
            written.subtype == info.subtype and info.is_coded
        ):
            return path
    return _beside(info, ".wav", options)


def _beside(info: AudioInfo, extension: str, options: OutputOptions) -> Path:
    """Return a path beside the recording."""
    stem = "stdin" if info.path == STREAM else info.path.stem
    return info.path.with_name(suffixed(stem, extension, options))


def check_inside(path: Path, folder: Path) -> None:
    """Raise OutputError when writing to `path` would lead out of `folder`, through a link."""
    real, within = Path(os.path.realpath(path.parent)), Path(os.path.realpath(folder))
    if not real.is_relative_to(within):
        raise OutputError(
            f"{shown(path)} leads out of {shown(folder)} through a link, to {shown(real)}: "
            "remove the link"
        )


def is_directory(path: Path) -> bool:
    """Whether there is a directory; a name that can't be looked up is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file, through links too."""
    try:
        return a.samefile(b)
    except OSError:
        return a.absolute() == b.absolute()

"""Choose the path, the container and the subtype of outputs, and check output paths."""

import math
import os
from dataclasses import replace
from pathlib import Path

import soundfile as sf

from noisegate_cli.errors import OutputError
from noisegate_cli.files.formats import STDIO_PATH, WRITABLE_EXTENSIONS, AudioInfo
from noisegate_cli.files.output_naming import DEFAULT_OUTPUT_OPTIONS, OutputOptions, add_suffix
from noisegate_cli.files.riff import rf64_if_large
from noisegate_cli.files.writer import PYAV_FORMATS, unsupported_reason
from noisegate_cli.text import quote_path

FORMAT_FAMILIES = {"WAVEX": "WAV", "RF64": "WAV", "MP4": "M4A"}
"""Formats that share their file name extensions with another format."""

UNCOMPRESSED_FORMATS = {
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
"""Formats without compression; if one can't be written, WAV replaces it."""

CODEC_EXTENSIONS = {"AAC": ".m4a", "OPUS": ".opus", "VORBIS": ".ogg", "MPEG_LAYER_III": ".mp3"}
"""Extension for a codec if ngate can write the codec but not the container of the input."""

BLOCK_CODED_SUBTYPES = (
    "IMA_ADPCM",
    "MS_ADPCM",
    "GSM610",
    "NMS_ADPCM_16",
    "NMS_ADPCM_24",
    "NMS_ADPCM_32",
)
"""Subtypes that store only whole blocks, so that an output would be longer than its input.

They decode to 16 bits."""

TRANSPARENT_BIT_RATES_BPS = {"OPUS": 64000}
"""Transparent bit rates per channel at 44.1 kHz; 96,000 bit/s for codecs that are not listed."""


def output_info(
    source: AudioInfo, path: Path, options: OutputOptions = DEFAULT_OUTPUT_OPTIONS
) -> AudioInfo:
    """Return the properties of the output at `path`.

    They equal those of `source` as far as the extension of `path` and the options allow.

    Raises
    ------
    OutputError
        If the extension is unknown, or its format can't hold the recording.
    """
    kind = _choose_container(source, path, options)
    endian = source.endian if kind == source.format else "FILE"
    why = ""
    for subtype in (
        [options.subtype] if options.subtype else _candidate_subtypes(source, kind, path)
    ):
        info = replace(source, path=path, format=kind, subtype=subtype, endian=endian)
        why = unsupported_reason(info)
        if not why:
            if info.is_lossy:
                info = replace(info, bit_rate=_choose_bit_rate(source, info))
            return rf64_if_large(info)
    if options.subtype:
        raise OutputError(
            f"{quote_path(path)} can't hold {options.subtype}: {_describe_subtypes(kind)}"
        )
    raise OutputError(
        f"{quote_path(path)} can't hold this recording ({why}): "
        "give output= a name that ends in .wav"
    )


def _choose_container(source: AudioInfo, path: Path, options: OutputOptions) -> str:
    """Return the container to write."""
    family = FORMAT_FAMILIES.get(source.format, source.format)
    if path == STDIO_PATH:
        like_input = family if family in ("WAV", "AU", "RAW") else "WAV"
        kind = WRITABLE_EXTENSIONS[f".{options.format}"] if options.format else like_input
    else:
        extension = path.suffix.lower()
        # libsndfile may be able to write the input's format even if its extension is unknown.
        same = extension and extension == source.path.suffix.lower()
        unknown = source.format if same and source.format not in PYAV_FORMATS else ""
        kind = WRITABLE_EXTENSIONS.get(extension, unknown)
    if not kind:
        raise OutputError(
            f"{quote_path(path)} doesn't say in which format to write: "
            f"let the name end in one of {' '.join(WRITABLE_EXTENSIONS)}"
        )
    return source.format if kind == family and kind not in PYAV_FORMATS else kind


def _candidate_subtypes(source: AudioInfo, kind: str, path: Path) -> list[str]:
    """Return the subtypes to try for a recording in a container, in order of preference."""
    extension = path.suffix.lower()
    coded = {
        "OGG": source.subtype if source.format == "OGG" and extension != ".opus" else "VORBIS",
        "MP3": "MPEG_LAYER_III" if extension == ".mp3" else source.subtype,
        "WEBM": "OPUS",
    }
    if kind in coded:
        return ["OPUS" if extension == ".opus" else coded[kind]]
    if kind == "M4A":
        return ["AAC"] if source.is_lossy else ["ALAC_16", "ALAC_24"][source.bit_depth > 16 :]
    if source.subtype in BLOCK_CODED_SUBTYPES and kind == source.format:
        return ["PCM_16"]
    if source.is_lossy:
        stays = kind in (source.format, "MKA")
        return [source.subtype, "PCM_24", "PCM_16"] if stays else ["PCM_24", "PCM_16"]
    if source.dtype.kind == "f":
        return [source.subtype, "FLOAT", "PCM_24", "PCM_16"]
    enough = [f"PCM_{bit_depth}" for bit_depth in (16, 24, 32) if bit_depth >= source.bit_depth]
    return [source.subtype, *enough, "PCM_24", "PCM_16"]


def _choose_bit_rate(source: AudioInfo, output: AudioInfo) -> int:
    """Return the bit rate of a lossy output: that of a lossy input, or a transparent one."""
    if source.is_lossy and source.bit_rate:
        return source.bit_rate
    narrower = math.pow(min(1.0, output.sample_rate / 44100), 0.7)
    return round(TRANSPARENT_BIT_RATES_BPS.get(output.subtype, 96000) * output.channels * narrower)


def _describe_subtypes(kind: str) -> str:
    if kind in PYAV_FORMATS:
        from noisegate_cli.files.ffmpeg import ENCODERS

        return f"{kind} holds {' '.join(ENCODERS[kind])}"
    return f"{kind} holds {' '.join(sf.available_subtypes(kind))}"


def default_output_path(info: AudioInfo, options: OutputOptions = DEFAULT_OUTPUT_OPTIONS) -> Path:
    """Return `NAME_gated.EXT` in the directory of the recording.

    The options can change the suffix and the extension. If ngate can't write EXT, or not with the
    same codec, it uses the extension of the codec, such as `.m4a` for AAC. Otherwise it uses
    `.flac` for compressed and `.wav` for uncompressed recordings. The output of standard input is
    `stdin_gated.EXT` in the current directory.
    """
    if options.format:
        return _path_beside_input(info, f".{options.format}", options)
    plain = info.format in UNCOMPRESSED_FORMATS and not info.is_lossy
    last = [".wav", ".flac"] if plain else [".flac", ".wav"]
    for extension in (info.path.suffix, CODEC_EXTENSIONS.get(info.subtype, ""), *last):
        path = _path_beside_input(info, extension, options)
        try:
            written = output_info(info, path, options)
        except OutputError:
            continue
        if extension in last or written.is_lossy == info.is_lossy == (
            written.subtype == info.subtype and info.is_lossy
        ):
            return path
    return _path_beside_input(info, ".wav", options)


def _path_beside_input(info: AudioInfo, extension: str, options: OutputOptions) -> Path:
    """Return an output path in the directory of the recording."""
    stem = "stdin" if info.path == STDIO_PATH else info.path.stem
    return info.path.with_name(add_suffix(stem, extension, options))


def check_inside(path: Path, folder: Path) -> None:
    """Raise OutputError if a symbolic link makes `path` point outside `folder`."""
    real, within = Path(os.path.realpath(path.parent)), Path(os.path.realpath(folder))
    if not real.is_relative_to(within):
        raise OutputError(
            f"{quote_path(path)} leads out of {quote_path(folder)} through a link, "
            f"to {quote_path(real)}: "
            "remove the link"
        )


def is_directory(path: Path) -> bool:
    """Return whether `path` is a directory; False if it can't be accessed."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_same_file(a: Path, b: Path) -> bool:
    """Return whether two paths refer to the same file, even through links."""
    try:
        return a.samefile(b)
    except OSError:
        return a.absolute() == b.absolute()

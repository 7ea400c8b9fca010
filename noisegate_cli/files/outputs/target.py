"""Choose the path, the container and the subtype of outputs, and check output paths."""

import math
import os
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

import soundfile as sf

from noisegate_cli.errors import OutputError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.formats import (
    WRITABLE_EXTENSIONS,
    Format,
    find_format,
    find_subtype,
    usual_name,
)
from noisegate_cli.files.outputs.atomic import is_stream
from noisegate_cli.files.outputs.encoders import unsupported_reason
from noisegate_cli.files.outputs.naming import DEFAULT_OUTPUT_OPTIONS, OutputOptions, add_suffix
from noisegate_cli.files.outputs.size_limits import check_size
from noisegate_cli.files.outputs.wav_encoder import rf64_if_large
from noisegate_cli.text import pluralize, quote_path


def output_info(
    source: AudioInfo, path: Path, options: OutputOptions = DEFAULT_OUTPUT_OPTIONS
) -> AudioInfo:
    """Return the properties of the output at `path`.

    They equal those of `source` as far as the extension of `path` and the options allow.

    Raises
    ------
    OutputError
        If the extension is unknown, or its format cannot hold the recording or is too small for it.
    """
    container = _choose_container(source, path, options)
    endian = source.endian if container.name == source.format else "FILE"
    extension = path.suffix.lower()
    if extension not in WRITABLE_EXTENSIONS and options.format and is_stream(path):
        extension = f".{options.format}"
    reason = ""
    wants_lossy = options.bit_rate is not None or options.quality is not None
    for subtype in (
        [options.subtype]
        if options.subtype
        else _candidate_subtypes(source, container, extension, wants_lossy)
    ):
        info = replace(source, path=path, format=container.name, subtype=subtype, endian=endian)
        reason = unsupported_reason(info)
        if not reason:
            bit_rate = None if options.bit_rate is None else int(options.bit_rate)
            if bit_rate is not None or options.quality is not None:
                from noisegate_cli.files.outputs.rate_control import check_rate_control

                check_rate_control(info, bit_rate, options.quality)
            if info.is_lossy:
                bit_rate = bit_rate or _choose_bit_rate(source, info)
                info = replace(info, bit_rate=bit_rate, quality=options.quality)
            if source.has_other_tracks and container.holds_video:
                info = replace(info, keeps_tracks=True)
            info = rf64_if_large(info)
            check_size(info, info.samples)  # A smaller sample type would lose precision.
            return info
    if options.subtype:
        raise OutputError(
            f"{quote_path(path)} cannot store {options.subtype}"
            f"{_describe_subtypes(replace(source, path=path, format=container.name))}"
        )
    if container.extensions and extension not in WRITABLE_EXTENSIONS and not is_stream(path):
        raise _unknown_extension(path)
    raise OutputError(
        f"{quote_path(path)} cannot store this recording ({reason}): "
        "use output= with a name that ends in .wav"
    )


def _choose_container(source: AudioInfo, path: Path, options: OutputOptions) -> Format:
    """Return the container to write."""
    family = find_format(source.container.family or source.format)
    if path.suffix.lower() not in WRITABLE_EXTENSIONS and is_stream(path):
        default_name = family.name if family.is_streamable else "WAV"
        name = WRITABLE_EXTENSIONS[f".{options.format}"] if options.format else default_name
    else:
        extension = path.suffix.lower()
        # libsndfile may be able to write the input's format even if its extension is unknown.
        has_same_extension = extension and extension == source.path.suffix.lower()
        input_format = (
            source.format if has_same_extension and source.container.writer == "libsndfile" else ""
        )
        name = WRITABLE_EXTENSIONS.get(extension, input_format)
    if not name:
        raise _unknown_extension(path)
    keeps_variant = name == family.name and family.writer == "libsndfile"
    return source.container if keeps_variant else find_format(name)


def _candidate_subtypes(
    source: AudioInfo, container: Format, extension: str, wants_lossy: bool
) -> list[str]:
    """Return the subtypes to try for a recording in a container, in order of preference.

    If `wants_lossy` is true, a lossless recording gets the lossy codec of the container.
    """
    is_same = container.name == source.format
    if extension in container.extension_codecs:
        return [container.extension_codecs[extension]]
    can_keep_codec = is_same or (source.is_lossy and source.subtype in container.encoders)
    if wants_lossy and container.codec and not source.is_lossy:
        return [container.codec]
    if container.codec and (source.is_lossy or not container.lossless_subtypes):
        return [source.subtype, container.codec] if can_keep_codec else [container.codec]
    if container.lossless_subtypes:
        if source.subtype in container.encoders:
            return [source.subtype]
        bit_depths = [find_subtype(name).bit_depth for name in container.lossless_subtypes]
        index = bisect_left(bit_depths, source.bit_depth)
        return [container.lossless_subtypes[min(index, len(bit_depths) - 1)]]
    return _candidate_pcm_subtypes(source, container)


def _candidate_pcm_subtypes(source: AudioInfo, container: Format) -> list[str]:
    """Return the subtypes to try in a container of PCM, in order of preference."""
    is_same = container.name == source.format
    if find_subtype(source.subtype).is_block_coded and is_same:
        return ["PCM_16"]  # block-coded samples decode to 16 bits
    if source.is_lossy:
        can_keep_codec = is_same or source.subtype in container.encoders
        return [source.subtype, "PCM_24", "PCM_16"] if can_keep_codec else ["PCM_24", "PCM_16"]
    if source.dtype.kind == "f":
        return [source.subtype, "FLOAT", "PCM_24", "PCM_16"]
    enough_bits = [f"PCM_{bits}" for bits in (16, 24, 32) if bits >= source.bit_depth]
    return [source.subtype, *enough_bits, "PCM_24", "PCM_16"]


def _choose_bit_rate(source: AudioInfo, output: AudioInfo) -> int:
    """Return the bit rate of a lossy output: the same as of a lossy input, or a transparent one."""
    if source.is_lossy and source.bit_rate:
        return source.bit_rate
    rate_factor = math.pow(min(1.0, output.sample_rate / 44100), 0.7)
    transparent = find_subtype(output.subtype).transparent_bit_rate
    return round(transparent * output.channels * rate_factor)


def _describe_subtypes(info: AudioInfo) -> str:
    """Return the end of a message with the subtypes that the output can have."""
    names = [*info.container.encoders]
    if info.container.writer == "libsndfile":
        names += sf.available_subtypes(info.format)
    subtypes = [
        name
        for name in dict.fromkeys(names)
        if not unsupported_reason(replace(info, subtype=name, endian="FILE"))
    ]
    kind = f"{usual_name(info.format)} with {pluralize(info.channels, 'channel')}"
    return f": {kind} can have {' '.join(subtypes)}" if subtypes else ""


def _unknown_extension(path: Path) -> OutputError:
    return OutputError(
        f"{quote_path(path)} has no known extension: "
        f"end the name in one of {' '.join(WRITABLE_EXTENSIONS)}"
    )


def default_output_path(info: AudioInfo, options: OutputOptions = DEFAULT_OUTPUT_OPTIONS) -> Path:
    """Return `NAME_gated.EXT` in the directory of the recording.

    The options can change the suffix and the extension. If ngate cannot write EXT, or not with the
    same codec, it uses the extension of the codec, such as `.m4a` for AAC. Otherwise it uses
    `.flac` for compressed and `.wav` for uncompressed recordings. The output of standard input is
    `stdin_gated.EXT` in the current directory.
    """
    if options.format:
        return _path_beside_input(info, f".{options.format}", options)
    is_uncompressed = not (info.container.is_compressed or info.is_lossy)
    fallbacks = [".wav", ".flac"] if is_uncompressed else [".flac", ".wav"]
    for extension in (info.path.suffix, find_subtype(info.subtype).extension, *fallbacks):
        path = _path_beside_input(info, extension, options)
        try:
            output = output_info(info, path, options)
        except OutputError:
            continue
        if extension in fallbacks or output.is_lossy == info.is_lossy == (
            output.subtype == info.subtype and info.is_lossy
        ):
            return path
    return _path_beside_input(info, ".wav", options)


def _path_beside_input(info: AudioInfo, extension: str, options: OutputOptions) -> Path:
    """Return an output path in the directory of the recording."""
    stem = "stdin" if info.path == STDIO_PATH else info.path.stem
    return info.path.with_name(add_suffix(stem, extension, options))


def check_inside(path: Path, folder: Path) -> None:
    """Raise OutputError if `path` is not a regular file, or a link leads out of `folder`."""
    if is_stream(path):
        raise OutputError(f"{quote_path(path)} is a named pipe or a device: remove it")
    if path.parent == folder:
        return
    real_parent, real_folder = os.path.realpath(path.parent), os.path.realpath(folder)
    if real_parent != real_folder and not Path(real_parent).is_relative_to(real_folder):
        raise OutputError(
            f"{quote_path(path)} points outside {quote_path(folder)} through a link "
            f"to {quote_path(Path(real_parent))}: "
            "remove the link"
        )


def is_directory(path: Path) -> bool:
    """Return whether `path` is a directory; False if it cannot be accessed."""
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

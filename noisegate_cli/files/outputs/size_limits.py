"""Limits on the size of outputs. libsndfile does not check them: larger sizes wrap around."""

import math

from noisegate_cli.errors import OutputError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.containers.riff import WRITABLE_FORMAT_TAGS
from noisegate_cli.files.formats import find_subtype, usual_name
from noisegate_cli.text import format_duration, quote_path


def max_samples(info: AudioInfo) -> float:
    """Return the maximum number of samples per channel in such a file; infinite if unlimited."""
    is_little_endian_wav = info.container.is_wav and info.endian != "BIG"
    if is_little_endian_wav and info.subtype in WRITABLE_FORMAT_TAGS:
        return math.inf  # `WavEncoder` converts a large file to RF64.
    subtype = find_subtype(info.subtype)
    sample_bytes = info.channels * (subtype.width_bytes or subtype.max_stored_bits / 8)
    container = info.container
    limit_by_size = math.inf if container.max_bytes is None else container.max_bytes / sample_bytes
    limit_by_count = math.inf if container.max_samples is None else container.max_samples
    return min(limit_by_size, limit_by_count)


def check_size(info: AudioInfo, samples: int) -> None:
    """Raise OutputError if a file cannot hold a number of samples per channel."""
    if samples > (limit := max_samples(info)):
        extension = ".w64" if info.container.is_wav else ".wav"
        raise OutputError(
            f"{quote_path(info.path)} cannot store this recording: "
            f"{usual_name(info.format)} is limited to {format_duration(limit / info.sample_rate)}: "
            f"use output= with a name that ends in {extension}"
        )

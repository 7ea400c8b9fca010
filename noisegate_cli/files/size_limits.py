"""Limits on the size of outputs, which libsndfile doesn't check: larger sizes would wrap around."""

import math

from noisegate_cli.errors import OutputError
from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.pcm import SAMPLE_WIDTH_BYTES
from noisegate_cli.files.riff import MAX_METADATA_BYTES, WRITABLE_FORMAT_TAGS
from noisegate_cli.text import format_duration, quote_path

MAX_32_BIT_DATA_BYTES = (1 << 32) - 1 - MAX_METADATA_BYTES
"""Maximum size of the samples in a container whose total size is a 32-bit number."""

MAX_DATA_BYTES = {
    **dict.fromkeys(("AIFF", "SVX", "WAV", "WAVEX", "MAT5", "WVE"), MAX_32_BIT_DATA_BYTES),
    # A block has a size of 24 bits, which includes 12 bytes of format.
    "VOC": (1 << 24) - 1 - 12,
}
"""Maximum size in bytes of the samples in a container; unlimited if it isn't listed."""

MAX_SAMPLES = {
    "AVR": (1 << 32) - 1,
    "HTK": (1 << 30) - 1,
    "MAT4": (1 << 31) - 1,
    "MPC2K": (1 << 32) - 1,
    "SDS": (1 << 21) - 1,
}
"""Maximum number of samples per channel in a container; unlimited if it isn't listed."""


def max_samples(info: AudioInfo) -> float:
    """Return the maximum number of samples per channel in such a file; infinite if unlimited."""
    is_little_endian_wav = info.format in ("WAV", "WAVEX") and info.endian != "BIG"
    if is_little_endian_wav and info.subtype in WRITABLE_FORMAT_TAGS:
        return math.inf  # `WavEncoder` converts a large file to RF64.
    sample_bytes = info.channels * SAMPLE_WIDTH_BYTES.get(info.subtype, 1)
    by_size = MAX_DATA_BYTES.get(info.format, math.inf) / sample_bytes
    return min(by_size, MAX_SAMPLES.get(info.format, math.inf))


def check_size(info: AudioInfo, samples: int) -> None:
    """Raise OutputError if a file can't hold a number of samples per channel."""
    if samples > (limit := max_samples(info)):
        unlimited = ".w64" if info.format in ("WAV", "WAVEX") else ".wav"
        raise OutputError(
            f"{quote_path(info.path)} can't hold this recording: {info.format} holds at most "
            f"{format_duration(limit / info.sample_rate)} of it: "
            f"give -o a name that ends in {unlimited}"
        )

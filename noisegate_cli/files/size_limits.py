"""Limits on the size of outputs, which libsndfile doesn't check: larger sizes would wrap around."""

import math

from noisegate_cli.errors import OutputError
from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.pcm import SAMPLE_WIDTH_BYTES
from noisegate_cli.files.riff import MAX_METADATA_BYTES, WRITABLE_FORMAT_TAGS
from noisegate_cli.text import format_bytes, quote_path

MAX_32_BIT_DATA_BYTES = (1 << 32) - 1 - MAX_METADATA_BYTES
"""Maximum size of the samples in a container whose total size is a 32-bit number."""

MAX_DATA_BYTES = {
    "AIFF": MAX_32_BIT_DATA_BYTES,
    "SVX": MAX_32_BIT_DATA_BYTES,
    "WAV": MAX_32_BIT_DATA_BYTES,
    "WAVEX": MAX_32_BIT_DATA_BYTES,
    # A block has a size of 24 bits, which includes 12 bytes of format.
    "VOC": (1 << 24) - 1 - 12,
}
"""Maximum size in bytes of the samples in a container; unlimited if it isn't listed."""


def max_data_bytes(info: AudioInfo) -> float:
    """Return the maximum size in bytes of the samples in such a file; infinite if unlimited."""
    is_little_endian_wav = info.format in ("WAV", "WAVEX") and info.endian != "BIG"
    if is_little_endian_wav and info.subtype in WRITABLE_FORMAT_TAGS:
        return math.inf  # `WavEncoder` converts a large file to RF64.
    return MAX_DATA_BYTES.get(info.format, math.inf)


def check_size(info: AudioInfo, samples: int) -> None:
    """Raise OutputError if a file can't hold a number of samples per channel."""
    size = samples * info.channels * SAMPLE_WIDTH_BYTES.get(info.subtype, 1)
    if size > (limit := max_data_bytes(info)):
        unlimited = ".w64" if info.format in ("WAV", "WAVEX") else ".wav"
        raise OutputError(
            f"{quote_path(info.path)} can't hold this recording: {info.format} holds at most "
            f"{format_bytes(limit)} of samples: give -o a name that ends in {unlimited}"
        )

"""How much disk outputs will take, before they are made."""

import shutil
from pathlib import Path

from noisegate_cli.files.formats import AudioInfo

SAMPLE_BYTES = {
    "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8,
    "ULAW": 1, "ALAW": 1,
}  # fmt: skip
"""Of the subtypes that aren't packed, where their container isn't."""

COMPRESSED_FORMATS = ("FLAC", "OGG", "MP3")

FLAC_COMPRESSION_RATIO = 0.6
"""Of the size of its samples, about."""

LOSSY_BYTES_PER_S = 16_000
"""Of one channel, about: 128 kbit/s."""


def estimate_output_bytes(source: AudioInfo, target: AudioInfo, size: int) -> int:
    """Return about how many bytes `target` will take; `source` has `size`."""
    same = (source.format, source.subtype) == (target.format, target.subtype)
    if same and target.subtype not in SAMPLE_BYTES:
        return size
    values = target.samples * target.channels
    if target.format == "FLAC":
        return (
            size if same else round(FLAC_COMPRESSION_RATIO * values * SAMPLE_BYTES[target.subtype])
        )
    if target.format in COMPRESSED_FORMATS or target.subtype not in SAMPLE_BYTES:
        return round(LOSSY_BYTES_PER_S * target.duration * target.channels)
    return values * SAMPLE_BYTES[target.subtype]


def get_free_bytes(folder: Path) -> int:
    """Return how many bytes are free where `folder` is, or would be."""
    return shutil.disk_usage(find_existing_parent(folder)).free


def find_existing_parent(folder: Path) -> Path:
    """Return `folder`, or the nearest one above it that there is."""
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder

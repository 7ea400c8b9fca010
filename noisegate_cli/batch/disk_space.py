"""Estimate the disk space that outputs need."""

import shutil
from pathlib import Path

from noisegate_cli.files.formats import AudioInfo

SAMPLE_BYTES = {
    "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8,
    "ULAW": 1, "ALAW": 1,
}  # fmt: skip
"""Bytes per sample of uncompressed subtypes in uncompressed containers."""

COMPRESSED_FORMATS = ("FLAC", "OGG", "MP3")

FLAC_COMPRESSION_RATIO = 0.6
"""Typical size of a FLAC file relative to its uncompressed samples."""

LOSSY_BYTES_PER_S = 16_000
"""Typical size of one second of one lossy channel: 128 kbit/s."""


def estimate_output_bytes(source: AudioInfo, target: AudioInfo, size: int) -> int:
    """Return the approximate size of `target` in bytes; `size` is the size of `source`."""
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
    """Return the free bytes on the filesystem of `folder`, which may not exist yet."""
    return shutil.disk_usage(find_existing_parent(folder)).free


def find_existing_parent(folder: Path) -> Path:
    """Return `folder`, or its nearest existing parent."""
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder

"""Estimate the disk space that outputs need."""

import shutil
from pathlib import Path

from noisegate_cli.files.formats import AudioInfo, find_subtype

LOSSLESS_COMPRESSION_RATIO = 0.6
"""Typical size of a FLAC or WavPack file relative to its uncompressed samples."""

LOSSY_BYTES_PER_S = 16_000
"""Typical size of one second of one lossy channel: 128 kbit/s."""


def estimate_output_bytes(source: AudioInfo, target: AudioInfo, size: int) -> int:
    """Return the approximate size of `target` in bytes; `size` is the size of `source`."""
    if target.keeps_tracks:
        return size
    is_same_type = (source.format, source.subtype) == (target.format, target.subtype)
    width = find_subtype(target.subtype).width_bytes
    if is_same_type and (target.container.is_compressed or not width):
        return size
    if not width:
        return round(LOSSY_BYTES_PER_S * target.duration * target.channels)
    ratio = LOSSLESS_COMPRESSION_RATIO if target.container.is_compressed else 1
    return round(ratio * target.samples * target.channels * width)


def get_free_bytes(folder: Path) -> int:
    """Return the free bytes on the filesystem of `folder`, which may not exist yet."""
    return shutil.disk_usage(find_existing_parent(folder)).free


def find_existing_parent(folder: Path) -> Path:
    """Return `folder`, or its nearest existing parent."""
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder

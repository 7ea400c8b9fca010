"""The input tree and the output tree of a batch, and the disk space that the outputs need."""

import shutil
from pathlib import Path

from noisegate_cli.errors import AudioError, OutputError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS, find_subtype
from noisegate_cli.text import quote_path

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


def default_output_directory(root: Path) -> Path:
    """Return the default output directory, `ROOT-gated` next to `root`.

    Raises
    ------
    OutputError
        If `root` is the root of the filesystem.
    """
    resolved = root if root.name not in ("", "..") else root.resolve()
    if not resolved.name:
        raise OutputError(
            f"{quote_path(root)} is the root of a filesystem: give the output folder with output="
        )
    return resolved.with_name(f"{resolved.name}-gated")


def check_trees(root: Path, output: Path) -> None:
    """Check that the input tree exists and that `output` can be a directory.

    Raises
    ------
    AudioError
        If `root` is not a directory.
    OutputError
        If `output` is `root`, is a file, or has the extension of an audio file.
    """
    try:
        root.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{quote_path(root)} does not exist: check the name") from error
    except OSError as error:
        raise AudioError(f"{quote_path(root)} cannot be read: {error.strerror}") from error
    if not root.is_dir():
        raise AudioError(f"{quote_path(root)} is not a folder: use ngate gate for one recording")
    if output.exists() and not output.is_dir():
        raise OutputError(f"{quote_path(output)} is not a folder: give another output with output=")
    if not output.exists() and output.suffix.lower() in WRITABLE_EXTENSIONS:
        raise OutputError(
            f"{quote_path(output)} has the name of a recording, but a batch needs an "
            "output folder: "
            "give one with output="
        )
    if output.resolve() == root.resolve():
        raise OutputError(
            f"{quote_path(output)} is the input folder: give another output with output="
        )

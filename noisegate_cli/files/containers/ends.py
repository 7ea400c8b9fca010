"""Find out whether a container is truncated or damaged, from the sizes that its elements declare.

FFmpeg skips what it cannot read in these containers without an error.
"""

import re
from collections.abc import Callable
from pathlib import Path

from noisegate_cli.files.containers.chunks import FORM_BYTES, HEADER_BYTES, ReadBytes, make_reader
from noisegate_cli.files.containers.joined_files import find_matroska_end
from noisegate_cli.files.containers.trailing_tags import find_audio_end

MAX_ELEMENTS = 5_000_000
"""Maximum number of elements that are visited; after that, a file counts as complete."""

AVI_CHUNK_RE = re.compile(rb"[\x20-\x7e]{4}")
AVI_LIST_IDS = (b"LIST", b"RIFF")

FLV_HEADER_BYTES, FLV_TAG_HEADER_BYTES, FLV_SIZE_BYTES = 9, 11, 4
FLV_TAG_TYPES = (8, 9, 18)
"""Audio, video and script data."""

TS_SYNC_BYTE = 0x47
TS_PACKET_BYTES = (188, 192, 204)
"""Sizes of the packets of an MPEG transport stream, with and without other bytes around them."""


def is_broken(path: Path, demuxer: str) -> bool:
    """Return whether a container ends too early or has elements that cannot be followed.

    Parameters
    ----------
    path
        The file.
    demuxer
        FFmpeg's name of the container. Others than Matroska, AVI, FLV and MPEG-TS are not checked.
    """
    check = _CHECKS.get(demuxer)
    if check is None:
        return False
    with path.open("rb") as file:
        return check(make_reader(file), find_audio_end(file, file.seek(0, 2)))


def _is_matroska_broken(read: ReadBytes, length: int) -> bool:
    if read(0, 4) != b"\x1aE\xdf\xa3":  # Other bytes come first.
        return False
    end = find_matroska_end(read, 0, length)
    return end is not None and end > length


def _is_flv_broken(read: ReadBytes, length: int) -> bool:
    """Walk the tags (Adobe Flash Video File Format Specification, E.3)."""
    position = FLV_HEADER_BYTES + FLV_SIZE_BYTES
    for _ in range(MAX_ELEMENTS):
        if position - FLV_SIZE_BYTES <= length <= position:  # The last size holds no sound.
            return False
        header = read(position, FLV_TAG_HEADER_BYTES)
        is_tag = len(header) == FLV_TAG_HEADER_BYTES and header[0] & 0x1F in FLV_TAG_TYPES
        if not is_tag or position > length:
            return True
        size = int.from_bytes(header[1:4], "big")
        position += FLV_TAG_HEADER_BYTES + size + FLV_SIZE_BYTES
    return False


def _is_avi_broken(read: ReadBytes, length: int) -> bool:
    """Walk the chunks up to the end of the last one with samples; an index may be truncated."""
    position = 0
    for _ in range(MAX_ELEMENTS):
        header = read(position, HEADER_BYTES)
        if len(header) < HEADER_BYTES or header.startswith(b"idx1"):
            return 0 < len(header) < HEADER_BYTES
        if not AVI_CHUNK_RE.fullmatch(header[:4]):
            return True
        size = int.from_bytes(header[4:], "little")
        if header[:4] in AVI_LIST_IDS:
            is_header = read(position + HEADER_BYTES, 4) in (b"hdrl", b"INFO")
            position += HEADER_BYTES + size + size % 2 if is_header else FORM_BYTES
            continue
        position += HEADER_BYTES + size
        if position > length:
            return True
        # Some programs do not pad chunks of odd size.
        position += size % 2 and not AVI_CHUNK_RE.fullmatch(read(position, 4))
    return False


def _is_ts_broken(read: ReadBytes, length: int) -> bool:
    """Return whether the last packet is incomplete."""
    for size in TS_PACKET_BYTES:
        prefix = 4 if size == 192 else 0
        if all(read(prefix + number * size, 1) == bytes([TS_SYNC_BYTE]) for number in range(4)):
            return length % size != 0
    return False


_CHECKS: dict[str, Callable[[ReadBytes, int], bool]] = {
    "matroska": _is_matroska_broken,
    "flv": _is_flv_broken,
    "avi": _is_avi_broken,
    "mpegts": _is_ts_broken,
}

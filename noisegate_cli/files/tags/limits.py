"""Limits for the tags of a file, which are checked before a library parses them.

The libraries compare each tag with all others and decompress as much as a tag declares, so that a
small malicious file could occupy the processor for minutes or fill the memory.
"""

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from noisegate_cli.files.containers.trailing_tags import count_ape_items, parse_syncsafe
from noisegate_cli.files.file_parts import FilePart, PartOfFile
from noisegate_cli.files.tags.id3_limits import MAX_ID3_BYTES, count_id3_frames
from noisegate_cli.files.tags.limits_by_chunk import (
    ASF_MAGIC,
    count_aiff_tags,
    count_asf_tags,
    count_riff_tags,
)

MAX_TAGS = 4096
"""Maximum number of tags in a file; 4096 Vorbis comments take libsndfile 0.3 s."""

MAX_CONSECUTIVE_TAGS = 8
"""Maximum number of ID3v2 tags at the beginning of a file."""

MAX_ELEMENTS = 100_000
"""Maximum number of boxes or elements of a file that are visited on the way to the tags."""

FLAC_COMMENT_BLOCK = 4
SEGMENT_ID, TAGS_ID, SIMPLE_TAG_ID = 0x18538067, 0x1254C367, b"\x67\xc8"
"""IDs of Matroska elements (RFC 9559, 5.1)."""


def has_excessive_tags(path: Path, part: FilePart | None = None) -> bool:
    """Return whether the tags of a file, or of a part of it, exceed the limits.

    The function visits the tags of FLAC, Ogg, MP4, Matroska, AIFF, AVI, WAV and ASF, ID3v2 tags at
    the beginning, and APEv2 tags at the end.
    """
    with path.open("rb") as whole:
        start, end = (part.start, part.end) if part else (0, whole.seek(0, 2))
        total = 0.0
        for _ in range(MAX_CONSECUTIVE_TAGS):
            whole.seek(start)
            head = whole.read(12)
            if not head.startswith(b"ID3"):
                break
            size = parse_syncsafe(head[6:10]) + 10
            if size > MAX_ID3_BYTES:
                return True
            whole.seek(start)
            total += count_id3_frames(whole.read(size))
            start += size
        else:
            return True
        if start < end:
            # It has the methods that are called here.
            inside = cast("BinaryIO", PartOfFile(whole, FilePart(start, end, "")))
            count_tags = _find_counter(head)
            inside.seek(0)
            total += count_tags(inside)
        return total > MAX_TAGS


def _find_counter(head: bytes) -> Callable[[BinaryIO], float]:
    """Return the function that counts the tags of a file that begins with `head`."""
    counters: dict[bytes, Callable[[BinaryIO], float]] = {
        b"fLaC": _count_flac_comments,
        b"\x1aE\xdf\xa3": _count_matroska_tags,
        b"OggS": _count_ogg_comments,
        b"RIFF": count_riff_tags,
        b"RIFX": count_riff_tags,
        b"RF64": count_riff_tags,
        ASF_MAGIC[:4]: count_asf_tags,
    }
    if head[4:8] == b"ftyp":
        return _count_mp4_items
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return count_aiff_tags
    return counters.get(head[:4], count_ape_items)


def _count_flac_comments(file: BinaryIO) -> float:
    """Return the number of Vorbis comments and pictures that a FLAC file declares."""
    position, end, total = 4, file.seek(0, 2), 0
    for _ in range(MAX_TAGS):
        if position + 4 > end:
            return total
        file.seek(position)
        header = file.read(4)
        size = int.from_bytes(header[1:], "big")
        if header[0] & 0x7F == FLAC_COMMENT_BLOCK:
            total += _parse_comment_count(file.read(size))
        if header[0] & 0x80:
            return total
        position += 4 + size
    return math.inf


def _parse_comment_count(comments: bytes) -> int:
    """Return the declared number of Vorbis comments, as far as there can be that many."""
    if len(comments) < 8:
        return 0
    (vendor_size,) = struct.unpack_from("<I", comments)
    count = int.from_bytes(comments[4 + vendor_size : 8 + vendor_size], "little")
    return min(count, len(comments) // 4)


def _count_ogg_comments(file: BinaryIO) -> int:
    """Return the number of Vorbis comments in the header of an Ogg file."""
    file.seek(0)
    start = file.read(1 << 18)
    for marker in (b"\x03vorbis", b"OpusTags"):
        if (at := start.find(marker)) >= 0:
            comments = start[at + len(marker) :]
            (vendor_size,) = struct.unpack_from("<I", comments.ljust(4, b"\0"))
            return int.from_bytes(comments[4 + vendor_size : 8 + vendor_size], "little")
    return 0


def _count_mp4_items(file: BinaryIO) -> int:
    """Return the number of items in the tags of an MP4 file."""
    end = file.seek(0, 2)
    total = 0
    for start, stop in _find_boxes(file, 0, end, b"moov"):
        inside = list(_find_boxes(file, start, stop, b"udta"))
        for track in _find_boxes(file, start, stop, b"trak"):
            inside += _find_boxes(file, *track, b"udta")
        for user_data in inside:
            for meta in _find_boxes(file, *user_data, b"meta"):
                for items in _find_boxes(file, meta[0] + 4, meta[1], b"ilst"):
                    total += sum(1 for _ in _find_boxes(file, *items, b""))
    return total


def _find_boxes(file: BinaryIO, start: int, end: int, name: bytes) -> Iterator[tuple[int, int]]:
    """Yield the ranges of the contents of the boxes called `name`; of all boxes if it is empty."""
    for _ in range(MAX_ELEMENTS):
        if start >= end:
            return
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        size, content = int.from_bytes(header[:4], "big"), start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16], "big"), start + 16
        stop = end if size == 0 else start + size
        if stop < content:
            return
        if name in (b"", header[4:8]):
            yield content, min(stop, end)
        start = stop


def _count_matroska_tags(file: BinaryIO) -> int:
    """Return the approximate number of tags in a Matroska file."""
    end = file.seek(0, 2)
    file.seek(0)
    total = 0
    for _ in range(MAX_ELEMENTS):
        head = file.read(4)
        id_size = 9 - head[0].bit_length() if head else 0
        if not 1 <= id_size <= 4:
            break
        file.seek(id_size - len(head), 1)
        first = file.read(1)
        size_bytes = 9 - first[0].bit_length() if first else 9
        if size_bytes > 8:
            break
        size = first[0] & (0xFF >> size_bytes)
        for octet in file.read(size_bytes - 1):
            size = size << 8 | octet
        element = int.from_bytes(head[:id_size], "big")
        is_unknown = size == (1 << 7 * size_bytes) - 1
        if element == SEGMENT_ID:
            continue
        if is_unknown or size > end:
            break
        if element == TAGS_ID:
            total += file.read(size).count(SIMPLE_TAG_ID)
        else:
            file.seek(size, 1)
    return total

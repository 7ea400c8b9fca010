"""Limits for the tags of a file, which are checked before a library parses them.

The libraries compare each tag with all others and decompress as much as a tag declares, so that a
small malicious file could occupy the processor for minutes or fill the memory.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from noisegate_cli.files.tag_limits_by_chunk import (
    ASF_MAGIC,
    count_asf_tags,
    count_avi_tags,
    read_id3_chunks,
)
from noisegate_cli.files.trailing_tags import count_ape_items, parse_syncsafe

MAX_TAGS = 4096
"""Maximum number of tags in a file; 4096 Vorbis comments take libsndfile 0.3 s."""

MAX_ID3_BYTES = 1 << 26
"""Maximum size of an ID3v2 tag."""

MAX_INFLATED_BYTES = 1 << 24
"""Maximum size of a decompressed tag."""

MAX_ELEMENTS = 100_000
"""Maximum number of boxes or elements of a file that are visited on the way to the tags."""

FLAC_COMMENT_BLOCK = 4
SEGMENT_ID, TAGS_ID, SIMPLE_TAG_ID = 0x18538067, 0x1254C367, b"\x67\xc8"
"""IDs of Matroska elements (RFC 9559, 5.1)."""


def has_excessive_tags(path: Path) -> bool:
    """Return whether the tags of a file exceed the limits.

    The function visits the tags of FLAC, Ogg, MP4, Matroska, AIFF, AVI and ASF, an ID3v2 tag at the
    beginning, and APEv2 tags at the end.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head.startswith(b"ID3"):
            size = parse_syncsafe(head[6:10]) + 10
            file.seek(0)
            if size > MAX_ID3_BYTES or is_excessive_id3(file.read(size)):
                return True
            file.seek(size)
            head = file.read(4)
            file.seek(size)
        if head.startswith(b"fLaC"):
            start = file.tell() if len(head) == 4 else 0  # It may follow an ID3v2 tag.
            return _count_flac_comments(file, start) > MAX_TAGS
        if head.startswith(b"FORM") and head[8:11] == b"AIF":
            tags = read_id3_chunks(file)
            return any(len(tag) > MAX_ID3_BYTES or is_excessive_id3(tag) for tag in tags)
        count_tags = _find_counter(head)
        return count_tags is not None and count_tags(file) > MAX_TAGS


def _find_counter(head: bytes) -> Callable[[BinaryIO], float] | None:
    """Return the function that counts the tags of a file that begins with `head`; None for WAV."""
    if head[4:8] == b"ftyp":
        return _count_mp4_items
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _count_matroska_tags
    if head.startswith(b"OggS"):
        return _count_ogg_comments
    if head.startswith(b"RIFF"):
        return count_avi_tags if head[8:] == b"AVI " else None
    return count_asf_tags if head.startswith(ASF_MAGIC[:12]) else count_ape_items


def is_excessive_id3(tag: bytes) -> bool:
    """Return whether an ID3v2 tag has too many frames, or frames that decompress to too much."""
    if tag[:3] != b"ID3" or len(tag) < 10:
        return False
    version = tag[3]
    header_size, id_size = (6, 3) if version == 2 else (10, 4)
    position = 10
    for _ in range(MAX_TAGS):
        if position + header_size > len(tag) or not tag[position]:
            return False
        octets = tag[position + id_size : position + (6 if version == 2 else 8)]
        size = parse_syncsafe(octets) if version == 4 else int.from_bytes(octets, "big")
        content = position + header_size
        if version > 2 and _inflates_excessively(tag, position, size):
            return True
        position = content + size
    return True


def _inflates_excessively(tag: bytes, position: int, size: int) -> bool:
    """Return whether an ID3v2.3 or 2.4 frame is compressed and too large."""
    is_compressed = tag[position + 9] & (0x08 if tag[3] == 4 else 0x80)
    if not is_compressed:
        return False
    declared = tag[position + 10 : position + 14]
    if parse_syncsafe(declared) > MAX_INFLATED_BYTES:
        return True
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(
            tag[position + 14 : position + 10 + size], MAX_INFLATED_BYTES + 1
        )
    except zlib.error:
        return False
    return len(found) > MAX_INFLATED_BYTES


def _count_flac_comments(file: BinaryIO, start: int) -> int:
    """Return the number of Vorbis comments that a FLAC file declares."""
    position = start + 4
    for _ in range(MAX_ELEMENTS):
        file.seek(position)
        header = file.read(4)
        if len(header) < 4:
            return 0
        if header[0] & 0x7F == FLAC_COMMENT_BLOCK:
            return _parse_comment_count(file.read(int.from_bytes(header[1:], "big")))
        if header[0] & 0x80:
            return 0
        position += 4 + int.from_bytes(header[1:], "big")
    return MAX_ELEMENTS


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

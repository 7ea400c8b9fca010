"""Count the frames of an ID3v2 tag, and how much its compressed frames inflate to.

Libraries read a tag in different ways: they disagree about the extended header, about sizes above
127 in version 2.4, and about bytes before compressed content. The functions here allow all of them.
"""

import math
import re
import zlib

from noisegate_cli.files.containers.trailing_tags import parse_syncsafe

MAX_ID3_BYTES = 1 << 26
"""Maximum size of an ID3v2 tag."""

MAX_INFLATED_BYTES = 1 << 24
"""Maximum total size of the compressed frames of a tag after decompression."""

MAX_COMPRESSED_FRAMES = 10_000
"""Maximum number of places at which a compressed frame may begin, each of which is tried."""

MAX_COUNTED_FRAMES = 10_000
"""Number of frames after which counting ends."""

INFLATE_CHUNK_BYTES = 1 << 12

HAS_EXTENDED_HEADER = 0x40
FRAME_ID_RE = re.compile(rb"[A-Z][A-Z0-9 ]{2,3}")

COMPRESSED_FRAMES = {
    3: re.compile(rb"(?=[A-Z][A-Z0-9 ]{3}.{5}[\x80-\xff])", re.DOTALL),
    4: re.compile(rb"(?=[A-Z][A-Z0-9 ]{3}.{5}[\x08-\x0f\x18-\x1f\x28-\x2f\x38-\x3f"
                  rb"\x48-\x4f\x58-\x5f\x68-\x6f\x78-\x7f])", re.DOTALL),
}  # fmt: skip
"""Pattern of the header of a frame that is marked as compressed, by version (ID3v2.3, 3.3.1, and
ID3v2.4, 4.1.2)."""

FRAME_HEADER_BYTES = 10
CONTENT_OFFSETS = (4, 0, 5, 1, 6, 2)
"""Bytes between the header of a frame and its compressed content: the length, the group and the
method of encryption, each of which may be missing."""


def count_id3_frames(tag: bytes) -> float:
    """Return the number of frames of an ID3v2 tag; infinite if they inflate to too much."""
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    version = tag[3]
    if version in COMPRESSED_FRAMES:
        if _inflates_excessively(tag, version):
            return math.inf
        # Bytes are added to an unsynchronized tag or frame, so that it holds no frame sync.
        synchronized = tag.replace(b"\xff\0", b"\xff")
        if len(synchronized) < len(tag) and _inflates_excessively(synchronized, version):
            return math.inf
    return max(_walk_frames(tag, start) for start in _find_starts(tag))


def _find_starts(tag: bytes) -> tuple[int, ...]:
    """Return where the first frame can begin."""
    if not tag[5] & HAS_EXTENDED_HEADER:
        return (10,)
    # Only in version 2.4, the size includes its own four bytes.
    sizes = parse_syncsafe(tag[10:14]), int.from_bytes(tag[10:14], "big")
    return (10, *(10 + size + own for size in sizes for own in (0, 4)))


def _walk_frames(tag: bytes, position: int) -> int:
    version = tag[3]
    header_bytes, id_bytes = (6, 3) if version == 2 else (10, 4)
    for number in range(MAX_COUNTED_FRAMES):
        if position + header_bytes > len(tag) or not tag[position]:
            return number
        octets = tag[position + id_bytes : position + (6 if version == 2 else 8)]
        content, size = position + header_bytes, int.from_bytes(octets, "big")
        if version == 4:
            # Some programs write plain sizes.
            syncsafe_size = parse_syncsafe(octets)
            if size == syncsafe_size or _may_begin_frame(tag, content + syncsafe_size):
                size = syncsafe_size
        position = content + size
    return MAX_COUNTED_FRAMES


def _may_begin_frame(tag: bytes, position: int) -> bool:
    """Return whether a frame, padding or the end of the tag is at a position."""
    following = tag[position : position + 4]
    return not any(following) or FRAME_ID_RE.fullmatch(following) is not None


def _inflates_excessively(tag: bytes, version: int) -> bool:
    """Return whether the compressed frames of a tag are too many, or too large together."""
    remaining, tried = MAX_INFLATED_BYTES, 0
    view = memoryview(tag)
    for match in COMPRESSED_FRAMES[version].finditer(tag):
        header_end = match.start() + FRAME_HEADER_BYTES
        for offset in CONTENT_OFFSETS:
            start = header_end + offset
            if not _is_zlib_header(tag[start : start + 2]):
                continue
            tried += 1
            size, is_whole = _measure_inflated(view[start:], remaining)
            declared = parse_syncsafe(tag[header_end : header_end + 4])
            # A text in capitals can look like a frame, but not like all of the compressed data.
            if is_whole and declared > MAX_INFLATED_BYTES:
                return True
            remaining -= size
            break
        if remaining < 0 or tried > MAX_COMPRESSED_FRAMES:
            return True
    return False


def _is_zlib_header(octets: bytes) -> bool:
    """Return whether two bytes can begin compressed data (RFC 1950, 2.2)."""
    return len(octets) == 2 and octets[0] & 0x0F == 8 and int.from_bytes(octets, "big") % 31 == 0


def _measure_inflated(content: memoryview, limit: int) -> tuple[int, bool]:
    """Return the size of compressed data after decompression, and whether the data is complete.

    If the size is larger than `limit`, it is `limit` + 1.
    """
    inflater, size, position = zlib.decompressobj(), 0, 0
    rest = b""
    while size <= limit and not inflater.eof and (rest or position < len(content)):
        if not rest:
            rest = bytes(content[position : position + INFLATE_CHUNK_BYTES])
            position += len(rest)
        try:
            size += len(inflater.decompress(rest, limit + 1 - size))
        except zlib.error:
            break
        rest = inflater.unconsumed_tail
    return size, inflater.eof

"""Properties of Ogg files that libsndfile and FFmpeg don't report."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_PAGE_BYTES = 27 + 255 + 255 * 255
"""Size of the largest page: header, segment table and segments (RFC 3533, 6)."""

PAGE_HEADER_BYTES = 27
LAST_PAGE_FLAG = 4
SERIAL, CHECKSUM = slice(14, 18), slice(22, 26)

REVERSED_BITS = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def is_end_missing(path: Path) -> bool:
    """Return whether the last valid page of an Ogg file is not marked as the last one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 2 * MAX_PAGE_BYTES))
            end = file.read()
    except OSError:  # The file has vanished since it was opened.
        return False
    position = end.rfind(b"OggS")
    while position >= 0:
        page = _read_page(end, position)
        if page:
            return not page[5] & LAST_PAGE_FLAG
        position = end.rfind(b"OggS", 0, position)
    return True


def _read_page(octets: bytes, position: int) -> bytes:
    """Return the page at a position; nothing if it is damaged or incomplete."""
    segments_start = position + PAGE_HEADER_BYTES
    if segments_start > len(octets):
        return b""
    segments = octets[segments_start : segments_start + octets[segments_start - 1]]
    page = octets[position : segments_start + len(segments) + sum(segments)]
    unchecked = page[: CHECKSUM.start] + bytes(4) + page[CHECKSUM.stop :]
    is_valid = int.from_bytes(page[CHECKSUM], "little") == compute_checksum(unchecked)
    return page if is_valid else b""


def read_pages(file: BinaryIO) -> Iterator[tuple[int, bytearray]]:
    """Yield the offset and the bytes of each page of a valid file (RFC 3533, 6)."""
    offset = file.seek(0)
    while len(header := file.read(PAGE_HEADER_BYTES)) == PAGE_HEADER_BYTES:
        segments = file.read(header[-1])
        page = bytearray(header + segments + file.read(sum(segments)))
        yield offset, page
        offset += len(page)


def compute_checksum(page: bytes | bytearray) -> int:
    """Return the checksum of a page whose checksum field is zero (RFC 3533, 6)."""
    # The polynomial is that of zlib, but the order of the bits differs, and the start is zero.
    crc = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "big").translate(REVERSED_BITS), "little")

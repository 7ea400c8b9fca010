"""Properties of Ogg files that libsndfile and FFmpeg do not report."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from noisegate_cli.errors import AudioError
from noisegate_cli.files.file_parts import FilePart

MAX_PAGE_BYTES = 27 + 255 + 255 * 255
"""Size of the largest page: header, segment table and segments (RFC 3533, 6)."""

PAGE_HEADER_BYTES = 27
PAGE_START, FIRST_PAGE_START = b"OggS", b"OggS\0\2"
"""Bytes with which a page begins, and a page with which a stream begins."""

FLAGS, LAST_PAGE_FLAG = 5, 4
SCAN_BYTES = 1 << 20

MAX_START_BYTES = 1 << 20
"""Maximum size of the pages before the first one at which a packet of audio ends."""

MAX_PARTS = 10_000
"""Maximum number of parts; all bytes after the beginning of the last one belong to it."""

MAX_INVALID_PAGES = 1000
"""Maximum number of invalid first pages, each of which takes as long to check as a large page."""

GRANULE, SERIAL, CHECKSUM = slice(6, 14), slice(14, 18), slice(22, 26)

REVERSED_BITS = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def is_end_missing(path: Path) -> bool:
    """Return whether an Ogg file ends in the middle of a page.

    Browsers do not mark the last page of what they record.
    """
    try:
        with path.open("rb") as file:
            page, is_at_end = _read_last_page(file)
    except OSError:  # The file has vanished since it was opened.
        return False
    return not page or not (is_at_end or page[FLAGS] & LAST_PAGE_FLAG)


def is_start_damaged(path: Path, start: int = 0) -> bool:
    """Return whether damaged bytes come before the first page at which a packet of audio ends.

    libsndfile treats the position of the first valid page as the beginning of the recording, which
    would then be too short. A recording of a radio stream also begins at a later position, but its
    pages follow each other.
    """
    with path.open("rb") as file:
        file.seek(start)
        octets = file.read(MAX_START_BYTES)
    position = 0
    while page := _read_page(octets, position):
        if int.from_bytes(page[GRANULE], "little", signed=True) > 0:
            return False
        position += len(page)
    return octets.find(PAGE_START, position + 1) >= 0


def find_chained_parts(path: Path) -> list[FilePart]:
    """Return the parts of an Ogg file that consists of joined files; an empty list for others.

    All streams of a file begin before any of them continues (RFC 3533, 4).

    Raises
    ------
    AudioError
        If pages seem to begin more often than they can. The message contains no path.
    """
    with path.open("rb") as file:
        starts, end_of_first_pages = [0], 0
        for position, page in _find_first_pages(file):
            if position > end_of_first_pages and position and len(starts) < MAX_PARTS:
                starts.append(position)
            end_of_first_pages = position + len(page)
        ends = [*starts[1:], file.seek(0, 2)]
    if len(starts) < 2:
        return []
    return [FilePart(start, end, "ogg", end) for start, end in zip(starts, ends, strict=True)]


def _find_first_pages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the position and the bytes of each page with which a stream begins."""
    offset = invalid = 0
    while True:
        file.seek(offset)
        octets = file.read(SCAN_BYTES + MAX_PAGE_BYTES)
        if octets.count(PAGE_START) * PAGE_HEADER_BYTES > len(octets) + PAGE_HEADER_BYTES:
            # libsndfile checks what follows each of them, which would take minutes.
            raise AudioError("its pages are damaged")
        position = octets.find(FIRST_PAGE_START)
        while 0 <= position < SCAN_BYTES:
            page = _read_page(octets, position)
            if page:
                yield offset + position, page
            else:
                invalid += 1
                if invalid > MAX_INVALID_PAGES:
                    return
            position = octets.find(FIRST_PAGE_START, position + 1)
        if len(octets) <= SCAN_BYTES:
            return
        offset += SCAN_BYTES


def _read_last_page(file: BinaryIO) -> tuple[bytes, bool]:
    """Return the last valid page of a file, and whether the file ends with it.

    The page is empty if there is none near the end.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 2 * MAX_PAGE_BYTES))
    end = file.read()
    position = end.rfind(PAGE_START)
    while position >= 0:
        page = _read_page(end, position)
        if page:
            return page, position + len(page) == len(end)
        position = end.rfind(PAGE_START, 0, position)
    return b"", False


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
    # The polynomial is the one of zlib, but the order of the bits differs, and the start is zero.
    crc = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "big").translate(REVERSED_BITS), "little")

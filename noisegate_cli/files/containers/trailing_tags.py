"""Find the tags that follow the audio of a file without a container.

Several tags can follow each other. Each of these declares its size at its end, unlike an ID3v2 tag
without a footer.
"""

import math
import struct
from typing import BinaryIO

ID3V1_BYTES = 128
ID3V2_HEADER_BYTES = 10
APE_FOOTER_BYTES = 32
APE_HAS_HEADER = 1 << 31
LYRICS_END = b"LYRICS200"
LYRICS_SIZE_DIGITS = 6

MIN_APE_ITEM_BYTES = 11

MAX_APE_BYTES = 1 << 26
"""Maximum size of an APE tag."""

MAX_TRAILING_TAGS = 16


def find_audio_end(file: BinaryIO, end: int) -> int:
    """Return the position of the first tag of those that end at position `end`."""
    for _ in range(MAX_TRAILING_TAGS):
        size = _find_tag_size(file, end)
        if not 0 < size <= end:
            break
        end -= size
    return end


def count_ape_items(file: BinaryIO) -> float:
    """Return the number of items in the APE tags at the end of a file, or at its beginning.

    It is infinite if a tag is too large.
    """
    file.seek(0)
    footers = [file.read(APE_FOOTER_BYTES)]
    end = file_size = file.seek(0, 2)
    for _ in range(MAX_TRAILING_TAGS):
        footers.append(_read_before(file, end, APE_FOOTER_BYTES))
        end -= _find_tag_size(file, end)
    count = 0.0
    for footer in footers:
        if footer.startswith(b"APETAGEX") and len(footer) == APE_FOOTER_BYTES:
            size, declared = struct.unpack_from("<II", footer, 12)
            is_too_large = MAX_APE_BYTES < size <= file_size
            items = math.inf if is_too_large else min(declared, size // MIN_APE_ITEM_BYTES)
            count = max(count, items)
    return count


def parse_syncsafe(octets: bytes) -> int:
    """Return a number that is stored with seven bits in each byte, as in ID3v2."""
    number = 0
    for octet in octets:
        number = number << 7 | octet & 0x7F
    return number


def _find_tag_size(file: BinaryIO, end: int) -> int:
    """Return the size of the tag that ends at a position; 0 if there is none."""
    if _read_before(file, end, ID3V1_BYTES).startswith(b"TAG"):
        return ID3V1_BYTES
    footer = _read_before(file, end, APE_FOOTER_BYTES)
    if footer.startswith(b"APETAGEX"):
        has_header = int.from_bytes(footer[20:24], "little") & APE_HAS_HEADER
        size = int.from_bytes(footer[12:16], "little")
        return size + (APE_FOOTER_BYTES if has_header else 0)
    if footer[-ID3V2_HEADER_BYTES:].startswith(b"3DI"):
        return parse_syncsafe(footer[-4:]) + 2 * ID3V2_HEADER_BYTES
    digits = footer[: -len(LYRICS_END)][-LYRICS_SIZE_DIGITS:]
    if footer.endswith(LYRICS_END) and digits.isdigit():
        return int(digits) + LYRICS_SIZE_DIGITS + len(LYRICS_END)
    return 0


def _read_before(file: BinaryIO, end: int, length: int) -> bytes:
    """Return the bytes before a position; none if there are fewer."""
    if end < length:
        return b""
    file.seek(end - length)
    return file.read(length)

"""Replace the fields in which libraries store random numbers, the time, or the name of the file.

Without these fields, the same samples always result in the same bytes. The name would be the name
of the partial file, which is random.
"""

import re
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.containers.chunks import FORM_BYTES, HEADER_BYTES, walk_chunks
from noisegate_cli.files.containers.ogg import (
    CHECKSUM,
    PAGE_HEADER_BYTES,
    SERIAL,
    compute_checksum,
    read_pages,
)
from noisegate_cli.files.formats import find_subtype

MAX_HEADER_BYTES = 1 << 12
"""Maximum size of the part of a file that is searched; libsndfile writes the fields before the
samples."""

MAT5_TEXT_BYTES = 116
"""Size of the description at the beginning of a MATLAB 5 file."""

SSND_HEADER_BYTES = 8
"""Size of the offset and the block size that precede the samples in the chunk of an AIFF file."""


def clear_variable_fields(path: Path, info: AudioInfo) -> None:
    """Clear the variable fields of a complete file with `info.samples` samples.

    In AIFF files, this also corrects lengths that libsndfile writes.
    """
    if info.format == "OGG":
        _set_ogg_serial(path)
        return
    find = _FIELD_FINDERS.get(info.format)
    if find is None:
        return
    with path.open("r+b") as file:
        header = file.read(MAX_HEADER_BYTES)
        fields = find(header)
        if info.format == "AIFF":
            fields += _find_padded_lengths(header, info)
        for offset, content in fields:
            file.seek(offset)
            file.write(content)


def _set_ogg_serial(path: Path) -> None:
    """Replace the random serial number of an Ogg stream by a checksum of its content.

    A constant would not do, because streams that are joined must have different serial numbers.
    """
    with path.open("rb") as file, path.open("r+b") as target:
        content = 0
        for _, page in read_pages(file):
            content = crc32(page[PAGE_HEADER_BYTES:], content)
        for offset, page in read_pages(file):
            page[SERIAL] = content.to_bytes(4, "little")
            page[CHECKSUM] = bytes(4)
            page[CHECKSUM] = compute_checksum(page).to_bytes(4, "little")
            target.seek(offset)
            target.write(page[:PAGE_HEADER_BYTES])


def _find_chunk_fields(header: bytes) -> list[tuple[int, bytes]]:
    """Return the time in a `PEAK` chunk, and the name in a `NAME` chunk of 8SVX."""
    big_endian = header[:4] in (b"FORM", b"RIFX")

    def read(offset: int, size: int) -> bytes:
        return header[offset : offset + size]

    fields = []
    for chunk in walk_chunks(read, FORM_BYTES, len(header), big_endian):
        if chunk.id == b"PEAK" and chunk.size >= 8:
            fields.append((chunk.offset + 4, bytes(4)))
        elif chunk.id == b"NAME" and chunk.is_complete:
            fields.append((chunk.offset, bytes(chunk.size)))
    return fields


def _find_padded_lengths(header: bytes, info: AudioInfo) -> list[tuple[int, bytes]]:
    """Return the length and the size of the samples in an AIFF file if they count the padding.

    libsndfile adds the byte of padding after an odd number of bytes to the size of the `SSND`
    chunk, and counts it as a sample in the `COMM` chunk.
    """
    octets = info.samples * info.channels * find_subtype(info.subtype).width_bytes
    comm, ssnd = header.find(b"COMM"), header.find(b"SSND")
    if comm < 0 or ssnd < 0 or octets % 2 == 0:
        return []
    return [
        (comm + HEADER_BYTES + 2, struct.pack(">I", info.samples)),
        (ssnd + 4, struct.pack(">I", SSND_HEADER_BYTES + octets)),
    ]


def _find_mat5_date(header: bytes) -> list[tuple[int, bytes]]:
    """Return the date in the description of a MATLAB 5 file, and a fixed date instead."""
    date = re.search(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", header[:MAT5_TEXT_BYTES])
    return [(date.start(), b"1970-01-01 00:00:00")] if date else []


def _find_mpc2k_name(header: bytes) -> list[tuple[int, bytes]]:
    """Return the name of the sample in an Akai MPC 2000 file."""
    return [(2, b" " * 17)] if len(header) > 2 + 17 else []


_FIELD_FINDERS: dict[str, Callable[[bytes], list[tuple[int, bytes]]]] = {
    "AIFF": _find_chunk_fields,
    "SVX": _find_chunk_fields,
    "WAV": _find_chunk_fields,
    "WAVEX": _find_chunk_fields,
    "MAT5": _find_mat5_date,
    "MPC2K": _find_mpc2k_name,
}
"""Functions that return the offset of each field, and the content that clears it."""

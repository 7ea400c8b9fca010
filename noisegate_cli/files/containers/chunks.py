"""Walk the chunks of RIFF data, in a file, in memory or in a stream.

A chunk has a four-letter ID, a four-byte size, and content that is padded to an even length.
A RIFF file is itself a chunk: its content is a form type, such as `WAVE`, and further chunks. RF64,
the variant for files over 4 GiB, stores 64-bit sizes in the chunk `ds64` (EBU Tech 3306).
"""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

UNKNOWN_SIZE = 0xFFFFFFFF
"""Value of a 32-bit size that is unknown or too large."""

MAX_CHUNKS = 1000
"""Maximum number of chunks to walk; data with more is damaged or malicious."""

HEADER_BYTES = 8
FORM_BYTES = 12
"""Size of the header of a RIFF file: ID, size and form type."""

ReadBytes = Callable[[int, int], bytes]
"""Function that returns the bytes at an offset, of a given size; fewer at the end of the data."""


class Chunk(NamedTuple):
    """ID, position and size of a chunk."""

    id: bytes
    offset: int
    """Offset of the content in bytes."""
    size: int
    """Bytes of content in the data; less than `declared_size` if the data is truncated."""
    declared_size: int

    @property
    def is_complete(self) -> bool:
        """Whether the data holds the whole content."""
        return self.size == self.declared_size


def make_reader(file: BinaryIO) -> ReadBytes:
    """Return a function that reads an open file; beyond its end there are no bytes."""
    end = file.seek(0, os.SEEK_END)

    def read(offset: int, size: int) -> bytes:
        file.seek(min(offset, end))  # A damaged size can be larger than any offset.
        return file.read(size)

    return read


def walk_chunks(read: ReadBytes, start: int, end: int, big_endian: bool = False) -> Iterator[Chunk]:
    """Yield the chunks between two offsets, up to the first that is invalid.

    The size of a `data` chunk may be unlimited or in an earlier `ds64` chunk. Some programs do not
    pad chunks of odd size; the next chunk is found nevertheless. The work for a chunk does not
    depend on its size, and there are at most `MAX_CHUNKS` chunks.

    Parameters
    ----------
    read
        Function that returns the bytes at an offset. It is called with increasing offsets, except
        that the last few bytes may be read again.
    start
        Offset of the first chunk.
    end
        Offset of the end of the data.
    big_endian
        Whether the most significant byte of a size comes first.

    Examples
    --------
    >>> data = build_chunk(b"abcd", b"xyz") + build_chunk(b"data", b"12")
    >>> for chunk in walk_chunks(lambda at, size: data[at : at + size], 0, len(data)):
    ...     print(chunk.id, data[chunk.offset : chunk.offset + chunk.size])
    b'abcd' b'xyz'
    b'data' b'12'
    """
    offset, data_size = start, None
    for _ in range(MAX_CHUNKS):
        chunk = _read_header(read, offset, end, big_endian)
        if chunk is None:
            return
        if chunk.id == b"data" and chunk.declared_size == UNKNOWN_SIZE and data_size:
            chunk = _chunk(chunk.id, chunk.offset, data_size, end)
        elif chunk.id == b"ds64" and chunk.size >= 16:
            data_size = int.from_bytes(read(chunk.offset + 8, 8), "little")
        yield chunk
        offset = next_offset(read, chunk, end, big_endian)


def is_riff_complete(path: Path) -> bool:
    """Return whether a file holds all bytes that its RIFF chunks declare; there can be several."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        return all(chunk.is_complete for chunk in walk_chunks(make_reader(file), 0, end))


def next_offset(read: ReadBytes, chunk: Chunk, end: int, big_endian: bool = False) -> int:
    """Return the offset after a chunk and its padding; see `walk_chunks` for the parameters."""
    offset = chunk.offset + chunk.declared_size
    # Padding is zero, with which no ID can begin.
    if chunk.declared_size % 2 == 0 or offset >= end or not any(read(offset, 1)):
        return offset + chunk.declared_size % 2
    padded = _leads_to_chunk(read, offset + 1, end, big_endian)
    return offset if not padded and _leads_to_chunk(read, offset, end, big_endian) else offset + 1


def _leads_to_chunk(read: ReadBytes, offset: int, end: int, big_endian: bool) -> bool:
    """Return whether a whole chunk begins at `at` that another chunk, or nothing, follows."""
    chunk = _read_header(read, offset, end, big_endian)
    if chunk is None:
        return False
    next_start = chunk.offset + chunk.declared_size
    return (
        chunk.id == b"data"
        or end <= next_start + chunk.declared_size % 2 <= end + 1
        or (next_start < end and any(_is_id(read(next_start + gap, 4)) for gap in (0, 1)))
    )


def _read_header(read: ReadBytes, offset: int, end: int, big_endian: bool) -> Chunk | None:
    header = read(offset, HEADER_BYTES) if offset + HEADER_BYTES <= end else b""
    if len(header) < HEADER_BYTES or not _is_id(header[:4]):
        return None
    size = int.from_bytes(header[4:], "big" if big_endian else "little")
    return _chunk(header[:4], offset + HEADER_BYTES, size, end)


def _chunk(name: bytes, offset: int, declared_size: int, end: int) -> Chunk:
    return Chunk(name, offset, min(declared_size, end - offset), declared_size)


def _is_id(name: bytes) -> bool:
    return len(name) == 4 and name.isascii() and name.decode("ascii").isprintable()


def build_chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    """Return the bytes of a chunk: ID, size, content and padding."""
    return struct.pack(order + "4sI", name, len(content)) + content + bytes(len(content) % 2)

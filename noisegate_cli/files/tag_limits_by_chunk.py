"""Count the tags in AIFF, AVI and ASF files, whose headers consist of chunks or objects."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from noisegate_cli.files.chunks import FORM_BYTES, HEADER_BYTES, Chunk, walk_chunks

MAX_TAG_BYTES = 1 << 26
"""Maximum size of the tags in a chunk."""

MAX_OBJECTS = 10_000
"""Maximum number of objects in the header of an ASF file that are visited."""

ASF_MAGIC = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")
ASF_COUNTED = (
    bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850"),
    bytes.fromhex("eacbf8c5af5b77488467aa8c44fa4cca"),
    bytes.fromhex("941c23449894d149a1411d134e457054"),
)
"""IDs of the objects that begin with a number of tags: Extended Content Description, Metadata, and
Metadata Library (Advanced Systems Format specification, 3.11, 4.7 and 4.8)."""

ASF_OBJECT_HEADER_BYTES, ASF_HEADER_BYTES, ASF_EXTENSION_HEADER_BYTES = 24, 30, 46


def read_id3_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the ID3 tags of an AIFF file; at most one byte more than `MAX_TAG_BYTES` of each."""
    for chunk in _walk_file(file, big_endian=True):
        if chunk.id in (b"ID3 ", b"ID3\0"):
            file.seek(chunk.offset)
            yield file.read(min(chunk.size, MAX_TAG_BYTES + 1))


def count_avi_tags(file: BinaryIO) -> float:
    """Return the number of tags in the lists before the samples; infinite if one is too large."""
    total = 0
    for chunk in _walk_file(file):
        file.seek(chunk.offset)
        kind = file.read(4)
        if kind == b"movi":
            break
        if chunk.id == b"LIST" and kind == b"INFO":
            if chunk.size > MAX_TAG_BYTES:
                return float("inf")
            total += _count_chunks(file.read(chunk.size - 4))
    return total


def _walk_file(file: BinaryIO, big_endian: bool = False) -> Iterator[Chunk]:
    end = file.seek(0, 2)

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    return walk_chunks(read, FORM_BYTES, end, big_endian)


def _count_chunks(content: bytes) -> int:
    """Return the number of chunks in a list, however many there are."""
    position = count = 0
    while position + HEADER_BYTES <= len(content):
        (size,) = struct.unpack_from("<I", content, position + 4)
        position += HEADER_BYTES + size + size % 2
        count += 1
    return count


def count_asf_tags(file: BinaryIO) -> float:
    """Return the number of tags in the header of an ASF file; infinite if it is too large."""
    file.seek(0)
    start = file.read(ASF_HEADER_BYTES)
    (size,) = struct.unpack_from("<Q", start.ljust(ASF_HEADER_BYTES, b"\0"), len(ASF_MAGIC))
    file_size = file.seek(0, 2)
    if MAX_TAG_BYTES < size <= file_size:
        return float("inf")
    file.seek(0)
    return _count_asf_objects(file.read(min(size, MAX_TAG_BYTES)), ASF_HEADER_BYTES)


def _count_asf_objects(header: bytes, position: int) -> int:
    total = 0
    for _ in range(MAX_OBJECTS):
        if position + ASF_OBJECT_HEADER_BYTES > len(header):
            break
        (size,) = struct.unpack_from("<Q", header, position + len(ASF_MAGIC))
        kind = header[position : position + len(ASF_MAGIC)]
        if kind in ASF_COUNTED:
            content = position + ASF_OBJECT_HEADER_BYTES
            total += int.from_bytes(header[content : content + 2], "little")
        # The objects of an extension follow its header.
        is_extension = kind == ASF_EXTENSION
        position += ASF_EXTENSION_HEADER_BYTES if is_extension else max(size, 1)
    return total

"""Count the tags in AIFF, AVI, WAV and ASF files, whose headers consist of chunks or objects."""

import math
import os
import struct
from collections.abc import Sequence
from typing import BinaryIO

from noisegate_cli.files.containers.chunks import (
    FORM_BYTES,
    HEADER_BYTES,
    MAX_CHUNKS,
    Chunk,
    make_reader,
    walk_chunks,
)
from noisegate_cli.files.tags.id3_limits import MAX_ID3_BYTES, count_id3_frames

MAX_TAG_BYTES = 1 << 26
"""Maximum size of the tags in a chunk."""

ID3_CHUNKS = (b"ID3 ", b"id3 ", b"ID3\0")

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


def count_aiff_tags(file: BinaryIO) -> float:
    """Return the number of tags in an AIFF file; infinite if one is too large."""
    return _count_id3_chunks(file, _walk_file(file, big_endian=True))


def count_riff_tags(file: BinaryIO) -> float:
    """Return the number of tags in an AVI or WAV file; infinite if one is too large."""
    file.seek(0)
    chunks = _walk_file(file, big_endian=file.read(4) == b"RIFX")
    total = 0.0
    others = []
    for chunk in chunks:
        file.seek(chunk.offset)
        kind = file.read(4)
        if kind == b"movi":
            break
        if chunk.id == b"LIST" and kind == b"INFO":
            if chunk.size > MAX_TAG_BYTES:
                return math.inf
            total += _count_chunks(file.read(chunk.size - 4))
        else:
            others.append(chunk)
    return total + _count_id3_chunks(file, others)


def _count_id3_chunks(file: BinaryIO, chunks: Sequence[Chunk]) -> float:
    total = 0.0
    for chunk in chunks:
        if chunk.id in ID3_CHUNKS:
            if chunk.size > MAX_ID3_BYTES:
                return math.inf
            file.seek(chunk.offset)
            total += count_id3_frames(file.read(chunk.size))
    # Libraries also read tags in the chunks that are not visited.
    return math.inf if len(chunks) >= MAX_CHUNKS else total


def _walk_file(file: BinaryIO, big_endian: bool = False) -> list[Chunk]:
    return list(walk_chunks(make_reader(file), FORM_BYTES, file.seek(0, os.SEEK_END), big_endian))


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
        return math.inf
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

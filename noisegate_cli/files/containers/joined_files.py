"""Find the recordings in a file that consists of several files joined end to end, as with `cat`.

Most containers declare their size, or the sizes of their parts, so that the next file is found
without reading the samples. The others are searched for its first bytes. `mpeg` and `ogg` find the
parts of formats that consist of frames or pages.
"""

import io
import math
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from noisegate_cli.files.containers.chunks import ReadBytes, make_reader
from noisegate_cli.files.containers.riff import MIN_STREAMED_SIZE_BYTES, find_file_end
from noisegate_cli.files.containers.trailing_tags import find_audio_end
from noisegate_cli.files.containers.voc import VOC_MAGIC, walk_blocks
from noisegate_cli.files.file_parts import FilePart

MAX_PARTS, MAX_ELEMENTS = 10_000, 1_000_000
"""Limits for malicious files; all bytes after the last part that is found belong to this part."""

HEAD_BYTES = 64
"""Bytes at the beginning of a file that are compared with the patterns of the containers."""

SCAN_BYTES = 1 << 18
"""Bytes that are searched at once."""

ASF_HEADER_GUID = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
W64_RIFF_GUID = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")

AU_START = rb"\.snd[\0-\xff]{4}[\0-\xff]{4}\0\0\0[\x01-\x1b]\0[\0-\xff]{3}\0\0[\0-\x04][\0-\xff]"
"""Magic, offset, size, encoding, rate below 16 MHz, and up to 1279 channels."""

FindEnd = Callable[[ReadBytes, int, int], int | None]
"""Function that returns where the file that begins at an offset ends, in data of a given length.

None means that the file does not declare its end."""


class _Container(NamedTuple):
    demuxer: str
    """FFmpeg's name of the format; empty if only libsndfile reads it."""
    start_re: re.Pattern[bytes]
    """Pattern of the first bytes."""
    find_end: FindEnd | None = None
    """How to find the end; None if the next file must be searched for."""
    find_min_end: Callable[[ReadBytes, int], int] | None = None
    """How to find an offset before which the file cannot end, so that the search begins there."""
    ends_with_file: bool = False
    """Whether libsndfile treats all bytes up to the end of the file as samples."""


def find_joined_parts(path: Path) -> list[FilePart]:
    """Return the parts of a file that consists of several joined files; an empty list for others.

    A file whose samples seem to go on in tags at its end has one part, without the tags.
    """
    with path.open("rb", buffering=0) as file:
        length = file.seek(0, os.SEEK_END)
        read = make_reader(file)
        head = read(0, HEAD_BYTES)
        container = next((kind for kind in CONTAINERS if kind.start_re.match(head)), None)
        if container is None:
            return []
        starts = [0]
        while len(starts) < MAX_PARTS:
            start = _find_next_start(file, container, starts[-1], length)
            if start is None:
                break
            starts.append(start)
        last_end = length
        if container.ends_with_file and container.find_end:
            tags_start = find_audio_end(file, length)
            if tags_start == container.find_end(read, starts[-1], length):
                last_end = tags_start
    if len(starts) < 2 and last_end == length:
        return []
    ends = [*starts[1:], last_end]
    parts = zip(starts, ends, strict=True)
    return [FilePart(start, end, container.demuxer, end) for start, end in parts]


def _find_next_start(file: io.FileIO, container: _Container, start: int, length: int) -> int | None:
    """Return where the file after the one at `start` begins; None if it is the last one."""
    read = make_reader(file)
    end = container.find_end(read, start, length) if container.find_end else None
    if end is None:
        first = container.find_min_end(read, start) if container.find_min_end else start + 1
        return _scan(file, first, container.start_re)
    for padding in (0, 1):
        position = _skip_tags(read, end + padding)
        if container.start_re.match(read(position, HEAD_BYTES)):
            return position
    return None


def _scan(file: io.FileIO, start: int, start_re: re.Pattern[bytes]) -> int | None:
    """Return the first offset from `start` on at which a pattern matches."""
    # A new array for each block takes longer than the search.
    buffer = bytearray(SCAN_BYTES + HEAD_BYTES)
    offset, filled = start, 0
    file.seek(start)
    while read := file.readinto(memoryview(buffer)[filled:]):
        filled += read
        match = start_re.search(buffer, 0, filled)
        if match:
            return offset + match.start()
        kept = min(HEAD_BYTES, filled)
        buffer[:kept] = buffer[filled - kept : filled]
        offset, filled = offset + filled - kept, kept
    return None


def _skip_tags(read: ReadBytes, position: int) -> int:
    """Return the position after APE and ID3v1 tags, which can follow WavPack and TTA frames."""
    header = read(position, 32)
    if header.startswith(b"APETAGEX") and len(header) == 32:
        position += 32 + int.from_bytes(header[12:16], "little")
        header = read(position, 3)
    return position + 128 if header.startswith(b"TAG") else position


def _find_iff_end(read: ReadBytes, start: int, _length: int) -> int | None:
    size = int.from_bytes(read(start + 4, 4), "big")
    return None if size >= MIN_STREAMED_SIZE_BYTES or not size else start + 8 + size


def _find_au_end(read: ReadBytes, start: int, _length: int) -> int | None:
    data_offset, size = struct.unpack(">II", read(start + 4, 8))
    return None if size >= MIN_STREAMED_SIZE_BYTES else start + data_offset + size


def _find_caf_end(read: ReadBytes, start: int, _length: int) -> int | None:
    """Walk the chunks (Apple Core Audio Format Specification, `CAFChunkHeader`)."""
    position = start + 8
    for _ in range(MAX_ELEMENTS):
        header = read(position, 12)
        if len(header) < 12 or not header[:4].isalnum() or header[:4] == b"caff":
            break
        size = int.from_bytes(header[4:], "big", signed=True)
        if size < 0:  # samples up to the end
            return None
        position += 12 + size
    return position


def _find_w64_end(read: ReadBytes, start: int, _length: int) -> int | None:
    size = int.from_bytes(read(start + 16, 8), "little")
    return start + (size + 7) // 8 * 8


def _find_voc_end(read: ReadBytes, start: int, _length: int) -> int | None:
    ends = [block.end for block in walk_blocks(read, start)]
    return ends[-1] if ends else None


def _find_nist_end(read: ReadBytes, start: int, _length: int) -> int | None:
    """Compute the size from the fields of the header (NIST SPHERE)."""
    header = read(start, 1024)
    sizes = [
        re.search(rb"\n%b -i (\d{1,18})\s" % name, header)
        for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    ]
    data_offset = re.match(rb"NIST_1A\n +(\d{1,9})\n", header)
    if data_offset is None or any(size is None for size in sizes):
        return None
    size = math.prod(int(match[1]) for match in sizes if match)
    return start + int(data_offset[1]) + size


def _find_flac_min_end(read: ReadBytes, start: int) -> int:
    """Return where frames of the smallest declared size would end (RFC 9639, 8.2)."""
    info = read(start + 8, 18)
    max_block, min_bytes = int.from_bytes(info[2:4], "big"), int.from_bytes(info[4:7], "big")
    samples = int.from_bytes(info[13:18], "big") & 0xFFFFFFFFF
    return start + 1 + (samples // max_block * min_bytes if max_block else 0)


def _find_tta_end(read: ReadBytes, start: int, _length: int) -> int | None:
    """Add up the sizes of the frames in the seek table (TTA1 header, 22 bytes)."""
    header = read(start, 22)
    if len(header) < 22:
        return None
    rate, samples = struct.unpack_from("<II", header, 10)
    frame_samples = 256 * rate // 245
    frames = -(-samples // frame_samples) if frame_samples else 0
    if frames > MAX_ELEMENTS:
        return None
    table = read(start + 22, 4 * frames)
    sizes: tuple[int, ...] = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    return start + 22 + 4 * frames + 4 + sum(sizes)


def _find_wavpack_end(read: ReadBytes, start: int, _length: int) -> int | None:
    """Walk the blocks up to one that holds the first sample again (WavPack 4 file format)."""
    position, is_begun = start, False
    for _ in range(MAX_ELEMENTS):
        header = read(position, 32)
        if len(header) < 32 or header[:4] != b"wvpk":
            break
        size, _, high, _, _, index, samples, flags = struct.unpack_from("<IHBBIIII", header, 4)
        is_first = samples and not index and not high and flags & 0x800
        if is_first and is_begun:
            break
        is_begun = is_begun or bool(samples)
        position += 8 + size
    return position


def _find_mp4_end(read: ReadBytes, start: int, length: int) -> int | None:
    """Walk the boxes up to another one of the type `ftyp` (ISO/IEC 14496-12, 4.2)."""
    position = start
    for _ in range(MAX_ELEMENTS):
        header = read(position, 16)
        if len(header) < 8 or (position > start and header[4:8] == b"ftyp"):
            break
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:], "big")
        if size < 8:  # to the end, or invalid
            return length
        position += size
    return position


def find_matroska_end(read: ReadBytes, start: int, length: int) -> int | None:
    """Return the end of the header and the segment that follow each other at `start`.

    See RFC 8794, 4 and 5; a live segment has no size.
    """
    position = start
    for _ in range(2):
        octets = read(position + 4, 8)
        if not octets or not octets[0]:
            return length
        width = 9 - octets[0].bit_length()
        mask = (1 << 7 * width) - 1
        size = int.from_bytes(octets[:width], "big") & mask
        if size == mask:
            return None
        position += 4 + width + size
    return position


def _find_asf_end(read: ReadBytes, start: int, length: int) -> int | None:
    """Walk the objects up to another header (Advanced Systems Format, 2.1)."""
    position = start
    for _ in range(MAX_ELEMENTS):
        header = read(position, 24)
        if len(header) < 24 or (position > start and header[:16] == ASF_HEADER_GUID):
            break
        size = int.from_bytes(header[16:], "little")
        if size < 24:
            return length
        position += size
    return position


def _find_dsf_end(read: ReadBytes, start: int, _length: int) -> int | None:
    return start + int.from_bytes(read(start + 12, 8), "little")


CONTAINERS = (
    _Container("wav", re.compile(rb"(?:RIFF|RIFX|RF64).{4}WAVE", re.DOTALL), find_file_end),
    _Container("", re.compile(rb"FORM.{4}(?:AIFF|AIFC|8SVX|16SV)", re.DOTALL), _find_iff_end),
    _Container("", re.compile(AU_START), _find_au_end),
    _Container("caf", re.compile(rb"caff\0\x01\0\0desc"), _find_caf_end),
    _Container("", re.compile(re.escape(W64_RIFF_GUID)), _find_w64_end, ends_with_file=True),
    _Container("voc", re.compile(re.escape(VOC_MAGIC)), _find_voc_end, ends_with_file=True),
    _Container("", re.compile(rb"NIST_1A\n"), _find_nist_end, ends_with_file=True),
    _Container("flac", re.compile(rb"fLaC[\0\x80]\0\0\x22"), find_min_end=_find_flac_min_end),
    _Container("tta", re.compile(rb"TTA1[\x01-\x03]\0"), _find_tta_end),
    _Container("wv", re.compile(rb"wvpk"), _find_wavpack_end),
    _Container("mov", re.compile(rb"\0\0..ftyp", re.DOTALL), _find_mp4_end),
    _Container(
        "matroska",
        re.compile(rb"\x1a\x45\xdf\xa3.{0,48}?\x42\x82.(?:webm|matroska)", re.DOTALL),
        find_matroska_end,
    ),
    _Container("asf", re.compile(re.escape(ASF_HEADER_GUID)), _find_asf_end),
    _Container("flv", re.compile(rb"FLV\x01[\0-\x05]\0\0\0\x09\0\0\0\0")),
    _Container("nut", re.compile(rb"nut/multimedia container\0")),
    _Container("rm", re.compile(rb"\.RMF\0\0\0[\x10-\x12]")),
    _Container("dsf", re.compile(rb"DSD \x1c\0{7}"), _find_dsf_end),
)
"""Containers whose end is known, or whose beginning is unmistakable."""

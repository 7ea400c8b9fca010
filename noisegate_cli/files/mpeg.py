"""Find the parts of an MP3 file, which can be several MP3 files joined end to end.

MPEG audio has no container. A file is a sequence of frames, and each frame begins with a header of
four bytes (ISO/IEC 11172-3, 2.4.1.3). Encoders add two things in front of the frames: an ID3v2 tag,
and a frame of silence that holds a length header (Xing, Info or VBRI). The length header declares
the number of frames and the samples of silence that the encoder added. FFmpeg reads it only at the
beginning of a file, so each joined file is a part of its own.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from noisegate_cli.files.file_parts import FilePart
from noisegate_cli.files.formats import FORMATS, find_format_by_magic
from noisegate_cli.files.trailing_tags import find_audio_end

MARKERS = (b"ID3", b"Info", b"Xing", b"VBRI")
"""Bytes that identify an ID3v2 tag or a length header."""

SCAN_BYTES = 1 << 20

MAX_MARKERS, MAX_PARTS = 100_000, 10_000
"""Limits for malicious files; all bytes after the last part that is found belong to this part."""

ID3_HEADER_BYTES = 10

MAX_CONSECUTIVE_TAGS = 8
"""Some programs add a tag in front of a tag."""

MAX_JUNK_BYTES = 4096
"""Maximum number of bytes between an ID3v2 tag and the first frame."""


def is_mpeg_audio(path: Path, magic: bytes) -> bool:
    """Return whether MPEG audio is expected in a file that begins with the four bytes `magic`."""
    has_tag = magic.startswith(b"ID3")
    if has_tag:
        with path.open("rb") as file:
            magic = _read_at(file, _find_id3_end(file, 0) or 0, 4)
    if find_format_by_magic(magic):
        return False
    return has_tag or path.suffix.lower() in FORMATS["MP3"].extensions or _is_frame_header(magic)


def is_free_format(path: Path) -> bool:
    """Return whether the first frame of an MP3 file does not declare its bit rate.

    The distance of the frames is constant in such a file. FFmpeg does not decode it.
    """
    with path.open("rb") as file:
        header = _read_at(file, _find_id3_end(file, 0) or 0, 4)
    return _is_frame_header(header) and not header[2] & 0xF0


def find_parts(path: Path) -> list[FilePart]:
    """Return the parts of the MP3 file at `path`; a file that is not joined has one part."""
    with path.open("rb") as file:
        size = find_audio_end(file, file.seek(0, 2))
        parts = [FilePart(0, size, "mp3")]
        audio_start = 0  # first byte that can belong to a frame of the last part
        for position, marker in islice(_find_markers(file), MAX_MARKERS):
            if len(parts) >= MAX_PARTS or position >= size:
                break
            if position < audio_start:  # text or a picture in the ID3 tag
                continue
            if marker == b"ID3":
                end = _find_id3_end(file, position)
                if position and end == size:  # a tag after the frames
                    size = find_audio_end(file, position)
                    break
                if end and (not position or _is_frame_header(_read_at(file, end, 4))):
                    if parts[-1].declared_end is None and not _is_audio(
                        file, audio_start, position
                    ):
                        parts.pop()
                    parts.append(FilePart(position, size, "mp3"))
                    audio_start = end
                continue
            frame = _find_length_header(file, position, marker)
            if frame is None:
                continue
            if parts[-1].declared_end is not None or _is_audio(file, audio_start, frame):
                parts.append(FilePart(frame, size, "mp3"))
            declared_end = frame + _read_declared_bytes(file, position, marker)
            # FFmpeg expects the length header right after the tag.
            start = parts[-1].start if frame == audio_start else frame
            parts[-1] = parts[-1]._replace(start=start, declared_end=declared_end)
            audio_start = position
            if declared_end >= size:  # no other recording follows
                break
            if declared_end > frame and _is_frame_header(_read_at(file, declared_end, 4)):
                parts.append(FilePart(declared_end, size, "mp3"))
                audio_start = declared_end
    ends = [*(part.start for part in parts[1:]), size]
    return [
        part._replace(end=end) for part, end in zip(parts, ends, strict=True) if end > part.start
    ]


def _find_markers(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the positions of the markers in a file, in ascending order."""
    offset, overlap = 0, b""
    while True:
        block = _read_at(file, offset, SCAN_BYTES)
        if not block:
            return
        octets, base = overlap + block, offset - len(overlap)
        markers = []
        for marker in MARKERS:
            # A marker that ends in the overlap was found in the block before.
            position = octets.find(marker, max(0, len(overlap) - len(marker) + 1))
            while position >= 0:
                markers.append((base + position, marker))
                position = octets.find(marker, position + 1)
        yield from sorted(markers)
        offset, overlap = offset + len(block), octets[-3:]


def _is_audio(file: BinaryIO, start: int, end: int) -> bool:
    """Return whether a range of a file holds frames, and not only padding."""
    is_frame = start < end and _is_frame_header(_read_at(file, start, 4))
    return is_frame or end - start > MAX_JUNK_BYTES


def _find_id3_end(file: BinaryIO, position: int) -> int | None:
    """Return the position after the ID3v2 tags at `position`; None if there is no valid tag."""
    end = position
    for _ in range(MAX_CONSECUTIVE_TAGS):
        header = _read_at(file, end, ID3_HEADER_BYTES)
        if not header.startswith(b"ID3") or len(header) < ID3_HEADER_BYTES:
            break
        if header[3] not in (2, 3, 4) or max(header[6:]) > 0x7F:
            break
        size = 0
        for octet in header[6:]:
            size = size << 7 | octet
        has_footer = bool(header[5] & 0x10)
        end += size + ID3_HEADER_BYTES * (1 + has_footer)
    return end if end > position else None


def _find_length_header(file: BinaryIO, position: int, marker: bytes) -> int | None:
    """Return the position of the frame that holds a length header; None if there is none."""
    for side_info_bytes in (32,) if marker == b"VBRI" else (32, 17, 9):
        frame = position - 4 - side_info_bytes
        header = _read_at(file, frame, 4) if frame >= 0 else b""
        if _is_frame_header(header) and (
            marker == b"VBRI" or _side_info_bytes(header) == side_info_bytes
        ):
            return frame
    return None


def _read_declared_bytes(file: BinaryIO, position: int, marker: bytes) -> int:
    """Return the size in bytes that a length header declares for all frames; 0 if it doesn't."""
    header = _read_at(file, position, 16)
    if len(header) < 16:
        return 0
    if marker == b"VBRI":
        return int.from_bytes(header[10:14], "big")
    declares_frames_and_bytes = header[7] & 3 == 3
    return int.from_bytes(header[12:16], "big") if declares_frames_and_bytes else 0


def _is_frame_header(header: bytes) -> bool:
    """Return whether four bytes are the header of an MPEG audio frame."""
    return (
        len(header) == 4
        and header[0] == 0xFF
        and header[1] & 0xE0 == 0xE0
        and header[1] & 0x18 != 0x08  # reserved version
        and header[1] & 0x06 != 0x00  # reserved layer
        and header[2] & 0xF0 != 0xF0  # reserved bit rate
        and header[2] & 0x0C != 0x0C  # reserved sample rate
    )


def _side_info_bytes(header: bytes) -> int:
    """Return the size of the side information of a layer III frame."""
    is_mpeg_1, is_mono = header[1] & 0x18 == 0x18, header[3] & 0xC0 == 0xC0
    if is_mpeg_1:
        return 17 if is_mono else 32
    return 9 if is_mono else 17


def _read_at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)

"""Find the parts of an MP3 file, which can be several MP3 files joined end to end.

MPEG audio has no container. A file is a sequence of frames, and each frame begins with a header of
four bytes (ISO/IEC 11172-3, 2.4.1.3). Encoders add two things in front of the frames: an ID3v2 tag,
and a frame of silence that holds a length header (Xing, Info or VBRI). The length header declares
the number of frames and the samples of silence that the encoder added. FFmpeg reads it only at the
beginning of a file, so each joined file is a separate part.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from noisegate_cli.files.containers.trailing_tags import find_audio_end
from noisegate_cli.files.file_parts import FilePart
from noisegate_cli.files.formats import FORMATS, find_format_by_magic

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

    The distance between the frames is constant in such a file. FFmpeg does not decode it.
    """
    with path.open("rb") as file:
        header = _read_at(file, _find_id3_end(file, 0) or 0, 4)
    return _is_frame_header(header) and not header[2] & 0xF0


def find_parts(path: Path) -> list[FilePart]:
    """Return the parts of the MP3 file at `path`; a file that is not joined has one part."""
    with path.open("rb") as file:
        search = _PartSearch(file)
        for position, marker in islice(_find_markers(file), MAX_MARKERS):
            if search.is_complete or position >= search.end:
                break
            if position < search.audio_start:  # text or a picture in the ID3 tag
                continue
            if marker == b"ID3":
                search.note_tag(position)
            else:
                search.note_length_header(position, marker)
    return search.parts()


class _PartSearch:
    """The parts of an MP3 file up to a marker in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.end = find_audio_end(file, file.seek(0, 2))
        self.audio_start = 0
        """First byte that can belong to a frame of the last part."""
        self._parts = [FilePart(0, self.end, "mp3")]

    @property
    def is_complete(self) -> bool:
        """Whether no other part can follow."""
        return len(self._parts) >= MAX_PARTS or self.audio_start >= self.end

    def parts(self) -> list[FilePart]:
        """Return the parts, each up to the beginning of the next one."""
        ends = [*(part.start for part in self._parts[1:]), self.end]
        return [
            part._replace(end=end)
            for part, end in zip(self._parts, ends, strict=True)
            if end > part.start
        ]

    def note_tag(self, position: int) -> None:
        """Begin a part at an ID3v2 tag, if frames follow it."""
        tag_end = _find_id3_end(self._file, position)
        if not tag_end:
            return
        if position and tag_end == self.end:  # a tag after the frames
            self.end = find_audio_end(self._file, position)
        elif not position or self._is_frame_at(tag_end):
            if self._parts[-1].declared_end is None and not self._holds_audio(position):
                self._parts.pop()
            self._begin_part(position, tag_end)

    def note_length_header(self, position: int, marker: bytes) -> None:
        """Take the length of the last part from a length header, or begin a part with it."""
        frame = _find_length_header(self._file, position, marker)
        if frame is None:
            return
        is_after_tag = frame == self.audio_start
        if self._parts[-1].declared_end is not None or self._holds_audio(frame):
            self._begin_part(frame, position)
        declared_end = frame + _read_declared_bytes(self._file, position, marker)
        # FFmpeg expects the length header right after the tag.
        start = self._parts[-1].start if is_after_tag else frame
        self._parts[-1] = self._parts[-1]._replace(start=start, declared_end=declared_end)
        self.audio_start = position
        if declared_end >= self.end:  # no other recording follows
            self.audio_start = self.end
        elif declared_end > frame and self._is_frame_at(declared_end):
            self._begin_part(declared_end, declared_end)

    def _begin_part(self, start: int, audio_start: int) -> None:
        self._parts.append(FilePart(start, self.end, "mp3"))
        self.audio_start = audio_start

    def _is_frame_at(self, position: int) -> bool:
        return _is_frame_header(_read_at(self._file, position, 4))

    def _holds_audio(self, end: int) -> bool:
        """Return whether the last part holds frames before `end`, and not only padding."""
        is_frame = self.audio_start < end and self._is_frame_at(self.audio_start)
        return is_frame or end - self.audio_start > MAX_JUNK_BYTES


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
    """Return the size in bytes that a length header declares for all frames; 0 if it does not."""
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

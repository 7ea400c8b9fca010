"""Read and append chunks of WAV files, most of which libsndfile and PyAV discard.

See EBU Tech 3285 and 3306, and Microsoft's Multiple Channel Audio Data and WAVE Files.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

from noisegate_cli.files.containers.chunks import (
    FORM_BYTES,
    HEADER_BYTES,
    UNKNOWN_SIZE,
    Chunk,
    ReadBytes,
    build_chunk,
    make_reader,
    walk_chunks,
)

RIFF_IDS = (b"RIFF", b"RIFX", b"RF64")
"""IDs with which WAV files begin; RIFX is big-endian."""

MIN_STREAMED_SIZE_BYTES = 0x7FFF0000
"""Programs that write to a pipe declare at least this size, because they do not know it yet."""

SCAN_BYTES = 1 << 20

SAMPLE_CHUNK_IDS = {b"fmt ", b"data", b"fact", b"PEAK", b"levl", b"ds64", b"MD5 "}
"""Chunks that depend on the samples or on their encoding, so that they are not copied."""

FILLER_CHUNK_IDS = {b"JUNK", b"junk", b"PAD ", b"FLLR"}

MAX_METADATA_BYTES = 1 << 26
"""Maximum total size of the metadata chunks that are copied to the output."""

WAVE_FORMAT_PCM, FLOAT, WAVE_FORMAT_MPEGLAYER3, WAVE_FORMAT_EXTENSIBLE = 1, 3, 0x55, 0xFFFE

KNOWN_FORMAT_TAGS = {
    *(1, 2, 3, 6, 7),
    *(0x11, 0x14, 0x20, 0x22, 0x31, 0x32, 0x40, 0x42, 0x45, 0x61, 0x62, 0x64, 0x69),
    *(0x50, 0x55, 0x92, 0xFF, 0x161, 0x162, 0x163, 0x270, 0x28F, 0x2000, 0x2001, 0x5346, 0xF1AC),
}
"""Format tags that occur in WAV files, such as PCM, A-law, ADPCM, GSM, MPEG, AC-3 and FLAC."""

WRITABLE_FORMAT_TAGS = {
    "PCM_U8": WAVE_FORMAT_PCM,
    "PCM_16": WAVE_FORMAT_PCM,
    "PCM_24": WAVE_FORMAT_PCM,
    "PCM_32": WAVE_FORMAT_PCM,
    "FLOAT": FLOAT,
    "DOUBLE": FLOAT,
}
"""Subtypes that `WavEncoder` writes, and their format tags."""

SUBFORMAT_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""Bytes after the format tag in a subformat GUID."""

AMBISONIC_GUID_TAIL = bytes.fromhex("00002107d3118644c8c1ca000000")
"""Bytes after the format tag in the subformat GUID of ambisonic B-format."""

MAX_FMT_BYTES = 40
"""Size of the longest `fmt ` chunk, as far as `WavFormat` parses it."""


class WavFormat(NamedTuple):
    """Content of a `fmt ` chunk."""

    tag: int
    """Format tag of the samples; 0 if it is invalid."""
    channels: int
    sample_rate: int
    """Sample rate in Hz."""
    block_align: int
    """Bytes of one sample of all channels."""
    bits: int
    """Bits of a sample in the file."""
    valid_bits: int = 0
    """Bits of a sample that are used; 0 if the chunk does not declare them."""
    channel_mask: int = 0
    is_ambisonic: bool = False
    """Whether the channels are in ambisonic B-format."""

    @classmethod
    def parse(cls, content: bytes, big_endian: bool = False) -> "WavFormat | None":
        """Parse the content of a `fmt ` chunk; return None if it is too short."""
        if len(content) < 16:
            return None
        order = ">" if big_endian else "<"
        tag, channels, rate, align, bits = struct.unpack_from(order + "HHI4xHH", content)
        basic = cls(tag, channels, rate, align, bits)
        if tag != WAVE_FORMAT_EXTENSIBLE or len(content) < 40:
            return basic
        valid_bits, mask, tag = struct.unpack_from(order + "HIH", content, 18)
        tail = content[26:40]
        is_ambisonic = tail == AMBISONIC_GUID_TAIL
        is_known = is_ambisonic or tail == SUBFORMAT_GUID_TAIL or big_endian
        return basic._replace(
            tag=tag if is_known else 0,
            valid_bits=valid_bits if valid_bits <= bits else 0,
            channel_mask=mask,
            is_ambisonic=is_ambisonic,
        )


class MetadataChunks(NamedTuple):
    """The chunks of a WAV file that can be copied to another WAV file unchanged."""

    path: Path
    before: tuple[Chunk, ...] = ()
    """Chunks before the samples."""
    after: tuple[Chunk, ...] = ()
    big: bool = False

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    def with_odd_sizes_last(self) -> "MetadataChunks":
        """Return a copy with the chunks of odd size after the samples.

        libsndfile misreads RF64 files that have chunks of odd size before the samples.
        """
        even = tuple(chunk for chunk in self.before if chunk.size % 2 == 0)
        odd = tuple(chunk for chunk in self.before if chunk.size % 2)
        return self._replace(before=even, after=odd + self.after)

    def serialize(self) -> tuple[bytes, bytes]:
        """Return the bytes of the chunks before and after the samples."""
        order = ">" if self.big else "<"
        before, after = (
            b"".join(build_chunk(chunk.id, self.read(chunk), order) for chunk in chunks)
            for chunks in (self.before, self.after)
        )
        return before, after

    def read(self, chunk: Chunk) -> bytes:
        """Return the content of a chunk."""
        with self.path.open("rb") as file:
            file.seek(chunk.offset)
            return file.read(chunk.size)


NO_FORMAT = WavFormat(0, 0, 0, 0, 0)


class WavLayout(NamedTuple):
    """Chunks of a WAV file, and the properties that they declare."""

    chunks: tuple[Chunk, ...]
    metadata_chunks: MetadataChunks
    fmt: WavFormat
    data: Chunk | None
    has_undeclared_audio: bool
    """Whether audio follows a header that declares none, as after a recorder was interrupted."""
    extra_duration: float
    """Seconds of samples in further `data` chunks."""
    is_joined: bool
    """Whether another WAV file follows."""

    @property
    def needs_ffmpeg(self) -> bool:
        """Whether FFmpeg finds the end of the samples and libsndfile does not.

        libsndfile estimates the length of MP3 in WAV from the bit rate of the first frame.
        """
        return self.has_undeclared_audio or self.fmt.tag == WAVE_FORMAT_MPEGLAYER3

    @property
    def is_valid(self) -> bool:
        """Whether there are samples of a known format and all other chunks are complete."""
        other_chunks = (c for c in self.chunks if c.id != b"data")
        are_complete = all(c.is_complete for c in other_chunks)
        return self.data is not None and are_complete and self.fmt.tag in KNOWN_FORMAT_TAGS


def read_layout(path: Path) -> WavLayout | None:
    """Return the layout of a WAV file, the first one if several are joined; None for others."""
    with path.open("rb") as file:
        read = make_reader(file)
        length = file.seek(0, os.SEEK_END)
        first = _read_file(read, 0, length)
        if first is None or not first.chunks:
            return None
        fmt = _read_format(read, first)
    durations = [_compute_duration(fmt, chunk) for chunk in first.chunks if chunk.id == b"data"]
    data = next((c for c in first.chunks if c.id == b"data"), None)
    return WavLayout(
        chunks=first.chunks,
        metadata_chunks=_select_metadata(path, first),
        fmt=fmt,
        data=data,
        has_undeclared_audio=data is not None and _is_empty_before_audio(data, first),
        extra_duration=sum(durations[1 if data else 0 :]),
        is_joined=first.end < length,
    )


def find_file_end(read: ReadBytes, start: int, length: int) -> int:
    """Return where the WAV file that begins at `start` ends, in data of a given length."""
    file = _read_file(read, start, length)
    return file.end if file else length


class _RiffFile(NamedTuple):
    """Chunks of one of several WAV files that follow each other, as after `cat a.wav b.wav`."""

    chunks: tuple[Chunk, ...]
    big_endian: bool
    end: int
    """Offset of the next file, or of the end of the last one."""


def _read_file(read: ReadBytes, start: int, length: int) -> _RiffFile | None:
    """Return the chunks of the WAV file that begins at `start`; None if it is another file."""
    header = read(start, FORM_BYTES)
    if header[:4] not in RIFF_IDS or header[8:] != b"WAVE":
        return None
    big_endian, end = header[:4] == b"RIFX", length
    chunks = []
    # The declared size of a file is often wrong, so it does not determine the end.
    for chunk in walk_chunks(read, start + FORM_BYTES, length, big_endian):
        if chunk.id in RIFF_IDS:
            end = chunk.offset - HEADER_BYTES
            break
        chunks.append(chunk)
        file = _RiffFile(tuple(chunks), big_endian, length)
        if chunk.id == b"data" and _is_streamed(chunk, file):
            end = _find_next_file(read, chunk.offset, min(chunk.offset + chunk.size, length))
            if end < chunk.offset + chunk.size:
                chunks[-1] = chunk._replace(size=end - chunk.offset)
                break
            end = length
    return _RiffFile(tuple(chunks), big_endian, end)


def _find_next_file(read: ReadBytes, start: int, end: int) -> int:
    """Return the offset of the next header of a WAV file; `end` if there is none."""
    for offset in range(start, end, SCAN_BYTES):
        block = read(offset, min(SCAN_BYTES + FORM_BYTES + 4, end - offset))
        at = block.find(b"WAVEfmt ")
        while at >= 0:
            if block[max(0, at - HEADER_BYTES) :][:4] in RIFF_IDS:
                return offset + at - HEADER_BYTES
            at = block.find(b"WAVEfmt ", at + 1)
    return end


def _is_streamed(data: Chunk, file: _RiffFile) -> bool:
    """Return whether the size of the samples is unknown, as in a file that was piped."""
    has_long_sizes = any(chunk.id == b"ds64" for chunk in file.chunks)
    return data.declared_size >= MIN_STREAMED_SIZE_BYTES and not has_long_sizes


def _read_format(read: ReadBytes, file: _RiffFile) -> WavFormat:
    """Return the content of the first `fmt ` chunk; zeros if there is none."""
    for chunk in file.chunks:
        if chunk.id == b"fmt ":
            content = read(chunk.offset, min(chunk.size, MAX_FMT_BYTES))
            return WavFormat.parse(content, file.big_endian) or NO_FORMAT
    return NO_FORMAT


def _select_metadata(path: Path, file: _RiffFile) -> MetadataChunks:
    """Return the complete chunks that do not depend on the samples, up to a total size."""
    before: list[Chunk] = []
    after: list[Chunk] = []
    target, total_bytes = before, 0
    for chunk in file.chunks:
        if chunk.id == b"data":
            target = after
        if chunk.id in SAMPLE_CHUNK_IDS | FILLER_CHUNK_IDS or not chunk.is_complete:
            continue
        total_bytes += chunk.size
        if total_bytes <= MAX_METADATA_BYTES:
            target.append(chunk)
    return MetadataChunks(path, tuple(before), tuple(after), file.big_endian)


def _is_empty_before_audio(data: Chunk, file: _RiffFile) -> bool:
    """Return whether a `data` chunk declares no samples, and bytes follow that are not chunks."""
    last = file.chunks[-1]
    end = last.offset + last.size + last.size % 2
    return data.declared_size == 0 and file.end - end >= HEADER_BYTES


def _compute_duration(fmt: WavFormat, data: Chunk) -> float:
    """Return the duration of uncompressed samples in seconds; 0 if `fmt` is invalid."""
    bytes_per_second = fmt.block_align * fmt.sample_rate
    return data.size / bytes_per_second if bytes_per_second else 0.0


def append_metadata_chunks(path: Path, metadata_chunks: MetadataChunks) -> None:
    """Append the metadata chunks of another WAV file to a complete WAV file."""
    append_raw_chunks(path, list(metadata_chunks.serialize()), metadata_chunks.big)


def append_raw_chunks(path: Path, chunks: list[bytes], big: bool = False) -> None:
    """Append complete chunks to a complete WAV file, and update its size.

    If chunks and file differ in their byte order, the function does nothing.
    """
    layout = read_layout(path)
    if layout is None or layout.metadata_chunks.big != big:
        return
    with path.open("r+b") as file:
        magic = file.read(4)
        end = file.seek(0, os.SEEK_END)
        file.write(bytes(end % 2) + b"".join(chunks))
        riff_size = file.tell() - 8
        if magic == b"RF64":
            sizes = next(c for c in layout.chunks if c.id == b"ds64")
            file.seek(sizes.offset)
            file.write(struct.pack("<Q", riff_size))
        elif riff_size < UNKNOWN_SIZE:
            file.seek(4)
            file.write(struct.pack(">I" if big else "<I", riff_size))

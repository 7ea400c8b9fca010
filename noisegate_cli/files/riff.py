"""Read and write the chunks of WAV files, most of which libsndfile and PyAV discard.

A WAV file consists of chunks: a four-letter ID, a four-byte size, and content padded to an even
length. RF64 is the variant for files over 4 GiB, with 64-bit sizes in the chunk `ds64`. See EBU
Tech 3285 and 3306, and Microsoft's Multiple Channel Audio Data and WAVE Files.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.pcm import SAMPLE_WIDTH_BYTES, encode_pcm
from noisegate_cli.samples import Samples

UNKNOWN_SIZE = 0xFFFFFFFF
"""Value of a 32-bit size that is unknown or too large."""

MIN_STREAMED_SIZE_BYTES = 0x7FFF0000
"""Programs that write to a pipe declare at least this size, because they don't know it yet."""

MAX_WAV_BYTES = 0xFFFFFFFF - 0x10000
"""Maximum size of a WAV file, with some margin; larger files are RF64."""

SAMPLE_CHUNK_IDS = {b"fmt ", b"data", b"fact", b"PEAK", b"levl", b"ds64", b"MD5 "}
"""Chunks that depend on the samples or on their encoding, so that they are not copied."""

FILLER_CHUNK_IDS = {b"JUNK", b"junk", b"PAD ", b"FLLR"}

MAX_CHUNKS = 1000
"""Maximum number of chunks to parse; a file with more is damaged or malicious."""

MAX_METADATA_BYTES = 1 << 26
"""Maximum total size of the metadata chunks that are copied to the output."""

WAVE_FORMAT_PCM, FLOAT, WAVE_FORMAT_EXTENSIBLE = 1, 3, 0xFFFE

KNOWN_FORMAT_TAGS = {
    1,
    2,
    3,
    6,
    7,
    0x11,
    0x31,
    0x45,
    0x50,
    0x55,
    0x92,
    0xFF,
    0x161,
    0x162,
    0x2000,
    0x2001,
}
"""Format tags that occur in WAV files, such as PCM, ADPCM, A-law, GSM, MPEG and AC-3."""

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


class Chunk(NamedTuple):
    """ID, position and size of a chunk in its file."""

    id: bytes
    offset: int
    """Offset of the content in bytes."""
    size: int
    """Bytes of content in the file; less than `declared_size` if the file is truncated."""
    declared_size: int
    big: bool = False
    """Whether the chunk is big-endian."""


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


class WavLayout(NamedTuple):
    """Chunks of a WAV file, and the properties that they declare."""

    chunks: tuple[Chunk, ...]
    metadata_chunks: MetadataChunks
    channel_mask: int
    format_tag: int
    """Format tag of the samples; 0 if it is invalid."""
    block_align: int
    """Bytes of one sample of all channels."""
    data: Chunk | None
    has_undeclared_audio: bool
    """Whether audio follows a header that declares none, as after a recorder was interrupted."""
    extra_data_bytes: int
    """Total size of further `data` chunks."""

    @property
    def is_valid(self) -> bool:
        """Whether there are samples of a known format and all other chunks are complete."""
        others = (c for c in self.chunks if c.id != b"data")
        whole = all(c.size == c.declared_size for c in others)
        return self.data is not None and whole and self.format_tag in KNOWN_FORMAT_TAGS


def read_layout(path: Path) -> WavLayout | None:
    """Return the layout of a WAV file; None for any other file."""
    with path.open("rb") as file:
        chunks = tuple(_parse_chunks(file))
        if not chunks:
            return None
        length = file.seek(0, os.SEEK_END)
        fmt = next((c for c in chunks if c.id == b"fmt "), None)
        align, mask, tag = 0, 0, 0
        if fmt and fmt.size >= 16:
            file.seek(fmt.offset)
            content = file.read(min(fmt.size, 40))
            order = ">" if fmt.big else "<"
            tag, align = struct.unpack_from(order + "H10xH", content)
            if tag == WAVE_FORMAT_EXTENSIBLE and len(content) >= 40:
                mask, tag = struct.unpack_from(order + "IH", content, 20)
                tag = tag if content[26:40] == SUBFORMAT_GUID_TAIL or fmt.big else 0
    places = [i for i, c in enumerate(chunks) if c.id == b"data"]
    data = chunks[places[0]] if places else None
    before: list[Chunk] = []
    after: list[Chunk] = []
    metadata_bytes = 0
    for i, chunk in enumerate(chunks):
        if chunk.id in SAMPLE_CHUNK_IDS | FILLER_CHUNK_IDS or chunk.size < chunk.declared_size:
            continue
        metadata_bytes += chunk.size
        if metadata_bytes <= MAX_METADATA_BYTES:
            (after if places and i > places[0] else before).append(chunk)
    return WavLayout(
        chunks=chunks,
        metadata_chunks=MetadataChunks(path, tuple(before), tuple(after), chunks[0].big),
        channel_mask=mask,
        format_tag=tag,
        block_align=align,
        data=data,
        has_undeclared_audio=data is not None
        and data.declared_size == 0
        and not _is_followed_by_chunks(chunks, data, length),
        extra_data_bytes=sum(chunks[i].size for i in places[1:]),
    )


def _parse_chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Yield the chunks of a WAV file up to the first invalid one."""
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
        return
    big = head[:4] == b"RIFX"
    length = file.seek(0, os.SEEK_END)
    at, long_size = 12, 0
    for _ in range(MAX_CHUNKS):
        if at >= length:
            return
        file.seek(at)
        header = file.read(8)
        if len(header) < 8 or not header[:4].isascii() or not header[:4].decode().isprintable():
            return
        declared_size = int.from_bytes(header[4:], "big" if big else "little")
        if header[:4] == b"data" and declared_size == UNKNOWN_SIZE and long_size:
            declared_size = long_size
        chunk = Chunk(header[:4], at + 8, min(declared_size, length - at - 8), declared_size, big)
        if chunk.id == b"ds64" and chunk.size >= 16:
            file.seek(chunk.offset + 8)
            long_size = int.from_bytes(file.read(8), "little")
        yield chunk
        at += 8 + declared_size + declared_size % 2


def _is_followed_by_chunks(chunks: tuple[Chunk, ...], chunk: Chunk, length: int) -> bool:
    """Return whether only other chunks, or nothing, follow `chunk` up to the end of the file."""
    last = chunks[-1]
    end = last.offset + last.size + last.size % 2
    return length - (end if chunk != last else chunk.offset) < max(1, 8)


def build_wav_header(
    info: AudioInfo,
    size: int | None,
    before: bytes = b"",
    after: int = 0,
    reserve_ds64: bool = False,
) -> bytes:
    """Return the bytes of a WAV file that precede the samples.

    Parameters
    ----------
    info
        Format of the file; its subtype is in `WRITABLE_FORMAT_TAGS`.
    size
        Bytes of samples; None if unknown.
    before
        Complete chunks to write before the samples.
    after
        Total size in bytes of the complete chunks after the samples.
    reserve_ds64
        Whether to reserve space for a `ds64` chunk, in case the file grows beyond 4 GiB.
    """
    tag = WRITABLE_FORMAT_TAGS[info.subtype]
    width = SAMPLE_WIDTH_BYTES[info.subtype]
    align = width * info.channels
    usual = (0, 4 if info.channels == 1 else 3 if info.channels == 2 else 0)
    extensible = info.format == "WAVEX" or info.channel_mask not in usual
    fmt = struct.pack(
        "<HHIIHH",
        WAVE_FORMAT_EXTENSIBLE if extensible else tag,
        info.channels,
        info.sample_rate,
        min(info.sample_rate * align, UNKNOWN_SIZE),
        min(align, 0xFFFF),
        width * 8,
    )
    if extensible:
        fmt += struct.pack("<HHIH", 22, width * 8, info.channel_mask, tag) + SUBFORMAT_GUID_TAIL
    elif tag == FLOAT:
        fmt += struct.pack("<H", 0)
    fact = b""
    if tag == FLOAT:
        samples = UNKNOWN_SIZE if size is None else min(size // align, UNKNOWN_SIZE)
        fact = struct.pack("<4sII", b"fact", 4, samples)
    # Simple readers expect `fmt ` at its usual offset.
    middle = struct.pack("<4sI", b"fmt ", len(fmt)) + fmt + fact + before
    if size is None:
        start = struct.pack("<4sI4s", b"RIFF", UNKNOWN_SIZE, b"WAVE")
        place = struct.pack("<4sI28x", b"JUNK", 28) if reserve_ds64 else b""
        return start + place + middle + struct.pack("<4sI", b"data", UNKNOWN_SIZE)
    whole = 4 + len(middle) + 8 + size + size % 2 + after + 36 * reserve_ds64
    if whole <= MAX_WAV_BYTES and info.format != "RF64":
        start = struct.pack("<4sI4s", b"RIFF", whole, b"WAVE")
        place = struct.pack("<4sI28x", b"JUNK", 28) if reserve_ds64 else b""
        return start + place + middle + struct.pack("<4sI", b"data", size)
    # EBU Tech 3306: 64-bit sizes of the file and of the samples, and the number of samples.
    sizes = struct.pack(
        "<4sIQQQI", b"ds64", 28, whole + 36 * (not reserve_ds64), size, size // align, 0
    )
    start = struct.pack("<4sI4s", b"RF64", UNKNOWN_SIZE, b"WAVE")
    return start + sizes + middle + struct.pack("<4sI", b"data", UNKNOWN_SIZE)


def rf64_if_large(info: AudioInfo) -> AudioInfo:
    """Return `info` with the format RF64 if its samples may not fit in a WAV file."""
    size = info.samples * info.channels * SAMPLE_WIDTH_BYTES.get(info.subtype, 1)
    large = info.format in ("WAV", "WAVEX") and size > MAX_WAV_BYTES - MAX_METADATA_BYTES
    return replace(info, format="RF64") if large else info


class WavEncoder:
    """Write a WAV file with metadata chunks of another file; over 4 GiB, it becomes RF64."""

    def __init__(
        self, path: Path, info: AudioInfo, metadata_chunks: MetadataChunks | None = None
    ) -> None:
        self._info = info
        self._size = 0
        expected = info.samples * info.channels * SAMPLE_WIDTH_BYTES[info.subtype]
        # An estimated length is wrong by less than a factor of four.
        self._reserve_ds64 = not expected or expected > MAX_WAV_BYTES // 4 or info.format == "RF64"
        if metadata_chunks and self._reserve_ds64:
            metadata_chunks = metadata_chunks.with_odd_sizes_last()
        self._before, self._after = (
            metadata_chunks.serialize()
            if metadata_chunks and not metadata_chunks.big
            else (b"", b"")
        )
        self._file = path.open("xb", buffering=0)
        self._write_bytes(
            build_wav_header(info, None, self._before, reserve_ds64=self._reserve_ds64)
        )

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        octets = encode_pcm(block, self._info.subtype)
        self._write_bytes(octets)
        self._size += len(octets)

    def close(self) -> None:
        """Write the chunks after the samples, update the sizes and close the file."""
        if self._file.closed:
            return
        with self._file:
            after = bytes(self._size % 2) + self._after
            self._write_bytes(after)
            self._file.seek(0)
            self._write_bytes(
                build_wav_header(
                    self._info, self._size, self._before, len(self._after), self._reserve_ds64
                )
            )

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._file.close()

    def _write_bytes(self, octets: bytes | NDArray[np.uint8]) -> None:
        rest = octets if isinstance(octets, bytes) else octets.data
        while len(rest):
            rest = rest[self._file.write(rest) :]


def build_chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    """Return the bytes of a chunk: ID, size, content and padding."""
    return struct.pack(order + "4sI", name, len(content)) + content + bytes(len(content) % 2)


def append_metadata_chunks(path: Path, metadata_chunks: MetadataChunks) -> None:
    """Append the metadata chunks of another WAV file to a complete WAV file."""
    append_raw_chunks(path, list(metadata_chunks.serialize()), metadata_chunks.big)


def append_raw_chunks(path: Path, chunks: list[bytes], big: bool = False) -> None:
    """Append complete chunks to a complete WAV file, and update its size.

    If the byte order of the chunks differs from that of the file, the function does nothing.
    """
    layout = read_layout(path)
    if layout is None or layout.metadata_chunks.big != big:
        return
    with path.open("r+b") as file:
        head = file.read(4)
        end = file.seek(0, os.SEEK_END)
        file.write(bytes(end % 2) + b"".join(chunks))
        whole = file.tell() - 8
        if head == b"RF64":
            sizes = next(c for c in layout.chunks if c.id == b"ds64")
            file.seek(sizes.offset)
            file.write(struct.pack("<Q", whole))
        elif whole < UNKNOWN_SIZE:
            file.seek(4)
            file.write(struct.pack(">I" if big else "<I", whole))

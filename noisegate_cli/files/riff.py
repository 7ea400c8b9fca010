"""WAV as a container: its chunks, which libsndfile and PyAV don't hand on, in and out.

A WAV file is chunks: four letters, a length of four bytes, content, padded to an even length. RF64
is the same for files over 4 GiB, with the long sizes in a chunk of their own, `ds64`. See EBU Tech
3285 and 3306, and Microsoft's Multiple Channel Audio Data and WAVE Files.
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
"""What a size of four bytes says where it can't be known, or doesn't fit."""

MIN_STREAMED_SIZE_BYTES = 0x7FFF0000
"""Programs that write to a pipe announce this size or more, as they can't know it yet."""

MAX_WAV_BYTES = 0xFFFFFFFF - 0x10000
"""Bytes that a WAV file may have, with some room; what is larger is RF64."""

SAMPLE_CHUNK_IDS = {b"fmt ", b"data", b"fact", b"PEAK", b"levl", b"ds64", b"MD5 "}
"""Chunks that describe the samples as they were, or as they are stored."""

FILLER_CHUNK_IDS = {b"JUNK", b"junk", b"PAD ", b"FLLR"}

MAX_CHUNKS = 1000
"""A file with more of them is damaged, or meant to do harm."""

MAX_METADATA_BYTES = 1 << 26
"""Bytes of chunks that are carried over."""

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
"""Of the samples that there are in WAV files: PCM, ADPCM, A-law, GSM, MPEG, AC-3 and the like."""

WRITABLE_FORMAT_TAGS = {
    "PCM_U8": WAVE_FORMAT_PCM,
    "PCM_16": WAVE_FORMAT_PCM,
    "PCM_24": WAVE_FORMAT_PCM,
    "PCM_32": WAVE_FORMAT_PCM,
    "FLOAT": FLOAT,
    "DOUBLE": FLOAT,
}
"""The subtypes that are written here, and their format tags."""

SUBFORMAT_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format tag in the name of a subformat."""


class Chunk(NamedTuple):
    """Where the content of a chunk lies in its file."""

    id: bytes
    offset: int
    """In bytes."""
    size: int
    """In bytes, as announced or as there are left in the file."""
    declared_size: int
    big: bool = False
    """Whether numbers in it have their high byte first."""


class MetadataChunks(NamedTuple):
    """The chunks of a WAV file that another one can carry as they are."""

    path: Path
    before: tuple[Chunk, ...] = ()
    """Those before the samples."""
    after: tuple[Chunk, ...] = ()
    big: bool = False

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    def with_odd_sizes_last(self) -> "MetadataChunks":
        """The same, with those of odd length after the samples: libsndfile trips over them where
        they are before the samples of RF64.
        """
        even = tuple(chunk for chunk in self.before if chunk.size % 2 == 0)
        odd = tuple(chunk for chunk in self.before if chunk.size % 2)
        return self._replace(before=even, after=odd + self.after)

    def serialize(self) -> tuple[bytes, bytes]:
        """Return the chunks before the samples, and those after, as they are in a file."""
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
    """What the chunks of a WAV file say."""

    chunks: tuple[Chunk, ...]
    metadata_chunks: MetadataChunks
    channel_mask: int
    format_tag: int
    """What the samples are; 0 where that makes no sense."""
    block_align: int
    """Bytes of a sample of all channels."""
    data: Chunk | None
    has_undeclared_audio: bool
    """Whether audio follows that the header doesn't announce, as when a recorder was killed."""
    extra_data_bytes: int
    """Bytes in further chunks of samples."""

    @property
    def is_valid(self) -> bool:
        """Whether there are samples of a known kind, and nothing else is longer than the file."""
        others = (c for c in self.chunks if c.id != b"data")
        whole = all(c.size == c.declared_size for c in others)
        return self.data is not None and whole and self.format_tag in KNOWN_FORMAT_TAGS


def read_layout(path: Path) -> WavLayout | None:
    """Return how a WAV file is laid out; None for any other file."""
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
    """Yield the chunks of a WAV file, as far as they make sense."""
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
    """Whether other chunks, or nothing, follow on `chunk` up to the end of the file."""
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
    """Return what a WAV file begins with, up to its samples.

    Parameters
    ----------
    info
        Of a subtype in `WRITABLE_FORMAT_TAGS`.
    size
        Bytes of samples; None where that isn't known.
    before
        Whole chunks to stand before the samples.
    after
        Bytes of whole chunks that will follow them.
    reserve_ds64
        Whether to leave a place for the sizes of RF64, which may turn out to be needed.
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
    # Simple readers look for the format where a plain file has it.
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
    # EBU Tech 3306: the long sizes of the file and of the samples, and how many samples.
    sizes = struct.pack(
        "<4sIQQQI", b"ds64", 28, whole + 36 * (not reserve_ds64), size, size // align, 0
    )
    start = struct.pack("<4sI4s", b"RF64", UNKNOWN_SIZE, b"WAVE")
    return start + sizes + middle + struct.pack("<4sI", b"data", UNKNOWN_SIZE)


def rf64_if_large(info: AudioInfo) -> AudioInfo:
    """Return what a WAV file becomes with so many samples."""
    size = info.samples * info.channels * SAMPLE_WIDTH_BYTES.get(info.subtype, 1)
    large = info.format in ("WAV", "WAVEX") and size > MAX_WAV_BYTES - MAX_METADATA_BYTES
    return replace(info, format="RF64") if large else info


class WavEncoder:
    """A WAV file being written, with the chunks of another; RF64 where it grows over 4 GiB."""

    def __init__(
        self, path: Path, info: AudioInfo, metadata_chunks: MetadataChunks | None = None
    ) -> None:
        self._info = info
        self._size = 0
        expected = info.samples * info.channels * SAMPLE_WIDTH_BYTES[info.subtype]
        # Where a length is an estimate, it is off by less than that.
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
        """Append samples in the type of the file."""
        octets = encode_pcm(block, self._info.subtype)
        self._write_bytes(octets)
        self._size += len(octets)

    def close(self) -> None:
        """Write what follows the samples, and the sizes."""
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
        """Close the file as it is."""
        self._file.close()

    def _write_bytes(self, octets: bytes | NDArray[np.uint8]) -> None:
        rest = octets if isinstance(octets, bytes) else octets.data
        while len(rest):
            rest = rest[self._file.write(rest) :]


def build_chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    """Return a whole chunk."""
    return struct.pack(order + "4sI", name, len(content)) + content + bytes(len(content) % 2)


def append_metadata_chunks(path: Path, metadata_chunks: MetadataChunks) -> None:
    """Append the chunks of another WAV file to one that is complete."""
    append_raw_chunks(path, list(metadata_chunks.serialize()), metadata_chunks.big)


def append_raw_chunks(path: Path, chunks: list[bytes], big: bool = False) -> None:
    """Append whole chunks to a WAV file that is complete, and correct its size.

    Numbers in a chunk are in the order of its file: nothing is done where that isn't the same.
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

"""Read recordings from standard input.

WAV, AU and raw PCM can be streamed. A stream may not declare its length and can be read only once:
a recording that must be read twice, or that cannot be streamed, is spooled to a file.
"""

import io
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, cast

import numpy as np

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.chapters import Chapter
from noisegate_cli.files.containers.chunks import (
    FORM_BYTES,
    UNKNOWN_SIZE,
    Chunk,
    next_offset,
    walk_chunks,
)
from noisegate_cli.files.containers.joined_streams import find_next_file
from noisegate_cli.files.containers.riff import (
    MAX_FMT_BYTES,
    MIN_STREAMED_SIZE_BYTES,
    NO_FORMAT,
    RIFF_IDS,
    MetadataChunks,
    WavFormat,
)
from noisegate_cli.files.inputs.check import check_plausible
from noisegate_cli.files.pcm import AU_SUBTYPES, SAMPLE_WIDTH_BYTES, decode_pcm
from noisegate_cli.files.raw_format import RawFormat
from noisegate_cli.samples import Samples, silence_nonfinite

PIPE_BUFFER_BYTES = 1 << 20
"""Capacity requested for the input pipe, and maximum size of a read."""

AU_MAGIC = b".snd"

EMPTY_MESSAGE = "standard input is empty: did the program before ngate in the pipe fail?"

MAX_HEADER_BYTES = 1 << 20
"""Maximum size of the header of a stream; files may have larger headers."""


def _enlarge_pipe(pipe: io.BufferedReader) -> None:
    """Increase the capacity of a pipe, so that the writer and ngate wait less for each other."""
    if sys.platform != "linux":
        return
    import fcntl

    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BUFFER_BYTES)


class StandardInput:
    """Standard input as bytes, with a buffer to peek at the header."""

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.isatty():
            raise AudioError("standard input is a terminal: pipe a recording into ngate gate -")
        self._file = cast(io.BufferedReader, sys.stdin.buffer)
        self._peeked = bytearray()
        _enlarge_pipe(self._file)

    def read_available(self, max_bytes: int = PIPE_BUFFER_BYTES) -> bytes:
        """Return the available bytes, from 1 to `max_bytes`; empty only at the end of the input."""
        if self._peeked:
            octets = bytes(self._peeked[:max_bytes])
            del self._peeked[:max_bytes]
            return octets
        return self._file.read1(max_bytes)

    def peek(self, offset: int, size: int) -> bytes:
        """Return the bytes at an offset without consuming any; fewer at the end of the input."""
        while len(self._peeked) < offset + size:
            octets = self._file.read1(offset + size - len(self._peeked))
            if not octets:
                break
            self._peeked += octets
        return bytes(self._peeked[offset : offset + size])

    def skip(self, length: int) -> None:
        """Consume `length` bytes that `peek` has returned."""
        del self._peeked[:length]


class StreamReader:
    """A recording on standard input that is read as a stream."""

    path = STDIO_PATH
    chunks = MetadataChunks(STDIO_PATH)
    chapters: tuple[Chapter, ...] = ()

    def __init__(
        self,
        source: StandardInput,
        header: "_StreamHeader",
        name: str,
        zero_nonfinite: bool,
    ) -> None:
        self._zero_nonfinite = zero_nonfinite
        self._source = source
        self._raw = raw_format = header.raw
        self._block_align = SAMPLE_WIDTH_BYTES[raw_format.subtype] * raw_format.channels
        self._size = header.size
        self.warnings: list[str] = []
        self.tags: dict[str, str] = {}
        self.info = AudioInfo(
            path=STDIO_PATH,
            sample_rate=raw_format.sample_rate,
            channels=raw_format.channels,
            samples=(header.size or 0) // self._block_align,
            is_length_exact=header.size is not None,
            format=name,
            subtype=raw_format.subtype,
            endian="BIG" if raw_format.big_endian else "FILE",
            channel_mask=header.fmt.channel_mask,
            valid_bits=header.fmt.valid_bits,
            is_ambisonic=header.fmt.is_ambisonic,
        )

    @classmethod
    def try_open(
        cls, source: StandardInput, raw: RawFormat | None, zero_nonfinite: bool = False
    ) -> "StreamReader | None":
        """Return a reader of standard input; None if its format cannot be streamed.

        Raises
        ------
        AudioError
            If standard input is empty.
        """
        if raw:
            return cls(source, _StreamHeader(raw, None, 0), "RAW", zero_nonfinite)
        magic = source.peek(0, 4)
        if not magic:
            raise AudioError(EMPTY_MESSAGE)
        header = None
        if magic in RIFF_IDS:
            header = _parse_wav_header(source)
        elif magic == AU_MAGIC:
            header = _parse_au_header(source)
        if header is None:
            return None
        source.skip(header.start)
        return cls(source, header, "AU" if magic == AU_MAGIC else "WAV", zero_nonfinite)

    def __enter__(self) -> "StreamReader":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave standard input open, because this object does not own it."""

    def blocks(self) -> Iterator[tuple[Samples, bool]]:
        """Read to the end; see `AudioReader.blocks`. A block holds what is available."""
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            return silence_nonfinite(self._blocks(), self.warnings)
        return self._blocks()

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        remaining = self._size
        incomplete = b""
        is_au = self.info.format == "AU"
        is_joined, may_be_joined = False, remaining is None and (is_au or self.info.format == "WAV")
        while remaining is None or remaining > 0:
            octets = self._source.read_available(
                PIPE_BUFFER_BYTES if remaining is None else min(PIPE_BUFFER_BYTES, remaining)
            )
            if not octets:
                break
            if remaining is not None:
                remaining -= len(octets)
            octets = incomplete + octets
            end, is_joined = (
                find_next_file(octets, is_au) if may_be_joined else (len(octets), False)
            )
            complete_bytes = end // self._block_align * self._block_align
            incomplete = octets[complete_bytes:]
            yield self._decode(octets[:complete_bytes]), False
            if is_joined:
                self.warnings.append("it contains a second recording, which is ignored")
                break
        if not is_joined:  # The last bytes could have been the beginning of another file.
            complete_bytes = len(incomplete) // self._block_align * self._block_align
            yield self._decode(incomplete[:complete_bytes]), False
        if remaining:
            missing = remaining / self._block_align / self.info.sample_rate
            self.warnings.append(
                f"it is truncated: {missing:.2f} s of the length in its header are missing"
            )
        yield np.zeros((0, self.info.channels), self.info.dtype), True
        if self._size and self._is_followed_by_audio(self._size):
            self.warnings.append("it contains a second recording, which is ignored")
        # Consume data after the samples, so that the writer does not fail with a broken pipe.
        while self._source.read_available():
            pass

    def _decode(self, octets: bytes) -> Samples:
        raw_format = self._raw
        return decode_pcm(octets, raw_format.subtype, raw_format.channels, raw_format.big_endian)

    def _is_followed_by_audio(self, size: int) -> bool:
        """Return whether another file, or another `data` chunk of WAV, follows the samples."""
        if self.info.format == "AU":
            return self._source.peek(0, len(AU_MAGIC)) == AU_MAGIC
        following = self._source.peek(0, MAX_HEADER_BYTES)
        padding, big_endian = size % 2, self._raw.big_endian

        def read(offset: int, length: int) -> bytes:
            return following[offset - padding : offset - padding + length]

        end = padding + len(following)
        start = next_offset(read, Chunk(b"data", 0, padding, padding), end, big_endian)
        chunks = walk_chunks(read, start, end, big_endian)
        return any(chunk.id in (b"data", *RIFF_IDS) for chunk in chunks)


class _StreamHeader(NamedTuple):
    """What the header of a stream declares."""

    raw: RawFormat
    size: int | None
    """Bytes of samples; None if unknown."""
    start: int
    """Offset of the samples in bytes."""
    fmt: WavFormat = NO_FORMAT


def _parse_wav_header(source: StandardInput) -> _StreamHeader | None:
    """Return the header of a WAV stream; None if its samples cannot be streamed."""
    big_endian = source.peek(0, 4) == b"RIFX"
    fmt, has_long_sizes = NO_FORMAT, False
    for chunk in walk_chunks(source.peek, FORM_BYTES, MAX_HEADER_BYTES, big_endian):
        if chunk.id == b"fmt ":
            content = source.peek(chunk.offset, min(chunk.size, MAX_FMT_BYTES))
            fmt = WavFormat.parse(content, big_endian) or NO_FORMAT
        elif chunk.id == b"ds64":
            has_long_sizes = True
        elif chunk.id == b"data":
            size = chunk.declared_size
            # A size from a `ds64` chunk is known, although it may be as large.
            is_size_known = size < MIN_STREAMED_SIZE_BYTES or (
                has_long_sizes and size != UNKNOWN_SIZE
            )
            raw = _streamable_format(fmt, big_endian)
            size_bytes = size if size and is_size_known else None
            return _StreamHeader(raw, size_bytes, chunk.offset, fmt) if raw else None
    return None


def _streamable_format(fmt: WavFormat, big_endian: bool) -> RawFormat | None:
    """Return the format of the samples; None if they cannot be streamed."""
    subtype = {
        (1, 8): "PCM_U8",
        (1, 16): "PCM_16",
        (1, 24): "PCM_24",
        (1, 32): "PCM_32",
        (3, 32): "FLOAT",
        (3, 64): "DOUBLE",
    }.get((fmt.tag, fmt.bits))
    align = fmt.channels * fmt.bits // 8
    if subtype is None or not align or not fmt.sample_rate or fmt.block_align != align:
        return None
    check_plausible(STDIO_PATH, fmt.channels, fmt.sample_rate)
    return RawFormat(fmt.sample_rate, fmt.channels, subtype, big_endian)


def _parse_au_header(source: StandardInput) -> _StreamHeader | None:
    """Return the header of an AU stream; None if its samples cannot be streamed."""
    header = source.peek(0, 24)
    if len(header) < 24:
        return None
    start, size, encoding, rate, channels = struct.unpack_from(">5I", header, 4)
    is_valid = encoding in AU_SUBTYPES and 24 <= start < MAX_HEADER_BYTES and rate and channels
    if not is_valid or len(source.peek(0, start)) < start:
        return None
    check_plausible(STDIO_PATH, channels, rate)
    raw = RawFormat(rate, channels, AU_SUBTYPES[encoding], True)
    return _StreamHeader(raw, None if size >= MIN_STREAMED_SIZE_BYTES else size, start)

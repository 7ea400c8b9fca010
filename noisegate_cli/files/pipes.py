"""Read recordings from standard input and write them to standard output.

WAV, AU and raw PCM can be streamed. A stream may not declare its length and can be read only once:
a recording that must be read twice, or that can't be streamed, is spooled to a file.
"""

import io
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import AudioError, OutputError, SettingsError
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo
from noisegate_cli.files.pcm import SAMPLE_WIDTH_BYTES, decode_pcm, encode_pcm
from noisegate_cli.files.riff import (
    MIN_STREAMED_SIZE_BYTES,
    UNKNOWN_SIZE,
    WRITABLE_FORMAT_TAGS,
    MetadataChunks,
    build_wav_header,
)
from noisegate_cli.samples import Samples, silence_nonfinite

RAW_SUBTYPES = {
    "s8": "PCM_S8",
    "u8": "PCM_U8",
    "s16": "PCM_16",
    "s24": "PCM_24",
    "s32": "PCM_32",
    "f32": "FLOAT",
    "f64": "DOUBLE",
}
"""Sample types of raw PCM, and libsndfile's name for each."""

AU_SUBTYPES = {2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE"}

PIPE_BUFFER_BYTES = 1 << 20
"""Capacity requested for the input pipe, and maximum size of a read or a copy."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Format of raw PCM samples, which have no header.

    Examples
    --------
    >>> RawFormat.parse("44100:1:s16")
    RawFormat(sample_rate=44100, channels=1, subtype='PCM_16', big_endian=False)
    >>> RawFormat.parse("48000:2:f32be").big_endian
    True
    """

    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    subtype: str
    """libsndfile's name of the sample type."""
    big_endian: bool = False
    """Whether the most significant byte comes first."""

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """Parse `RATE:CHANNELS:TYPE`.

        Raises
        ------
        SettingsError
            If `text` is invalid; the message quotes it.
        """
        parts = text.strip().lower().split(":")
        kind = parts[-1]
        big_endian = kind.endswith("be")
        kind = kind.removesuffix("be").removesuffix("le")
        try:
            rate, channels = int(parts[0]), int(parts[1])
            if len(parts) != 3 or kind not in RAW_SUBTYPES or rate < 1 or channels < 1:
                raise ValueError
        except (ValueError, IndexError):
            raise SettingsError(
                f"raw {text!r} is not RATE:CHANNELS:TYPE: give for example 44100:1:s16, "
                f"the type is one of {' '.join(RAW_SUBTYPES)}, "
                "with be at the end if it is big-endian"
            ) from None
        return cls(rate, channels, RAW_SUBTYPES[kind], big_endian)


def _enlarge_pipe(pipe: io.BufferedReader) -> None:
    """Increase the capacity of a pipe, so that the writer and ngate wait less for each other."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BUFFER_BYTES)


class StandardInput:
    """Standard input as bytes, with a buffer to peek at the header."""

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.isatty():
            raise AudioError("standard input is a terminal: pipe a recording into ngate gate -")
        self._file = cast(io.BufferedReader, sys.stdin.buffer)
        self._peeked = b""
        _enlarge_pipe(self._file)

    def read_available(self, max_bytes: int = PIPE_BUFFER_BYTES) -> bytes:
        """Return the available bytes, from 1 to `max_bytes`; empty only at the end of the input."""
        if self._peeked:
            some, self._peeked = self._peeked[:max_bytes], self._peeked[max_bytes:]
            return some
        return self._file.read1(max_bytes)

    def peek(self, length: int) -> bytes:
        """Return the next `length` bytes without consuming them; fewer at the end of the input."""
        while len(self._peeked) < length:
            more = self._file.read1(length - len(self._peeked))
            if not more:
                break
            self._peeked += more
        return self._peeked[:length]

    def skip(self, length: int) -> None:
        """Consume `length` bytes that `peek` has returned."""
        self._peeked = self._peeked[length:]


class StreamReader:
    """A recording on standard input that is read as a stream."""

    path = STDIO_PATH
    chunks = MetadataChunks(STDIO_PATH)

    def __init__(
        self,
        source: StandardInput,
        kind: RawFormat,
        size: int | None,
        name: str,
        zero_nonfinite: bool,
    ) -> None:
        self._zero_nonfinite = zero_nonfinite
        self._source = source
        self._raw = kind
        self._block_align = SAMPLE_WIDTH_BYTES[kind.subtype] * kind.channels
        self._size = size
        self.warnings: list[str] = []
        self.tags: dict[str, str] = {}
        self.info = AudioInfo(
            path=STDIO_PATH,
            sample_rate=kind.sample_rate,
            channels=kind.channels,
            samples=(size or 0) // self._block_align,
            format=name,
            subtype=kind.subtype,
            endian="BIG" if kind.big_endian else "FILE",
        )

    @classmethod
    def try_open(
        cls, source: StandardInput, raw: RawFormat | None, zero_nonfinite: bool = False
    ) -> "StreamReader | None":
        """Return a reader of standard input; None if its format can't be streamed.

        Raises
        ------
        AudioError
            If standard input is empty.
        """
        if raw:
            return cls(source, raw, None, "RAW", zero_nonfinite)
        head = source.peek(4)
        if not head:
            raise AudioError("standard input is empty: did the program before ngate fail?")
        found = None
        if head in (b"RIFF", b"RIFX", b"RF64"):
            found = _parse_wav_header(source)
        elif head == b".snd":
            found = _parse_au_header(source)
        if found is None:
            return None
        kind, size, start = found
        source.skip(start)
        return cls(source, kind, size, "AU" if head == b".snd" else "WAV", zero_nonfinite)

    def __enter__(self) -> "StreamReader":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave standard input open, because this object doesn't own it."""

    def blocks(self) -> Iterator[tuple[Samples, bool]]:
        """Read to the end; see `AudioReader.blocks`. A block holds what is available."""
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            return silence_nonfinite(self._blocks(), self.warnings)
        return self._blocks()

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        left = self._size
        rest = b""
        while left is None or left > 0:
            octets = self._source.read_available(
                PIPE_BUFFER_BYTES if left is None else min(PIPE_BUFFER_BYTES, left)
            )
            if not octets:
                break
            if left is not None:
                left -= len(octets)
            octets = rest + octets
            whole = len(octets) // self._block_align * self._block_align
            rest = octets[whole:]
            kind = self._raw
            yield decode_pcm(octets[:whole], kind.subtype, kind.channels, kind.big_endian), False
        if left:
            missing = left / self._block_align / self.info.sample_rate
            self.warnings.append(f"it is cut short: {missing:.2f} s that it announced are missing")
        yield np.zeros((0, self.info.channels), self.info.dtype), True
        # Consume data after the samples, so that the writer doesn't fail with a broken pipe.
        while self._source.read_available():
            pass


MAX_HEADER_BYTES = 1 << 20
"""Maximum size of the header of a stream; files may have larger headers."""


def _parse_wav_header(source: StandardInput) -> tuple[RawFormat, int | None, int] | None:
    """Return the format of a WAV stream, its bytes of samples, and their offset."""
    big_endian = source.peek(4) == b"RIFX"
    order = ">" if big_endian else "<"
    at, long_size, kind = 12, None, None
    while at < MAX_HEADER_BYTES:
        head = source.peek(at + 8)[at:]
        if len(head) < 8:
            return None
        name, size = struct.unpack(order + "4sI", head)
        if name == b"data":
            if kind is None:
                return None
            if size >= MIN_STREAMED_SIZE_BYTES or not size:
                size = long_size
            return kind, size, at + 8
        if name in (b"fmt ", b"ds64"):
            content = source.peek(at + 8 + min(size, 40))[at + 8 :]
            if name == b"ds64" and len(content) >= 16:
                long_size = struct.unpack_from("<Q", content, 8)[0]
            elif name == b"fmt " and (kind := _parse_fmt_chunk(content, order)) is None:
                return None
        at += 8 + size + size % 2
    return None


def _parse_fmt_chunk(fmt: bytes, order: str) -> RawFormat | None:
    if len(fmt) < 16:
        return None
    tag, channels, rate, _, align, bits = struct.unpack_from(order + "HHIIHH", fmt)
    if tag == 0xFFFE and len(fmt) >= 26:
        tag = struct.unpack_from(order + "H", fmt, 24)[0]
    subtype = {
        (1, 8): "PCM_U8",
        (1, 16): "PCM_16",
        (1, 24): "PCM_24",
        (1, 32): "PCM_32",
        (3, 32): "FLOAT",
        (3, 64): "DOUBLE",
    }.get((tag, bits))
    if subtype is None or not channels or not rate or align != channels * bits // 8:
        return None
    return RawFormat(rate, channels, subtype, order == ">")


def _parse_au_header(source: StandardInput) -> tuple[RawFormat, int | None, int] | None:
    """Return the format of an AU stream, its bytes of samples, and their offset."""
    head = source.peek(24)
    if len(head) < 24:
        return None
    start, size, kind, rate, channels = struct.unpack_from(">5I", head, 4)
    known = kind in AU_SUBTYPES and 24 <= start < MAX_HEADER_BYTES and rate and channels
    if not known or len(source.peek(start)) < start:
        return None
    return (
        RawFormat(rate, channels, AU_SUBTYPES[kind], True),
        None if size >= MIN_STREAMED_SIZE_BYTES else size,
        start,
    )


@contextmanager
def spool_to_file(source: StandardInput) -> Iterator[Path]:
    """Copy standard input to a private temporary file that is removed when the context exits."""
    import tempfile

    number, name = tempfile.mkstemp(prefix="ngate-")
    try:
        try:
            with os.fdopen(number, "wb") as file:
                while octets := source.read_available():
                    file.write(octets)
        except OSError as error:
            raise AudioError(f"standard input can't be kept in {name}: {error.strerror}") from error
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


class StreamEncoder:
    """Encoder that writes each block to standard output immediately."""

    def __init__(self, info: AudioInfo, metadata_chunks: MetadataChunks | None = None) -> None:
        if sys.stdout is None or sys.stdout.isatty():
            raise OutputError("standard output is a terminal: pipe it on, or give output= a file")
        self._info = info
        self._big_endian = info.format == "AU" or info.endian == "BIG"
        before = self._after = b""
        if metadata_chunks and info.format in ("WAV", "WAVEX", "RF64"):
            before, self._after = metadata_chunks.serialize()
        self._write_bytes(_build_stream_header(info, before, self._after))

    def write(self, block: Samples) -> None:
        """Write samples in the sample type of the stream."""
        self._write_bytes(encode_pcm(block, self._info.subtype, self._big_endian))

    def close(self) -> None:
        """Write the chunks after the samples; standard output stays open."""
        if self._after and self._info.samples:
            self._write_bytes(self._after)

    def abandon(self) -> None:
        """Do nothing: an incomplete stream can't be undone."""

    def _write_bytes(self, octets: bytes | NDArray[np.uint8]) -> None:
        sys.stdout.buffer.write(octets if isinstance(octets, bytes) else octets.data)
        sys.stdout.buffer.flush()


def can_stream(info: AudioInfo) -> bool:
    """Return whether a recording can be written sequentially, without seeking."""
    if info.subtype not in SAMPLE_WIDTH_BYTES:
        return False
    if info.format in ("WAV", "WAVEX", "RF64"):
        return info.subtype in WRITABLE_FORMAT_TAGS and info.endian != "BIG"
    return info.format == "RAW" or (info.format == "AU" and info.subtype in AU_SUBTYPES.values())


def _build_stream_header(info: AudioInfo, before: bytes, after: bytes) -> bytes:
    size = info.samples * info.channels * SAMPLE_WIDTH_BYTES[info.subtype]
    known = 0 < size < MIN_STREAMED_SIZE_BYTES
    if info.format == "RAW":
        return b""
    if info.format == "AU":
        number = next(n for n, subtype in AU_SUBTYPES.items() if subtype == info.subtype)
        size = size if known else UNKNOWN_SIZE
        return struct.pack(">4s5I", b".snd", 24, size, number, info.sample_rate, info.channels)
    # Streams are never RF64: a stream that is too long for WAV declares an unknown size.
    kind = replace(info, format="WAVEX" if info.format == "WAVEX" else "WAV")
    return build_wav_header(kind, size if known else None, before, len(after))


@contextmanager
def copy_to_stdout() -> Iterator[Path]:
    """Yield a path in a private directory, and copy its file to standard output on exit."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ngate-") as folder:
        path = Path(folder) / "output"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, PIPE_BUFFER_BYTES)
        sys.stdout.buffer.flush()

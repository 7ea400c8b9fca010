"""Standard input and output as recordings: samples that come and go as they are made.

What can be a stream is WAV, AU and raw PCM. A stream has no length, or doesn't know it, and can't
be read again: where the gate must hear a recording first it is spooled to a file.
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
from noisegate_cli.files.formats import STREAM, AudioInfo
from noisegate_cli.files.pcm import WIDTHS, packed, unpacked
from noisegate_cli.files.riff import STREAMED_SIZE, UNKNOWN_SIZE, WRITTEN, KeptChunks, header
from noisegate_cli.samples import Samples, silenced

RAW_TYPES = {
    "s8": "PCM_S8",
    "u8": "PCM_U8",
    "s16": "PCM_16",
    "s24": "PCM_24",
    "s32": "PCM_32",
    "f32": "FLOAT",
    "f64": "DOUBLE",
}
"""What samples without a header may be, and libsndfile's names for it."""

AU_TYPES = {2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE"}

READ_AT_ONCE = 1 << 20
"""Bytes; a pipe gives what there is, if that is less."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """What samples are that come without a header.

    Examples
    --------
    >>> RawFormat.parse("44100:1:s16")
    RawFormat(sample_rate=44100, channels=1, subtype='PCM_16', big=False)
    >>> RawFormat.parse("48000:2:f32be").big
    True
    """

    sample_rate: int
    """Hz."""
    channels: int
    subtype: str
    """libsndfile's name of the sample type."""
    big: bool = False
    """Whether the high byte comes first."""

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """Return what `RATE:CHANNELS:TYPE` says.

        Raises
        ------
        SettingsError
            Quotes `text`.
        """
        parts = text.strip().lower().split(":")
        kind = parts[-1]
        big = kind.endswith("be")
        kind = kind.removesuffix("be").removesuffix("le")
        try:
            rate, channels = int(parts[0]), int(parts[1])
            if len(parts) != 3 or kind not in RAW_TYPES or rate < 1 or channels < 1:
                raise ValueError
        except (ValueError, IndexError):
            raise SettingsError(
                f"raw {text!r} is not RATE:CHANNELS:TYPE: give for example 44100:1:s16, "
                f"the type is one of {' '.join(RAW_TYPES)}, with be at the end if it is big-endian"
            ) from None
        return cls(rate, channels, RAW_TYPES[kind], big)


def _widen(pipe: io.BufferedReader) -> None:
    """Let a pipe hold more, so that a fast writer and ngate needn't wait for each other."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, READ_AT_ONCE)


class StandardInput:
    """Bytes as they come in, those of a header more than once."""

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.isatty():
            raise AudioError("standard input is a terminal: pipe a recording into ngate gate -")
        self._file = cast(io.BufferedReader, sys.stdin.buffer)
        self._head = b""
        _widen(self._file)

    def some(self, most: int = READ_AT_ONCE) -> bytes:
        """Return what there is, at least a byte, at most so many; nothing at the end."""
        if self._head:
            some, self._head = self._head[:most], self._head[most:]
            return some
        return self._file.read1(most)

    def seen(self, length: int) -> bytes:
        """Return the first bytes without taking them; fewer where there are no more."""
        while len(self._head) < length:
            more = self._file.read1(length - len(self._head))
            if not more:
                break
            self._head += more
        return self._head[:length]

    def skip(self, length: int) -> None:
        """Take bytes that have been seen."""
        self._head = self._head[length:]


class StreamReader:
    """Standard input as a recording, read as it comes.

    Raises
    ------
    AudioError
        When there is nothing, or its header makes no sense.
    """

    path = STREAM
    chunks = KeptChunks(STREAM)

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
        self._kind = kind
        self._width = WIDTHS[kind.subtype] * kind.channels
        self._size = size
        self.warnings: list[str] = []
        self.tags: dict[str, str] = {}
        self.info = AudioInfo(
            path=STREAM,
            sample_rate=kind.sample_rate,
            channels=kind.channels,
            samples=(size or 0) // self._width,
            format=name,
            subtype=kind.subtype,
            endian="BIG" if kind.big else "FILE",
        )

    @classmethod
    def of(
        cls, source: StandardInput, raw: RawFormat | None, zero_nonfinite: bool = False
    ) -> "StreamReader | None":
        """Return standard input as it comes; None when it must be a file to be read."""
        if raw:
            return cls(source, raw, None, "RAW", zero_nonfinite)
        head = source.seen(4)
        if not head:
            raise AudioError("standard input is empty: did the program before ngate fail?")
        found = None
        if head in (b"RIFF", b"RIFX", b"RF64"):
            found = _wav_header(source)
        elif head == b".snd":
            found = _au_header(source)
        if found is None:
            return None
        kind, size, start = found
        source.skip(start)
        return cls(source, kind, size, "AU" if head == b".snd" else "WAV", zero_nonfinite)

    def __enter__(self) -> "StreamReader":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave standard input open: it isn't ours."""

    def blocks(self) -> Iterator[tuple[Samples, bool]]:
        """Read to the end; see `AudioReader.blocks`. A block is what has come in meanwhile."""
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            return silenced(self._blocks(), self.warnings)
        return self._blocks()

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        left = self._size
        rest = b""
        while left is None or left > 0:
            octets = self._source.some(READ_AT_ONCE if left is None else min(READ_AT_ONCE, left))
            if not octets:
                break
            if left is not None:
                left -= len(octets)
            octets = rest + octets
            whole = len(octets) // self._width * self._width
            rest = octets[whole:]
            kind = self._kind
            yield unpacked(octets[:whole], kind.subtype, kind.channels, kind.big), False
        if left:
            missing = left / self._width / self.info.sample_rate
            self.warnings.append(f"it is cut short: {missing:.2f} s that it announced are missing")
        yield np.zeros((0, self.info.channels), self.info.dtype), True
        # Who writes what follows the samples shall not fail for want of a reader.
        while self._source.some():
            pass


MOST_HEADER = 1 << 20
"""Bytes before the samples of a stream; a file may have more."""


def _wav_header(source: StandardInput) -> tuple[RawFormat, int | None, int] | None:
    """Return what a WAV stream is, its bytes of samples, and where they begin."""
    big = source.seen(4) == b"RIFX"
    order = ">" if big else "<"
    at, long_size, kind = 12, None, None
    while at < MOST_HEADER:
        head = source.seen(at + 8)[at:]
        if len(head) < 8:
            return None
        name, size = struct.unpack(order + "4sI", head)
        if name == b"data":
            if kind is None:
                return None
            if size >= STREAMED_SIZE or not size:
                size = long_size
            return kind, size, at + 8
        if name in (b"fmt ", b"ds64"):
            content = source.seen(at + 8 + min(size, 40))[at + 8 :]
            if name == b"ds64" and len(content) >= 16:
                long_size = struct.unpack_from("<Q", content, 8)[0]
            elif name == b"fmt " and (kind := _wav_kind(content, order)) is None:
                return None
        at += 8 + size + size % 2
    return None


def _wav_kind(fmt: bytes, order: str) -> RawFormat | None:
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


def _au_header(source: StandardInput) -> tuple[RawFormat, int | None, int] | None:
    """Return what an AU stream is, its bytes of samples, and where they begin."""
    head = source.seen(24)
    if len(head) < 24:
        return None
    start, size, kind, rate, channels = struct.unpack_from(">5I", head, 4)
    known = kind in AU_TYPES and 24 <= start < MOST_HEADER and rate and channels
    if not known or len(source.seen(start)) < start:
        return None
    return (
        RawFormat(rate, channels, AU_TYPES[kind], True),
        None if size >= STREAMED_SIZE else size,
        start,
    )


@contextmanager
def spooled(source: StandardInput) -> Iterator[Path]:
    """Put standard input into a private file, which goes when the block ends."""
    import tempfile

    number, name = tempfile.mkstemp(prefix="ngate-")
    try:
        try:
            with os.fdopen(number, "wb") as file:
                while octets := source.some():
                    file.write(octets)
        except OSError as error:
            raise AudioError(f"standard input can't be kept in {name}: {error.strerror}") from error
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


class StreamFile:
    """Standard output as a recording being written: each block goes out at once."""

    def __init__(self, info: AudioInfo, kept: KeptChunks | None = None) -> None:
        if sys.stdout is None or sys.stdout.isatty():
            raise OutputError("standard output is a terminal: pipe it on, or give -o a file")
        self._info = info
        self._big = info.format == "AU" or info.endian == "BIG"
        before = self._after = b""
        if kept and info.format in ("WAV", "WAVEX", "RF64"):
            before, self._after = kept.joined()
        self._put(_stream_header(info, before, self._after))

    def write(self, block: Samples) -> None:
        """Write samples in the type of the stream."""
        self._put(packed(block, self._info.subtype, self._big))

    def close(self) -> None:
        """Write what follows the samples; standard output stays open, it isn't ours."""
        if self._after and self._info.samples:
            self._put(self._after)

    def abandon(self) -> None:
        """Write no more."""

    def _put(self, octets: bytes | NDArray[np.uint8]) -> None:
        sys.stdout.buffer.write(octets if isinstance(octets, bytes) else octets.data)
        sys.stdout.buffer.flush()


def can_stream(info: AudioInfo) -> bool:
    """Whether a recording can be written as it is made, without going back."""
    if info.subtype not in WIDTHS:
        return False
    if info.format in ("WAV", "WAVEX", "RF64"):
        return info.subtype in WRITTEN and info.endian != "BIG"
    return info.format == "RAW" or (info.format == "AU" and info.subtype in AU_TYPES.values())


def _stream_header(info: AudioInfo, before: bytes, after: bytes) -> bytes:
    size = info.samples * info.channels * WIDTHS[info.subtype]
    known = 0 < size < STREAMED_SIZE
    if info.format == "RAW":
        return b""
    if info.format == "AU":
        number = next(n for n, subtype in AU_TYPES.items() if subtype == info.subtype)
        size = size if known else UNKNOWN_SIZE
        return struct.pack(">4s5I", b".snd", 24, size, number, info.sample_rate, info.channels)
    # RF64 is for files: a stream that is so long says that it doesn't know.
    kind = replace(info, format="WAVEX" if info.format == "WAVEX" else "WAV")
    return header(kind, size if known else None, before, len(after))


@contextmanager
def copied_out() -> Iterator[Path]:
    """Give a private folder's new file to write, and copy that to standard output at the end."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ngate-") as folder:
        path = Path(folder) / "output"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, READ_AT_ONCE)
        sys.stdout.buffer.flush()

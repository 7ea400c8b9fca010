"""Write recordings to standard output, a named pipe or a device."""

import struct
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from noisegate_cli.errors import OutputError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.containers.chunks import UNKNOWN_SIZE
from noisegate_cli.files.containers.riff import (
    MIN_STREAMED_SIZE_BYTES,
    WRITABLE_FORMAT_TAGS,
    MetadataChunks,
)
from noisegate_cli.files.outputs.wav_encoder import build_wav_header
from noisegate_cli.files.pcm import AU_SUBTYPES, SAMPLE_WIDTH_BYTES, encode_pcm
from noisegate_cli.samples import Samples

COPY_BYTES = 1 << 20
"""Maximum size of a read when a file is copied to a stream."""


def open_sink(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open standard output, a named pipe or a device for writing."""
    if path != STDIO_PATH:
        return path.open("wb", buffering=0)
    if sys.stdout is None or sys.stdout.isatty():
        raise OutputError("standard output is a terminal: redirect it, or give output= a file name")
    return nullcontext(sys.stdout.buffer)


class StreamEncoder:
    """Encoder that writes each block to a stream immediately."""

    def __init__(
        self, sink: BinaryIO, info: AudioInfo, metadata_chunks: MetadataChunks | None = None
    ) -> None:
        self._sink = sink
        self._info = info
        self._big_endian = info.format == "AU" or info.endian == "BIG"
        before = self._after = b""
        if metadata_chunks and info.format in ("WAV", "WAVEX", "RF64"):
            before, self._after = metadata_chunks.serialize()
        self._header = _build_stream_header(info, before, self._after)

    def write(self, block: Samples) -> None:
        """Write samples in the sample type of the stream."""
        if not len(block):
            return
        octets = encode_pcm(block, self._info.subtype, self._big_endian).data
        # SoX does not recognize a stream whose first read returns the header alone.
        write_all(self._sink, self._take_header() + octets if self._header else octets)

    def close(self) -> None:
        """Write the chunks after the samples; the stream stays open."""
        write_all(self._sink, self._take_header() + (self._after if self._info.samples else b""))

    def _take_header(self) -> bytes:
        header, self._header = self._header, b""
        return header

    def abandon(self) -> None:
        """Do nothing: an incomplete stream cannot be undone."""


def can_stream(info: AudioInfo) -> bool:
    """Return whether a recording can be written sequentially, without seeking."""
    if info.subtype not in SAMPLE_WIDTH_BYTES:
        return False
    if info.format in ("WAV", "WAVEX", "RF64"):
        return info.subtype in WRITABLE_FORMAT_TAGS and info.endian != "BIG"
    return info.format == "RAW" or (info.format == "AU" and info.subtype in AU_SUBTYPES.values())


def _build_stream_header(info: AudioInfo, before: bytes, after: bytes) -> bytes:
    size = info.samples * info.channels * SAMPLE_WIDTH_BYTES[info.subtype]
    is_size_known = info.is_length_exact and 0 < size < MIN_STREAMED_SIZE_BYTES
    if info.format == "RAW":
        return b""
    if info.format == "AU":
        number = next(n for n, subtype in AU_SUBTYPES.items() if subtype == info.subtype)
        size = size if is_size_known else UNKNOWN_SIZE
        return struct.pack(">4s5I", b".snd", 24, size, number, info.sample_rate, info.channels)
    # Streams are never RF64: a stream that is too long for WAV declares an unknown size.
    wav_info = replace(info, format="WAVEX" if info.format == "WAVEX" else "WAV")
    return build_wav_header(wav_info, size if is_size_known else None, before, len(after))


def copy_to_sink(path: Path, sink: BinaryIO) -> None:
    """Copy a complete file to a stream."""
    with path.open("rb") as file:
        while octets := file.read(COPY_BYTES):
            write_all(sink, octets)


def write_all(sink: BinaryIO, octets: bytes | memoryview) -> None:
    """Write to a stream, which may take a part at a time."""
    while len(octets):
        octets = octets[sink.write(octets) :]
    sink.flush()

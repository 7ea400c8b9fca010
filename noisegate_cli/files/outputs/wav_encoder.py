"""Write WAV files with the chunks of their input; see `riff` for the sources."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.containers.chunks import UNKNOWN_SIZE
from noisegate_cli.files.containers.riff import (
    AMBISONIC_GUID_TAIL,
    FLOAT,
    MAX_METADATA_BYTES,
    SUBFORMAT_GUID_TAIL,
    WAVE_FORMAT_EXTENSIBLE,
    WRITABLE_FORMAT_TAGS,
    MetadataChunks,
)
from noisegate_cli.files.pcm import SAMPLE_WIDTH_BYTES, encode_pcm
from noisegate_cli.samples import Samples

MAX_WAV_BYTES = 0xFFFFFFFF - 0x10000
"""Maximum size of a WAV file, with some margin; larger files are RF64."""

RF64_SUBTYPES = {*WRITABLE_FORMAT_TAGS, "ULAW", "ALAW"}


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
    align = SAMPLE_WIDTH_BYTES[info.subtype] * info.channels
    # Simple readers expect `fmt ` at its usual offset.
    chunks_before_data = _build_fmt_chunk(info) + _build_fact_chunk(info, size) + before
    placeholder = struct.pack("<4sI28x", b"JUNK", 28) if reserve_ds64 else b""
    if size is None:
        riff_header = struct.pack("<4sI4s", b"RIFF", UNKNOWN_SIZE, b"WAVE") + placeholder
        return riff_header + chunks_before_data + struct.pack("<4sI", b"data", UNKNOWN_SIZE)
    riff_size = 4 + len(chunks_before_data) + 8 + size + size % 2 + after + 36 * reserve_ds64
    if riff_size <= MAX_WAV_BYTES and info.format != "RF64":
        riff_header = struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE") + placeholder
        return riff_header + chunks_before_data + struct.pack("<4sI", b"data", size)
    # EBU Tech 3306: 64-bit sizes of the file and of the samples, and the number of samples.
    sizes = struct.pack(
        "<4sIQQQI", b"ds64", 28, riff_size + 36 * (not reserve_ds64), size, size // align, 0
    )
    riff_header = struct.pack("<4sI4s", b"RF64", UNKNOWN_SIZE, b"WAVE") + sizes
    return riff_header + chunks_before_data + struct.pack("<4sI", b"data", UNKNOWN_SIZE)


def _build_fmt_chunk(info: AudioInfo) -> bytes:
    """Return the format of the samples, extensible only where the short form cannot describe it."""
    tag = WRITABLE_FORMAT_TAGS[info.subtype]
    width = SAMPLE_WIDTH_BYTES[info.subtype]
    align = width * info.channels
    default_masks = (0, 4 if info.channels == 1 else 3 if info.channels == 2 else 0)
    valid_bits = min(info.bit_depth, width * 8)
    extensible = (
        info.format == "WAVEX"
        or info.channel_mask not in default_masks
        or info.is_ambisonic
        or valid_bits < width * 8
    )
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
        fmt += struct.pack("<HHIH", 22, valid_bits, info.channel_mask, tag)
        fmt += AMBISONIC_GUID_TAIL if info.is_ambisonic else SUBFORMAT_GUID_TAIL
    elif tag == FLOAT:
        fmt += struct.pack("<H", 0)
    return struct.pack("<4sI", b"fmt ", len(fmt)) + fmt


def _build_fact_chunk(info: AudioInfo, size: int | None) -> bytes:
    """Return the number of samples, which a file of floats declares; empty for other files."""
    if WRITABLE_FORMAT_TAGS[info.subtype] != FLOAT:
        return b""
    align = SAMPLE_WIDTH_BYTES[info.subtype] * info.channels
    samples = UNKNOWN_SIZE if size is None else min(size // align, UNKNOWN_SIZE)
    return struct.pack("<4sII", b"fact", 4, samples)


def rf64_if_large(info: AudioInfo) -> AudioInfo:
    """Return `info` with the format RF64 if its samples may not fit in a WAV file."""
    size = info.samples * info.channels * SAMPLE_WIDTH_BYTES.get(info.subtype, 1)
    is_large = size > MAX_WAV_BYTES - MAX_METADATA_BYTES
    if is_large and info.format in ("WAV", "WAVEX") and info.subtype in RF64_SUBTYPES:
        return replace(info, format="RF64", endian="FILE")
    return info


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
        self._declared_size = expected
        self._file = path.open("xb", buffering=0)
        try:
            self._write_header()
        except BaseException:
            self._file.close()
            raise

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        octets = encode_pcm(block, self._info.subtype)
        self._write_bytes(octets)
        self._size += len(octets)

    def close(self) -> None:
        """Write the chunks after the samples, correct the sizes and close the file."""
        if self._file.closed:
            return
        with self._file:
            after = bytes(self._size % 2) + self._after
            self._write_bytes(after)
            if self._size != self._declared_size:
                self._declared_size = self._size
                self._file.seek(0)
                self._write_header()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._file.close()

    def _write_header(self) -> None:
        self._write_bytes(
            build_wav_header(
                self._info, self._declared_size, self._before, len(self._after), self._reserve_ds64
            )
        )

    def _write_bytes(self, octets: bytes | NDArray[np.uint8]) -> None:
        remaining = octets if isinstance(octets, bytes) else octets.data
        while len(remaining):
            remaining = remaining[self._file.write(remaining) :]


def is_wav_encodable(info: AudioInfo) -> bool:
    """Return whether `WavEncoder` writes the file instead of libsndfile."""
    return info.container.is_wav and info.subtype in WRITABLE_FORMAT_TAGS and info.endian != "BIG"

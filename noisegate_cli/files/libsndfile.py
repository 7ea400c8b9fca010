"""Read and write recordings through libsndfile, which is fast and bit-exact."""

import io
import math
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from noisegate_cli.errors import AudioError, DamageError
from noisegate_cli.files.audio_info import AudioInfo, quote_input
from noisegate_cli.files.formats import find_subtype, usual_name
from noisegate_cli.files.output_file import OutputFile
from noisegate_cli.files.riff import MIN_STREAMED_SIZE_BYTES
from noisegate_cli.files.soundfile_private import close_without_fsync
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.files.chapters import Chapter
    from noisegate_cli.files.file_parts import FilePart
    from noisegate_cli.files.holes import Hole
    from noisegate_cli.files.raw_format import RawFormat

TRUNCATION_LOG_MESSAGES = ("Last page lacks an end-of-stream bit", "Seems to be a truncated file")
"""Messages in libsndfile's log that reveal truncated Ogg and VOC files."""

OGG_HOLE_LOG_MESSAGE = "libogg reports a hole"
"""Message in libsndfile's log that reveals a damaged part of an Ogg file."""

UNKNOWN_LENGTH_SAMPLES = 1 << 62
"""libsndfile reports at least this many samples if a file doesn't declare its length."""

VORBIS_CHANNEL_ORDER = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}
"""Ogg channel index of each WAV channel, by number of channels.

Vorbis and Opus have their own order (Vorbis I specification, 4.3.9; RFC 7845, 5.1.1.2).
"""

MAX_RATE_ERROR = 1e-4
"""Maximum relative error of the sample rate in a file; SDS stores a period in nanoseconds."""

VORBIS_BIT_RATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
"""Bit rate per channel at 44.1 kHz for the Vorbis qualities 0, 0.1 … 1."""


class SndfileDecoder:
    """A recording open for reading through libsndfile.

    Raises
    ------
    soundfile.SoundFileError, OSError
        If libsndfile can't read the file.
    """

    def __init__(
        self, path: Path, raw: "RawFormat | None" = None, part: "FilePart | None" = None
    ) -> None:
        self._open(path, raw, part)
        file, start = self._file, part.start if part else 0
        container = file.format
        is_length_known = file.frames < UNKNOWN_LENGTH_SAMPLES
        self.info = AudioInfo(
            path=path,
            sample_rate=file.samplerate,
            channels=file.channels,
            samples=file.frames if is_length_known else 0,
            format=container,
            subtype=file.subtype,
            endian=file.endian,
            is_length_exact=is_length_known and container != "MP3",
        )
        if self.info.is_lossy and self.info.samples:
            size = part.end - part.start if part else path.stat().st_size
            rate = round(8 * size / self.info.duration)
            self.info = replace(self.info, bit_rate=rate)
        # The decoder of MP3 files stops early in some and writes messages to stderr.
        self.can_read_all = self.info.is_length_exact
        """Whether libsndfile can read the file to the end, and exactly."""
        if container == "VOC":
            from noisegate_cli.files.voc import has_several_sample_blocks

            self.can_read_all = not has_several_sample_blocks(path, start)
        is_estimated = container == "MP3"
        self.declared_length = 0.0 if is_estimated else _declared_length(self.info, file.extra_info)
        """Expected number of samples; 0 if it is unknown, infinite if some are missing but their
        number is unknown."""
        self.damaged = 0
        self.holes: list[Hole] = []
        self._channel_order: NDArray[np.intp] | None = None
        if container == "OGG" and file.channels > 2:
            self._find_channel_order(start)

    def _open(self, path: Path, raw: "RawFormat | None", part: "FilePart | None") -> None:
        with ExitStack() as stack:
            source: object = encode_path(path)
            if part:
                from noisegate_cli.files.file_parts import PartOfFile

                source = PartOfFile(stack.enter_context(path.open("rb")), part)
            self._file = sf.SoundFile(source, **(_raw_parameters(raw) if raw else {}))
            self._files = stack.pop_all()

    def _find_channel_order(self, start: int) -> None:
        """Set the order and the mapping family of the channels of an Ogg file from byte `start`."""
        from noisegate_cli.files.opus import (
            POSITIONED_FAMILY,
            read_mapping_family,
            unpositioned_family,
        )

        is_opus = self.info.subtype == "OPUS"
        family = read_mapping_family(self.info.path, start) if is_opus else POSITIONED_FAMILY
        self.info = replace(self.info, opus_mapping_family=unpositioned_family(family))
        order = VORBIS_CHANNEL_ORDER.get(self.info.channels)
        if family == POSITIONED_FAMILY and order is not None:
            self._channel_order = np.array(order)

    tolerance_samples = 0
    chapters: "tuple[Chapter, ...]" = ()  # They are in the tags.

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._files.close()

    @property
    def tags(self) -> dict[str, str]:
        """Tags that libsndfile supports, such as title and artist."""
        return dict(self._file.copy_metadata())

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of `length` samples; see `AudioReader.blocks`.

        Raises
        ------
        DamageError
            If decoding fails.
        """
        info = self.info
        last, left = False, self._file.frames
        buffer = np.empty((min(length, left), info.channels), info.dtype)
        is_ogg = info.format == "OGG"
        while not last:
            # Other bytes can follow the last FLAC frame, such as tags, which are not damage.
            part = buffer[: min(length, left)]
            try:
                block = self._file.read(out=part) if len(part) else part
            except sf.SoundFileError as error:
                raise DamageError(error_text(error)) from error
            if is_ogg and OGG_HOLE_LOG_MESSAGE in self._file.extra_info and not self.damaged:
                self.damaged += 1
                raise DamageError("a part of the stream is missing")  # FFmpeg can fill the hole.
            last, left = len(block) < length, left - len(block)
            yield block if self._channel_order is None else block[:, self._channel_order], last


def _raw_parameters(raw: "RawFormat") -> dict[str, object]:
    return {
        "samplerate": raw.sample_rate,
        "channels": raw.channels,
        "format": "RAW",
        "subtype": raw.subtype,
        "endian": "BIG" if raw.big_endian else "LITTLE",
    }


class SndfileEncoder:
    """A recording open for writing through libsndfile."""

    def __init__(self, path: Path, info: AudioInfo, tags: dict[str, str]) -> None:
        self._output = OutputFile(path)
        try:
            self._file = sf.SoundFile(
                self._output, "w", **_sndfile_parameters(info), **_compression_parameters(info)
            )
        except BaseException:
            self._output.close()
            raise
        order = VORBIS_CHANNEL_ORDER.get(info.channels) if info.format == "OGG" else None
        self._channel_order = None if order is None else np.argsort(order)
        for name, text in tags.items():
            # Not every format supports every tag.
            with suppress(sf.SoundFileError, AttributeError):
                setattr(self._file, name, text)

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        if self._channel_order is not None:
            block = np.ascontiguousarray(block[:, self._channel_order])
        self._file.write(block)
        self._output.check()

    def close(self) -> None:
        """Write the rest of the file and close it."""
        if not self._output.closed:
            try:
                close_without_fsync(self._file)
            finally:
                self._output.close()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._output.discard()
        with suppress(OSError, sf.SoundFileError):
            self.close()


@cache
def unsupported_reason(info: AudioInfo) -> str:
    """Return why libsndfile can't write such a recording, or an empty string if it can.

    A trial is necessary because libsndfile's table of formats is wrong.
    """
    if info.format == "SD2":
        return "an SD2 file consists of two files"
    adds_sample = info.format == "VOC" and info.subtype in ("ULAW", "ALAW")
    # ALAC goes through a temporary file. If that can't be written, libsndfile drops the samples
    # or frees memory twice. libsndfile can't read the DWVW files that it writes.
    if adds_sample or info.subtype.startswith(("ALAC", "DWVW")):
        return f"libsndfile cannot write {info.subtype} in {info.format} exactly"
    max_rate_hz = find_subtype(info.subtype).max_encoder_rate_hz
    if 0 < max_rate_hz < info.sample_rate:
        return f"{usual_name(info.subtype)} is limited to {max_rate_hz} Hz"
    file = io.BytesIO()
    try:
        with sf.SoundFile(file, "w", **_sndfile_parameters(info)) as trial:
            # FLAC checks its parameters only now. VOX ADPCM can't write a single sample.
            trial.write(np.zeros((2, info.channels), info.dtype))
    except (sf.SoundFileError, ValueError) as error:
        return error_text(error)
    rate = _read_sample_rate(file)
    if rate is None or abs(rate - info.sample_rate) <= MAX_RATE_ERROR * info.sample_rate:
        return ""
    return f"its sample rate would become {rate} Hz"


def _read_sample_rate(file: io.BytesIO) -> int | None:
    """Return the sample rate of a new file; None if it can't be read."""
    file.seek(0)
    try:
        with sf.SoundFile(file) as reopened:
            return int(reopened.samplerate)
    except (sf.SoundFileError, ValueError, TypeError):
        return None


def _compression_parameters(info: AudioInfo) -> dict[str, Any]:
    """Return libsndfile parameters that approximate the bit rate of `info`.

    libsndfile expects a compression level from 0 to 1, whose meaning depends on the codec.
    """
    if info.quality is not None:
        is_mp3 = info.subtype == "MPEG_LAYER_III"
        level = info.quality / 10 if is_mp3 else 1 - info.quality / 10
        return {"compression_level": level} | ({"bitrate_mode": "VARIABLE"} if is_mp3 else {})
    if not info.bit_rate:
        return {}
    kbps = info.bit_rate / 1000
    if info.subtype == "OPUS":
        return {"compression_level": min(1.0, max(0.0, 1 - (kbps / info.channels - 6) / 250))}
    if info.subtype == "VORBIS":
        rate_factor = max(1.0, 44100 / info.sample_rate) ** 0.7
        quality = np.interp(
            kbps / info.channels * rate_factor, VORBIS_BIT_RATES_KBPS, np.linspace(0, 1, 11)
        )
        return {"compression_level": 1 - float(quality)}
    return {}


def _sndfile_parameters(info: AudioInfo) -> dict[str, Any]:
    return {
        "samplerate": info.sample_rate,
        "channels": info.channels,
        "format": info.format,
        "subtype": info.subtype,
        "endian": info.endian,
    }


def encode_path(path: Path) -> str | bytes:
    """Return a path for libsndfile: bytes, which may be undecodable, or a string on Windows."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _declared_length(info: AudioInfo, log: str) -> float:
    """Return the number of samples that a recording should have; infinite if it is unknown.

    libsndfile reads the samples that exist and logs the declared and the actual size in bytes.
    """
    if any(words in log for words in TRUNCATION_LOG_MESSAGES):
        return math.inf
    for declared_length, actual in _parse_logged_sizes(log):
        if actual < declared_length < MIN_STREAMED_SIZE_BYTES:
            expected = info.samples * declared_length / actual if info.samples else math.inf
            # A difference of less than one sample is padding that was not written.
            if expected - info.samples >= 1:
                return expected
    return info.samples


def _parse_logged_sizes(log: str) -> Iterator[tuple[int, int]]:
    """Yield the declared and the actual size of each chunk that the log reports as wrong."""
    if "(should be " not in log:
        return
    for declared_length, actual in re.findall(
        r"^ *(?:data|SSND|riff|Riff size|Data Size) *: (\d+) \(should be (\d+)\)", log, re.MULTILINE
    ):
        yield int(declared_length), int(actual)


def unreadable_error(path: Path, error: Exception) -> AudioError:
    """Return the error for a file that is not a readable recording."""
    return AudioError(
        f"{quote_input(path)} is not a readable recording ({error_text(error)}): "
        "if another program can open it, convert it to WAV or FLAC with that program"
    )


def error_text(error: Exception) -> str:
    """Return libsndfile's error message without the path that precedes it."""
    words = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return words.rstrip(".").removeprefix("Error : ").strip()

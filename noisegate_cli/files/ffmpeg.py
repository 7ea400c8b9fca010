"""Read and write formats that libsndfile doesn't support, through PyAV (FFmpeg's libraries)."""

import io
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from noisegate_cli.errors import AudioError
from noisegate_cli.files.formats import (
    DEMUXERS,
    EXTENSION_DEMUXERS,
    AudioInfo,
    find_format_by_demuxer,
)
from noisegate_cli.files.mpeg import FilePart, find_parts
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.protocols import Decoder
from noisegate_cli.samples import Samples

ROUNDED_LENGTH_TOLERANCE_S = 0.25
"""Seconds that may be missing from a recording in a container with a rounded length."""

INTEGER_FORMAT_BITS = {"u8": 8, "s16": 16, "s32": 32}
"""FFmpeg's integer sample formats and their bit depths."""

EXACT_FLOAT_CODECS = ("pcm", "wavpack")
"""Prefixes of codecs that store float samples without loss."""

SPEAKERS = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()
"""FFmpeg's names of the speakers in a channel mask, starting with the lowest bit."""

MP4_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
CODEC_LAYOUTS = {"AAC": MP4_LAYOUTS, "ALAC_16": MP4_LAYOUTS, "ALAC_24": MP4_LAYOUTS}
"""Channel layouts that a codec supports, by number of channels."""

BUFFER_BYTES = 1 << 18
"""Size of FFmpeg's read buffer."""


MPEG_TOLERANCE_SAMPLES = 2 * 1152
"""Samples that may be missing from an MP3 file, since some encoders count the length header as a
frame, and since the first frame may need bits of a frame that is not there."""


def open_decoder(path: Path, expects_mpeg: bool = False) -> Decoder:
    """Open the recording at `path`; see `PyavDecoder` for the errors.

    If `expects_mpeg` is true and FFmpeg doesn't recognize the format, for example since the file
    is damaged, it is read as MPEG audio.
    """
    try:
        decoder = PyavDecoder(path)
        if decoder.demuxer != "mp3":
            return decoder
        decoder.close()
    except AudioError as error:
        if expects_mpeg:
            with suppress(AudioError):
                return JoinedDecoder(path, find_parts(path))
        raise error
    return JoinedDecoder(path, find_parts(path))


class PyavDecoder:
    """A recording open for reading through PyAV.

    Raises
    ------
    AudioError
        If the file contains no audio that can be decoded. The message contains no path.
    """

    def __init__(self, path: Path, part: FilePart | None = None) -> None:
        # Pass an open file instead of a path: FFmpeg interprets "http:…" and "concat:…" as URLs.
        self._file = path.open("rb")
        try:
            self._open_container(path, part)
            self._choose_stream()
            self._start_decoding()
            self.info = self._build_info(path)
        except BaseException:
            self.close()
            raise

    def _open_container(self, path: Path, part: FilePart | None) -> None:
        self._container: Any = None
        try:
            self._container = av.open(
                _UnnamedFile(self._file) if part is None else _PartOfFile(self._file, part),
                format="mp3" if part else EXTENSION_DEMUXERS.get(path.suffix.lower()),
                options={
                    "protocol_whitelist": "none",
                    "format_whitelist": ",".join(DEMUXERS),
                },
                metadata_errors="replace",
                buffer_size=BUFFER_BYTES,
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioError(_error_text(error)) from error
        self.demuxer = self._container.format.name.split(",")[0]
        """FFmpeg's name of the container."""

    def _choose_stream(self) -> None:
        """Choose the main audio stream."""
        streams = self._container.streams.audio
        if not streams:
            raise AudioError("there is no sound in it")
        self._stream = self._container.streams.best("audio") or streams[0]
        self.other_streams = len(streams) - 1

    def _start_decoding(self) -> None:
        """Decode the first frame, since only frames tell the format of the samples reliably."""
        self.damaged = 0
        """Number of errors while decoding, such as packets that could not be decoded."""
        self._frames = self._decode_packets()
        self._first_frame: Any = next(self._frames, None)
        if self._first_frame is None:
            raise AudioError("nothing in it can be decoded")
        self._frame_format = _frame_format(self._first_frame)
        self._length = self._declared_length()
        self.declared_length = float(self._length or 0)
        """Expected number of samples; 0 if unknown."""

    def _build_info(self, path: Path) -> AudioInfo:
        frame, coder = self._first_frame, self._stream.codec_context
        return AudioInfo(
            path=path,
            sample_rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            samples=self._length or 0,
            format=find_format_by_demuxer(self.demuxer, path.suffix.lower()).name,
            subtype=_subtype_name(coder, frame.format, path),
            channel_mask=_channel_mask(frame.layout),
            bit_rate=coder.bit_rate or self._average_bit_rate(path),
        )

    def _average_bit_rate(self, path: Path) -> int:
        """Return the average bit rate of a file with a single stream; 0 if it is unknown."""
        if not self._length or len(self._container.streams) > 1:
            return 0
        return int(8 * path.stat().st_size * self._first_frame.sample_rate / self._length)

    def _declared_length(self) -> int | None:
        """Return the number of samples that the container declares; None if it is unknown."""
        stream, rate = self._stream, self._first_frame.sample_rate
        lengths = []
        if stream.duration and stream.time_base:
            lengths.append(stream.duration * stream.time_base * rate)
        elif self._container.duration:
            lengths.append(Fraction(self._container.duration, av.time_base) * rate)
        if self.demuxer == "caf" and stream.frames and stream.codec_context.name.startswith("pcm"):
            lengths.append(Fraction(stream.frames))
        length = round(max(lengths, default=Fraction(0)))
        # A length of more than two years is implausible.
        return length if 0 < length < rate * 2**26 else None

    def __enter__(self) -> "PyavDecoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
        self._file.close()

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the container and the audio stream, such as title and artist."""
        return dict(self._container.metadata) | dict(self._stream.metadata)

    @property
    def tolerance_samples(self) -> int:
        """Number of samples that may be missing without a warning."""
        accuracy = self.info.container.length
        if accuracy == "estimated":
            return self.info.samples // 10
        if accuracy == "rounded":
            return round(ROUNDED_LENGTH_TOLERANCE_S * self.info.sample_rate)
        return 0

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of about `length` samples; see `AudioReader.blocks`."""
        ready: list[Samples] = []
        block: Samples | None = None
        count = 0
        for samples in self._all_samples():
            ready.append(samples)
            count += len(samples)
            if count >= length:
                if block is not None:
                    yield block, False
                # Joined planar frames are not contiguous in memory, which is slow to gate.
                block, ready, count = np.ascontiguousarray(np.concatenate(ready)), [], 0
        if block is not None:
            yield block, not count
        if count or block is None:
            nothing = np.zeros((0, self.info.channels), self.info.dtype)
            yield np.concatenate([nothing, *ready]), True

    def blocks_from(self, start: int, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read like `blocks`, starting at sample `start`."""
        for block, last in self.blocks(length):
            skipped = min(start, len(block))
            start -= skipped
            if skipped < len(block) or last:
                yield block[skipped:], last

    def _all_samples(self) -> Iterator[Samples]:
        """Yield the samples of each frame that belong to the recording."""
        # The edit list of an MP4 file limits which decoded samples belong to the recording.
        remaining = self._length if self.demuxer == "mov" and self._length else math.inf
        for frame in self._all_frames():
            samples = self._frame_samples(frame)
            samples = samples[: int(min(remaining, len(samples)))]
            remaining -= len(samples)
            yield samples
            if not remaining:
                return

    def _all_frames(self) -> Iterator[Any]:
        if self._first_frame is not None:
            yield self._first_frame
        for frame in self._frames:
            if _frame_format(frame) != self._frame_format:
                # After a change of sample rate or channels, the blocks would not fit together.
                self.damaged += 1
                continue
            yield frame

    def _decode_packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.damaged += 1
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                self.damaged += 1
                continue
            yield from (frame for frame in frames if frame.samples)

    def _frame_samples(self, frame: Any) -> Samples:
        """Return the samples of a frame in the sample type of the recording."""
        values = frame.to_ndarray()
        channels = frame.layout.nb_channels
        values = values.T if frame.format.is_planar else values.reshape(-1, channels)
        if values.dtype == np.uint8:
            values = (values.astype(np.int16) - 128) << 8
        return convert_to_subtype(values, self.info.subtype)[0]


class JoinedDecoder:
    """An MP3 file open for reading through PyAV; it can be several files joined end to end.

    Raises
    ------
    AudioError
        If the first part contains no audio that can be decoded. The message contains no path.
    """

    other_streams = 0

    def __init__(self, path: Path, parts: list[FilePart]) -> None:
        self._path = path
        self._parts = parts
        self._decoder = PyavDecoder(path, parts[0])
        self.damaged = 0
        """Number of errors while decoding; see `PyavDecoder`."""
        duration = self._decoder.info.duration
        for part in parts[1:]:
            with suppress(AudioError), PyavDecoder(path, part) as decoder:
                duration += decoder.info.duration
        samples = round(duration * self._decoder.info.sample_rate)
        self.info = replace(self._decoder.info, samples=samples)
        is_declared = all(part.declares_length for part in parts)
        self.declared_length = float(self.info.samples if is_declared else 0)
        """Expected number of samples; 0 if it is unknown."""

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the first part."""
        return self._decoder.tags

    @property
    def tolerance_samples(self) -> int:
        """Number of samples that may be missing without a warning."""
        return MPEG_TOLERANCE_SAMPLES * len(self._parts)

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of about `length` samples; see `AudioReader.blocks`."""
        expected = self.info.channels, self.info.sample_rate
        for index, part in enumerate(self._parts):
            if index:
                self._decoder.close()
                try:
                    self._decoder = PyavDecoder(self._path, part)
                except AudioError:
                    self.damaged += 1
                    continue
            info = self._decoder.info
            if (info.channels, info.sample_rate) != expected:
                self.damaged += 1
                continue
            for block, _ in self._decoder.blocks(length):
                yield block, False
            self.damaged += self._decoder.damaged
        yield np.zeros((0, self.info.channels), self.info.dtype), True


class PyavEncoder:
    """A recording open for writing through PyAV."""

    def __init__(self, path: Path, info: AudioInfo, tags: dict[str, str]) -> None:
        self._info = info
        muxer, codec = info.container.muxer, info.container.encoders[info.subtype]
        # MP4 rounds the length in its edit list to units of this time scale.
        options = {"movie_timescale": str(info.sample_rate)} if info.format == "M4A" else {}
        self._file = path.open("xb")
        self._container: Any = av.open(self._file, "w", format=muxer, options=options)
        self._container.metadata.update(tags)
        self._layout = channel_layout(info)
        self._stream: Any = self._container.add_stream(
            codec, rate=info.sample_rate, layout=self._layout
        )
        coder: Any = self._stream.codec_context
        if info.is_lossy and info.bit_rate:
            coder.bit_rate = info.bit_rate
        coder.format = av.AudioFormat(ENCODER_SAMPLE_FORMATS[codec, info.dtype.name])
        self._written_samples = 0

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        if not len(block):
            return
        names = {"int16": "s16", "int32": "s32", "float32": "flt", "float64": "dbl"}
        packed = np.ascontiguousarray(block).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, names[block.dtype.name], self._layout)
        frame.sample_rate = self._info.sample_rate
        frame.time_base = Fraction(1, self._info.sample_rate)
        frame.pts = self._written_samples
        self._written_samples += len(block)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush the encoder, write the index and close the file."""
        if not self._file.closed:
            try:
                self._container.mux(self._stream.encode(None))
                self._container.close()
            finally:
                self._file.close()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._file.close()


ENCODER_SAMPLE_FORMATS = {
    ("alac", "int16"): "s16p",
    ("alac", "int32"): "s32p",
    ("flac", "int16"): "s16",
    ("flac", "int32"): "s32",
    ("wavpack", "int16"): "s16p",
    ("wavpack", "int32"): "s32p",
    ("wavpack", "float32"): "fltp",
    ("tta", "int16"): "s16",
    ("tta", "int32"): "s32",
    ("libopus", "float32"): "flt",
    ("aac", "float32"): "fltp",
}
"""FFmpeg sample format that each encoder expects, by codec and numpy type."""


class _UnnamedFile:
    """An open file that hides its name, so that FFmpeg can't guess the format from it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek to an offset; return -1 if it is invalid, as offsets in a damaged index can be."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


class _PartOfFile:
    """A part of an open file, which looks like a whole file to FFmpeg."""

    def __init__(self, file: io.BufferedReader, part: FilePart) -> None:
        self._file = file
        self._start, self._size = part.start, part.end - part.start
        file.seek(self._start)

    def read(self, length: int) -> bytes:
        """Read up to `length` bytes, but not beyond the end of the part."""
        return self._file.read(max(0, min(length, self._size - self.tell())))

    def tell(self) -> int:
        """Return the position in the part."""
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek to an offset; return -1 if it is invalid."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        if not 0 <= origin + offset <= self._size:
            return -1
        return self._file.seek(self._start + origin + offset) - self._start


@cache
def unsupported_reason(info: AudioInfo) -> str:
    """Return why PyAV can't write such a recording, or an empty string if it can."""
    codec = info.container.encoders.get(info.subtype)
    if codec is None:
        return f"{info.format} can't hold {info.subtype}"
    try:
        coder: Any = av.CodecContext.create(codec, "w")
        coder.sample_rate = info.sample_rate
        coder.layout = channel_layout(info)
        coder.format = av.AudioFormat(ENCODER_SAMPLE_FORMATS[codec, info.dtype.name])
        coder.time_base = Fraction(1, info.sample_rate)
        coder.open()
    except (av.FFmpegError, ValueError, OSError):
        return f"{codec} can't encode {info.channels} channels at {info.sample_rate} Hz"
    return ""


def channel_layout(info: AudioInfo) -> str:
    """Return FFmpeg's name for the channel layout of a recording."""
    names = [name for bit, name in enumerate(SPEAKERS) if info.channel_mask >> bit & 1]
    if info.subtype in CODEC_LAYOUTS:
        return CODEC_LAYOUTS[info.subtype].get(info.channels, f"{info.channels} channels")
    if len(names) == info.channels and info.channel_mask < 1 << len(SPEAKERS):
        return "+".join(names)
    default_layouts = {
        1: "mono",
        2: "stereo",
        3: "2.1",
        4: "quad",
        5: "5.0",
        6: "5.1",
        7: "6.1",
        8: "7.1",
    }
    return default_layouts.get(info.channels, f"{info.channels} channels")


def _channel_mask(layout: Any) -> int:
    names = [channel.name for channel in layout.channels]
    bits = [SPEAKERS.index(name) for name in names if name in SPEAKERS]
    return sum(1 << bit for bit in bits) if len(set(bits)) == len(names) else 0


def _frame_format(frame: Any) -> tuple[int, int, str]:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name


def _subtype_name(coder: Any, sample_format: Any, path: Path) -> str:
    """Return libsndfile's subtype name for a lossless codec, or the name of a lossy codec."""
    name, packed_format = coder.codec.canonical_name, sample_format.packed.name
    name = {"mp3": "mpeg_layer_iii", "mp2": "mpeg_layer_ii", "mp1": "mpeg_layer_i"}.get(name, name)
    if not coder.codec.lossless or (
        packed_format in ("flt", "dbl") and not name.startswith(EXACT_FLOAT_CODECS)
    ):
        return str(name.upper())
    if packed_format in ("flt", "dbl"):
        return "FLOAT" if packed_format == "flt" else "DOUBLE"
    bits = INTEGER_FORMAT_BITS.get(packed_format, 32)
    if bits == 32 and not name.startswith(("pcm_s32", "pcm_u32")):
        bits = _stored_bit_depth(name, coder.extradata, path)
    if name == "alac":
        return f"ALAC_{bits}"
    return "PCM_U8" if bits == 8 else f"PCM_{bits}"


def _stored_bit_depth(codec: str, header: bytes | None, path: Path) -> int:
    """Return the bit depth of samples that decode to 32 bits, which PyAV doesn't report."""
    if codec == "flac" and header and len(header) >= 18:
        # Sample rate, channels and bits precede the number of samples (RFC 9639, 8.2).
        bits = (int.from_bytes(header[12:14], "big") >> 4 & 31) + 1
        return 32 if bits > 24 else 24
    if codec == "wavpack":
        with path.open("rb") as file:
            # The lowest two bits of the block flags are the bytes per sample minus one.
            start = file.read(28)
        return 32 if start[:4] == b"wvpk" and start[24] & 3 == 3 else 24
    return 24


def _error_text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()

"""Read and write formats that libsndfile doesn't support, through PyAV (FFmpeg's libraries)."""

import io
import sys
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
from noisegate_cli.files.holes import MAX_HOLE_S, Hole, HoleFinder, parse_flac_position
from noisegate_cli.files.mpeg import FilePart, find_parts
from noisegate_cli.files.output_file import OutputFile
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.protocols import Decoder
from noisegate_cli.samples import Samples

ROUNDED_LENGTH_TOLERANCE_S = 0.25
"""Seconds that may be missing from a recording in a container with a rounded length."""

INTEGER_FORMAT_BITS = {"u8": 8, "s16": 16, "s32": 32}
"""FFmpeg's integer sample formats and their bit depths."""

FRAME_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
"""numpy type of each of FFmpeg's packed sample formats."""

SILENCE_U8 = 128
"""Value of silence in unsigned samples of 8 bits."""

EXACT_FLOAT_CODECS = ("pcm", "wavpack")
"""Prefixes of codecs that store float samples without loss."""

SPEAKERS = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()
"""FFmpeg's names of the speakers in a channel mask, starting with the lowest bit."""

MP4_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
CODEC_LAYOUTS = {"AAC": MP4_LAYOUTS, "ALAC_16": MP4_LAYOUTS, "ALAC_24": MP4_LAYOUTS}
"""Channel layouts that a codec supports, by number of channels."""

BUFFER_BYTES = 1 << 18
"""Size of FFmpeg's read buffer."""


SHARED_DURATION_DEMUXERS = ("matroska", "flv", "asf", "rm", "nut")
"""FFmpeg's names of the containers that declare the duration of their longest track."""

FRAME_DEMUXERS = ("mp3", "aac", "ac3", "eac3", "dts", "loas", "truehd", "mlp")
"""FFmpeg's names of formats without a container, whose time stamps count the frames."""

MAX_END_OFFSET_S = 1.0
"""Maximum time in seconds between the ends of tracks that end together."""

MAX_AUDIO_FRAME_PLANES = 7
"""PyAV accesses invalid memory if a frame has more planes."""

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
            self._take_custom_layout()
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
        self.chapters = len(self._container.chapters())

    def _take_custom_layout(self) -> None:
        """Replace a channel layout that PyAV can't handle.

        MOV and CAF files can declare a position for each channel, in any order. PyAV frees such a
        layout each time that it is read, so it is read only once, and frames never get it.
        """
        self._custom_mask, self._channel_order = 0, None
        coder = self._stream.codec_context
        layout = coder.layout if coder else None
        if layout is None or " channels (" not in layout.name:
            return
        coder.layout = f"{layout.nb_channels} channels"
        bits = _speaker_bits(layout)
        if bits:
            self._custom_mask = sum(1 << bit for bit in bits)
            self._channel_order = None if bits == sorted(bits) else np.argsort(bits)

    def _start_decoding(self) -> None:
        """Decode the first frame, since only frames tell the format of the samples reliably."""
        self.damaged = 0
        """Number of errors while decoding, such as packets that could not be decoded."""
        self.holes: list[Hole] = []
        """Holes that are filled with silence; see `Decoder.holes`."""
        coder = self._stream.codec_context
        self._samples_per_tick = float((self._stream.time_base or 0) * (coder.sample_rate or 0))
        self._hole_finder = HoleFinder(
            max(0.5, 2 * self._samples_per_tick), MAX_HOLE_S * (coder.sample_rate or 0)
        )
        self._packet_bytes = self._packets = self._uncounted_ticks = 0
        self._last_end_s = self._audio_end_s = 0.0  # ends of all tracks, and of this one
        self._frames = self._decode_packets()
        self._first_frame: Any = next(self._frames, None)
        if self._first_frame is None:
            raise AudioError("nothing in it can be decoded")
        self._frame_format = _frame_format(self._first_frame)
        if self._first_frame.layout.name == f"{self._first_frame.layout.nb_channels} channels":
            self._channel_mask = self._custom_mask
        else:  # The decoder has its own layout and order.
            self._channel_mask, self._channel_order = _channel_mask(self._first_frame.layout), None
        self._packer = av.AudioResampler(format=self._first_frame.format.packed)
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
            channel_mask=self._channel_mask,
            bit_rate=coder.bit_rate or self._average_bit_rate(path),
        )

    def _average_bit_rate(self, path: Path) -> int:
        """Return the average bit rate of a file with a single stream; 0 if it is unknown."""
        if not self._length or len(self._container.streams) > 1:
            return 0
        return int(8 * path.stat().st_size * self._first_frame.sample_rate / self._length)

    @property
    def _shares_duration(self) -> bool:
        """Whether the declared duration is that of the longest track."""
        return self.demuxer in SHARED_DURATION_DEMUXERS

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
        block: Samples | None = None
        for values in self._decoded_blocks(length):
            if block is not None:
                yield block, False
            block = convert_to_subtype(values, self.info.subtype)[0]
        if block is None:
            block = np.zeros((0, self.info.channels), self.info.dtype)
        yield block, True

    def blocks_from(self, start: int, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read like `blocks`, starting at sample `start`."""
        for block, last in self.blocks(length):
            skipped = min(start, len(block))
            start -= skipped
            if skipped < len(block) or last:
                yield block[skipped:], last

    def _decoded_blocks(self, length: int) -> Iterator[Samples]:
        """Yield blocks of about `length` samples in the sample type of the decoder."""
        # Frames can be short. Joining arrays takes several times as long as filling one.
        dtype, channels = _frame_dtype(self._first_frame), self.info.channels
        block, filled = np.empty((0, channels), dtype), 0
        for frame, count in self._trimmed_frames():
            if filled + count > len(block):
                if filled:
                    yield self._convert_block(block[:filled])
                block, filled = np.empty((max(length, count), channels), dtype), 0
            target = block[filled : filled + count]
            if frame is None:
                target[:] = SILENCE_U8 if dtype == np.uint8 else 0
            else:
                _copy_frame(frame, target)
            filled += count
        if filled:
            yield self._convert_block(block[:filled])

    def _convert_block(self, block: Samples) -> Samples:
        """Return signed samples in the channel order of WAV files."""
        if self._channel_order is not None:
            block = np.ascontiguousarray(block[:, self._channel_order])
        return (block.astype(np.int16) - SILENCE_U8) << 8 if block.dtype == np.uint8 else block

    def _trimmed_frames(self) -> Iterator[tuple[Any, int]]:
        """Yield each frame, and how many of its samples belong to the recording.

        The frame is None for silence in place of a hole, of at most a second.
        """
        # The edit list of an MP4 file limits which decoded samples belong to the recording.
        left = self._length if self.demuxer == "mov" and self._length else sys.maxsize
        position = 0
        for frame in self._all_frames():
            pts = frame.pts
            time = None if pts is None else (pts + self._uncounted_ticks) * self._samples_per_tick
            missing = self._hole_finder.find(time, frame.samples)
            if missing:
                self.holes.append(Hole(position, missing))
            rate = self.info.sample_rate
            silence = ((None, min(rate, missing - start)) for start in range(0, missing, rate))
            for part, samples in (*silence, (self._readable(frame), frame.samples)):
                count = min(left, samples)
                left -= count
                position += count
                yield part, count
                if not left:
                    return
        if self._shares_duration:
            self.declared_length = float(position) + self._missing_at_end()

    def _readable(self, frame: Any) -> Any:
        """Return a frame whose samples PyAV can access."""
        if not frame.format.is_planar or self.info.channels <= MAX_AUDIO_FRAME_PLANES:
            return frame
        (packed,) = self._packer.resample(frame)
        return packed

    def _missing_at_end(self) -> float:
        """Return the number of samples that are missing at the end of a container.

        The container declares when its longest track ends.
        """
        if self._last_end_s - self._audio_end_s > MAX_END_OFFSET_S:
            return 0.0
        declared_end_s = (self._container.duration or 0) / av.time_base
        return max(0.0, declared_end_s - self._last_end_s) * self.info.sample_rate

    def _all_frames(self) -> Iterator[Any]:
        yield self._first_frame
        for frame in self._frames:
            if _frame_format(frame) != self._frame_format:
                # After a change of sample rate or channels, the blocks would not fit together.
                self.damaged += 1
                continue
            yield frame

    def _decode_packets(self) -> Iterator[Any]:
        # The other tracks tell where a container ends.
        streams = () if self._shares_duration else (self._stream,)
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.damaged += 1
                return
            pts, is_other = packet.pts, packet.stream is not self._stream
            if self._shares_duration and pts is not None:
                end_s = float((pts + (packet.duration or 0)) * packet.time_base)
                self._last_end_s = max(self._last_end_s, end_s)
                self._audio_end_s = self._audio_end_s if is_other else end_s
            if is_other:
                continue
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                self.damaged += 1
                self._note_lost_packet(packet)
                continue
            self._packet_bytes += packet.size
            self._packets += 1
            if self.demuxer == "flac":
                self._number_flac_frames(packet, frames)
            yield from (frame for frame in frames if frame.samples)

    def _note_lost_packet(self, packet: Any) -> None:
        """Note that a packet could not be decoded."""
        pts = packet.pts
        self._hole_finder.note_error(None if pts is None else pts * self._samples_per_tick)
        if self.demuxer in FRAME_DEMUXERS and self._packet_bytes:
            # Frames whose headers are damaged are part of the packet, which counts as one.
            frames = round(packet.size * self._packets / self._packet_bytes)
            self._uncounted_ticks += max(0, frames - 1) * (packet.duration or 0)

    def _number_flac_frames(self, packet: Any, frames: list[Any]) -> None:
        """Set the time stamps of FLAC frames, which FFmpeg counts as if there were no holes."""
        header = self._stream.codec_context.extradata or b""
        # The minimum and the maximum block size are first (RFC 9639, 8.2).
        position = parse_flac_position(bytes(packet)[:11], int.from_bytes(header[2:4], "big"))
        for frame in frames:
            frame.pts = None if position is None else round(position / self._samples_per_tick)
            position = None if position is None else position + frame.samples


class JoinedDecoder:
    """An MP3 file open for reading through PyAV; it can be several files joined end to end.

    Raises
    ------
    AudioError
        If no part contains audio that can be decoded. The message contains no path.
    """

    other_streams = chapters = 0

    def __init__(self, path: Path, parts: list[FilePart]) -> None:
        self._path = path
        self._decoder, parts = _open_first_part(path, parts)
        self._parts = parts
        self.damaged = 0
        """Number of errors while decoding; see `PyavDecoder`."""
        self.holes: list[Hole] = []
        """Holes that are filled with silence; see `Decoder.holes`."""
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
        position = 0
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
            start = position
            for block, _ in self._decoder.blocks(length):
                position += len(block)
                yield block, False
            self.damaged += self._decoder.damaged
            self.holes += [Hole(start + hole.start, hole.length) for hole in self._decoder.holes]
        yield np.zeros((0, self.info.channels), self.info.dtype), True


def _open_first_part(path: Path, parts: list[FilePart]) -> tuple[PyavDecoder, list[FilePart]]:
    """Open the first part that can be decoded; return it, and the parts from it on."""
    errors = []
    for index, part in enumerate(parts):
        try:
            return PyavDecoder(path, part), parts[index:]
        except AudioError as error:  # other bytes before the first frame
            errors.append(error)
    raise errors[0]


class PyavEncoder:
    """A recording open for writing through PyAV."""

    def __init__(self, path: Path, info: AudioInfo, tags: dict[str, str]) -> None:
        self._info = info
        muxer, codec = info.container.muxer, info.container.encoders[info.subtype]
        # MP4 rounds the length in its edit list to units of this time scale.
        options = {"movie_timescale": str(info.sample_rate)} if info.format == "M4A" else {}
        if muxer in ("matroska", "webm"):
            options = {"fflags": "+bitexact"}  # Otherwise the file contains random identifiers.
        self._file = OutputFile(path)
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
        self._encoded_samples = 0
        self._frame_samples = 0
        """Length of the frames to encode; 0 if the encoder divides blocks into frames itself."""
        if _find_min_frame_samples(info):
            coder.open()
            self._frame_samples = coder.frame_size
        self._rest = np.zeros((0, info.channels), info.dtype)
        """Samples that do not fill a frame yet."""

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        if self._frame_samples:
            block = np.concatenate([self._rest, block])
            end = len(block) // self._frame_samples * self._frame_samples
            block, self._rest = block[:end], block[end:]
        if len(block):
            self._container.mux(self._stream.encode(self._build_frame(block)))
            self._file.check()

    def _build_frame(self, block: Samples) -> Any:
        """Return the next frame of samples."""
        names = {"int16": "s16", "int32": "s32", "float32": "flt", "float64": "dbl"}
        packed = np.ascontiguousarray(block).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, names[block.dtype.name], self._layout)
        frame.sample_rate = self._info.sample_rate
        frame.time_base = Fraction(1, self._info.sample_rate)
        frame.pts = self._encoded_samples
        self._encoded_samples += len(block)
        return frame

    def close(self) -> None:
        """Flush the encoder, write the index and close the file."""
        if not self._file.closed:
            try:
                is_short = 0 < len(self._rest) < _find_min_frame_samples(self._info)
                if len(self._rest) and not is_short:
                    self._container.mux(self._stream.encode(self._build_frame(self._rest)))
                self._container.mux(self._stream.encode(None))
                if is_short:
                    self._container.mux(self._encode_short_frame(self._rest))
                self._container.close()
            finally:
                self._file.close()

    def _encode_short_frame(self, samples: Samples) -> Iterator[Any]:
        """Yield the packet of a last frame for which the encoder allocates too little memory."""
        coder = _create_coder(self._info)
        if coder.name == "tta":
            # The encoder has the same result for 24 bits, as there are no samples to predict from,
            # but it allocates more memory.
            coder.format = av.AudioFormat("s32")
            samples = samples.astype(np.int32) << 8
        else:
            coder.options = {"compression_level": "0"}
        for packet in (*coder.encode(self._build_frame(samples)), *coder.encode(None)):
            packet.stream = self._stream
            yield packet

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._file.discard()
        with suppress(OSError):
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
        coder = _create_coder(info)
        coder.open()
        is_supported = coder.frame_size == 0 or coder.frame_size >= _find_min_frame_samples(info)
    except (av.FFmpegError, ValueError, OSError):
        is_supported = False
    return (
        ""
        if is_supported
        else f"{codec} can't encode {info.channels} channels at {info.sample_rate} Hz"
    )


def _create_coder(info: AudioInfo) -> Any:
    """Return an encoder that is not open yet."""
    codec = info.container.encoders[info.subtype]
    coder: Any = av.CodecContext.create(codec, "w")
    coder.sample_rate = info.sample_rate
    coder.layout = channel_layout(info)
    coder.format = av.AudioFormat(ENCODER_SAMPLE_FORMATS[codec, info.dtype.name])
    coder.time_base = Fraction(1, info.sample_rate)
    return coder


def _find_min_frame_samples(info: AudioInfo) -> int:
    """Return the length of the shortest frame that the encoder can encode; 0 if any length.

    For shorter frames, FFmpeg's encoder allocates too little memory, and ends the process.
    """
    codec = info.container.encoders[info.subtype]
    if codec == "alac" and info.channels > 2:
        return 8
    return 2 if codec == "tta" and info.channels == 1 and info.subtype == "PCM_16" else 0


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
    return sum(1 << bit for bit in _speaker_bits(layout))


def _speaker_bits(layout: Any) -> list[int]:
    """Return the bit of each channel in a channel mask; no bits if a position is unknown."""
    names = [channel.name for channel in layout.channels]
    bits = [SPEAKERS.index(name) for name in names if name in SPEAKERS]
    return bits if len(set(bits)) == len(names) else []


def _frame_format(frame: Any) -> tuple[int, int, str]:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name


def _copy_frame(frame: Any, target: Samples) -> None:
    """Copy the first samples of a frame to `target`, an array of shape (samples, channels)."""
    count, channels = target.shape
    if frame.format.is_planar:
        for channel, plane in enumerate(frame.planes):
            target[:, channel] = np.frombuffer(plane, target.dtype, count)
    else:
        values = np.frombuffer(frame.planes[0], target.dtype, count * channels)
        target[:] = values.reshape(count, channels)


def _frame_dtype(frame: Any) -> np.dtype[Any]:
    """Return the numpy type of the samples of a frame."""
    return np.dtype(FRAME_DTYPES[frame.format.packed.name])


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

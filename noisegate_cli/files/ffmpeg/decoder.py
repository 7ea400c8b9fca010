"""Read formats that libsndfile does not support, through PyAV (FFmpeg's libraries)."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.chapters import convert_from_ffmpeg
from noisegate_cli.files.containers.chunks import is_riff_complete
from noisegate_cli.files.containers.ends import is_broken
from noisegate_cli.files.containers.ogg import is_start_damaged
from noisegate_cli.files.containers.opus import (
    PROJECTION_FAMILY,
    parse_mapping_family,
    unpositioned_family,
)
from noisegate_cli.files.ffmpeg.frames import (
    channel_mask,
    copy_frame,
    frame_dtype,
    frame_format,
    speaker_bits,
    subtype_name,
)
from noisegate_cli.files.ffmpeg.packets import PacketDecoder
from noisegate_cli.files.ffmpeg.tracks import (
    describe_streams,
    find_delay,
    find_frame_rate,
    find_start,
    has_other_tracks,
)
from noisegate_cli.files.file_parts import FilePart, PartOfFile, SequentialFile, UnnamedFile
from noisegate_cli.files.formats import DEMUXERS, EXTENSION_DEMUXERS, find_format_by_demuxer
from noisegate_cli.files.holes import Hole
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.samples import Samples

ROUNDED_LENGTH_TOLERANCE_S = 0.25
"""Seconds that may be missing from a recording in a container with a rounded length."""

SILENCE_U8 = 128
"""Value of silence in unsigned samples of 8 bits."""

BUFFER_BYTES = 1 << 18
"""Size of FFmpeg's read buffer."""

MAX_TRACKS = 128
"""Maximum number of tracks of a file. Each takes about a megabyte."""

MAX_AUDIO_FRAME_PLANES = 7
"""PyAV accesses invalid memory if a frame has more planes."""


class PyavDecoder:
    """A recording open for reading through PyAV.

    Raises
    ------
    AudioError
        If the file contains no audio that can be decoded. The message contains no path.
    """

    def __init__(self, path: Path, part: FilePart | None = None, track: int | None = None) -> None:
        # Pass an open file instead of a path: FFmpeg interprets "http:…" and "concat:…" as URLs.
        self._open_files = ExitStack()
        self._file = self._open_files.enter_context(path.open("rb"))
        try:
            self._open_container(path, part)
            self._choose_stream(track)
            self._take_custom_layout()
            self._start_decoding(path, part)
            self.info = self._build_info(path)
        except BaseException:
            self.close()
            raise

    def _open_container(self, path: Path, part: FilePart | None) -> None:
        try:
            self._container: Any = av.open(
                PartOfFile(self._file, part) if part else self._whole_file(),
                format=part.demuxer if part else EXTENSION_DEMUXERS.get(path.suffix.lower()),
                options={
                    "protocol_whitelist": "none",
                    "format_whitelist": ",".join(DEMUXERS),
                    "max_streams": str(MAX_TRACKS),
                },
                metadata_errors="replace",
                buffer_size=BUFFER_BYTES,
            )
        except av.ArgumentError as error:  # FFmpeg rejects a demuxer that is not listed.
            raise AudioError("its format is not supported") from error
        except MemoryError as error:  # FFmpeg uses this error for too many tracks too.
            raise AudioError(f"it has more than {MAX_TRACKS} tracks, or memory is full") from error
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioError(_error_text(error)) from error
        self._open_files.callback(self._container.close)
        self.demuxer = self._container.format.name.split(",")[0]
        """FFmpeg's name of the container."""

    def _whole_file(self) -> UnnamedFile | SequentialFile:
        is_avi = self._file.peek(12)[8:12] == b"AVI "
        return SequentialFile(self._file) if is_avi else UnnamedFile(self._file)

    def _choose_stream(self, track: int | None) -> None:
        """Choose the audio stream of that number; the main one if there is none."""
        streams = self._container.streams.audio
        if not streams:
            raise AudioError("it has no audio track")
        self._stream = self._container.streams.best("audio") or streams[0]
        if track and 1 <= track <= len(streams):
            self._stream = streams[track - 1]
        if self._stream.codec_context is None:
            raise AudioError("FFmpeg has no decoder for its audio")
        self.chapters = convert_from_ffmpeg(self._container.chapters())

    def _take_custom_layout(self) -> None:
        """Replace a channel layout that PyAV cannot handle.

        MOV and CAF files can declare a position for each channel, in any order. PyAV frees such a
        layout each time that it is read, so it is read only once, and frames never get it.
        """
        self._custom_mask, self._channel_order = 0, None
        coder = self._stream.codec_context
        layout = coder.layout
        if layout is None or " channels (" not in layout.name:
            return
        coder.layout = f"{layout.nb_channels} channels"
        bits = speaker_bits(layout)
        if bits:
            self._custom_mask = sum(1 << bit for bit in bits)
            self._channel_order = None if bits == sorted(bits) else np.argsort(bits)

    def _start_decoding(self, path: Path, part: FilePart | None) -> None:
        """Decode the first frame, since only frames reliably have the format of the samples."""
        self.holes: list[Hole] = []
        """Holes that are filled with silence; see `Decoder.holes`."""
        self._is_incomplete = part is None and is_broken(path, self.demuxer)
        self._unfitting_frames = 0
        self._packets = PacketDecoder(self._container, self._stream, self.demuxer, path)
        self._open_files.callback(self._packets.close)
        if self.demuxer == "ogg" and is_start_damaged(path, part.start if part else 0):
            self._packets.note_damaged_start()
        self._frames = self._packets.frames()
        self._first_frame: Any = next(self._frames, None)
        if self._first_frame is None and self._opus_mapping_family == PROJECTION_FAMILY:
            raise AudioError("it uses ambisonic projection, which is not supported")
        if self._first_frame is None:
            raise AudioError("no audio in it can be decoded")
        self._frame_format = frame_format(self._first_frame)
        if self._first_frame.layout.name == f"{self._first_frame.layout.nb_channels} channels":
            self._channel_mask = self._custom_mask
        else:  # The decoder has its own layout and order.
            self._channel_mask, self._channel_order = channel_mask(self._first_frame.layout), None
        self._packer = av.AudioResampler(format=self._first_frame.format.packed)
        self._length = self._declared_length()
        # AVI counts the empty chunks before sound that starts late.
        is_known = self.demuxer != "avi" or not is_riff_complete(path)
        self.declared_length = float(self._length or 0) if is_known else 0.0
        """Expected number of samples; 0 if unknown."""

    def _build_info(self, path: Path) -> AudioInfo:
        frame, coder = self._first_frame, self._stream.codec_context
        streams = self._container.streams.audio
        start = find_start(self._packets.first_packet, frame)
        container = find_format_by_demuxer(self.demuxer, path.suffix.lower())
        is_plain_pcm = coder.name.startswith("pcm_")
        # FFmpeg estimates the length of compressed samples in WAV.
        is_exact = container.length == "exact" and (is_plain_pcm or not container.is_wav)
        return AudioInfo(
            path=path,
            sample_rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            samples=self._length or 0,
            format=container.name,
            subtype=subtype_name(coder, frame.format, path),
            channel_mask=self._channel_mask,
            bit_rate=coder.bit_rate or self._average_bit_rate(path),
            tracks=describe_streams(streams),
            track=list(streams).index(self._stream) + 1,
            start=start,
            delay=find_delay(self._container, self._stream, start),
            frame_rate=find_frame_rate(self._container),
            has_other_tracks=has_other_tracks(self._container, self._stream),
            is_length_exact=bool(self._length) and is_exact,
            is_plain_pcm=is_plain_pcm,
            opus_mapping_family=unpositioned_family(self._opus_mapping_family),
        )

    @property
    def _opus_mapping_family(self) -> int:
        """Channel mapping family of an Opus stream with more than two channels; 0 for others."""
        coder = self._stream.codec_context
        if coder is None or coder.name not in ("opus", "libopus"):
            return 0
        return parse_mapping_family(coder.extradata or b"")

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
        elif self.demuxer == "avi" and stream.frames and stream.time_base:
            lengths.append(stream.frames * stream.time_base * rate)
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
        self._open_files.close()

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the container and the audio stream, such as title and artist."""
        return dict(self._stream.metadata) | dict(self._container.metadata)

    @property
    def damaged(self) -> int:
        """Number of errors while decoding, such as packets that could not be decoded."""
        errors = self._packets.errors + self._unfitting_frames
        return max(errors, int(self._is_incomplete or self._packets.is_incomplete))

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
        dtype, channels = frame_dtype(self._first_frame), self.info.channels
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
                copy_frame(frame, target)
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
            missing = self._packets.find_hole(frame)
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
        if self._packets.shares_duration:
            missing_s = self._packets.missing_at_end_s()
            self.declared_length = float(position) + missing_s * self.info.sample_rate

    def _readable(self, frame: Any) -> Any:
        """Return a frame whose samples PyAV can access."""
        if not frame.format.is_planar or self.info.channels <= MAX_AUDIO_FRAME_PLANES:
            return frame
        (packed,) = self._packer.resample(frame)
        return packed

    def _all_frames(self) -> Iterator[Any]:
        yield self._first_frame
        for frame in self._frames:
            if frame_format(frame) != self._frame_format:
                # After a change of sample rate or channels, the blocks would not fit together.
                self._unfitting_frames += 1
                continue
            yield frame


def _error_text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()

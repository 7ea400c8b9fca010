"""Decode the packets of an audio stream through PyAV, and find what damage has removed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from noisegate_cli.files.ffmpeg.skipped_bytes import SkippedBytesFinder
from noisegate_cli.files.holes import MAX_HOLE_S, HoleFinder, parse_flac_position

SHARED_DURATION_DEMUXERS = ("matroska", "flv", "asf", "rm", "nut")
"""FFmpeg's names of the containers that declare the duration of their longest track."""

FRAME_DEMUXERS = ("mp3", "aac", "ac3", "eac3", "dts", "loas", "truehd", "mlp", "g722")
"""FFmpeg's names of formats without a container, whose timestamps count the frames."""

FLAC_DEMUXERS = ("flac", "ogg")
"""FFmpeg's names of the formats in which the number of each FLAC frame is its position."""

CHECKED_CODECS = ("flac", "wavpack", "tta")
"""Codecs with checksums, which FFmpeg ignores by default, so that damage decodes to noise."""

MAX_END_OFFSET_S = 1.0
"""Maximum time in seconds between the ends of tracks that end together."""


class PacketDecoder:
    """The packets of an audio stream.

    Parameters
    ----------
    container
        PyAV container.
    stream
        Its audio stream.
    demuxer
        FFmpeg's name of the container.
    path
        The file.
    """

    def __init__(self, container: Any, stream: Any, demuxer: str, path: Path) -> None:
        self._container, self._stream, self._demuxer = container, stream, demuxer
        self.errors = 0
        """Number of packets so far that could not be read or decoded."""
        self.is_incomplete = False
        """Whether data is missing that no error shows."""
        self.first_packet: Any = None
        coder = stream.codec_context
        if coder.name in CHECKED_CODECS:
            coder.options = {"err_detect": "crccheck+explode"}
        self._samples_per_tick = float((stream.time_base or 0) * (coder.sample_rate or 0))
        self._hole_finder = HoleFinder(
            max(0.5, 2 * self._samples_per_tick), MAX_HOLE_S * (coder.sample_rate or 0)
        )
        # Other parsers pass damaged bytes on in a packet.
        self._skipped_bytes = SkippedBytesFinder(path) if demuxer == "aac" else None
        self._packet_bytes = self._packets = self._uncounted_ticks = 0
        self._last_end_s = self._audio_end_s = 0.0  # ends of all tracks, and of this one

    @property
    def shares_duration(self) -> bool:
        """Whether the container declares only the duration of the longest track."""
        return self._demuxer in SHARED_DURATION_DEMUXERS

    def close(self) -> None:
        """Close the files."""
        if self._skipped_bytes is not None:
            self._skipped_bytes.close()

    def note_damaged_start(self) -> None:
        """Note that what comes before the first frame is damaged."""
        self._hole_finder.note_error(0.0)

    def find_hole(self, frame: Any) -> int:
        """Return the number of samples that are missing before a frame."""
        pts = frame.pts
        time = None if pts is None else (pts + self._uncounted_ticks) * self._samples_per_tick
        return self._hole_finder.find(time, frame.samples)

    def missing_at_end_s(self) -> float:
        """Return the time in seconds that is missing at the end of the container.

        The container declares when its longest track ends.
        """
        if self._last_end_s - self._audio_end_s > MAX_END_OFFSET_S:
            return 0.0
        declared_end_s = (self._container.duration or 0) / av.time_base
        return float(max(0.0, declared_end_s - self._last_end_s))

    def frames(self) -> Iterator[Any]:
        """Yield the frames that can be decoded, up to the end of the container."""
        # The packets of other tracks show where a container ends.
        streams = () if self.shares_duration else (self._stream,)
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.errors += 1
                return
            pts, is_other = packet.pts, packet.stream is not self._stream
            if self.shares_duration and pts is not None:
                end_s = float((pts + (packet.duration or 0)) * packet.time_base)
                self._last_end_s = max(self._last_end_s, end_s)
                self._audio_end_s = self._audio_end_s if is_other else end_s
            if is_other:
                continue
            self.first_packet = self.first_packet or packet
            self._note_skipped_bytes(packet)
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                self.errors += 1
                self._note_lost_packet(packet)
                continue
            if self._demuxer == "mpegts" and packet.is_corrupt:
                self.is_incomplete = True
            self._packet_bytes += packet.size
            self._packets += 1
            if self._demuxer in FLAC_DEMUXERS and self._stream.codec_context.name == "flac":
                self._number_flac_frames(packet, frames)
            yield from (frame for frame in frames if frame.samples)

    def _note_skipped_bytes(self, packet: Any) -> None:
        """Note the frames that are lost because FFmpeg skips damaged bytes before a packet."""
        if self._skipped_bytes is None:
            return
        skipped = self._skipped_bytes.find(bytes(packet))
        if skipped and self._packets:
            frames = round(skipped * self._packets / self._packet_bytes)
            self._uncounted_ticks += frames * (packet.duration or 0)

    def _note_lost_packet(self, packet: Any) -> None:
        """Note that a packet could not be decoded."""
        pts = packet.pts
        self._hole_finder.note_error(None if pts is None else pts * self._samples_per_tick)
        if self._demuxer in FRAME_DEMUXERS and self._packet_bytes:
            # Frames whose headers are damaged are part of the packet, which counts as one.
            frames = round(packet.size * self._packets / self._packet_bytes)
            self._uncounted_ticks += max(0, frames - 1) * (packet.duration or 0)

    def _number_flac_frames(self, packet: Any, frames: list[Any]) -> None:
        """Set the timestamps of FLAC frames, which FFmpeg guesses after a hole."""
        header = self._stream.codec_context.extradata or b""
        # The minimum and the maximum block size are first (RFC 9639, 8.2).
        position = parse_flac_position(bytes(packet)[:11], int.from_bytes(header[2:4], "big"))
        for frame in frames:
            frame.pts = None if position is None else round(position / self._samples_per_tick)
            position = None if position is None else position + frame.samples

"""Write videos: the video and the other tracks are copied, and one audio track is encoded.

The copied packets keep their bytes and timestamps. The new audio track starts at the time at which
the old one started.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from noisegate_cli.errors import OutputError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.containers.joined_files import find_joined_parts
from noisegate_cli.files.ffmpeg.encoder import PyavEncoder
from noisegate_cli.files.ffmpeg.tracks import is_cover
from noisegate_cli.files.file_parts import PartOfFile, UnnamedFile
from noisegate_cli.files.formats import DEMUXERS, usual_name
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_duration, quote_path

PIECE_S = 0.5
"""Seconds of audio between which the packets of the other tracks are copied."""

MAX_INTERLEAVE_US = 1_000_000
"""Time in microseconds that the muxer waits for a track without packets, such as subtitles, before
it writes those of other tracks. It limits the memory."""

CONTAINER_KEYS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
"""Metadata that describes the container of the input, in lower case."""

CAMERA_KEYS = "com."
"""Prefix of the metadata that cameras write to MOV and MP4 files, such as the location."""


class VideoEncoder(PyavEncoder):
    """A video open for writing, which gets its other tracks from another file.

    Parameters
    ----------
    path
        New file.
    info
        Properties of the output.
    source
        File with the other tracks.
    warnings
        List to which warnings about omitted tracks are added.

    Raises
    ------
    OutputError
        If the container of the output cannot hold the video or another audio track.
    """

    def __init__(self, path: Path, info: AudioInfo, source: Path, warnings: list[str]) -> None:
        self._warnings = warnings
        self._source_path = source
        self._source_file = source.open("rb")
        self._source: Any = None
        try:
            self._source = _open_source(self._source_file, source)
            super().__init__(path, info, _keep_metadata(self._source.metadata))
            self._container.set_chapters(self._source.chapters())
            self._write_header()
        except BaseException:
            if hasattr(self, "_file"):
                self.abandon()
            self._close_source()
            raise
        self._next_pts = round(info.start * info.sample_rate)
        self._packets = self._read_packets()
        self._waiting: Any = next(self._packets, None)
        """Next packet to copy; None after the last one."""

    def write(self, block: Samples) -> None:
        """Append samples, and the packets of the other tracks up to the same time."""
        length = round(PIECE_S * self._info.sample_rate)
        for start in range(0, len(block), length):
            super().write(block[start : start + length])
            self._copy_packets(self._next_pts / self._info.sample_rate)

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._close_source()
        super().abandon()

    def _build_options(self, info: AudioInfo) -> dict[str, str]:
        options = super()._build_options(info) | {"max_interleave_delta": str(MAX_INTERLEAVE_US)}
        if info.container.demuxer == "mov" and any(
            key.startswith(CAMERA_KEYS) for key in self._source.metadata
        ):
            options["movflags"] = "use_metadata_tags"
        return options

    def _add_streams(self) -> Any:
        """Add the streams in the order of the input; return the one with the samples."""
        encoded: Any = None
        audio = self._source.streams.audio[self._info.track - 1]
        self._copies: dict[int, Any] = {}
        """New stream for each copied one, by its index."""
        for stream in self._source.streams:
            if stream is audio:
                copy = encoded = self._add_audio_stream()
            else:
                copy = self._copy_stream(stream)
                if copy is None:
                    continue
                if copy.type != "attachment":
                    self._copies[stream.index] = copy
            copy.metadata.update(_keep_metadata(stream.metadata))
            copy.disposition = stream.disposition
        return encoded

    def _write_header(self) -> None:
        """Write the header, and so find out whether the container holds the tracks."""
        try:
            self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            self._file.check()
            coders = [stream.codec_context for stream in self._container.streams]
            names = ", ".join(coder.codec.name for coder in coders if coder)
            raise OutputError(
                f"{quote_path(self._info.path)} cannot hold the tracks of the input ({names}): "
                f"{_suggest_output(self._info)}"
            ) from error

    def _copy_stream(self, stream: Any) -> Any:
        """Add a stream with the properties of another one; return None if that is impossible."""
        container, kind = self._info.format, stream.type
        if kind == "data" and self._source.format.name.startswith("mov"):
            # The muxer writes the tracks of the time code and of the chapters from metadata.
            if "timecode" in stream.metadata or self._source.chapters():
                return None
        elif container == "MKV" and kind == "video" and is_cover(stream):
            return self._attach_cover(stream)
        elif kind != "attachment" or container == "MKV":
            with suppress(ValueError, av.FFmpegError):
                return self._container.add_stream_from_template(stream, opaque=True)
        same_kind = [other.index for other in self._source.streams if other.type == kind]
        codec = usual_name(getattr(stream, "name", None) or "unknown codec")
        what = kind if kind == "attachment" else f"{kind} track"
        track = f"{what} {same_kind.index(stream.index) + 1} ({codec})"
        if kind == "audio" or (kind == "video" and not is_cover(stream)):
            raise OutputError(
                f"{quote_path(self._info.path)} cannot hold {track} of the input: "
                f"{_suggest_output(self._info)}"
            )
        self._warnings.append(f"its {track} is not copied: {usual_name(container)} cannot hold it")
        return None

    def _attach_cover(self, stream: Any) -> Any:
        """Add a cover as an attachment, which is its form in Matroska."""
        codec = stream.codec_context.codec.canonical_name
        extension = {"mjpeg": "jpg"}.get(codec, codec)
        mime = f"image/{'jpeg' if extension == 'jpg' else extension}"
        path = self._source_path
        with path.open("rb") as file, _open_source(file, path) as source:
            packets = source.demux(source.streams[stream.index])
            image = next((bytes(packet) for packet in packets if packet.size), b"")
        name = stream.metadata.get("filename") or f"cover.{extension}"
        return self._container.add_attachment(name, stream.metadata.get("mimetype") or mime, image)

    def _read_packets(self) -> Iterator[Any]:
        """Yield the packets to copy, up to the first one that cannot be read.

        If several videos are joined, the timestamps of the next one start again.
        """
        streams = [stream for stream in self._source.streams if stream.index in self._copies]
        if not streams:
            return
        latest: dict[int, int] = {}
        with suppress(av.FFmpegError):
            for packet in self._source.demux(*streams):
                index, dts = packet.stream.index, packet.dts
                if dts is not None and dts < latest.get(index, dts):
                    time = format_duration(float(latest[index] * packet.time_base))
                    self._warnings.append(
                        f"the video and the other tracks after {time} are omitted, because "
                        "their timestamps start again: are several videos joined in this file?"
                    )
                    return
                if dts is not None:
                    latest[index] = dts
                if packet.size:
                    yield packet

    def _copy_packets(self, end_s: float) -> None:
        """Copy the packets before a time in seconds."""
        while self._waiting is not None:
            packet = self._waiting
            time = packet.pts if packet.dts is None else packet.dts
            if time is not None and time * packet.time_base >= end_s:
                return
            packet.stream = self._copies[packet.stream.index]
            self._container.mux_one(packet)
            self._file.check()
            self._waiting = next(self._packets, None)

    def _finish(self) -> None:
        """Copy the packets after the end of the audio track."""
        self._copy_packets(float("inf"))
        self._close_source()

    def _close_source(self) -> None:
        self._packets = iter(())
        if self._source is not None:
            self._source.close()
        self._source_file.close()


def _open_source(file: io.BufferedReader, path: Path) -> Any:
    """Open a container, the first one in a file of joined ones, without its name.

    FFmpeg could interpret the name as a URL.
    """
    parts = find_joined_parts(path)
    return av.open(
        PartOfFile(file, parts[0]) if parts else UnnamedFile(file),
        options={"protocol_whitelist": "none", "format_whitelist": ",".join(DEMUXERS)},
        metadata_errors="replace",
    )


def _suggest_output(info: AudioInfo) -> str:
    """Return what to do if a container cannot hold the tracks of the input."""
    audio = "for the audio only, give output= a name that ends in .wav"
    return audio if info.format == "MKV" else f"give output= a name that ends in .mkv; {audio}"


def _keep_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata of an input, or of a stream, that an output gets."""
    kept = {key: text for key, text in metadata.items() if key.lower() not in CONTAINER_KEYS}
    # FFmpeg reads the title of an MP4 track under a different name than it writes.
    if "name" in kept:
        kept.setdefault("title", kept.pop("name"))
    return kept

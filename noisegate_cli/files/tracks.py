"""The audio tracks of a recording: what they are, and which of them has sound."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from noisegate_cli.errors import AudioError
from noisegate_cli.samples import Samples
from noisegate_cli.text import quote_path

MAX_ROUNDING_S = 0.0015
"""Maximum error of a time stamp in seconds; Matroska rounds to milliseconds."""

BLOCK_SAMPLES = 1 << 16
"""Length of the blocks in which tracks are searched for sound."""


class AudioTrack(NamedTuple):
    """An audio track of a container that holds several tracks."""

    title: str = ""
    language: str = ""
    """Code of the language, such as `eng`; empty if it is unknown."""
    codec: str = ""
    """FFmpeg's name of the codec."""
    channels: int = 0

    def __str__(self) -> str:
        facts = [self.language, self.codec, f"{self.channels} ch" if self.channels else ""]
        known = ", ".join(filter(None, facts))
        return f"{self.title!r} ({known})" if self.title else f"({known})"


def describe_streams(streams: Sequence[Any]) -> tuple[AudioTrack, ...]:
    """Return the properties of the audio streams of PyAV."""
    return tuple(
        AudioTrack(
            stream.metadata.get("title") or stream.metadata.get("name") or "",
            "" if stream.language in (None, "und") else stream.language,
            stream.codec_context.codec.canonical_name if stream.codec_context else "",
            stream.codec_context.channels if stream.codec_context else 0,
        )
        for stream in streams
    )


def has_other_tracks(container: Any, stream: Any) -> bool:
    """Return whether a container of PyAV has other streams than `stream`, besides its cover."""
    return any(
        other is not stream and not (other.type == "video" and is_cover(other))
        for other in container.streams
    )


def is_cover(stream: Any) -> bool:
    """Return whether a video stream of PyAV is the cover of a recording."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def find_start(packet: Any, frame: Any) -> float:
    """Return the time in seconds of the first sample, from the first packet and frame of PyAV.

    The decoder removes the padding of the encoder, and rounds the time stamp of what remains to
    the unit of the container, such as a millisecond. The padding itself is not rounded.
    """
    start = 0.0 if frame.pts is None else float(frame.pts * frame.time_base)
    if packet is None or packet.pts is None or not packet.has_sidedata("skip_samples"):
        return start
    padding = int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little")
    exact = float(packet.pts * packet.time_base) + padding / frame.sample_rate
    return exact if abs(exact - start) < MAX_ROUNDING_S else start


def find_delay(container: Any, stream: Any, start: float) -> float:
    """Return how many seconds after the picture a stream starts, at `start`.

    Without a picture, the other audio tracks take its place.
    """
    others = [other for other in container.streams if other is not stream]
    pictures = [other for other in others if other.type == "video" and not is_cover(other)]
    starts = [
        float(other.start_time * other.time_base)
        for other in pictures or others
        if other.type in ("video", "audio") and other.start_time is not None
    ]
    return start - min(starts) if starts else 0.0


def check_track(path: Path, track: int | None, tracks: Sequence[AudioTrack]) -> None:
    """Check that a recording has the audio track of that number.

    Raises
    ------
    AudioError
        If it does not; the message lists the tracks.
    """
    count = max(1, len(tracks))
    if track is None or 1 <= track <= count:
        return
    if count == 1:
        raise AudioError(
            f"{quote_path(path)} has one audio track, and no track {track}: leave out track="
        )
    listed = ", ".join(f"{number} {item}" for number, item in enumerate(tracks, 1))
    raise AudioError(
        f"{quote_path(path)} has {count} audio tracks, and no track {track}: "
        f"give track= one of {listed}"
    )


def warn_if_silent(
    blocks: Iterator[tuple[Samples, bool]],
    path: Path,
    track: int,
    tracks: Sequence[AudioTrack],
    warnings: list[str],
) -> Iterator[tuple[Samples, bool]]:
    """Yield blocks; add a warning at the end if all are silent but another track is not.

    Parameters
    ----------
    blocks
        Blocks of the track, each with a flag that marks the last one.
    path
        The recording.
    track
        Number of the track, from 1.
    tracks
        All audio tracks of the recording.
    warnings
        List to which the warning is added.
    """
    is_silent = True
    for block, last in blocks:
        is_silent = is_silent and not block.any()
        if last and is_silent:
            others = (number for number in range(1, len(tracks) + 1) if number != track)
            other = next((number for number in others if _has_sound(path, number)), None)
            if other:
                warnings.append(
                    f"audio track {track} is silent, but track {other} "
                    f"{tracks[other - 1]} is not: track={other} selects it"
                )
        yield block, last


def _has_sound(path: Path, track: int) -> bool:
    """Return whether a sample of a track is not zero."""
    from noisegate_cli.files.ffmpeg import PyavDecoder

    try:
        with PyavDecoder(path, track=track) as decoder:
            return any(block.any() for block, _ in decoder.blocks(BLOCK_SAMPLES))
    except AudioError:
        return False

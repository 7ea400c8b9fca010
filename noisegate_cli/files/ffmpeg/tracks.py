"""Properties of PyAV streams."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.stream import Disposition

from noisegate_cli.files.audio_tracks import AudioTrack

MAX_ROUNDING_S = 0.0015
"""Maximum error of a timestamp in seconds; Matroska rounds to milliseconds."""


def describe_streams(streams: Sequence[Any]) -> tuple[AudioTrack, ...]:
    """Return the properties of PyAV audio streams."""
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
    """Return whether a PyAV container has streams other than `stream` and the cover."""
    return any(
        other is not stream and not (other.type == "video" and is_cover(other))
        for other in container.streams
    )


def find_frame_rate(container: Any) -> Fraction | None:
    """Return the average number of frames per second of the video, if there is any."""
    pictures = (stream for stream in container.streams.video if not is_cover(stream))
    return next((stream.average_rate for stream in pictures if stream.average_rate), None)


def is_cover(stream: Any) -> bool:
    """Return whether a PyAV video stream is the cover art of a recording."""
    return bool(stream.disposition & Disposition.attached_pic)


def find_start(packet: Any, frame: Any) -> float:
    """Return the time in seconds of the first sample, from PyAV's first packet and frame.

    The decoder removes the padding of the encoder, and rounds the timestamp of what remains to the
    unit of the container, such as a millisecond. The padding itself is not rounded.
    """
    start = 0.0 if frame.pts is None else float(frame.pts * frame.time_base)
    if packet is None or packet.pts is None or not packet.has_sidedata("skip_samples"):
        return start
    padding = int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little")
    exact = float(packet.pts * packet.time_base) + padding / frame.sample_rate
    return exact if abs(exact - start) < MAX_ROUNDING_S else start


def find_delay(container: Any, stream: Any, start: float) -> float:
    """Return how many seconds after the video a stream starts, at `start`.

    Without video, the other audio tracks take its place.
    """
    others = [other for other in container.streams if other is not stream]
    pictures = [other for other in others if other.type == "video" and not is_cover(other)]
    starts = [
        float(other.start_time * other.time_base)
        for other in pictures or others
        if other.type in ("video", "audio") and other.start_time is not None
    ]
    return start - min(starts) if starts else 0.0

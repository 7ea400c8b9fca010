"""The moments to listen to, and the segments of audio that contain them."""

from dataclasses import dataclass
from typing import Literal

MomentKind = Literal["sound", "pause", "decay", "attack", "loudest"]
Segment = tuple[float, float]
"""Start and end in seconds."""

MIN_DISTANCE_S = 2.0
"""Minimum distance between two moments of a kind, so that each can be heard on its own."""

SEGMENT_S = 12.0
"""Length of the sound around a moment of a long recording."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a recording to listen to."""

    time: float
    """In seconds."""
    kind: MomentKind
    """A `sound` that nearly or barely opens the gate, a `pause` that nearly or barely closes it, a
    `decay` or an `attack` that the gate cuts off, or the `loudest` moment."""
    value: float
    """Distance from the threshold in the unit of the detector, negative if a sound does not open
    the gate or a pause closes it; level of a decay or an attack above the pause in dB; loudest
    level in dBFS."""


def choose_segments(
    moments: tuple[Moment, ...], duration_s: float, max_whole_s: float
) -> tuple[Segment, ...]:
    """Return the segments of sound that the page contains: all of it, or those around moments.

    Examples
    --------
    >>> moments = (Moment(100.0, "sound", 0.0), Moment(105.0, "pause", 0.0))
    >>> choose_segments(moments, 60.0, max_whole_s=600.0)
    ((0.0, 60.0),)
    >>> choose_segments(moments, 3600.0, max_whole_s=600.0)
    ((94.0, 111.0),)
    """
    if duration_s <= max_whole_s:
        return ((0.0, duration_s),)
    segments: list[Segment] = []
    for time in sorted(moment.time for moment in moments):
        start = min(max(0.0, time - SEGMENT_S / 2), duration_s - SEGMENT_S)
        if segments and start <= segments[-1][1]:
            segments[-1] = (segments[-1][0], start + SEGMENT_S)
        else:
            segments.append((start, start + SEGMENT_S))
    return tuple(segments)

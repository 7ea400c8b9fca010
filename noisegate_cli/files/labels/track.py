"""A label track, and helpers of the formats that write and read it."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from noisegate_cli.errors import LabelsError

OPEN = "open"
"""Text of the label of a segment."""

MAX_CHANNEL = 9999
"""Maximum number of a channel in a label."""


class Segment(NamedTuple):
    """A segment of a recording."""

    start: float
    """In seconds."""
    end: float
    """In seconds."""
    channel: int | None = None
    """Number of the channel from 1; None for all channels."""

    @property
    def text(self) -> str:
        """Text of the label: `open`, or `open 2` for channel 2."""
        return OPEN if self.channel is None else f"{OPEN} {self.channel}"


class Mark(NamedTuple):
    """A moment of a recording."""

    time: float
    """In seconds."""
    text: str


Envelope: TypeAlias = tuple[tuple[float, float], ...]
"""Times in seconds and linear gains at them, with straight lines between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTrack:
    """Labels of one recording."""

    path: str
    """Path of the recording."""
    duration: float
    """Duration of the recording in seconds."""
    channels: int
    """Number of channels of the recording."""
    segments: tuple[Segment, ...]
    """Segments in order of their start."""
    marks: tuple[Mark, ...] = ()
    """Moments in order of their time."""
    envelopes: tuple[Envelope, ...] = ()
    """Gain curve of all channels, or of each channel."""
    frame_rate: Fraction | None = None
    """Frames per second of the video; None without video."""

    @property
    def name(self) -> str:
        """File name of the recording."""
        return re.split(r"[/\\]", self.path)[-1]

    @property
    def by_channel(self) -> dict[int | None, list[Segment]]:
        """Segments by channel: under None, or under each channel."""
        is_separate = len(self.envelopes) > 1 or any(s.channel for s in self.segments)
        channels = range(1, self.channels + 1) if is_separate else [None]
        return {
            channel: [segment for segment in self.segments if segment.channel == channel]
            for channel in channels
        }


Write: TypeAlias = Callable[[LabelTrack], str]
Read: TypeAlias = Callable[[str], list[Segment]]


class LabelFormat(NamedTuple):
    """A format of label files."""

    name: str
    write: Write
    """Return a track as text."""
    read: Read | None = None
    """Return the segments in a text; None if the format is only written.

    Raises LabelsError, with the number of the line, if the text is malformed.
    """


def format_seconds(seconds: float) -> str:
    """Return seconds with 6 to 9 decimals: as many as it takes to be exact to a nanosecond.

    Examples
    --------
    >>> format_seconds(1.28), format_seconds(512 / 44100)
    ('1.280000', '0.011609977')
    """
    text = f"{seconds:.9f}"
    return text[:-3] + text[-3:].rstrip("0")


def parse_seconds(text: str, where: str) -> float:
    """Return a time in seconds.

    Raises
    ------
    LabelsError
        If `text` is not a finite number; the message quotes it after `where`, such as `line 3`.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise LabelsError(f"{where}: {text.strip()!r} is not a time in seconds")
    return seconds


def create_segments(start: float, end: float, where: str, text: str = "") -> list[Segment]:
    """Return the segment from `start` to `end` in a list, which is empty if both are equal.

    Parameters
    ----------
    start, end
        In seconds.
    where
        Place in the file for error messages, such as `line 3`.
    text
        Text of the label, which may name a channel.

    Raises
    ------
    LabelsError
        If the segment begins before 0, or ends before it begins.
    """
    if start < 0:
        raise LabelsError(f"{where}: {start:g} s is before the recording")
    if end < start:
        raise LabelsError(f"{where}: it ends at {end:g} s, before it starts at {start:g} s")
    return [Segment(start, end, parse_channel(text))] if end > start else []


def parse_channel(text: str) -> int | None:
    """Return the channel in the text of a label; None for all.

    Examples
    --------
    >>> parse_channel("open 2"), parse_channel("open"), parse_channel("laughter")
    (2, None, None)
    """
    match = re.fullmatch(rf"\s*{OPEN}[ _]([1-9]\d{{0,3}})\s*", text)
    return int(match[1]) if match else None


def numbered_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines that are not blank, each after its place, such as `line 3`."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"line {number}", line.rstrip("\r")

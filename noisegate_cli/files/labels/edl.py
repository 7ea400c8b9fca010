"""Edit decision list in the CMX 3600 format: the segments as events at their own times.

Times are rounded outwards to whole frames, so that no open part is lost. The timecode counts all
frames (non-drop-frame). The format has no field for the frame rate: a comment states it.
Source: https://xmil.biz/EDL-X/CMX3600.pdf
"""

import math
import re
from fractions import Fraction

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import (
    LabelFormat,
    LabelTrack,
    Segment,
    create_segments,
    numbered_lines,
)

DEFAULT_FRAMES_PER_S = Fraction(25)
"""Frame rate of recordings without video."""

MAX_TIMECODE_S = 24 * 3600
"""Timecodes end after a day."""

MAX_FRAMES_PER_S = 99
"""A timecode has two digits for the frame."""

ROUNDING_FRAMES = 1e-6
"""An edge this close to a frame is at the frame."""

_TIMECODE = r"(\d\d:\d\d:\d\d[:;]\d\d)"
_FRAME_RATE = re.compile(r"^\* FRAME RATE: ([1-9]\d{0,9})/([1-9]\d{0,9})\s*$", re.MULTILINE)
_EVENT = re.compile(rf"\s*\d+\s+\S+\s+\S+\s+\S+(?:\s+\d+)?\s+{_TIMECODE}\s+{_TIMECODE}\s.*")


def write(track: LabelTrack) -> str:
    """Return an event for each segment, with the moments as locators of the event before them."""
    all_channels = "A" if track.channels == 1 else "AA"
    tracks = {None: all_channels, 1: "A"}
    marks = list(track.marks)
    rate = track.frame_rate or DEFAULT_FRAMES_PER_S
    if not 1 <= rate <= MAX_FRAMES_PER_S:
        rate = DEFAULT_FRAMES_PER_S
    lines = [f"TITLE: {track.name}", "FCM: NON-DROP FRAME"]
    events = _merge_events(track, rate)
    for number, (start, end, channel) in enumerate(events, 1):
        times = f"{_format(start, rate)} {_format(end, rate)}"
        name = tracks.get(channel, f"A{channel}")
        lines += ["", f"{number:03}  AX       {name:5} C        {times} {times}"]
        lines.append(f"* FROM CLIP NAME: {track.name}")
        if number == 1:  # Before an event, a comment is not allowed.
            lines.append(f"* FRAME RATE: {rate.numerator}/{rate.denominator}")
        next_start = events[number][0] if number < len(events) else math.inf
        while marks and marks[0].time * rate < next_start:
            mark = marks.pop(0)
            lines.append(f"* LOC: {_format(int(mark.time * rate), rate)} RED     {mark.text}")
    return "\n".join(lines) + "\n"


def _merge_events(track: LabelTrack, rate: Fraction) -> list[tuple[int, int, int | None]]:
    """Return the start and the end in frames and the channel of each event, by start.

    Segments that overlap after rounding are one event.
    """
    events = []
    for channel, segments in track.by_channel.items():
        merged: list[tuple[int, int]] = []
        for segment in segments:
            start = math.floor(segment.start * rate + ROUNDING_FRAMES)
            end = math.ceil(segment.end * rate - ROUNDING_FRAMES)
            if merged and start <= merged[-1][1]:
                start, end = merged[-1][0], max(end, merged.pop()[1])
            merged.append((start, end))
        events += [(start, end, channel) for start, end in merged]
    if events and max(end for _, end, _ in events) >= MAX_TIMECODE_S * round(rate):
        raise LabelsError("an EDL is limited to 24 hours: use another label format")
    return sorted(events, key=lambda event: (event[0], event[2] or 0))


def _format(frames: int, rate: Fraction) -> str:
    seconds, frame = divmod(frames, round(rate))
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frame:02}"


def read(text: str) -> list[Segment]:
    """Return the source times of all events; they are about all channels."""
    segments, rate = [], DEFAULT_FRAMES_PER_S
    if comment := _FRAME_RATE.search(text):
        rate = max(Fraction(1), Fraction(int(comment[1]), int(comment[2])))
    for where, line in numbered_lines(text):
        if not re.match(r"\s*\d+\s", line):  # titles and comments
            continue
        match = _EVENT.fullmatch(line)
        if match is None:
            raise LabelsError(f"{where}: it is not an event of CMX 3600")
        start, end = (_parse(match[i], rate, where) for i in (1, 2))
        segments += create_segments(start, end, where)
    return segments


def _parse(timecode: str, rate: Fraction, where: str) -> float:
    frames_per_s = round(rate)
    if ";" in timecode:
        raise LabelsError(
            f"{where}: {timecode} is drop-frame: write the list with {frames_per_s} frames"
        )
    hours, minutes, seconds, frames = map(int, timecode.split(":"))
    if frames >= frames_per_s or max(minutes, seconds) >= 60:
        raise LabelsError(
            f"{where}: {timecode} is not a timecode with {frames_per_s} frames per second"
        )
    total = (3600 * hours + 60 * minutes + seconds) * frames_per_s + frames
    return float(total / rate)


FORMAT = LabelFormat("CMX 3600 EDL", write, read)

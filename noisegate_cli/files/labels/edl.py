"""Edit decision list in the CMX 3600 format: the stretches as events at their own times.

Times are rounded outwards to whole frames of 25 per second, so that no open part is lost.
Source: https://xmil.biz/EDL-X/CMX3600.pdf
"""

import math
import re

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import (
    LabelFormat,
    LabelTrack,
    Stretch,
    create_stretches,
    numbered_lines,
)

FRAMES_PER_S = 25

MAX_FRAMES = 24 * 3600 * FRAMES_PER_S
"""Timecodes end after a day."""

ROUNDING_FRAMES = 1e-6
"""An edge this close to a frame is at the frame."""

_TIMECODE = r"(\d\d:\d\d:\d\d[:;]\d\d)"
_EVENT = re.compile(rf"\s*\d+\s+\S+\s+\S+\s+\S+(?:\s+\d+)?\s+{_TIMECODE}\s+{_TIMECODE}\s.*")


def write(track: LabelTrack) -> str:
    """Return an event for each stretch, with the moments as locators of the event before them."""
    all_channels = "A" if track.channels == 1 else "AA"
    tracks = {None: all_channels, 1: "A"}
    marks = list(track.marks)
    lines = [f"TITLE: {track.name}", "FCM: NON-DROP FRAME"]
    events = _merge_events(track)
    for number, (start, end, channel) in enumerate(events, 1):
        times = f"{_format(start)} {_format(end)}"
        name = tracks.get(channel, f"A{channel}")
        lines += ["", f"{number:03}  AX       {name:5} C        {times} {times}"]
        lines.append(f"* FROM CLIP NAME: {track.name}")
        next_start = events[number][0] if number < len(events) else math.inf
        while marks and marks[0].time * FRAMES_PER_S < next_start:
            mark = marks.pop(0)
            lines.append(f"* LOC: {_format(int(mark.time * FRAMES_PER_S))} RED     {mark.text}")
    return "\n".join(lines) + "\n"


def _merge_events(track: LabelTrack) -> list[tuple[int, int, int | None]]:
    """Return the start and the end in frames and the channel of each event, by start.

    Stretches that overlap after rounding are one event.
    """
    events = []
    for channel, stretches in track.by_channel.items():
        merged: list[tuple[int, int]] = []
        for stretch in stretches:
            start = math.floor(stretch.start * FRAMES_PER_S + ROUNDING_FRAMES)
            end = math.ceil(stretch.end * FRAMES_PER_S - ROUNDING_FRAMES)
            if merged and start <= merged[-1][1]:
                start, end = merged[-1][0], max(end, merged.pop()[1])
            merged.append((start, end))
        events += [(start, end, channel) for start, end in merged]
    if events and max(end for _, end, _ in events) >= MAX_FRAMES:
        raise LabelsError("an EDL ends after 24 hours: give another ending")
    return sorted(events, key=lambda event: (event[0], event[2] or 0))


def _format(frames: int) -> str:
    seconds, frame = divmod(frames, FRAMES_PER_S)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frame:02}"


def read(text: str) -> list[Stretch]:
    """Return the source times of all events; they are about all channels."""
    stretches = []
    for where, line in numbered_lines(text):
        if not re.match(r"\s*\d+\s", line):  # titles and comments
            continue
        match = _EVENT.fullmatch(line)
        if match is None:
            raise LabelsError(f"{where}: it is no event of CMX 3600")
        start, end = (_parse(match[i], where) for i in (1, 2))
        stretches += create_stretches(start, end, where)
    return stretches


def _parse(timecode: str, where: str) -> float:
    if ";" in timecode:
        raise LabelsError(f"{where}: {timecode} is drop-frame: write the list with 25 frames")
    hours, minutes, seconds, frames = map(int, timecode.split(":"))
    if frames >= FRAMES_PER_S or max(minutes, seconds) >= 60:
        raise LabelsError(f"{where}: {timecode} is no timecode with 25 frames per second")
    return 3600 * hours + 60 * minutes + seconds + frames / FRAMES_PER_S


FORMAT = LabelFormat("CMX 3600 EDL", write, read)

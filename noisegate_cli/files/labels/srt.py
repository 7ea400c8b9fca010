"""SubRip subtitles: a number, a line with the times to the millisecond, and text."""

import re

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import LabelFormat, LabelTrack, Segment, create_segments

_TIME = r"(\d+):([0-5]?\d):([0-5]?\d)[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")


def write(track: LabelTrack) -> str:
    """Return a subtitle for each segment."""
    return "".join(
        f"{number}\n{_format(segment.start)} --> {_format(segment.end)}\n{segment.text}\n\n"
        for number, segment in enumerate(track.segments, 1)
    )


def _format(seconds: float) -> str:
    minutes, ms = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02},{ms % 1000:03}"


def read(text: str) -> list[Segment]:
    """Return the times of all subtitles; the text `open 2` restricts one to channel 2."""
    segments = []
    lines = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        if "-->" not in line:
            continue
        match = _TIMES.fullmatch(line)
        if match is None:
            raise LabelsError(
                f"line {number}: {line.strip()!r} must be like 00:00:01,500 --> 00:00:02,500"
            )
        label = lines[number] if number < len(lines) else ""
        start, end = _parse(match.groups()[:4]), _parse(match.groups()[4:])
        segments += create_segments(start, end, f"line {number}", label)
    if not segments and text.strip():
        raise LabelsError("line 1: it has no line like 00:00:01,500 --> 00:00:02,500")
    return segments


def _parse(fields: tuple[str, ...]) -> float:
    hours, minutes, seconds = map(int, fields[:3])
    return 3600 * hours + 60 * minutes + seconds + int(fields[3].ljust(3, "0")) / 1000


FORMAT = LabelFormat("SubRip", write, read)

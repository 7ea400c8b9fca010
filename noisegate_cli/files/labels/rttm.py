"""RTTM of NIST: type, file, channel, start, duration and name on each line.

Source: NIST, The 2009 Rich Transcription Evaluation Plan, appendix A.
"""

import re

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import (
    LabelFormat,
    LabelTrack,
    Segment,
    create_segments,
    format_seconds,
    numbered_lines,
    parse_seconds,
)

SPEAKER = "SPEAKER"


def write(track: LabelTrack) -> str:
    """Return a SPEAKER line for each segment."""
    stem = track.name.rpartition(".")[0] or track.name
    file = re.sub(r"\s", "_", stem) or "recording"
    return "".join(
        f"{SPEAKER} {file} {channel or 1} {format_seconds(start)} "
        f"{format_seconds(round(end, 9) - round(start, 9))} <NA> <NA> "
        f"{segment.text.replace(' ', '_')} <NA> <NA>\n"
        for segment in track.segments
        for start, end, channel in [segment]
    )


def read(text: str) -> list[Segment]:
    """Return the segments of SPEAKER lines; the name `open_2` restricts one to channel 2."""
    segments = []
    file = ""
    for where, line in numbered_lines(text):
        fields = line.split()
        if fields[0].startswith(";;"):
            continue
        if len(fields) not in (9, 10):
            raise LabelsError(
                f"{where}: it has {len(fields)} fields, but a line of RTTM has 9 or 10"
            )
        if fields[0] == SPEAKER:
            file = file or fields[1]
            if fields[1] != file:
                raise LabelsError(
                    f"{where}: it is for {fields[1]!r}, and the lines above are for {file!r}: "
                    "keep the lines of one recording"
                )
            start, duration = (parse_seconds(field, where) for field in fields[3:5])
            segments += create_segments(start, start + duration, where, fields[7])
    return segments


FORMAT = LabelFormat("RTTM", write, read)

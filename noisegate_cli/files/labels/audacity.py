"""Label tracks of Audacity: start, end and text on each line, separated by tabs.

Source: https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

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


def write(track: LabelTrack) -> str:
    """Return the segments as region labels and the moments as point labels."""
    rows = [(segment.start, segment.end, segment.text) for segment in track.segments]
    rows += [(mark.time, mark.time, mark.text) for mark in track.marks]
    return "".join(
        f"{format_seconds(start)}\t{format_seconds(end)}\t{text}\n"
        for start, end, text in sorted(rows)
    )


def read(text: str) -> list[Segment]:
    """Return the region labels, whatever their text. Point labels have no effect."""
    segments = []
    for where, line in numbered_lines(text):
        if line.startswith("\\"):  # the frequencies of the label before
            continue
        fields = line.split("\t", 2)
        if len(fields) < 2:
            raise LabelsError(f"{where}: it must be START, tab, END, tab, TEXT")
        start, end = (parse_seconds(field, where) for field in fields[:2])
        segments += create_segments(start, end, where, "".join(fields[2:]))
    return segments


FORMAT = LabelFormat("Audacity labels", write, read)

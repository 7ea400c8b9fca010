"""CSV with the columns start, end, label and channel; a moment ends when it starts."""

import csv
import io

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import (
    MAX_CHANNEL,
    OPEN,
    LabelFormat,
    LabelTrack,
    Segment,
    create_segments,
    format_seconds,
    parse_seconds,
)

COLUMNS = ("start", "end", "label", "channel")


def write(track: LabelTrack) -> str:
    """Return a table; the channel is empty if a row is about all channels."""
    rows = [(start, end, OPEN, channel or "") for start, end, channel in track.segments]
    rows += [(mark.time, mark.time, mark.text, "") for mark in track.marks]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for start, end, *rest in sorted(rows, key=lambda row: row[:2]):
        writer.writerow([format_seconds(start), format_seconds(end), *rest])
    return file.getvalue()


def read(text: str) -> list[Segment]:
    """Return the rows that last for some time; only the columns start and end are required."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    segments = []
    try:
        if not {"start", "end"} <= set(reader.fieldnames or ()):
            raise LabelsError(f"line 1: the header lacks start or end: {','.join(COLUMNS)}")
        for row in reader:
            where = f"line {reader.line_num}"
            start, end = (parse_seconds(row[name] or "", where) for name in ("start", "end"))
            channel = (row.get("channel") or "").strip()
            if channel and not (channel.isdecimal() and 0 < int(channel) <= MAX_CHANNEL):
                raise LabelsError(f"{where}: channel {channel!r} must be a number from 1")
            label = f"{OPEN} {int(channel)}" if channel else ""
            segments += create_segments(start, end, where, label)
    except csv.Error as error:
        raise LabelsError(f"line {reader.reader.line_num}: it is not CSV ({error})") from None
    return segments


FORMAT = LabelFormat("CSV", write, read)

"""JSON: an object with the recording, the list `segments`, and the list `marks`."""

import json
from typing import Any, TypeGuard

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import (
    MAX_CHANNEL,
    LabelFormat,
    LabelTrack,
    Segment,
    create_segments,
)
from noisegate_cli.text import escape_undecodable

DECIMALS = 9


def write(track: LabelTrack) -> str:
    """Return an object with each segment and each moment on its own line."""
    segments = [
        {"start": round(start, DECIMALS), "end": round(end, DECIMALS)}
        | ({"channel": channel} if channel else {})
        for start, end, channel in track.segments
    ]
    marks = [{"time": round(mark.time, DECIMALS), "label": mark.text} for mark in track.marks]
    return (
        f'{{"recording": {json.dumps(escape_undecodable(track.path))},\n'
        f' "duration": {round(track.duration, DECIMALS)!r},\n'
        f' "channels": {track.channels},\n'
        f' "segments": {_format_rows(segments)},\n'
        f' "marks": {_format_rows(marks)}}}\n'
    )


def _format_rows(rows: list[dict[str, Any]]) -> str:
    return "[" + ",".join(f"\n  {json.dumps(row)}" for row in rows) + "]"


def read(text: str) -> list[Segment]:
    """Return the list `segments` of an object, or a list of [start, end]."""
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise LabelsError(f"line {error.lineno}: it is not JSON ({error.msg})") from None
    except RecursionError:
        raise LabelsError("it is nested too deeply") from None
    rows = data.get("segments") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise LabelsError('it has no "segments": [{"start": 1.5, "end": 2.5}]')
    segments = []
    for number, row in enumerate(rows, 1):
        segments += _read_row(row, f"segment {number}")
    return segments


def _refuse_constant(name: str) -> None:
    raise LabelsError(f"{name} is not a time in seconds")


def _read_row(row: Any, where: str) -> list[Segment]:
    start = end = channel = None
    if isinstance(row, dict):
        start, end, channel = row.get("start"), row.get("end"), row.get("channel")
    elif isinstance(row, list) and len(row) == 2:
        start, end = row
    if not (is_number(start) and is_number(end)):
        raise LabelsError(f'{where}: it is not {{"start": 1.5, "end": 2.5}}')
    if channel is not None and (
        not isinstance(channel, int) or isinstance(channel, bool) or not 1 <= channel <= MAX_CHANNEL
    ):
        raise LabelsError(f"{where}: channel {json.dumps(channel)} must be a number from 1")
    return [
        segment._replace(channel=channel)
        for segment in create_segments(float(start), float(end), where)
    ]


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value of JSON is a number that a time can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


FORMAT = LabelFormat("JSON", write, read)

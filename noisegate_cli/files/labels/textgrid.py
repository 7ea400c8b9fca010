"""TextGrid of Praat: a tier of intervals for each gate, and a tier of points for the moments.

Source: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

import re
from collections.abc import Iterator

from noisegate_cli.errors import LabelsError
from noisegate_cli.files.labels.track import (
    OPEN,
    LabelFormat,
    LabelTrack,
    Mark,
    Segment,
    create_segments,
    format_seconds,
    parse_channel,
    parse_seconds,
)

MARKS_TIER = "cut-offs"

_WORD = re.compile(r'"(?:[^"]|"")*"|!.*|\S+')
_HEADER = re.compile(r'[^"]*"ooTextFile[^"]*"[^"]*"TextGrid"')
_FREE_STANDING = re.compile(r'"|<|[-+]?[\d.]')


def write(track: LabelTrack) -> str:
    """Return a TextGrid in the long format; intervals without text are closed."""
    end = format_seconds(max([track.duration, *(segment.end for segment in track.segments)]))
    tiers = [
        _format_intervals(OPEN if channel is None else f"{OPEN} {channel}", segments, end)
        for channel, segments in track.by_channel.items()
    ]
    if track.marks:
        tiers.append(_format_points(track.marks, end))
    header = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    header += ["xmin = 0", f"xmax = {end}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, 1):
        header += [f"    item [{number}]:", *(f"        {line}" for line in tier)]
    return "\n".join(header) + "\n"


def _format_intervals(name: str, segments: list[Segment], end: str) -> list[str]:
    """Return the lines of a tier, whose intervals follow each other from 0 to `end`."""
    edges, position = [], format_seconds(0)
    for segment in segments:
        start = format_seconds(segment.start)
        if start != position:
            edges.append((position, start, ""))
        position = format_seconds(segment.end)
        edges.append((start, position, OPEN))
    if position != end or not edges:
        edges.append((position, end, ""))
    lines = [*_format_header("IntervalTier", name, end), f"intervals: size = {len(edges)}"]
    for number, (first, last, text) in enumerate(edges, 1):
        lines += [f"intervals [{number}]:", f"    xmin = {first}", f"    xmax = {last}"]
        lines.append(f'    text = "{text}"')
    return lines


def _format_points(marks: tuple[Mark, ...], end: str) -> list[str]:
    # Points at the same time are not allowed.
    texts: dict[str, str] = {}
    for mark in marks:
        time = format_seconds(mark.time)
        texts[time] = f"{texts[time]}, {mark.text}" if time in texts else mark.text
    lines = [*_format_header("TextTier", MARKS_TIER, end), f"points: size = {len(texts)}"]
    for number, (time, text) in enumerate(texts.items(), 1):
        lines += [f"points [{number}]:", f"    number = {time}", f'    mark = "{text}"']
    return lines


def _format_header(kind: str, name: str, end: str) -> list[str]:
    return [f'class = "{kind}"', f'name = "{name}"', "xmin = 0", f"xmax = {end}"]


def read(text: str) -> list[Segment]:
    """Return the intervals with text, in the long or the short format.

    If there are tiers called `open`, or `open 2` for channel 2, the others have no effect.
    """
    tokens = _Tokens(text)
    if not _HEADER.match(text):
        raise LabelsError("line 1: it is not a TextGrid that Praat has saved as a text file")
    tokens.read_text(), tokens.read_text()
    tokens.read_seconds(), tokens.read_seconds()
    tiers: list[tuple[str, list[Segment]]] = []
    if tokens.read_flag() == "<exists>":
        for _ in range(tokens.read_count()):
            tiers.append(_read_tier(tokens))
    own = [tier for tier in tiers if tier[0] == OPEN or parse_channel(tier[0])]
    return [segment for _, segments in own or tiers for segment in segments]


def _read_tier(tokens: "_Tokens") -> tuple[str, list[Segment]]:
    kind, name = tokens.read_text(), tokens.read_text()
    if kind not in ("IntervalTier", "TextTier"):
        raise LabelsError(f"{tokens.where}: {kind!r} is neither IntervalTier nor TextTier")
    tokens.read_seconds(), tokens.read_seconds()
    segments = []
    for _ in range(tokens.read_count()):
        start = tokens.read_seconds()
        end = tokens.read_seconds() if kind == "IntervalTier" else start
        where = tokens.where
        if tokens.read_text().strip():
            segments += create_segments(start, end, where, name)
    return name, segments


class _Tokens:
    """The numbers, texts and flags of a file of Praat, which ignores all other words."""

    def __init__(self, text: str) -> None:
        self.where = "line 1"
        """Place of the last token."""
        self._words = self._split(text)

    def _split(self, text: str) -> Iterator[str]:
        line, position = 1, 0
        for match in _WORD.finditer(text):
            line += text.count("\n", position, match.start())
            position = match.start()
            if _FREE_STANDING.match(match[0]):
                self.where = f"line {line}"
                yield match[0]
        self.where = f"line {line + text.count(chr(10), position)}"

    def _read(self, expected: str, first: str) -> str:
        word = next(self._words, "")
        if not re.match(first, word):
            raise LabelsError(f"{self.where}: {word or 'the end'} is not {expected}")
        return word

    def read_text(self) -> str:
        """Return the next text without its quotes."""
        word = self._read("a text in quotes", '"')
        return word[1:-1].replace('""', '"')

    def read_flag(self) -> str:
        """Return the next flag, such as <exists>."""
        return self._read("a flag such as <exists>", "<")

    def read_seconds(self) -> float:
        """Return the next number."""
        return parse_seconds(self._read("a number", r"[-+.\d]"), self.where)

    def read_count(self) -> int:
        """Return the next number, a whole one."""
        word = self._read("a whole number", r"\d+$")
        return int(word)


FORMAT = LabelFormat("Praat TextGrid", write, read)

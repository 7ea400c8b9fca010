"""Chapters of a recording: their forms in FFmpeg, ID3 tags and Vorbis comments."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

COMMENT_NAME_RE = re.compile(r"chapter(\d{3})(name|url)?")
"""Names, in lower case, of the Vorbis comments that describe chapters."""

TICKS_PER_SECOND = 1000
"""Unit of time in ID3 tags and Vorbis comments."""

MAX_COMMENT_CHAPTERS = 999
"""Maximum number of chapters in Vorbis comments, where their number has three digits."""


class Chapter(NamedTuple):
    """A part of a recording with a title."""

    start: int
    """First millisecond."""
    end: int
    """Millisecond after the last one."""
    title: str


def convert_from_ffmpeg(chapters: Iterable[Mapping[str, Any]]) -> tuple[Chapter, ...]:
    """Return the chapters that PyAV reports."""
    converted = []
    for chapter in chapters:
        ticks = (chapter["time_base"] or 0) * TICKS_PER_SECOND
        start, end = (max(0, round(chapter[key] * ticks)) for key in ("start", "end"))
        converted.append(Chapter(start, max(start, end), chapter["metadata"].get("title", "")))
    return tuple(converted)


def convert_to_ffmpeg(chapters: Sequence[Chapter]) -> list[Any]:
    """Return chapters for PyAV."""
    from fractions import Fraction

    return [
        {
            "id": number,
            "start": chapter.start,
            "end": chapter.end,
            "time_base": Fraction(1, TICKS_PER_SECOND),
            "metadata": {"title": chapter.title},
        }
        for number, chapter in enumerate(chapters, 1)
    ]


def parse_comments(comments: Mapping[str, Sequence[str]], duration: float) -> tuple[Chapter, ...]:
    """Return the chapters in Vorbis comments with lower-case names.

    Comments declare only where a chapter starts. The last one ends after `duration` seconds.
    """
    chapters = []
    for name in comments:
        match = COMMENT_NAME_RE.fullmatch(name)
        if match and not match[2] and (start := _parse_time(comments[name][0])) is not None:
            titles = comments.get(f"{name}name") or [""]
            chapters.append(Chapter(start, start, titles[0]))
    chapters.sort()
    ends = [*(chapter.start for chapter in chapters[1:]), round(duration * TICKS_PER_SECOND)]
    return tuple(
        chapter._replace(end=max(chapter.start, end))
        for chapter, end in zip(chapters, ends, strict=False)
    )


def is_chapter_comment(name: str) -> bool:
    """Return whether a Vorbis comment with this lower-case name describes a chapter."""
    return COMMENT_NAME_RE.fullmatch(name) is not None


def build_comments(chapters: Sequence[Chapter]) -> list[tuple[str, str]]:
    """Return Vorbis comments for chapters."""
    comments = []
    for number, chapter in enumerate(chapters[:MAX_COMMENT_CHAPTERS], 1):
        name = f"CHAPTER{number:03}"
        comments += [(name, _format_time(chapter.start)), (f"{name}NAME", chapter.title)]
    return comments


def parse_id3(frames: Iterable[Any]) -> tuple[Chapter, ...]:
    """Return the chapters in the frames of an ID3 tag."""
    chapters = [
        Chapter(
            frame.start_time,
            frame.end_time,
            next((str(title) for title in frame.sub_frames.getall("TIT2")), ""),
        )
        for frame in frames
        if frame.FrameID == "CHAP"
    ]
    return tuple(sorted(chapters, key=lambda chapter: chapter.start))


def _parse_time(text: str) -> int | None:
    """Return milliseconds from a time such as 01:02:03.456; None if it is invalid."""
    from fractions import Fraction

    match = re.fullmatch(r"(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)", text.strip())
    if not match:
        return None

    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    return round(seconds * TICKS_PER_SECOND)


def _format_time(ticks: int) -> str:
    seconds, milliseconds = divmod(ticks, TICKS_PER_SECOND)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"

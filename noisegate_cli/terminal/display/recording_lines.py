"""Lines about a recording: tracks, segments and outputs, the key, bleed of other tracks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from noisegate_cli.text import format_time, quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.files.audio_info import AudioInfo
    from noisegate_cli.gating.alignment import Alignment
    from noisegate_cli.gating.bleed.report import BleedReport
    from noisegate_cli.gating.forced import Spans


def format_track(info: "AudioInfo") -> str:
    """Return which of several audio tracks was read; an empty string if there is only one."""
    if len(info.tracks) < 2:
        return ""
    return f"{info.track} of {len(info.tracks)}: {info.tracks[info.track - 1]}"


def format_tracks(result: "GateResult") -> list[str]:
    """Return lines about the tracks of a recording and about copied files."""
    lines = []
    if track := format_track(result.source):
        lines.append(f"track      {track}; --track N selects another one")
    if result.is_copied:
        lines.append("copied     the gate stays open: the file is copied, not re-encoded")
    elif result.output.keeps_tracks:
        lines.append("video      the video and the other tracks are copied unchanged")
    return lines


def format_segments(result: "GateResult") -> list[str]:
    """Return the lines of the summary about segments."""
    lines = []
    # The times count from the start of the file again.
    forced = result.forced.advance(-result.source.offset_s, with_segments=True)
    if forced.keep:
        lines.append(f"kept       {_format_spans(forced.keep)}")
    if forced.cut:
        lines.append(f"cut        {_format_spans(forced.cut)}")
    if result.excerpt:
        lines.append(f"excerpt    {_format_spans((result.excerpt,))} of the recording")
    if result.comparison:
        lines.append(f"comparison {quote_path(result.comparison)}")
    if result.labels:
        lines.append(f"labels     {quote_path(result.labels)}")
    return lines


def format_key(key: "KeyTrack") -> str:
    """Return the line of the summary about a key."""
    alignment = key.alignment
    if alignment is None:
        return f"key        {quote_path(key.path)}: no sound in common, so both start together"
    return f"key        {quote_path(key.path)}: {format_alignment(alignment)}"


def format_bleed(bleed: "BleedReport", others: "Sequence[OtherTrack]") -> list[str]:
    """Return the lines of the summary about other tracks, or other channels, and their bleed."""
    lines = describe_bleed(bleed, others)
    return [f"{'' if number else 'bleed':<11}{line}" for number, line in enumerate(lines)]


def describe_bleed(bleed: "BleedReport", others: "Sequence[OtherTrack]") -> list[str]:
    """Return one text for each other track or channel, and one for all of them."""
    lines = [
        f"{quote_path(track.path)}: {format_alignment(track.alignment)}{_level(track.level_db)}"
        for track in others
        if track.alignment and track.path
    ]
    if not others:
        lines += [
            f"channel {level.gate + 1} from channel {level.reference + 1}{_level(level.level_db)}"
            for level in bleed.levels
        ]
    return [*lines, f"closed for bleed {100 * bleed.closed_share:.1f}% of the time"]


def format_alignment(alignment: "Alignment") -> str:
    """Return when another track starts, and how fast its clock is.

    Examples
    --------
    >>> from noisegate_cli.gating.alignment import Alignment
    >>> format_alignment(Alignment(start_s=0.412, drift_ppm=23.2))
    '0.412 s later, 23 ppm fast'
    """
    start, drift = round(alignment.start_s, 3), round(alignment.drift_ppm)
    begins = f"{abs(start):.3f} s {'later' if start > 0 else 'earlier'}" if start else "in sync"
    if not drift:
        return begins
    return f"{begins}, {abs(drift)} ppm {'fast' if drift > 0 else 'slow'}"


def _level(level_db: float | None) -> str:
    return "" if level_db is None else f", bleed {level_db:.0f} dB"


def _format_spans(spans: "Spans") -> str:
    return ", ".join(f"{format_time(start)}-{format_time(end)}" for start, end in spans)

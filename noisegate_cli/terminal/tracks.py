"""Describe which audio track of a recording was gated, and what became of the other tracks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.files.formats import AudioInfo


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
        lines.append("copied     the gate stays open: the file is copied, not encoded again")
    elif result.output.keeps_tracks:
        lines.append("video      the picture and the other tracks are copied unchanged")
    return lines

"""Describe the bleed of other tracks as lines of text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.gating.alignment import Alignment
    from noisegate_cli.gating.bleed.report import BleedReport


def format_bleed(bleed: "BleedReport", others: "Sequence[OtherTrack]") -> list[str]:
    """Return lines about the other tracks, or the other channels, and their bleed."""
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
    lines.append(f"closed for bleed {100 * bleed.closed_share:.1f} % of the time")
    return [f"{'' if number else 'bleed':<11}{line}" for number, line in enumerate(lines)]


def format_alignment(alignment: "Alignment") -> str:
    """Return when another track starts, and how fast its clock is.

    Examples
    --------
    >>> from noisegate_cli.gating.alignment import Alignment
    >>> format_alignment(Alignment(start_s=0.412, drift_ppm=23.2))
    '0.412 s later, 23 ppm fast'
    """
    start, drift = round(alignment.start_s, 3), round(alignment.drift_ppm)
    begins = f"{abs(start):.3f} s {'later' if start > 0 else 'earlier'}" if start else "in step"
    if not drift:
        return begins
    return f"{begins}, {abs(drift)} ppm {'fast' if drift > 0 else 'slow'}"


def _level(level_db: float | None) -> str:
    return "" if level_db is None else f", bleed {level_db:.0f} dB".replace("-", "−")

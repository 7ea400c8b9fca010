"""What a gate reports about the recording that it has processed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisegate_cli.gating.cutoff_report import CutoffReport
from noisegate_cli.gating.forced import NOT_FORCED, ForcedSegments
from noisegate_cli.gating.gain.mask import GateStatistics
from noisegate_cli.gating.report import Report
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.report import BleedReport
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
    from noisegate_cli.gating.noise_profile import NoiseProfile


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GateReport(Report):
    """Settings, threshold and statistics of a gate that processed a recording.

    Attributes
    ----------
    settings : GateSettings
        Settings that were used.
    threshold : float or None
        Threshold that was used (linear RMS). None if the gate used more features than the level, or
        found no threshold and stayed open.
    suggestion : ThresholdSuggestion or None
        Origin of the threshold; None if the threshold was given.
    range_db : float
        Gain of the closed gate in dB, as it results from the settings or from a target floor.
    noises : tuple of NoiseProfile or None
        Noise profile of each gate; None if no noise was found and the gate removed nothing.
    statistics : GateStatistics
        How much of the time the gate was closed, and how often it opened.
    segments : Segments
        Segments in which the gate was open.
    forced : ForcedSegments
        Segments in which the caller opened or closed the gate.
    cutoffs : CutoffReport
        Sounds whose attack or decay the gate has cut, apart from bleed.
    active_channels : tuple of int or None
        Channels that open the gate, without dead ones; None for all.
    bleed : BleedReport or None
        Bleed of the other tracks; None without other tracks.
    """

    settings: GateSettings
    threshold: float | None
    suggestion: "ThresholdSuggestion | None"
    range_db: float
    noises: "tuple[NoiseProfile | None, ...]"
    statistics: GateStatistics
    segments: Segments
    forced: ForcedSegments = NOT_FORCED
    cutoffs: CutoffReport
    active_channels: tuple[int, ...] | None
    bleed: "BleedReport | None" = None

    @property
    def offset_s(self) -> float:
        """Time of the first sample in seconds from the start of the recording."""
        return 0.0

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "cutoffs.count")
        return format_repr(self, *names)

"""Result of `analyze_file`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from noisegate_cli.api.pictures import DrawableResult, draw_analysis_of
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.gating.report import Report
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.api.overviews import OverviewParts
    from noisegate_cli.files.raw_format import RawFormat
    from noisegate_cli.gating.bleed.report import BleedReport
    from noisegate_cli.gating.gate_report import GateReport
    from noisegate_cli.gating.level_report import LevelReport
    from noisegate_cli.plots.overview import Overview


@dataclass(frozen=True, slots=True, repr=False)
class AnalysisReport(Report, DrawableResult):
    """Result of `analyze_file`.

    Attributes
    ----------
    info : AudioInfo
        Properties of the recording.
    settings : GateSettings
        Settings of the gate.
    levels : LevelReport
        Levels of the recording, and the suggested threshold.
    warnings : tuple of str
        Problems of the recording, one sentence each.
    gate : GateReport or None
        What the gate would do in the whole recording; None if it has not run.
    raw : RawFormat or None
        Sample format of an input without a header.
    others : tuple of OtherTrack
        The other tracks, in the order of `against`.
    """

    info: AudioInfo
    settings: GateSettings
    levels: "LevelReport"
    warnings: tuple[str, ...] = ()
    gate: "GateReport | None" = None
    raw: "RawFormat | None" = None
    others: "tuple[OtherTrack, ...]" = ()

    @property
    def bleed(self) -> "BleedReport | None":
        """Bleed of other tracks; None without any, or if the gate has not run."""
        return self.gate.bleed if self.gate else None

    def plot(self) -> "Figure":
        """Return a plot of the analysis. The recording is read again.

        It shows the waveform with the closed segments shaded, the levels with the thresholds,
        their histogram, the scores of the automatic detector and the spectrogram.

        Raises
        ------
        AudioError
            If the recording cannot be read again, such as standard input.
        SettingsError
            If the analysis has other tracks: `plot=` of `analyze_file` draws it.
        """
        return self._draw(self._record(with_spectrogram=True, with_output=False))

    def _record(self, **parts: "Unpack[OverviewParts]") -> "Overview":
        from noisegate_cli.api.overviews import record_file

        if self.others:
            raise SettingsError(
                "an analysis against other tracks is drawn only while it runs: give plot="
            )
        return record_file(self.info.path, self.settings, self.raw, track=self.info.track, **parts)

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_analysis_of(self.info.path, overview, self.levels)

    def __repr__(self) -> str:
        names = ("levels.closed_share", "levels.suggestion.threshold", "levels.suggestion.verdict")
        return format_repr(self, "info.path.name", *names)

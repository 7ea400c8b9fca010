"""Result of `gate_file`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from noisegate_cli.api.pictures import DrawableResult, draw_gate_of
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.api.overviews import OverviewParts
    from noisegate_cli.files.raw_format import RawFormat
    from noisegate_cli.plots.overview import Overview


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GateResult(GateReport, DrawableResult):
    """Result of `gate_file`.

    It has the attributes of `GateReport` too.

    Attributes
    ----------
    source : AudioInfo
        Properties of the input.
    output : AudioInfo
        Properties of the output.
    residue : Path or None
        File of the removed signal; None if it was not written.
    labels : Path or None
        File of the open segments.
    comparison : Path or None
        File in which input and output alternate.
    excerpt : (float, float) or None
        Start and end of the part that was written, in seconds from the start of the file; None for
        the whole recording. The statistics and segments are those of this part, from its start.
    peak_db : float or None
        Peak of the input in dBFS; minus infinity for digital silence, None without `with_peak`.
    seconds : float
        Elapsed time in seconds.
    warnings : tuple of str
        Problems of the recording and losses in the output, one sentence each.
    is_copied : bool
        Whether the output is a copy of the input file, because the gate stayed open and re-encoding
        would lose quality.
    delay_ms : float or None
        Maximum delay from standard input to standard output; None for files.
    raw : RawFormat or None
        Sample format of an input without a header.
    others : tuple of OtherTrack
        The other tracks, in the order of `against`.
    key : KeyTrack or None
        Another recording that opened the gate.
    """

    source: AudioInfo
    output: AudioInfo
    residue: Path | None
    labels: Path | None = None
    comparison: Path | None = None
    excerpt: tuple[float, float] | None = None
    peak_db: float | None
    seconds: float
    warnings: tuple[str, ...] = ()
    is_copied: bool = False
    delay_ms: float | None = None
    raw: "RawFormat | None" = None
    others: "tuple[OtherTrack, ...]" = ()
    key: "KeyTrack | None" = None

    @property
    def offset_s(self) -> float:
        """Time of the first sample in seconds from the start of the file, as a player shows it.

        The times of `segments` and `cutoffs` count from the first sample of the output, and those
        of `forced` from the first sample of the recording.
        """
        return 0.0 if self.excerpt else self.source.offset_s

    def plot(self) -> "Figure":
        """Return a plot of the gate. The recording is read and gated again.

        It shows the waveforms before and after the gate, the gain, and the removed signal.

        Raises
        ------
        AudioError
            If the recording cannot be read again, such as standard input.
        SettingsError
            If the gate had other tracks: `plot=` of `gate_file` draws it.
        """
        return self._draw(self._record(with_spectrogram=self.settings.spectral != "off"))

    def _record(self, **parts: "Unpack[OverviewParts]") -> "Overview":
        from noisegate_cli.api.overviews import record_file

        if self.others:
            raise SettingsError(
                "a gate against other tracks is drawn only while it runs: give plot="
            )
        return record_file(
            self.source.path,
            self.settings,
            self.raw,
            track=self.source.track,
            forced=self.forced,
            key=self.key.path if self.key else None,
            **parts,
        )

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_gate_of(self.source.path, overview)

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "cutoffs.count")
        return format_repr(self, "output.path.name", *names)

"""Results of `gate` and `analyze`, which hold the samples."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from noisegate_cli.api.pictures import draw_analysis_of, draw_gate_of
from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.gate import GateReport
from noisegate_cli.gating.level_report import LevelReport
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.plots.overview import Overview


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayGateResult(GateReport):
    """Result of `gate` with `return_result=True`."""

    samples: Samples
    """The gated samples, in the shape and the type of the input."""
    original: Samples
    """The input as it was given, not copied, shaped (samples, channels)."""
    others: "tuple[OtherTrack, ...]" = ()
    """The other tracks, in the order of `against`."""
    key: "KeyTrack | None" = None
    """Another recording that opened the gate."""

    def plot(self) -> "Figure":
        """Return a picture: the waveforms before and after, the gain, and the removed signal.

        The input is gated again, so it must not have been changed since.
        """
        return self._draw(self._record(with_spectrogram=self.settings.spectral != "off"))

    def _repr_html_(self) -> str:
        """Return the picture and players of an excerpt for a notebook."""
        from html import escape

        from noisegate_cli.api.notebook import show

        if self.others or self.key:
            return f"<code>{escape(repr(self))}</code>"
        return show(self._record, self._draw, self.segments.sample_rate)

    def _record(self, **options: Any) -> "Overview":
        from noisegate_cli.api.overviews import record_array

        if self.others or self.key:
            raise SettingsError("a gate with against= or key= cannot be drawn from arrays")
        noises = () if None in self.noises else self.noises
        given = [noise for noise in noises if noise and noise.source == "given"]
        rate = self.segments.sample_rate
        return record_array(
            self.original, rate, self.settings, tuple(given), forced=self.forced, **options
        )

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_gate_of(None, overview)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayGateResult):
            return NotImplemented
        is_equal = all(
            getattr(self, item.name) == getattr(other, item.name) for item in fields(GateReport)
        )
        return is_equal and np.array_equal(self.samples, other.samples)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "cutoffs.count")
        return format_repr(self, "samples.shape", *names)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArrayLevelReport(LevelReport):
    """Result of `analyze`."""

    original: Samples = field(compare=False)
    """The input as it was given, not copied, shaped (samples, channels)."""
    sample_rate: int = field(compare=False)
    """Sample rate in Hz."""
    settings: GateSettings = field(compare=False)
    given_noises: tuple[NoiseProfile, ...] = field(compare=False)
    """Noise profiles of a noise that was given."""

    def plot(self) -> "Figure":
        """Return a picture: waveform, levels, histogram, scores and spectrogram.

        The input is gated, so it must not have been changed since.
        """
        return self._draw(self._record(with_spectrogram=True, with_output=False))

    def _repr_html_(self) -> str:
        """Return the picture and players of an excerpt for a notebook."""
        from noisegate_cli.api.notebook import show

        return show(self._record, self._draw, self.sample_rate)

    def _record(self, **options: Any) -> "Overview":
        from noisegate_cli.api.overviews import record_array

        noises = self.given_noises
        return record_array(self.original, self.sample_rate, self.settings, noises, **options)

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_analysis_of(None, overview, self)

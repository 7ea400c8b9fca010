"""Results of `gate` and `analyze`, which hold the samples."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Unpack

import numpy as np

from noisegate_cli.api.pictures import DrawableResult, draw_analysis_of, draw_gate_of
from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.gating.level_report import LevelReport
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.api.overviews import OverviewParts
    from noisegate_cli.plots.overview import Overview


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ArrayGateResult(GateReport, DrawableResult):
    """Result of `gate` with `return_result=True`.

    It has the attributes of `GateReport` too.

    Attributes
    ----------
    samples : numpy.ndarray
        The gated samples, in the shape and the type of the input.
    original : numpy.ndarray
        The input as it was given, not copied, shaped (samples, channels).
    others : tuple of OtherTrack
        The other tracks, in the order of `against`.
    key : KeyTrack or None
        Another recording that opened the gate.
    """

    samples: Samples
    original: Samples
    others: "tuple[OtherTrack, ...]" = ()
    key: "KeyTrack | None" = None

    def plot(self) -> "Figure":
        """Return a plot: the waveforms before and after, the gain, and the removed signal.

        The input is gated again, so it must not have been changed since.

        Raises
        ------
        SettingsError
            If the gate had other tracks or another recording as the key.
        """
        return self._draw(self._record(with_spectrogram=self.settings.spectral != "off"))

    def _record(self, **parts: "Unpack[OverviewParts]") -> "Overview":
        from noisegate_cli.api.overviews import record_array

        if self.others or self.key:
            raise SettingsError("a gate with against= or key= cannot be drawn from arrays")
        noises = () if None in self.noises else self.noises
        given = [noise for noise in noises if noise and noise.source == "given"]
        rate = self.segments.sample_rate
        return record_array(
            self.original, rate, self.settings, tuple(given), forced=self.forced, **parts
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
class ArrayLevelReport(LevelReport, DrawableResult):
    """Result of `analyze`.

    It has the attributes of `LevelReport` too.

    Attributes
    ----------
    original : numpy.ndarray
        The input as it was given, not copied, shaped (samples, channels).
    sample_rate : int
        Sample rate in Hz.
    settings : GateSettings
        Settings of the gate.
    given_noises : tuple of NoiseProfile
        Noise profiles of a noise that was given.
    """

    original: Samples = field(compare=False)
    sample_rate: int = field(compare=False)
    settings: GateSettings = field(compare=False)
    given_noises: tuple[NoiseProfile, ...] = field(compare=False)

    def plot(self) -> "Figure":
        """Return a plot: waveform, levels, histogram, scores and spectrogram.

        The input is gated, so it must not have been changed since.
        """
        return self._draw(self._record(with_spectrogram=True, with_output=False))

    def _record(self, **parts: "Unpack[OverviewParts]") -> "Overview":
        from noisegate_cli.api.overviews import record_array

        noises = self.given_noises
        return record_array(self.original, self.sample_rate, self.settings, noises, **parts)

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_analysis_of(None, overview, self)

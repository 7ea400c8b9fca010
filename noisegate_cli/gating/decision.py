"""The decision that the first pass makes and the gate applies."""

import math
from typing import TYPE_CHECKING, NamedTuple

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.detection.rule import STAYS_OPEN, AdaptiveThreshold, Rule
from noisegate_cli.gating.forced import NOT_FORCED, ForcedSegments
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.learner import LearnedBleed
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
    from noisegate_cli.gating.key import KeySource
    from noisegate_cli.gating.noise_profile import NoiseProfile, NoiseProfiles


class GateDecision(NamedTuple):
    """The rule, settings and noise profiles that a gate applies."""

    rule: Rule
    settings: GateSettings
    """Settings of the gate."""
    suggestion: "ThresholdSuggestion | None" = None
    """Suggestion that the rule is based on; None if the user gave a threshold."""
    noises: "tuple[NoiseProfile | None, ...]" = ()
    """Noise profiles for the spectral gate: one for each gate, None where no noise was found, or
    one for all."""
    subsample: BatchSubsampler | None = None
    """Band powers that the models were learned from, reused when the same samples are gated."""
    target_range_db: float | None = None
    """Gain of the closed gate in dB that results from a target floor or a low contrast; None if
    the range of the settings is used."""
    forced: ForcedSegments = NOT_FORCED
    """Segments in which the gate is open or closed whatever the rule says."""
    active_channels: tuple[int, ...] | None = None
    """Channels that open the gate; None for all of them."""
    bleed: "LearnedBleed | None" = None
    """What is known about the bleed of other tracks; None without any."""
    key: "KeySource | None" = None
    """Another recording that opens the gate."""

    def __repr__(self) -> str:
        return format_repr(self, "threshold", "suggestion")

    @classmethod
    def from_settings(
        cls,
        settings: GateSettings,
        noises: "NoiseProfiles" = (),
        forced: ForcedSegments = NOT_FORCED,
    ) -> "GateDecision | None":
        """Return the decision if it needs no first pass, otherwise None.

        Parameters
        ----------
        settings
            Settings of the gate.
        noises
            Noise profiles that the caller gave.
        forced
            Segments in which the gate is open or closed. If all open segments are given, the
            rule has no effect, and only the noise may need a first pass.

        Raises
        ------
        SettingsError
            If the settings exclude forced segments.
        """
        _check_forced(settings, forced)
        needs_first_pass = (
            settings.target_floor_db is not None
            or (settings.needs_noise and not noises)
            or settings.channels == "exclusive"
        )
        if needs_first_pass:
            return None
        if forced.segments is not None:
            return cls(STAYS_OPEN, settings, noises=noises, forced=forced)
        if settings.adaptive or isinstance(settings.threshold, str):
            return None
        return cls(settings.threshold, settings, noises=noises, forced=forced)

    def force(self, forced: ForcedSegments) -> "GateDecision":
        """Return the decision with forced segments; given segments replace the rule."""
        suggestion = self.suggestion if forced.segments is None else None
        return self._replace(forced=forced, suggestion=suggestion)

    @property
    def range_db(self) -> float:
        """Gain of the closed gate in dB."""
        if self.target_range_db is not None:
            return self.target_range_db
        return self.settings.closed_range_db

    @property
    def threshold(self) -> float | None:
        """Threshold in linear RMS; None if the gate uses signal models or stays open."""
        if isinstance(self.rule, tuple) or self.forced.segments is not None:
            return None
        rule = self.rule
        level = rule.threshold if isinstance(rule, AdaptiveThreshold) else rule
        return level if 0 <= level < math.inf else None


def _check_forced(settings: GateSettings, forced: ForcedSegments) -> None:
    """Raise SettingsError if the settings exclude forced segments."""
    if settings.expands and forced.segments is not None:
        raise SettingsError(
            "segments= say where the gate is open, and ratio= needs a level instead: "
            "omit one of them"
        )
    if settings.duck and forced:
        raise SettingsError(
            "segments=, keep= and cut= open and close a gate, and duck=True inverts it: "
            "omit duck=True"
        )

"""The decision that the first pass makes and the gate applies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisegate_cli.gating.detection.rule import AdaptiveThreshold, Rule
from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.learner import LearnedBleed
    from noisegate_cli.gating.noise_profile import NoiseProfile, NoiseProfiles


@dataclass(frozen=True)
class GateDecision:
    """The rule, settings and noise profiles that a gate applies."""

    rule: Rule
    settings: GateSettings
    """Settings of the gate."""
    suggestion: ThresholdSuggestion | None = None
    """Suggestion that the rule is based on; None if the user gave a threshold."""
    noises: "tuple[NoiseProfile | None, ...]" = ()
    """Noise profiles for the spectral gate: one for each gate, None where no noise was found, or
    one for all."""
    subsample: BatchSubsampler | None = None
    """Band powers that the models were learnt from, reused when the same samples are gated."""
    target_range_db: float | None = None
    """Gain of the closed gate in dB that results from a target floor; None without one."""
    bleed: "LearnedBleed | None" = None
    """What is known about the bleed of other tracks; None without any."""

    def __repr__(self) -> str:
        return format_repr(self, "threshold", "suggestion")

    @classmethod
    def from_settings(
        cls, settings: GateSettings, noises: "NoiseProfiles" = ()
    ) -> "GateDecision | None":
        """Return the decision if the settings determine it, None if a first pass is needed.

        `noises` are the noise profiles that the caller gave.
        """
        needs_first_pass = (
            settings.adaptive
            or settings.target_floor_db is not None
            or (settings.needs_noise and not noises)
            or settings.channels == "exclusive"
        )
        if isinstance(settings.threshold, str) or needs_first_pass:
            return None
        return cls(settings.threshold, settings, noises=noises)

    @property
    def range_db(self) -> float:
        """Gain of the closed gate in dB."""
        if self.target_range_db is not None:
            return self.target_range_db
        return self.settings.closed_range_db

    @property
    def threshold(self) -> float | None:
        """Threshold in linear RMS; None if the gate uses signal models or stays open."""
        if isinstance(self.rule, tuple):
            return None
        rule = self.rule
        level = rule.threshold if isinstance(rule, AdaptiveThreshold) else rule
        return None if level < 0 else level

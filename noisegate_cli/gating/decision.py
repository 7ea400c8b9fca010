"""The decision that the first pass makes and the gate applies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisegate_cli.gating.detection.rule import AdaptiveThreshold, Rule
from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile


@dataclass(frozen=True)
class GateDecision:
    """The rule, settings and noise profiles that a gate applies."""

    rule: Rule
    settings: GateSettings
    """Settings of the gate; a target floor is already converted to a range."""
    suggestion: ThresholdSuggestion | None = None
    """Suggestion that the rule is based on; None if the user gave a threshold."""
    noises: "tuple[NoiseProfile | None, ...]" = ()
    """Noise profile of each gate for the spectral gate, None where no noise was found."""
    subsample: BatchSubsampler | None = None
    """Band powers that the models were learnt from, reused when the same samples are gated."""

    def __repr__(self) -> str:
        return format_repr(self, "threshold", "suggestion")

    @classmethod
    def from_settings(cls, settings: GateSettings) -> "GateDecision | None":
        """Return the decision if the settings determine it, None if a first pass is needed."""
        needs_noise = (
            settings.noise_stretch or settings.adaptive or settings.target_floor_db is not None
        )
        if isinstance(settings.threshold, str) or needs_noise or settings.learns_noise:
            return None
        return cls(settings.threshold, settings)

    @property
    def threshold(self) -> float | None:
        """Threshold in linear RMS; None if the gate uses signal models or stays open."""
        if isinstance(self.rule, tuple):
            return None
        rule = self.rule
        level = rule.threshold if isinstance(rule, AdaptiveThreshold) else rule
        return None if level < 0 else level

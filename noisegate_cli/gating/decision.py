"""What the gate goes by once the first pass is complete."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisegate_cli.gating.detection.rule import AdaptiveThreshold, Rule
from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile


@dataclass(frozen=True)
class GateDecision:
    """What the gate shall go by."""

    rule: Rule
    settings: GateSettings
    """With the range that a target floor comes to."""
    suggestion: ThresholdSuggestion | None = None
    """Where the rule comes from; None when the threshold was given."""
    noises: "tuple[NoiseProfile | None, ...]" = ()
    """The noise in each gate, if the spectral gate goes by it; None where none was found."""
    subsample: BatchSubsampler | None = None
    """What the rule was learnt from, of the samples that are to be gated."""

    @classmethod
    def from_settings(cls, settings: GateSettings) -> "GateDecision | None":
        """Return what needs no recording to be decided; None when it does."""
        needs_noise = (
            settings.noise_stretch or settings.adaptive or settings.target_floor_db is not None
        )
        if isinstance(settings.threshold, str) or needs_noise or settings.learns_noise:
            return None
        return cls(settings.threshold, settings)

    @property
    def threshold(self) -> float | None:
        """Linear RMS; None where the gate goes by more than that, or stays open."""
        if isinstance(self.rule, tuple):
            return None
        rule = self.rule
        level = rule.threshold if isinstance(rule, AdaptiveThreshold) else rule
        return None if level < 0 else level

"""Choice of the detector that a rule needs.

A detector returns one value per frame and gate, and has the thresholds that open and close the
gate. A `Rule` determines the detector: a threshold needs a `LevelDetector`, signal models need a
`LikelihoodDetector`. Each returns the detector values together with the frame levels.
"""

from typing import TYPE_CHECKING, TypeAlias

from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.rule import Rule
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.likelihood_detector import LikelihoodDetector

Detector: TypeAlias = "LevelDetector | LikelihoodDetector"


def create_detector(
    rule: Rule,
    settings: GateSettings,
    sample_rate: int,
    channels: int = 1,
    subsample: BatchSubsampler | None = None,
) -> Detector:
    """Create the detector that a rule needs."""
    if isinstance(rule, tuple):
        from noisegate_cli.gating.detection.likelihood_detector import LikelihoodDetector

        return LikelihoodDetector(rule, settings, sample_rate, channels, subsample)
    return LevelDetector(rule, settings, sample_rate, channels)

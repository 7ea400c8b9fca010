"""What the gate listens to: one number a frame for each gate, and where that opens and closes it.

A `Rule` says which detector: a threshold is one of the level, models are one of the likelihood.
Each tells both what it goes by and the levels.
"""

from typing import TypeAlias

from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.likelihood_detector import LikelihoodDetector
from noisegate_cli.gating.detection.rule import Rule
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.settings import GateSettings

Detector: TypeAlias = LevelDetector | LikelihoodDetector


def detector(
    rule: Rule,
    settings: GateSettings,
    sample_rate: int,
    channels: int = 1,
    subsample: BatchSubsampler | None = None,
) -> Detector:
    """Return the detector that a rule needs."""
    if isinstance(rule, tuple):
        return LikelihoodDetector(rule, settings, sample_rate, channels, subsample)
    return LevelDetector(rule, settings, sample_rate, channels)

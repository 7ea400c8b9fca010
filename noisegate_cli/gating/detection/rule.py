"""The rule that opens and closes the gate: a fixed or adaptive threshold, or signal models."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.noise_floor import interpolate_steps
from noisegate_cli.samples import from_db

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.signal_model import SignalModel


@dataclass(frozen=True, eq=False)
class AdaptiveThreshold:
    """A threshold that follows the noise floor."""

    threshold: float
    """Threshold at the median noise floor, linear RMS."""
    drift_db: NDArray[np.float64] = field(repr=False)
    """Noise floor in each step, relative to its median, in dB."""
    step: int
    """Length of a step in frames."""

    def compensate_drift(self, levels: RmsLevels, frames: NDArray[np.int64]) -> RmsLevels:
        """Return levels from which the drift of the noise floor is removed."""
        return levels * from_db(-interpolate_steps(self.drift_db, self.step, frames))[:, None]


Rule: TypeAlias = "float | AdaptiveThreshold | tuple[SignalModel, ...]"
"""A threshold in linear RMS (negative: the gate stays open), or one signal model per gate."""

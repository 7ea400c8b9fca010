"""The rule that opens and closes the gate: thresholds, fixed or moving."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.signal_model import SignalModel
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.noise_floor import interpolate_steps
from noisegate_cli.samples import from_db


@dataclass(frozen=True, eq=False)
class AdaptiveThreshold:
    """A threshold that moves with the noise."""

    threshold: float
    """Where the noise is as loud as it mostly is, linear RMS."""
    drift_db: NDArray[np.float64]
    """How much louder the noise is in each step."""
    step: int
    """In frames."""

    def compensate_drift(self, levels: RmsLevels, frames: NDArray[np.int64]) -> RmsLevels:
        """Return what levels would be over a noise that stands still."""
        return levels * from_db(-interpolate_steps(self.drift_db, self.step, frames))[:, None]


Rule: TypeAlias = float | AdaptiveThreshold | tuple[SignalModel, ...]
"""A threshold in linear RMS, below 0 for a gate that stays open; or what each gate has learnt."""

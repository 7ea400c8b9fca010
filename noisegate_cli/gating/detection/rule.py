"""The rule that opens and closes the gate: a fixed or adaptive threshold, or signal models."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.noise_floor import (
    FLOOR_STEP_S,
    compute_noise_floor,
    interpolate_steps,
)
from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.samples import from_db

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.signal_model import SignalModel
    from noisegate_cli.gating.frames.level_track import LevelTrack

STAYS_OPEN = -1.0
"""Threshold below every level."""


@dataclass(frozen=True, eq=False)
class AdaptiveThreshold:
    """A threshold that follows the noise floor."""

    threshold: float
    """Threshold at the median noise floor, linear RMS."""
    drift_db: NDArray[np.float64] = field(repr=False)
    """Noise floor in each step, relative to its median, in dB."""
    step: int
    """Length of a step in frames."""

    @classmethod
    def from_levels(
        cls, threshold: float, track: "LevelTrack", frames_per_s: float
    ) -> "AdaptiveThreshold":
        """Return a threshold that follows the noise floor of the loudest gate of a recording."""
        step = max(1, round(FLOOR_STEP_S * frames_per_s))
        floors = compute_noise_floor(track.compute_quiet_levels_db(step))
        return cls(threshold, floors - median(floors), step)

    def drift_db_at(self, frames: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the drift of the noise floor at frames, in dB."""
        return np.asarray(interpolate_steps(self.drift_db, self.step, frames), np.float64)

    def compensate_drift(self, levels: RmsLevels, frames: NDArray[np.int64]) -> RmsLevels:
        """Return levels from which the drift of the noise floor is removed."""
        return levels * from_db(-self.drift_db_at(frames))[:, None]


Rule: TypeAlias = "float | AdaptiveThreshold | tuple[SignalModel, ...]"
"""A threshold in linear RMS (negative: the gate stays open), or one signal model per gate."""

"""What the gate listens to: one number a frame for each gate, and where that opens and closes it.

A `Rule` says which detector: a threshold is one of the level, models are one of the likelihood.
Each tells both what it goes by and the levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.bands import BandPowers, Powers
from noisegate_cli.gating.floor import between_steps
from noisegate_cli.gating.kept import EvenlyKept
from noisegate_cli.gating.learner import Scorer, scored
from noisegate_cli.gating.levels import FrameLevels, Levels, Samples, from_db
from noisegate_cli.gating.likelihood import CLOSE_BELOW, OPEN_ABOVE, SignalModel
from noisegate_cli.gating.listener import Listener
from noisegate_cli.gating.mask import Values
from noisegate_cli.gating.settings import GateSettings


@dataclass(frozen=True, eq=False)
class MovingThreshold:
    """A threshold that moves with the noise."""

    threshold: float
    """Where the noise is as loud as it mostly is, linear RMS."""
    drift_db: NDArray[np.float64]
    """How much louder the noise is in each step."""
    step: int
    """In frames."""

    def still(self, levels: Levels, frames: NDArray[np.int64]) -> Levels:
        """Return what levels would be over a noise that stands still."""
        return levels * from_db(-between_steps(self.drift_db, self.step, frames))[:, None]


Rule: TypeAlias = float | MovingThreshold | tuple[SignalModel, ...]
"""A threshold in linear RMS, below 0 for a gate that stays open; or what each gate has learnt."""


class LevelDetector:
    """Frame RMS of samples that come in blocks, of the loudest channel or of each.

    With a key filter it is the RMS of what lies between two frequencies, under a Hann window.

    Examples
    --------
    >>> detector = LevelDetector(0.1, GateSettings(frame_length=16), sample_rate=8000, channels=2)
    >>> levels, _ = detector.process(np.tile([0.5, 0.25], (32, 1)), last=True)
    >>> detector.gates, levels[2:-2].ravel()
    (1, array([0.5, 0.5, 0.5, 0.5, 0.5]))
    """

    def __init__(
        self,
        threshold: float | MovingThreshold,
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
    ) -> None:
        timing = settings.timing(sample_rate)
        self._moving = threshold if isinstance(threshold, MovingThreshold) else None
        level = threshold.threshold if isinstance(threshold, MovingThreshold) else threshold
        self.open_above, self.close_below = thresholds(level, settings)
        self._told = 0
        self._frames = FrameLevels(timing.frame_length, timing.hop_length)
        self._key: BandPowers | None = None
        if settings.key_hz:
            edges = list(settings.key_band(sample_rate))
            self._key = BandPowers(edges, sample_rate, timing.frame_length, timing.hop_length)
            self._batches = self._key.batches()
        self._linked = settings.channels == "linked"
        self.gates = 1 if self._linked else channels
        """How many numbers there are for a frame."""

    @property
    def square_sum(self) -> float:
        """Of all samples of all channels so far, full scale 1.0, whatever the key."""
        return self._frames.square_sum

    def process(self, block: Samples, last: bool = False) -> tuple[Levels, Levels]:
        """Return what the threshold is for, and the levels, both shaped (frames, gates).

        The first is the second, unless the threshold moves. See `FrameLevels.process` for errors.
        """
        levels = self._frames.process(block, last)
        if self._key:
            batches = self._batches.process(block, last)
            parts = [self._key.of(frames, samples)[:, :, 0] for _, frames, samples in batches]
            powers = np.concatenate([np.zeros((0, block.shape[1]), np.float32), *parts])
            levels = np.sqrt(powers.astype(np.float64))
        levels = levels.max(axis=1, keepdims=True) if self._linked else levels
        frames = self._told + np.arange(len(levels))
        self._told += len(levels)
        return self._moving.still(levels, frames) if self._moving else levels, levels


class LikelihoodDetector:
    """Scores of samples that come in blocks; digital silence scores −∞.

    Parameters
    ----------
    models
        Of each gate, as learnt with the same settings.
    heard
        Powers per Hz of frames of the same samples that have been heard already.
    """

    open_above, close_below = OPEN_ABOVE, CLOSE_BELOW

    def __init__(
        self,
        models: Sequence[SignalModel],
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
        heard: EvenlyKept | None = None,
    ) -> None:
        self._listener = Listener(settings, sample_rate, channels)
        self._heard = heard
        self._batches = self._listener.powers.batches()
        self._scorers = [Scorer(model, self._listener) for model in models]
        self.gates = self._listener.gates
        """How many numbers there are for a frame."""
        self._meter = LevelDetector(-1.0, replace(settings, key_hz=None), sample_rate, channels)
        self._levels: Levels = np.zeros((0, self.gates))

    def process(self, block: Samples, last: bool = False) -> tuple[Values, Levels]:
        """Return scores and levels, both shaped (frames, gates), some frames late."""
        parts = [
            scored(self._scorers, self._densities(*batch))
            for batch in self._batches.process(block, last)
        ]
        if last:
            nothing = np.zeros((0, self.gates, self._listener.bands), np.float32)
            parts.append(scored(self._scorers, nothing, last=True))
        scores = np.concatenate([np.zeros((0, self.gates)), *parts])
        levels = np.concatenate([self._levels, self._meter.process(block, last)[1]])
        scores = scores[: len(levels)]
        self._levels = levels[len(scores) :]
        levels = levels[: len(scores)]
        silent = (levels == 0) & (scores < np.inf)
        return np.where(silent, -np.inf, scores), levels

    def _densities(self, index: int, frames: int, samples: Samples) -> Powers:
        """Return the powers per Hz of a batch, from memory if possible."""
        known = self._heard.get(index) if self._heard else None
        if known is None or len(known) != frames:
            return self._listener.densities(frames, samples)
        return known


def thresholds(threshold: float, settings: GateSettings) -> tuple[float, float]:
    """Return the levels above which a gate opens and at or below which it closes."""
    # A threshold below 0 keeps the gate open, as no level is at or below it.
    if threshold <= 0:
        return threshold, threshold
    return threshold, threshold * float(from_db(-settings.hysteresis_db))


Detector: TypeAlias = LevelDetector | LikelihoodDetector


def detector(
    rule: Rule,
    settings: GateSettings,
    sample_rate: int,
    channels: int = 1,
    heard: EvenlyKept | None = None,
) -> Detector:
    """Return the detector that a rule needs."""
    if isinstance(rule, tuple):
        return LikelihoodDetector(rule, settings, sample_rate, channels, heard)
    return LevelDetector(rule, settings, sample_rate, channels)

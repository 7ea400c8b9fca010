"""Detector that opens where signal is likelier than noise."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import LEVEL_MS, SCORE_MS, Listener
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE, SignalModel
from noisegate_cli.gating.frames.band_power import Powers
from noisegate_cli.gating.frames.levels import Levels
from noisegate_cli.gating.frames.running_mean import Smoother
from noisegate_cli.gating.frames.subsampling import EvenlyKept
from noisegate_cli.gating.gain.mask import Values
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples


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


class Scorer:
    """Smoothed scores for one gate, of which every second frame comes, in batches.

    Powers beyond all numbers are no noise: where the score is none, the gate opens.
    """

    def __init__(self, model: SignalModel, listener: Listener) -> None:
        self._model = model
        self._levels = Smoother(listener.frames(LEVEL_MS))
        self._scores = Smoother(listener.frames(SCORE_MS))
        self._known = np.zeros(0)

    def process(self, densities: Powers, last: bool = False) -> NDArray[np.float64]:
        """Return the scores of all frames that powers per Hz, shaped (frames, bands), complete.

        When it is the last there may be one more than there are frames.
        """
        levels = self._levels.process(self._model.levels(densities), last)
        scores = self._scores.process(self._model.score(levels), last)
        scores = np.where(np.isnan(scores), np.inf, scores)
        # The last that is known waits for the next: between two lies their mean.
        known = np.concatenate([self._known, scores])
        if last:
            known = np.concatenate([known, known[-1:]])
        self._known = known[-1:]
        return np.stack([known[:-1], (known[:-1] + known[1:]) / 2], axis=1).ravel()


def scored(scorers: Sequence[Scorer], densities: Powers, last: bool = False) -> Values:
    """Return the scores of gates, shaped (frames, gates), from powers (frames, gates, bands)."""
    return np.stack([s.process(densities[:, g], last) for g, s in enumerate(scorers)], axis=1)

"""Detector that opens where signal is likelier than noise."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import (
    LEVEL_SMOOTHING_MS,
    SCORE_SMOOTHING_MS,
    BandLevelExtractor,
)
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE, SignalModel
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.running_mean import RunningMean
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.gain.mask import DetectorValues
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples


class LikelihoodDetector:
    """Scores of samples that come in blocks; digital silence scores −∞.

    Parameters
    ----------
    models
        Of each gate, as learnt with the same settings.
    subsample
        Powers per Hz of frames of the same samples that have been heard already.
    """

    open_above, close_below = OPEN_ABOVE, CLOSE_BELOW

    def __init__(
        self,
        models: Sequence[SignalModel],
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
        subsample: BatchSubsampler | None = None,
    ) -> None:
        self._extractor = BandLevelExtractor(settings, sample_rate, channels)
        self._subsample = subsample
        self._batches = self._extractor.powers.create_batcher()
        self._scorers = [LikelihoodScorer(model, self._extractor) for model in models]
        self.gates = self._extractor.gates
        """How many numbers there are for a frame."""
        self._meter = LevelDetector(-1.0, replace(settings, key_hz=None), sample_rate, channels)
        self._levels: RmsLevels = np.zeros((0, self.gates))

    def process(self, block: Samples, last: bool = False) -> tuple[DetectorValues, RmsLevels]:
        """Return scores and levels, both shaped (frames, gates), some frames late."""
        parts = [
            compute_scores(self._scorers, self._densities(*batch))
            for batch in self._batches.process(block, last)
        ]
        if last:
            nothing = np.zeros((0, self.gates, self._extractor.bands), np.float32)
            parts.append(compute_scores(self._scorers, nothing, last=True))
        scores = np.concatenate([np.zeros((0, self.gates)), *parts])
        levels = np.concatenate([self._levels, self._meter.process(block, last)[1]])
        scores = scores[: len(levels)]
        self._levels = levels[len(scores) :]
        levels = levels[: len(scores)]
        silent = (levels == 0) & (scores < np.inf)
        return np.where(silent, -np.inf, scores), levels

    def _densities(self, index: int, frames: int, samples: Samples) -> BandPowerArray:
        """Return the powers per Hz of a batch, from memory if possible."""
        known = self._subsample.get(index) if self._subsample else None
        if known is None or len(known) != frames:
            return self._extractor.densities(frames, samples)
        return known


class LikelihoodScorer:
    """Smoothed scores for one gate, of which every second frame comes, in batches.

    Powers beyond all numbers are no noise: where the score is none, the gate opens.
    """

    def __init__(self, model: SignalModel, extractor: BandLevelExtractor) -> None:
        self._model = model
        self._levels = RunningMean(extractor.frames(LEVEL_SMOOTHING_MS))
        self._scores = RunningMean(extractor.frames(SCORE_SMOOTHING_MS))
        self._known = np.zeros(0)

    def process(self, densities: BandPowerArray, last: bool = False) -> NDArray[np.float64]:
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


def compute_scores(
    scorers: Sequence[LikelihoodScorer], densities: BandPowerArray, last: bool = False
) -> DetectorValues:
    """Return the scores of gates, shaped (frames, gates), from powers (frames, gates, bands)."""
    return np.stack([s.process(densities[:, g], last) for g, s in enumerate(scorers)], axis=1)

"""Detector that opens the gate where signal is more likely than noise."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.band_levels import (
    SCORE_SMOOTHING_MS,
    BandLevelExtractor,
)
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.rule import STAYS_OPEN
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE, SignalModel
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.running_mean import BandLevelsDb, RunningMean
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.gain.mask import DetectorValues, FrameIndices
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples


class LikelihoodDetector(BlockProcessor[Samples, tuple[DetectorValues, RmsLevels]]):
    """Computes a log-likelihood score per frame and gate; digital silence scores −∞.

    Samples are processed in blocks.

    Parameters
    ----------
    models
        One model per gate, learned with the same settings.
    settings
        Settings of the gate.
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    subsample
        Powers per Hz that the first pass computed for frames of the same samples, and perhaps
        their scores.
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
        self._batches, self._subsample = DensityBatches(self._extractor, subsample), subsample
        self.densities: list[BandPowerArray] = []
        """Powers per Hz of the batches that the last block has completed."""
        self._scorers = [LikelihoodScorer(model, self._extractor) for model in models]
        self.gates = self._extractor.gates
        """Number of values per frame."""
        # Without a key filter, a copy would only check all settings again.
        unfiltered = replace(settings, key_hz=None) if settings.key_hz else settings
        self._meter = LevelDetector(STAYS_OPEN, unfiltered, sample_rate, channels)
        self._levels: RmsLevels = np.zeros((0, self.gates))
        self._models, self._hop_length = models, settings.timing(sample_rate).hop_length
        self._frame_count = 0

    def process(self, block: Samples, last: bool = False) -> tuple[DetectorValues, RmsLevels]:
        """Return scores and levels, both shaped (frames, gates), with a delay of some frames."""
        self.densities = self._batches.process(block, last)
        levels = np.concatenate([self._levels, self._meter.process(block, last)[1]])
        scores = self._recall_scores(len(levels)) if last and not self._frame_count else None
        if scores is None:
            scores = compute_scores(self._scorers, self.densities, self._extractor.bands, last)
            scores = scores[: len(levels)]
            frames = self._frame_count + np.arange(len(scores))
            scores = add_evidence(scores, self._models, frames, self._hop_length)
        self._levels = levels[len(scores) :]
        levels = levels[: len(scores)]
        self._frame_count += len(scores)
        silent = (levels == 0) & (scores < np.inf)
        return np.where(silent, -np.inf, scores), levels

    def _recall_scores(self, frames: int) -> DetectorValues | None:
        """Return the scores of the first pass if it has scored all frames of the recording."""
        if not self._subsample:
            return None
        scores = self._subsample.recall_scores(self._models, self.densities)
        return scores if scores is not None and len(scores) == frames else None


class DensityBatches(BlockProcessor[Samples, list[BandPowerArray]]):
    """Computes the powers per Hz of samples, in batches of every second frame.

    Parameters
    ----------
    extractor
        Extractor of the powers.
    subsample
        Powers per Hz that the first pass computed for frames of the same samples.
    """

    def __init__(
        self, extractor: BandLevelExtractor, subsample: BatchSubsampler | None = None
    ) -> None:
        self._extractor, self._subsample = extractor, subsample
        self._batches = extractor.powers.create_batcher()

    def process(self, block: Samples, last: bool = False) -> list[BandPowerArray]:
        """Return the batches that `block` completes, each shaped (frames, gates, bands)."""
        return [self._densities(*batch) for batch in self._batches.process(block, last)]

    def _densities(self, index: int, frames: int, samples: Samples) -> BandPowerArray:
        """Return the powers per Hz of a batch, from the subsample if it contains the batch."""
        stored = self._subsample.get(index) if self._subsample else None
        if stored is None or len(stored) != frames:
            return self._extractor.densities(frames, samples)
        return stored


class FrameModel(Protocol):
    """A model that scores the frames of one gate."""

    def levels(self, powers: BandPowerArray, /) -> BandLevelsDb:
        """Convert powers per Hz to levels in dB, shaped (frames, values)."""

    def score(self, levels: BandLevelsDb, /) -> NDArray[np.float64]:
        """Return the score of each frame from smoothed levels."""


class LikelihoodScorer(BlockProcessor[BandPowerArray, NDArray[np.float64]]):
    """Computes smoothed scores of one gate from batches of every second frame.

    A score that is NaN, because a power overflowed, counts as +∞, so that the gate opens.
    """

    def __init__(self, model: FrameModel, extractor: BandLevelExtractor) -> None:
        self._model = model
        self._levels = RunningMean(extractor.level_smoothing_frames)
        self._scores = RunningMean(extractor.frames(SCORE_SMOOTHING_MS))
        self._last_score = np.zeros(0)

    def process(self, densities: BandPowerArray, last: bool = False) -> NDArray[np.float64]:
        """Return the scores of all frames that can be computed so far.

        Scores of the frames between are interpolated linearly. With `last` there may be one score
        more than there are frames.

        Parameters
        ----------
        densities
            Powers per Hz, shaped (frames, bands).
        last
            Whether this is the last batch.
        """
        levels = self._levels.process(self._model.levels(densities), last)
        scores = self._scores.process(self._model.score(levels), last)
        scores = np.where(np.isnan(scores), np.inf, scores)
        # The last score is held back, because interpolation needs the next one.
        extended = np.concatenate([self._last_score, scores])
        if last:
            extended = np.concatenate([extended, extended[-1:]])
        self._last_score = extended[-1:]
        interpolated = np.repeat(extended[:-1], 2)
        interpolated[1::2] += extended[1:]
        interpolated[1::2] /= 2
        return interpolated


def compute_scores(
    scorers: Sequence[LikelihoodScorer],
    batches: Sequence[BandPowerArray],
    bands: int,
    last: bool = False,
) -> DetectorValues:
    """Return the scores that batches complete, shaped (frames, gates); all of them if `last`.

    The batches of powers per Hz are shaped (frames, gates, bands).
    """
    if last and not batches:
        batches = [np.zeros((0, len(scorers), bands), np.float32)]
    parts = [
        _score_batch(scorers, batch, last and number == len(batches))
        for number, batch in enumerate(batches, start=1)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(scorers)))


def _score_batch(
    scorers: Sequence[LikelihoodScorer], densities: BandPowerArray, last: bool
) -> DetectorValues:
    return np.stack([s.process(densities[:, g], last) for g, s in enumerate(scorers)], axis=1)


def add_evidence(
    scores: DetectorValues, models: Sequence[SignalModel], frames: FrameIndices, hop_length: int
) -> DetectorValues:
    """Return scores of frames, shaped (frames, gates), with the other evidence of their models."""
    if not any(model.evidence for model in models):
        return scores
    terms = [
        model.evidence.at(frames, hop_length) if model.evidence else np.zeros(len(frames))
        for model in models
    ]
    return scores + np.stack(terms, axis=1)

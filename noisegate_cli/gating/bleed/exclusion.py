"""Exclusion of bleed from the values of a detector."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.bleed.model import (
    BLEED_BELOW,
    OWN_ABOVE,
    BleedModel,
    TrainingFrames,
)
from noisegate_cli.gating.bleed.prediction import DelayGroups, Powers
from noisegate_cli.gating.bleed.references import ReferencePowers, read_around
from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.likelihood_detector import LikelihoodScorer
from noisegate_cli.gating.detection.signal_model import SignalModel
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.gain.mask import DetectorValues, Hysteresis, Mask


class OtherTracks:
    """Reads the other tracks around the batches of this one.

    Parameters
    ----------
    references
        The other tracks, each at its beginning.
    groups
        Delays of the prediction.
    stored
        Powers around batches of this track, by index, that have been read already.
    """

    def __init__(
        self,
        references: Sequence[ReferencePowers],
        groups: DelayGroups,
        stored: Mapping[int, Powers],
    ) -> None:
        self._references, self._groups, self._stored = references, groups, stored
        self._index = self._first = 0
        bands = min(reference.bands for reference in references)
        self._nothing = np.zeros((groups.past + groups.future, len(references), bands), np.float32)

    def add_context(
        self,
        densities: BandPowerArray,
        last: bool = False,  # noqa: ARG002
    ) -> tuple[BandPowerArray, list[Powers]]:
        """Return the frames of this track, and the other tracks around them, for each gate."""
        frames = len(densities)
        if not frames:
            return densities, [self._nothing] * densities.shape[1]
        around = self._stored.get(self._index)
        if around is None or len(around) != frames + self._groups.past + self._groups.future:
            around = read_around(self._references, self._first, frames, self._groups)
        self._index += 1
        self._first += frames
        return densities, [around] * densities.shape[1]


class OtherChannels:
    """Takes the other channels of the same recording as the other tracks of each channel."""

    def __init__(self, groups: DelayGroups) -> None:
        self._groups = groups
        self._frames: BandPowerArray | None = None

    def add_context(
        self, densities: BandPowerArray, last: bool = False
    ) -> tuple[BandPowerArray, list[Powers]]:
        """Return the frames of this track, and the other channels around them, for each gate."""
        past, future = self._groups.past, self._groups.future
        if self._frames is None or not len(self._frames):
            self._frames = np.repeat(densities[:1], past, axis=0)
        frames = np.concatenate([self._frames, densities])
        if last:
            frames = np.concatenate([frames, np.repeat(frames[-1:], future, axis=0)])
        ready = max(0, len(frames) - past - future)
        self._frames = frames[ready:]
        if not ready:
            frames = np.zeros((past + future, *densities.shape[1:]), np.float32)
        used = frames[: past + ready + future]
        others = [np.delete(used, gate, axis=1) for gate in range(used.shape[1])]
        return frames[past : past + ready], others


class BleedExclusion(
    PairedBlockProcessor[DetectorValues, Sequence[BandPowerArray], DetectorValues]
):
    """Replaces the values of a detector by −∞ in frames that contain only bleed.

    Parameters
    ----------
    models
        One model per gate; None where no bleed is excluded.
    extractor
        Extractor of the band powers of this track.
    source
        Source of the band powers of the other tracks.
    """

    def __init__(
        self,
        models: Sequence[BleedModel | None],
        extractor: BandLevelExtractor,
        source: OtherTracks | OtherChannels,
    ) -> None:
        self._source = source
        self._scorers = [BleedScorer(model, extractor) for model in models]
        self._shape = len(models), extractor.bands
        self._hysteresis = create_hysteresis(len(models))
        self.explained: list[BandPowerArray] = []
        """Power of the bleed in the frames that the last call has scored, shaped (frames, gates,
        bands). It lags behind the batches as the scores do."""
        self.scores: DetectorValues = np.zeros((0, len(models)))
        """Scores of the frames that the last call has returned: high for own sound."""
        self._values = self._scores = self.scores
        self._is_own: Mask = np.zeros((0, len(models)), np.bool_)

    def process(
        self, values: DetectorValues, densities: Sequence[BandPowerArray], last: bool = False
    ) -> DetectorValues:
        """Return the values that are final, shaped (frames, gates).

        Parameters
        ----------
        values
            Values of a detector, shaped (frames, gates).
        densities
            Batches of powers per Hz of every second frame, each shaped (frames, gates, bands).
        last
            Whether the recording ends here.
        """
        self.explained = []
        parts = [self._score(batch) for batch in densities]
        if last:
            empty = np.zeros((0, *self._shape), np.float32)
            parts.append(self._score(empty, last))
        scores = np.concatenate([np.zeros((0, len(self._scorers))), *parts])
        is_own = np.concatenate([self._is_own, self._hysteresis.process(scores)])
        scores = np.concatenate([self._scores, scores])
        values = np.concatenate([self._values, values])
        ready = min(len(values), len(scores))
        self._values, self._is_own = values[ready:], is_own[ready:]
        self._scores, self.scores = scores[ready:], scores[:ready]
        return np.where(is_own[:ready], values[:ready], -np.inf)

    def _score(self, densities: BandPowerArray, last: bool = False) -> DetectorValues:
        own, others = self._source.add_context(densities, last)
        scores = [
            scorer.process(own[:, gate], around, last)
            for gate, (scorer, around) in enumerate(zip(self._scorers, others, strict=True))
        ]
        self.explained.append(np.stack([scorer.explained for scorer in self._scorers], axis=1))
        return np.stack(scores, axis=1)


class BleedScorer(PairedBlockProcessor[Powers, Powers, NDArray[np.float64]]):
    """Computes the scores of one gate: high for own sound, low for bleed.

    Parameters
    ----------
    model
        None gives the score +∞.
    extractor
        Extractor of the band powers.
    """

    def __init__(self, model: BleedModel | None, extractor: BandLevelExtractor) -> None:
        self._model = model
        self._scorer = LikelihoodScorer(model or SignalModel(Verdict.INDISTINCT), extractor)
        self.explained: Powers = np.zeros((0, extractor.bands), np.float32)
        """Power of the bleed in the frames of the last call."""

    def process(self, own: Powers, around: Powers, last: bool = False) -> NDArray[np.float64]:
        """Return the scores of all frames that can be computed so far.

        Parameters
        ----------
        own
            Powers per Hz of every second frame, shaped (frames, bands).
        around
            Powers per Hz of the other tracks, shaped (past + frames + future, references, bands).
        last
            Whether the recording ends here.
        """
        self.explained = np.zeros_like(own)
        if self._model is None:
            return self._scorer.process(own, last)
        predicted = self._model.prediction.predict(around)
        bands = predicted.shape[1]
        self.explained[:, :bands] = self._model.explain(own[:, :bands], predicted)
        powers = np.stack([own[:, : predicted.shape[1]], predicted], axis=1)
        return self._scorer.process(powers, last)


def create_hysteresis(gates: int) -> Hysteresis:
    """Create the hysteresis that turns scores into a mask of own sound."""
    return Hysteresis(OWN_ABOVE, BLEED_BELOW, gates)


def score_frames(model: BleedModel | None, frames: TrainingFrames) -> NDArray[np.float64]:
    """Return the scores of the frames that a model was learned from, and of those between."""
    scorer = BleedScorer(model, frames.extractor)
    scores = [
        scorer.process(own, around)
        for own, around in zip(frames.batches, frames.references, strict=True)
    ]
    nothing = frames.references[0][: frames.groups.past + frames.groups.future]
    scores.append(scorer.process(frames.batches[0][:0], nothing, last=True))
    return np.concatenate(scores)

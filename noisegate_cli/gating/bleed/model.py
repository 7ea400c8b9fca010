"""Model of the bleed in one track, learned from frames of this track and of the others.

Where only others are active, the power of this track in each band is about the predicted one (see
`prediction`); where the own source is active, it is higher. The vector of the excess in dB over all
bands has a normal distribution in each of the two cases, with its own covariance, as in
`detection.signal_model`. The score of a frame is the log-likelihood ratio of own sound to bleed,
divided by the number of bands. A frame far above the prediction, in all bands or in a few, is own
sound whatever its spectrum.

The two classes are found without labels. The energy of half a second is far less affected by
reverberation than the energy of a frame. Its ratio between this track and the loudest other one is
high where the own source is active and low where it is not, so that frames near either end of its
range give the first classes. Then the prediction is fitted to the frames of bleed, both
distributions to the frames of both classes, and the frames are classified again by their score.
This is repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.bleed.prediction import (
    BleedPrediction,
    DelayGroups,
    Powers,
    compute_features,
    compute_floor,
    fit_weights,
    limit_weights,
)
from noisegate_cli.gating.detection.band_levels import SCORE_SMOOTHING_MS, BandLevelExtractor
from noisegate_cli.gating.detection.gaussian import NOISE_PRIOR_DB, SIGNAL_PRIOR_DB, ShrunkGaussian
from noisegate_cli.gating.detection.signal_model import MIN_CLASS_FRAMES, log_ratio
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.running_mean import BandLevelsDb, compute_running_mean

MIN_ACTIVE_DB = 6.0
"""Mean level above the floor, over the bands, of a frame in which a track is active."""

MIN_AUDIBLE_DB, NO_BLEED_SCORE = 1.0, 1.0
"""Where the predicted bleed raises the floor by less than this on average, no bleed is audible, and
the score is at least `NO_BLEED_SCORE`."""

MAX_BLEED_EXCESS_DB = 4.0
"""Mean excess over the bands, relative to the one of bleed, above which the score is positive
whatever the distributions say: where both talk, the excess resembles neither of them."""

MAX_LOCAL_EXCESS_DB, LOCAL_BANDS = 12.0, 2
"""Mean excess over this number of neighboring bands above which the score is positive too, where
the predicted bleed is at least `MIN_ACTIVE_DB`: a sound in a few bands, such as a kick drum, hardly
changes the mean over all bands. Quieter bleed is exceeded by the low modes of a room, which decay
for longer than the delays of the prediction."""

ENERGY_MS = 500.0
"""Time over which the energies of the tracks are compared for the first classes."""

LOW_QUANTILE, HIGH_QUANTILE, MARGIN_SHARE = 0.05, 0.95, 0.15
"""Frames belong to the first classes if the ratio of the energies is farther from the middle of the
two quantiles than this share of their distance."""

MIN_CLASS_DISTANCE_DB = 3.0
"""Minimum distance of the mean energy ratios of own sound and bleed: with less, the classes are not
two sources."""

MIN_CLASS_SEPARATION = 5.0
"""Minimum distance of the medians of the first classes, in standard deviations of the wider one.
They are estimated from the median absolute deviation, because reverberation gives the ratio of own
sound a long tail. The ratio of a single source that all microphones record has one peak; the
distance is then 1.7 to 4.3."""

CLASSIFY_ROUNDS, OWN_SCORE, BLEED_SCORE = 3, 0.3, -0.1
"""Repetitions, and the scores above and below which frames belong to the classes."""

OWN_ABOVE, BLEED_BELOW = 0.0, -0.2
"""Own sound begins above the first score and ends at or below the second one."""

CERTAIN_BLEED_SCORE = -0.28
"""Frames with a lower score are certainly bleed: hold and short pauses do not keep them open."""

MAX_OWN_SHARE = 0.5
"""Upper limit of the share of the own source in the prediction."""

MAX_FIT_FRAMES = 2048
"""Maximum number of frames that the prediction is fitted to."""

MAX_IDENTICAL_DB, MIN_IDENTICAL_RATIO, IDENTICAL_SMOOTHING_MS = 0.7, 10.0, 100.0
"""Tracks are identical if the median deviation of their level difference is less than this, in
frames this many times above the floors. The levels are means over this time, because the frames of
a copy with another start or sample rate lie between those of the original."""

MIN_DISTINCT_DB, MAX_DISTINCT_SHARE = 6.0, 0.012
"""Tracks are not identical if the level difference deviates by more than the first value in more
than this share. The median alone does not show a second talker who speaks less, when the bleed is
electrical crosstalk: the difference is then constant while the first one speaks."""


@dataclass(frozen=True, eq=False)
class BleedModel:
    """Prediction of the bleed in one track, and distributions of the excess over it."""

    prediction: BleedPrediction
    own: ShrunkGaussian = field(repr=False)
    bleed: ShrunkGaussian = field(repr=False)
    own_share: Powers = field(repr=False)
    """Ratio of the prediction to the power of this track where only the own source is active: the
    other tracks contain its bleed. Shaped (bands,)."""
    levels_db: tuple[float, ...]
    """Level of the bleed of each other track, relative to the level in its own track."""

    def levels(self, powers: Powers) -> BandLevelsDb:
        """Return the levels that the score depends on; see `BleedPrediction.levels`."""
        return self.prediction.levels(powers)

    def explain(self, powers: Powers, predicted: Powers) -> Powers:
        """Return the power of the bleed in this track, shaped (frames, bands).

        The prediction is Q = B + κ·S and the power of this track P = S + B, where S is the power of
        the own source, B is the power of the bleed, and κ is `own_share`. Therefore
        B = (Q − κ·P)/(1 − κ).
        """
        bleed = (predicted - self.own_share * powers) / (1 - self.own_share)
        return np.clip(bleed, 0, powers)

    def score(self, levels: BandLevelsDb) -> NDArray[np.float64]:
        """Return the score of each frame from its smoothed levels, shaped (frames, bands + 1)."""
        excess = levels[:, :-1]
        score = log_ratio(self.own, self.bleed, excess)
        over_bleed_db = excess - self.bleed.mean
        score = np.maximum(score, over_bleed_db.mean(axis=1) - MAX_BLEED_EXCESS_DB)
        local = np.maximum(score, _local_maximum(over_bleed_db) - MAX_LOCAL_EXCESS_DB)
        score = np.where(levels[:, -1] >= MIN_ACTIVE_DB, local, score)
        is_audible = levels[:, -1] >= MIN_AUDIBLE_DB
        return np.asarray(np.where(is_audible, score, np.maximum(score, NO_BLEED_SCORE)))


def _local_maximum(levels: BandLevelsDb) -> NDArray[np.float64]:
    """Return the highest mean over `LOCAL_BANDS` neighboring bands in each frame."""
    sums = np.cumsum(np.pad(levels, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    count = min(LOCAL_BANDS, levels.shape[1])
    return np.asarray((sums[:, count:] - sums[:, :-count]).max(axis=1) / count)


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """Batches of frames of one track, with the frames of the other tracks around them."""

    batches: Sequence[Powers]
    """Powers of this track, each shaped (frames, bands)."""
    references: Sequence[Powers]
    """Powers of the other tracks, each shaped (past + frames + future, references, bands)."""
    groups: DelayGroups
    extractor: BandLevelExtractor

    @property
    def powers(self) -> Powers:
        """Powers of this track in all batches."""
        return np.concatenate(self.batches)

    @property
    def reference_powers(self) -> Powers:
        """Powers of the other tracks in the same frames."""
        return np.concatenate([self.groups.select_frames(x) for x in self.references])

    def smooth(self, values: BandLevelsDb, ms: float) -> BandLevelsDb:
        """Return the running mean over a time."""
        return compute_running_mean(values, self.extractor.frames(ms))

    def fit(
        self, selected: NDArray[np.bool_], floor: Powers, references: Powers
    ) -> BleedPrediction:
        """Fit a prediction to the selected frames; `references` are the floors of the others."""
        stride = -(-np.count_nonzero(selected) // MAX_FIT_FRAMES)
        (chosen,) = np.nonzero(selected)
        selected = np.zeros_like(selected)
        selected[chosen[::stride]] = True
        ends = np.cumsum([len(batch) for batch in self.batches])
        parts = np.split(selected, ends[:-1])
        features = [
            compute_features(x, references, self.groups)[part]
            for x, part in zip(self.references, parts, strict=True)
            if part.any()
        ]
        weights = fit_weights(self.powers[selected], np.concatenate(features), floor)
        weights = limit_weights(weights, len(references))
        return BleedPrediction(self.groups, floor, references, weights)


def are_identical(frames: TrainingFrames, reference: int) -> bool:
    """Return whether this track contains the same sound as one of the other tracks."""
    powers, other = (
        frames.smooth(x, IDENTICAL_SMOOTHING_MS)
        for x in (frames.powers, frames.reference_powers[:, reference])
    )
    if not len(powers):
        return False
    is_clear = (powers > MIN_IDENTICAL_RATIO * compute_floor(powers)) & (
        other > MIN_IDENTICAL_RATIO * compute_floor(other)
    )
    if np.count_nonzero(is_clear) < MIN_CLASS_FRAMES * powers.shape[1]:
        return False
    difference = 10 * np.log10(powers[is_clear] / other[is_clear])
    deviation = np.abs(difference - median(difference))
    distinct_share = np.mean(deviation > MIN_DISTINCT_DB)
    return bool(median(deviation) < MAX_IDENTICAL_DB and distinct_share < MAX_DISTINCT_SHARE)


def learn_bleed_model(frames: TrainingFrames) -> BleedModel | None:
    """Learn the bleed in one track; None if own sound and bleed cannot be distinguished."""
    powers, references = frames.powers, frames.reference_powers
    if not (len(powers) and np.isfinite(powers).all() and np.isfinite(references).all()):
        return None
    floor, reference_floors = compute_floor(powers), compute_floor(references)
    tracks = np.concatenate([powers[:, None], references], axis=1)
    floors = np.concatenate([floor[None], reference_floors])
    is_each_active = _is_active(frames, tracks, floors)
    is_active = is_each_active.any(axis=1) & _is_covered(frames, references)
    ratio = _energy_ratio_db(frames, tracks, floors)
    if np.count_nonzero(is_active) < 2 * MIN_CLASS_FRAMES:
        return None
    low, high = quantile(ratio[is_active], [LOW_QUANTILE, HIGH_QUANTILE])
    offset, margin = ratio - (low + high) / 2, MARGIN_SHARE * (high - low)
    is_own, is_bleed = is_active & (offset > margin), is_each_active[:, 0] & (offset < -margin)
    if not _are_separate(ratio[is_own], ratio[is_bleed]):
        return None
    model = None
    for _ in range(CLASSIFY_ROUNDS):
        if min(np.count_nonzero(is_own), np.count_nonzero(is_bleed)) < MIN_CLASS_FRAMES:
            return None
        if ratio[is_own].mean() - ratio[is_bleed].mean() < MIN_CLASS_DISTANCE_DB:
            return None
        prediction = frames.fit(is_bleed, floor, reference_floors)
        predicted = np.concatenate([prediction.predict(x) for x in frames.references])
        levels = compute_running_mean(
            prediction.levels(np.stack([powers, predicted], axis=1)),
            frames.extractor.level_smoothing_frames,
        )
        model = BleedModel(
            prediction,
            ShrunkGaussian.fit(levels[is_own, :-1], SIGNAL_PRIOR_DB),
            ShrunkGaussian.fit(levels[is_bleed, :-1], NOISE_PRIOR_DB),
            np.clip(median(predicted[is_own] / (powers[is_own] + floor)), 0, MAX_OWN_SHARE),
            _bleed_levels_db(frames, prediction),
        )
        score = frames.smooth(model.score(levels), SCORE_SMOOTHING_MS)
        is_audible = levels[:, -1] >= MIN_AUDIBLE_DB
        is_own = is_active & (score > OWN_SCORE)
        is_bleed = is_active & is_audible & (score < BLEED_SCORE)
    return model


def _is_active(frames: TrainingFrames, tracks: Powers, floors: Powers) -> NDArray[np.bool_]:
    """Return which tracks are active in each frame, from powers shaped (frames, tracks, bands)."""
    smoothed = compute_running_mean(tracks, frames.extractor.level_smoothing_frames)
    levels = 10 * np.log10((smoothed + floors) / floors).mean(axis=2)
    return np.asarray(levels > MIN_ACTIVE_DB)


def _is_covered(frames: TrainingFrames, references: Powers) -> NDArray[np.bool_]:
    """Return around which frames another track has started and not ended.

    Elsewhere the energy ratio is far higher than usual for own sound.
    """
    sounds = np.asarray(references.any(axis=2))
    has_started = np.maximum.accumulate(sounds, axis=0)
    has_not_ended = np.maximum.accumulate(sounds[::-1], axis=0)[::-1]
    is_inside = np.asarray((has_started & has_not_ended).any(axis=1), np.float32)
    return np.asarray(frames.smooth(is_inside, ENERGY_MS) > 0.999)


def _are_separate(own_ratio: NDArray[np.float64], bleed_ratio: NDArray[np.float64]) -> bool:
    """Return whether the energy ratios of the first classes come from two sources."""
    if min(len(own_ratio), len(bleed_ratio)) < MIN_CLASS_FRAMES:
        return False
    own, bleed = median(own_ratio), median(bleed_ratio)
    # The median absolute deviation of normally distributed values is 0.674 standard deviations.
    mad = max(median(np.abs(own_ratio - own)), median(np.abs(bleed_ratio - bleed)))
    return bool(own - bleed > MIN_CLASS_SEPARATION / 0.674 * mad)


def _energy_ratio_db(frames: TrainingFrames, tracks: Powers, floors: Powers) -> NDArray[np.float64]:
    """Return the ratio of this track to the loudest other one, the mean over the bands, in dB."""
    energy = frames.smooth(np.maximum(tracks - floors, 0), ENERGY_MS) + floors
    ratio = energy[:, 0] / energy[:, 1:].max(axis=1)
    return np.asarray(10 * np.log10(ratio).mean(axis=1))


def _bleed_levels_db(frames: TrainingFrames, prediction: BleedPrediction) -> tuple[float, ...]:
    """Return the level of the bleed of each other track, relative to its level in its own track."""
    _, count, bands = frames.references[0].shape
    widths = frames.extractor.band_widths_hz[:bands]
    bleed = own = np.zeros(count)
    for references in frames.references:
        bleed = bleed + (prediction.predict_each(references) @ widths).sum(axis=0)
        signals = frames.groups.select_frames(references) - prediction.reference_floors
        own = own + (np.maximum(signals, 0) @ widths).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return tuple((10 * np.log10(bleed / own)).tolist())

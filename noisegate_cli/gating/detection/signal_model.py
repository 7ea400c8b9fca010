"""How much likelier a frame is signal than noise: what the automatic gate listens to.

A frame is the vector x of its levels in dB in bands of frequency. Noise and signal are a normal
distribution each, learnt from the recording itself, and the score of a frame is the logarithm of
the ratio of their densities, per band:

    score = (log p(x | signal) − log p(x | noise)) / bands.

The covariance is the point. Steady noise fluctuates in each band by itself, clatter lifts all
bands at once, crickets two of them: each is a direction in which *this* noise varies, and a rise
along it counts little. With the variances alone the same classifier does no better than a
threshold over each band's floor.

Learning takes labels, and labels take a start:

1. Per band, the floor is a low quantile of the 20 s around, and g the power over it. The likelihood
   ratio of Sohn, Kim and Sung (A statistical model-based voice activity detection, 1999), with the
   a-priori signal-to-noise ratio at its most likely value g − 1, has the logarithm g − 1 − log g.
   The logarithm of its mean over the bands is cut a little under halfway between quiet frames and
   loud ones.
2. Signal are the frames above the cut. Noise are the frames well away from any of them: what is
   near belongs to neither. Fit both, score all, cut at zero, and repeat (expectation maximisation
   with hard decisions, Celeux and Govaert 1992; the gap in time keeps decays out of the noise).

Few frames don't make a covariance. It is shrunk towards one in which every band wanders by so
many decibels on its own, and all of them by as much together, as if some more frames had been
seen that do so.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import (
    LEVEL_SMOOTHING_MS,
    SCORE_SMOOTHING_MS,
    BandLevelExtractor,
)
from noisegate_cli.gating.detection.gaussian import NOISE_PRIOR_DB, SIGNAL_PRIOR_DB, ShrunkGaussian
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.levels import rms_db
from noisegate_cli.gating.frames.noise_floor import (
    FLOOR_STEP_S,
    compute_noise_floor,
    compute_quiet_levels,
    interpolate_steps,
)
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.running_mean import BandLevelsDb, compute_running_mean
from noisegate_cli.gating.gain.mask import NEVER, MinRunLength, frames_since

MODEL_DEPTH_DB = 60.0
"""Levels so far below the loud frames make no difference to a gate."""

START_QUIET_QUANTILE, START_LOUD_QUANTILE = 0.1, 0.99
START_CUT_SHARE = 0.45
"""The start is cut here between these quantiles of the recording…"""
MAX_START_CUT = 2.8
"""…but no higher than a frame 13 dB over the floor, more than plain noise reaches."""

MAX_OVER_FLOOR_DB = 300.0
"""Over the floor; what is louder is no louder than that, and fits a float32."""

EM_ROUNDS = 2
"""More of them drift: quiet speakers go over to the noise, one by one."""

LEARNING_GUARD_MS, MAX_GAP_MS, MIN_RUN_MS = 150.0, 150.0, 30.0
"""While learning: how far noise is from any signal, and which runs are too short."""

MIN_CLASS_FRAMES = 11
"""Frames of noise, and of signal: fewer say too little."""


OPEN_ABOVE, CLOSE_BELOW = 0.2, 0.1
"""The scores that open the gate and close it."""

MIN_RISE = 2.2
"""The START_LOUD quantile of the start in a recording in which something stands out: rain, wind
or hiss alone reach 1.9, speech 3 dB below such a noise 2.3."""

MIN_MODEL_CONTRAST_DB = 4.0
"""Power of open frames over closed ones: at 4 dB the signal is 2 dB above the noise."""

MAX_DRIFT_RATIO = 3.5
"""Of noise, see `drift_to_jump_ratio`: it has 1 to 2, 3 at the most. Quiet music has 4 to 25."""

RARE_WINDOW_MS, MIN_RARE_RISE = 250.0, 3.0
"""Or the start of the loudest quarter of a second: what is rare is no less signal."""

MIN_NOISE_JUMP_DB = 1.0
"""How far noise jumps from one frame to another in the bands in which it is loud, at the least: by
2 dB and more, the loudest of several channels by less. A steady tone doesn't jump."""

MIN_BAND_OVER_DEPTH_DB, MIN_FRAME_PAIRS, JUMP_REGULARIZATION_DB = 6.0, 5, 0.1
"""Bands nearer to the depth are not heard; fewer pairs of frames say nothing; hum doesn't jump."""

MIN_POWER_DENSITY = 1e-30


Verdict = Literal["parted", "noise", "one kind", "near", "restless", "steady", "rare"]


@dataclass(frozen=True)
class SignalModel:
    """What one gate has learnt of a recording."""

    verdict: Verdict
    """`parted`: there are signal and noise. `noise`: nothing stands out, the gate stays closed.
    For the rest it stays open, as it never silences what may be signal. `one kind`: there is too
    little of one of them to learn from. `near`: their levels hardly differ. `restless`: what is
    quiet moves like music. `steady`: it is a tone rather than a noise. `rare`: nothing stands out
    of what was learnt from, but elsewhere something does."""
    floor: float = MIN_POWER_DENSITY
    """Power that is added in each band, per Hz."""
    signal: ShrunkGaussian | None = None
    noise: ShrunkGaussian | None = None
    contrast_db: float = 0.0
    """Power of the open frames over the closed ones."""

    def levels(self, densities: BandPowerArray) -> BandLevelsDb:
        """Return the levels of powers per Hz, shaped (frames, bands)."""
        return np.asarray(10 * np.log10(densities + np.float32(self.floor)))

    def score(self, levels: BandLevelsDb) -> NDArray[np.float64]:
        """Return the score of frames of smoothed levels."""
        if self.signal is None or self.noise is None:
            return np.full(len(levels), -np.inf if self.verdict == "noise" else np.inf)
        return log_ratio(self.signal, self.noise, levels)


def learn_signal_model(
    extractor: BandLevelExtractor, densities: BandPowerArray, level: NDArray[np.float64]
) -> SignalModel:
    """Learn from the powers per Hz of one gate, shaped (frames, bands), and its levels.

    Digital silence is no level and takes no part. From powers beyond all numbers nothing is learnt.
    """
    sounds = level > 0
    # A frame that is silent in part, or reaches beyond an end, is not as loud as the sound in it.
    is_full = ~_is_within(~sounds, extractor.apart, outside=0)[sounds]
    densities, level = densities[sounds], level[sounds]
    if len(level) < 2 * MIN_CLASS_FRAMES or not np.isfinite(densities).all():
        return SignalModel("one kind" if len(level) else "noise")
    floor = float(
        quantile(densities.sum(axis=1), 0.95) * 10 ** (-MODEL_DEPTH_DB / 10) + MIN_POWER_DENSITY
    )
    one_kind = SignalModel("one kind", floor)
    levels = one_kind.levels(densities)
    step = extractor.frames(1000 * FLOOR_STEP_S)
    floors = compute_noise_floor(compute_quiet_levels(levels, step))
    base = interpolate_steps(floors, step, np.arange(len(levels)))
    start = _initial_scores(levels - base, extractor)
    if start is None:
        steady = _mean_jump_db(levels, extractor.apart) < MIN_NOISE_JUMP_DB
        return SignalModel("steady" if steady else "noise", floor)
    fitted = _fit_classes(
        compute_running_mean(levels, extractor.frames(LEVEL_SMOOTHING_MS)), start, extractor
    )
    if fitted is None:
        return one_kind
    signal, noise, is_open = fitted
    contrast = rms_db(level[is_open]) - rms_db(level[~is_open])
    if contrast < MIN_MODEL_CONTRAST_DB:
        return SignalModel("near", floor, contrast_db=contrast)
    is_noise = ~_is_near_signal(is_open, extractor) & is_full
    lowest_db = 10 * np.log10(floor) + MIN_BAND_OVER_DEPTH_DB
    if (
        drift_to_jump_ratio(levels, base, is_noise, extractor.apart, float(lowest_db))
        > MAX_DRIFT_RATIO
    ):
        return SignalModel("restless", floor, contrast_db=contrast)
    return SignalModel("parted", floor, signal, noise, contrast)


def _initial_scores(
    over_floor: BandLevelsDb, extractor: BandLevelExtractor
) -> NDArray[np.float64] | None:
    """Return a first score, above 0 for signal; None where nothing stands out of the floor."""
    # Below the floor the a-priori ratio is 0, and so is the logarithm of the likelihood ratio.
    g = np.maximum(10 ** (np.minimum(over_floor, MAX_OVER_FLOOR_DB) / 10), 1)
    g -= 1 + np.log(g)
    rise = compute_running_mean(
        np.log(g.mean(axis=1, dtype=np.float64) + 1e-9), extractor.frames(LEVEL_SMOOTHING_MS)
    )
    quiet, loud = quantile(rise, [START_QUIET_QUANTILE, START_LOUD_QUANTILE])
    rare = np.sort(rise)[-min(len(rise), extractor.frames(RARE_WINDOW_MS))]
    if loud < MIN_RISE and rare < MIN_RARE_RISE:
        return None
    cut = quiet + START_CUT_SHARE * (max(loud, rare) - quiet)
    return np.asarray(rise - min(cut, MAX_START_CUT), np.float64)


def _fit_classes(
    levels: BandLevelsDb, score: NDArray[np.float64], extractor: BandLevelExtractor
) -> tuple[ShrunkGaussian, ShrunkGaussian, NDArray[np.bool_]] | None:
    """Return signal, noise and which frames open; None where there is too little of either."""
    for _ in range(EM_ROUNDS):
        above = score >= 0
        apart = ~_is_near_signal(above, extractor)
        if min(np.count_nonzero(above), np.count_nonzero(apart)) < MIN_CLASS_FRAMES:
            return None
        signal = ShrunkGaussian.fit(levels[above], SIGNAL_PRIOR_DB)
        noise = ShrunkGaussian.fit(levels[apart], NOISE_PRIOR_DB)
        ratio = log_ratio(signal, noise, levels)
        score = np.asarray(
            compute_running_mean(ratio, extractor.frames(SCORE_SMOOTHING_MS)), np.float64
        )
    is_open = score > OPEN_ABOVE
    return None if is_open.all() or not is_open.any() else (signal, noise, is_open)


def log_ratio(
    signal: ShrunkGaussian, noise: ShrunkGaussian, levels: BandLevelsDb
) -> NDArray[np.float64]:
    """Return the logarithm of the ratio of densities, per band."""
    ratio = signal.log_density(levels) - noise.log_density(levels)
    return np.asarray(ratio / levels.shape[1])


def drift_to_jump_ratio(
    levels: BandLevelsDb,
    base: BandLevelsDb,
    is_noise: NDArray[np.bool_],
    apart: int,
    lowest_db: float = -np.inf,
) -> float:
    """Return how far what was taken for noise moves on, against how far it jumps about.

    Noise jumps from one frame to the next that shares no sample with it as far as it ever goes:
    its level strays from its local floor no further than that. Hum does neither. A held tone
    doesn't jump, but moves on in time: quiet music that was taken for noise is restless.

    Parameters
    ----------
    levels, base
        Of frames and their local floor, both shaped (frames, bands), in dB.
    is_noise
        Which frames were taken for noise.
    apart
        Frames so far apart share no sample.
    lowest_db
        Bands whose noise is below that are not heard.

    Returns
    -------
    The ratio of the standard deviation of level − base to that of a jump, by the median of whose
    sizes it is estimated; the mean of all bands, weighted by their power.
    """
    pairs = is_noise[apart:] & is_noise[:-apart]
    if np.count_nonzero(pairs) < MIN_FRAME_PAIRS:
        return 1.0
    middle = median(levels[is_noise])
    if not (middle > lowest_db).any():
        return 1.0
    jump = _deviation_from_differences((levels[apart:] - levels[:-apart])[pairs])
    stray = (levels - base)[is_noise].std(axis=0)
    weights = np.where(middle > lowest_db, 10 ** (middle / 10), 0)
    return float(np.average(stray / (jump + JUMP_REGULARIZATION_DB), weights=weights))


def _mean_jump_db(levels: BandLevelsDb, apart: int) -> float:
    """Return how far levels jump, the mean of all bands, weighted by their power."""
    if len(levels) <= apart:
        return np.inf
    weights = 10 ** (median(levels) / 10)
    return float(
        np.average(_deviation_from_differences(levels[apart:] - levels[:-apart]), weights=weights)
    )


def _deviation_from_differences(jumps: BandLevelsDb) -> BandLevelsDb:
    """Return the standard deviation of levels of which these are differences.

    The median of |a − b| for normal a and b is 0.954 of the standard deviation of each.
    """
    return np.asarray(median(np.abs(jumps)) / 0.954)


def _is_near_signal(above: NDArray[np.bool_], extractor: BandLevelExtractor) -> NDArray[np.bool_]:
    """Return which frames are signal or near it, blips left out."""
    mask = MinRunLength(False, extractor.frames(MAX_GAP_MS) + 1).process(above[:, None], last=True)
    mask = MinRunLength(True, extractor.frames(MIN_RUN_MS)).process(mask, last=True)
    return _is_within(mask[:, 0], extractor.frames(LEARNING_GUARD_MS))


def _is_within(flags: NDArray[np.bool_], apart: int, outside: int = NEVER) -> NDArray[np.bool_]:
    """Return which frames lie no further than `apart` from one that is True.

    `outside` is how far from one the frames before the first and after the last lie.
    """
    column, beyond = flags[:, None], np.array([outside])
    after, before = frames_since(column, beyond), frames_since(column[::-1], beyond)[::-1]
    return np.asarray(np.minimum(after, before)[:, 0] <= apart)

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

from noisegate_cli.gating.detection.band_levels import LEVEL_MS, SCORE_MS, Listener
from noisegate_cli.gating.detection.gaussian import NOISE_PRIOR_DB, SIGNAL_PRIOR_DB, Normal
from noisegate_cli.gating.frames.band_power import Powers
from noisegate_cli.gating.frames.levels import rms_db
from noisegate_cli.gating.frames.noise_floor import (
    STEP_S,
    between_steps,
    floor_of_steps,
    quiet_steps,
)
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.running_mean import BandLevels, smoothed
from noisegate_cli.gating.gain.mask import NEVER, Shortest, frames_since

DEPTH_DB = 60.0
"""Levels so far below the loud frames make no difference to a gate."""

START_QUIET, START_LOUD = 0.1, 0.99
START_CUT = 0.45
"""The start is cut here between these quantiles of the recording…"""
START_MOST = 2.8
"""…but no higher than a frame 13 dB over the floor, more than plain noise reaches."""

LOUDEST_OVER_DB = 300.0
"""Over the floor; what is louder is no louder than that, and fits a float32."""

ROUNDS = 2
"""More of them drift: quiet speakers go over to the noise, one by one."""

APART_MS, LONGEST_GAP_MS, SHORTEST_RUN_MS = 150.0, 150.0, 30.0
"""While learning: how far noise is from any signal, and which runs are too short."""

FEWEST = 11
"""Frames of noise, and of signal: fewer say too little."""


OPEN_ABOVE, CLOSE_BELOW = 0.2, 0.1
"""The scores that open the gate and close it."""

LEAST_RISE = 2.2
"""The START_LOUD quantile of the start in a recording in which something stands out: rain, wind
or hiss alone reach 1.9, speech 3 dB below such a noise 2.3."""

LEAST_CONTRAST_DB = 4.0
"""Power of open frames over closed ones: at 4 dB the signal is 2 dB above the noise."""

MOST_RESTLESS = 3.5
"""Of noise, see `restlessness`: it has 1 to 2, 3 at the most. Quiet music has 4 to 25."""

RARE_MS, RARE_RISE = 250.0, 3.0
"""Or the start of the loudest quarter of a second: what is rare is no less signal."""

NOISE_JUMPS_DB = 1.0
"""How far noise jumps from one frame to another in the bands in which it is loud, at the least: by
2 dB and more, the loudest of several channels by less. A steady tone doesn't jump."""

HEARD_DB, FEW_PAIRS, LEAST_JUMP_DB = 6.0, 5, 0.1
"""Bands nearer to the depth are not heard; fewer pairs of frames say nothing; hum doesn't jump."""

TINY = 1e-30


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
    floor: float = TINY
    """Power that is added in each band, per Hz."""
    signal: Normal | None = None
    noise: Normal | None = None
    contrast_db: float = 0.0
    """Power of the open frames over the closed ones."""

    def levels(self, densities: Powers) -> BandLevels:
        """Return the levels of powers per Hz, shaped (frames, bands)."""
        return np.asarray(10 * np.log10(densities + np.float32(self.floor)))

    def score(self, levels: BandLevels) -> NDArray[np.float64]:
        """Return the score of frames of smoothed levels."""
        if self.signal is None or self.noise is None:
            return np.full(len(levels), -np.inf if self.verdict == "noise" else np.inf)
        return log_ratio(self.signal, self.noise, levels)


def learn(listener: Listener, densities: Powers, level: NDArray[np.float64]) -> SignalModel:
    """Learn from the powers per Hz of one gate, shaped (frames, bands), and its levels.

    Digital silence is no level and takes no part. From powers beyond all numbers nothing is learnt.
    """
    sounds = level > 0
    # A frame that is silent in part, or reaches beyond an end, is not as loud as the sound in it.
    is_full = ~_around(~sounds, listener.apart, outside=0)[sounds]
    densities, level = densities[sounds], level[sounds]
    if len(level) < 2 * FEWEST or not np.isfinite(densities).all():
        return SignalModel("one kind" if len(level) else "noise")
    floor = float(quantile(densities.sum(axis=1), 0.95) * 10 ** (-DEPTH_DB / 10) + TINY)
    one_kind = SignalModel("one kind", floor)
    levels = one_kind.levels(densities)
    step = listener.frames(1000 * STEP_S)
    floors = floor_of_steps(quiet_steps(levels, step))
    base = between_steps(floors, step, np.arange(len(levels)))
    start = _start(levels - base, listener)
    if start is None:
        steady = _jumps_db(levels, listener.apart) < NOISE_JUMPS_DB
        return SignalModel("steady" if steady else "noise", floor)
    fitted = _fit(smoothed(levels, listener.frames(LEVEL_MS)), start, listener)
    if fitted is None:
        return one_kind
    signal, noise, is_open = fitted
    contrast = rms_db(level[is_open]) - rms_db(level[~is_open])
    if contrast < LEAST_CONTRAST_DB:
        return SignalModel("near", floor, contrast_db=contrast)
    is_noise = ~_near(is_open, listener) & is_full
    lowest_db = 10 * np.log10(floor) + HEARD_DB
    if restlessness(levels, base, is_noise, listener.apart, float(lowest_db)) > MOST_RESTLESS:
        return SignalModel("restless", floor, contrast_db=contrast)
    return SignalModel("parted", floor, signal, noise, contrast)


def _start(over_floor: BandLevels, listener: Listener) -> NDArray[np.float64] | None:
    """Return a first score, above 0 for signal; None where nothing stands out of the floor."""
    # Below the floor the a-priori ratio is 0, and so is the logarithm of the likelihood ratio.
    g = np.maximum(10 ** (np.minimum(over_floor, LOUDEST_OVER_DB) / 10), 1)
    g -= 1 + np.log(g)
    rise = smoothed(np.log(g.mean(axis=1, dtype=np.float64) + 1e-9), listener.frames(LEVEL_MS))
    quiet, loud = quantile(rise, [START_QUIET, START_LOUD])
    rare = np.sort(rise)[-min(len(rise), listener.frames(RARE_MS))]
    if loud < LEAST_RISE and rare < RARE_RISE:
        return None
    cut = quiet + START_CUT * (max(loud, rare) - quiet)
    return np.asarray(rise - min(cut, START_MOST), np.float64)


def _fit(
    levels: BandLevels, score: NDArray[np.float64], listener: Listener
) -> tuple[Normal, Normal, NDArray[np.bool_]] | None:
    """Return signal, noise and which frames open; None where there is too little of either."""
    for _ in range(ROUNDS):
        above = score >= 0
        apart = ~_near(above, listener)
        if min(np.count_nonzero(above), np.count_nonzero(apart)) < FEWEST:
            return None
        signal = Normal.fit(levels[above], SIGNAL_PRIOR_DB)
        noise = Normal.fit(levels[apart], NOISE_PRIOR_DB)
        ratio = log_ratio(signal, noise, levels)
        score = np.asarray(smoothed(ratio, listener.frames(SCORE_MS)), np.float64)
    is_open = score > OPEN_ABOVE
    return None if is_open.all() or not is_open.any() else (signal, noise, is_open)


def log_ratio(signal: Normal, noise: Normal, levels: BandLevels) -> NDArray[np.float64]:
    """Return the logarithm of the ratio of densities, per band."""
    ratio = signal.log_density(levels) - noise.log_density(levels)
    return np.asarray(ratio / levels.shape[1])


def restlessness(
    levels: BandLevels,
    base: BandLevels,
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
    if np.count_nonzero(pairs) < FEW_PAIRS:
        return 1.0
    middle = median(levels[is_noise])
    if not (middle > lowest_db).any():
        return 1.0
    jump = _deviation((levels[apart:] - levels[:-apart])[pairs])
    stray = (levels - base)[is_noise].std(axis=0)
    weights = np.where(middle > lowest_db, 10 ** (middle / 10), 0)
    return float(np.average(stray / (jump + LEAST_JUMP_DB), weights=weights))


def _jumps_db(levels: BandLevels, apart: int) -> float:
    """Return how far levels jump, the mean of all bands, weighted by their power."""
    if len(levels) <= apart:
        return np.inf
    weights = 10 ** (median(levels) / 10)
    return float(np.average(_deviation(levels[apart:] - levels[:-apart]), weights=weights))


def _deviation(jumps: BandLevels) -> BandLevels:
    """Return the standard deviation of levels of which these are differences.

    The median of |a − b| for normal a and b is 0.954 of the standard deviation of each.
    """
    return np.asarray(median(np.abs(jumps)) / 0.954)


def _near(above: NDArray[np.bool_], listener: Listener) -> NDArray[np.bool_]:
    """Return which frames are signal or near it, blips left out."""
    mask = Shortest(False, listener.frames(LONGEST_GAP_MS) + 1).process(above[:, None], last=True)
    mask = Shortest(True, listener.frames(SHORTEST_RUN_MS)).process(mask, last=True)
    return _around(mask[:, 0], listener.frames(APART_MS))


def _around(flags: NDArray[np.bool_], apart: int, outside: int = NEVER) -> NDArray[np.bool_]:
    """Return which frames lie no further than `apart` from one that is True.

    `outside` is how far from one the frames before the first and after the last lie.
    """
    column, beyond = flags[:, None], np.array([outside])
    after, before = frames_since(column, beyond), frames_since(column[::-1], beyond)[::-1]
    return np.asarray(np.minimum(after, before)[:, 0] <= apart)

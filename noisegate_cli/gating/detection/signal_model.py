"""Signal model of the automatic gate: log-likelihood ratio of signal to noise.

A frame is the vector x of its band levels in dB. Noise and signal each have a normal distribution,
which is learned from the recording itself. The score of a frame is the logarithm of the ratio of
their densities, divided by the number of bands:

    score = (log p(x | signal) − log p(x | noise)) / bands.

The full covariance matters. Steady noise fluctuates independently in each band, clatter raises all
bands together, and crickets raise two of them. Each of them is a direction in which *this* noise
varies, and a rise in that direction contributes little to the score. With variances alone, the
classifier is no better than a threshold above the floor of each band.

The distributions are fitted to labeled frames. The labels are found in two steps:

1. In each band, the floor is a low quantile of the surrounding 20 s, and g is the ratio of the
   power to the floor. The likelihood ratio of Sohn, Kim and Sung (A statistical model-based voice
   activity detection, 1999) has the logarithm g − 1 − log g if the a-priori signal-to-noise ratio
   has its maximum-likelihood value g − 1. Its mean over the bands is taken, and the logarithm of
   the mean is compared with a cut a little below the midpoint between quiet and loud frames.
2. Frames above the cut are signal. Frames that are well separated in time from any signal are
   noise; the frames between belong to neither class, which excludes decays from the noise. Both
   distributions are fitted, all frames are scored, the cut is set to zero, and the step is repeated
   (expectation maximization with hard decisions, Celeux and Govaert 1992).

A small number of frames does not determine a covariance. Therefore it is shrunk towards a prior in
which each band varies by a fixed number of decibels on its own, and all bands vary by the same
number together. The prior has the weight of a fixed number of additional frames.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import (
    SCORE_SMOOTHING_MS,
    BandLevelExtractor,
)
from noisegate_cli.gating.detection.drift import (
    DRIFT_LAG_MS,
    drift_to_jump_ratio,
    mean_jump_db,
)
from noisegate_cli.gating.detection.gaussian import NOISE_PRIOR_DB, SIGNAL_PRIOR_DB, ShrunkGaussian
from noisegate_cli.gating.detection.steady_noise import find_steady_noise
from noisegate_cli.gating.detection.tonal_noise import SparseSpectra, find_music
from noisegate_cli.gating.detection.verdict import Verdict
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
from noisegate_cli.samples import to_db
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.evidence import Evidence

MODEL_DEPTH_DB = 60.0
"""Depth of the power floor below the loud frames; lower levels do not affect the gate."""

START_QUIET_QUANTILE, START_LOUD_QUANTILE = 0.1, 0.99
START_CUT_SHARE = 0.45
"""The initial cut lies at this share of the distance between the two quantiles."""
MAX_START_CUT = 2.8
"""Upper limit of the initial cut: a frame 13 dB above the floor, more than plain noise reaches."""

NOISE_LOWEST_QUANTILE, NOISE_LOW_QUANTILE = 0.05, 0.25
MAX_NOISE_SPREADS = 7.0
"""Upper limit of the initial cut: the second quantile of the initial scores below the cut, plus
this multiple of its distance from the first one. In steady noise the limit is low, so that a voice
far below the loudest one is not treated as noise. Both quantiles are low because such a voice can
fill more than half of the frames below the cut."""

MAX_OVER_FLOOR_DB = 300.0
"""Levels above the floor are clipped to this value, so that the power fits a float32."""

EM_ROUNDS = 2
"""With more rounds the classes drift: quiet speakers are gradually assigned to the noise."""

LEARNING_GUARD_MS, MAX_GAP_MS, MIN_RUN_MS = 150.0, 150.0, 30.0
"""Distance of noise from any signal in learning, longest gap filled and shortest run retained."""

SHORT_GUARD_MS, MIN_GUARDED_NOISE_MS = 80.0, 600.0
"""The distance is shorter if it would leave less noise than this, in a short recording."""

MIN_CLASS_FRAMES = 11
"""Minimum number of frames of noise, and of signal, from which a distribution is fitted."""


OPEN_ABOVE, CLOSE_BELOW = 0.2, 0.1
"""Scores above which the gate opens and at or below which it closes (hysteresis)."""

OPEN_SHARE, LOW_SCORE_QUANTILE = 0.3, 0.05
MIN_SCORE_SPREADS, MAX_SCORE_SPREADS = 6.0, 20.0
MAX_OPEN_OFFSET = 0.6
"""The gate opens at this share of the distance between the median scores of noise and signal, if it
is below `OPEN_ABOVE`: noise that hides most of the signal leaves it little score. The distance is
limited by multiples of the distance between the low quantile and the median of noise. The lower
limit keeps the gate closed in noise with rare clatter. In steady noise, the upper limit opens it
for a voice far below the loudest one. The score of opening is lower by at most the offset: a few
frames of noise seem steadier than they are."""

MAX_SILENT_SHARE = 0.05
"""Maximum share of digital silence in a recording that was not gated or edited before. In one that
was, what remains between the words was left on purpose: the gate opens at the minimum distance, and
does not close on events."""

MIN_RISE = 2.2
"""Smallest START_LOUD_QUANTILE of the initial scores in a recording that contains signal. Rain,
wind or hiss alone reach 1.9; speech 3 dB below such a noise reaches 2.3."""

MIN_MODEL_CONTRAST_DB = 4.0
"""Minimum ratio of the power of open frames to closed frames: at 4 dB the SNR is 2 dB."""

MAX_DRIFT_RATIO = 3.5
"""Limit of `drift_to_jump_ratio` for noise: noise has 1 to 2, rarely 3; quiet music 4 to 25."""

MIN_NOISE_CONTRAST_DB = 9.0
"""With a higher contrast noise may have tones, as a hum has."""

RARE_WINDOW_MS, MIN_RARE_RISE = 250.0, 3.0
"""A rare event is signal too if the loudest quarter of a second exceeds this initial score."""

MIN_NOISE_JUMP_DB = 1.0
"""Minimum deviation between disjoint frames in the bands where noise is loud. Noise varies by 2 dB
or more, the maximum of several channels by less. A steady tone does not vary."""

MIN_NOISE_ONLY_MS = 3000.0
"""A shorter recording without any frame clearly above the floor is not treated as noise: it could
be a note of music."""

MAX_NOISE_FRAME_S = 0.5
"""Longer frames contain words and pauses, so that speech seems as steady as noise."""

MIN_BAND_OVER_DEPTH_DB = 6.0
"""Bands closer to the power floor are ignored in the drift of the noise."""

MIN_POWER_DENSITY = 1e-30


class LearnedFrames(NamedTuple):
    """The frames that are not silent, from which a model was learned."""

    levels: BandLevelsDb
    """Smoothed levels in dB, shaped (frames, bands)."""
    scores: NDArray[np.float64]
    """Smoothed scores by the model."""
    is_signal: NDArray[np.bool_]
    """Which frames were labeled signal in the last fit."""
    is_edited: bool
    """Whether the recording was gated or edited before."""


class SignalModel(NamedTuple):
    """Distributions of signal and noise of one gate, learned from a recording."""

    verdict: Verdict
    """Result of learning.

    If it is neither `SEPARATED` nor `NOISE_ONLY`, the gate stays open, because it must not mute a
    possible signal. A gate that ducks stays closed then, see `undecided_score`.
    """
    floor: float = MIN_POWER_DENSITY
    """Power per Hz that is added to each band."""
    signal: ShrunkGaussian | None = None
    noise: ShrunkGaussian | None = None
    offset: float = 0.0
    """Added to the ratio of signal to noise where noise masks most of the signal."""
    contrast_db: float = 0.0
    """Ratio of the power of open frames to closed frames, in dB."""
    noise_db: float | None = None
    """Median level of the closed frames in dBFS; None if no classes were fitted."""
    signal_db: float | None = None
    """RMS level of the open frames in dBFS; None if no classes were fitted."""
    learned: LearnedFrames | None = None
    """The frames from which the distributions were learned, until learning is complete."""
    evidence: "Evidence | None" = None
    """Term of the score in addition to the spectrum; None if the recording is not speech."""
    undecided_score: float = np.inf
    """Score of all frames if signal and noise are not separated, so that nothing is attenuated: ∞
    for a gate, and −∞ for one that ducks."""

    def __repr__(self) -> str:
        return format_repr(self, "verdict", "contrast_db", "noise_db", "signal_db")

    def levels(self, densities: BandPowerArray) -> BandLevelsDb:
        """Convert powers per Hz, shaped (frames, bands), to levels in dB."""
        return np.asarray(10 * np.log10(densities + np.float32(self.floor)))

    def score(self, levels: BandLevelsDb) -> NDArray[np.float64]:
        """Return the score of each frame from smoothed levels, shaped (frames, bands)."""
        if self.signal is None or self.noise is None:
            is_noise = self.verdict is Verdict.NOISE_ONLY
            return np.full(len(levels), -np.inf if is_noise else self.undecided_score)
        return log_ratio(self.signal, self.noise, levels) + self.offset


def learn_signal_model(
    extractor: BandLevelExtractor,
    densities: BandPowerArray,
    level: NDArray[np.float64],
    spectra: SparseSpectra,
) -> SignalModel:
    """Learn the model of one gate from powers per Hz, shaped (frames, bands), and frame levels.

    Digital silence is ignored. Powers that are not finite give the verdict `INDISTINCT`.
    `spectra` distinguish noise from tones.
    """
    nonsilent = level > 0
    # Partly silent frames, and frames that extend past either end, underestimate the level.
    is_full = ~_is_within(~nonsilent, extractor.disjoint_distance, outside=True)[nonsilent]
    densities, level = densities[nonsilent], level[nonsilent]
    spectra = spectra.select(nonsilent)
    if len(level) < 2 * MIN_CLASS_FRAMES or not np.isfinite(densities).all():
        return SignalModel(Verdict.INDISTINCT if len(level) else Verdict.NOISE_ONLY)
    floor = float(
        quantile(densities.sum(axis=1), 0.95) * 10 ** (-MODEL_DEPTH_DB / 10) + MIN_POWER_DENSITY
    )
    indistinct = SignalModel(Verdict.INDISTINCT, floor)
    levels = indistinct.levels(densities)
    step = extractor.frames(1000 * FLOOR_STEP_S)
    floors = compute_noise_floor(compute_quiet_levels(levels, step))
    local_floor = interpolate_steps(floors, step, np.arange(len(levels)))
    initial_scores = _initial_scores(levels - local_floor, extractor)
    if initial_scores is None:
        return SignalModel(_judge_noise(levels, extractor, spectra), floor)
    smoothed = compute_running_mean(levels, extractor.level_smoothing_frames)
    level_db = np.asarray(
        compute_running_mean(to_db(level), extractor.level_smoothing_frames), np.float64
    )
    is_edited = is_edited_before(nonsilent)
    fitted = _fit_classes(smoothed, initial_scores, extractor, spectra, level_db, is_edited)
    if isinstance(fitted, Verdict):
        return SignalModel(fitted, floor)
    signal, noise, offset, frames = fitted
    is_open = frames.scores > OPEN_ABOVE
    contrast = rms_db(level[is_open]) - rms_db(level[~is_open])
    is_noise = ~_is_near_signal(is_open, extractor) & is_full
    drift_ratio = drift_to_jump_ratio(
        levels,
        local_floor,
        is_noise,
        extractor.disjoint_distance,
        extractor.frames(DRIFT_LAG_MS),
        float(10 * np.log10(floor)) + MIN_BAND_OVER_DEPTH_DB,
    )
    verdict = _judge_classes(contrast, drift_ratio, spectra, ~is_open)
    model = SignalModel(
        verdict,
        floor,
        contrast_db=contrast,
        noise_db=float(to_db(median(level[~is_open]))),
        signal_db=rms_db(level[is_open]),
    )
    if verdict is not Verdict.SEPARATED:
        return model
    return model._replace(signal=signal, noise=noise, offset=offset, learned=frames)


def _judge_noise(
    levels: BandLevelsDb,
    extractor: BandLevelExtractor,
    spectra: SparseSpectra,
) -> Verdict:
    """Return the verdict on a recording without any frame clearly above the floor."""
    if extractor.frame_s > MAX_NOISE_FRAME_S:
        return Verdict.INDISTINCT
    if mean_jump_db(levels, extractor.disjoint_distance) < MIN_NOISE_JUMP_DB:
        return Verdict.STEADY_TONE
    if len(levels) < extractor.frames(MIN_NOISE_ONLY_MS):
        return Verdict.TOO_SHORT
    return Verdict.TONAL if spectra.is_music(np.ones(len(levels), np.bool_)) else Verdict.NOISE_ONLY


def _judge_classes(
    contrast_db: float,
    drift_ratio: float,
    spectra: SparseSpectra,
    is_noise: NDArray[np.bool_],
) -> Verdict:
    """Return the verdict on whether the fitted classes are signal and noise."""
    if contrast_db < MIN_MODEL_CONTRAST_DB:
        return Verdict.LOW_CONTRAST
    if drift_ratio > MAX_DRIFT_RATIO:
        return Verdict.MUSIC_LIKE
    if contrast_db < MIN_NOISE_CONTRAST_DB and spectra.is_music(is_noise):
        return Verdict.TONAL
    return Verdict.SEPARATED


def _initial_scores(
    over_floor: BandLevelsDb, extractor: BandLevelExtractor
) -> NDArray[np.float64] | None:
    """Return initial scores, positive for signal; None if no frame is clearly above the floor."""
    # Below the floor the a-priori SNR is 0, hence the log-likelihood ratio is 0.
    g = np.maximum(10 ** (np.minimum(over_floor, MAX_OVER_FLOOR_DB) / 10), 1)
    g -= 1 + np.log(g)
    rise = compute_running_mean(
        np.log(g.mean(axis=1, dtype=np.float64) + 1e-9), extractor.level_smoothing_frames
    )
    quiet, loud = quantile(rise, [START_QUIET_QUANTILE, START_LOUD_QUANTILE])
    rare = np.sort(rise)[-min(len(rise), extractor.frames(RARE_WINDOW_MS))]
    if loud < MIN_RISE and rare < MIN_RARE_RISE:
        return None
    cut = min(quiet + START_CUT_SHARE * (max(loud, rare) - quiet), MAX_START_CUT)
    noise = rise[~_is_near_signal(rise >= cut, extractor)]
    if len(noise) >= MIN_CLASS_FRAMES:
        lowest, low = quantile(noise, [NOISE_LOWEST_QUANTILE, NOISE_LOW_QUANTILE])
        limit = min(cut, max(0.0, low + MAX_NOISE_SPREADS * (low - lowest)))
        # In a short recording a lower cut may leave too little noise to learn from.
        is_noise = ~_is_near_signal(rise >= limit, extractor)
        cut = limit if np.count_nonzero(is_noise) >= MIN_CLASS_FRAMES else cut
    return np.asarray(rise - cut, np.float64)


def _fit_classes(
    levels: BandLevelsDb,
    score: NDArray[np.float64],
    extractor: BandLevelExtractor,
    spectra: SparseSpectra,
    level_db: NDArray[np.float64],
    is_edited: bool,
) -> tuple[ShrunkGaussian, ShrunkGaussian, float, LearnedFrames] | Verdict:
    """Return signal, noise, the offset of their ratio and the frames with the last labels.

    A verdict is returned instead if a class has too few frames.
    """
    is_steady = find_steady_noise(spectra, level_db, extractor.frames(1000))
    for _ in range(EM_ROUNDS):
        is_signal = (score >= 0) & ~is_steady
        is_noise = select_noise(is_signal, extractor)
        if min(np.count_nonzero(is_signal), np.count_nonzero(is_noise)) < MIN_CLASS_FRAMES:
            return Verdict.INDISTINCT
        is_music = find_music(spectra, is_noise, level_db, extractor.frames(DRIFT_LAG_MS))
        is_signal, is_noise = is_signal | is_music, is_noise & ~is_music
        if np.count_nonzero(is_noise) < MIN_CLASS_FRAMES:
            return Verdict.TONAL
        signal, noise = fit_distributions(levels, is_signal, is_noise)
        score = smooth_ratio(signal, noise, levels, extractor)
    offset = compute_offset(score, extractor, is_edited)
    is_open = score + offset > OPEN_ABOVE
    if is_open.all() or not is_open.any():
        return Verdict.INDISTINCT
    return signal, noise, offset, LearnedFrames(levels, score + offset, is_signal, is_edited)


def is_edited_before(nonsilent: NDArray[np.bool_]) -> bool:
    """Return whether a recording was gated or edited before; see `MAX_SILENT_SHARE`."""
    return bool(1 - nonsilent.mean() > MAX_SILENT_SHARE)


def fit_distributions(
    levels: BandLevelsDb, is_signal: NDArray[np.bool_], is_noise: NDArray[np.bool_]
) -> tuple[ShrunkGaussian, ShrunkGaussian]:
    """Return the distributions of signal and of noise from smoothed levels and labels."""
    return (
        ShrunkGaussian.fit(levels[is_signal], SIGNAL_PRIOR_DB),
        ShrunkGaussian.fit(levels[is_noise], NOISE_PRIOR_DB),
    )


def smooth_ratio(
    signal: ShrunkGaussian,
    noise: ShrunkGaussian,
    levels: BandLevelsDb,
    extractor: BandLevelExtractor,
) -> NDArray[np.float64]:
    """Return the smoothed ratio of signal to noise; see `log_ratio`."""
    ratio = log_ratio(signal, noise, levels)
    frames = extractor.frames(SCORE_SMOOTHING_MS)
    return np.asarray(compute_running_mean(ratio, frames), np.float64)


def compute_offset(
    score: NDArray[np.float64], extractor: BandLevelExtractor, is_edited: bool
) -> float:
    """Return how far the gate must open below `OPEN_ABOVE`; see `OPEN_SHARE`."""
    signal, noise = score[score > OPEN_ABOVE], score[select_noise(score >= 0, extractor)]
    if min(len(signal), len(noise)) < MIN_CLASS_FRAMES:
        return 0.0
    low, middle = quantile(noise, [LOW_SCORE_QUANTILE, 0.5])
    spread = middle - low
    max_spreads = MIN_SCORE_SPREADS if is_edited else MAX_SCORE_SPREADS
    distance = max(OPEN_SHARE * (median(signal) - middle), MIN_SCORE_SPREADS * spread)
    distance = min(distance, max_spreads * spread)
    return min(max(0.0, OPEN_ABOVE - float(middle + distance)), MAX_OPEN_OFFSET)


def log_ratio(
    signal: ShrunkGaussian, noise: ShrunkGaussian, levels: BandLevelsDb
) -> NDArray[np.float64]:
    """Return the log-likelihood ratio of signal to noise, divided by the number of bands."""
    ratio = signal.log_density(levels) - noise.log_density(levels)
    return np.asarray(ratio / levels.shape[1])


def select_noise(is_signal: NDArray[np.bool_], extractor: BandLevelExtractor) -> NDArray[np.bool_]:
    """Return a mask of frames that are noise and far from signal."""
    runs = _find_runs(is_signal, extractor)
    is_noise = ~_is_within(runs, extractor.frames(LEARNING_GUARD_MS))
    if np.count_nonzero(is_noise) < extractor.frames(MIN_GUARDED_NOISE_MS):
        is_noise = ~_is_within(runs, extractor.frames(SHORT_GUARD_MS))
    return is_noise


def _is_near_signal(above: NDArray[np.bool_], extractor: BandLevelExtractor) -> NDArray[np.bool_]:
    """Return a mask of frames that are signal or near signal, ignoring very short runs."""
    return _is_within(_find_runs(above, extractor), extractor.frames(LEARNING_GUARD_MS))


def _find_runs(above: NDArray[np.bool_], extractor: BandLevelExtractor) -> NDArray[np.bool_]:
    """Return a mask of runs of signal without short gaps and very short runs.

    A gap or a run at either end may continue outside, and is not short. `MinRunLength` has the same
    result, but its blocks of several gates take longer.
    """
    edges = np.flatnonzero(above[1:] != above[:-1]) + 1
    starts_above = bool(above[0])
    first_gap, first_run = (0, 1) if starts_above else (1, 0)
    edges = _remove_short(edges, first_gap, extractor.frames(MAX_GAP_MS) + 1)
    edges = _remove_short(edges, first_run, extractor.frames(MIN_RUN_MS))
    changes = np.zeros(len(above), np.bool_)
    changes[0], changes[edges] = starts_above, True
    return np.asarray(np.logical_xor.accumulate(changes))


def _remove_short(edges: NDArray[np.int64], first: int, frames: int) -> NDArray[np.int64]:
    """Return the edges without pairs, from edge `first` on, that are closer than `frames`."""
    lengths = edges[first + 1 :: 2] - edges[first:-1:2]
    is_kept = np.ones(len(edges), np.bool_)
    is_kept[first : first + 2 * len(lengths)] = np.repeat(lengths >= frames, 2)
    return edges[is_kept]


def _is_within(flags: NDArray[np.bool_], distance: int, outside: bool = False) -> NDArray[np.bool_]:
    """Return a mask of frames at most `distance` frames away from a True flag.

    `outside` is the flag of the frames outside either end.
    """
    padded = np.full(len(flags) + 2 * distance + 1, outside)
    padded[distance + 1 : distance + 1 + len(flags)] = flags
    count = np.cumsum(padded)
    return np.asarray(count[2 * distance + 1 :] > count[: len(flags)])

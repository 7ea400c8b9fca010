"""Slow drift of levels compared with their jumps, which distinguishes quiet music from noise.

The levels of noise jump from frame to frame and stay near the same mean. The notes of music hardly
change from frame to frame, and drift.
"""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.gating.frames.running_mean import BandLevelsDb

DRIFT_LAG_MS, MIN_LAG_RATIO = 500.0, 1.7
"""Music drifts within this time by more than this multiple of its jumps: a hum that is switched on
has 0.6 to 1.4, music 2 to 10."""

MIN_FRAME_PAIRS, JUMP_REGULARIZATION_DB = 5, 0.1
"""Fewer pairs of frames are not evaluated, and the regularization prevents a division by zero for
hum, whose level is constant."""


def drift_to_jump_ratio(
    levels: BandLevelsDb,
    local_floor: BandLevelsDb,
    is_noise: NDArray[np.bool_],
    disjoint_distance: int,
    lag: int,
    lowest_db: float = -np.inf,
) -> float:
    """Return the ratio of slow drift to frame-to-frame jumps of the supposed noise.

    Levels of noise in disjoint frames are independent, so the differences between such frames
    account for the whole deviation from the local floor, and the ratio is near 1. A sustained note
    hardly changes between neighboring frames but drifts over time, so quiet music that was labeled
    as noise has a large ratio. Hum neither drifts nor jumps.

    Up to a factor, this is the square root of the inverse of von Neumann's ratio δ²/s²
    (Distribution of the ratio of the mean square successive difference to the variance, 1941). The
    factor is √2, because independent levels have δ² = 2 s². Here δ is estimated from a median,
    which is robust.

    Parameters
    ----------
    levels, local_floor
        Levels of frames and of their local floor in dB, both shaped (frames, bands).
    is_noise
        Mask of the frames that were labeled as noise, shaped (frames,).
    disjoint_distance
        Distance in frames at which two frames share no sample.
    lag
        Distance in frames within which music drifts. A noise that changes once, such as a hum that
        is switched on, does not drift: few of its frames differ from the frame at this distance.
    lowest_db
        Bands whose median noise level is not above this level in dB are ignored.

    Returns
    -------
    float
        Standard deviation of levels − local_floor, divided by the standard deviation that the
        median absolute difference of disjoint frames implies; mean over the bands, weighted by
        power. If frames at the distance `lag` hardly differ, their difference counts instead. 1.0
        if there are too few frames, or no band is above `lowest_db`.
    """
    pairs = is_noise[disjoint_distance:] & is_noise[:-disjoint_distance]
    if np.count_nonzero(pairs) < MIN_FRAME_PAIRS:
        return 1.0
    median_levels = median(levels[is_noise])
    if not (median_levels > lowest_db).any():
        return 1.0
    jump = _deviation_from_differences(
        (levels[disjoint_distance:] - levels[:-disjoint_distance])[pairs]
    )
    deviation = (levels - local_floor)[is_noise].std(axis=0)
    weights = np.where(median_levels > lowest_db, 10 ** (median_levels / 10), 0)
    jump += JUMP_REGULARIZATION_DB
    pairs = is_noise[lag:] & is_noise[:-lag]
    if np.count_nonzero(pairs) >= MIN_FRAME_PAIRS:
        later = _deviation_from_differences((levels[lag:] - levels[:-lag])[pairs])
        lag_ratio = float(np.average(later / jump, weights=weights))
        if lag_ratio < MIN_LAG_RATIO:
            return lag_ratio
    return float(np.average(deviation / jump, weights=weights))


def mean_jump_db(levels: BandLevelsDb, disjoint_distance: int) -> float:
    """Return the deviation between disjoint frames in dB, the power-weighted mean over bands."""
    if len(levels) <= disjoint_distance:
        return np.inf
    weights = 10 ** (median(levels) / 10)
    return float(
        np.average(
            _deviation_from_differences(levels[disjoint_distance:] - levels[:-disjoint_distance]),
            weights=weights,
        )
    )


def _deviation_from_differences(jumps: BandLevelsDb) -> BandLevelsDb:
    """Return the standard deviation of levels, estimated from differences of independent levels.

    For independent normal a and b with standard deviation σ, the median of |a − b| is 0.954 σ.
    """
    return np.asarray(median(np.abs(jumps)) / 0.954)

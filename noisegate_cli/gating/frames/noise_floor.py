"""Estimate the noise floor over time from the quiet levels of the surrounding seconds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.quantile import quantile

LevelsDb = NDArray[np.floating[Any]]

FLOOR_STEP_S, FLOOR_WINDOW_S = 1.0, 20.0
"""The floor is computed once per second, from the 20 seconds around it."""

QUIET_LEVEL_PERCENT, FLOOR_PERCENT = 15, 25
"""Percentile of the frames in a second, and of the seconds in a window: even during speech, some
frames and some seconds are almost always as quiet as the noise."""


def compute_quiet_levels(levels: LevelsDb, step_frames: int) -> LevelsDb:
    """Return the quiet level of each step of `step_frames` frames; there is at least one step.

    Parameters
    ----------
    levels
        In dB, shaped (frames, …).
    step_frames
        Length of a step in frames.

    Returns
    -------
    ndarray
        In dB, shaped (steps, …).
    """
    steps = max(1, len(levels) // step_frames)
    parts = levels[: steps * step_frames].reshape(steps, -1, *levels.shape[1:])
    return np.asarray(quantile(parts, QUIET_LEVEL_PERCENT / 100, axis=1))


def compute_noise_floor(quiet: LevelsDb) -> LevelsDb:
    """Compute the floor around each step from the quiet levels of all steps."""
    steps = len(quiet)
    window = min(steps, round(FLOOR_WINDOW_S / FLOOR_STEP_S))
    windows = quiet[np.arange(steps - window + 1)[:, None] + np.arange(window)]
    starts = np.clip(np.arange(steps) - window // 2, 0, steps - window)
    return np.asarray(quantile(windows, FLOOR_PERCENT / 100, axis=1)[starts])


def interpolate_steps(floor: LevelsDb, step_frames: int, frames: NDArray[np.int64]) -> LevelsDb:
    """Interpolate the floor at the given frames linearly between the centers of the steps.

    Examples
    --------
    >>> frames = np.array([0, 5, 10, 15, 99])
    >>> interpolate_steps(np.array([-60.0, -50.0]), step_frames=10, frames=frames)
    array([-60., -60., -55., -50., -50.])
    """
    position = np.clip(frames / step_frames - 0.5, 0, len(floor) - 1)
    below = np.minimum(position.astype(np.int64), max(0, len(floor) - 2))
    above = np.minimum(below + 1, len(floor) - 1)
    share = (position - below).astype(floor.dtype).reshape(-1, *[1] * (floor.ndim - 1))
    return np.asarray(floor[below] * (1 - share) + floor[above] * share)

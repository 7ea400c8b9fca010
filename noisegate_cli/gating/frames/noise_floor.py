"""The noise floor around each moment: what is quiet in the seconds before and after it."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from noisegate_cli.gating.frames.quantile import quantile

LevelsDb = NDArray[np.floating[Any]]

FLOOR_STEP_S, FLOOR_WINDOW_S = 1.0, 20.0
"""The floor is taken each second, from the twenty seconds around it."""

QUIET_LEVEL_PERCENT, FLOOR_PERCENT = 15, 25
"""Of the frames in a second, and of the seconds: speech is rarely louder in all of them."""


def compute_quiet_levels(levels: LevelsDb, step: int) -> LevelsDb:
    """Return the quiet level of each `step` frames, and at least one.

    Parameters
    ----------
    levels
        In dB, shaped (frames, …).

    Returns
    -------
    Shaped (steps, …).
    """
    steps = max(1, len(levels) // step)
    parts = levels[: steps * step].reshape(steps, -1, *levels.shape[1:])
    return np.asarray(quantile(parts, QUIET_LEVEL_PERCENT / 100, axis=1))


def compute_noise_floor(quiet: LevelsDb) -> LevelsDb:
    """Return the floor around each step, from the quiet levels of all steps."""
    steps = len(quiet)
    around = min(steps, round(FLOOR_WINDOW_S / FLOOR_STEP_S))
    windows = sliding_window_view(quiet, around, axis=0)
    centred = np.clip(np.arange(steps) - around // 2, 0, steps - around)
    return np.asarray(quantile(windows, FLOOR_PERCENT / 100, axis=-1)[centred])


def interpolate_steps(floor: LevelsDb, step: int, frames: NDArray[np.int64]) -> LevelsDb:
    """Return the floor at some frames, linear between the middles of the steps.

    Examples
    --------
    >>> interpolate_steps(np.array([-60.0, -50.0]), step=10, frames=np.array([0, 5, 10, 15, 99]))
    array([-60., -60., -55., -50., -50.])
    """
    at = np.clip(frames / step - 0.5, 0, len(floor) - 1)
    below = np.minimum(at.astype(np.int64), max(0, len(floor) - 2))
    above = np.minimum(below + 1, len(floor) - 1)
    share = (at - below).astype(floor.dtype).reshape(-1, *[1] * (floor.ndim - 1))
    return np.asarray(floor[below] * (1 - share) + floor[above] * share)

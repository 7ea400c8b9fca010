"""Three estimators of a threshold from a histogram of frame levels."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

HistogramValues = NDArray[np.float64]


SPEECH_MARGIN_DB = 15.9
"""Margin of ITU-T P.56 between the active speech level and the activity threshold."""


def otsu(level: HistogramValues, weight: HistogramValues) -> float:
    """Return the level that maximizes the variance between the two parts of a histogram.

    Otsu, A threshold selection method from gray-level histograms (1979). Levels are in dB, and the
    weights sum to 1.
    """
    below, moment = np.cumsum(weight), np.cumsum(weight * level)
    with np.errstate(divide="ignore", invalid="ignore"):
        between_class_variance = (moment[-1] * below - moment) ** 2 / (below * (1 - below))
    # At either end of the histogram one part is empty, and 1 − Σ is only a rounding error.
    between_class_variance[
        ~np.isfinite(between_class_variance) | (below < 1e-9) | (below > 1 - 1e-9)
    ] = 0
    return float(level[np.argmax(between_class_variance)])


def two_normals(level: HistogramValues, weight: HistogramValues, rounds: int = 200) -> float:
    """Return the level at which noise and signal are equally likely, both normal in dB.

    The mixture is fitted by expectation maximization (Dempster, Laird and Rubin 1977), starting
    from Otsu's threshold.
    """
    below = level[:, None] <= otsu(level, weight)
    responsibilities = np.hstack([below, ~below]).astype(np.float64)
    mean = np.full(2, np.inf)
    for _ in range(rounds):
        mass = weight @ responsibilities + 1e-12
        previous_mean, mean = mean, (weight * level) @ responsibilities / mass
        if np.abs(mean - previous_mean).max() < 0.01:
            break
        variance = (
            np.einsum("i,ij,ij->j", weight, responsibilities, (level[:, None] - mean) ** 2) / mass
        )
        # The variance is at least 1 dB², so that a steady tone does not collapse to zero width.
        spread = np.sqrt(np.maximum(variance, 1.0))
        log_density = np.log(mass / spread) - 0.5 * ((level[:, None] - mean) / spread) ** 2
        responsibilities = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
    is_between = (level > mean[0]) & (level < mean[1])
    if not is_between.any():
        return float(mean.mean())
    return float(level[is_between][np.argmin(np.abs(responsibilities[is_between, 0] - 0.5))])


def below_active_level(level: HistogramValues, weight: HistogramValues) -> float:
    """Return the level that lies 15.9 dB below the RMS of the frames above it.

    The margin and the joint search for the active level and its threshold follow ITU-T P.56 (2011),
    method B, with frame levels instead of its envelope.
    """
    power = weight * 10 ** (level / 10)
    share_above, power_above = (np.cumsum(x[::-1])[::-1] for x in (weight, power))
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = 10 * np.log10(power_above / share_above) - level
    return float(level[np.argmax((share_above > 0) & (margin <= SPEECH_MARGIN_DB))])


ESTIMATORS: Mapping[str, Callable[[HistogramValues, HistogramValues], float]] = MappingProxyType(
    {"auto:otsu": otsu, "auto:gmm": two_normals, "auto:p56": below_active_level}
)
"""Estimators by method name; each takes levels in dB and weights that sum to 1."""

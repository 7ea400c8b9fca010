"""A threshold found in how often each level occurs."""

from dataclasses import dataclass

import numpy as np

from noisegate_cli.gating.levels import LevelHistogram, from_db

MIN_CONTRAST_DB = 6.0
"""Nearer than this, the levels of noise and signal overlap and no threshold parts them."""

MIN_FRAMES = 20
"""Fewer frames say nothing about a distribution with two peaks."""


@dataclass(frozen=True, slots=True)
class ThresholdSuggestion:
    """A threshold and why, or why there is none."""

    threshold: float | None
    """Linear RMS, full scale 1.0; None when nothing can be suggested."""
    noise_floor_db: float
    """Level of the noise, dBFS; minus infinity when the recording is silent."""
    active_db: float
    """Level of the signal, dBFS."""
    reason: str
    """One sentence for the user."""

    @property
    def contrast_db(self) -> float:
        """How far the signal stands above the noise, dB."""
        return self.active_db - self.noise_floor_db if self.active_db > -np.inf else 0.0


def suggest_threshold(histogram: LevelHistogram) -> ThresholdSuggestion:
    """Suggest the level at which a frame is as likely noise as signal.

    The levels, in dB, are taken as a mixture of two normal distributions, noise and signal, fitted
    by expectation maximisation (Dempster, Laird and Rubin 1977), started from Otsu's split (1979).
    Digital silence is not a level and takes no part.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> histogram = LevelHistogram()
    >>> histogram.add(from_db(np.append(rng.normal(-60, 2, 500), rng.normal(-25, 5, 500))))
    >>> suggestion = suggest_threshold(histogram)
    >>> bool(-55 < 20 * np.log10(suggestion.threshold) < -40)
    True
    """
    if not histogram.sounding:
        return ThresholdSuggestion(
            None, -np.inf, -np.inf, "The recording is digital silence: there is nothing to gate."
        )
    floor, active = histogram.percentile(10), histogram.percentile(90)
    if histogram.sounding < MIN_FRAMES:
        return ThresholdSuggestion(
            None, floor, active, "The recording is too short to tell noise from signal."
        )
    level, weight = histogram.centres_db, histogram.counts / histogram.sounding
    noise, signal, crossing = _two_normals(level, weight)
    if signal - noise < MIN_CONTRAST_DB:
        return ThresholdSuggestion(
            None,
            floor,
            active,
            f"Levels do not part into noise and signal (they lie {max(0.0, signal - noise):.0f} dB "
            "apart): a gate would pump.",
        )
    return ThresholdSuggestion(
        float(from_db(crossing)),
        noise,
        signal,
        f"Noise lies about {noise:.0f} dBFS and signal about {signal:.0f} dBFS; "
        f"at {crossing:.1f} dBFS a frame is as likely the one as the other.",
    )


def _two_normals(
    level: np.ndarray, weight: np.ndarray, iterations: int = 200
) -> tuple[float, float, float]:
    """Return the means of the lower and the upper normal, and where they are equally likely."""
    below = level[:, None] <= [_otsu(level, weight)]
    responsibility = np.hstack([below, ~below]).astype(np.float64)
    mean = spread = share = np.zeros(2)
    for _ in range(iterations):
        mass = (responsibility * weight[:, None]).sum(axis=0) + 1e-12
        mean = (responsibility * (weight * level)[:, None]).sum(axis=0) / mass
        variance = (responsibility * weight[:, None] * (level[:, None] - mean) ** 2).sum(axis=0)
        # A decibel at the least: a steady tone must not become an infinitely narrow peak.
        spread, share = np.sqrt(np.maximum(variance / mass, 1.0)), mass / mass.sum()
        log_density = np.log(share / spread) - 0.5 * ((level[:, None] - mean) / spread) ** 2
        log_density -= log_density.max(axis=1, keepdims=True)
        responsibility = np.exp(log_density)
        responsibility /= responsibility.sum(axis=1, keepdims=True)
    between = (level > mean[0]) & (level < mean[1])
    if not between.any():
        return float(mean[0]), float(mean[1]), float(mean.mean())
    crossing = level[between][np.argmin(np.abs(responsibility[between, 0] - 0.5))]
    return float(mean[0]), float(mean[1]), float(crossing)


def _otsu(level: np.ndarray, weight: np.ndarray) -> float:
    """Return the level that splits the histogram with the largest variance between classes."""
    below = np.cumsum(weight)
    first = np.cumsum(weight * level)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (first[-1] * below - first) ** 2 / (below * (1 - below))
    between[~np.isfinite(between)] = 0
    return float(level[np.argmax(between)])

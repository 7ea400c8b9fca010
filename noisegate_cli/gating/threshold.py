"""A threshold found in how often each level occurs.

Three estimates check each other: two that look for the gap between two kinds of frames, and one
that comes down from the level of the signal. Each goes wrong on recordings where the others don't
(little speech, little pause, a noise that drifts), so the middle one is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.levels import LevelHistogram, from_db

Values = NDArray[np.float64]

MIN_CONTRAST_DB = 6.0
"""Nearer than this, the levels of noise and signal overlap and no threshold parts them."""

PUMPING_DB = 12.0
"""Nearer than this, a gate is heard pumping."""

LOUDEST_DB = 10.0
"""Recordings in floats may go beyond full scale, but not that far all the time."""

LEAST_SPREAD_DB, MOST_SPREAD_DB = 1.0, 3.0
"""How far noise goes above its median: a steady one a little, and one that goes far is not
followed, as that would cost speech."""

MIN_FRAMES = 20
"""Fewer frames say nothing about a distribution with two peaks."""

SPEECH_MARGIN_DB = 15.9
"""What ITU-T P.56 takes for the distance from the active level of speech to its faint parts."""


@dataclass(frozen=True, slots=True)
class ThresholdSuggestion:
    """A threshold and why, or why there is none."""

    threshold: float | None
    """Linear RMS, full scale 1.0; None when nothing can be suggested."""
    noise_floor_db: float
    """Level of the noise, dBFS: the median of the frames below the threshold; minus infinity when
    the recording is silent."""
    active_db: float
    """Level of the signal, dBFS: the RMS of the frames above the threshold."""
    reason: str
    """One sentence for the user."""
    estimates_db: Mapping[str, float] = field(default_factory=dict)
    """What each method says, dBFS."""

    @property
    def or_open(self) -> float:
        """The threshold, or one that keeps the gate open where there is none."""
        return -1.0 if self.threshold is None else self.threshold

    @property
    def contrast_db(self) -> float:
        """How far the signal stands above the noise, dB."""
        return self.active_db - self.noise_floor_db if self.active_db > -np.inf else 0.0


def suggest_threshold(histogram: LevelHistogram, hysteresis_db: float = 0.0) -> ThresholdSuggestion:
    """Suggest the median of three estimates: `two_normals`, `otsu`, `below_active_level`.

    It lies so far above the noise that a gate with that hysteresis closes again. Digital silence
    is not a level and takes no part.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> histogram = LevelHistogram()
    >>> histogram.add(from_db(np.append(rng.normal(-60, 2, 500), rng.normal(-25, 5, 500))))
    >>> suggestion = suggest_threshold(histogram)
    >>> bool(-55 < 20 * np.log10(suggestion.threshold) < -38), round(suggestion.noise_floor_db)
    (True, -60)
    """
    if not histogram.sounding:
        return ThresholdSuggestion(
            None, -np.inf, -np.inf, "There is nothing but digital silence: nothing to gate."
        )
    occurs = histogram.counts > 0
    level, weight = histogram.centres_db[occurs], histogram.counts[occurs] / histogram.sounding
    estimates = {
        "two normals": two_normals(level, weight),
        "otsu": otsu(level, weight),
        "active level": below_active_level(level, weight),
    }
    threshold = float(np.median(list(estimates.values())))
    floor, highest_noise, active = _noise_and_signal(level, weight, threshold)
    raised = max(threshold, highest_noise + hysteresis_db)
    if histogram.sounding < MIN_FRAMES:
        why = "The recording is too short to tell noise from signal."
    elif active > LOUDEST_DB:
        why = f"Levels of {active:.0f} dBFS are far above full scale, 1.0: scale the samples first."
    elif active - floor < MIN_CONTRAST_DB:
        floor, active = histogram.percentile(5), histogram.percentile(95)
        why = f"Nearly all levels lie within {active - floor:.0f} dB: a gate would only pump."
    else:
        why = (
            f"It parts noise of about {floor:.0f} dBFS from signal of about {active:.0f} dBFS, "
            f"the middle of three estimates from {min(estimates.values()):.0f} to "
            f"{max(estimates.values()):.0f} dBFS"
            + (", raised so that the gate closes again." if raised > threshold else ".")
        )
        if active - floor < PUMPING_DB:
            why += f" They are only {active - floor:.0f} dB apart: if it pumps, try --range -8dB."
        linear = min(1.0, float(from_db(raised)))
        return ThresholdSuggestion(linear, floor, active, why, estimates)
    return ThresholdSuggestion(None, floor, active, why, estimates)


def otsu(level: Values, weight: Values) -> float:
    """Return the level that splits a histogram with the largest variance between its parts.

    Otsu, A threshold selection method from gray-level histograms (1979). Levels are in dB, the
    weights add up to 1.
    """
    below, first = np.cumsum(weight), np.cumsum(weight * level)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (first[-1] * below - first) ** 2 / (below * (1 - below))
    # Beyond either end of the histogram one part is empty, and 1 − Σ is rounding.
    between[~np.isfinite(between) | (below < 1e-9) | (below > 1 - 1e-9)] = 0
    return float(level[np.argmax(between)])


def two_normals(level: Values, weight: Values, rounds: int = 200) -> float:
    """Return where a frame is as likely noise as signal, each being normal in dB.

    Fitted by expectation maximisation (Dempster, Laird and Rubin 1977) from Otsu's split.
    """
    below = level[:, None] <= otsu(level, weight)
    likely = np.hstack([below, ~below]).astype(np.float64)
    mean = np.full(2, np.inf)
    for _ in range(rounds):
        mass = weight @ likely + 1e-12
        before, mean = mean, (weight * level) @ likely / mass
        if np.abs(mean - before).max() < 0.01:
            break
        variance = np.einsum("i,ij,ij->j", weight, likely, (level[:, None] - mean) ** 2) / mass
        # A decibel at the least: a steady tone must not become an infinitely narrow peak.
        spread = np.sqrt(np.maximum(variance, 1.0))
        log_density = np.log(mass / spread) - 0.5 * ((level[:, None] - mean) / spread) ** 2
        likely = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
    between = (level > mean[0]) & (level < mean[1])
    if not between.any():
        return float(mean.mean())
    return float(level[between][np.argmin(np.abs(likely[between, 0] - 0.5))])


def below_active_level(level: Values, weight: Values) -> float:
    """Return the level that lies 15.9 dB below the RMS of the frames above it.

    The margin, and the idea of an active level found together with its threshold, are those of
    ITU-T P.56 (2011), method B, with frame levels in place of its envelope.
    """
    power = weight * 10 ** (level / 10)
    share_above, power_above = (np.cumsum(x[::-1])[::-1] for x in (weight, power))
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = 10 * np.log10(power_above / share_above) - level
    return float(level[np.argmax((share_above > 0) & (margin <= SPEECH_MARGIN_DB))])


def _noise_and_signal(
    level: Values, weight: Values, threshold: float
) -> tuple[float, float, float]:
    """Return the median of the noise, about its highest level, and the RMS of the signal, in dB.

    Decays of the signal reach into the upper half of what is below the threshold, so the noise is
    taken to go as far above its median as 95 % of it goes below, within reason.
    """
    below, above = weight * (level <= threshold), weight * (level > threshold)
    if not below.sum() or not above.sum():
        middle = float(level[np.searchsorted(np.cumsum(weight), 0.5)])
        return middle, middle, middle
    share = np.cumsum(below) / below.sum()
    lowest, floor = (float(level[np.searchsorted(share, part)]) for part in (0.05, 0.5))
    active = float(10 * np.log10(above @ 10 ** (level / 10) / above.sum()))
    spread = min(max(floor - lowest, LEAST_SPREAD_DB), MOST_SPREAD_DB)
    return floor, floor + spread, active

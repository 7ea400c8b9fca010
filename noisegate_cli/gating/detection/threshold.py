"""A threshold found in how often each level occurs.

Three estimates check each other: two that look for the gap between two kinds of frames, and one
that comes down from the level of the signal. Each goes wrong on recordings where the others don't
(little speech, little pause, a noise that drifts), so from levels alone the middle one is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from noisegate_cli.gating.detection.threshold_estimators import ESTIMATORS, HistogramValues
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.gating.parsing import AUTO, above_floor_db
from noisegate_cli.samples import from_db

MIN_CONTRAST_DB = 6.0
"""Nearer than this, the levels of noise and signal overlap and no threshold parts them."""

PUMPING_DB = 12.0
"""Nearer than this, a gate is heard pumping."""

MAX_PLAUSIBLE_LEVEL_DBFS = 10.0
"""Recordings in floats may go beyond full scale, but not that far all the time."""

MIN_NOISE_SPREAD_DB, MAX_NOISE_SPREAD_DB = 1.0, 3.0
"""How far noise goes above its median: a steady one a little, and one that goes far is not
followed, as that would cost speech."""

MIN_HISTOGRAM_FRAMES = 20
"""Fewer frames say nothing about a distribution with two peaks."""


NOTHING_SOUNDS = "There is nothing but digital silence: nothing to gate."

UNCLEAR_MARGIN_DB = 3.0
"""Frames this near a threshold could as well lie on its other side."""


@dataclass(frozen=True, slots=True)
class ThresholdSuggestion:
    """A threshold and why, or why there is none."""

    threshold: float | None
    """Linear RMS, full scale 1.0; None when nothing can be suggested."""
    noise_floor_db: float
    """Level of the noise, dBFS: the median of its frames; minus infinity when the recording is
    silent."""
    active_db: float
    """Level of the signal, dBFS: the RMS of its frames; minus infinity when there is none."""
    reason: str
    """One or two sentences for the user."""
    method: str = AUTO
    """How it was found, see `METHODS`."""
    estimates_db: Mapping[str, float] = field(default_factory=dict)
    """What each method says, dBFS."""
    confidence: float = 0.0
    """Share of the frames that lie clearly on one side, 0 to 1."""
    agreement: float | None = None
    """Share of the frames that the threshold decides as the automatic detector does, 0 to 1."""

    @property
    def or_open(self) -> float:
        """The threshold, or one that keeps the gate open where there is none."""
        return -1.0 if self.threshold is None else self.threshold

    @property
    def contrast_db(self) -> float:
        """How far the signal stands above the noise, dB."""
        return self.active_db - self.noise_floor_db if self.active_db > -np.inf else 0.0


def suggest_threshold(
    histogram: LevelHistogram, hysteresis_db: float = 0.0, method: str = AUTO
) -> ThresholdSuggestion:
    """Suggest a threshold from levels alone.

    It lies so far above the noise that a gate with that hysteresis closes again. Digital silence
    is not a level and takes no part.

    Parameters
    ----------
    method
        One of `ESTIMATORS`; "auto" for the middle one of what they say; or "floor+6dB" for a
        distance from the noise floor, which is given whatever the levels are.

    Raises
    ------
    SettingsError
        When there is no such method.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> histogram = LevelHistogram()
    >>> histogram.add(from_db(np.append(rng.normal(-60, 2, 500), rng.normal(-25, 5, 500))))
    >>> suggestion = suggest_threshold(histogram)
    >>> bool(-55 < 20 * np.log10(suggestion.threshold) < -38), round(suggestion.noise_floor_db)
    (True, -60)
    """
    above_floor = above_floor_db(method)
    if not histogram.nonsilent_frames:
        return ThresholdSuggestion(None, -np.inf, -np.inf, NOTHING_SOUNDS, method)
    estimates = estimates_db(histogram)
    middle = float(median(np.array(list(estimates.values()))))
    level, weight = _nonempty_bins(histogram)
    floor, highest_noise, active = _noise_and_signal(level, weight, middle)
    if above_floor is not None:
        threshold = floor + above_floor
        why = f"It lies {above_floor:g} dB above a noise floor of {floor:.0f} dBFS."
    elif histogram.nonsilent_frames < MIN_HISTOGRAM_FRAMES:
        threshold, why = np.inf, "The recording is too short to tell noise from signal."
    elif active > MAX_PLAUSIBLE_LEVEL_DBFS:
        threshold = np.inf
        why = too_loud_reason(active)
    elif active - floor < MIN_CONTRAST_DB:
        floor, active = histogram.percentile(5), histogram.percentile(95)
        threshold = np.inf
        why = f"Nearly all levels lie within {active - floor:.0f} dB: a gate would only pump."
    else:
        found = estimates.get(method, middle)
        threshold = max(found, highest_noise + hysteresis_db)
        why = f"It parts noise of about {floor:.0f} dBFS from signal of about {active:.0f} dBFS"
        why += ", raised so that the gate closes again." if threshold > found else "."
        why += pumping_hint(active - floor)
    if threshold == np.inf:
        return ThresholdSuggestion(None, floor, active, why, method, estimates)
    near = np.abs(level - threshold) < UNCLEAR_MARGIN_DB
    return ThresholdSuggestion(
        threshold=min(1.0, float(from_db(threshold))),
        noise_floor_db=floor,
        active_db=active,
        reason=why,
        method=method,
        estimates_db=estimates,
        confidence=float(weight[~near].sum()),
    )


def too_loud_reason(level_db: float) -> str:
    """Return what to say of levels that no threshold up to full scale can part."""
    return f"Levels of {level_db:.0f} dBFS are far above full scale, 1.0: scale the samples first."


def pumping_hint(contrast_db: float) -> str:
    """Return what to say of a contrast at which a gate is heard pumping."""
    if contrast_db >= PUMPING_DB:
        return ""
    return f" They are only {contrast_db:.0f} dB apart: if it pumps, try --range -8dB."


def estimates_db(histogram: LevelHistogram) -> dict[str, float]:
    """Return what each of the `ESTIMATORS` says, dBFS; nothing where there is only silence."""
    if not histogram.nonsilent_frames:
        return {}
    return {name: estimate(*_nonempty_bins(histogram)) for name, estimate in ESTIMATORS.items()}


def _nonempty_bins(histogram: LevelHistogram) -> tuple[HistogramValues, HistogramValues]:
    """Return the levels that occur, dBFS, and their shares."""
    occurs = histogram.counts > 0
    return histogram.centres_db[occurs], histogram.counts[occurs] / histogram.nonsilent_frames


def _noise_and_signal(
    level: HistogramValues, weight: HistogramValues, threshold: float
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
    spread = min(max(floor - lowest, MIN_NOISE_SPREAD_DB), MAX_NOISE_SPREAD_DB)
    return floor, floor + spread, active

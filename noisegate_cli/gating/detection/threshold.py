"""Suggestion of a threshold from the histogram of frame levels.

Three estimators are combined: two of them look for the gap between noise frames and signal frames,
and the third one starts from the level of the signal. Each fails on recordings where the others
work (little speech, few pauses, drifting noise), so the median of the three estimates is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from noisegate_cli.gating.detection.threshold_estimators import ESTIMATORS, HistogramValues
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.gating.parsing import AUTO, above_floor_db
from noisegate_cli.samples import from_db
from noisegate_cli.text import format_level, format_repr

MIN_CONTRAST_DB = 6.0
"""Below this contrast the levels of noise and signal overlap, and no threshold separates them."""

MAX_PLAUSIBLE_LEVEL_DBFS = 10.0
"""Floating-point recordings may exceed full scale, but their frame levels do not reach this."""

MIN_NOISE_SPREAD_DB, MAX_NOISE_SPREAD_DB = 1.0, 3.0
"""Limits of the spread of noise above its median. Steady noise has a small spread; a larger spread
is clipped, because a higher threshold would mute speech."""

MIN_HISTOGRAM_FRAMES = 20
"""With fewer frames a bimodal distribution cannot be recognized."""

UNCLEAR_MARGIN_DB = 3.0
"""Frames closer to the threshold than this are not clearly signal or noise."""


@dataclass(frozen=True, slots=True, repr=False)
class ThresholdSuggestion:
    """A suggested threshold, or the reason why there is none, as a verdict and its numbers.

    Attributes
    ----------
    threshold : float or None
        Linear RMS, full scale 1.0; None if no threshold can be suggested.
    noise_floor_db : float
        Level of the noise in dBFS, the median of its frames; −∞ if the recording is silent.
    active_db : float
        Level of the signal in dBFS, the RMS of its frames; −∞ if there is no signal.
    verdict : Verdict
        Reason for the threshold, or for the lack of one.
    method : str
        Method by which the threshold was found, see `suggest_threshold`.
    distance_db : float
        Distance in dB that the verdict depends on: of the signal from the noise; of the threshold
        from the noise floor for `ABOVE_FLOOR`; of the levels from full scale for `TOO_LOUD`.
    estimates_db : mapping from str to float
        Estimate of each method, in dBFS.
    confidence : float
        Share of the frames that are clearly above or below the threshold, 0 to 1.
    agreement : float or None
        Share of the frames for which threshold and automatic detector agree, 0 to 1.
    """

    threshold: float | None
    noise_floor_db: float
    active_db: float
    verdict: Verdict
    method: str = AUTO
    distance_db: float = 0.0
    estimates_db: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    agreement: float | None = None

    def __repr__(self) -> str:
        return format_repr(
            self,
            *("threshold", "verdict", "noise_floor_db", "active_db", "method", "confidence"),
        )

    def __str__(self) -> str:
        level = "no threshold" if self.threshold is None else format_level(self.threshold)
        return (
            f"{level}: {self.verdict}, noise {self.noise_floor_db:.0f} dBFS, "
            f"signal {self.active_db:.0f} dBFS"
        )

    def or_unchanged(self, ducks: bool) -> float:
        """Return the threshold, or one at which the recording is unchanged if there is none.

        −1.0 keeps a gate open. ∞ is above every level, at which ducking attenuates nothing.
        """
        if self.threshold is not None:
            return self.threshold
        return np.inf if ducks else -1.0

    def above(self, measured: "ThresholdSuggestion") -> "ThresholdSuggestion":
        """Return the suggestion at the same distance above the noise floor of another one."""
        if self.threshold is None or not np.isfinite(measured.noise_floor_db):
            return self
        threshold = float(from_db(measured.noise_floor_db + self.distance_db))
        return replace(
            self,
            threshold=min(1.0, threshold),
            noise_floor_db=measured.noise_floor_db,
            active_db=measured.active_db,
            confidence=measured.confidence,
        )

    @property
    def contrast_db(self) -> float:
        """Level of the signal above the noise, in dB."""
        return self.active_db - self.noise_floor_db if self.active_db > -np.inf else 0.0


def suggest_threshold(
    histogram: LevelHistogram, hysteresis_db: float = 0.0, method: str = AUTO
) -> ThresholdSuggestion:
    """Suggest a threshold from levels alone.

    The threshold is far enough above the noise for a gate with the given hysteresis to close again.
    Digital silence is ignored.

    Parameters
    ----------
    histogram : LevelHistogram
        Histogram of the frame levels.
    hysteresis_db : float, default 0.0
        Distance between the opening and the closing threshold, in dB.
    method : str, default "auto"
        "auto:otsu", "auto:gmm" or "auto:p56"; "auto" for the median of their estimates; or, for
        example, "floor+6dB" for a fixed distance above the noise floor, which is suggested for any
        levels.

    Returns
    -------
    ThresholdSuggestion
        The threshold, or the reason why there is none.

    Raises
    ------
    SettingsError
        If the method is unknown.

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
        return ThresholdSuggestion(None, -np.inf, -np.inf, Verdict.SILENT, method)
    estimates = estimates_db(histogram)
    median_estimate = float(median(np.array(list(estimates.values()))))
    level, weight = _nonempty_bins(histogram)
    floor, highest_noise, active = _noise_and_signal(level, weight, median_estimate)
    threshold, distance = np.inf, active - floor
    if above_floor is not None:
        threshold, verdict, distance = floor + above_floor, Verdict.ABOVE_FLOOR, above_floor
    elif histogram.nonsilent_frames < MIN_HISTOGRAM_FRAMES:
        verdict = Verdict.TOO_SHORT
    elif active > MAX_PLAUSIBLE_LEVEL_DBFS:
        verdict, distance = Verdict.TOO_LOUD, active
    elif active - floor < MIN_CONTRAST_DB:
        floor, active = histogram.percentile(5), histogram.percentile(95)
        verdict, distance = Verdict.NARROW, active - floor
    else:
        estimate = estimates.get(method, median_estimate)
        threshold = max(estimate, highest_noise + hysteresis_db)
        verdict = Verdict.RAISED if threshold > estimate else Verdict.SEPARATED
    is_unclear = np.abs(level - threshold) < UNCLEAR_MARGIN_DB
    return ThresholdSuggestion(
        threshold=min(1.0, float(from_db(threshold))) if threshold < np.inf else None,
        noise_floor_db=floor,
        active_db=active,
        verdict=verdict,
        method=method,
        distance_db=distance,
        estimates_db=estimates,
        confidence=float(weight[~is_unclear].sum()) if threshold < np.inf else 0.0,
    )


def estimates_db(histogram: LevelHistogram) -> dict[str, float]:
    """Return the estimate of each of the `ESTIMATORS` in dBFS; empty if there is only silence."""
    if not histogram.nonsilent_frames:
        return {}
    return {name: estimate(*_nonempty_bins(histogram)) for name, estimate in ESTIMATORS.items()}


def _nonempty_bins(histogram: LevelHistogram) -> tuple[HistogramValues, HistogramValues]:
    """Return the levels of the nonempty bins in dBFS, and their shares of the frames."""
    is_nonempty = histogram.counts > 0
    shares = histogram.counts[is_nonempty] / histogram.nonsilent_frames
    return histogram.centers_db[is_nonempty], shares


def _noise_and_signal(
    level: HistogramValues, weight: HistogramValues, threshold: float
) -> tuple[float, float, float]:
    """Return the median of the noise, its approximate maximum and the RMS of the signal, in dB.

    Decays of the signal contaminate the upper half of the levels below the threshold. Therefore the
    spread above the median is taken from the lower half, as the distance between the median and the
    5% quantile, and clipped to `MIN_NOISE_SPREAD_DB` and `MAX_NOISE_SPREAD_DB`.
    """
    below, above = weight * (level <= threshold), weight * (level > threshold)
    if not below.sum() or not above.sum():
        median_level = float(level[np.searchsorted(np.cumsum(weight), 0.5)])
        return median_level, median_level, median_level
    cumulated = np.cumsum(below) / below.sum()
    lowest, floor = (float(level[np.searchsorted(cumulated, share)]) for share in (0.05, 0.5))
    active = float(10 * np.log10(above @ 10 ** (level / 10) / above.sum()))
    spread = min(max(floor - lowest, MIN_NOISE_SPREAD_DB), MAX_NOISE_SPREAD_DB)
    return floor, floor + spread, active

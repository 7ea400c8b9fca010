"""Find the lag and the clock drift between two recordings of the same event.

Two microphones in one room record the same sounds, each at another level and with another delay.
The two recorders started at different times, and their clocks run at slightly different rates, so
the lag between the recordings changes linearly with time.

Short windows of one recording are correlated with the surroundings of the same time in the other
one. The cross-spectrum is divided by its magnitude (PHAT, Knapp and Carter, The generalized
correlation method for estimation of time delay, 1976), so that each frequency has the same weight
and a common sound gives a sharp peak, even if it is faint in one of the recordings or reverberates.
Unrelated recordings give peaks at random lags; the peaks of related ones lie on a line. A periodic
sound, such as a tone, a hum or a drum loop, gives many lines that are equally good. It determines
no lag, so the peak must be unique.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.alignment_probe import (
    MARGIN_WINDOWS,
    PROBE_RATE_HZ,
    WINDOW_S,
    AlignmentProbe,
)

MIN_PROBE_HZ, MAX_PROBE_HZ = 100.0, 1500.0
"""Frequencies that are correlated; they contain most of the energy of voices."""

MAX_DRIFT_PPM = 1200.0
"""Largest drift that is searched. Clocks of cheap recorders differ by up to 100 ppm. A drift above
500 ppm blurs the peaks, so that not every sound determines it."""

MIN_DRIFT_SPAN_S = 20.0
"""The drift is estimated if the correlated windows extend over at least this time."""

MIN_PEAK_RATIO, MIN_SINGLE_PEAK_RATIO = 7.0, 10.0
"""Minimum ratio of a peak to the RMS of the correlation, with several windows and with one."""

MAX_PEAKS = 3
"""Peaks of each window: sounds from two sources have different lags."""

LINE_TOLERANCE_S, PEAK_DISTANCE_S = 0.001, 0.002
"""Largest distance of a peak from the line, and minimum distance between peaks of a window."""

WHITENING_HZ, LEVELLING_S, LEVELLING_FLOOR = 4.0, 0.02, 0.1
"""Half the widths of the surroundings to which spectrum and level are normalized, and the level,
relative to the RMS of the window, below which samples count less."""

WHITENING_DEPTH_DB = 80.0
"""Depth of the floor of the spectrum below its maximum: leakage of a tone must not count."""

TAPER_S = 0.25
"""Length of the fades at both ends of the windows, and of the recordings. Without them their ends
correlate."""

SURROUNDINGS_S = 0.25
"""Half the width of the surroundings to which a peak is compared."""

MAX_RIVAL_RATIO, MAX_SINGLE_RIVAL_RATIO = 0.65, 0.5
"""Largest ratio of a peak outside the surroundings to the highest one, over all windows of the
line, and the same if the line has one window. Peaks within the surroundings are other sources or
reflections."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Relation between the clocks of two recordings.

    Attributes
    ----------
    start_s : float
        Time at which the other recording starts, in seconds of this one.
    drift_ppm : float
        How much faster the clock of the other recording runs, in parts per million.
    """

    start_s: float = 0.0
    drift_ppm: float = 0.0

    def to_other(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert times of this recording to times of the other one."""
        return (seconds - self.start_s) * (1 + self.drift_ppm * 1e-6)


@dataclass(frozen=True, slots=True)
class _Correlation:
    """Correlation of one window."""

    seconds: float
    """Middle of the window."""
    first_lag_s: float
    """Lag of the first height."""
    heights: NDArray[np.float32]
    """Magnitudes, relative to their RMS, at ascending lags; the last half are negative lags."""

    def place(self, lag_s: float) -> int:
        """Return the index of a lag."""
        return round((lag_s - self.first_lag_s) * PROBE_RATE_HZ) % len(self.heights)

    def find_peaks(self) -> list[tuple[float, float]]:
        """Return lag and height of the highest peaks."""
        heights, peaks = self.heights.copy(), []
        distance = round(PEAK_DISTANCE_S * PROBE_RATE_HZ)
        for _ in range(MAX_PEAKS):
            place = int(np.argmax(heights))
            if heights[place] < MIN_PEAK_RATIO:
                break
            lag = place if place < len(heights) / 2 else place - len(heights)
            peaks.append((lag / PROBE_RATE_HZ + self.first_lag_s, float(heights[place])))
            heights[_around(place, distance, len(heights))] = 0
        return peaks


@dataclass(frozen=True, slots=True)
class _Peaks:
    """Peaks of the correlations; all arrays have one value for each peak."""

    window: NDArray[np.int64]
    seconds: NDArray[np.float64]
    """Middle of the window."""
    lag_s: NDArray[np.float64]
    ratio: NDArray[np.float64]
    """Height, relative to the RMS of the correlation."""


def find_alignment(probe: AlignmentProbe, other: AlignmentProbe) -> Alignment | None:
    """Return the alignment of the other recording; None if no common sound determines it.

    Parameters
    ----------
    probe
        Probe of this recording.
    other
        Probe of the other recording, with `MARGIN_WINDOWS`.
    """
    correlations = _correlate_windows(probe, other)
    peaks = _find_peaks(correlations)
    fit = _fit_line(peaks)
    if fit is None or not _is_unique(correlations, *fit):
        return None
    lag_s, slope = fit
    return Alignment(start_s=-lag_s / (1 + slope), drift_ppm=slope * 1e6)


def _correlate_windows(probe: AlignmentProbe, other: AlignmentProbe) -> list[_Correlation]:
    correlations = []
    for index in range(0, probe.count, max(probe.stride, other.stride)):
        power = np.square(_correlate(probe, other, index), dtype=np.float64)
        if not power.any():
            continue
        scale = _mean_around(power, round(SURROUNDINGS_S * PROBE_RATE_HZ)) + power.mean()
        start_s = probe.start_s(index)
        correlations.append(
            _Correlation(
                start_s + WINDOW_S / 2,
                other.start_s(index) - start_s,
                np.sqrt(2 * power / scale).astype(np.float32),
            )
        )
    return correlations


def _find_peaks(correlations: Sequence[_Correlation]) -> _Peaks:
    rows = [
        (window, correlation.seconds, lag_s, height)
        for window, correlation in enumerate(correlations)
        for lag_s, height in correlation.find_peaks()
    ]
    columns: Sequence[Any] = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return _Peaks(np.array(columns[0], np.int64), *map(np.array, columns[1:]))


def _is_unique(correlations: Sequence[_Correlation], lag_s: float, slope: float) -> bool:
    """Return whether no other line is nearly as good."""
    tolerance, distance = (round(s * PROBE_RATE_HZ) for s in (LINE_TOLERANCE_S, SURROUNDINGS_S))
    peak, windows, total = 0.0, 0, np.zeros(len(correlations[0].heights))
    for correlation in correlations:
        heights, place = correlation.heights, correlation.place(lag_s + slope * correlation.seconds)
        height = heights[_around(place, tolerance, len(heights))].max()
        if height >= MIN_PEAK_RATIO:
            peak, windows = peak + height, windows + 1
            total += np.roll(heights, -place)
    limit = MAX_SINGLE_RIVAL_RATIO if windows == 1 else MAX_RIVAL_RATIO
    return bool(total[distance:-distance].max() <= limit * peak)


def _around(place: int, distance: int, length: int) -> NDArray[np.int64]:
    """Return the indices at most `distance` from a place in a circular array."""
    return np.arange(place - distance, place + distance + 1) % length


def _correlate(
    probe: AlignmentProbe, other: AlignmentProbe, index: int
) -> NDArray[np.floating[Any]]:
    """Return the whitened cross-correlation of a window at all lags, at `PROBE_RATE_HZ`."""
    windows = 2 * MARGIN_WINDOWS + 1
    duration_s = windows * WINDOW_S
    highest_hz = min(MAX_PROBE_HZ, probe.rate / 2, other.rate / 2)
    low, high = round(MIN_PROBE_HZ * duration_s), round(highest_hz * duration_s)
    padding = MARGIN_WINDOWS * probe.length
    window = _fade(_level(probe.span(index)), TAPER_S * probe.rate)
    surroundings = _fade(_level(other.span(index, MARGIN_WINDOWS)), TAPER_S * other.rate)
    x = _whitened_spectrum(np.pad(window, padding), low, high)
    y = _whitened_spectrum(surroundings, low, high)
    cross = y * x.conj()
    length = round(PROBE_RATE_HZ * duration_s)
    spectrum = np.zeros(length // 2 + 1, np.complex64)
    spectrum[low : low + len(cross)] = cross
    return np.fft.irfft(spectrum, n=length, norm="forward")


def _fade(samples: NDArray[np.float32], length: float) -> NDArray[np.float32]:
    """Fade the samples in and out where they are not silent."""
    length = max(1, round(length))
    (sounding,) = np.nonzero(samples)
    if not len(sounding):
        return samples
    place = np.arange(len(samples))
    distance = np.clip(np.minimum(place - sounding[0], sounding[-1] - place), 0, length)
    return np.asarray(samples * np.sin(np.pi / 2 * distance / length) ** 2, np.float32)


def _level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide the samples by their level in the surroundings.

    Otherwise one loud vowel would determine the whole correlation.
    """
    mean = _mean_around(np.square(samples, dtype=np.float64), round(LEVELLING_S * PROBE_RATE_HZ))
    floor = LEVELLING_FLOOR**2 * mean.mean() + np.finfo(np.float32).tiny
    return np.asarray(samples / np.sqrt(mean + floor), np.float32)


def _whitened_spectrum(samples: NDArray[np.float32], low: int, high: int) -> NDArray[np.complex64]:
    """Return the bins `low` to `high`, divided by the magnitude of their surroundings."""
    spectrum = np.fft.rfft(samples, norm="forward")
    power = np.abs(spectrum).astype(np.float64) ** 2
    mean = _mean_around(power[low:high], round(WHITENING_HZ * (2 * MARGIN_WINDOWS + 1) * WINDOW_S))
    floor = power.max() * 10 ** (-WHITENING_DEPTH_DB / 10) + np.finfo(np.float32).tiny
    return np.asarray(spectrum[low:high] / np.sqrt(mean + floor), np.complex64)


def _mean_around(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the mean of the values at most `width` places away; values outside are zero."""
    sums = np.cumsum(np.pad(values, (width + 1, width)))
    return np.asarray((sums[2 * width + 1 :] - sums[: -2 * width - 1]) / (2 * width + 1))


def _fit_line(peaks: _Peaks) -> tuple[float, float] | None:
    """Return lag at time 0 and slope of the line through most peaks; None if there is none."""
    best, best_score = None, 0.0
    for lag_s, slope in _candidate_lines(peaks):
        is_near = np.abs(peaks.lag_s - lag_s - slope * peaks.seconds) <= LINE_TOLERANCE_S
        heights = np.zeros(int(peaks.window.max()) + 1)
        np.maximum.at(heights, peaks.window[is_near], peaks.ratio[is_near])
        if heights.sum() > best_score:
            best, best_score = is_near, float(heights.sum())
    if best is None:
        return None
    if len(set(peaks.window[best])) < 2 and peaks.ratio[best].max() < MIN_SINGLE_PEAK_RATIO:
        return None
    seconds, lags, weights = peaks.seconds[best], peaks.lag_s[best], peaks.ratio[best]
    middle = np.average(seconds, weights=weights)
    slope = 0.0
    if np.ptp(seconds) >= MIN_DRIFT_SPAN_S:
        deviation = (seconds - middle) * weights
        slope = float(deviation @ lags / (deviation @ (seconds - middle)))
    return float(np.average(lags, weights=weights) - slope * middle), slope


def _candidate_lines(peaks: _Peaks) -> list[tuple[float, float]]:
    """Return lag at time 0 and slope of the lines through one peak, or through two."""
    lines = [(lag, 0.0) for lag in peaks.lag_s]
    for i in range(len(peaks.lag_s)):
        for j in range(i):
            span = peaks.seconds[i] - peaks.seconds[j]
            if span < MIN_DRIFT_SPAN_S:
                continue
            slope = (peaks.lag_s[i] - peaks.lag_s[j]) / span
            if abs(slope) <= MAX_DRIFT_PPM * 1e-6:
                lines.append((peaks.lag_s[i] - slope * peaks.seconds[i], slope))
    return lines

"""Find the moments that a person should hear, and the stretches of sound that contain them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

MomentKind = Literal["sound", "pause", "decay", "attack", "loudest"]
Stretch = tuple[float, float]
"""Start and end in seconds."""

UNSURE_MOMENTS = 5

NEIGHBORHOOD_S = 0.3
"""A moment is an extremum of the detector within this time on either side. Values on the way from
noise to signal pass the threshold too, but they are no extrema."""

PAUSE_REACH_S = 1.0
"""A pause has signal within this time on both sides."""

MIN_DISTANCE_S = 2.0
"""Least distance of two unsure moments, so that each is heard on its own."""

STRETCH_S = 12.0
"""Length of the sound around a moment of a long recording."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a recording that a person should hear."""

    time: float
    """In seconds."""
    kind: MomentKind
    """A `sound` that nearly or barely opens the gate, a `pause` that nearly or barely closes it, a
    `decay` or an `attack` that the gate cuts off, or the `loudest` moment."""
    value: float
    """Distance above the threshold of a sound or a pause, in the unit of the detector; level of a
    decay or an attack above the pause in dB; loudest level in dBFS."""


def find_unsure_moments(
    values: NDArray[np.float64],
    open_above: float,
    close_below: float,
    hop_s: float,
    min_open_frames: int = 1,
    min_closed_frames: int = 1,
) -> tuple[Moment, ...]:
    """Return the sounds and the pauses that are nearest to the thresholds, sorted by time.

    A sound opens the gate if all values within the minimum duration are above the threshold, so
    their minimum counts, and of a pause the maximum.

    Parameters
    ----------
    values
        Detector values of each frame, shaped (frames,). Infinite values are certain.
    open_above, close_below
        Values above which the gate opens, and at or below which it closes.
    hop_s
        Time from frame to frame in seconds.
    min_open_frames, min_closed_frames
        Shorter sounds don't open the gate, and shorter pauses don't close it.

    Examples
    --------
    >>> values = np.zeros(300)
    >>> values[[50, 150, 250]] = 5, 0.9, 1.2
    >>> moments = find_unsure_moments(values, 1.0, 0.8, hop_s=0.1)
    >>> [(round(m.time, 1), round(m.value, 1)) for m in moments if abs(m.value) < 0.5]
    [(15.0, -0.1), (25.0, 0.2)]
    """
    reach = max(1, round(NEIGHBORHOOD_S / hop_s))
    opening = -_slide_maximum(-values, min_open_frames)
    closing = _slide_maximum(values, min_closed_frames)
    sounds = np.flatnonzero(_is_peak(opening, reach))
    is_pause = _is_peak(-closing, reach) & _has_signal_around(values > open_above, hop_s)
    pauses = np.flatnonzero(is_pause)
    moments = [
        *(Moment(float(k * hop_s), "sound", float(opening[k] - open_above)) for k in sounds),
        *(Moment(float(k * hop_s), "pause", float(closing[k] - close_below)) for k in pauses),
    ]
    distance = min(MIN_DISTANCE_S, len(values) * hop_s / (2 * UNSURE_MOMENTS))
    chosen: list[Moment] = []
    for moment in sorted(moments, key=lambda moment: abs(moment.value)):
        if all(abs(moment.time - other.time) >= distance for other in chosen):
            chosen.append(moment)
        if len(chosen) == UNSURE_MOMENTS:
            break
    return tuple(sorted(chosen, key=lambda moment: moment.time))


def _is_peak(values: NDArray[np.float64], reach: int) -> NDArray[np.bool_]:
    """Return whether each value is finite and the highest within `reach` frames on either side."""
    width = 2 * reach + 1
    highest, lowest = _slide_maximum(values, width), -_slide_maximum(-values, width)
    return np.asarray(np.isfinite(values) & (values == highest) & (highest > lowest))


def _slide_maximum(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the maximum of `width` frames around each frame; fewer at either end."""
    width = max(1, width)
    padded = np.pad(values, (width // 2, (width - 1) // 2), constant_values=-np.inf)
    return np.asarray(sliding_window_view(padded, width).max(axis=1))


def _has_signal_around(is_signal: NDArray[np.bool_], hop_s: float) -> NDArray[np.bool_]:
    """Return whether there is signal within `PAUSE_REACH_S` both before and after each frame."""
    frames = max(1, round(PAUSE_REACH_S / hop_s))
    counts = np.concatenate([np.zeros(frames), np.cumsum(is_signal)])
    counts = np.append(counts, np.full(frames, counts[-1]))
    before = counts[frames:-frames] - counts[: -2 * frames]
    after = counts[2 * frames :] - counts[frames:-frames]
    return np.asarray((before > 0) & (after > 0))


def choose_stretches(
    moments: tuple[Moment, ...], duration_s: float, max_whole_s: float
) -> tuple[Stretch, ...]:
    """Return the stretches of sound that the page contains: all of it, or those around moments.

    Examples
    --------
    >>> moments = (Moment(100.0, "sound", 0.0), Moment(105.0, "pause", 0.0))
    >>> choose_stretches(moments, 60.0, max_whole_s=600.0)
    ((0.0, 60.0),)
    >>> choose_stretches(moments, 3600.0, max_whole_s=600.0)
    ((94.0, 111.0),)
    """
    if duration_s <= max_whole_s:
        return ((0.0, duration_s),)
    stretches: list[Stretch] = []
    for time in sorted(moment.time for moment in moments):
        start = min(max(0.0, time - STRETCH_S / 2), duration_s - STRETCH_S)
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], start + STRETCH_S)
        else:
            stretches.append((start, start + STRETCH_S))
    return tuple(stretches)

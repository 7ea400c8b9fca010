"""Find the moments that a person should hear, and the stretches of sound that contain them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

MomentKind = Literal["sound", "pause", "decay", "attack", "loudest"]
Stretch = tuple[float, float]
"""Start and end in seconds."""

UNSURE_MOMENTS = 5

MAX_UNSURE_SCORE, MAX_UNSURE_DB = 3.0, 10.0
"""Values that are further from the threshold are certain. A score of 3 means odds of 20 to 1."""

NEIGHBORHOOD_S = 0.3
"""A moment is an extremum of the detector within this time on either side. Values on the way from
noise to signal pass the threshold too, but they are not extrema."""

PAUSE_REACH_S = 1.0
"""A pause has signal within this time on both sides."""

MIN_DISTANCE_S = 2.0
"""Least distance of two unsure moments, so that each is heard on its own."""

MAX_RANKED_LENGTH_S = 3.0
"""Limit of the length that is measured on either side of a sound or pause that does not change the
gate. Longer ones are equally important."""

CHUNK_FRAMES = 1 << 14
"""Frames that are searched at once."""

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
    """Distance from the threshold in the unit of the detector, negative if a sound does not open
    the gate or a pause closes it; level of a decay or an attack above the pause in dB; loudest
    level in dBFS."""


def find_unsure_moments(
    values: NDArray[np.float64],
    mask: NDArray[np.bool_],
    open_above: float,
    close_below: float,
    hop_s: float,
    min_open_frames: int = 1,
    min_closed_frames: int = 1,
    max_distance: float = math.inf,
) -> tuple[Moment, ...]:
    """Return the sounds and the pauses whose decision is least certain, sorted by time.

    A sound opens the gate if all values within the minimum duration are high enough, so their
    minimum counts; of a pause, their maximum counts. Hysteresis applies: where the gate is open, a
    value is compared with `close_below`, and where it is closed, with `open_above`. Of the sounds
    in an open stretch only the strongest one decides, and of the pauses in a closed stretch the
    deepest one. Distances are ranked in steps of the hysteresis; within a step, longer stretches
    come first.

    Parameters
    ----------
    values
        Detector values of each frame, shaped (frames,). Infinite values are certain.
    mask
        Whether the gate is open in each frame, shaped (frames,).
    open_above, close_below
        Values above which the gate opens, and at or below which it closes.
    hop_s
        Time from frame to frame in seconds.
    min_open_frames, min_closed_frames
        Shorter sounds don't open the gate, and shorter pauses don't close it.
    max_distance
        A value that is further from the threshold is certain.

    Examples
    --------
    >>> values = np.zeros(300)
    >>> values[[50, 150, 250]] = 5, 0.9, 1.2
    >>> moments = find_unsure_moments(values, values > 1, 1.0, 0.8, hop_s=0.1, max_distance=0.5)
    >>> [(round(m.time, 1), round(m.value, 1)) for m in moments]
    [(15.0, -0.1), (25.0, 0.4)]
    """
    sounds = _find_decisions(values, mask, open_above, close_below, hop_s, min_open_frames)
    # A pause is a sound in the negated values.
    pauses = _find_decisions(
        values, ~mask, -close_below, -open_above, hop_s, min_closed_frames, sign=-1
    )
    candidates = [
        *((Moment(k * hop_s, "sound", value), length) for k, value, length in sounds),
        *(
            (Moment(k * hop_s, "pause", -value), length)
            for k, value, length in pauses
            if _has_signal_around(values, k, open_above, hop_s)
        ),
    ]
    near = [(moment, length) for moment, length in candidates if abs(moment.value) < max_distance]
    return _choose_moments(near, open_above - close_below, len(values) * hop_s)


def _find_decisions(
    values: NDArray[np.float64],
    mask: NDArray[np.bool_],
    open_above: float,
    close_below: float,
    hop_s: float,
    min_frames: int,
    sign: int = 1,
) -> Iterator[tuple[int, float, int]]:
    """Yield the sounds that open the gate or almost open it; the values are multiplied by `sign`.

    Each has its frame, its distance from the threshold, and the length of its stretch in frames.
    """
    starts = np.concatenate([[0], np.flatnonzero(mask[1:] != mask[:-1]) + 1])
    lengths = np.diff(np.append(starts, len(mask)))
    strongest = np.full(len(starts), -np.inf)
    reach = max(1, round(NEIGHBORHOOD_S / hop_s))
    hysteresis = open_above - close_below
    peaks: list[tuple[int, float]] = []
    # All frames at once would need many times the memory of the values.
    for first in range(0, len(values), CHUNK_FRAMES):
        end = min(len(values), first + CHUNK_FRAMES)
        before = min(first, reach + min_frames)
        window = sign * values[first - before : end + reach + min_frames]
        lowest = -_slide_maximum(-window, min_frames)
        inside = slice(before, before + end - first)
        is_peak = _is_peak(lowest, reach)[inside]
        lowest, is_open = lowest[inside], mask[first:end]
        runs = slice(*(np.searchsorted(starts, [first, end - 1], side="right") - [1, 0]))
        highest = np.maximum.reduceat(lowest, np.maximum(starts[runs] - first, 0))
        strongest[runs] = np.maximum(strongest[runs], highest)
        is_near = np.where(is_open, lowest > close_below, lowest <= open_above)
        found = np.flatnonzero(is_peak & is_near)
        peaks.extend(zip((first + found).tolist(), lowest[found].tolist(), strict=True))
    for k, value in peaks:
        run = int(np.searchsorted(starts, k, side="right")) - 1
        # Sounds that are too short open the gate together, and none of them decides.
        if mask[k] and value < strongest[run]:
            continue
        if mask[k]:
            length = int(lengths[run])
        else:
            length = _count_around(values, value - hysteresis, k, hop_s, sign)
        yield k, value - (close_below if mask[k] else open_above), length


def _choose_moments(
    candidates: list[tuple[Moment, int]], step: float, duration_s: float
) -> tuple[Moment, ...]:
    """Return the least certain moments, which are not close to each other, sorted by time."""

    def rank(candidate: tuple[Moment, int]) -> tuple[float, int, float]:
        moment, length = candidate
        distance = abs(moment.value)
        return (distance // step if step else distance), -length, distance

    min_distance = min(MIN_DISTANCE_S, duration_s / (2 * UNSURE_MOMENTS))
    chosen: list[Moment] = []
    for moment, _ in sorted(candidates, key=rank):
        if all(abs(moment.time - other.time) >= min_distance for other in chosen):
            chosen.append(moment)
        if len(chosen) == UNSURE_MOMENTS:
            break
    return tuple(sorted(chosen, key=lambda moment: moment.time))


def _count_around(
    values: NDArray[np.float64], above: float, frame: int, hop_s: float, sign: int
) -> int:
    """Return the length of the run of values above a limit, up to the limit on either side."""
    reach = round(MAX_RANKED_LENGTH_S / hop_s)
    before = sign * values[max(0, frame - reach) : frame][::-1] > above
    after = sign * values[frame : frame + reach] > above
    return sum(len(part) if part.all() else int(np.argmin(part)) for part in (before, after))


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


def _has_signal_around(
    values: NDArray[np.float64], frame: int, open_above: float, hop_s: float
) -> bool:
    """Return whether there is signal within `PAUSE_REACH_S` both before and after a frame."""
    reach = max(1, round(PAUSE_REACH_S / hop_s))
    before = values[max(0, frame + 1 - reach) : frame + 1]
    after = values[frame + 1 : frame + 1 + reach]
    return bool((before > open_above).any() and (after > open_above).any())


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

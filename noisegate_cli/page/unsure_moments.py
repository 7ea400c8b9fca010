"""Find the sounds and the pauses about which the gate is least certain."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from noisegate_cli.page.moments import MIN_DISTANCE_S, Moment

UNSURE_MOMENTS = 5

MAX_UNSURE_SCORE, MAX_UNSURE_DB = 3.0, 10.0
"""Values that are further from the threshold are certain. A score of 3 means odds of 20 to 1."""

NEIGHBORHOOD_S = 0.3
"""A moment is an extremum of the detector within this time on either side. Values on the way from
noise to signal pass the threshold too, but they are not extrema."""

PAUSE_REACH_S = 1.0
"""A pause has signal within this time on both sides."""

MAX_RANKED_LENGTH_S = 3.0
"""Limit of the length that is measured on either side of a sound or pause that does not change the
gate. Longer ones are equally important."""

CHUNK_FRAMES = 1 << 14
"""Frames that are searched at once."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectorTrack:
    """The values of a detector in all frames, and the gate that they control."""

    values: NDArray[np.float64]
    """Value of each frame, shaped (frames,). Infinite values are certain."""
    mask: NDArray[np.bool_]
    """Whether the gate is open in each frame, shaped (frames,)."""
    open_above: float
    """Value above which the gate opens."""
    close_below: float
    """Value at or below which the gate closes."""
    hop_s: float
    """Time from frame to frame in seconds."""
    min_open_frames: int = 1
    """Shorter sounds do not open the gate."""
    min_closed_frames: int = 1
    """Shorter pauses do not close it."""
    sign: int = 1
    """Factor of the values; the thresholds are those of the product."""

    @property
    def inverted(self) -> "DetectorTrack":
        """The track with the negated values, in which a pause is a sound."""
        return replace(
            self,
            mask=~self.mask,
            open_above=-self.close_below,
            close_below=-self.open_above,
            min_open_frames=self.min_closed_frames,
            min_closed_frames=self.min_open_frames,
            sign=-self.sign,
        )

    @property
    def hysteresis(self) -> float:
        """Distance between the thresholds."""
        return self.open_above - self.close_below

    def window(self, first: int, end: int) -> NDArray[np.float64]:
        """Return the values of some frames, fewer at the ends of the recording."""
        return np.asarray(self.sign * self.values[max(0, first) : end])


def find_unsure_moments(track: DetectorTrack, max_distance: float = math.inf) -> tuple[Moment, ...]:
    """Return the sounds and the pauses whose decision is least certain, sorted by time.

    A sound opens the gate if all values within the minimum duration are high enough, so their
    minimum counts; of a pause, their maximum counts. Hysteresis applies: where the gate is open, a
    value is compared with `close_below`, and where it is closed, with `open_above`. Of the sounds
    in an open segment only the strongest one decides, and of the pauses in a closed segment the
    deepest one. Distances are ranked in steps of the hysteresis; within a step, longer segments
    come first.

    Parameters
    ----------
    track
        Values of the detector and the mask of the gate.
    max_distance
        A value that is further from the threshold is certain.

    Examples
    --------
    >>> values = np.zeros(300)
    >>> values[[50, 150, 250]] = 5, 0.9, 1.2
    >>> track = DetectorTrack(values, values > 1, 1.0, 0.8, hop_s=0.1)
    >>> moments = find_unsure_moments(track, max_distance=0.5)
    >>> [(round(m.time, 1), round(m.value, 1)) for m in moments]
    [(15.0, -0.1), (25.0, 0.4)]
    """
    hop_s = track.hop_s
    candidates = [
        *(
            (Moment(k * hop_s, "sound", value), length)
            for k, value, length in _find_decisions(track)
        ),
        *(
            (Moment(k * hop_s, "pause", -value), length)
            for k, value, length in _find_decisions(track.inverted)
            if _has_signal_around(track, k)
        ),
    ]
    near = [(moment, length) for moment, length in candidates if abs(moment.value) < max_distance]
    return _choose_moments(near, track.hysteresis, len(track.values) * hop_s)


def _find_decisions(track: DetectorTrack) -> Iterator[tuple[int, float, int]]:
    """Yield the sounds that open the gate or almost open it.

    Each has its frame, its distance from the threshold, and the length of its segment in frames.
    """
    mask = track.mask
    starts = np.concatenate([[0], np.flatnonzero(mask[1:] != mask[:-1]) + 1])
    lengths = np.diff(np.append(starts, len(mask)))
    peaks, strongest = _find_peaks(track, starts)
    for k, value in peaks:
        run = int(np.searchsorted(starts, k, side="right")) - 1
        if not mask[k]:
            length = _count_around(track, value - track.hysteresis, k)
            yield k, value - track.open_above, length
        # Sounds that are too short open the gate together, and none of them decides.
        elif value >= strongest[run]:
            yield k, value - track.close_below, int(lengths[run])


def _find_peaks(
    track: DetectorTrack, starts: NDArray[np.int64]
) -> tuple[list[tuple[int, float]], NDArray[np.float64]]:
    """Return the frame and the value of each sound, and the strongest sound of each segment.

    `starts` are the first frames of the segments in which the gate stays open or closed.
    """
    strongest = np.full(len(starts), -np.inf)
    reach, min_frames = max(1, round(NEIGHBORHOOD_S / track.hop_s)), track.min_open_frames
    peaks: list[tuple[int, float]] = []
    # All frames at once would need many times the memory of the values.
    for first in range(0, len(track.values), CHUNK_FRAMES):
        end = min(len(track.values), first + CHUNK_FRAMES)
        before = min(first, reach + min_frames)
        lowest = -_slide_maximum(
            -track.window(first - before, end + reach + min_frames), min_frames
        )
        inside = slice(before, before + end - first)
        is_peak = _is_peak(lowest, reach)[inside]
        lowest, is_open = lowest[inside], track.mask[first:end]
        runs = slice(*(np.searchsorted(starts, [first, end - 1], side="right") - [1, 0]))
        highest = np.maximum.reduceat(lowest, np.maximum(starts[runs] - first, 0))
        strongest[runs] = np.maximum(strongest[runs], highest)
        is_near = np.where(is_open, lowest > track.close_below, lowest <= track.open_above)
        found = np.flatnonzero(is_peak & is_near)
        peaks.extend(zip((first + found).tolist(), lowest[found].tolist(), strict=True))
    return peaks, strongest


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


def _count_around(track: DetectorTrack, above: float, frame: int) -> int:
    """Return the length of the run of values above a limit, up to the limit on either side."""
    reach = round(MAX_RANKED_LENGTH_S / track.hop_s)
    before = track.window(frame - reach, frame)[::-1] > above
    after = track.window(frame, frame + reach) > above
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


def _has_signal_around(track: DetectorTrack, frame: int) -> bool:
    """Return whether there is signal within `PAUSE_REACH_S` both before and after a frame."""
    reach = max(1, round(PAUSE_REACH_S / track.hop_s))
    before = track.window(frame + 1 - reach, frame + 1)
    after = track.window(frame + 1, frame + 1 + reach)
    return bool((before > track.open_above).any() and (after > track.open_above).any())

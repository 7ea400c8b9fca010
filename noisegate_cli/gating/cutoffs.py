"""Audit of a gate: places where it cut the decay or the attack of a sound.

Halfway through a fade-out the level should be the level of the noise. If the level afterwards falls
far below its value there, the gate cut a decay. An attack is the same with time reversed: halfway
through the fade-in the level should not be far above the level of the pause before it.

A hole in a decay is too short for its level to fall far. It is a cut if the level in it falls
steadily, and is far above the quietest pause of the recording.
"""

import math
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.gating.cutoff_report import (
    MAX_MARKED_CUTOFFS,
    Cutoff,
    CutoffReport,
    select_worst,
)
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.gain.mask import NEVER, Mask
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import to_db

MIN_CUTOFF_DB = 10.0
"""A cut is audible if the sound is this far above the pause."""

MIN_AUDIBLE_DBFS = -60.0
"""Sounds below this level are inaudible: audiobooks are allowed noise of this level."""

DECAY_WINDOW_NEAR_MS, DECAY_WINDOW_FAR_MS = (100.0, 200.0), (300.0, 500.0)
DECAY_WINDOW_LONG_MS = (1300.0, 1500.0)
"""Windows after the fade in which the level of the pause is measured; the lowest level counts. The
near window suits short pauses, the far and the long window slow decays."""

MIN_FALL_DB = 5.0
"""Before digital silence a decay falls by this much. If the level is constant, it is noise, and the
recording was gated before."""

MIN_HOLE_FALL_DB, MAX_HOLE_DEVIATION_SHARE = 3.0, 0.25
"""The level in a hole falls by this much, and deviates from a straight line by at most this share
of the fall. Noise does not fall steadily."""

MIN_AUDITED_RANGE_DB = -6.0
"""A gate with a smaller reduction does not cut sounds audibly, and is not audited."""

MIN_LEVEL = 1e-6
"""Levels below this one count as this one when a line is fitted, because silence is −∞ dB."""


def is_audited(closed_db: float) -> bool:
    """Return whether a gate with this gain in the pauses, in dB, can cut sounds audibly."""
    return closed_db < MIN_AUDITED_RANGE_DB


class CutoffAudit(PairedBlockProcessor[RmsLevels, Mask, None]):
    """Finds cut-offs in the levels and the mask of a gate, processed in blocks.

    Parameters
    ----------
    timing
        Timing of the gate.
    sample_rate
        In Hz.
    gates
        Number of gates.
    span
        First sample of the part that is reported, and first sample after it. Times are counted
        from its start.

    Examples
    --------
    A decay of 1 dB a frame, on which the gate closes:

    >>> levels = 0.5 * 10 ** (-np.arange(100.0)[:, None] / 20)
    >>> timing = Timing(512, 128, 0, 0, hold=0, lookahead=4, attack=1, release=8)
    >>> audit = CutoffAudit(timing, sample_rate=16000)
    >>> audit.process(levels, np.arange(100)[:, None] < 30, last=True)
    >>> audit.report.worst
    (Cutoff(time=0.272, kind='decay', above_db=29.9..., lasts=0.16),)
    """

    def __init__(
        self,
        timing: Timing,
        sample_rate: int,
        gates: int = 1,
        span: tuple[int, float] = (0, math.inf),
    ) -> None:
        self._hop_s = timing.hop_length / sample_rate
        self._first_frame = span[0] // timing.hop_length
        self._frame_after = span[1] / timing.hop_length
        self._windows = _create_pause_windows(self._hop_s)
        # A frame whose center is closer than half its length still overlaps the open side.
        half = timing.overlap // 2
        self._overlap = timing.overlap
        self._after_closing = max(half, round(timing.release / 2))
        self._before_opening = timing.lookahead + max(half, round(timing.attack / 2))
        self._fade_frames = self._after_closing + self._before_opening
        self._farthest = self._windows.farthest
        self._context_frames = max(self._after_closing, self._before_opening) + self._farthest + 1
        self._levels: RmsLevels = np.zeros((0, gates))
        self._mask: Mask = np.zeros((0, gates), np.bool_)
        self._buffer_start = 0
        self._next_frame = 1
        self._quietest_db = np.inf
        self._holes: list[Cutoff] = []
        self._decays = self._attacks = 0
        self._kept: list[Cutoff] = []

    @property
    def report(self) -> CutoffReport:
        """Report on the frames processed so far."""
        marked = select_worst(self._kept, MAX_MARKED_CUTOFFS)
        return CutoffReport(self._decays, self._attacks, marked)

    def process(self, levels: RmsLevels, mask: Mask, last: bool = False) -> None:
        """Process levels and their mask, both shaped (frames, gates); the mask may lag behind."""
        self._levels = np.concatenate([self._levels, levels])
        self._mask = np.concatenate([self._mask, mask])
        # Frame indices are relative to the first frame in the buffer.
        start = self._next_frame - self._buffer_start
        end = len(self._mask) if last else max(start, len(self._mask) - self._context_frames)
        for gate in range(self._mask.shape[1]):
            gaps = _find_gaps(self._mask[:, gate])
            # In a gap that is shorter than both fades, the gain hardly falls.
            lengths = gaps[:, 1] - gaps[:, 0]
            closings = gaps[lengths > self._fade_frames, 0]
            openings = gaps[lengths >= self._fade_frames, 1]
            closings = closings[(closings >= start) & (closings < end)]
            openings = openings[(openings >= start) & (openings < end)]
            if len(closings):
                self._measure_cutoffs("decay", closings + self._after_closing, 1, gate, gaps)
            if len(openings):
                self._measure_cutoffs("attack", openings - self._before_opening, -1, gate, gaps)
        if last:
            self._add([hole for hole in self._place_holes() if hole.above_db > MIN_CUTOFF_DB])
        discarded = max(0, end - self._context_frames)
        self._levels, self._mask = self._levels[discarded:], self._mask[discarded:]
        self._next_frame = self._buffer_start + end
        self._buffer_start += discarded

    def _measure_cutoffs(
        self,
        kind: Literal["decay", "attack"],
        frames: NDArray[np.int64],
        direction: int,
        gate: int,
        gaps: NDArray[np.int64],
    ) -> None:
        """Add the cut-offs among `frames` to the report; the pause lies in `direction`, 1 or −1.

        `frames` lie in some of the `gaps` of the gate.
        """
        levels = self._levels[:, gate]
        first = max(0, self._first_frame - self._buffer_start)
        after = min(len(levels), self._frame_after - self._buffer_start)
        frames = frames[(frames >= first) & (frames < after)]
        if not len(frames):
            return
        pause_levels = self._windows.measure(levels, frames, direction)
        pause_db = np.maximum(to_db(pause_levels), MIN_AUDIBLE_DBFS - MIN_CUTOFF_DB)
        above_db = to_db(levels[frames]) - pause_db
        self._quietest_db = min(self._quietest_db, float(pause_db.min()))
        is_loud = above_db > MIN_CUTOFF_DB
        if direction > 0:
            self._collect_holes(frames[~is_loud], gate, gaps)
        cutoffs = []
        for i in is_loud.nonzero()[0]:
            frame = int(frames[i])
            # The sound in its own direction, from the cut into the pause, as far as the buffer
            # has it with blocks of any size.
            sound = levels[frame : frame + self._farthest + 1]
            if direction < 0:
                sound = levels[max(0, frame - self._farthest) : frame + 1][::-1]
            if self._is_noise_before_silence(sound):
                continue
            is_faint = to_db(sound) <= pause_db[i] + MIN_CUTOFF_DB
            lasts = int(np.argmax(is_faint)) if is_faint.any() else len(sound)
            time = float((self._buffer_start + frame - self._first_frame) * self._hop_s)
            cutoffs.append(Cutoff(time, kind, float(above_db[i]), lasts * self._hop_s))
        self._add(cutoffs)

    def _add(self, cutoffs: list[Cutoff]) -> None:
        """Count cut-offs, and keep the worst ones."""
        decays = sum(cutoff.kind == "decay" for cutoff in cutoffs)
        self._decays += decays
        self._attacks += len(cutoffs) - decays
        self._kept += cutoffs
        if len(self._kept) > 2 * MAX_MARKED_CUTOFFS:
            self._kept = list(select_worst(self._kept, MAX_MARKED_CUTOFFS))

    def _collect_holes(self, frames: NDArray[np.int64], gate: int, gaps: NDArray[np.int64]) -> None:
        """Remember the frames after which the level falls steadily until the gate opens again."""
        levels, openings = self._levels[:, gate], gaps[:, 1]
        # Frames nearer to the opening overlap the next sound.
        ends = openings[openings.searchsorted(frames)] - self._overlap
        ends = np.minimum(ends, np.minimum(frames + self._farthest, len(levels)))
        is_long = ends - frames > self._overlap
        frames, ends = frames[is_long], ends[is_long]
        if not len(frames):
            return
        is_hole = _fall_steadily(levels, frames, ends)
        for frame, end in zip(frames[is_hole], ends[is_hole], strict=True):
            time = float((self._buffer_start + frame - self._first_frame) * self._hop_s)
            lasts = float((end - frame) * self._hop_s)
            self._holes.append(Cutoff(time, "decay", float(to_db(levels[frame])), lasts))

    def _place_holes(self) -> list[Cutoff]:
        """Return the holes with their levels relative to the quietest pause."""
        return [replace(hole, above_db=hole.above_db - self._quietest_db) for hole in self._holes]

    def _is_noise_before_silence(self, sound: NDArray[np.float64]) -> bool:
        """Return whether the level is constant until digital silence begins."""
        silent = np.flatnonzero(sound == 0)
        # Frames closer to the silence than this are partly silent.
        last = int(silent[0]) - self._overlap if len(silent) else len(sound)
        if last >= len(sound):
            return False
        return last <= 0 or bool(to_db(sound[0]) - to_db(sound[last]) < MIN_FALL_DB)


class _PauseWindows:
    """Windows after a frame, or before it, in which the level of the pause is measured."""

    def __init__(self, hop_s: float) -> None:
        windows = [
            np.arange(round(start / 1000 / hop_s), round(end / 1000 / hop_s) + 1)
            for start, end in (DECAY_WINDOW_NEAR_MS, DECAY_WINDOW_FAR_MS, DECAY_WINDOW_LONG_MS)
        ]
        self._distances = np.concatenate(windows)
        self._ends = np.array([window[-1] for window in windows])
        self._lengths = [len(window) for window in windows]
        self.farthest = int(self._ends[-1])
        """Number of frames to the end of the last window."""

    def measure(
        self, levels: NDArray[np.float64], frames: NDArray[np.int64], direction: int
    ) -> NDArray[np.float64]:
        """Return the lowest RMS in the windows of each frame, in `direction`, 1 or −1.

        Only windows that `levels` cover count; without any, the level is infinite.
        """
        frames = frames[:, None]
        # All windows at once: a NumPy call costs more than its work on a few frames.
        squares = levels.take(frames + direction * self._distances, mode="clip") ** 2
        ends = frames + direction * self._ends
        powers = np.empty(ends.shape)
        first = 0
        for window, length in enumerate(self._lengths):
            sums = np.add.reduce(squares[:, first : first + length], axis=1)
            powers[:, window] = sums / length
            first += length
        powers[(ends < 0) | (ends >= len(levels))] = np.inf
        return np.asarray(np.sqrt(powers.min(axis=1)))


@lru_cache(maxsize=16)  # The recordings of a batch have the same windows.
def _create_pause_windows(hop_s: float) -> _PauseWindows:
    return _PauseWindows(hop_s)


def _find_gaps(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first frame of each closed segment and the first frame after it.

    They are shaped (gaps, 2), and −`NEVER` and `NEVER` where the segment begins or ends outside.

    Examples
    --------
    >>> _find_gaps(np.array([True, False, False, True, False])) == [[1, 3], [4, NEVER]]
    array([[ True,  True],
           [ True,  True]])
    """
    is_open = np.ones(len(mask) + 2, np.bool_)
    is_open[1:-1] = mask
    edges: NDArray[np.int64] = (is_open[1:] != is_open[:-1]).nonzero()[0]
    if len(edges) and edges[0] == 0:
        edges[0] = -NEVER
    if len(edges) and edges[-1] == len(mask):
        edges[-1] = NEVER
    return edges.reshape(-1, 2)


def _fall_steadily(
    levels: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return for each segment whether its levels fall along a straight line in dB."""
    count = ends - starts
    first = np.cumsum(count) - count
    position = np.arange(first[-1] + count[-1]) - first.repeat(count)
    level_db = to_db(np.maximum(levels[position + starts.repeat(count)], MIN_LEVEL))
    total, moments = np.add.reduceat(level_db, first), np.add.reduceat(position * level_db, first)
    # Sums of squared distances of the positions from their mean, and of the products with levels.
    spread = count * (count**2 - 1) / 12
    slope = (moments - total * (count - 1) / 2) / spread
    fall_db = -slope * count
    falls = np.asarray(fall_db > MIN_HOLE_FALL_DB)
    if not falls.any():  # as in most pauses
        return falls
    squares = np.add.reduceat(level_db**2, first)
    variance = squares / count - (total / count) ** 2 - slope**2 * spread / count
    deviation_db = np.sqrt(np.maximum(variance, 0))
    return np.asarray(falls & (deviation_db < MAX_HOLE_DEVIATION_SHARE * fall_db))

"""Audit of a gate: places where it cut the decay or the attack of a sound.

Halfway through a fade-out the level should be the level of the noise. If the level afterwards falls
far below its value there, the gate cut a decay. An attack is the same with time reversed: halfway
through the fade-in the level should not be far above the level of the pause before it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import to_db
from noisegate_cli.text import format_repr

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

MIN_AUDITED_RANGE_DB = -6.0
"""A gate with a smaller reduction does not cut-offs audibly and is not audited."""

MAX_LISTED_CUTOFFS = 10
"""Number of the worst cut-offs in a list for a reader."""

MAX_MARKED_CUTOFFS = 200
"""Number of the worst cut-offs in pictures and labels: more marks would cover each other."""


def is_audited(closed_db: float) -> bool:
    """Return whether a gate with this gain in the pauses, in dB, can cut-offs audibly."""
    return closed_db < MIN_AUDITED_RANGE_DB


@dataclass(frozen=True, slots=True)
class Cutoff:
    """One place where the gate cut a sound."""

    time: float
    """Time in seconds from the start of the recording."""
    kind: Literal["decay", "attack"]
    """Whether the gate closed during a decay or opened during an attack."""
    above_db: float
    """Level of the sound at the cut, relative to the pause, in dB."""
    lasts: float = 0.0
    """Time in seconds during which the cut sound stays audible above the pause."""


@dataclass(frozen=True, slots=True)
class CutoffReport:
    """Number of cut decays and attacks, and the worst of them."""

    decays: int = 0
    attacks: int = 0
    marked: tuple[Cutoff, ...] = ()
    """The worst `MAX_MARKED_CUTOFFS` cut-offs, sorted by time."""

    def __repr__(self) -> str:
        return format_repr(self, "decays", "attacks")

    @property
    def worst(self) -> tuple[Cutoff, ...]:
        """The worst `MAX_LISTED_CUTOFFS` cut-offs, sorted by time."""
        return _select_worst(self.marked, MAX_LISTED_CUTOFFS)

    @property
    def count(self) -> int:
        """Number of all cut-offs."""
        return self.decays + self.attacks


def _select_worst(cutoffs: Sequence[Cutoff], number: int) -> tuple[Cutoff, ...]:
    """Return the worst cut-offs, sorted by time."""
    worst = sorted(cutoffs, key=lambda c: (-c.above_db, c.time, c.kind))[:number]
    return tuple(sorted(worst, key=lambda c: (c.time, c.kind)))


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
        self._pause_windows = [
            np.arange(round(start / 1000 / self._hop_s), round(end / 1000 / self._hop_s) + 1)
            for start, end in (DECAY_WINDOW_NEAR_MS, DECAY_WINDOW_FAR_MS, DECAY_WINDOW_LONG_MS)
        ]
        # A frame whose center is closer than half its length still overlaps the open side.
        half = timing.overlap // 2
        self._overlap = timing.overlap
        self._after_closing = max(half, round(timing.release / 2))
        self._before_opening = timing.lookahead + max(half, round(timing.attack / 2))
        farthest = int(self._pause_windows[-1][-1])
        self._context_frames = max(self._after_closing, self._before_opening) + farthest + 1
        self._levels: RmsLevels = np.zeros((0, gates))
        self._mask: Mask = np.zeros((0, gates), np.bool_)
        self._buffer_start = 0
        self._next_frame = 1
        self.report = CutoffReport()

    def process(self, levels: RmsLevels, mask: Mask, last: bool = False) -> None:
        """Process levels and their mask, both shaped (frames, gates); the mask may lag behind."""
        self._levels = np.concatenate([self._levels, levels])
        self._mask = np.concatenate([self._mask, mask])
        # Frame indices are relative to the first frame in the buffer.
        start = self._next_frame - self._buffer_start
        end = len(self._mask) if last else max(start, len(self._mask) - self._context_frames)
        before, after = self._mask[start - 1 : end - 1], self._mask[start:end]
        for gate in range(self._mask.shape[1]):
            closings = start + np.flatnonzero(before[:, gate] & ~after[:, gate])
            openings = start + np.flatnonzero(~before[:, gate] & after[:, gate])
            self._measure_cutoffs("decay", closings + self._after_closing, 1, gate)
            self._measure_cutoffs("attack", openings - self._before_opening, -1, gate)
        discarded = max(0, end - self._context_frames)
        self._levels, self._mask = self._levels[discarded:], self._mask[discarded:]
        self._next_frame = self._buffer_start + end
        self._buffer_start += discarded

    def _measure_cutoffs(
        self, kind: Literal["decay", "attack"], frames: NDArray[np.int64], direction: int, gate: int
    ) -> None:
        """Add the cut-offs among `frames` to the report; the pause lies in `direction`, 1 or −1."""
        levels = self._levels[:, gate]
        frames = frames[(frames >= 0) & (frames < len(levels))]
        positions = frames + self._buffer_start
        is_reported = (positions >= self._first_frame) & (positions < self._frame_after)
        frames = frames[is_reported]
        pause_levels = np.full(len(frames), np.inf)
        for window in self._pause_windows:
            pauses = frames[:, None] + direction * window
            is_inside = ((pauses >= 0) & (pauses < len(levels))).all(axis=1)
            squares = levels[pauses[is_inside]] ** 2
            pause_levels[is_inside] = np.minimum(
                pause_levels[is_inside], np.sqrt(squares.mean(axis=1))
            )
        pause_db = np.maximum(to_db(pause_levels), MIN_AUDIBLE_DBFS - MIN_CUTOFF_DB)
        above_db = to_db(levels[frames]) - pause_db
        cutoffs = []
        for i in np.flatnonzero(above_db > MIN_CUTOFF_DB):
            frame = int(frames[i])
            # The sound in its own direction, from the cut into the pause.
            sound = levels[frame : frame + self._context_frames]
            if direction < 0:
                sound = levels[max(0, frame - self._context_frames + 1) : frame + 1][::-1]
            if self._is_noise_before_silence(sound):
                continue
            is_faint = to_db(sound) <= pause_db[i] + MIN_CUTOFF_DB
            lasts = int(np.argmax(is_faint)) if is_faint.any() else len(sound)
            time = float((self._buffer_start + frame - self._first_frame) * self._hop_s)
            cutoffs.append(Cutoff(time, kind, float(above_db[i]), lasts * self._hop_s))
        self.report = CutoffReport(
            self.report.decays + (len(cutoffs) if kind == "decay" else 0),
            self.report.attacks + (len(cutoffs) if kind == "attack" else 0),
            _select_worst([*self.report.marked, *cutoffs], MAX_MARKED_CUTOFFS),
        )

    def _is_noise_before_silence(self, sound: NDArray[np.float64]) -> bool:
        """Return whether the level is constant until digital silence begins."""
        silent = np.flatnonzero(sound == 0)
        # Frames closer to the silence than this are partly silent.
        last = int(silent[0]) - self._overlap if len(silent) else len(sound)
        if last >= len(sound):
            return False
        return last <= 0 or bool(to_db(sound[0]) - to_db(sound[last]) < MIN_FALL_DB)

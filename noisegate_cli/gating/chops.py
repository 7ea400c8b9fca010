"""Hindsight: where the gate closed on a sound that was still decaying, or opened into one.

Half way down a fade-out, what the gate turns down should be the noise already. Where the level
goes on to fall far below what it is there, a decay was cut. An attack is the same backwards: half
way up the fade-in, the level should not yet be far above what it was before.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import to_db

MIN_CHOP_DB = 10.0
"""So far above the pause, what is cut is heard."""

MIN_AUDIBLE_DBFS = -60.0
"""Below this, in dBFS, nothing is: audiobooks may have noise of that level."""

DECAY_WINDOW_NEAR_MS, DECAY_WINDOW_FAR_MS = (100.0, 200.0), (300.0, 500.0)
"""Where the level of the pause is taken, from the fade on: it is the lower one of both. Short
pauses end soon, long decays last until later."""

MIN_AUDITED_RANGE_DB = -6.0
"""A gate that closes no further cuts nothing."""

MAX_LISTED_CHOPS = 10
"""Chops that are remembered: the worst."""


@dataclass(frozen=True, slots=True)
class Chop:
    """One place where the gate cut a sound."""

    time: float
    """In seconds from the start."""
    kind: Literal["decay", "attack"]
    """Whether it closed on a decay or opened into an attack."""
    above_db: float
    """How far the sound stood above the pause where the gate cut it, dB."""


@dataclass(frozen=True, slots=True)
class ChopReport:
    """How often a gate cut sounds."""

    decays: int = 0
    attacks: int = 0
    worst: tuple[Chop, ...] = ()
    """In the order of time."""

    @property
    def count(self) -> int:
        """Of all chops."""
        return self.decays + self.attacks


class ChopAudit:
    """Looks over the levels and the mask of a gate, which come in blocks.

    Examples
    --------
    A decay of 1 dB a frame, on which the gate closes:

    >>> levels = 0.5 * 10 ** (-np.arange(100.0)[:, None] / 20)
    >>> timing = Timing(512, 128, 0, 0, hold=0, lookahead=4, attack=1, release=8)
    >>> audit = ChopAudit(timing, sample_rate=16000)
    >>> audit.process(levels, np.arange(100)[:, None] < 30, last=True)
    >>> audit.report.worst
    (Chop(time=0.272, kind='decay', above_db=29.9...),)
    """

    def __init__(self, timing: Timing, sample_rate: int, gates: int = 1) -> None:
        self._hop_s = timing.hop_length / sample_rate
        self._pauses = [
            np.arange(round(start / 1000 / self._hop_s), round(end / 1000 / self._hop_s) + 1)
            for start, end in (DECAY_WINDOW_NEAR_MS, DECAY_WINDOW_FAR_MS)
        ]
        # A frame that is centred nearer than half its length still hears the open side.
        half = timing.overlap // 2
        self._after_closing = max(half, round(timing.release / 2))
        self._before_opening = timing.lookahead + max(half, round(timing.attack / 2))
        farthest = int(self._pauses[-1][-1])
        self._context = max(self._after_closing, self._before_opening) + farthest + 1
        self._levels: RmsLevels = np.zeros((0, gates))
        self._mask: Mask = np.zeros((0, gates), np.bool_)
        self._first = 0
        self._done = 1
        self.report = ChopReport()

    def process(self, levels: RmsLevels, mask: Mask, last: bool = False) -> None:
        """Take in further levels and, some frames later, their mask, both (frames, gates)."""
        self._levels = np.concatenate([self._levels, levels])
        self._mask = np.concatenate([self._mask, mask])
        # Frames are numbered from the first that is remembered.
        start = self._done - self._first
        end = len(self._mask) if last else max(start, len(self._mask) - self._context)
        before, after = self._mask[start - 1 : end - 1], self._mask[start:end]
        for gate in range(self._mask.shape[1]):
            closings = start + np.flatnonzero(before[:, gate] & ~after[:, gate])
            openings = start + np.flatnonzero(~before[:, gate] & after[:, gate])
            self._judge("decay", closings + self._after_closing, 1, gate)
            self._judge("attack", openings - self._before_opening, -1, gate)
        forget = max(0, end - self._context)
        self._levels, self._mask = self._levels[forget:], self._mask[forget:]
        self._done, self._first = self._first + end, self._first + forget

    def _judge(
        self, kind: Literal["decay", "attack"], frames: NDArray[np.int64], way: int, gate: int
    ) -> None:
        levels = self._levels[:, gate]
        frames = frames[(frames >= 0) & (frames < len(levels))]
        quiet = np.full(len(frames), np.inf)
        for pause in self._pauses:
            around = frames[:, None] + way * pause
            there = ((around >= 0) & (around < len(levels))).all(axis=1)
            squares = levels[around[there]] ** 2
            quiet[there] = np.minimum(quiet[there], np.sqrt(squares.mean(axis=1)))
        cut = levels[frames]
        above = to_db(cut) - np.maximum(to_db(quiet), MIN_AUDIBLE_DBFS - MIN_CHOP_DB)
        chops = [
            Chop(float((self._first + frame) * self._hop_s), kind, float(db))
            for frame, db in zip(
                frames[above > MIN_CHOP_DB], above[above > MIN_CHOP_DB], strict=True
            )
        ]
        worst = sorted([*self.report.worst, *chops], key=lambda c: (-c.above_db, c.time, c.kind))[
            :MAX_LISTED_CHOPS
        ]
        self.report = ChopReport(
            self.report.decays + (len(chops) if kind == "decay" else 0),
            self.report.attacks + (len(chops) if kind == "attack" else 0),
            tuple(sorted(worst, key=lambda c: (c.time, c.kind))),
        )

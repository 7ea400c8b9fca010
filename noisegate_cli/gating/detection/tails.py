"""Find the tails of voices: moments at which a sound decays after a voice.

A room reverberates for up to a second after a word. The tail is not periodic, and its spectrum
changes like noise, so that it resembles no voice. But it only decays, and an event begins with a
rise.
"""

import numpy as np
from numpy.typing import NDArray

DECAY_FRAMES, MIN_DECAY_DB = 6, 2.0
"""A sound decays if its level falls by the least decrease within this number of frames, 0.1 s."""

MAX_GAP_FRAMES = 4
"""Most frames in a row that neither decay nor are voices between a voice and the end of its tail.
The attack of an event takes more: after it, no frame decays for `DECAY_FRAMES`."""

Flags = NDArray[np.bool_]
LevelsDb = NDArray[np.float64]
"""Shaped (hops,), as `Flags` are."""


class TailFinder:
    """Find the tails of voices in hops that arrive in chunks.

    Parameters
    ----------
    decay_frames, min_decay_db
        A sound decays if its level falls by the least decrease within this number of hops.
    max_gap_frames
        Most hops in a row that neither decay nor are voices, from a voice to the end of its tail.

    Examples
    --------
    >>> level_db = np.array([0.0, 0, 0, -3, -6, -9, -12, -20, -20, -20, -20, -20, -20, -20])
    >>> TailFinder().find(np.arange(14) == 1, level_db).astype(int)
    array([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0])
    """

    def __init__(
        self,
        decay_frames: int = DECAY_FRAMES,
        min_decay_db: float = MIN_DECAY_DB,
        max_gap_frames: int = MAX_GAP_FRAMES,
    ) -> None:
        self._decay_frames, self._min_decay_db = decay_frames, min_decay_db
        self._max_gap_frames = max_gap_frames
        self._levels: LevelsDb | None = None
        self._joined = np.zeros(max_gap_frames, np.bool_)
        self._since_voice = False

    def find(self, is_voice: Flags, level_db: LevelsDb) -> Flags:
        """Return which hops of the next chunk belong to the tail of a voice.

        Parameters
        ----------
        is_voice
            Whether each hop is a voice.
        level_db
            Level of each hop.
        """
        frames, gap = self._decay_frames, self._max_gap_frames
        earlier = np.full(frames, level_db[0]) if self._levels is None else self._levels
        levels = np.concatenate([earlier, level_db])
        self._levels = levels[-frames:]
        decays = levels[frames:] <= levels[:-frames] - self._min_decay_db
        joined = np.concatenate([self._joined, is_voice | decays])
        self._joined = joined[len(joined) - gap :]
        count = len(decays)
        is_break = ~np.logical_or.reduce(
            [joined[shift : shift + count] for shift in range(gap + 1)]
        )
        # Positions from 1; 0 stands for what the previous chunk ended with.
        positions = np.arange(1, count + 1)
        last_voice = np.maximum.accumulate(np.where(is_voice, positions, 0))
        last_break = np.maximum.accumulate(np.where(is_break, positions, 0))
        follows = (last_voice > last_break) | (self._since_voice & (last_break == 0))
        self._since_voice = bool(follows[-1])
        return np.asarray(decays & follows)

"""Open or closed → one gain a frame: lookahead, attack, release, range.

The gain of a frame is a function of two distances: to the last open frame before it (the release)
and to the next one after it (the attack). Nothing recurs, so the fade-out ends, the closed gain is
reached exactly, and a fade-in is complete before the sound that asked for it begins.
"""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.gain.mask import NEVER, Mask, frames_since

Gains = NDArray[np.float64]
"""Linear gains, shaped (frames, gates)."""


def fade(length: float, closed_gain: float) -> NDArray[np.float64]:
    """Return the gain at 0, 1, 2, … frames from an open one: 1 first, `closed_gain` last.

    A raised cosine, cos²(π/2 · d/length): its slope is zero at both ends, so that neither end of
    a fade is an edge one could hear.

    Examples
    --------
    >>> fade(2, closed_gain=0)
    array([1. , 0.5, 0. ])
    """
    distance = np.arange(math.ceil(length)) / length if length else np.zeros(1)
    open_share = np.cos(np.pi / 2 * distance) ** 2
    return np.append(closed_gain + (1 - closed_gain) * open_share, closed_gain)


class Envelope:
    """Gains of the frames of a mask that comes in blocks.

    Gains come out `lookahead` + `attack` frames after their mask went in: until then an opening
    may still follow.

    Parameters
    ----------
    lookahead
        Frames that the gain is 1 before the mask opens.
    attack, release
        Frames of fade before the lookahead and after the mask closes; fractions are kept.
    closed_gain
        Linear gain where the gate is closed.
    """

    def __init__(
        self, lookahead: int, attack: float, release: float, closed_gain: float, gates: int = 1
    ) -> None:
        self._before = np.append(np.ones(lookahead), fade(attack, closed_gain))
        self._after = fade(release, closed_gain)
        self._mask = np.zeros((0, gates), np.bool_)
        self._since = np.full(gates, NEVER)

    def process(self, mask: Mask, last: bool = False) -> Gains:
        """Return the gains that `mask` settles, all of them when it is the `last`."""
        mask = np.concatenate([self._mask, mask])
        never = np.full(mask.shape[1], NEVER)
        until = frames_since(mask[::-1], never)[::-1]
        # The last entry of the fade is the closed gain: only what is nearer can still change.
        ready = len(mask) if last else max(0, len(mask) - (len(self._before) - 2))
        self._mask = mask[ready:]
        since = frames_since(mask[:ready], self._since)
        if ready:
            self._since = np.minimum(since[-1], NEVER)
        return np.maximum(_gains_at(self._before, until[:ready]), _gains_at(self._after, since))


def _gains_at(gains: NDArray[np.float64], distance: NDArray[np.int64]) -> Gains:
    return gains[np.minimum(distance, len(gains) - 1)]

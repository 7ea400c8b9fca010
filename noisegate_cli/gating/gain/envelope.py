"""Convert a mask to one gain per frame: lookahead, attack, release, range.

The gain of a frame is a function of two distances: to the last open frame before it (release) and
to the next open frame after it (attack). There is no recursion, so a fade-out reaches the closed
gain exactly and in finite time, and a fade-in is complete before the sound that opens the gate.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.gain.mask import NEVER, Mask, frames_since

Gains = NDArray[np.float64]
"""Linear gains, shaped (frames, gates)."""


@lru_cache(maxsize=16)  # The recordings of a batch have the same fades.
def fade(length: float, closed_gain: float) -> NDArray[np.float64]:
    """Return the gain at a distance of 0, 1, 2, … frames from an open one, 1 to `closed_gain`.

    The fade is a raised cosine, cos²(π/2 · d/length). Its slope is zero at both ends, so neither
    end is audible as an edge. The array is read-only.

    Examples
    --------
    >>> fade(2, closed_gain=0)
    array([1. , 0.5, 0. ])
    """
    distance = np.arange(math.ceil(length)) / length if length else np.zeros(1)
    open_share = np.cos(np.pi / 2 * distance) ** 2
    gains = np.append(closed_gain + (1 - closed_gain) * open_share, closed_gain)
    gains.flags.writeable = False  # because the cache shares it
    return gains


class Envelope(BlockProcessor[Mask, Gains]):
    """Compute the gains of a mask that arrives in blocks.

    The gains lag `lookahead` + `attack` frames behind the mask, because the gate may still open
    in these frames.

    Parameters
    ----------
    lookahead
        Number of frames before an opening in which the gain is already 1.
    attack, release
        Lengths of the fades before the lookahead and after a closing, in frames; not rounded.
    closed_gain
        Linear gain where the gate is closed.
    gates
        Number of gates.
    """

    def __init__(
        self, lookahead: int, attack: float, release: float, closed_gain: float, gates: int = 1
    ) -> None:
        self._before = np.append(np.ones(lookahead), fade(attack, closed_gain))
        self._after = fade(release, closed_gain)
        self._mask = np.zeros((0, gates), np.bool_)
        self._since = np.full(gates, NEVER)

    def process(self, mask: Mask, last: bool = False) -> Gains:
        """Return the gains that `mask` completes; all of them if it is the `last`."""
        mask = np.concatenate([self._mask, mask])
        never = np.full(mask.shape[1], NEVER)
        until = frames_since(mask[::-1], never)[::-1]
        # The last entry of the fade is the closed gain, so only nearer frames can still change.
        ready = len(mask) if last else max(0, len(mask) - (len(self._before) - 2))
        self._mask = mask[ready:]
        since = frames_since(mask[:ready], self._since)
        if ready:
            self._since = np.minimum(since[-1], NEVER)
        return np.maximum(_gains_at(self._before, until[:ready]), _gains_at(self._after, since))


def invert_gains(gains: Gains, closed_gain: float) -> Gains:
    """Exchange open and closed: the fades are mirrored, and both end values are exact.

    Examples
    --------
    >>> invert_gains(np.array([1, 0.75, 0.1]), closed_gain=0.1)
    array([0.1 , 0.35, 1.  ])
    """
    fading = np.where(gains == closed_gain, 1.0, 1 + closed_gain - gains)
    return np.where(gains == 1, closed_gain, fading)


def _gains_at(gains: NDArray[np.float64], distance: NDArray[np.int64]) -> Gains:
    return gains[np.minimum(distance, len(gains) - 1)]

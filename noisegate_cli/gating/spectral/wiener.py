"""Wiener gains: one gain for each frequency bin, from the a-priori signal-to-noise ratio."""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.framing import batch_frames
from noisegate_cli.gating.frames.stft import Powers
from noisegate_cli.gating.spectral.bin_groups import Grouping
from noisegate_cli.gating.spectral.noise_estimation import TINY, NoiseFollower

MEMORY_S = 0.17
"""Time constant of the recursion where the gain is 1: α = 0.91 at a hop of 16 ms."""


LONGEST_KEEP = 0.98
"""α in frames that are very short: as in most of what was written about it."""


CERTAIN = 100.0
"""What stands out by 20 dB is signal, wherever it is."""


SEGMENT, RUN_IN = 16, 2
"""Frames of a segment, and the part of them that its recursion starts before it."""


BinGains = NDArray[np.float32]
"""Linear gains of frames, shaped (frames, bins)."""


Gain = NDArray[np.float64]
"""Of frames, shaped (frames,)."""


class SoftGains:
    """Wiener gains of one gate, from what is heard in its bins; both come in batches.

    Parameters
    ----------
    mean
        |X|² of the noise in each bin.
    signal
        How much of what stands out of it is signal, in each bin, 0 to 1.
    follows
        Whether the noise of the moment is followed, or `mean` holds throughout.
    frames_per_s
        Of the batches.
    segment
        Frames of a segment; batches are whole segments, but for the last.
    floor
        The least gain.
    grouping
        Of bins that have a gain together.
    """

    def __init__(
        self,
        mean: NDArray[np.float64],
        signal: NDArray[np.float64],
        follows: bool,
        frames_per_s: float,
        segment: int,
        floor: float,
        grouping: Grouping,
    ) -> None:
        self._grouping = grouping
        self._noise = grouping.mean(mean[None].astype(np.float32))
        self._signal = grouping.mean(signal[None].astype(np.float32))
        self._follower = NoiseFollower(self._noise[0], frames_per_s, segment) if follows else None
        self._keep = min(LONGEST_KEEP, math.exp(-1 / (MEMORY_S * frames_per_s)))
        self._segment, self._run_in = segment, segment // RUN_IN
        self._floor = floor
        self._before = np.zeros((self._run_in, self._noise.shape[1]), np.float32)
        self._batch: tuple[Powers, Gain] | None = None

    def process(
        self, heard: Powers, openness: Gain, is_noise: NDArray[np.bool_], last: bool
    ) -> list[BinGains]:
        """Return the gains of the batch before, if there is one; those of the last at once.

        Parameters
        ----------
        heard
            |X|², shaped (frames, bins).
        openness
            How far the gate is open at each frame, 0 to 1.
        is_noise
            Which frames are noise and nothing else.
        """
        heard = self._grouping.mean(heard)
        missing = -len(heard) % self._segment
        heard = np.pad(heard, ((0, missing), (0, 0))) if missing else heard
        is_noise = np.pad(is_noise, (0, missing))
        noise = self._follower.process(heard, is_noise) if self._follower else self._noise
        over = np.empty((len(heard) + 2 * self._run_in, heard.shape[1]), np.float32)
        over[: self._run_in], inner = self._before, over[self._run_in : -self._run_in]
        np.multiply(
            heard.reshape(-1, self._segment, heard.shape[1]),
            1 / (noise[:, None] + np.float32(TINY)),
            out=inner.reshape(-1, self._segment, heard.shape[1]),
        )
        self._before = inner[-self._run_in :].copy()
        gains = self._gained(after=inner)
        self._batch = over, openness
        return gains + self._gained(after=np.zeros_like(self._before)) if last else gains

    def _gained(self, after: Powers) -> list[BinGains]:
        if self._batch is None:
            return []
        over, openness = self._batch
        over[-self._run_in :] = after[: self._run_in]
        ratio = a_priori_ratio(over, self._keep, self._segment)[: len(openness)]
        gains = wiener_gain(ratio)
        gains *= self._signal
        ratio *= np.float32(1 / CERTAIN)
        np.maximum(gains, wiener_gain(ratio), out=gains)
        np.maximum(gains, self._floor, out=gains)
        closing = np.flatnonzero(openness < 1)
        share = openness[closing, None].astype(np.float32)
        gains[closing] = self._floor + share * (gains[closing] - np.float32(self._floor))
        return [self._grouping.spread(gains)]


def a_priori_ratio(over_noise: Powers, keep: float, segment: int) -> Powers:
    """Return the a-priori signal-to-noise ratio ξ of frames, from γ: see the module.

    Parameters
    ----------
    over_noise
        γ, shaped (frames, bins): whole segments, and a run-in before and after them.
    keep
        α, 0 to 1.
    segment
        In frames.

    Returns
    -------
    Shaped (frames of the whole segments, bins).
    """
    run_in = segment // RUN_IN
    both_ways = np.stack([over_noise, over_noise[::-1]])
    new = np.maximum(both_ways - np.float32(1), 0)
    new *= np.float32(1 - keep)
    both_ways *= np.float32(keep)
    forward, reversed_ = _recursion(both_ways, new, segment)
    backward = reversed_[::-1]
    second = wiener_gain(np.maximum(forward, backward))
    np.square(second, out=second)
    second *= over_noise[run_in:-run_in]
    # √(√(f·b)·s): both directions and the second step have a say, and none a veto.
    forward *= backward
    np.sqrt(forward, out=forward)
    forward *= second
    return np.asarray(np.sqrt(forward, out=forward))


def wiener_gain(ratio: Powers) -> BinGains:
    """Return ξ/(1 + ξ)."""
    return np.asarray(ratio / (ratio + np.float32(1)))


def _recursion(kept: Powers, new: Powers, segment: int) -> Powers:
    """Return ξ by the recursion over all segments at once, both ways.

    Parameters
    ----------
    kept, new
        α·γ and (1 − α)·max(γ − 1, 0), shaped (ways, frames, bins).
    """
    run_in = segment // RUN_IN
    ratio = np.empty_like(new[:, 2 * run_in :])
    frames = ratio.shape[1]
    now = new[:, 0:frames:segment].copy()
    gain = np.empty_like(now)
    for i in range(1, run_in + segment):
        np.add(now, 1, out=gain)
        np.divide(now, gain, out=gain)
        np.multiply(gain, gain, out=gain)
        np.multiply(gain, kept[:, i - 1 : i - 1 + frames : segment], out=gain)
        np.add(gain, new[:, i : i + frames : segment], out=now)
        if i >= run_in:
            ratio[:, i - run_in :: segment] = now
    return ratio


def segment_frames(hop_length: int) -> int:
    """Return how many frames a segment has."""
    return min(SEGMENT, batch_frames(hop_length))

"""Downward expander: a gain that falls with the level below the threshold, instead of two states.

Static curve
------------
Let x be the level in dB relative to the threshold, R the ratio and W the width of the knee in dB.
Above the threshold an expander changes nothing; below, a level that falls by 1 dB falls by R dB in
the output. Output minus input is the gain: 0 above, and (R − 1)·x below. This is the mirror image
of the curve of a compressor, whose gain is (1/R − 1)·x above the threshold (Giannoulis, Massberg
and Reiss, Digital dynamic range compressor design, 2012, equations 2 to 4).

A soft knee replaces the corner at x = 0 by the parabola with the values and slopes of the two lines
at x = ±W/2: it must vanish with its slope at W/2, so it is a·(x − W/2)², and its slope at −W/2,
−2·a·W, must be R − 1. Hence

    g(x) = 0                                   for x ≥ W/2,
    g(x) = −(R − 1)·(x − W/2)² / (2·W)         for −W/2 < x < W/2,
    g(x) = (R − 1)·x                           for x ≤ −W/2.

At −W/2 the second line is −(R − 1)·W/2, the value of the third. The range limits the gain from
below. As R grows without limit, the gain without a knee becomes the gain of a gate.

Hysteresis and durations
------------------------
A gate with threshold t has a mask. The masks of all thresholds are nested: a higher threshold opens
fewer frames. They define one level per frame, the highest threshold at which that gate is open. The
expander applies its curve to this level, so hysteresis, minimum durations and hold have the same
meaning as in a gate: the level exceeds t exactly where a gate with threshold t is open. Each
operation on masks has a counterpart on levels: hysteresis lets the level lag behind when it falls,
the minimum durations are a morphological closing and an opening, and the hold is a running maximum.

The fades are those of the gate as well. A frame of gain g keeps its surroundings at g within the
lookahead, and fades to the closed gain beyond; the largest of these gains counts in each frame.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.gain.envelope import Gains, fade
from noisegate_cli.gating.gain.mask import DetectorValues
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import from_db, to_db


def expander_gain_db(level_db: ArrayLike, ratio: float, knee_db: float) -> NDArray[np.float64]:
    """Return the gain in dB of the static curve in the docstring of this module.

    Parameters
    ----------
    level_db
        Level relative to the threshold, in dB; minus infinity is digital silence.
    ratio
        Above 1: decibels in the output for each decibel in the input, below the threshold.
    knee_db
        Width of the knee in dB, 0 or more.

    Examples
    --------
    >>> expander_gain_db([-20, -10, 0, 10], ratio=2, knee_db=0)
    array([-20., -10.,   0.,   0.])
    >>> expander_gain_db([-4, -2, 0, 2, 4], ratio=3, knee_db=8)
    array([-8. , -4.5, -2. , -0.5,  0. ])
    """
    level = np.asarray(level_db, np.float64)
    slope, half = ratio - 1, knee_db / 2
    # A very large ratio attenuates to minus infinity; the knee is used only where it is finite.
    with np.errstate(over="ignore"):
        knee = -slope * (level - half) ** 2 / (2 * knee_db) if knee_db else level
        return np.where(np.abs(level) < half, knee, slope * np.minimum(level, 0.0))


class LaggingLevel(BlockProcessor[DetectorValues, DetectorValues]):
    """Let levels follow a rise at once, and a fall only when it exceeds a factor.

    This is hysteresis at all thresholds at once, known as play or backlash: the output exceeds t
    where `Hysteresis(t, t / factor)` is open.

    Examples
    --------
    >>> levels = np.array([[1.0], [4.0], [3.0], [1.0], [2.0]])
    >>> LaggingLevel(2).process(levels).ravel()
    array([1., 4., 4., 2., 2.])
    """

    def __init__(self, factor: float, gates: int = 1) -> None:
        self._factor = factor
        self._level = np.zeros((1, gates))

    def process(self, values: DetectorValues, last: bool = False) -> DetectorValues:  # noqa: ARG002
        """Return the levels of `values`, shaped (frames, gates), without delay."""
        # Each frame clips the level before it to an interval. Intervals that follow each other
        # combine to one, so that a prefix scan needs few steps.
        low = np.concatenate([self._level, values])
        high = np.concatenate([self._level, values * self._factor])
        shift = 1
        while shift < len(low):
            earlier = low[:-shift], high[:-shift]
            combined = [np.clip(edge, low[shift:], high[shift:]) for edge in earlier]
            low, high = (
                np.concatenate([edge[:shift], new])
                for edge, new in zip((low, high), combined, strict=True)
            )
            shift *= 2
        self._level = low[-1:]
        return low[1:]


class LevelClosing(BlockProcessor[DetectorValues, DetectorValues]):
    """Fill dips of levels that are shorter than `frames`, up to the lower of their two sides.

    This is `MinRunLength(False, frames)` at all thresholds at once. A dip at either end of the
    recording is never filled. The output lags behind the input by `frames` − 1 frames.

    Examples
    --------
    >>> levels = np.array([[1.0], [5.0], [2.0], [4.0], [0.0]])
    >>> LevelClosing(2).process(levels, last=True).ravel()
    array([1., 5., 4., 4., 0.])
    """

    def __init__(self, frames: int, gates: int = 1) -> None:
        self._context = max(0, frames - 1)
        self._levels = np.full((self._context, gates), -np.inf)
        self._maxima = np.zeros((0, gates))

    def process(self, values: DetectorValues, last: bool = False) -> DetectorValues:
        """Return the levels that are final, shaped (frames, gates)."""
        after = np.full((self._context if last else 0, values.shape[1]), -np.inf)
        levels = np.concatenate([self._levels, values, after])
        maxima = np.concatenate([self._maxima, running_maximum(levels, self._context + 1)])
        closed = -running_maximum(-maxima, self._context + 1)
        self._levels, self._maxima = (
            levels[len(levels) - self._context :],
            maxima[len(closed) :],
        )
        return closed


class LevelOpening(BlockProcessor[DetectorValues, DetectorValues]):
    """Cut peaks of levels that are shorter than `frames`, down to the higher of their two sides.

    This is `MinRunLength(True, frames)` at all thresholds at once; see `LevelClosing`.
    """

    def __init__(self, frames: int, gates: int = 1) -> None:
        self._closing = LevelClosing(frames, gates)

    def process(self, values: DetectorValues, last: bool = False) -> DetectorValues:
        """Return the levels that are final, shaped (frames, gates)."""
        return -self._closing.process(-values, last)


class LevelHold(BlockProcessor[DetectorValues, DetectorValues]):
    """Hold each level for some frames, unless a higher one follows."""

    def __init__(self, frames: int, gates: int = 1) -> None:
        self._levels = np.full((frames, gates), -np.inf)

    def process(self, values: DetectorValues, last: bool = False) -> DetectorValues:  # noqa: ARG002
        """Return the held levels of `values`, shaped (frames, gates), without delay."""
        hold = len(self._levels)
        levels = np.concatenate([self._levels, values])
        self._levels = levels[len(levels) - hold :]
        return running_maximum(levels, hold + 1)


class GainFades(BlockProcessor[Gains, Gains]):
    """Extend gains into the frames around them, with the fades of `Envelope`.

    Gains of 1 and `closed_gain` give exactly the gains of `Envelope`. The output lags behind the
    input by `lookahead` + `attack` frames.

    Parameters
    ----------
    lookahead, attack, release, closed_gain, gates
        As in `Envelope`.
    """

    def __init__(
        self, lookahead: int, attack: float, release: float, closed_gain: float, gates: int = 1
    ) -> None:
        self._closed_gain, self._lookahead = closed_gain, lookahead
        # Shares of the distance from the closed gain; the first is 1, the last 0.
        self._before, self._after = fade(attack, 0.0)[1:-1], fade(release, 0.0)[1:-1]
        self._future = lookahead + len(self._before)
        self._gains = np.full((len(self._after), gates), closed_gain)

    def process(self, gains: Gains, last: bool = False) -> Gains:
        """Return the gains that `gains`, shaped (frames, gates), complete."""
        end = np.full((self._future if last else 0, gains.shape[1]), self._closed_gain)
        gains = np.concatenate([self._gains, gains, end])
        past = len(self._after)
        frames = max(0, len(gains) - past - self._future)
        self._gains = gains[frames:]
        nearby = gains[past : past + frames + self._lookahead]
        faded = running_maximum(nearby, self._lookahead + 1).copy()
        for distance, share in enumerate(self._before, self._lookahead + 1):
            self._raise(faded, gains[past + distance :], share)
        for distance, share in enumerate(self._after, 1):
            self._raise(faded, gains[past - distance :], share)
        return faded

    def _raise(self, faded: Gains, gains: Gains, share: float) -> None:
        """Raise `faded` in place to a share of the gains at a distance."""
        closed = self._closed_gain
        np.maximum(faded, closed + (gains[: len(faded)] - closed) * share, out=faded)


class Expander(BlockProcessor[DetectorValues, Gains]):
    """Compute the gains of an expander from the levels of frames.

    Parameters
    ----------
    open_above, close_below
        Linear levels at which a gate would open and close; the threshold is the first. If it is not
        positive, any sound is above it.
    timing
        Timing of the gate. The fades are not used here, see `GainFades`.
    ratio, knee_db
        Static curve, see `expander_gain_db`.
    closed_gain
        Lowest linear gain.
    gates
        Number of gates.

    Examples
    --------
    10 dB below the threshold, 20 dB below it and above it, with a ratio of 2:

    >>> timing = Timing(16, 8, 0, 0, hold=0, lookahead=0, attack=0, release=0)
    >>> expander = Expander(0.1, 0.1, timing, ratio=2, knee_db=0, closed_gain=0.0)
    >>> levels = np.array([[0.1 * 10**-0.5], [0.01], [0.5]])
    >>> expander.process(levels, last=True).ravel().round(6)
    array([0.316228, 0.1     , 1.      ])
    """

    def __init__(
        self,
        open_above: float,
        close_below: float,
        timing: Timing,
        ratio: float,
        knee_db: float,
        closed_gain: float,
        gates: int = 1,
    ) -> None:
        self._threshold, self._closed_gain = open_above, closed_gain
        self._ratio, self._knee_db = ratio, knee_db
        factor = open_above / close_below if close_below > 0 else 1.0
        self._stages: list[BlockProcessor[DetectorValues, DetectorValues]] = [
            LaggingLevel(factor, gates),
            LevelClosing(timing.min_closed, gates),
            LevelOpening(timing.min_open, gates),
            LevelHold(timing.hold, gates),
        ]

    def process(self, values: DetectorValues, last: bool = False) -> Gains:
        """Return the gains that `values`, shaped (frames, gates), complete."""
        for stage in self._stages:
            values = stage.process(values, last)
        if self._threshold <= 0:
            return np.where(values > self._threshold, 1.0, self._closed_gain)
        level_db = to_db(np.maximum(values, 0) / self._threshold)
        gains = from_db(expander_gain_db(level_db, self._ratio, self._knee_db))
        return np.maximum(gains, self._closed_gain)


def running_maximum(values: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Return the maximum of each window of some frames that lies within `values`.

    Examples
    --------
    >>> running_maximum(np.array([1.0, 3.0, 2.0, 0.0, 1.0]), 3)
    array([3., 3., 2.])
    """
    width = 1
    while width < frames:
        # A window is the union of two shorter ones.
        step = min(width, frames - width)
        values = np.maximum(values[:-step], values[step:])
        width += step
    return values

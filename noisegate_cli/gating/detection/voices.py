"""Find the voices of a recording: how much each moment resembles one.

The logarithm of the odds that a frame is a voice is a weighted sum of its features. The weights
were fitted by logistic regression to mixtures of speech and events such as keys and doors, where
the best frame near each sound had to separate speech from events (multiple-instance learning).
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.voicing import (
    MIN_PERIODICITY,
    Voicing,
    create_voiced_runs,
)
from noisegate_cli.gating.frames.chunked_values import CHUNK_ROWS, ChunkedValues
from noisegate_cli.gating.frames.running_mean import RunningMean
from noisegate_cli.samples import to_db

BIAS = -13.1
"""Log odds of a frame whose features are all 0."""

PERIODICITY_WEIGHT, MAX_PERIODICITY = 13.8, 0.7
"""Weight of the periodicity, and the value above which it counts no more."""

SIMILARITY_WEIGHT, MAX_SIMILARITY = 13.6, 0.8
"""Weight of the similarity to the previous frame, and the value above which it counts no more.
Voices change slowly, and clatter does not."""

CRY_WEIGHT, MIN_CRY_PERIODICITY = -57.0, 0.7
"""Weight of the periodicity at pitches that are too high for a voice, and the value from which it
counts."""

LEVEL_WEIGHT, MIN_LEVEL_DB, MAX_LEVEL_DB = 0.34, -18.0, -8.0
"""Weight per dB of the periodic level relative to loud voices, and its limits. A lower level counts
no less, because a second voice may be quiet."""

BAND_WEIGHT, MAX_BAND_DB = 0.58, -3.0
"""Weight per dB of the level of the voiced band relative to the level of all frequencies, compared
with loud voices, and the value above which it counts no more."""

DEVIATION_WEIGHT, MIN_DEVIATION = 15.0, 0.15
"""Weight of the amount by which the standard deviation of the periodicity around a frame is below
the minimum. Speech alternates between voiced and unvoiced sounds; a cry or a squeak does not."""

DEVIATION_FRAMES = 19
"""Number of frames in which deviations are measured: 0.3 s, a syllable and its neighbors."""

SHARE_FRAMES = 37
"""Number of frames in which the share of voices is measured, 0.6 s."""

LOUD_QUANTILE = 0.8
"""Quantile of the levels of voiced frames that stands for loud voices."""

MIN_VOICED_FRAMES = 20
"""Minimum number of voiced frames from which the level of loud voices is measured."""

LEVEL_SMOOTHING_FRAMES = 3
"""Length of the running mean over the powers of frames."""

MIN_PERIODIC_SHARE = 1e-3
"""Minimum periodicity that is converted to a level."""

CODES_PER_UNIT, MIN_CODED = 256, -200.0
"""Levels in dB and log odds are kept as 16-bit numbers of steps of 1/256 from here, up to 56. The
silence of `voicing.MIN_VOICED_ENERGY` has this level."""

STEADY_CODES_PER_UNIT = 64
"""The log odds that steady sounds lose are kept as 8-bit numbers of steps of 1/64."""

VARIATION_CODES_PER_UNIT = 255
"""The variation, at most 1, is kept as 8-bit numbers of steps of 1/255."""

Values = NDArray[np.float64]
"""Shaped (hops,)."""


class Voices(NamedTuple):
    """The voices in some adjacent hops of one gate; the arrays are shaped (hops,)."""

    first: int
    """Index of the first hop."""
    log_odds: Values
    """Logarithm of the odds that the hop is a voice."""
    is_voiced: NDArray[np.bool_]
    """Whether the hop is periodic at the pitch of a voice."""
    level_db: Values
    """Level of the hop relative to loud voices."""
    periodic_db: Values
    """Periodic level of the hop relative to loud voices."""
    steady_log_odds: Values
    """What the log odds lose because the periodicity hardly changes around the hop, at most 0."""
    variation: Values
    """Standard deviation of the similarity around the hop."""


class VoiceRecord(BlockProcessor[Voicing, None]):
    """Record what distinguishes voices from other sounds in one gate, in 11 bytes per hop.

    How loud the voices are is known only at the end. Until then, the levels are kept, and the part
    of the log odds that does not depend on levels.

    Parameters
    ----------
    hop_s
        Distance between the hops in seconds.
    """

    def __init__(self, hop_s: float) -> None:
        self._runs = create_voiced_runs(hop_s)
        self._smoothed_powers = RunningMean(LEVEL_SMOOTHING_FRAMES)
        self._is_voiced = ChunkedValues(np.bool_)
        self._shape_log_odds, self._periodic_db, self._band_db, self._level_db = (
            ChunkedValues(np.uint16) for _ in range(4)
        )
        self._moments = RunningMean(DEVIATION_FRAMES)
        self._steadiness, self._variation = (ChunkedValues(np.uint8) for _ in range(2))

    def __len__(self) -> int:
        return len(self._shape_log_odds)

    @np.errstate(over="ignore", invalid="ignore")
    def process(self, block: Voicing, last: bool = False) -> None:
        """Record features shaped (hops,)."""
        periodicity = block.periodicity.astype(np.float64)
        is_periodic = periodicity[:, None] > MIN_PERIODICITY
        self._is_voiced.append(self._runs.process(is_periodic, last)[:, 0])
        self._shape_log_odds.append(
            _encode(
                BIAS
                + PERIODICITY_WEIGHT * _limit(periodicity, 0, MAX_PERIODICITY)
                + SIMILARITY_WEIGHT * _limit(block.similarity, 0, MAX_SIMILARITY)
                + CRY_WEIGHT
                * (_limit(block.cry_periodicity, MIN_CRY_PERIODICITY, 1) - MIN_CRY_PERIODICITY)
            )
        )
        periodic_db = 10 * np.log10(_limit(periodicity, MIN_PERIODIC_SHARE, 1))
        self._periodic_db.append(_encode(block.band_db + periodic_db))
        self._band_db.append(_encode(block.band_db))
        powers = 10 ** (block.level_db.astype(np.float64) / 10)
        level_db = to_db(np.sqrt(self._smoothed_powers.process(powers, last)))
        self._level_db.append(_encode(level_db))
        values = np.stack([_limit(periodicity, 0, 1), block.similarity], axis=1)
        moments = self._moments.process(np.concatenate([values, values**2], axis=1), last)
        deviations = np.sqrt(np.maximum(moments[:, 2:] - moments[:, :2] ** 2, 0))
        self._steadiness.append(_encode_steadiness(deviations[:, 0]))
        self._variation.append(_encode_byte(VARIATION_CODES_PER_UNIT * deviations[:, 1]))

    @cached_property
    def loud_db(self) -> tuple[float, float] | None:
        """Level of loud voices, and their periodic level; None if hardly anything is voiced."""
        count = sum(int(is_voiced.sum()) for is_voiced in self._is_voiced.chunks())
        if count < MIN_VOICED_FRAMES:
            return None
        loud_db, loud_periodic_db = (
            self._find_loud(levels, count) for levels in (self._level_db, self._periodic_db)
        )
        return loud_db, loud_periodic_db

    def _find_loud(self, levels: ChunkedValues, count: int) -> float:
        """Return the `LOUD_QUANTILE` of the levels of the voiced hops, of which there are `count`.

        They are copied one chunk at a time.
        """
        voiced, end = np.empty(count, np.uint16), 0
        for is_voiced, level in zip(self._is_voiced.chunks(), levels.chunks(), strict=True):
            start, end = end, end + int(is_voiced.sum())
            voiced[start:end] = level[is_voiced]
        voiced.sort()
        return float(_decode(voiced[int(LOUD_QUANTILE * (count - 1))]))

    def voices(self, release: bool = False) -> Iterator[Voices]:
        """Yield the voices of all hops in order, if there is a level of loud voices.

        Parameters
        ----------
        release
            Whether to release the memory of the hops that were used.
        """
        if self.loud_db is None:
            return
        loud_db, loud_periodic_db = self.loud_db
        first = 0
        kept = (
            self._is_voiced, self._steadiness, self._variation,
            self._shape_log_odds, self._periodic_db, self._band_db, self._level_db,
        )  # fmt: skip
        for is_voiced, steadiness, variation, *codes in zip(
            *(values.drain() if release else values.chunks() for values in kept), strict=True
        ):
            shape_log_odds, periodic_db, band_db, level_db = map(_decode, codes)
            level_db -= loud_db
            band_db -= loud_periodic_db + level_db
            periodic_db -= loud_periodic_db
            log_odds = (
                shape_log_odds
                + LEVEL_WEIGHT * _limit(periodic_db, MIN_LEVEL_DB, MAX_LEVEL_DB)
                + BAND_WEIGHT * np.minimum(band_db, MAX_BAND_DB)
            )
            steady_log_odds = steadiness / -STEADY_CODES_PER_UNIT
            varied = variation / VARIATION_CODES_PER_UNIT
            yield Voices(first, log_odds, is_voiced, level_db, periodic_db, steady_log_odds, varied)
            first += len(is_voiced)


def measure_shares(is_voice: ChunkedValues) -> Iterator[Values]:
    """Yield the share of true values around each hop; the ends are repeated."""
    half, count = SHARE_FRAMES // 2, len(is_voice)
    for first in range(0, count, CHUNK_ROWS):
        end = min(first + CHUNK_ROWS, count)
        hops = np.clip(np.arange(first - half - 1, end + half), 0, count - 1)
        sums = np.cumsum(is_voice.take(hops))
        yield np.asarray((sums[SHARE_FRAMES:] - sums[:-SHARE_FRAMES]) / SHARE_FRAMES)


def _limit(
    values: NDArray[np.floating[Any]], lowest: float, highest: float
) -> NDArray[np.floating[Any]]:
    """Return the values within limits: `numpy.clip` takes several times as long for few values."""
    return np.asarray(np.minimum(np.maximum(values, lowest), highest))


def _encode_steadiness(deviation: Values) -> NDArray[np.uint8]:
    """Return what steady sounds lose, from the deviation of the periodicity."""
    return _encode_byte(STEADY_CODES_PER_UNIT * DEVIATION_WEIGHT * (MIN_DEVIATION - deviation))


def _encode_byte(codes: Values) -> NDArray[np.uint8]:
    # The deviation is not a number where samples overflow.
    return np.rint(np.minimum(np.fmax(codes, 0), 255)).astype(np.uint8)


def _encode(values: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    codes = np.rint((values - MIN_CODED) * CODES_PER_UNIT)
    # Values that are not a number, because samples overflow, count as the lowest one.
    return np.asarray(np.minimum(np.fmax(codes, 0), (1 << 16) - 1), np.uint16)


def _decode(codes: NDArray[np.integer[Any]]) -> Values:
    return np.asarray(codes / CODES_PER_UNIT + MIN_CODED)

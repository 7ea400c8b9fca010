"""Evidence for speech in addition to the spectrum: a term of the score at each moment.

A sound near a voice belongs to speech. The log odds of a voice also count for the sounds around it.
They decrease with distance, and are lower for a sound that is louder than the voice. If they are
below what the sound requires, the score is lowered by the difference.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.chunked_values import ChunkedValues
from noisegate_cli.gating.frames.quantile import quantile

BEFORE_PER_S, AFTER_PER_S = 10.0, 16.0
"""Log odds that are lost with each second before and after a voice."""

TAIL_PER_S = 7.0
"""Log odds that are lost with each second in the tail of a voice; see `tails.py`."""

LOUDER_WEIGHT, MIN_VOICE_DB = 0.1, -40.0
"""Log odds that are lost with each dB by which a sound is louder than the voice: a distant voice
does not open the gate for a clap. Voices count as no quieter than the least level, relative to loud
ones."""

UNVOICED_LOG_ODDS = 0.5
"""Log odds that are lost outside runs of voiced frames: a snore or thunder resembles a voice only
for a moment."""

MIN_SOUND_LOG_ODDS, PENALTY_WEIGHT = 0.9, 2.0
"""Log odds that a sound requires, and weight of the missing ones in the score."""

MAX_QUIET_DB, MAX_QUIET_RANGE_DB, QUIET_WEIGHT = -10.0, 10.0, 0.4
"""Below this level relative to loud voices, a sound requires lower log odds, by this weight per dB
and within this range: breath and the ends of words are quieter than events."""

MIN_CLEAR_CONTRAST_DB, CONTRAST_WEIGHT = 15.5, 0.55
"""Below this contrast, noise masks voices, and a sound requires less, by this weight per dB."""

SHARE_WEIGHT, VARIATION_WEIGHT, NEEDED_AROUND = 9.8, 12.6, 2.6
"""Weights of the share of voices around a sound and of the variation of the spectrum there, and
their sum below which a sound loses what is missing: an event between words is a single sound, and a
word has voices on at least one side."""

FULL_CONTRAST_DB = 23.5
"""The surroundings count fully from this contrast, and not at all below `MIN_CLEAR_CONTRAST_DB`,
where noise hides voices and their variation."""

MIN_AROUND_DB, FULL_AROUND_DB = -30.0, -20.0
"""Levels relative to loud voices between which the surroundings count more and more: those of a
quiet second voice resemble voices less."""

MAX_PENALTY = 30.0
"""Maximum amount that is subtracted from the score."""

SPEECH_BIAS, SPEECH_ODDS_WEIGHT, MAX_SPEECH_LOG_ODDS = -5.0, 1.3, 5.0
"""With the speech detector: log odds of a voice if all others are 0, weight of the log odds of the
detector, and limit of the latter."""

VOICE_ODDS_WEIGHT = 0.5
"""Weight of the log odds of voices if the speech detector is used too: it misses quiet voices."""

BURIED_LOW_QUANTILE, BURIED_QUANTILE, BURIED_SPREADS = 0.1, 0.25, 4.0
MIN_BURIED_LOG_ODDS = -5.0
"""Noise hides a voice where the log odds exceed the least log odds, and exceed the second quantile
of the log odds of noise by this multiple of the distance of the two quantiles. Both quantiles are
low because hidden voices can fill more than half of the supposed noise. Noise that itself resembles
voices, such as babble, has a high limit."""

CERTAIN_PROBABILITY, SPEECH_WEIGHT = 0.95, 0.3
"""Beyond this probability the score rises by the log odds times the weight. The detector reaches
0.5 to 0.9 in the short pauses between words too."""

MAX_LOG_ODDS = 4.0
"""Limit of the log odds beyond the certain probability: the detector alone does not decide."""

EvidenceValues = NDArray[np.float16]
LogOdds = NDArray[np.float64]
"""Shaped (…, hops)."""


class Evidence(NamedTuple):
    """Term that is added to the score of one gate, sampled at regular times."""

    values: ChunkedValues
    """A value for each hop; hop k is centered on sample k·`hop_length`."""
    hop_length: int
    """In samples."""

    def at(self, frames: NDArray[np.int64], frame_hop_length: int) -> NDArray[np.float64]:
        """Return the term at ascending frames that are `frame_hop_length` samples apart.

        Examples
        --------
        >>> values = ChunkedValues(np.float16)
        >>> values.append(np.array([0, -2, -4]))
        >>> evidence = Evidence(values, hop_length=300)
        >>> evidence.at(np.array([0, 1, 2, 5, 6]), frame_hop_length=100)
        array([ 0.,  0., -2., -4., -4.])
        """
        hops = (frames * frame_hop_length + self.hop_length // 2) // self.hop_length
        return self.values.take(np.minimum(hops, len(self.values) - 1)).astype(np.float64)


class LogOddsSpreader:
    """Spread log odds: each hop gets the highest of any hop, minus what the distance costs.

    Parameters
    ----------
    hop_s
        Distance between the hops in seconds.
    chunks
        The log odds of all hops, in the chunks that `spread` receives afterwards.

    Examples
    --------
    The fourth hop is in a tail in the second case:

    >>> log_odds, is_tail = np.array([-20.0, -20.0, 9.0, -20.0, 2.0]), np.arange(5) == 3
    >>> LogOddsSpreader(0.5, [log_odds]).spread(log_odds, np.zeros(5, bool))
    array([-1.,  4.,  9.,  1.,  2.])
    >>> LogOddsSpreader(0.5, [log_odds]).spread(log_odds, is_tail)
    array([-1. ,  4. ,  9. ,  5.5,  2. ])
    """

    def __init__(self, hop_s: float, chunks: Iterable[LogOdds]) -> None:
        self._hop_s, self._hops, self._lost_after = hop_s, 0, 0.0
        first, highest = 0, []
        for chunk in chunks:
            hops = chunk.shape[-1]
            lost = BEFORE_PER_S * (hop_s * (first + np.arange(hops)))
            highest.append((chunk - lost).max(axis=-1, keepdims=True))
            first += hops
        # The highest value of all hops before a chunk, and after each chunk.
        self._before = np.full_like(highest[0], -np.inf)
        after = np.maximum.accumulate([self._before, *highest[:0:-1]])
        self._after = iter(after[::-1])

    def spread(self, log_odds: LogOdds, is_tail: NDArray[np.bool_]) -> LogOdds:
        """Return the spread log odds of the next chunk.

        Parameters
        ----------
        log_odds
            Log odds of the hops.
        is_tail
            Whether each hop belongs to the tail of a voice.
        """
        hops = log_odds.shape[-1]
        seconds = self._hop_s * (self._hops + np.arange(hops))
        lost_per_hop = self._hop_s * np.where(is_tail, TAIL_PER_S, AFTER_PER_S)
        lost = np.cumsum(np.concatenate([[self._lost_after], lost_per_hop]))[1:]
        self._lost_after = lost[-1]
        after = np.maximum(np.maximum.accumulate(log_odds + lost, axis=-1), self._before)
        self._before = after[..., -1:]
        self._hops += hops
        gained = BEFORE_PER_S * seconds
        before = np.maximum.accumulate((log_odds - gained)[..., ::-1], axis=-1)[..., ::-1]
        before = np.maximum(before, next(self._after))
        return np.asarray(np.maximum(after - lost, before + gained))


def lower_unvoiced(log_odds: LogOdds, is_voiced: NDArray[np.bool_]) -> LogOdds:
    """Return log odds that are lower outside runs of voiced frames.

    Examples
    --------
    >>> lower_unvoiced(np.array([1.0, 1.0]), np.array([True, False]))
    array([1. , 0.5])
    """
    return np.asarray(log_odds - UNVOICED_LOG_ODDS * ~is_voiced)


def add_level(log_odds: LogOdds, voice_db: NDArray[np.float64]) -> LogOdds:
    """Return log odds that are higher for louder voices, to be spread.

    Minus `LOUDER_WEIGHT` per dB of the level of another sound, they are what the voices contribute
    to that sound. `voice_db` is relative to loud voices.
    """
    return np.asarray(log_odds + LOUDER_WEIGHT * np.clip(voice_db, MIN_VOICE_DB, 0))


def weigh_surroundings(
    share: NDArray[np.float64],
    variation: NDArray[np.float64],
    level_db: NDArray[np.float64],
    contrast_db: float,
) -> LogOdds:
    """Return the log odds that sounds lose because of their surroundings, at most 0.

    Parameters
    ----------
    share
        Share of voices around each hop.
    variation
        Standard deviation of the similarity of the spectrum around each hop.
    level_db
        Level of each hop relative to loud voices.
    contrast_db
        Contrast of the recording.

    Examples
    --------
    A loud sound in speech, one alone, and the same sound if it is quiet:

    >>> share, level_db = np.array([0.5, 0.0, 0.0]), np.array([-5.0, -5.0, -40.0])
    >>> weigh_surroundings(share, np.full(3, 0.1), level_db, contrast_db=30).round(2)
    array([ 0.  , -1.34, -0.  ])
    """
    around = SHARE_WEIGHT * share + VARIATION_WEIGHT * variation - NEEDED_AROUND
    loud = (level_db - MIN_AROUND_DB) / (FULL_AROUND_DB - MIN_AROUND_DB)
    clear = (contrast_db - MIN_CLEAR_CONTRAST_DB) / (FULL_CONTRAST_DB - MIN_CLEAR_CONTRAST_DB)
    return np.asarray(np.minimum(around, 0) * np.clip(loud, 0, 1) * min(max(clear, 0.0), 1.0))


def compute_penalty(
    log_odds: LogOdds, with_level: LogOdds, level_db: NDArray[np.float64], contrast_db: float
) -> EvidenceValues:
    """Return the term of the score, at most 0, from spread log odds.

    Parameters
    ----------
    log_odds
        Log odds of voices, spread over the sounds around them.
    with_level
        The same with the level of the voices, from `add_level`.
    level_db
        Level of each hop relative to loud voices.
    contrast_db
        Contrast of the recording.
    """
    needed = MIN_SOUND_LOG_ODDS - CONTRAST_WEIGHT * max(0.0, MIN_CLEAR_CONTRAST_DB - contrast_db)
    log_odds = np.minimum(log_odds, with_level - LOUDER_WEIGHT * level_db)
    quiet = np.clip(MAX_QUIET_DB - level_db, 0, MAX_QUIET_RANGE_DB)
    excess = log_odds + QUIET_WEIGHT * quiet - needed
    return np.asarray(np.clip(PENALTY_WEIGHT * excess, -MAX_PENALTY, 0), np.float16)


def find_buried(log_odds: LogOdds, is_noise: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which frames resemble voices more than noise does.

    Examples
    --------
    >>> log_odds = np.array([-14.0, -12, -13, -14, -1, 2])
    >>> find_buried(log_odds, is_noise=np.array([1, 1, 1, 1, 1, 0], bool))
    array([False, False, False, False,  True,  True])
    """
    if not is_noise.any():
        return np.zeros(len(log_odds), np.bool_)
    lowest, low = quantile(log_odds[is_noise], [BURIED_LOW_QUANTILE, BURIED_QUANTILE])
    limit = max(MIN_BURIED_LOG_ODDS, float(low + BURIED_SPREADS * (low - lowest)))
    return np.asarray(log_odds > limit)


def speech_log_odds(probability: NDArray[np.float64]) -> LogOdds:
    """Return the log odds of a voice at a probability of speech."""
    limited = np.clip(_logit(probability), -MAX_SPEECH_LOG_ODDS, MAX_SPEECH_LOG_ODDS)
    return np.asarray(SPEECH_BIAS + SPEECH_ODDS_WEIGHT * limited)


def add_voices(log_odds: LogOdds, voice_log_odds: LogOdds) -> LogOdds:
    """Return the log odds of the speech detector with those of the sound of a voice."""
    return np.asarray(log_odds + VOICE_ODDS_WEIGHT * voice_log_odds)


def speech_bonus(probability: NDArray[np.float64]) -> EvidenceValues:
    """Return the term of the score at a probability of speech."""
    certain = np.log(CERTAIN_PROBABILITY / (1 - CERTAIN_PROBABILITY))
    excess = np.clip(_logit(probability) - certain, 0, MAX_LOG_ODDS)
    return np.asarray(SPEECH_WEIGHT * excess, np.float16)


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    limited = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(limited / (1 - limited)))

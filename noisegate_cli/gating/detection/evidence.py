"""Evidence for speech besides the spectrum: a term of the score at each moment.

A sound near a voice belongs to speech. The log odds of a voice count for the sounds around it, less
with the distance. If they are too low, the score is lowered by what is missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.chunked_values import ChunkedValues

BEFORE_PER_S, AFTER_PER_S = 14.0, 20.0
"""Log odds that are lost with each second before and after a voice."""

MIN_SOUND_LOG_ODDS, PENALTY_WEIGHT = 1.0, 2.0
"""Log odds that a sound needs, and weight of the missing ones in the score."""

MAX_QUIET_DB, MAX_QUIET_RANGE_DB, QUIET_WEIGHT = -10.0, 20.0, 0.4
"""Below this level relative to loud voices a sound needs less log odds, by this weight per dB and
within this range: breath and the ends of words are quieter than events."""

MIN_CLEAR_CONTRAST_DB, CONTRAST_WEIGHT = 15.0, 0.6
"""Below this contrast noise hides voices, and a sound needs less, by this weight per dB."""

MAX_PENALTY = 30.0
"""Greatest amount that is subtracted from the score."""

SPEECH_BIAS, SPEECH_ODDS_WEIGHT, MAX_SPEECH_LOG_ODDS = -6.0, 1.3, 5.0
"""Log odds of a voice if the speech detector is undecided, weight of its own log odds, and their
limit."""

CERTAIN_PROBABILITY, SPEECH_WEIGHT = 0.9, 0.3
"""Beyond this probability the score rises by the log odds times the weight. The detector reaches
0.5 to 0.9 in the short pauses between words too."""

MAX_LOG_ODDS = 4.0
"""Limit of the log odds beyond the certain probability: the detector alone does not decide."""

EvidenceValues = NDArray[np.float16]
LogOdds = NDArray[np.float64]
"""Shaped (hops,)."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Term that is added to the score of one gate, sampled at regular times."""

    values: ChunkedValues
    """A value for each hop; hop k is centred on sample k·`hop_length`."""
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
    """Spread log odds: each hop gets the greatest of any hop, less what the distance costs.

    Parameters
    ----------
    hop_s
        Distance of the hops in seconds.
    chunks
        The log odds of all hops, in the chunks that `spread` receives afterwards.

    Examples
    --------
    >>> log_odds = np.array([-20.0, -20.0, 9.0, -20.0, 5.0])
    >>> LogOddsSpreader(0.5, [log_odds]).spread(log_odds)
    array([-5.,  2.,  9., -1.,  5.])
    """

    def __init__(self, hop_s: float, chunks: Iterable[LogOdds]) -> None:
        self._hop_s, self._hops = hop_s, 0
        first, highest = 0, []
        for chunk in chunks:
            lost = BEFORE_PER_S * (hop_s * (first + np.arange(len(chunk))))
            highest.append((chunk - lost).max())
            first += len(chunk)
        # The highest value of all hops before a chunk, and after each chunk.
        self._before = -np.inf
        after = np.maximum.accumulate([-np.inf, *highest[:0:-1]])
        self._after = iter(after[::-1].tolist())

    def spread(self, log_odds: LogOdds) -> LogOdds:
        """Return the spread log odds of the next chunk."""
        seconds = self._hop_s * (self._hops + np.arange(len(log_odds)))
        lost = AFTER_PER_S * seconds
        after = np.maximum(np.maximum.accumulate(log_odds + lost), self._before)
        self._before = after[-1]
        self._hops += len(log_odds)
        gained = BEFORE_PER_S * seconds
        before = np.maximum.accumulate((log_odds - gained)[::-1])[::-1]
        before = np.maximum(before, next(self._after))
        return np.asarray(np.maximum(after - lost, before + gained))


def compute_penalty(
    log_odds: NDArray[np.float64], level_db: NDArray[np.float64], contrast_db: float
) -> EvidenceValues:
    """Return the term of the score, at most 0, from spread log odds.

    Parameters
    ----------
    log_odds
        Log odds that voices vouch for the sound at each hop.
    level_db
        Level of each hop relative to loud voices.
    contrast_db
        Contrast of the recording.
    """
    needed = MIN_SOUND_LOG_ODDS - CONTRAST_WEIGHT * max(0.0, MIN_CLEAR_CONTRAST_DB - contrast_db)
    quiet = np.clip(MAX_QUIET_DB - level_db, 0, MAX_QUIET_RANGE_DB)
    excess = log_odds + QUIET_WEIGHT * quiet - needed
    return np.asarray(np.clip(PENALTY_WEIGHT * excess, -MAX_PENALTY, 0), np.float16)


def speech_log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds of a voice at a probability of speech."""
    limited = np.clip(_logit(probability), -MAX_SPEECH_LOG_ODDS, MAX_SPEECH_LOG_ODDS)
    return np.asarray(SPEECH_BIAS + SPEECH_ODDS_WEIGHT * limited)


def speech_bonus(probability: NDArray[np.float64]) -> EvidenceValues:
    """Return the term of the score at a probability of speech."""
    certain = np.log(CERTAIN_PROBABILITY / (1 - CERTAIN_PROBABILITY))
    excess = np.clip(_logit(probability) - certain, 0, MAX_LOG_ODDS)
    return np.asarray(SPEECH_WEIGHT * excess, np.float16)


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    limited = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(limited / (1 - limited)))

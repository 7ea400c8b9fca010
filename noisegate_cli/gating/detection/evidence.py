"""Evidence for speech besides the spectrum: a term of the score at each moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.gain.mask import Mask, frames_since

MAX_VOICE_DISTANCE_MS = 500.0
"""Consonants before and after a voiced sound are nearer than this."""

MIN_VOICE_CONTRAST_DB, LOUD_NOISE_DISTANCE_MS = 9.0, 700.0
"""With a lower contrast noise hides some of the voiced sounds, and the others are farther apart."""

MAX_SPEECH_DISTANCE_MS = 180.0
"""The same for the speech detector, which hears consonants too."""

PENALTY_PER_S = 20.0
"""Score that is subtracted for each second beyond the distance."""

MIN_SPEECH_PROBABILITY = 0.5
"""Probability above which the speech detector hears speech."""

CERTAIN_PROBABILITY, SPEECH_WEIGHT = 0.9, 0.3
"""Beyond this probability the score rises by the log odds times the weight. The detector reaches
0.5 to 0.9 in the short pauses between words too."""

MAX_LOG_ODDS = 4.0
"""Limit of the log odds beyond the certain probability: the detector alone does not decide."""

MAX_PENALIZED_S = 60.0
"""Distances beyond this do not count, so that the term fits a float16."""

EvidenceValues = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Term that is added to the score of one gate, sampled at regular times."""

    values: EvidenceValues
    """Shaped (hops,); hop k is centred on sample k·`hop_length`."""
    hop_length: int
    """In samples."""

    def at(self, frames: NDArray[np.int64], frame_hop_length: int) -> NDArray[np.float64]:
        """Return the term at frames that are `frame_hop_length` samples apart.

        Examples
        --------
        >>> evidence = Evidence(np.array([0, -2, -4], np.float16), hop_length=300)
        >>> evidence.at(np.array([0, 1, 2, 5, 6]), frame_hop_length=100)
        array([ 0.,  0., -2., -4., -4.])
        """
        hops = (frames * frame_hop_length + self.hop_length // 2) // self.hop_length
        return self.values[np.minimum(hops, len(self.values) - 1)].astype(np.float64)


def compute_distances_s(voiced: Mask, hop_s: float) -> NDArray[np.float64]:
    """Return the distance of each hop from the nearest voiced one, shaped (hops, gates).

    Examples
    --------
    >>> compute_distances_s(np.array([[False], [True], [False], [False]]), hop_s=0.5).ravel()
    array([0.5, 0. , 0.5, 1. ])
    """
    never = np.full(voiced.shape[1], len(voiced))
    after, before = frames_since(voiced, never), frames_since(voiced[::-1], never)[::-1]
    return np.asarray(np.minimum(after, before) * hop_s)


def distance_penalty(distance_s: NDArray[np.float64], max_distance_s: float) -> EvidenceValues:
    """Return the term of the score at a distance in seconds from the nearest voice."""
    beyond = np.maximum(0, distance_s - max_distance_s)
    return np.asarray(-PENALTY_PER_S * np.minimum(beyond, MAX_PENALIZED_S), np.float16)


def speech_bonus(probability: NDArray[np.float64]) -> EvidenceValues:
    """Return the term of the score at a probability of speech."""
    limited = np.clip(probability, 1e-6, 1 - 1e-6)
    log_odds = np.log(limited / (1 - limited))
    certain = np.log(CERTAIN_PROBABILITY / (1 - CERTAIN_PROBABILITY))
    return np.asarray(SPEECH_WEIGHT * np.clip(log_odds - certain, 0, MAX_LOG_ODDS), np.float16)

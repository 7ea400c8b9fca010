"""Evidence for speech besides the spectrum: a term of the score at each moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.gain.mask import Mask, frames_since

MAX_VOICE_DISTANCE_MS = 300.0
"""Consonants before and after a voiced sound are nearer than this."""

PENALTY_PER_S = 20.0
"""Score that is subtracted for each second beyond the distance."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Term that is added to the score of one gate, sampled at regular times."""

    values: NDArray[np.float16]
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


def voice_penalty(distance_s: NDArray[np.float64]) -> NDArray[np.float16]:
    """Return the term of the score at a distance in seconds from the nearest voiced sound."""
    beyond = np.maximum(0, distance_s - MAX_VOICE_DISTANCE_MS / 1000)
    return np.asarray(-PENALTY_PER_S * np.minimum(beyond, MAX_PENALIZED_S), np.float16)


MAX_PENALIZED_S = 60.0
"""Distances beyond this do not count, so that the term fits a float16."""

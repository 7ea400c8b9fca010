"""Track the noise in each frequency bin over time."""

import math

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.stft import BinPowers
from noisegate_cli.gating.spectral.noise_frames import SILENT_BIN_POWER, find_undisturbed

NOISE_TIME_CONSTANT_S, NOISE_PRIOR_WEIGHT_S = 2.0, 0.2
"""The noise at a time is a mean of the noise before and after it, weighted exponentially with this
time constant. The noise of the whole recording has the weight of this many seconds in that mean."""


class NoiseTracker:
    """Track the noise over time from the frames in pauses, batch by batch.

    Parameters
    ----------
    mean
        Mean |X|² of the noise of the whole recording, shaped (bins,).
    frames_per_s
        Frames per second.
    segment
        Number of frames that share one estimate.
    """

    def __init__(self, mean: BinPowers, frames_per_s: float, segment: int) -> None:
        self._segment = segment
        self._forgetting_factor = math.exp(-segment / (NOISE_TIME_CONSTANT_S * frames_per_s))
        self._mean = mean
        self._prior = NOISE_PRIOR_WEIGHT_S * frames_per_s * mean
        self._prior_count = NOISE_PRIOR_WEIGHT_S * frames_per_s
        self._sum = np.zeros(len(mean))
        self._count = 0.0

    def track(self, bin_powers: BinPowers, is_noise: NDArray[np.bool_]) -> BinPowers:
        """Return the noise of each segment of `bin_powers`, shaped (segments, bins).

        Parameters
        ----------
        bin_powers
            |X|², shaped (frames, bins); a whole number of segments.
        is_noise
            Which frames contain only noise, shaped (frames,).
        """
        is_noise = is_noise & (bin_powers > SILENT_BIN_POWER).any(axis=1)
        is_noise[is_noise] = find_undisturbed(bin_powers[is_noise], self._mean)
        flags = is_noise.reshape(-1, 1, self._segment)
        segments = bin_powers.reshape(-1, self._segment, bin_powers.shape[1])
        sums = (flags.astype(bin_powers.dtype) @ segments)[:, 0].astype(np.float64)
        counts = flags.sum(axis=(1, 2)).astype(np.float64)
        # The weight of a segment decreases with its distance, before or after. Later batches are
        # not available yet.
        index = np.arange(len(sums))
        weights = self._forgetting_factor ** np.abs(index[:, None] - index)
        past_weights = (self._forgetting_factor ** (index + 1))[:, None]
        total = self._prior + past_weights * self._sum + weights @ sums
        count = self._prior_count + past_weights[:, 0] * self._count + weights @ counts
        self._sum = past_weights[-1] * self._sum + weights[-1] @ sums
        self._count = float(past_weights[-1, 0] * self._count + weights[-1] @ counts)
        return np.asarray(total / count[:, None], bin_powers.dtype)

"""Estimate how the level of noise changes within tenths of a second, under a signal too.

Where there is only noise, γ has an exponential distribution whose mean is the level of the noise,
relative to the noise of the seconds around. Where there is a signal as well, γ is far higher. The
level is the mean of γ, weighted with the probability that there is no signal. That probability
depends on the level, so that both are estimated in turn (expectation maximization).
"""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.stft import BinPowers

NOISE_LEVEL_FRAMES = 11
"""Number of frames over which the level of noise is estimated: 0.18 s at a hop of 16 ms."""

TYPICAL_SIGNAL_RATIO = 31.6
"""SNR of a bin with a signal: 15 dB. A bin is as likely to have one as not."""

LEVEL_STRIDE_GROUPS = 8
"""Stride of the groups of bins from which the level is estimated."""

LEVEL_ITERATIONS = 3
"""Number of estimates of the probabilities and the level."""

MIN_NOISE_LEVEL, MAX_NOISE_LEVEL = 0.3, 4.0
"""Limits of the power of noise, relative to the noise of the seconds around: −5 and 6 dB."""

LEVEL_PRIOR = 0.05
"""Share of bins without a signal that counts for an unchanged level."""

MAX_EXPONENT = 80.0
"""Maximum exponent, which a float32 can represent."""


def estimate_noise_levels(snr: BinPowers) -> NDArray[np.float32]:
    """Return the power of the noise in each frame, relative to the noise in γ.

    Parameters
    ----------
    snr
        γ, shaped (frames, groups).

    Returns
    -------
    ndarray
        Shaped (frames,).
    """
    sampled = np.ascontiguousarray(snr[:, ::LEVEL_STRIDE_GROUPS])
    # Digital silence, as before the beginning and after the end of a recording, does not count.
    is_audible = sampled.any(axis=1)
    width = min(NOISE_LEVEL_FRAMES, len(snr))
    window = np.full(width, 1 / (width * sampled.shape[1]), np.float32)
    slope = TYPICAL_SIGNAL_RATIO / (1 + TYPICAL_SIGNAL_RATIO)
    levels = np.ones(len(snr), np.float32)
    for _ in range(LEVEL_ITERATIONS):
        absence = sampled * (np.float32(slope) / levels)[:, None]
        np.minimum(absence, MAX_EXPONENT, out=absence)
        np.exp(absence, out=absence)
        absence *= np.float32(1 / (1 + TYPICAL_SIGNAL_RATIO))
        absence += np.float32(1)
        np.reciprocal(absence, out=absence)
        share = np.convolve(absence.sum(axis=1) * is_audible, window, mode="same")
        absence *= sampled
        noise = np.convolve(absence.sum(axis=1), window, mode="same")
        ratio = (noise + LEVEL_PRIOR) / (share + LEVEL_PRIOR)
        levels = np.minimum(np.maximum(ratio, MIN_NOISE_LEVEL), MAX_NOISE_LEVEL).astype(np.float32)
    return levels

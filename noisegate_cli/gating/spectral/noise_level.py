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

LEVEL_STRIDE_GROUPS = 4
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
    sampled = snr[:, ::LEVEL_STRIDE_GROUPS]
    slope = TYPICAL_SIGNAL_RATIO / (1 + TYPICAL_SIGNAL_RATIO)
    levels = np.ones(len(snr), np.float32)
    for _ in range(LEVEL_ITERATIONS):
        absence = sampled * (slope / levels).astype(np.float32)[:, None]
        np.minimum(absence, MAX_EXPONENT, out=absence)
        np.exp(absence, out=absence)
        absence *= np.float32(1 / (1 + TYPICAL_SIGNAL_RATIO))
        absence += np.float32(1)
        np.divide(np.float32(1), absence, out=absence)
        noise = _moving_mean(np.einsum("ij,ij->i", absence, sampled) / sampled.shape[1])
        share = _moving_mean(absence.mean(axis=1))
        levels = np.clip(
            (noise + LEVEL_PRIOR) / (share + LEVEL_PRIOR), MIN_NOISE_LEVEL, MAX_NOISE_LEVEL
        )
    return levels.astype(np.float32)


def _moving_mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the means of the frames around each value."""
    half = NOISE_LEVEL_FRAMES // 2
    padded = np.pad(values.astype(np.float64), (half, half), mode="edge")
    return np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")

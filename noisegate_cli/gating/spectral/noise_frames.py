"""Find the frames that contain only noise, from which it can be learned and tracked."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.gating.frames.stft import BinPowers
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.timing import Timing

SILENT_BIN_POWER = 1e-12
"""|X|² that counts as silence: the quantization noise of 16 bits is 10⁴ times larger."""

DISTURBED_LEVEL_RATIO = 20.0
"""A frame with more than this multiple of the median noise level contains more than noise."""

NOISE_GUARD_MS = 30.0
"""Minimum distance between an open frame and a frame that noise is learned from."""


def find_undisturbed(bin_powers: BinPowers, noise: BinPowers) -> NDArray[np.bool_]:
    """Return which noise frames contain no disturbance such as a click, which is much louder.

    Parameters
    ----------
    bin_powers
        |X|² of the frames, shaped (frames, bins).
    noise
        Approximate |X|² of the noise in each bin, shaped (bins,).
    """
    level = bin_powers @ (1 / (noise + np.float32(SILENT_BIN_POWER)))
    return np.asarray(level <= DISTURBED_LEVEL_RATIO * median(level) if len(level) else level > 0)


def create_noise_guard(settings: GateSettings, sample_rate: int, gates: int) -> Envelope:
    """Create an envelope whose gain is 0 in the frames from which noise can be learned."""
    guard_frames = noise_guard_frames(settings.timing(sample_rate), sample_rate)
    return Envelope(guard_frames, 0, guard_frames, 0.0, gates)


def noise_guard_frames(timing: Timing, sample_rate: int) -> int:
    """Return the number of frames next to an open frame that may still contain its sound."""
    return max(1, round(NOISE_GUARD_MS / 1000 * sample_rate / timing.hop_length))

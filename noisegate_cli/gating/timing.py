"""Times in ms converted to samples and frames at a sample rate."""

import math
from dataclasses import dataclass

from noisegate_cli.errors import SettingsError

FRAME_MS = 30.0
"""A frame must span two periods of the lowest voice, 70 Hz, for its RMS to stand still."""


DEFAULT_OVERLAP, MAX_OVERLAP = 4, 64
"""Hops a frame: squared Hann windows add up to a constant from three on, and nothing is gained by
many more."""


MIN_FRAME_LENGTH, MAX_FRAME_LENGTH = 16, 1 << 20
"""Samples."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Settings converted to the sample rate: the one place where ms become samples and frames."""

    frame_length: int
    """Samples in one analysis window."""
    hop_length: int
    """Samples from one frame to the next."""
    min_closed: int
    """Frames that a closing lasts at the least; a shorter one is none."""
    min_open: int
    """Frames that an opening lasts at the least, before the hold; a shorter one is none."""
    hold: int
    """Frames that the gate stays open after the last frame that asked for it."""
    lookahead: int
    """Frames that the gate is fully open before the first frame that asks for it."""
    attack: float
    """Length of the fade-in, in frames; not rounded, so that its shape keeps its time."""
    release: float
    """Length of the fade-out, in frames; not rounded either."""

    @property
    def overlap(self) -> int:
        """Frames that cover each sample."""
        return self.frame_length // self.hop_length


def default_frame_length(sample_rate: int) -> int:
    """Return the power of two at or above 30 ms, in samples."""
    samples = FRAME_MS / 1000 * sample_rate
    power = 1 << math.ceil(math.log2(max(1.0, samples)))
    return min(max(power, MIN_FRAME_LENGTH), MAX_FRAME_LENGTH)


def default_hop_length(frame_length: int) -> int:
    """Return a quarter of the frame, or the next shorter part of it that divides its half."""
    overlaps = range(DEFAULT_OVERLAP, MAX_OVERLAP + 1, 2)
    return frame_length // next((n for n in overlaps if frame_length % n == 0), 2)


def _check_hop(frame: int, hop: int) -> None:
    if frame % 2:
        raise SettingsError(f"frame length {frame} must be even: try frame_length={frame + 1}")
    if frame % (2 * hop):
        raise SettingsError(
            f"hop length {hop} must divide half the frame length {frame}: "
            f"try hop_length={default_hop_length(frame)}"
        )
    if frame > MAX_OVERLAP * hop:
        raise SettingsError(
            f"hop length {hop} is less than a {MAX_OVERLAP}th of the frame length {frame}: "
            f"try hop_length={default_hop_length(frame)}"
        )

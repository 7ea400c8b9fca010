"""Conversion of times in ms to samples and frames at a sample rate."""

import math
from typing import NamedTuple

from noisegate_cli.errors import SettingsError

FRAME_MS = 30.0
"""A frame spans two periods of the lowest voice (70 Hz), so that its RMS does not fluctuate."""


DEFAULT_OVERLAP, MAX_OVERLAP = 4, 64
"""Hops per frame. Squared Hann windows add up to a constant from three hops per frame, and a much
larger overlap has no benefit."""


MAX_TIME_MS = 60_000.0
"""Maximum of every duration in the settings, and of the hysteresis in dB."""


MIN_FRAME_LENGTH, MAX_FRAME_LENGTH = 16, 1 << 20
"""Limits of the frame length, in samples."""


class Timing(NamedTuple):
    """Times of the settings, converted to samples and frames at a sample rate.

    Attributes
    ----------
    frame_length : int
        Samples per analysis frame.
    hop_length : int
        Samples from one frame to the next.
    min_closed : int
        Minimum duration of a closed run in frames; shorter runs stay open.
    min_open : int
        Minimum duration of an open run in frames, before the hold; shorter runs stay closed.
    hold : int
        Frames for which the gate stays open after the last frame that opens it.
    lookahead : int
        Frames for which the gate is fully open before the first frame that opens it.
    attack : float
        Length of the fade-in in frames, not rounded, so that its duration is exact.
    release : float
        Length of the fade-out in frames, not rounded.
    """

    frame_length: int
    hop_length: int
    min_closed: int
    min_open: int
    hold: int
    lookahead: int
    attack: float
    release: float

    @property
    def overlap(self) -> int:
        """Number of frames that cover each sample."""
        return self.frame_length // self.hop_length


def default_frame_length(sample_rate: int) -> int:
    """Return the smallest power of two that spans at least `FRAME_MS`, in samples."""
    samples = FRAME_MS / 1000 * sample_rate
    power = 1 << math.ceil(math.log2(max(1.0, samples)))
    return min(max(power, MIN_FRAME_LENGTH), MAX_FRAME_LENGTH)


def default_hop_length(frame_length: int) -> int:
    """Return a quarter of the frame length, or the next shorter hop that divides half of it."""
    overlaps = range(DEFAULT_OVERLAP, MAX_OVERLAP + 1, 2)
    return frame_length // next((n for n in overlaps if frame_length % n == 0), 2)


def check_hop_length(frame: int, hop: int) -> None:
    """Check that frames of `frame` samples can overlap at every `hop` samples.

    Raises
    ------
    SettingsError
        If the hop does not divide half the frame, or is too short.
    """
    if frame % 2:
        raise SettingsError(f"frame length {frame} must be even: give frame_length={frame + 1}")
    if frame % (2 * hop):
        raise SettingsError(
            f"hop length {hop} must divide half the frame length {frame}: "
            f"give hop_length={default_hop_length(frame)}"
        )
    if frame > MAX_OVERLAP * hop:
        raise SettingsError(
            f"hop length {hop} is less than a {MAX_OVERLAP}th of the frame length {frame}: "
            f"give hop_length={default_hop_length(frame)}"
        )

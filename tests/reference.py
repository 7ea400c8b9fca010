"""The slow, literal oracles: what ngate must equal, written as plainly as possible."""

import math

import librosa
import numpy as np

from noisegate_cli.gating.levels import Samples


def masked_stft(
    y: Samples, threshold: float, frame_length: int, hop_length: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """STFT, frame RMS, zero the frames at or below the threshold, inverse STFT.

    `y` is one channel, floats with full scale 1.0.
    """
    y = np.asarray(y, np.float64)
    spectrum = librosa.stft(y, n_fft=frame_length, hop_length=hop_length, dtype=np.complex128)
    rms = librosa.feature.rms(y=y, frame_length=frame_length, hop_length=hop_length)[0]
    return np.asarray(
        librosa.istft(
            spectrum * (rms > threshold),
            hop_length=hop_length,
            n_fft=frame_length,
            length=len(y),
            dtype=np.float64,
        )
    )


def hysteresis_mask(
    levels: list[float], open_above: float, close_below: float, hold: int
) -> list[bool]:
    """One frame at a time."""
    mask, is_open, left = [], False, 0
    for level in levels:
        if level > open_above:
            is_open = True
        elif level <= close_below:
            is_open = False
        if is_open:
            left = hold + 1
        mask.append(is_open or left > 0)
        left = max(0, left - 1)
        if is_open:
            left = hold
    return mask


def envelope(
    mask: list[bool], lookahead: int, attack: float, release: float, closed: float
) -> list[float]:
    """One frame at a time, the nearest open frames searched for."""

    def faded(distance: float, length: float) -> float:
        if distance <= 0:
            return 1.0
        if distance >= length:
            return closed
        return closed + (1 - closed) * math.cos(math.pi / 2 * distance / length) ** 2

    gains = []
    for k in range(len(mask)):
        before = min((k - i for i in range(k + 1) if mask[i]), default=math.inf)
        after = min((i - k for i in range(k, len(mask)) if mask[i]), default=math.inf)
        gains.append(max(faded(before, release), faded(after - lookahead, attack)))
    return gains

"""The slow, literal oracles: what ngate must equal, written as plainly as possible."""

import math
from itertools import groupby, pairwise

import librosa
import numpy as np

from noisegate_cli.samples import Samples


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


def hysteresis_mask(levels: list[float], open_above: float, close_below: float) -> list[bool]:
    """One frame at a time."""
    mask, is_open = [], False
    for level in levels:
        if level > open_above:
            is_open = True
        elif level <= close_below:
            is_open = False
        mask.append(is_open)
    return mask


def without_short_runs(mask: list[bool], value: bool, frames: int) -> list[bool]:
    """One run at a time; what is at either end may go on outside."""
    result = []
    runs = [(flag, len(list(run))) for flag, run in groupby(mask)]
    for i, (flag, length) in enumerate(runs):
        at_an_end = i in (0, len(runs) - 1)
        short = flag == value and length < frames and not at_an_end
        result += [flag != short] * length
    return result


def held(mask: list[bool], hold: int) -> list[bool]:
    """One frame at a time."""
    return [any(mask[max(0, k - hold) : k + 1]) for k in range(len(mask))]


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


def masked_bins(
    y: Samples, opens_above: float | Samples, frame_length: int, hop_length: int
) -> Samples:
    """STFT, zero the bins whose magnitude is at or below the threshold, inverse STFT.

    `y` is one channel, floats with full scale 1.0; librosa calculates in their type. `opens_above`
    is one magnitude, or one for each bin, shaped (bins, 1).
    """
    spectrum = librosa.stft(y, n_fft=frame_length, hop_length=hop_length)
    mask = np.abs(spectrum) > opens_above
    return np.asarray(
        librosa.istft(spectrum * mask, n_fft=frame_length, hop_length=hop_length, length=len(y))
    )


def decision_directed(a_posteriori_snr: Samples, keep: float) -> Samples:
    """Return the a-priori ratio of Ephraim and Malah with Wiener's gain, one frame at a time."""
    ratios = [(1 - keep) * np.maximum(a_posteriori_snr[0] - 1, 0)]
    for before, now in pairwise(a_posteriori_snr):
        gain = ratios[-1] / (1 + ratios[-1])
        ratios.append(keep * gain**2 * before + (1 - keep) * np.maximum(now - 1, 0))
    return np.array(ratios)

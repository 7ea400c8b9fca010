"""Slow, literal reference implementations that ngate must equal."""

import math
from itertools import groupby, pairwise

import librosa
import numpy as np

from noisegate_cli.samples import Samples


def masked_stft(
    y: Samples, threshold: float, frame_length: int, hop_length: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Transform, zero the frames whose RMS is at or below the threshold, and transform back.

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
    """Apply a hysteresis to one frame at a time."""
    mask, is_open = [], False
    for level in levels:
        if level > open_above:
            is_open = True
        elif level <= close_below:
            is_open = False
        mask.append(is_open)
    return mask


def remove_short_runs(mask: list[bool], value: bool, frames: int) -> list[bool]:
    """Invert each run of `value` that is shorter than `frames`, except at either end."""
    result = []
    runs = [(is_open, len(list(run))) for is_open, run in groupby(mask)]
    for i, (is_open, length) in enumerate(runs):
        touches_an_end = i in (0, len(runs) - 1)
        is_too_short = is_open == value and length < frames and not touches_an_end
        result += [is_open != is_too_short] * length
    return result


def extend_open_runs(mask: list[bool], hold: int) -> list[bool]:
    """Open each frame that has an open frame among the `hold` frames before it."""
    return [any(mask[max(0, k - hold) : k + 1]) for k in range(len(mask))]


def envelope(
    mask: list[bool], lookahead: int, attack: float, release: float, closed: float
) -> list[float]:
    """Search the nearest open frames of each frame, and compute its gain from the distances."""

    def faded_gain(distance: float, length: float) -> float:
        if distance <= 0:
            return 1.0
        if distance >= length:
            return closed
        return closed + (1 - closed) * math.cos(math.pi / 2 * distance / length) ** 2

    gains = []
    for k in range(len(mask)):
        since_open = min((k - i for i in range(k + 1) if mask[i]), default=math.inf)
        until_open = min((i - k for i in range(k, len(mask)) if mask[i]), default=math.inf)
        gains.append(
            max(faded_gain(since_open, release), faded_gain(until_open - lookahead, attack))
        )
    return gains


def expander_gain_db(level_db: float, ratio: float, knee_db: float) -> float:
    """Integrate the slope of the static curve of an expander from high levels down to a level.

    The slope of the gain rises linearly within the knee, from 0 at its upper end to `ratio` − 1.
    """
    steps = 20_000
    top, width = max(level_db, knee_db / 2), max(level_db, knee_db / 2) - level_db
    gain_db = 0.0
    for i in range(steps):
        level = top - (i + 0.5) * width / steps
        share = 0.5 - level / knee_db if knee_db else float(level < 0)
        gain_db -= (ratio - 1) * min(1.0, max(0.0, share)) * width / steps
    return gain_db


def expanded_level(
    levels: list[float], factor: float, durations: tuple[int, int, int]
) -> list[float]:
    """Return the highest threshold at which a gate is open in each frame, or minus infinity.

    `durations` are the minimum closed and open durations and the hold, in frames.
    """
    min_closed, min_open, hold = durations
    best = [-float("inf")] * len(levels)
    # The mask changes only at thresholds that are a level, or the level at which a gate closes.
    candidates = sorted({level * scale for level in levels for scale in (1, factor)})
    for threshold, above in zip([-1.0, *candidates], candidates, strict=False):
        mask = hysteresis_mask(levels, threshold, threshold / factor)
        mask = remove_short_runs(mask, False, min_closed)
        mask = extend_open_runs(remove_short_runs(mask, True, min_open), hold)
        best = [above if is_open else old for is_open, old in zip(mask, best, strict=True)]
    return best


def fade_gains(
    gains: list[float], lookahead: int, attack: float, release: float, closed_gain: float
) -> list[float]:
    """Return the largest gain that each frame gets from any frame, by the distance to it."""

    def share(distance: int) -> float:
        length, beyond = (attack, distance - lookahead) if distance >= 0 else (release, -distance)
        if beyond <= 0:
            return 1.0
        return math.cos(math.pi / 2 * min(beyond / length, 1)) ** 2 if length else 0.0

    return [
        max(closed_gain + (gain - closed_gain) * share(j - k) for j, gain in enumerate(gains))
        for k in range(len(gains))
    ]


def masked_bins(
    y: Samples, open_above: float | Samples, frame_length: int, hop_length: int
) -> Samples:
    """Transform, zero the bins whose magnitude is at or below the threshold, transform back.

    `y` is one channel, floats with full scale 1.0; librosa calculates in their type. `opens_above`
    is one magnitude, or one for each bin, shaped (bins, 1).
    """
    spectrum = librosa.stft(y, n_fft=frame_length, hop_length=hop_length)
    mask = np.abs(spectrum) > open_above
    return np.asarray(
        librosa.istft(spectrum * mask, n_fft=frame_length, hop_length=hop_length, length=len(y))
    )


def decision_directed(a_posteriori_snr: Samples, smoothing_factor: float) -> Samples:
    """Return the a-priori SNR of Ephraim and Malah with the Wiener gain, one frame at a time."""
    a_priori_snrs = [(1 - smoothing_factor) * np.maximum(a_posteriori_snr[0] - 1, 0)]
    for previous, current in pairwise(a_posteriori_snr):
        gain = a_priori_snrs[-1] / (1 + a_priori_snrs[-1])
        a_priori_snrs.append(
            smoothing_factor * gain**2 * previous
            + (1 - smoothing_factor) * np.maximum(current - 1, 0)
        )
    return np.array(a_priori_snrs)

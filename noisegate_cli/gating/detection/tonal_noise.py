"""Distinguish quiet music from noise by its tones.

Noise has a smooth spectrum, music has tones that last for longer than a second. Hum has tones too,
but its level is constant.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.gating.frames.tonality import (
    SMOOTH_BANDS,
    compute_fine_structure,
    compute_tonality_db,
)

MIN_TONALITY_DB = 2.2
"""Supposed noise whose mean spectrum is more tonal is music: noises have 0 to 2.1 dB, gongs and low
drones 2.4 to 2.9 dB, other music 5.8 to 16 dB."""

SEGMENT_SPECTRA, MIN_SEGMENT_TONALITY_DB = 3, 3.2
"""A segment of supposed noise is music if its mean spectrum is more tonal. It has this many
spectra, one to two seconds."""

MAX_TONAL_SHARE = 0.5
"""If more of the supposed noise is tonal, it is music only if all of it together is tonal: the
noise of a room may have tones."""

MIN_TONAL_CHANGE_DB = 1.0
"""Hum hardly changes within half a second: by 0 to 0.7 dB, music by 1.4 dB or more."""

MIN_TONAL_PAIRS = 5
"""Minimum number of pairs of frames from which the change is computed."""

Flags = NDArray[np.bool_]
"""One value per frame."""


MIN_TONE_CHANGE, TONE_CHANGE_SPREADS = 0.06, 3.2
"""Supposed noise contains a melody if the mean correlation of adjacent spectra exceeds the mean
over all pairs by this: noises and motors have 0 to 0.03, music 0.07 to 0.4. With few pairs, the
limit is this multiple of the standard deviation in noise."""

PAIR_DEVIATION = 0.063
"""Standard deviation of the correlation of two spectra of noise, measured on white noise."""


class SparseSpectra(NamedTuple):
    """Powers of some frames in narrow bands."""

    frames: NDArray[np.int64]
    """Indices of the frames, shaped (spectra,), ascending."""
    powers: NDArray[np.float32]
    """Shaped (spectra, bands)."""

    def select(self, selected: Flags) -> "SparseSpectra":
        """Return the spectra of the selected frames; indices count only these frames."""
        kept = selected[self.frames]
        indices = np.cumsum(selected) - 1
        return SparseSpectra(indices[self.frames[kept]], self.powers[kept])

    def is_music(self, selected: Flags) -> bool:
        """Return whether the selected frames have tones, constant or changing."""
        return self.is_tonal(selected) or self.has_melody(selected)

    def is_tonal(self, selected: Flags) -> bool:
        """Return whether the mean spectrum of the selected frames is tonal."""
        powers = self.powers[selected[self.frames]]
        if not powers.size:
            return False
        limit_db = _limit_db(MIN_TONALITY_DB, len(powers))
        return bool(compute_tonality_db(powers.mean(axis=0, keepdims=True))[0] > limit_db)

    def has_melody(self, selected: Flags) -> bool:
        """Return whether the selected frames have tones that last for a moment and then change.

        The mean spectrum does not show such tones. Adjacent spectra of noise do not correlate.
        Those of a motor or of hum correlate as much as distant ones.
        """
        is_selected = selected[self.frames]
        frames, powers = self.frames[is_selected], self.powers[is_selected]
        if len(frames) < 2 or powers.shape[1] < 2 * SMOOTH_BANDS:
            return False
        is_adjacent = np.diff(frames) < 1.5 * median(np.diff(self.frames))
        pairs = np.count_nonzero(is_adjacent)
        if not pairs:
            return False
        fine = compute_fine_structure(powers)
        adjacent = np.einsum("ij,ij->i", fine[1:], fine[:-1])[is_adjacent].mean()
        # The sum over all pairs of different spectra is |Σ x|² − Σ |x|², and |x|² is 1.
        count = len(fine)
        average = (np.square(fine.sum(axis=0)).sum() - count) / (count * (count - 1))
        limit = max(MIN_TONE_CHANGE, TONE_CHANGE_SPREADS * PAIR_DEVIATION / pairs**0.5)
        return bool(adjacent - average > limit)


def find_music(
    spectra: SparseSpectra, is_noise: Flags, level_db: NDArray[np.float64], lag: int
) -> Flags:
    """Return the frames of supposed noise that are music.

    Parameters
    ----------
    spectra
        Spectra of some of the frames.
    is_noise
        Supposed noise, shaped (frames,).
    level_db
        Smoothed levels in dB, shaped (frames,).
    lag
        Distance in frames within which the level of music changes.

    Returns
    -------
    numpy.ndarray
        Boolean mask of the frames, shaped (frames,); all False if only hum is tonal.
    """
    is_music = find_tonal_segments(spectra, is_noise) & is_noise
    if not is_music.any():
        return is_music
    pairs = is_music[lag:] & is_music[:-lag]
    if np.count_nonzero(pairs) >= MIN_TONAL_PAIRS:
        change_db = float(median(np.abs(level_db[lag:] - level_db[:-lag])[pairs]))
        if change_db < MIN_TONAL_CHANGE_DB:
            return np.zeros_like(is_music)
    if np.count_nonzero(is_music) > MAX_TONAL_SHARE * np.count_nonzero(
        is_noise
    ) and not spectra.is_tonal(is_noise):
        return np.zeros_like(is_music)
    return is_music


def _limit_db(min_tonality_db: float, spectra: int) -> float:
    """Return the limit for a mean of `spectra` spectra."""
    # The mean of a few spectra of noise has random peaks, the higher the fewer there are.
    return float(min_tonality_db * max(1.0, SEGMENT_SPECTRA / spectra) ** 0.5)


def find_tonal_segments(spectra: SparseSpectra, is_noise: Flags) -> Flags:
    """Return the frames near those spectra of noise around which the mean spectrum is tonal."""
    kept = is_noise[spectra.frames]
    frames, powers = spectra.frames[kept], spectra.powers[kept]
    count = min(SEGMENT_SPECTRA, len(frames))
    if not count or not powers.size:
        return np.zeros_like(is_noise)
    starts = np.clip(np.arange(len(frames)) - count // 2, 0, len(frames) - count)
    means = powers[starts]
    for offset in range(1, count):
        means += powers[starts + offset]
    means /= count
    is_tonal = compute_tonality_db(means) > _limit_db(MIN_SEGMENT_TONALITY_DB, count)
    if not is_tonal.any():
        return np.zeros_like(is_noise)
    reach = int(median(np.diff(spectra.frames))) if len(spectra.frames) > 1 else len(is_noise)
    changes = np.zeros(len(is_noise) + 1, np.int64)
    centers = frames[is_tonal]
    np.add.at(changes, np.maximum(centers - reach, 0), 1)
    np.add.at(changes, np.minimum(centers + reach + 1, len(is_noise)), -1)
    return np.asarray(np.cumsum(changes)[:-1] > 0)

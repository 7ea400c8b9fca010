"""Predict the power of the bleed in each band from the band powers of the other tracks.

A room turns a sound of another track into a delayed and decaying one. Its power in a band is about
a weighted sum of the earlier powers of the other track in the same band:

    Q(t, b) = Σ_j Σ_d w_jbd · mean of P_j(t − τ, b) over the delays τ of group d,   w ≥ 0.

The powers of different sources add up, because their phases are independent. The weights are fitted
to frames in which only the others are active. Powers fluctuate in proportion to their mean, so the
squared errors are divided by the square of the prediction. That is iterated, and sounds far above
the prediction are clipped, because they are not bleed.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.running_mean import BandLevelsDb

DELAY_EDGES_MS = (0.0, 16.0, 32.0, 64.0, 112.0, 192.0, 320.0)
"""Edges of the groups of delays. One more group is a frame in the future, because an alignment is
known only up to the delay of the sound between the microphones."""

FIT_ROUNDS, UPDATE_ROUNDS = 6, 50
"""Repetitions of the weighting, and of the multiplicative updates in each of them."""

MAX_EXCESS_RATIO = 4.0
"""Powers above this multiple of the prediction are clipped when the weights are fitted."""

MAX_BAND_WEIGHT_DB = 6.0
"""Limit of the level of the bleed in a band, relative to the median of all bands. A room changes it
by less. It is far higher where the own source is active in a few bands and its bleed in the other
tracks is treated as its cause, as with a kick drum."""

FLOOR_QUANTILE, FLOOR_RATIO = 0.1, 1.5
"""The floor of a band is this quantile of its powers, times the ratio."""

FLOOR_DEPTH_DB = 60.0
"""Distance of the lowest floor from the loud frames."""

Powers = NDArray[np.float32]
"""Powers per Hz; the last axis is the band."""
Features = NDArray[np.float32]
"""Powers of the other tracks in groups of delays, shaped (frames, bands, groups)."""


class DelayGroups:
    """Groups of delays at a frame rate.

    Parameters
    ----------
    frames_per_s
        Frames per second.
    """

    future = 1
    """Number of frames needed after a frame."""

    def __init__(self, frames_per_s: float) -> None:
        edges = {max(1, round(ms / 1000 * frames_per_s)) for ms in DELAY_EDGES_MS[1:]}
        self._edges = [-self.future, 0, *sorted(edges)]
        self.past = self._edges[-1] - 1
        """Number of frames needed before a frame."""

    def select_frames(self, powers: Powers) -> Powers:
        """Return `powers`, shaped (past + frames + future, …), without past and future."""
        return powers[self.past : len(powers) - self.future]

    def compute_means(self, powers: Powers) -> Features:
        """Return the mean power in each group, shaped (frames, bands, groups).

        `powers` is shaped (past + frames + future, bands).
        """
        frames = len(powers) - self.past - self.future
        groups = []
        for start, end in zip(self._edges[:-1], self._edges[1:], strict=True):
            first = self.past - end + 1
            parts = (powers[first + i : first + i + frames] for i in range(end - start))
            groups.append(sum(parts, np.zeros_like(powers[:frames])) / np.float32(end - start))
        return np.stack(groups, axis=2)


@dataclass(frozen=True, eq=False)
class BleedPrediction:
    """Prediction of the bleed in one track."""

    groups: DelayGroups
    floor: Powers
    """Power of the noise in this track, shaped (bands,)."""
    reference_floors: Powers
    """The same in the other tracks, shaped (references, bands)."""
    weights: NDArray[np.float32] = field(repr=False)
    """Shaped (bands, references · groups)."""

    def predict(self, references: Powers) -> Powers:
        """Return the predicted bleed, shaped (frames, bands).

        `references` are the powers of the other tracks, shaped
        (past + frames + future, references, bands).
        """
        features = compute_features(references, self.reference_floors, self.groups)
        return np.asarray(np.einsum("tbg,bg->tb", features, self.weights))

    def predict_each(self, references: Powers) -> Powers:
        """Return the predicted bleed of each other track, shaped (frames, references, bands)."""
        features = compute_features(references, self.reference_floors, self.groups)
        count = references.shape[1]
        split = features.reshape(*features.shape[:2], count, -1)
        weights = self.weights.reshape(len(self.weights), count, -1)
        return np.asarray(np.einsum("tbrg,brg->trb", split, weights))

    def levels(self, powers: Powers) -> BandLevelsDb:
        """Return the excess over the bleed in each band, and how far the bleed raises the floor.

        Parameters
        ----------
        powers
            Powers of this track and of the predicted bleed, shaped (frames, 2, bands).

        Returns
        -------
        numpy.ndarray
            In dB, shaped (frames, bands + 1).
        """
        raised = powers + self.floor
        excess = 10 * np.log10(raised[:, 0] / raised[:, 1])
        audible = 10 * np.log10(raised[:, 1] / self.floor).mean(axis=1, keepdims=True)
        return np.concatenate([excess, audible], axis=1)


def compute_floor(powers: Powers) -> Powers:
    """Return the power of the noise in each band; the first axis of `powers` is time."""
    loud = quantile(powers.sum(axis=-1), 0.95)[..., None] / powers.shape[-1]
    lowest = loud * 10 ** (-FLOOR_DEPTH_DB / 10) + np.finfo(np.float32).tiny
    return np.asarray(FLOOR_RATIO * quantile(powers, FLOOR_QUANTILE) + lowest, np.float32)


def compute_features(references: Powers, floors: Powers, groups: DelayGroups) -> Features:
    """Return the powers above the floors of all other tracks in all groups of delays."""
    signals = np.maximum(references - floors, np.float32(0))
    parts = [groups.compute_means(signals[:, i]) for i in range(signals.shape[1])]
    return np.concatenate(parts, axis=2)


def fit_weights(powers: Powers, features: Features, floor: Powers) -> NDArray[np.float32]:
    """Fit the weights of the prediction to frames that contain only bleed.

    Parameters
    ----------
    powers
        Powers of this track, shaped (frames, bands).
    features
        Shaped (frames, bands, groups).
    floor
        Power of the noise, shaped (bands,).
    """
    y = np.maximum(powers - floor, 0).T.astype(np.float64)
    x = features.transpose(1, 0, 2).astype(np.float64)
    tiny = np.finfo(np.float64).tiny
    weights = np.full((len(x), x.shape[2], 1), 1 / x.shape[2])
    weights *= (y.mean(axis=1) / (x.mean(axis=(1, 2)) + tiny))[:, None, None]
    for _ in range(FIT_ROUNDS):
        prediction = (x @ weights)[:, :, 0] + floor[:, None]
        weighted = (x / prediction[:, :, None] ** 2).transpose(0, 2, 1)
        gram = weighted @ x
        target = weighted @ np.minimum(y, MAX_EXCESS_RATIO * prediction)[:, :, None]
        for _ in range(UPDATE_ROUNDS):
            # The multiplicative update of Lee and Seung (Algorithms for non-negative matrix
            # factorization, 2001) keeps the weights positive.
            weights *= target / (gram @ weights + tiny)
    return weights[:, :, 0].astype(np.float32)


def limit_weights(weights: NDArray[np.float32], references: int) -> NDArray[np.float32]:
    """Limit the weights of each other track in bands far above the median of its bands.

    Parameters
    ----------
    weights
        Shaped (bands, references · groups).
    references
        Number of other tracks.

    Examples
    --------
    >>> limit_weights(np.array([[1, 1], [0.5, 0.5], [10, 30]], np.float32), references=1).round(2)
    array([[1.  , 1.  ],
           [0.5 , 0.5 ],
           [1.99, 5.97]], dtype=float32)
    """
    split = weights.reshape(len(weights), references, -1)
    total = split.sum(axis=2)
    limit = median(total) * 10 ** (MAX_BAND_WEIGHT_DB / 10)
    factor = np.minimum(1, limit / np.maximum(total, np.finfo(np.float32).tiny))
    return np.asarray((split * factor[:, :, None]).reshape(weights.shape), np.float32)

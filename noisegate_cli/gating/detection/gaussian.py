"""Normal distributions of band levels, with shrunk covariances."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.products import multiply_transposed, split_rows
from noisegate_cli.gating.frames.running_mean import BandLevelsDb

PRIOR_FRAMES, NOISE_PRIOR_DB, SIGNAL_PRIOR_DB = 70.0, 4.0, 6.0
"""Weight of the prior covariance in frames, and its standard deviation for noise and signal."""


@lru_cache(maxsize=8)
def _compute_prior(bands: int, prior_db: float) -> NDArray[np.float64]:
    """Return the prior covariance times its weight in frames."""
    prior = np.asarray(PRIOR_FRAMES * (prior_db**2 * (np.eye(bands) + 1)))
    prior.flags.writeable = False  # because the cache shares it
    return prior


class ShrunkGaussian(NamedTuple):
    """A multivariate normal distribution with a shrunk covariance.

    The levels are float32, so float32 loses no accuracy and is twice as fast as float64.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]
    """Matrix that maps deviations (as rows) to independent components of variance 1."""
    log_determinant: np.float64
    """Logarithm of the determinant of `whitening`."""

    @classmethod
    def fit(cls, levels: BandLevelsDb, prior_db: float) -> "ShrunkGaussian":
        """Fit to levels shaped (frames, bands).

        The covariance is shrunk towards a prior in which each band varies by `prior_db` on its own
        and all bands vary by `prior_db` together. The prior weighs `PRIOR_FRAMES` frames.
        """
        mean = levels.mean(axis=0, dtype=np.float64)
        scatter = multiply_transposed(levels - mean) + _compute_prior(len(mean), prior_db)
        factor = np.linalg.cholesky(scatter / (len(levels) + PRIOR_FRAMES))
        whitening = np.linalg.inv(factor).T
        log_determinant = np.float64(np.log(np.diag(whitening)).sum())
        return cls(mean.astype(np.float32), whitening.astype(np.float32), log_determinant)

    def log_density(self, levels: BandLevelsDb) -> NDArray[np.float64]:
        """Return the log density of each frame, up to an additive constant."""
        mean, whitening, log_determinant = self
        square_distance = np.empty(len(levels), levels.dtype)
        for rows in split_rows(len(levels), whitening.size):
            whitened = (levels[rows] - mean) @ whitening
            np.vecdot(whitened, whitened, out=square_distance[rows])
        return np.asarray(log_determinant - 0.5 * square_distance)

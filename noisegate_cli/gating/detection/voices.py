"""Find the voices of a recording: how much each moment resembles one.

The logarithm of the odds that a frame is a voice is a weighted sum of its features. The weights
were fitted by logistic regression to mixtures of speech and events such as keys and doors, where
the best frame near each sound had to tell speech from events (multiple-instance learning).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.voicing import Voicing, find_voiced
from noisegate_cli.gating.frames.quantile import quantile
from noisegate_cli.gating.frames.running_mean import compute_running_mean
from noisegate_cli.samples import to_db

BIAS = -13.1
"""Log odds of a frame whose features are all 0."""

PERIODICITY_WEIGHT, MAX_PERIODICITY = 13.8, 0.7
"""Weight of the periodicity, and the value above which it counts no more."""

SIMILARITY_WEIGHT, MAX_SIMILARITY = 13.6, 0.8
"""Weight of the similarity to the previous frame, and the value above which it counts no more.
Voices change slowly, and clatter does not."""

CRY_WEIGHT, MIN_CRY_PERIODICITY = -57.0, 0.7
"""Weight of the periodicity at pitches that are too high for a voice, and the value from which it
counts."""

LEVEL_WEIGHT, MIN_LEVEL_DB, MAX_LEVEL_DB = 0.34, -18.0, -8.0
"""Weight per dB of the periodic level relative to loud voices, and its limits. A lower level counts
no less, because a second voice may be quiet."""

BAND_WEIGHT, MAX_BAND_DB = 0.58, -3.0
"""Weight per dB of the level of the voiced band relative to the level of all frequencies, compared
with loud voices, and the value above which it counts no more."""

LOUD_QUANTILE = 0.8
"""Quantile of the levels of voiced frames that stands for loud voices."""

MIN_VOICED_FRAMES = 20
"""Fewest voiced frames from which the level of loud voices is measured."""

LEVEL_SMOOTHING_FRAMES = 3
"""Length of the running mean over the powers of frames."""

MIN_PERIODIC_SHARE = 1e-3
"""Least periodicity that is converted to a level."""

MIN_LOG_ODDS = -60.0
"""Log odds of frames that overflow."""


class Voices(NamedTuple):
    """The voices of one gate; all arrays are shaped (hops,)."""

    log_odds: NDArray[np.float64]
    """Logarithm of the odds that the hop is a voice."""
    is_voiced: NDArray[np.bool_]
    """Whether the hop is periodic at the pitch of a voice."""
    level_db: NDArray[np.float64]
    """Level of the hop relative to loud voices."""


@np.errstate(invalid="ignore")
def find_voices(voicing: Voicing, hop_s: float) -> Voices | None:
    """Return the voices from features shaped (hops,); None if hardly anything is voiced."""
    periodicity = voicing.periodicity.astype(np.float64)
    is_voiced = find_voiced(periodicity[:, None], hop_s)[:, 0]
    if np.count_nonzero(is_voiced) < MIN_VOICED_FRAMES:
        return None
    powers = 10 ** (voicing.level_db.astype(np.float64) / 10)
    level_db = to_db(np.sqrt(compute_running_mean(powers, LEVEL_SMOOTHING_FRAMES)))
    periodic_db = voicing.band_db + 10 * np.log10(np.clip(periodicity, MIN_PERIODIC_SHARE, 1))
    loud_db, loud_periodic_db = (
        float(quantile(values[is_voiced], LOUD_QUANTILE)) for values in (level_db, periodic_db)
    )
    level_db -= loud_db
    band_db = voicing.band_db - loud_periodic_db - level_db
    log_odds = (
        BIAS
        + PERIODICITY_WEIGHT * np.clip(periodicity, 0, MAX_PERIODICITY)
        + SIMILARITY_WEIGHT * np.clip(voicing.similarity, 0, MAX_SIMILARITY)
        + CRY_WEIGHT
        * (np.clip(voicing.cry_periodicity, MIN_CRY_PERIODICITY, 1) - MIN_CRY_PERIODICITY)
        + LEVEL_WEIGHT * np.clip(periodic_db - loud_periodic_db, MIN_LEVEL_DB, MAX_LEVEL_DB)
        + BAND_WEIGHT * np.minimum(band_db, MAX_BAND_DB)
    )
    return Voices(np.where(np.isnan(log_odds), MIN_LOG_ODDS, log_odds), is_voiced, level_db)

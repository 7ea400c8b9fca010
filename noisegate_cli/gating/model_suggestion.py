"""Derive a suggestion and its range from the signal models of all gates."""

from collections.abc import Sequence

import numpy as np

from noisegate_cli.gating.detection.signal_model import OPEN_ABOVE, SignalModel
from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames.levels import rms_db
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.gain.mask import DetectorValues
from noisegate_cli.gating.simulation import SimulatedGate
from noisegate_cli.samples import to_db

QUIET_FRAMES_QUANTILE = 0.1
"""Level of the quietest frames, which stand for the noise floor if the gate never closes."""

MIN_MUTE_CONTRAST_DB, SOFT_RANGE_DB = 9.0, -12.0
"""With a lower contrast the automatic gate errs in single words, so that it attenuates only this
much unless a range is given."""


def suggest_from_models(
    models: Sequence[SignalModel], scores: DetectorValues, simulated: SimulatedGate
) -> ThresholdSuggestion:
    """Return the verdict and the levels that result from the signal models of all gates."""
    is_nonsilent = simulated.levels > 0
    if not is_nonsilent.any():
        return ThresholdSuggestion(None, -np.inf, -np.inf, Verdict.SILENT)
    verdict, distance_db = _combine_verdicts(models)
    noise_db, active_db = _measure_classes(models, simulated)
    if verdict is not Verdict.RARE_EVENT:
        distance_db = active_db - noise_db if active_db > -np.inf else 0.0
    is_clear = (np.abs(scores - OPEN_ABOVE) > OPEN_ABOVE) & (scores < np.inf)
    return ThresholdSuggestion(
        threshold=None,
        noise_floor_db=noise_db,
        active_db=active_db,
        verdict=verdict,
        distance_db=distance_db,
        confidence=float(is_clear[is_nonsilent].mean()),
    )


def _measure_classes(
    models: Sequence[SignalModel], simulated: SimulatedGate
) -> tuple[float, float]:
    """Return the median level of the noise and the RMS level of the signal, in dBFS.

    They are measured where the gate is closed and open. If it stays open, the quietest frames stand
    for the noise, unless a model has found it.
    """
    levels = simulated.levels
    is_open = simulated.mask & (levels > 0)
    closed = levels[simulated.closed]
    if closed.size:
        return float(to_db(median(closed))), rms_db(levels[is_open])
    found = [model for model in models if model.noise_db is not None]
    if found:
        model = max(found, key=lambda model: model.contrast_db)
        return float(model.noise_db or 0.0), float(model.signal_db or 0.0)
    if not is_open.any():
        return float(to_db(median(levels[levels > 0]))), -np.inf
    noise_db = float(to_db(quantile(levels[is_open], QUIET_FRAMES_QUANTILE)))
    return noise_db, max(noise_db, rms_db(levels[is_open]))


def _combine_verdicts(models: Sequence[SignalModel]) -> tuple[Verdict, float]:
    """Return one verdict for all gates, and how far a rare event stands out, in dB."""
    if any(model.verdict is Verdict.SEPARATED for model in models):
        return Verdict.SEPARATED, 0.0
    for model in models:
        if model.verdict is not Verdict.NOISE_ONLY:
            return model.verdict, max(0.0, model.contrast_db)
    return Verdict.NOISE_ONLY, 0.0


def limit_range_db(suggestion: ThresholdSuggestion) -> float | None:
    """Return the range in dB that suits a low contrast; None if the contrast allows any range."""
    if suggestion.verdict is not Verdict.SEPARATED:
        return None
    return SOFT_RANGE_DB if suggestion.contrast_db < MIN_MUTE_CONTRAST_DB else None

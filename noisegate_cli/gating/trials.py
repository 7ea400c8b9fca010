"""Trials of fixed thresholds, and the choice of the best one."""

from collections.abc import Sequence
from dataclasses import dataclass

from noisegate_cli.text import format_repr

RISK_WEIGHT = 6.0
"""Weight of signal that a threshold would mute, relative to noise that it would pass. Muted signal
is lost, noise can still be removed."""


@dataclass(frozen=True, slots=True, repr=False)
class Trial:
    """Result of a simulated gate with one threshold, on a grid of 1 dB.

    Attributes
    ----------
    threshold_db : float
        Threshold in dBFS.
    closed_share : float
        Share of the time during which the gate would be closed, 0 to 1.
    openings_per_minute : float
        Number of openings per minute.
    cutoffs_per_minute : float
        Number of cut decays and attacks per minute; 0 if the range is too small for them.
    at_risk : float or None
        Share of the frames passed by the automatic gate that would be muted, 0 to 1. This value and
        the next two are None if the automatic gate stays open or closed throughout.
    agreement : float or None
        Share of the time during which gate and automatic gate agree, 0 to 1.
    balanced : float or None
        Balanced accuracy: mean of the agreement in open frames and in closed frames, 0 to 1. Rare
        speech has the same weight as the pauses around it.
    """

    threshold_db: float
    closed_share: float
    openings_per_minute: float
    cutoffs_per_minute: float
    at_risk: float | None
    agreement: float | None
    balanced: float | None

    def __repr__(self) -> str:
        return format_repr(self, "threshold_db", "closed_share", "openings_per_minute", "agreement")


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the best fixed threshold; if several are equal, the middle one.

    The errors relative to the automatic gate decide, with `RISK_WEIGHT`.

    Returns
    -------
    Trial or None
        None if the automatic gate stays open or closed, and there is nothing to compare with.
    """
    costs = [
        (2 * (1 - trial.balanced) + (RISK_WEIGHT - 1) * trial.at_risk, trial)
        for trial in trials
        if trial.at_risk is not None and trial.balanced is not None
    ]
    if not costs:
        return None
    lowest = min(cost for cost, _ in costs)
    best = [trial for cost, trial in costs if cost < lowest + 1e-6]
    return best[len(best) // 2]

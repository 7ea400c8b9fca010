"""Simulation of a gate on the levels of a subsample of frames, without samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from noisegate_cli.gating.cutoffs import CutoffAudit, is_audited
from noisegate_cli.gating.detection.level_detector import hysteresis_thresholds
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.quantile import quantile
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.mask import (
    DetectorValues,
    FrameIndices,
    GateMask,
    GateStatistics,
    Mask,
)
from noisegate_cli.gating.segments import OpenRunCollector
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import from_db, to_db
from noisegate_cli.text import format_repr

TRIAL_STEP_DB = 1.0

RISK_WEIGHT = 6.0
"""Weight of signal that a threshold would mute, relative to noise that it would pass. Muted signal
is lost, noise can still be removed."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True)
class SimulatedGate:
    """Frames on which the gate was simulated; arrays are shaped (frames, gates)."""

    frame_indices: FrameIndices
    levels: RmsLevels
    mask: Mask
    closed: Mask
    """True where the gate is fully closed and the frame is not digital silence."""
    statistics: GateStatistics

    @property
    def separates(self) -> bool:
        """Whether the gate passes some frames and closes fully in others."""
        return bool(self.closed.any() and self.mask.any())


class GateSimulator:
    """Simulates a gate on detector values and levels of frames.

    Parameters
    ----------
    settings
        Settings of the gate.
    sample_rate
        In Hz.
    gates
        Number of gates.
    """

    def __init__(self, settings: GateSettings, sample_rate: int, gates: int) -> None:
        self._settings, self._sample_rate, self._gates = settings, sample_rate, gates
        self._timing = settings.timing(sample_rate)
        self._frames_per_s = sample_rate / self._timing.hop_length

    def simulate(
        self,
        values: DetectorValues,
        open_above: float,
        close_below: float,
        levels: RmsLevels,
        frame_indices: FrameIndices,
        bleed_scores: DetectorValues | None = None,
    ) -> SimulatedGate:
        """Simulate the gate and its fades on detector values and levels of the same frames.

        `bleed_scores` are the scores that are low for bleed, if there are other tracks.
        """
        mask, statistics = self._gate_frames(values, open_above, close_below, bleed_scores)
        timing = self._timing
        envelope = Envelope(timing.lookahead, timing.attack, timing.release, 0.0, self._gates)
        gains = envelope.process(mask, last=True)
        closed = (gains == 0) & (levels > 0)
        return SimulatedGate(frame_indices, levels, mask, closed, statistics)

    def sweep_thresholds(
        self,
        automatic: SimulatedGate,
        is_own: Mask | None = None,
        bleed_scores: DetectorValues | None = None,
    ) -> Iterator[Trial]:
        """Simulate the gate at every whole decibel between the lowest and the highest level.

        `automatic` is the automatic gate, with which the results are compared. `is_own` tells which
        frames are not bleed; in the others, the gate is closed. `bleed_scores` are their scores.
        """
        levels = automatic.levels
        values = levels if is_own is None else np.where(is_own, levels, -np.inf)
        low, high = to_db(quantile(levels[levels > 0], [0.01, 0.995]))
        for db in np.arange(np.floor(low), np.ceil(high) + 1, TRIAL_STEP_DB):
            thresholds = hysteresis_thresholds(float(from_db(db)), self._settings)
            mask, statistics = self._gate_frames(values, *thresholds, bleed_scores)
            yield self.describe_trial(float(db), mask, statistics, automatic, is_own)

    def describe_trial(
        self,
        threshold_db: float,
        mask: Mask,
        statistics: GateStatistics,
        automatic: SimulatedGate,
        is_own: Mask | None = None,
    ) -> Trial:
        """Return the figures of a gate with a threshold, compared with the automatic gate.

        Bleed counts as silence for the cut-offs: `is_own` tells which frames are not bleed.
        """
        levels = automatic.levels if is_own is None else np.where(is_own, automatic.levels, 0)
        at_risk = agreement = balanced = None
        if automatic.separates:
            is_signal, is_closed = automatic.mask & (automatic.levels > 0), ~automatic.mask
            at_risk = float((is_signal & ~mask).sum() / max(1, is_signal.sum()))
            false_share = float((is_closed & mask).sum() / max(1, is_closed.sum()))
            agreement = float((automatic.mask == mask).mean())
            balanced = 1 - (at_risk + false_share) / 2
        return Trial(
            threshold_db=threshold_db,
            closed_share=statistics.closed_share,
            openings_per_minute=self.openings_per_minute(statistics),
            cutoffs_per_minute=self._cutoffs_per_minute(levels, mask),
            at_risk=at_risk,
            agreement=agreement,
            balanced=balanced,
        )

    def openings_per_minute(self, statistics: GateStatistics) -> float:
        """Return the number of openings per minute of the simulated frames."""
        minutes = statistics.frames / self._gates / self._frames_per_s / 60
        return statistics.openings / minutes if minutes else 0.0

    def _cutoffs_per_minute(self, levels: RmsLevels, mask: Mask) -> float:
        closed_db = self._settings.closed_range_db - self._settings.pause_reduction_db
        if not len(mask) or not is_audited(closed_db):
            return 0.0
        audit = CutoffAudit(self._timing, self._sample_rate, self._gates)
        audit.process(levels, mask, last=True)
        return audit.report.count / (len(mask) / self._frames_per_s / 60)

    def _gate_frames(
        self,
        values: DetectorValues,
        open_above: float,
        close_below: float,
        bleed_scores: DetectorValues | None = None,
    ) -> tuple[Mask, GateStatistics]:
        gate = GateMask(open_above, close_below, self._timing, self._gates)
        mask = gate.process(values, last=True)
        if bleed_scores is not None:
            from noisegate_cli.gating.bleed.mask_trimming import MaskTrimmer

            trimmer = MaskTrimmer(self._timing.lookahead, self._gates)
            mask = trimmer.process(mask, bleed_scores, last=True)
        collector = OpenRunCollector(
            self._gates, max_gap=self._timing.lookahead, inverted=self._settings.duck
        )
        collector.process(mask)
        return mask, collector.statistics


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial that suits best as a fixed threshold; of ties, the middle one.

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

"""Simulation of a gate on the levels of a subsample of frames, without samples."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.learner import OwnFrames
    from noisegate_cli.gating.trials import Trial

TRIAL_STEP_DB = 1.0


class SimulatedGate(NamedTuple):
    """Frames on which the gate was simulated; arrays are shaped (frames, gates)."""

    frame_indices: FrameIndices
    levels: RmsLevels
    mask: Mask
    closed: Mask
    """True where the gate is fully closed and the frame is not digital silence."""

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
        own: "OwnFrames | None" = None,
    ) -> SimulatedGate:
        """Simulate the gate and its fades on detector values and levels of the same frames.

        If `own` is given, the gate is closed in bleed.
        """
        mask = self._gate_frames(values, open_above, close_below, own)
        timing = self._timing
        envelope = Envelope(timing.lookahead, timing.attack, timing.release, 0.0, self._gates)
        gains = envelope.process(mask, last=True)
        closed = (gains == 0) & (levels > 0)
        return SimulatedGate(frame_indices, levels, mask, closed)

    def sweep_thresholds(
        self,
        automatic: SimulatedGate,
        own: "OwnFrames | None" = None,
    ) -> "Iterator[Trial]":
        """Simulate the gate at every whole decibel between the lowest and the highest level.

        `automatic` is the automatic gate, with which the results are compared. If `own` is given,
        the gate is closed in bleed.
        """
        levels = automatic.levels
        low, high = to_db(quantile(levels[levels > 0], [0.01, 0.995]))
        for db in np.arange(np.floor(low), np.ceil(high) + 1, TRIAL_STEP_DB):
            thresholds = hysteresis_thresholds(float(from_db(db)), self._settings)
            mask = self._gate_frames(levels, *thresholds, own)
            yield self.describe_trial(float(db), mask, automatic, own)

    def describe_trial(
        self,
        threshold_db: float,
        mask: Mask,
        automatic: SimulatedGate,
        own: "OwnFrames | None" = None,
    ) -> "Trial":
        """Return the figures of a gate with a threshold, compared with the automatic gate.

        Bleed counts as silence for the cut-offs.
        """
        from noisegate_cli.gating.trials import Trial

        statistics = self.count_statistics(mask)
        levels = automatic.levels if own is None else np.where(own.mask, automatic.levels, 0)
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

    def count_statistics(self, mask: Mask) -> GateStatistics:
        """Return how much of the time a simulated gate is closed, and how often it opens."""
        collector = OpenRunCollector(
            self._gates, max_gap=self._timing.lookahead, inverted=self._settings.duck
        )
        collector.process(mask)
        return collector.statistics

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
        own: "OwnFrames | None",
    ) -> Mask:
        gate = GateMask(open_above, close_below, self._timing, self._gates)
        if own is None:
            return gate.process(values, last=True)
        from noisegate_cli.gating.bleed.mask_trimming import MaskTrimmer

        mask = gate.process(np.where(own.mask, values, -np.inf), last=True)
        trimmer = MaskTrimmer(self._timing.lookahead, self._gates)
        return trimmer.process(mask, own.scores, last=True)

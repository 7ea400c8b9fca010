"""Simulation of a gate on the levels of a subsample of frames, without samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of a simulated gate with one threshold, on a grid of `TRIAL_STEP_DB`."""

    threshold_db: float
    """Threshold in dBFS."""
    closed_share: float
    """Share of the time during which the gate would be closed, 0 to 1."""
    openings_per_minute: float
    at_risk: float
    """Share of the frames passed by the automatic detector that would be muted, 0 to 1."""
    agreement: float
    """Share of the time during which gate and automatic detector agree, 0 to 1."""
    balanced: float
    """Balanced accuracy: mean of the agreement in open frames and in closed frames, 0 to 1. Rare
    speech has the same weight as the pauses around it."""

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
        self._settings, self._gates = settings, gates
        self._timing = settings.timing(sample_rate)
        self._frames_per_s = sample_rate / self._timing.hop_length

    def simulate(
        self,
        values: DetectorValues,
        open_above: float,
        close_below: float,
        levels: RmsLevels,
        frame_indices: FrameIndices,
    ) -> SimulatedGate:
        """Simulate the gate and its fades on detector values and levels of the same frames."""
        mask, statistics = self._gate_frames(values, open_above, close_below)
        timing = self._timing
        envelope = Envelope(timing.lookahead, timing.attack, timing.release, 0.0, self._gates)
        gains = envelope.process(mask, last=True)
        closed = (gains == 0) & (levels > 0)
        return SimulatedGate(frame_indices, levels, mask, closed, statistics)

    def sweep_thresholds(self, simulated: SimulatedGate) -> Iterator[Trial]:
        """Simulate the gate at every whole decibel between the lowest and the highest level."""
        levels, is_open, is_closed = simulated.levels, simulated.mask, ~simulated.mask
        is_nonsilent = levels > 0
        is_signal = is_open & is_nonsilent
        low, high = to_db(quantile(levels[is_nonsilent], [0.01, 0.995]))
        for db in np.arange(np.floor(low), np.ceil(high) + 1, TRIAL_STEP_DB):
            thresholds = hysteresis_thresholds(float(from_db(db)), self._settings)
            mask, statistics = self._gate_frames(levels, *thresholds)
            missed_share = float((is_signal & ~mask).sum() / max(1, is_signal.sum()))
            false_share = float((is_closed & mask).sum() / max(1, is_closed.sum()))
            yield Trial(
                threshold_db=float(db),
                closed_share=statistics.closed_share,
                openings_per_minute=self.openings_per_minute(statistics),
                at_risk=missed_share,
                agreement=float((is_open == mask).mean()),
                balanced=1 - (missed_share + false_share) / 2,
            )

    def openings_per_minute(self, statistics: GateStatistics) -> float:
        """Return the number of openings per minute of the simulated frames."""
        minutes = statistics.frames / self._gates / self._frames_per_s / 60
        return statistics.openings / minutes if minutes else 0.0

    def _gate_frames(
        self, values: DetectorValues, open_above: float, close_below: float
    ) -> tuple[Mask, GateStatistics]:
        gate = GateMask(open_above, close_below, self._timing, self._gates)
        mask = gate.process(values, last=True)
        runs = OpenRunCollector(self._gates)
        runs.process(mask)
        return mask, runs.statistics


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial that agrees best with the automatic detector; of ties, the middle one."""
    highest = max(trial.balanced for trial in trials)
    best = [trial for trial in trials if trial.balanced > highest - 1e-6]
    return best[len(best) // 2]

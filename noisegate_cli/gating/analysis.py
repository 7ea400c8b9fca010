"""The first pass: level statistics, the decision for the gate and a simulation of the gate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.learner import SignalModelLearner
from noisegate_cli.gating.detection.level_detector import LevelDetector, hysteresis_thresholds
from noisegate_cli.gating.detection.rule import AdaptiveThreshold, Rule
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE, SignalModel
from noisegate_cli.gating.detection.threshold import (
    MAX_PLAUSIBLE_LEVEL_DBFS,
    MIN_HISTOGRAM_FRAMES,
    NOTHING_SOUNDS,
    ThresholdSuggestion,
    estimates_db,
    pumping_hint,
    suggest_threshold,
    too_loud_reason,
)
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.frames.level_track import LevelTrack
from noisegate_cli.gating.frames.levels import RmsLevels, rms_db
from noisegate_cli.gating.frames.noise_floor import FLOOR_STEP_S, compute_noise_floor
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.subsampling import subsample_frame_indices
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.mask import (
    DetectorValues,
    FrameIndices,
    GateMask,
    GateStatistics,
    Mask,
)
from noisegate_cli.gating.noise_profile import match_noise_profiles
from noisegate_cli.gating.parsing import AUTO
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks, Samples, compute_peak, from_db, to_db

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile, NoiseProfiles
    from noisegate_cli.gating.spectral.noise_estimation import NoiseLearner

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)

TRIAL_STEP_DB = 1.0

STAYS_OPEN = {
    "one kind": "There is no telling noise from signal, it sounds all alike: the gate stays open.",
    "near": "The signal is only {:.0f} dB above the noise, a gate would pump: it stays open. "
    "To turn down the quiet parts all the same, try -t LEVEL with --range -8dB.",
    "steady": "This is a steady tone rather than a noise: the gate stays open. "
    "If it is noise, give a threshold with -t.",
    "rare": "Something rare stands {:.0f} dB out of the rest: the gate stays open. "
    "Give a threshold with -t.",
    "restless": "What is quiet here moves like music, not like noise: the gate stays open. "
    "If it is noise, give a threshold with -t.",
}

MIN_RARE_PEAK_DB = 20.0
"""A frame this far above the median is not noise: rain, wind and hiss reach 12 dB."""

DRIFT_WINDOW_S = 5.0
"""Length of the windows in which the noise level is measured to find its drift."""


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


@dataclass(frozen=True, slots=True)
class LevelReport:
    """The levels of a recording, in dBFS; digital silence is −∞."""

    samples: int
    frames: int
    peak_db: float
    rms_db: float
    """RMS of all samples of all channels."""
    percentiles_db: dict[int, float]
    """Percentiles of the frame levels, by percentage, without digital silence."""
    silent_share: float
    """Share of the frames that are digital silence, 0 to 1."""
    drift_db: float
    """Range of the noise level within the recording, in dB."""
    suggestion: ThresholdSuggestion
    closed_share: float
    """Share of the time during which the gate would be closed, 0 to 1."""
    openings_per_minute: float
    trials: tuple[Trial, ...]
    """Simulations of the gate by ascending threshold; empty if signal and noise are not
    separable."""
    noises: "tuple[NoiseProfile | None, ...]"
    """Noise profile of each gate for a spectral gate, None where no noise was found."""
    histogram: LevelHistogram


@dataclass(frozen=True)
class _SimulatedGate:
    """Frames on which the gate was simulated; arrays are shaped (frames, gates)."""

    numbers: FrameIndices
    levels: RmsLevels
    mask: Mask
    closed: Mask
    """True where the gate is fully closed and the frame is not digital silence."""
    statistics: GateStatistics


class Analyzer:
    """Measures blocks of samples with the same detectors as the gate.

    The gate is simulated on an evenly spaced subsample of a long recording, some minutes in all.

    Parameters
    ----------
    settings
        Settings of the gate.
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    samples
        Expected length of the recording in samples, 0 if unknown.
    noises
        Noise profiles that the caller gave; empty if they are learnt from the recording.

    Examples
    --------
    >>> analyzer = Analyzer(GateSettings(), sample_rate=8000, channels=1)
    >>> analyzer.process(np.zeros((8000, 1)), last=True)
    >>> report = analyzer.report()
    >>> report.silent_share, report.suggestion.threshold
    (1.0, None)
    """

    def __init__(
        self,
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
        samples: int = 0,
        noises: "NoiseProfiles" = (),
    ) -> None:
        self._settings, self._sample_rate = settings, sample_rate
        self._given_noises = noises
        self._timing = settings.timing(sample_rate)
        self._frames_per_s = sample_rate / self._timing.hop_length
        self._detector = LevelDetector(-1.0, settings, sample_rate, channels)
        self._model_learner: SignalModelLearner | None = None
        if settings.threshold == AUTO:
            self._model_learner = SignalModelLearner(settings, sample_rate, channels, samples)
        self._noise: NoiseLearner | None = None
        if settings.needs_noise and not noises:
            self._noise = _noise_learner(settings, sample_rate, channels, samples)
        self._histogram = LevelHistogram()
        self._track = self._whole = LevelTrack()
        self._meter: LevelDetector | None = None
        if settings.key_hz:
            # A closed gate attenuates the whole spectrum, not only the key band.
            meter_settings = replace(settings, key_hz=None)
            self._meter = LevelDetector(-1.0, meter_settings, sample_rate, channels)
            self._whole = LevelTrack()
        self._samples = self._values = 0
        self._peak = 0.0

    def process(self, block: Samples, last: bool = False) -> None:
        """Measure `block`, shaped (samples, channels); see `FrameRmsMeter.process` for errors."""
        _, levels = self._detector.process(block, last)
        learning = self._noise.submit_block(block, last) if self._noise else None
        self._histogram.add(levels)
        self._track.add(levels)
        if self._meter:
            self._whole.add(self._meter.process(block, last)[1])
        if self._model_learner:
            self._model_learner.process(block, last)
        if learning:
            learning.result()
        self._samples += len(block)
        self._values += block.size
        self._peak = max(self._peak, compute_peak(block))

    def decide(self) -> GateDecision:
        """Return the decision for the gate."""
        return self._decided[0]

    def report(self) -> LevelReport:
        """Return the measured levels, the suggested threshold and the simulated results."""
        decision, sample = self._decided
        suggestion = decision.suggestion or suggest_threshold(self._histogram)
        trials: tuple[Trial, ...] = ()
        if self._loudest_db > MAX_PLAUSIBLE_LEVEL_DBFS:
            reason = too_loud_reason(self._loudest_db)
            suggestion = replace(suggestion, threshold=None, reason=reason)
        elif self._model_learner and sample.closed.any() and sample.mask.any():
            trials = tuple(self._sweep_thresholds(sample))
            best = best_trial(trials)
            suggestion = replace(
                suggestion,
                threshold=min(1.0, float(from_db(best.threshold_db))),
                agreement=best.agreement,
                estimates_db={AUTO: best.threshold_db} | estimates_db(self._histogram),
            )
        gates = self._detector.gates
        frames = self._histogram.nonsilent_frames + self._histogram.silent_frames
        mean_square = self._detector.square_sum / self._values if self._values else 0.0
        return LevelReport(
            samples=self._samples,
            frames=frames // gates,
            peak_db=float(to_db(self._peak)),
            rms_db=float(to_db(mean_square**0.5)),
            percentiles_db={p: self._histogram.percentile(p) for p in PERCENTILES},
            silent_share=self._histogram.silent_frames / frames if frames else 0.0,
            drift_db=self._drift_db(sample),
            suggestion=suggestion,
            closed_share=sample.statistics.closed_share,
            openings_per_minute=self._per_minute(sample.statistics),
            trials=trials,
            noises=decision.noises,
            histogram=self._histogram,
        )

    @cached_property
    def _decided(self) -> tuple[GateDecision, _SimulatedGate]:
        settings, found = self._settings, None
        rule: Rule
        if self._model_learner:
            rule = self._keep_open_if_rare(self._model_learner.models(self._kept[1]))
            scores = self._model_learner.scores(rule, len(self._kept[0]))
            sample = self._simulate_gate(scores, OPEN_ABOVE, CLOSE_BELOW)
            found = _suggest_from_models(rule, scores, sample)
            if self._loudest_db > MAX_PLAUSIBLE_LEVEL_DBFS and all(
                m.verdict != "parted" for m in rule
            ):
                found = replace(found, reason=too_loud_reason(self._loudest_db))
        else:
            level = settings.threshold
            if isinstance(level, str):
                found = suggest_threshold(self._histogram, settings.hysteresis_db, level)
                level = found.or_open
            rule = (
                self._create_adaptive_threshold(level) if settings.adaptive and level > 0 else level
            )
            numbers, values = self._kept
            if isinstance(rule, AdaptiveThreshold):
                values = rule.compensate_drift(values, numbers)
            sample = self._simulate_gate(values, *hysteresis_thresholds(level, settings))
        noises: tuple[NoiseProfile | None, ...] = ()
        if self._given_noises:
            noises = match_noise_profiles(self._given_noises, self._detector.gates)
        elif self._noise:
            from noisegate_cli.gating.spectral.noise_estimation import create_noise_guard

            near = create_noise_guard(settings, self._sample_rate, self._detector.gates)
            is_noise = near.process(sample.mask, last=True) == 0
            models = rule if isinstance(rule, tuple) else ()
            allow_quietest_fallback = [m.verdict != "steady" for m in models] or [
                True
            ] * self._detector.gates
            noises = self._noise.compute_profiles(
                sample.numbers, sample.mask, is_noise, allow_quietest_fallback
            )
        range_db: float | None = None
        if settings.target_floor_db is not None:
            whole = self._whole.levels_at(sample.numbers)
            # If no pause is longer than the release, the frames of the fade-outs are used instead.
            closed = sample.closed if sample.closed.any() else ~sample.mask & (whole > 0)
            noise_db = rms_db(whole[closed])
            noise_db -= settings.pause_reduction_db if any(noises) else 0.0
            range_db = min(0.0, settings.target_floor_db - noise_db)
        subsample = self._model_learner.subsample if self._model_learner else None
        return GateDecision(rule, settings, found, noises, subsample, range_db), sample

    def _keep_open_if_rare(self, models: tuple[SignalModel, ...]) -> tuple[SignalModel, ...]:
        """Keep a gate open whose model is pure noise although single frames are far louder."""
        peaks = self._track.peaks_over_median_db()
        return tuple(
            replace(model, verdict="rare", contrast_db=float(peak))
            if model.verdict == "noise" and peak > MIN_RARE_PEAK_DB
            else model
            for model, peak in zip(models, peaks, strict=True)
        )

    def _create_adaptive_threshold(self, threshold: float) -> AdaptiveThreshold:
        """Create a threshold that follows the noise floor of the loudest gate."""
        step = max(1, round(FLOOR_STEP_S * self._frames_per_s))
        floors = compute_noise_floor(self._track.compute_quiet_levels_db(step))
        return AdaptiveThreshold(threshold, floors - median(floors), step)

    @property
    def _loudest_db(self) -> float:
        return self._histogram.percentile(100)

    @cached_property
    def _kept(self) -> tuple[FrameIndices, RmsLevels]:
        """Indices and levels of the subsampled frames."""
        numbers = (
            self._model_learner.subsample.covered_frame_indices(len(self._track))
            if self._model_learner
            else subsample_frame_indices(
                len(self._track), self._timing.hop_length, self._detector.gates
            )
        )
        return numbers, self._track.levels_at(numbers)

    def _simulate_gate(
        self, values: DetectorValues, open_above: float, close_below: float
    ) -> _SimulatedGate:
        """Simulate the gate, including its fades, on detector values of the subsampled frames."""
        mask, statistics = self._gate_frames(values, open_above, close_below)
        timing, (numbers, levels) = self._timing, self._kept
        envelope = Envelope(
            timing.lookahead, timing.attack, timing.release, 0.0, self._detector.gates
        )
        gains = envelope.process(mask, last=True)
        return _SimulatedGate(numbers, levels, mask, (gains == 0) & (levels > 0), statistics)

    def _gate_frames(
        self, values: DetectorValues, open_above: float, close_below: float
    ) -> tuple[Mask, GateStatistics]:
        gate = GateMask(open_above, close_below, self._timing, self._detector.gates)
        mask = gate.process(values, last=True)
        return mask, gate.statistics

    def _sweep_thresholds(self, sample: _SimulatedGate) -> Iterator[Trial]:
        """Simulate the gate at every whole decibel between the lowest and the highest level."""
        sounding = sample.levels > 0
        opens = sample.mask & sounding
        low, high = to_db(quantile(sample.levels[sounding], [0.01, 0.995]))
        for db in np.arange(np.floor(low), np.ceil(high) + 1, TRIAL_STEP_DB):
            opening = hysteresis_thresholds(float(from_db(db)), self._settings)
            mask, statistics = self._gate_frames(sample.levels, *opening)
            lost = float((opens & ~mask).sum() / max(1, opens.sum()))
            kept = float((~sample.mask & mask).sum() / max(1, (~sample.mask).sum()))
            yield Trial(
                threshold_db=float(db),
                closed_share=statistics.closed_share,
                openings_per_minute=self._per_minute(statistics),
                at_risk=lost,
                agreement=float((sample.mask == mask).mean()),
                balanced=1 - (lost + kept) / 2,
            )

    def _per_minute(self, statistics: GateStatistics) -> float:
        minutes = statistics.frames / self._detector.gates / self._frames_per_s / 60
        return statistics.openings / minutes if minutes else 0.0

    def _drift_db(self, sample: _SimulatedGate) -> float:
        """Return the range of the median noise level over windows of the recording, in dB."""
        window = sample.numbers // max(1, round(DRIFT_WINDOW_S * self._frames_per_s))
        medians = []
        for number in np.unique(window):
            there = window == number
            noise = sample.levels[there][sample.closed[there]]
            if noise.size >= MIN_HISTOGRAM_FRAMES:
                medians.append(float(to_db(median(noise))))
        if not medians:
            return 0.0
        low, high = quantile(np.array(medians), [0.05, 0.95])
        return float(high - low)


def _noise_learner(
    settings: GateSettings, sample_rate: int, channels: int, samples: int
) -> "NoiseLearner":
    from noisegate_cli.gating.spectral.noise_estimation import NoiseLearner

    return NoiseLearner(settings, sample_rate, channels, samples)


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial that agrees best with the automatic detector; of ties, the middle one."""
    most = max(trial.balanced for trial in trials)
    best = [trial for trial in trials if trial.balanced > most - 1e-6]
    return best[len(best) // 2]


def _suggest_from_models(
    models: Sequence[SignalModel], scores: DetectorValues, sample: _SimulatedGate
) -> ThresholdSuggestion:
    """Describe the result of the signal models of all gates in words."""
    sounding = sample.levels > 0
    if not sounding.any():
        return ThresholdSuggestion(None, -np.inf, -np.inf, NOTHING_SOUNDS)
    opens = sample.levels[sample.mask & sounding]
    closed = sample.levels[sample.closed]
    floor = float(to_db(median(closed if closed.size else sample.levels[sounding])))
    active = rms_db(opens)
    verdicts = {model.verdict for model in models}
    if verdicts == {"noise"}:
        why = (
            f"Nothing stands out of a noise of about {floor:.0f} dBFS: the gate stays closed. "
            "If it is no noise, give a threshold with -t."
        )
    elif "parted" not in verdicts:
        first = next(model for model in models if model.verdict != "noise")
        why = STAYS_OPEN[first.verdict].format(max(0.0, first.contrast_db))
    else:
        why = f"It parts noise of about {floor:.0f} dBFS from signal of about {active:.0f} dBFS."
        why += pumping_hint(max(model.contrast_db for model in models if model.verdict == "parted"))
    clear = (np.abs(scores - OPEN_ABOVE) > OPEN_ABOVE) & (scores < np.inf)
    return ThresholdSuggestion(None, floor, active, why, confidence=float(clear[sounding].mean()))


def measure_blocks(
    blocks: Blocks,
    settings: GateSettings,
    sample_rate: int,
    channels: int,
    samples: int,
    noises: "NoiseProfiles" = (),
) -> Analyzer:
    """Return an analyzer that has measured all `blocks`; see there for the parameters."""
    analyzer = Analyzer(settings, sample_rate, channels, samples, noises)
    for block, last in blocks:
        analyzer.process(block, last)
    return analyzer

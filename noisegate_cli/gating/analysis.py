"""The first pass: level statistics and the decision for the gate."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.learner import SignalModelLearner
from noisegate_cli.gating.detection.level_detector import LevelDetector, hysteresis_thresholds
from noisegate_cli.gating.detection.rule import STAYS_OPEN, AdaptiveThreshold, Rule
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE, SignalModel
from noisegate_cli.gating.detection.threshold import (
    MAX_PLAUSIBLE_LEVEL_DBFS,
    MIN_HISTOGRAM_FRAMES,
    ThresholdSuggestion,
    estimates_db,
    suggest_threshold,
)
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.frames.level_track import LevelTrack
from noisegate_cli.gating.frames.levels import RmsLevels, rms_db
from noisegate_cli.gating.frames.subsampling import subsample_frame_indices
from noisegate_cli.gating.gain.mask import DetectorValues, FrameIndices
from noisegate_cli.gating.model_suggestion import limit_range_db, suggest_from_models
from noisegate_cli.gating.parsing import AUTO, above_floor_db
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.simulation import GateSimulator, SimulatedGate
from noisegate_cli.samples import Samples, from_db, select_channels, to_db

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.learner import LearnedBleed, OwnFrames
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.level_report import LevelReport
    from noisegate_cli.gating.noise_profile import NoiseProfile, NoiseProfiles
    from noisegate_cli.gating.trials import Trial

MIN_RARE_PEAK_DB = 20.0
"""A frame this far above the median is not noise: rain, wind and hiss reach 12 dB."""

MAX_DEAD_RANGE_DB = 3.0
"""Range of nearly all levels of a dead channel: hiss has 1 dB, rain 4 dB or more."""


class _Detection(NamedTuple):
    """The rule of the gate, the suggestion that it is based on, and the resulting gate."""

    rule: Rule
    suggestion: ThresholdSuggestion | None
    values: DetectorValues
    """Values of the detector in the simulated frames."""
    thresholds: tuple[float, float]
    """Values above which the gate opens and at or below which it closes."""
    simulated: SimulatedGate


class Analyzer(BlockProcessor[Samples, None]):
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
        Noise profiles that the caller gave; empty if they are learned from the recording.
    compare
        Whether the report compares a given threshold with the automatic gate.
    active
        Channels whose levels count; None for all.
    has_others
        Whether there may be other tracks, for `learn_bleed`.
    reports
        Whether `report` may be called. The peak and the DC offset are measured only for it.

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
        *,
        noises: "NoiseProfiles" = (),
        compare: bool = False,
        active: tuple[int, ...] | None = None,
        has_others: bool = False,
        reports: bool = True,
    ) -> None:
        self._settings, self._sample_rate, self._channels = settings, sample_rate, channels
        self._expected_samples, self._given_noises, self._compares = samples, noises, compare
        self._timing = settings.timing(sample_rate)
        self._frames_per_s = sample_rate / self._timing.hop_length
        self._active = active
        active_count = channels if active is None else len(active)
        self._detector = LevelDetector(STAYS_OPEN, settings, sample_rate, active_count)
        self._simulator = GateSimulator(settings, sample_rate, self._detector.gates)
        threshold = settings.threshold
        learns = _needs_models(threshold) if isinstance(threshold, str) else compare
        self._bleed_learner = None
        self._bleed: LearnedBleed | None = None
        self._model_learner = self._band_learner = None
        if has_others or settings.channels == "exclusive":
            from noisegate_cli.gating.bleed.learner import BleedLearner, check_exclusion

            check_exclusion(settings, channels, has_others)
            self._bleed_learner = BleedLearner(settings, sample_rate, channels)
            self._band_learner = SignalModelLearner(
                settings, sample_rate, channels, samples, learns_models=learns
            )
        if learns:
            self._model_learner = self._band_learner = self._band_learner or SignalModelLearner(
                settings, sample_rate, active_count, samples
            )
        self._noise_learner = None
        if settings.needs_noise and not noises:
            from noisegate_cli.gating.spectral.noise_estimation import NoiseLearner

            self._noise_learner = NoiseLearner(settings, sample_rate, channels, samples)
        self._histogram = LevelHistogram()
        self._channel_histograms: list[LevelHistogram] = []
        is_linked = settings.channels == "linked" and channels > 1
        if self._model_learner and is_linked and not active:
            self._channel_histograms = [LevelHistogram() for _ in range(channels)]
        self._track = self._broadband_track = LevelTrack()
        self._broadband_meter: LevelDetector | None = None
        if settings.key_hz:
            # A closed gate attenuates the whole spectrum, not only the key band.
            meter_settings = replace(settings, key_hz=None)
            self._broadband_meter = LevelDetector(
                STAYS_OPEN, meter_settings, sample_rate, active_count
            )
            self._broadband_track = LevelTrack()
        self._meter = None
        if reports:
            from noisegate_cli.gating.frames.sample_meter import SampleMeter

            self._meter = SampleMeter(channels, active)

    def process(self, block: Samples, last: bool = False) -> None:
        """Measure `block`, shaped (samples, channels); see `FrameRmsMeter.process` for errors."""
        active = select_channels(block, self._active)
        _, levels = self._detector.process(active, last)
        for channel, histogram in enumerate(self._channel_histograms):
            histogram.add(self._detector.channel_levels[:, channel])
        noise_task = self._noise_learner.submit_block(block, last) if self._noise_learner else None
        self._histogram.add(levels)
        self._track.add(levels)
        if self._broadband_meter:
            self._broadband_track.add(self._broadband_meter.process(active, last)[1])
        if self._band_learner:
            self._band_learner.process(active, last)
        if noise_task:
            noise_task.result()
        if self._meter:
            self._meter.process(block, last)
        if last and self._settings.channels == "exclusive":
            self.learn_bleed(())

    def learn_bleed(self, references: "Sequence[ReferencePowers]") -> None:
        """Learn the bleed of other tracks, each at its beginning, when all blocks are processed."""
        assert self._bleed_learner
        assert self._band_learner
        self._bleed = self._bleed_learner.learn(self._band_learner.subsample, references)

    def restart_without(self, channels: Sequence[int]) -> "Analyzer":
        """Return a new analyzer with the same parameters that ignores some channels."""
        active = tuple(channel for channel in range(self._channels) if channel not in channels)
        return Analyzer(
            self._settings,
            self._sample_rate,
            self._channels,
            self._expected_samples,
            noises=self._given_noises,
            compare=self._compares,
            active=active,
            reports=self._meter is not None,
        )

    def restart_alone(self, channels: Sequence[int]) -> "Analyzer":
        """Return a new analyzer that finds a verdict on each of some channels."""
        settings = replace(
            self._settings, channels="separate", spectral="off", noise=None, target_floor_db=None
        )
        return Analyzer(
            settings, self._sample_rate, len(channels), self._expected_samples, reports=False
        )

    def decide(self) -> GateDecision:
        """Return the decision for the gate."""
        return self._decision

    def find_steady_channels(self) -> tuple[int, ...]:
        """Return the linked channels that may be dead, because their level hardly changes.

        Empty if there is no other channel.
        """
        steady = tuple(
            channel
            for channel, histogram in enumerate(self._channel_histograms)
            if histogram.nonsilent_frames >= MIN_HISTOGRAM_FRAMES
            and histogram.percentile(99) - histogram.percentile(5) < MAX_DEAD_RANGE_DB
        )
        return () if len(steady) == len(self._channel_histograms) else steady

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Verdict on each gate by its signal model; empty if none was learned."""
        rule = self._automatic.rule if self._automatic else ()
        return tuple(model.verdict for model in rule) if isinstance(rule, tuple) else ()

    def report(self) -> "LevelReport":
        """Return the measured levels, the suggested threshold and the simulated results."""
        from noisegate_cli.gating.level_report import PERCENTILES, LevelReport, compute_drift_db

        meter = self._meter
        assert meter
        simulated = self._simulated
        statistics = self._simulator.count_statistics(simulated.mask)
        suggestion, trials = self._suggest_threshold()
        gates = self._detector.gates
        frames = self._histogram.nonsilent_frames + self._histogram.silent_frames
        mean_square = self._detector.square_sum / max(1, meter.values)
        return LevelReport(
            samples=meter.samples,
            frames=frames // gates,
            peak_db=meter.peak_db,
            rms_db=float(to_db(mean_square**0.5)),
            percentiles_db={p: self._histogram.percentile(p) for p in PERCENTILES},
            silent_share=self._histogram.silent_frames / frames if frames else 0.0,
            drift_db=compute_drift_db(simulated, self._frames_per_s),
            dc_offset_db=meter.dc_offset_db,
            suggestion=suggestion,
            closed_share=statistics.closed_share,
            openings_per_minute=self._simulator.openings_per_minute(statistics),
            range_db=self._decision.range_db,
            trials=trials,
            given_trial=self._try_given_threshold(),
            noises=self._decision.noises,
            histogram=self._histogram,
            active_channels=self._active,
        )

    def _suggest_threshold(self) -> "tuple[ThresholdSuggestion, tuple[Trial, ...]]":
        """Return the suggestion for a fixed threshold and the trials that it is based on."""
        from noisegate_cli.gating.trials import best_trial

        is_method = isinstance(self._settings.threshold, str) and self._settings.threshold != AUTO
        detection = self._detection if is_method else self._automatic or self._detection
        suggestion = detection.suggestion or suggest_threshold(self._histogram)
        if self._loudest_db > MAX_PLAUSIBLE_LEVEL_DBFS:
            return replace(self._mark_too_loud(suggestion), threshold=None), ()
        if not self._automatic or is_method or not self._histogram.nonsilent_frames:
            return suggestion, ()
        simulated = self._exclude_bleed(detection)
        trials = tuple(self._simulator.sweep_thresholds(simulated, self._own))
        best = best_trial(trials)
        if best is None:
            return suggestion, trials
        suggestion = replace(
            suggestion,
            threshold=min(1.0, float(from_db(best.threshold_db))),
            agreement=best.agreement,
            estimates_db={AUTO: best.threshold_db} | estimates_db(self._histogram),
        )
        return suggestion, trials

    def _try_given_threshold(self) -> "Trial | None":
        """Return the figures of the gate with the threshold of the settings, if it has one."""
        threshold, simulated = self._settings.threshold, self._simulated
        if isinstance(threshold, str) or not self._automatic:
            return None
        automatic = self._exclude_bleed(self._automatic)
        return self._simulator.describe_trial(
            float(to_db(threshold)), simulated.mask, automatic, self._own
        )

    @cached_property
    def _decision(self) -> GateDecision:
        rule, suggestion, *_, simulated = self._detection
        noises = self._compute_noise_profiles(rule, simulated)
        range_db: float | None = None
        if (target_floor_db := self._settings.target_floor_db) is not None:
            range_db = self._compute_range_db(target_floor_db, simulated, any(noises))
        elif self._settings.softens_range and suggestion:
            range_db = limit_range_db(suggestion)
        subsample = self._band_learner.subsample if self._band_learner else None
        return GateDecision(
            rule,
            self._settings,
            suggestion,
            noises,
            subsample,
            range_db,
            active_channels=self._active,
            bleed=self._bleed,
        )

    @cached_property
    def _detection(self) -> _Detection:
        """The detection that the settings ask for."""
        if self._settings.threshold == AUTO and self._automatic:
            return self._automatic
        return self._detect_by_level(self._settings.threshold)

    @cached_property
    def _simulated(self) -> SimulatedGate:
        """The simulated gate, closed in bleed."""
        return self._exclude_bleed(self._detection)

    def _exclude_bleed(self, detection: _Detection) -> SimulatedGate:
        """Return the simulated gate of a detection, closed in bleed."""
        if self._own is None:
            return detection.simulated
        indices, levels = self._subsample
        return self._simulator.simulate(
            detection.values, *detection.thresholds, levels, indices, self._own
        )

    @cached_property
    def _own(self) -> "OwnFrames | None":
        """The frames of the subsample that are not bleed; None if no bleed is excluded."""
        bleed = self._bleed
        if not (self._bleed_learner and self._band_learner and bleed and any(bleed.models)):
            return None
        count = len(self._subsample[0])
        return self._bleed_learner.find_own(bleed, self._band_learner.subsample, count)

    @cached_property
    def _automatic(self) -> _Detection | None:
        """The detection by signal models; None if none were learned."""
        return self._detect_by_models(self._model_learner) if self._model_learner else None

    def _detect_by_models(self, learner: SignalModelLearner) -> _Detection:
        indices, levels = self._subsample
        models = self._keep_open_if_rare(learner.models(levels))
        if self._settings.duck:
            models = tuple(model._replace(undecided_score=-np.inf) for model in models)
        scores = learner.scores(models, indices)
        simulated = self._simulator.simulate(scores, OPEN_ABOVE, CLOSE_BELOW, levels, indices)
        suggestion = suggest_from_models(models, scores, simulated)
        is_separated = any(model.verdict is Verdict.SEPARATED for model in models)
        if self._loudest_db > MAX_PLAUSIBLE_LEVEL_DBFS and not is_separated:
            suggestion = self._mark_too_loud(suggestion)
        return _Detection(models, suggestion, scores, (OPEN_ABOVE, CLOSE_BELOW), simulated)

    def _detect_by_level(self, threshold: float | str) -> _Detection:
        settings, suggestion = self._settings, None
        if isinstance(threshold, str):
            suggestion = suggest_threshold(self._histogram, settings.hysteresis_db, threshold)
            if self._automatic and self._automatic.suggestion:
                suggestion = suggestion.above(self._automatic.suggestion)
            threshold = suggestion.or_unchanged(settings.duck)
        rule: float | AdaptiveThreshold = threshold
        indices, levels = self._subsample
        values = levels
        if settings.adaptive and threshold > 0:
            rule = AdaptiveThreshold.from_levels(threshold, self._track, self._frames_per_s)
            values = rule.compensate_drift(levels, indices)
        thresholds = hysteresis_thresholds(threshold, settings)
        simulated = self._simulator.simulate(values, *thresholds, levels, indices)
        return _Detection(rule, suggestion, values, thresholds, simulated)

    def _mark_too_loud(self, suggestion: ThresholdSuggestion) -> ThresholdSuggestion:
        return replace(suggestion, verdict=Verdict.TOO_LOUD, distance_db=self._loudest_db)

    def _compute_noise_profiles(
        self, rule: Rule, simulated: SimulatedGate
    ) -> "tuple[NoiseProfile | None, ...]":
        """Return the noise profile of each gate, or () if the gate needs none."""
        settings, gates = self._settings, self._detector.gates
        if self._given_noises:
            from noisegate_cli.gating.noise_profile import match_noise_profiles

            return match_noise_profiles(self._given_noises, gates)
        if not self._noise_learner:
            return ()
        from noisegate_cli.gating.spectral.noise_frames import create_noise_guard

        guard = create_noise_guard(settings, self._sample_rate, gates)
        is_noise = guard.process(simulated.mask, last=True) == 0
        if isinstance(rule, tuple):
            tones = (Verdict.STEADY_TONE, Verdict.TONAL)
            allow_quietest_fallback = [model.verdict not in tones for model in rule]
        else:
            allow_quietest_fallback = [True] * gates
        return self._noise_learner.compute_profiles(
            simulated.frame_indices, simulated.mask, is_noise, allow_quietest_fallback
        )

    def _compute_range_db(
        self, target_floor_db: float, simulated: SimulatedGate, reduces_noise: bool
    ) -> float:
        """Return the range that attenuates the noise in the pauses to a target floor in dBFS."""
        levels = self._broadband_track.levels_at(simulated.frame_indices)
        # If no pause is longer than the release, the frames of the fade-outs are used instead.
        closed = simulated.closed if simulated.closed.any() else ~simulated.mask & (levels > 0)
        noise_db = rms_db(levels[closed])
        if reduces_noise:
            noise_db -= self._settings.pause_reduction_db
        return min(0.0, target_floor_db - noise_db)

    def _keep_open_if_rare(self, models: tuple[SignalModel, ...]) -> tuple[SignalModel, ...]:
        """Keep a gate open whose model is pure noise although single frames are far louder."""
        if not any(model.verdict is Verdict.NOISE_ONLY for model in models):
            return models
        peaks = self._track.peaks_over_median_db()
        return tuple(
            model._replace(verdict=Verdict.RARE_EVENT, contrast_db=float(peak))
            if model.verdict is Verdict.NOISE_ONLY and peak > MIN_RARE_PEAK_DB
            else model
            for model, peak in zip(models, peaks, strict=True)
        )

    @property
    def _loudest_db(self) -> float:
        return self._histogram.percentile(100)

    @cached_property
    def _subsample(self) -> tuple[FrameIndices, RmsLevels]:
        """Indices and levels of the subsampled frames."""
        indices = (
            self._band_learner.subsample.covered_frame_indices(len(self._track))
            if self._band_learner
            else subsample_frame_indices(
                len(self._track), self._timing.hop_length, self._detector.gates
            )
        )
        return indices, self._track.levels_at(indices)


def _needs_models(threshold: str) -> bool:
    """Return whether a method depends on signal models: the noise floor is the one they find."""
    return threshold == AUTO or above_floor_db(threshold) is not None

"""Read a recording, and measure all that the page shows and needs to gate it."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.api.analysis_report import AnalysisReport
from noisegate_cli.api.first_pass import measure
from noisegate_cli.api.noise_input import measure_noise_file, measure_noise_span
from noisegate_cli.api.outputs import warn_ignored_channels
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    ProgressCallback,
    report_progress,
    scale_progress,
)
from noisegate_cli.api.sources import FileSource
from noisegate_cli.errors import SignalError
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.gating.cutoffs import CutoffAudit, is_audited
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.detector import create_detector
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.rule import STAYS_OPEN, AdaptiveThreshold
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE
from noisegate_cli.gating.detection.threshold import suggest_threshold
from noisegate_cli.gating.frames.chunked_values import ChunkedValues
from noisegate_cli.gating.frames.level_track import LevelTrack
from noisegate_cli.gating.frames.peaks import PeakMeter, Peaks
from noisegate_cli.gating.frames.spectrogram import SpectrogramMeter
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.level_report import LevelReport
from noisegate_cli.gating.parsing import AUTO
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.timing import Timing
from noisegate_cli.page.coded_values import CodedValues, split_frames
from noisegate_cli.page.codes import (
    MAX_SCORE_CODE,
    MIN_LOUDEST_DB,
    decode_levels_db,
    decode_scores,
    encode_levels,
    encode_peaks,
    encode_scores,
    encode_spectrogram,
)
from noisegate_cli.page.moments import MIN_DISTANCE_S, Moment
from noisegate_cli.page.unsure_moments import (
    MAX_UNSURE_DB,
    MAX_UNSURE_SCORE,
    find_unsure_moments,
)
from noisegate_cli.samples import Samples, from_db, select_channels, to_db

MAX_PAGE_FRAMES = 4_000_000
"""Twelve hours at 44.1 kHz, which take about 20 MB on the page."""

MAX_PEAK_SPANS, MAX_COLUMNS = 200_000, 16_000
PEAK_SPANS_PER_S = 250
SPECTROGRAM_BANDS = 80

MAX_SHOWN_DB = 1000.0
"""Maximum level of the spectrogram."""

MAX_MARKED_CUTOFFS = 5
"""Number of the worst cut-offs that are moments of the page."""

DEFAULT_THRESHOLD_DB = -40.0
"""Initial position of the threshold line if the analysis suggests none and finds no noise."""

MIN_THRESHOLD_DB = -120.0
"""Lowest threshold with which a page begins."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Survey:
    """Measurements of a recording for its page."""

    analysis: AnalysisReport
    timing: Timing
    range_db: float
    """Gain of the closed gate in dB, also if it results from a target floor."""
    uses_level: bool
    """Whether the page begins with a threshold, and not with the automatic detector."""
    threshold_db: float
    """Initial position of the threshold line, in dBFS."""
    drift: AdaptiveThreshold
    """Drift of the noise floor, which an adaptive threshold follows."""
    levels: NDArray[np.uint16]
    """Codes of the levels that a threshold is compared with, shaped (frames, gates)."""
    scores: NDArray[np.int16]
    """Codes of the scores of the automatic detector, shaped (frames, gates)."""
    peaks: NDArray[np.int8]
    """Lowest and highest sample of each span relative to the largest peak, shaped (spans, 2)."""
    peak_span: int
    """Samples in a span."""
    spectrogram: NDArray[np.uint8]
    """Shades of the spectrogram, shaped (columns, bands)."""
    spectrogram_column: int
    """Samples in a column of the spectrogram."""
    spectrogram_loudest_db: float
    """Loudest level in the spectrogram, which has the last shade."""
    spectrogram_edges_hz: NDArray[np.float64]
    moments: tuple[Moment, ...]
    """Moments to listen to: where the gate is least certain, cut-offs, the loudest one."""
    unit: str
    """Unit of the values of unsure moments: dB, or nothing for scores."""

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.analysis.info.duration


def survey_recording(
    reader: AudioReader, settings: GateSettings, progress: ProgressCallback
) -> Survey:
    """Measure a recording in two passes; in three if the settings are not those of the page.

    Raises
    ------
    AudioError
        If the recording cannot be gated, or is too long for a page; the message quotes the path.
    """
    info, source = reader.info, FileSource(reader)
    # The page has the scores of the automatic detector, whatever the settings begin with. These
    # exclude an expander, which needs a threshold.
    gate = replace(settings, ratio=math.inf, knee_db=0.0)
    automatic = replace(gate, threshold=AUTO, adaptive=False, spectral="off", noise=None)
    share = FIRST_PASS_SHARE if automatic == settings else FIRST_PASS_SHARE / 2
    analyzer = measure(source, automatic, scale_progress(progress, 0.0, share))
    levels = analyzer.report()
    with source.name_in_errors():
        if levels.frames > MAX_PAGE_FRAMES:
            raise SignalError(
                f"it has {levels.frames} frames, and a page is limited to {MAX_PAGE_FRAMES}: "
                "make a page of a part of it, or give a longer hop_length="
            )
    if automatic != settings:
        noises = measure_noise_file(settings) or measure_noise_span(source, settings)
        rest = scale_progress(progress, share, FIRST_PASS_SHARE)
        levels = measure(source, settings, rest, noises=noises, compare=True).report()
    info = info.with_samples(levels.samples)
    analysis = AnalysisReport(info, settings, levels)
    tracks = _TrackCollector(analysis, analyzer.decide())
    second_pass = scale_progress(progress, FIRST_PASS_SHARE, 1.0)
    with source.name_in_errors():
        for block, last in report_progress(reader.blocks(), info.samples, second_pass):
            tracks.add(block, last)
    ignored = warn_ignored_channels(analyzer.decide().active_channels, info)
    analysis = replace(analysis, warnings=(*reader.warnings, *ignored))
    return replace(tracks.build_survey(), analysis=analysis)


class _TrackCollector:
    """Collects the levels and the scores of all frames, and the spectrogram, block by block."""

    def __init__(self, analysis: AnalysisReport, decision: GateDecision) -> None:
        info, settings = analysis.info, analysis.settings
        rate, channels = info.sample_rate, info.channels
        self._analysis, self._decision = analysis, decision
        self._timing = timing = settings.timing(rate)
        self._hop_s = timing.hop_length / rate
        self._active = decision.active_channels
        self._detector = create_detector(
            decision.rule,
            decision.settings,
            rate,
            channels if self._active is None else len(self._active),
            decision.subsample,
        )
        self._level_meter = LevelDetector(STAYS_OPEN, settings, rate, channels)
        self._level_track = LevelTrack()
        self._peak_span = max(rate // PEAK_SPANS_PER_S, -(-info.samples // MAX_PEAK_SPANS), 1)
        self._peak_meter = PeakMeter(self._peak_span)
        half = timing.frame_length // 2
        frames_per_column = max(1, -(-info.samples // (half * MAX_COLUMNS)))
        self._column = half * frames_per_column
        self._spectrogram_meter = SpectrogramMeter(
            rate, timing.frame_length, frames_per_column, SPECTROGRAM_BANDS
        )
        self._scores = ChunkedValues(np.int16)
        self._active_levels = ChunkedValues(np.uint16)
        self._levels = ChunkedValues(np.uint16)
        self._peaks: list[Peaks] = []
        self._columns = ChunkedValues(np.float32)

    def add(self, block: Samples, last: bool) -> None:
        """Measure the next block of samples, shaped (samples, channels)."""
        values, active_levels = self._detector.process(select_channels(block, self._active), last)
        self._scores.append(encode_scores(values))
        # These levels are those of all frequencies, even if there is a key filter.
        self._active_levels.append(encode_levels(active_levels))
        levels = self._level_meter.process(block, last)[1]
        self._level_track.add(levels)
        self._levels.append(encode_levels(levels))
        self._peaks.append(self._peak_meter.process(block, last))
        self._columns.append(self._spectrogram_meter.process(block, last))

    def build_survey(self) -> Survey:
        """Return all measurements; the last block has been added."""
        report, settings = self._analysis.levels, self._analysis.settings
        rate, hop_s = self._analysis.info.sample_rate, self._hop_s
        levels, scores = self._levels.join(), self._scores.join()
        given_db = _find_given_threshold_db(report, settings)
        uses_level = given_db is not None
        threshold_db = _choose_threshold_db(report) if given_db is None else given_db
        drift = AdaptiveThreshold.from_levels(
            float(from_db(threshold_db)), self._level_track, rate / self._timing.hop_length
        )
        by_level = CodedValues(
            levels,
            decode_levels_db,
            threshold_db,
            threshold_db - settings.hysteresis_db,
            self._timing,
            drift if settings.adaptive else None,
        )
        by_score = CodedValues(scores, decode_scores, OPEN_ABOVE, CLOSE_BELOW, self._timing)
        range_db = _choose_range_db(settings, self._decision)
        cutoffs: list[Moment] = []
        if is_audited(range_db) and not settings.expands:
            mask = by_level.mask if uses_level else by_score.mask
            audited = levels if uses_level else self._active_levels.join()
            cutoffs = _find_cutoffs(mask, audited, self._timing, rate)
        if shows_level := uses_level or not _has_scores(scores):
            unsure = find_unsure_moments(by_level.track(hop_s), MAX_UNSURE_DB)
        else:
            unsure = find_unsure_moments(by_score.track(hop_s), MAX_UNSURE_SCORE)
        spectrogram, loudest_db = self._encode_spectrogram()
        return Survey(
            analysis=self._analysis,
            timing=self._timing,
            range_db=range_db,
            uses_level=uses_level,
            threshold_db=threshold_db,
            drift=drift,
            levels=levels,
            scores=scores,
            peaks=encode_peaks(np.concatenate(self._peaks)),
            peak_span=self._peak_span,
            spectrogram=spectrogram,
            spectrogram_column=self._column,
            spectrogram_loudest_db=loudest_db,
            spectrogram_edges_hz=self._spectrogram_meter.edges_hz,
            moments=(*unsure, *cutoffs, *_find_loudest(levels, hop_s)),
            unit="dB" if shows_level else "",
        )

    def _encode_spectrogram(self) -> tuple[NDArray[np.uint8], float]:
        """Return the shades of the spectrogram, and the level of the darkest one in dB."""
        chunks = self._columns.chunks()
        loudest = [float(np.fmax.reduce(c, axis=None, initial=MIN_LOUDEST_DB)) for c in chunks]
        loudest_db = min(max(loudest), MAX_SHOWN_DB)  # JSON has no infinite numbers.
        shades = [encode_spectrogram(c, loudest_db) for c in self._columns.drain()]
        return np.concatenate(shades), loudest_db


def _find_cutoffs(
    mask: Mask, levels: NDArray[np.uint16], timing: Timing, sample_rate: int
) -> list[Moment]:
    """Return the worst cut-offs of a gate, by time; of close ones only the worst."""
    audit = CutoffAudit(timing, sample_rate, mask.shape[1])
    for frames, last in split_frames(len(levels)):
        audit.process(from_db(decode_levels_db(levels[frames])), mask[frames], last)
    chosen: list[Moment] = []
    for cutoff in sorted(audit.report.worst, key=lambda cutoff: -cutoff.above_db):
        if all(abs(cutoff.time - other.time) >= MIN_DISTANCE_S for other in chosen):
            chosen.append(Moment(cutoff.time, cutoff.kind, cutoff.above_db))
    return sorted(chosen[:MAX_MARKED_CUTOFFS], key=lambda moment: moment.time)


def _find_loudest(levels: NDArray[np.uint16], hop_s: float) -> list[Moment]:
    """Return the loudest moment; nothing of digital silence."""
    loudest = levels.max(axis=1)
    if not loudest.any():
        return []
    frame = int(np.argmax(loudest))
    return [Moment(frame * hop_s, "loudest", round(float(decode_levels_db(loudest[frame])), 1))]


def _has_scores(scores: NDArray[np.int16]) -> bool:
    """Return whether the automatic detector has found signal and noise."""
    return bool((np.abs(scores) < MAX_SCORE_CODE).any())


def _find_given_threshold_db(report: LevelReport, settings: GateSettings) -> float | None:
    """Return the threshold of the settings in dBFS; None for the automatic detector.

    It is None also if a method suggests no threshold.
    """
    threshold: float | str | None = settings.threshold
    if threshold == AUTO:
        return None
    if isinstance(threshold, str):
        method = threshold
        suggestion = suggest_threshold(report.histogram, settings.hysteresis_db, method)
        threshold = suggestion.threshold
    if threshold is None:
        return None
    return max(MIN_THRESHOLD_DB, round(float(to_db(threshold)), 2))


def _choose_threshold_db(report: LevelReport) -> float:
    """Return where the threshold line begins without a given one, in tenths of a decibel."""
    suggestion = report.suggestion
    if suggestion.threshold:
        return round(float(to_db(suggestion.threshold)), 1)
    middle = (suggestion.noise_floor_db + suggestion.active_db) / 2
    if math.isfinite(middle):
        return round(min(0.0, middle), 1)
    if math.isfinite(suggestion.noise_floor_db):
        return round(min(0.0, suggestion.noise_floor_db + 6), 1)
    return DEFAULT_THRESHOLD_DB


def _choose_range_db(settings: GateSettings, decision: GateDecision) -> float:
    """Return the gain of the closed gate; `decision` is from the automatic detector."""
    if settings.target_floor_db is not None:
        # The spectral gate, which the page does not have, reduces the noise too.
        return min(0.0, decision.range_db + settings.pause_reduction_db)
    return decision.range_db if settings.softens_range else settings.closed_range_db

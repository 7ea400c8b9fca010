"""Read a recording twice, and measure all that the page shows and needs to gate it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.api.file_analysis import AnalysisReport
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    ProgressCallback,
    report_progress,
    scale_progress,
)
from noisegate_cli.errors import SignalError
from noisegate_cli.files.reader import AudioReader, add_path_to_errors
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.block_processor import process_all
from noisegate_cli.gating.cutoffs import CutoffAudit, CutoffReport
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.detector import create_detector
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE
from noisegate_cli.gating.frames.peaks import PeakMeter, Peaks
from noisegate_cli.gating.frames.spectrogram import BandLevels, SpectrogramMeter
from noisegate_cli.gating.gain.mask import GateMask
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.timing import Timing
from noisegate_cli.page.codes import (
    MAX_SCORE_CODE,
    decode_levels_db,
    decode_scores,
    encode_levels,
    encode_peaks,
    encode_picture,
    encode_scores,
)
from noisegate_cli.page.moments import Moment, find_unsure_moments
from noisegate_cli.samples import Samples, to_db

MAX_PAGE_FRAMES = 4_000_000
"""Twelve hours at 44.1 kHz. They take 16 MB in memory, and 20 MB on the page."""

MAX_PEAK_SPANS, MAX_COLUMNS = 200_000, 16_000
PEAK_SPANS_PER_S = 250
PICTURE_BANDS = 80

MAX_MARKED_CUTOFFS = 5
"""Number of the worst cut-offs that are moments of the page."""

DEFAULT_THRESHOLD_DB = -40.0
"""Where the threshold line begins if the analysis suggests none and hears no noise."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Survey:
    """Measurements of a recording for its page."""

    analysis: AnalysisReport
    timing: Timing
    range_db: float
    """Gain of the closed gate in dB, also if it results from a target floor."""
    threshold_db: float
    """Where the threshold line begins, in dBFS."""
    levels: NDArray[np.uint16]
    """Codes of the levels that a threshold is compared with, shaped (frames, gates)."""
    scores: NDArray[np.int16]
    """Codes of the scores of the automatic detector, shaped (frames, gates)."""
    peaks: NDArray[np.int8]
    """Lowest and highest sample of each span relative to the largest peak, shaped (spans, 2)."""
    peak_span: int
    """Samples in a span."""
    picture: NDArray[np.uint8]
    """Shades of the spectrogram, shaped (columns, bands)."""
    picture_column: int
    """Samples in a column of the spectrogram."""
    picture_loudest_db: float
    """Loudest level in the spectrogram, which has the last shade."""
    picture_edges_hz: NDArray[np.float64]
    moments: tuple[Moment, ...]
    """Moments to hear: those of which the gate is least sure, cut-offs, the loudest one."""
    unit: str
    """Unit of the values of unsure moments: dB, or nothing for scores."""

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.analysis.info.duration


def survey_recording(
    reader: AudioReader, settings: GateSettings, progress: ProgressCallback
) -> Survey:
    """Measure a recording in two passes; `settings` have the automatic threshold.

    Raises
    ------
    AudioError
        If the recording can't be gated, or is too long for a page; the message quotes the path.
    """
    info = reader.info
    with add_path_to_errors(info.path):
        with reader.reopen() as first:
            first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
            blocks = report_progress(first.blocks(), info.samples, first_pass)
            analyzer = Analyzer(settings, info.sample_rate, info.channels, info.samples)
            process_all(analyzer, blocks)
            levels, warnings = analyzer.report(), tuple(first.warnings)
        if levels.frames > MAX_PAGE_FRAMES:
            raise SignalError(
                f"it has {levels.frames} frames, and a page is limited to {MAX_PAGE_FRAMES}: "
                "make a page of a part of it, or give a longer hop_length="
            )
        info = replace(info, samples=levels.samples)
        analysis = AnalysisReport(info, settings, levels, warnings)
        second_pass = scale_progress(progress, FIRST_PASS_SHARE, 1.0)
        blocks = report_progress(reader.blocks(), info.samples, second_pass)
        tracks = _TrackCollector(analysis, analyzer.decide())
        for block, last in blocks:
            tracks.add(block, last)
        return tracks.build_survey()


class _TrackCollector:
    """Collects the levels and the scores of all frames, and the pictures, block by block."""

    def __init__(self, analysis: AnalysisReport, decision: GateDecision) -> None:
        info, settings = analysis.info, analysis.settings
        rate, channels = info.sample_rate, info.channels
        self._analysis, self._decision = analysis, decision
        self._timing = timing = settings.timing(rate)
        self._detector = detector = create_detector(
            decision.rule, settings, rate, channels, decision.subsample
        )
        self._level_meter = LevelDetector(-1.0, settings, rate, channels)
        gates = detector.gates
        self._mask = GateMask(detector.open_above, detector.close_below, timing, gates)
        self._audit = CutoffAudit(timing, rate, gates)
        self._peak_span = max(rate // PEAK_SPANS_PER_S, -(-info.samples // MAX_PEAK_SPANS), 1)
        self._peak_meter = PeakMeter(self._peak_span)
        half = timing.frame_length // 2
        frames_per_column = max(1, -(-info.samples // (half * MAX_COLUMNS)))
        self._column = half * frames_per_column
        self._picture_meter = SpectrogramMeter(
            rate, timing.frame_length, frames_per_column, PICTURE_BANDS
        )
        self._scores: list[NDArray[np.int16]] = []
        self._levels: list[NDArray[np.uint16]] = []
        self._peaks: list[Peaks] = []
        self._columns: list[BandLevels] = []

    def add(self, block: Samples, last: bool) -> None:
        """Measure the next block of samples, shaped (samples, channels)."""
        values, levels = self._detector.process(block, last)
        self._audit.process(levels, self._mask.process(values, last), last)
        self._scores.append(encode_scores(values))
        # The levels above are those of all frequencies, even if there is a key filter.
        self._levels.append(encode_levels(self._level_meter.process(block, last)[1]))
        self._peaks.append(self._peak_meter.process(block, last))
        self._columns.append(self._picture_meter.process(block, last))

    def build_survey(self) -> Survey:
        """Return all measurements; the last block has been added."""
        scores, levels = np.concatenate(self._scores), np.concatenate(self._levels)
        moments = _find_moments(self._analysis, scores, levels, self._audit.report)
        columns = np.concatenate(self._columns)
        loudest_db = float(columns.max(initial=-np.inf))
        return Survey(
            analysis=self._analysis,
            timing=self._timing,
            range_db=self._decision.range_db,
            threshold_db=_choose_threshold_db(self._analysis),
            levels=levels,
            scores=scores,
            peaks=encode_peaks(np.concatenate(self._peaks)),
            peak_span=self._peak_span,
            picture=encode_picture(columns, loudest_db),
            picture_column=self._column,
            picture_loudest_db=loudest_db,
            picture_edges_hz=self._picture_meter.edges_hz,
            moments=tuple(moments),
            unit="" if _has_scores(scores) else "dB",
        )


def _has_scores(scores: NDArray[np.int16]) -> bool:
    """Return whether the automatic detector has found signal and noise."""
    return bool((np.abs(scores.astype(np.int32)) < MAX_SCORE_CODE).any())


def _choose_threshold_db(analysis: AnalysisReport) -> float:
    """Return where the threshold line begins, in tenths of a decibel."""
    suggestion = analysis.levels.suggestion
    if suggestion.threshold:
        return round(float(to_db(suggestion.threshold)), 1)
    middle = (suggestion.noise_floor_db + suggestion.active_db) / 2
    if math.isfinite(middle):
        return round(min(0.0, middle), 1)
    if math.isfinite(suggestion.noise_floor_db):
        return round(min(0.0, suggestion.noise_floor_db + 6), 1)
    return DEFAULT_THRESHOLD_DB


def _find_moments(
    analysis: AnalysisReport,
    scores: NDArray[np.int16],
    levels: NDArray[np.uint16],
    cutoffs: CutoffReport,
) -> Iterator[Moment]:
    """Yield unsure moments, the worst cut-offs and the loudest moment."""
    timing = analysis.settings.timing(analysis.info.sample_rate)
    hop_s = timing.hop_length / analysis.info.sample_rate
    durations = timing.min_open, timing.min_closed
    if _has_scores(scores):
        values = decode_scores(scores)
        # A gate that always stays open has infinite scores, and is never unsure.
        values = np.where(values < np.inf, values, -np.inf).max(axis=1)
        yield from find_unsure_moments(values, OPEN_ABOVE, CLOSE_BELOW, hop_s, *durations)
    else:
        values = decode_levels_db(levels).max(axis=1)
        open_db = _choose_threshold_db(analysis)
        close_db = open_db - analysis.settings.hysteresis_db
        yield from find_unsure_moments(values, open_db, close_db, hop_s, *durations)
    worst = sorted(cutoffs.worst, key=lambda cutoff: -cutoff.above_db)[:MAX_MARKED_CUTOFFS]
    for cutoff in sorted(worst, key=lambda cutoff: cutoff.time):
        yield Moment(cutoff.time, cutoff.kind, cutoff.above_db)
    loudest = levels.max(axis=1)
    if loudest.any():
        frame = int(np.argmax(loudest))
        level_db = round(float(decode_levels_db(loudest[frame])), 1)
        yield Moment(frame * hop_s, "loudest", level_db)

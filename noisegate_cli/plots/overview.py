"""Record what a plot of a gate shows, while the gate runs, in little memory."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.level_detector import hysteresis_thresholds
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE
from noisegate_cli.gating.frames.level_track import LevelTrack
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.gain.envelope import Gains
from noisegate_cli.gating.gain.mask import DetectorValues, Mask
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.gating.segments import Segments
from noisegate_cli.plots.tracks import (
    Range,
    RangeTrack,
    Spectrogram,
    SpectrogramTrack,
)
from noisegate_cli.samples import Samples, full_scale, to_db

HISTOGRAM_EDGES_DB = np.arange(-120.0, 21.0)
"""Edges of the bins of the level histogram, in dBFS."""

CHUNK_FRAMES = 1 << 16


@dataclass(frozen=True, eq=False)
class LevelSplit:
    """Number of frames at each level, in the frames where the gate is open and in the others."""

    open: NDArray[np.int64]
    closed: NDArray[np.int64]

    @property
    def edges_db(self) -> NDArray[np.float64]:
        """Edges of the bins in dBFS; there is one more than there are bins."""
        return HISTOGRAM_EDGES_DB


@dataclass(frozen=True, eq=False)
class Timeline:
    """Where a gate is open, and the range of the samples in at most a few thousand bins."""

    report: GateReport
    sample_rate: int
    before: Range
    """Samples before the gate, full scale 1.0, over all channels."""
    offset_s: float
    """Time of the first sample, in seconds from the start of the file."""

    @property
    def segments(self) -> Segments:
        """Segments in which the gate is open."""
        return self.report.segments

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.segments.length / self.sample_rate

    @property
    def frame_s(self) -> float:
        """Time from one frame to the next, in seconds."""
        return self.segments.timing.hop_length / self.sample_rate

    def open_share(self, columns: int) -> NDArray[np.float64]:
        """Return the share of the time in which the gate is open, in each of `columns` columns."""
        edges = np.concatenate([[0], self.segments.samples.ravel(), [self.segments.length]])
        is_open = np.arange(len(edges) - 1) % 2
        open_until = np.concatenate([[0], np.cumsum(np.diff(edges) * is_open)])
        position = np.linspace(0, self.segments.length, columns + 1)
        share = np.diff(np.interp(position, edges, open_until)) / max(np.diff(position).max(), 1e-9)
        return np.asarray(np.clip(np.round(share, 9), 0.0, 1.0))

    @property
    def closed_seconds(self) -> NDArray[np.float64]:
        """Start and end of each segment in which the gate is closed, shaped (n, 2)."""
        edges = np.concatenate([[0.0], self.segments.seconds.ravel(), [self.duration]])
        closed = edges.reshape(-1, 2)
        return np.asarray(closed[closed[:, 0] < closed[:, 1]])


@dataclass(frozen=True, eq=False)
class Overview(Timeline):
    """What a plot of a gate shows: ranges in at most a few thousand bins of any length."""

    channels: int
    after: Range
    """Samples after the gate; without bins if only the mask was computed."""
    removed: Range
    """Samples before minus samples after the gate; without bins if only the mask was computed."""
    level_db: Range
    """Level of each frame in dBFS, as the detector compares it with a threshold."""
    score: Range | None
    """Score of the automatic detector; None if a threshold opens the gate."""
    gain_db: Range
    """Gain of the gate in each frame, in dB; minus infinity for silence.

    It has no bins if only the mask was computed.
    """
    level_split: LevelSplit
    opens_above: float | None
    """Detector value above which the gate opens: dBFS, or a score; None if it is always open."""
    closes_below: float | None
    """Detector value at or below which the gate closes."""
    spectrogram: Spectrogram | None = None
    """Spectrogram of the samples before the gate, if it was recorded."""
    spectrogram_after: Spectrogram | None = None
    excerpt: "Excerpt | None" = None


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Samples of a segment before and after the gate, shaped (samples, channels)."""

    start: int
    """Position of the first sample in the recording."""
    before: Samples
    after: Samples
    removed: Samples


class TimelineRecorder:
    """Record a timeline from the samples before the gate.

    Parameters
    ----------
    sample_rate
        In Hz.
    offset_s
        Time of the first sample in seconds from the start of the file.
    """

    def __init__(self, sample_rate: int, offset_s: float = 0.0) -> None:
        self._sample_rate, self._offset_s = sample_rate, offset_s
        self._samples, self._dtype = RangeTrack(), np.dtype(float)

    def add_samples(self, block: Samples) -> None:
        """Add samples shaped (samples, channels)."""
        self._samples.process(block)
        self._dtype = block.dtype

    def finish(self, report: GateReport) -> Timeline:
        """Return the timeline of a gate that has processed the recording."""
        before = _scale(self._samples.range, 1 / full_scale(self._dtype))
        return Timeline(
            report=report, sample_rate=self._sample_rate, before=before, offset_s=self._offset_s
        )


class OverviewRecorder:
    """Record an overview: a gate reports its frames and its samples to it.

    Spectrograms take half of the time, so a thread computes them while the next block is gated. The
    thread ends with the context of the recorder.

    Parameters
    ----------
    decision
        Decision that the gate applies.
    sample_rate
        In Hz.
    length
        Expected number of samples, 0 if unknown.
    offset_s
        Time of the first sample in seconds from the start of the file.
    with_spectrogram
        Whether to compute the spectrogram before the gate; with a spectral gate also after it.
    excerpt
        First and last sample of a segment to keep as it is; None keeps none.
    """

    def __init__(
        self,
        decision: GateDecision,
        sample_rate: int,
        length: int = 0,
        *,
        offset_s: float = 0.0,
        with_spectrogram: bool = False,
        excerpt: tuple[int, int] | None = None,
    ) -> None:
        self._decision, self._sample_rate, self._offset_s = decision, sample_rate, offset_s
        self._uses_scores = isinstance(decision.rule, tuple)
        self._levels, self._scores, self._gains = LevelTrack(), RangeTrack(), RangeTrack()
        self._tracks = [RangeTrack() for _ in range(3)]
        self._spectrograms: list[SpectrogramTrack | None] = [None] * 3
        self._thread = ThreadPoolExecutor(1)
        self._pending: list[Future[None]] = []
        if with_spectrogram:
            count = 2 if decision.settings.spectral != "off" else 1
            for i in range(count):
                self._spectrograms[i] = SpectrogramTrack(sample_rate, length)
        self._excerpt = excerpt
        self._parts: list[list[Samples]] = [[], [], []]
        self._positions = [0, 0, 0]
        self._channels = 1

    def __enter__(self) -> "OverviewRecorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def add_frames(self, values: DetectorValues, levels: RmsLevels) -> None:
        """Add detector values and levels, both shaped (frames, gates)."""
        # Outside a key the values of a level detector are minus infinity.
        self._levels.add(levels if self._uses_scores else np.maximum(values, 0))
        if self._uses_scores:
            self._scores.process(values)

    def add_gains(self, gains: Gains) -> None:
        """Add linear gains, shaped (frames, gates), which lag behind the levels."""
        self._gains.process(to_db(gains))

    def add_samples(
        self,
        before: Samples,
        after: Samples | None = None,
        removed: Samples | None = None,
        last: bool = False,
    ) -> None:
        """Add samples before and after the gate, which lag behind, shaped (samples, channels).

        Only the samples before the gate are needed if the gate computes no others.
        """
        self._channels = before.shape[1]
        # One block may wait, so that the memory does not grow.
        self._wait_for_spectrograms()
        for i, block in enumerate((before, after, removed)):
            if block is None:
                continue
            self._tracks[i].process(block)
            if track := self._spectrograms[i]:
                # The caller may overwrite the block.
                self._pending.append(self._thread.submit(track.process, block.copy(), last))
            if self._excerpt:
                start, end = (
                    min(max(0, p - self._positions[i]), len(block)) for p in self._excerpt
                )
                if start < end:
                    self._parts[i].append(block[start:end].copy())
            self._positions[i] += len(block)
        self._dtype = before.dtype

    def _wait_for_spectrograms(self) -> None:
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()

    def finish(self, report: GateReport) -> Overview:
        """Return the overview of a gate that has processed the recording."""
        self._wait_for_spectrograms()
        mask = report.segments.compute_mask()
        opens_above, closes_below = self._compute_thresholds(report)
        levels, split = self._summarize_levels(mask)
        before, after, removed = (
            _scale(track.range, 1 / full_scale(self._dtype)) for track in self._tracks
        )
        spectrograms = [track.spectrogram if track else None for track in self._spectrograms]
        excerpt = None
        if self._excerpt and all(self._parts):
            excerpt = Excerpt(self._excerpt[0], *map(np.concatenate, self._parts))
        return Overview(
            report=report,
            sample_rate=self._sample_rate,
            channels=self._channels,
            before=before,
            after=after,
            removed=removed,
            level_db=levels,
            score=self._scores.range if self._uses_scores else None,
            gain_db=self._gains.range,
            level_split=split,
            opens_above=opens_above,
            closes_below=closes_below,
            spectrogram=spectrograms[0],
            spectrogram_after=spectrograms[1],
            excerpt=excerpt,
            offset_s=self._offset_s,
        )

    def _compute_thresholds(self, report: GateReport) -> tuple[float | None, float | None]:
        """Return the values that open and close the gate: scores, or levels in dBFS."""
        rule = self._decision.rule
        if isinstance(rule, tuple):
            return OPEN_ABOVE, CLOSE_BELOW
        if report.threshold is None:
            return None, None
        above, below = hysteresis_thresholds(report.threshold, report.settings)
        return float(to_db(above)), float(to_db(below))

    def _summarize_levels(self, mask: Mask) -> tuple[Range, LevelSplit]:
        """Return the range of the levels in dBFS, and their histograms by the state of the gate."""
        track = RangeTrack()
        counts = np.zeros((2, len(HISTOGRAM_EDGES_DB) - 1), np.int64)
        for start in range(0, len(mask), CHUNK_FRAMES):
            frames = np.arange(start, min(start + CHUNK_FRAMES, len(mask)))
            levels = self._levels.levels_at(frames)
            levels_db = to_db(levels)
            track.process(levels_db)
            for state in (0, 1):
                chosen = levels_db[(mask[frames] == state) & (levels > 0)]
                counts[state] += np.histogram(chosen, HISTOGRAM_EDGES_DB)[0]
        return track.range, LevelSplit(open=counts[1], closed=counts[0])


def _scale(values: Range, factor: float) -> Range:
    return Range(values.low * factor, values.high * factor, values.bin_length, values.count)

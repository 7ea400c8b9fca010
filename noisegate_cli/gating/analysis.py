"""What the levels of a recording say: statistics, and a threshold with what it would do."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detector import Detector
from noisegate_cli.gating.levels import (
    LevelHistogram,
    Levels,
    Samples,
    from_db,
    full_scale,
    to_db,
)
from noisegate_cli.gating.mask import GateStatistics, HysteresisMask
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.threshold import ThresholdSuggestion, suggest_threshold

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)


@dataclass
class LevelTrack:
    """The level of every frame, in order, rounded to half a decibel: one byte each.

    An hour takes 0.3 MB a gate, so what any threshold would do can be tried without reading the
    recording again.
    """

    STEP_DB = 0.5
    LOWEST_DB = -120.0
    _parts: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, levels: Levels) -> None:
        """Append levels shaped (frames, gates), linear RMS."""
        codes = np.rint((to_db(np.maximum(levels, 1e-12)) - self.LOWEST_DB) / self.STEP_DB)
        self._parts.append(np.clip(codes, 0, 255).astype(np.uint8))

    def __iter__(self) -> Iterator[Levels]:
        for part in self._parts:
            yield np.where(part, from_db(self.LOWEST_DB + part * self.STEP_DB), 0.0)


@dataclass(frozen=True, slots=True)
class LevelReport:
    """The levels of a recording. Levels are dBFS; silence is minus infinity."""

    samples: int
    frames: int
    peak_db: float
    rms_db: float
    """Of all samples of all channels."""
    percentiles_db: dict[int, float]
    """Levels that so many percent of the frames don't exceed, digital silence left out."""
    silent_share: float
    """Share of frames that are digital silence."""
    suggestion: ThresholdSuggestion
    statistics: GateStatistics
    """What the gate would do with the suggested threshold, to half a decibel."""
    histogram: LevelHistogram


class Analyzer:
    """Measures samples that come in blocks, through the same detector as the gate.

    Examples
    --------
    >>> analyzer = Analyzer(GateSettings(), sample_rate=8000, channels=1)
    >>> analyzer.process(np.zeros((8000, 1)), last=True)
    >>> report = analyzer.report()
    >>> report.silent_share, report.suggestion.threshold
    (1.0, None)
    """

    def __init__(self, settings: GateSettings, sample_rate: int, channels: int = 1) -> None:
        self._settings = settings
        self._sample_rate = sample_rate
        self._detector = Detector(settings, sample_rate, channels)
        self._histogram = LevelHistogram()
        self._track = LevelTrack()
        self._samples = self._values = 0
        self._peak = 0.0

    def process(self, block: Samples, last: bool = False) -> None:
        """Measure `block`, shaped (samples, channels); see `FrameLevels.process` for errors."""
        levels = self._detector.process(block, last)
        self._histogram.add(levels)
        self._track.add(levels)
        self._samples += len(block)
        self._values += block.size
        if block.size:
            scale = full_scale(block.dtype)
            self._peak = max(self._peak, -float(block.min()) / scale, float(block.max()) / scale)

    def report(self) -> LevelReport:
        """Return what was measured."""
        histogram, gates = self._histogram, self._detector.gates
        suggestion = suggest_threshold(histogram, self._settings.hysteresis_db)
        mask = HysteresisMask.of(self._settings, suggestion.or_open, self._sample_rate, gates)
        for levels in self._track:
            mask.process(levels)
        frames = histogram.sounding + histogram.silent
        mean_square = self._detector.square_sum / self._values if self._values else 0.0
        return LevelReport(
            samples=self._samples,
            frames=frames // gates,
            peak_db=float(to_db(self._peak)),
            rms_db=float(to_db(mean_square**0.5)),
            percentiles_db={p: histogram.percentile(p) for p in PERCENTILES},
            silent_share=histogram.silent / frames if frames else 0.0,
            suggestion=suggestion,
            statistics=mask.statistics,
            histogram=histogram,
        )

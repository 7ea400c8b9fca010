"""Detector that compares frame levels with a threshold."""

import numpy as np

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.rule import AdaptiveThreshold
from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.gating.frames.levels import FrameRmsMeter, RmsLevels
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples, from_db


class LevelDetector(BlockProcessor[Samples, tuple[RmsLevels, RmsLevels]]):
    """Computes the RMS of each frame, of the loudest channel or of every channel.

    With a key filter it is the RMS between two frequencies, under a Hann window. Samples are
    processed in blocks.

    Examples
    --------
    >>> detector = LevelDetector(0.1, GateSettings(frame_length=16), sample_rate=8000, channels=2)
    >>> levels, _ = detector.process(np.tile([0.5, 0.25], (32, 1)), last=True)
    >>> detector.gates, levels[2:-2].ravel()
    (1, array([0.5, 0.5, 0.5, 0.5, 0.5]))
    """

    def __init__(
        self,
        threshold: float | AdaptiveThreshold,
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
    ) -> None:
        timing = settings.timing(sample_rate)
        self._adaptive = threshold if isinstance(threshold, AdaptiveThreshold) else None
        level = threshold.threshold if isinstance(threshold, AdaptiveThreshold) else threshold
        self.open_above, self.close_below = hysteresis_thresholds(level, settings)
        self._frame_count = 0
        self._meter = FrameRmsMeter(timing.frame_length, timing.hop_length)
        self._key_filter: BandPowerExtractor | None = None
        if settings.key_hz:
            edges = list(settings.key_band(sample_rate))
            self._key_filter = BandPowerExtractor(
                edges, sample_rate, timing.frame_length, timing.hop_length
            )
            self._key_batches = self._key_filter.create_batcher()
        self._linked = settings.channels == "linked"
        self.gates = 1 if self._linked else channels
        """Number of values per frame."""
        self.channel_levels: RmsLevels = np.zeros((0, channels))
        """Levels of the last frames, shaped (frames, channels)."""

    @property
    def square_sum(self) -> float:
        """Sum of the squares of all samples so far, full scale 1.0, before the key filter."""
        return self._meter.square_sum

    def process(self, block: Samples, last: bool = False) -> tuple[RmsLevels, RmsLevels]:
        """Return the detector values and the levels, both shaped (frames, gates).

        They are equal unless the threshold is adaptive: then the detector values are the levels
        without the drift of the noise. See `FrameRmsMeter.process` for errors.
        """
        levels = self._meter.process(block, last)
        if self._key_filter:
            batches = self._key_batches.process(block, last)
            parts = [
                self._key_filter.compute(frames, samples)[:, :, 0] for _, frames, samples in batches
            ]
            powers = np.concatenate([np.zeros((0, block.shape[1]), np.float32), *parts])
            levels = np.sqrt(powers.astype(np.float64))
        self.channel_levels = levels
        levels = levels.max(axis=1, keepdims=True) if self._linked else levels
        frames = self._frame_count + np.arange(len(levels))
        self._frame_count += len(levels)
        return self._adaptive.compensate_drift(levels, frames) if self._adaptive else levels, levels


def hysteresis_thresholds(threshold: float, settings: GateSettings) -> tuple[float, float]:
    """Return the level above which a gate opens, and the level at or below which it closes."""
    # A negative threshold keeps the gate open, because no level is at or below it.
    if threshold <= 0:
        return threshold, threshold
    return threshold, threshold * float(from_db(-settings.hysteresis_db))

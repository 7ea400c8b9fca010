"""Peak and DC offset of the samples of a recording."""

import math

import numpy as np

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.samples import (
    Samples,
    compute_peak,
    full_scale,
    select_channels,
    sum_channels,
    to_db,
)


class SampleMeter(BlockProcessor[Samples, None]):
    """Measure the samples of a recording.

    Parameters
    ----------
    channels
        Number of channels of the blocks.
    active
        Channels whose offset counts; None for all.

    Examples
    --------
    >>> meter = SampleMeter(channels=1)
    >>> meter.process(np.array([[0.0], [0.5], [1.0]]))
    >>> meter.samples, meter.peak_db, round(meter.dc_offset_db, 2)
    (3, 0.0, -6.02)
    """

    def __init__(self, channels: int, active: tuple[int, ...] | None = None) -> None:
        self.samples = 0
        """Number of samples per channel."""
        self._active = active
        self._sums = np.zeros(channels if active is None else len(active))
        self._peak, self._full_scale = 0.0, 1.0

    def process(self, block: Samples, last: bool = False) -> None:  # noqa: ARG002 -- protocol
        """Measure `block`, shaped (samples, channels)."""
        self.samples += len(block)
        self._peak = max(self._peak, compute_peak(block))
        self._sums += sum_channels(select_channels(block, self._active))
        self._full_scale = full_scale(block.dtype)

    @property
    def values(self) -> int:
        """Number of samples of all active channels."""
        return self.samples * len(self._sums)

    @property
    def peak_db(self) -> float:
        """Largest magnitude of a sample, in dBFS."""
        return float(to_db(self._peak))

    @property
    def dc_offset_db(self) -> float:
        """Level of the mean of the samples, in the channel where it is greatest."""
        if not self.samples:
            return -math.inf
        return float(to_db(np.abs(self._sums).max() / self.samples / self._full_scale))

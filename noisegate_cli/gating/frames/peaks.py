"""Measure the lowest and the highest sample of equal spans, to draw a waveform."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.samples import Samples, full_scale

Peaks = NDArray[np.float32]
"""Lowest and highest sample of each span, shaped (spans, 2), full scale 1.0."""


class PeakMeter(BlockProcessor[Samples, Peaks]):
    """Measure the lowest and the highest sample of all channels in each span.

    Parameters
    ----------
    span_length
        In samples. The last span may be shorter.

    Examples
    --------
    >>> meter = PeakMeter(span_length=2)
    >>> meter.process(np.array([[0.5], [-0.25], [1.0]]), last=True)
    array([[-0.25,  0.5 ],
           [ 1.  ,  1.  ]], dtype=float32)
    """

    def __init__(self, span_length: int) -> None:
        self._span = span_length
        self._samples: Samples = np.zeros((0, 0))

    def process(self, block: Samples, last: bool = False) -> Peaks:
        """Return the peaks of the spans that `block`, shaped (samples, channels), completes."""
        samples = np.concatenate([self._samples, block]) if len(self._samples) else block
        end = len(samples) if last else len(samples) // self._span * self._span
        self._samples = samples[end:].copy()
        if not end:
            return np.zeros((0, 2), np.float32)
        starts = np.arange(0, end, self._span)
        lowest = np.minimum.reduceat(samples[:end].min(axis=1), starts)
        highest = np.maximum.reduceat(samples[:end].max(axis=1), starts)
        peaks = np.stack([lowest, highest], axis=1).astype(np.float32)
        return np.asarray(peaks / np.float32(full_scale(block.dtype)))

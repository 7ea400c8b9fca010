"""Measure a mel spectrogram of a limited number of columns, to draw it."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.samples import Samples

BandLevels = NDArray[np.float32]
"""Level of each column in each band in dBFS, shaped (columns, bands)."""

MAX_NYQUIST_SHARE = 0.98
"""The highest band ends at this share of half the sample rate."""

MIN_POWER = 1e-16


def compute_mel_edges(sample_rate: int, bands: int) -> NDArray[np.float64]:
    """Return the edges of bands of equal width in mel, in Hz, shaped (bands + 1,).

    The mel scale follows O'Shaughnessy (Speech communication, 1987): 2595·log₁₀(1 + f/700).

    Examples
    --------
    >>> compute_mel_edges(16000, 3).round()
    array([   0.,  911., 3010., 7840.])
    """
    highest = 2595 * np.log10(1 + MAX_NYQUIST_SHARE * sample_rate / 2 / 700)
    return np.asarray(700 * (10 ** (np.linspace(0, highest, bands + 1) / 2595) - 1))


class SpectrogramMeter(BlockProcessor[Samples, BandLevels]):
    """Measure the mean power of all channels in mel bands, in columns of several frames.

    Frames overlap by half; frame *k* is centered on sample *k* · `frame_length` / 2.

    Parameters
    ----------
    sample_rate
        In Hz.
    frame_length
        In samples, even.
    frames_per_column
        Number of frames of which each column is the mean. The last column may have fewer.
    bands
        Number of bands.
    """

    def __init__(
        self, sample_rate: int, frame_length: int, frames_per_column: int, bands: int
    ) -> None:
        self.edges_hz = compute_mel_edges(sample_rate, bands)
        """Edges of the bands in Hz, shaped (bands + 1,)."""
        self._extractor = BandPowerExtractor(
            self.edges_hz, sample_rate, frame_length, frame_length // 2
        )
        self._batches = self._extractor.create_batcher()
        self._frames_per_column = frames_per_column
        self._powers = np.zeros((0, bands), np.float32)

    def process(self, block: Samples, last: bool = False) -> BandLevels:
        """Return the columns that `block`, shaped (samples, channels), completes."""
        parts = [
            self._extractor.compute(frames, samples).mean(axis=1)
            for _, frames, samples in self._batches.process(block, last)
        ]
        powers = np.concatenate([self._powers, *parts])
        step = self._frames_per_column
        end = len(powers) if last else len(powers) // step * step
        self._powers = powers[end:]
        starts = np.arange(0, end, step)
        if not end:
            return np.zeros((0, powers.shape[1]), np.float32)
        counts = np.diff(np.append(starts, end))[:, None]
        means = np.add.reduceat(powers[:end], starts, axis=0) / counts
        return np.asarray(10 * np.log10(means + MIN_POWER), np.float32)

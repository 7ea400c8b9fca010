"""Reduce streams of any length to a limited number of bins."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.framing import FrameBatcher
from noisegate_cli.gating.frames.stft import Float32Samples, Stft, compute_bin_powers
from noisegate_cli.samples import Samples, full_scale

Values = NDArray[Any]

MAX_RANGE_BINS = 2048
"""Maximum number of bins of a range: plots have fewer columns of pixels."""

MAX_SPECTRUM_BINS = 768
"""Maximum number of columns of a spectrogram."""

SPECTRUM_FRAME_S = 0.04
"""Shortest frame of a spectrogram in seconds: it resolves the harmonics of a voice."""

MAX_SHOWN_AMPLITUDE = 1e6
"""Maximum amplitude of the samples in a spectrogram, because their power must be finite."""

SPECTROGRAM_ROWS = 192
"""Maximum number of frequencies of a spectrogram."""

MIN_SPECTRUM_FRAME, MAX_SPECTRUM_FRAME = 64, 1 << 14
"""Limits of the frame of a spectrogram, in samples."""


@dataclass(frozen=True, eq=False)
class Range:
    """Lowest and highest value in each bin of a stream."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    bin_length: int
    """Values in each bin; the last bin may have fewer."""
    count: int
    """Number of values."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """Index of the first value of each bin, and the number of values."""
        starts = np.arange(len(self.low) + 1, dtype=np.float64) * self.bin_length
        return np.minimum(starts, self.count)

    def resample(self, columns: int) -> "Range":
        """Return the range in `columns` columns of equal duration; needs at least one value.

        A bin that lies in two columns belongs to both.

        Examples
        --------
        >>> Range(np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0]), 1, 4).resample(2).high.tolist()
        [2.0, 4.0]
        """
        position = np.arange(columns + 1) * (self.count / columns / self.bin_length)
        first = np.minimum(position[:-1].astype(int), len(self.low) - 1)
        end = np.clip(np.ceil(position[1:] - 1e-9).astype(int), first + 1, len(self.low))
        parts = list(zip(first, end, strict=True))
        return Range(
            np.array([self.low[a:b].min() for a, b in parts]),
            np.array([self.high[a:b].max() for a, b in parts]),
            max(1, round(self.count / columns)),
            self.count,
        )


class RangeTrack(BlockProcessor[Values, None]):
    """Find the lowest and the highest value in each of a limited number of bins.

    The length of the stream need not be known: two neighboring bins become one when there would be
    too many. The values have one row for each time; the range is over all columns.

    Examples
    --------
    >>> track = RangeTrack(max_bins=2)
    >>> track.process(np.array([[1], [5], [3]]))
    >>> track.process(np.array([[2]]), last=True)
    >>> track.range.high.tolist(), track.range.bin_length
    ([5.0, 3.0], 2)
    """

    def __init__(self, max_bins: int = MAX_RANGE_BINS) -> None:
        self._max_bins = max_bins
        self._bin_length = 1
        self._low = self._high = np.zeros(0)
        self._count = 0

    def process(self, block: Values, last: bool = False) -> None:  # noqa: ARG002 -- protocol
        """Add values shaped (times, columns)."""
        if not len(block):
            return
        while self._count + len(block) > self._bin_length * self._max_bins:
            self._low = _merge_pairs(np.minimum, self._low)
            self._high = _merge_pairs(np.maximum, self._high)
            self._bin_length *= 2
        filled = self._count % self._bin_length
        starts = np.arange(-filled, len(block), self._bin_length)
        starts[0] = 0
        # Over the first axis of several columns, it takes ten times as long.
        values, starts = block.ravel(), starts * block.shape[1]
        low = np.minimum.reduceat(values, starts).astype(np.float64)
        high = np.maximum.reduceat(values, starts).astype(np.float64)
        if filled:
            low[0], high[0] = min(low[0], self._low[-1]), max(high[0], self._high[-1])
            self._low, self._high = self._low[:-1], self._high[:-1]
        self._low, self._high = np.append(self._low, low), np.append(self._high, high)
        self._count += len(block)

    @property
    def range(self) -> Range:
        """Range of the values so far."""
        return Range(self._low, self._high, self._bin_length, self._count)


def _merge_pairs(reduce: np.ufunc, bins: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(bins):
        return bins
    return np.asarray(reduce.reduceat(bins, np.arange(0, len(bins), 2)))


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Mean power spectrum of each column of a spectrogram."""

    level_db: NDArray[np.float64]
    """Level of a tone with this power in dBFS, shaped (frequencies, columns)."""
    edges_s: NDArray[np.float64]
    """Edges of the columns in seconds."""
    edges_hz: NDArray[np.float64]
    """Edges of the frequencies in Hz."""


class SpectrogramTrack(BlockProcessor[Samples, None]):
    """Compute the spectrogram of the mean of all channels in a limited number of columns.

    Parameters
    ----------
    sample_rate
        In Hz.
    length
        Expected number of samples. The frames of a long recording do not overlap.
    max_columns
        Maximum number of columns.
    """

    def __init__(
        self, sample_rate: int, length: int = 0, max_columns: int = MAX_SPECTRUM_BINS
    ) -> None:
        wanted = 1 << int(np.ceil(np.log2(max(1.0, SPECTRUM_FRAME_S * sample_rate))))
        frame = min(max(wanted, MIN_SPECTRUM_FRAME), MAX_SPECTRUM_FRAME)
        hop = frame if length > max_columns * frame else frame // 4
        self._sample_rate, self._max_columns = sample_rate, max_columns
        self._stft = Stft(frame, hop)
        self._batches = FrameBatcher(frame, hop)
        self._sums = np.zeros((max_columns, self._stft.bins))
        self._frames_per_column = 1
        self._frames = self._samples = 0

    def process(self, block: Samples, last: bool = False) -> None:
        """Add samples shaped (samples, channels)."""
        self._samples += len(block)
        for _, frames, samples in self._batches.process(block, last):
            spectra = self._stft.compute_spectra(_mix_to_mono(samples), frames)
            self._add(compute_bin_powers(spectra))

    def _add(self, powers: NDArray[np.float32]) -> None:
        """Add the power spectra of frames to the sums of their columns."""
        while self._frames + len(powers) > self._frames_per_column * self._max_columns:
            half = self._max_columns // 2
            self._sums[:half] = self._sums[0::2] + self._sums[1::2]
            self._sums[half:] = 0
            self._frames_per_column *= 2
        columns = (self._frames + np.arange(len(powers))) // self._frames_per_column
        first_of_column = np.flatnonzero(np.diff(columns, prepend=-1))
        sums = np.add.reduceat(powers, first_of_column, axis=0, dtype=np.float64)
        self._sums[columns[0] : columns[-1] + 1] += sums
        self._frames += len(powers)

    @property
    def spectrogram(self) -> Spectrogram:
        """Spectrogram of the samples so far, with frequencies in logarithmic steps."""
        per_column, stft = self._frames_per_column, self._stft
        columns = -(-self._frames // per_column)
        frames = np.minimum(per_column, self._frames - per_column * np.arange(columns))
        power = self._sums[:columns] / frames[:, None] / stft.tone_power
        # A tone keeps its level in a wide step if the loudest bin counts, not the mean.
        steps = np.geomspace(1, stft.bins, SPECTROGRAM_ROWS)
        bins = np.unique(np.concatenate([[0], np.rint(steps[:-1]).astype(int)]))
        level_db = 10 * np.log10(np.maximum(np.maximum.reduceat(power, bins, axis=1), 1e-20))
        seconds = stft.hop_length * per_column / self._sample_rate
        # A frame is centered on its time, so a column begins half a hop before its first frame.
        edges_s = np.arange(columns + 1) * seconds - stft.hop_length / 2 / self._sample_rate
        hz_per_bin = self._sample_rate / stft.frame_length
        edges_hz = (np.append(bins, stft.bins) - 0.5) * hz_per_bin
        return Spectrogram(
            np.ascontiguousarray(level_db.T),
            np.clip(edges_s, 0.0, self._samples / self._sample_rate),
            np.clip(edges_hz, 0.0, self._sample_rate / 2),
        )


def _mix_to_mono(samples: Samples) -> Float32Samples:
    """Return the mean of all channels, full scale 1.0."""
    # `numpy.mean` over a short axis is slow.
    total = np.zeros(len(samples), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for channel in samples.T:
            total += channel
    total /= np.float32(samples.shape[1] * full_scale(samples.dtype))
    np.nan_to_num(total, copy=False)  # The sum of very large samples can overflow.
    return np.clip(total, -MAX_SHOWN_AMPLITUDE, MAX_SHOWN_AMPLITUDE, out=total)

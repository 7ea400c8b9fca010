"""Band powers of the other tracks at the times of the frames of this one."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.alignment import Alignment
from noisegate_cli.gating.bleed.prediction import DelayGroups, Powers
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.gating.frames.framing import FrameBatch
from noisegate_cli.gating.timing import MAX_FRAME_LENGTH, MIN_FRAME_LENGTH
from noisegate_cli.samples import Blocks

MIN_COMMON_BANDS = 4
"""Minimum number of bands that two tracks must have in common."""

BATCH_FRAMES = 16
"""Frames that are computed together. Those of a batch that are not needed cost time."""

MAX_BAND_SHARE = 0.49
"""Highest frequency of a band relative to the sample rate, as for the key filter."""


class ReferencePowers:
    """Read another track as far as needed, and interpolate its band powers.

    Parameters
    ----------
    blocks
        The other track from its beginning.
    sample_rate
        Of the other track, in Hz.
    alignment
        Relation of its clock to the clock of this track.
    extractor
        Extractor of the band powers of this track.
    """

    def __init__(
        self,
        blocks: Blocks,
        sample_rate: int,
        alignment: Alignment,
        extractor: BandLevelExtractor,
    ) -> None:
        self._alignment = alignment
        self._frames_per_s = extractor.frames_per_s
        self.bands = count_common_bands(extractor, sample_rate)
        """Number of bands, the lowest ones of this track."""
        length = _matching_frame_length(extractor.frame_s * sample_rate)
        self._seconds_per_frame = length / 2 / sample_rate
        self._powers = BandPowerExtractor(
            extractor.edges[: self.bands + 1], sample_rate, length, length // 2, oversampling=2
        )
        self._per_hz = (1 / extractor.band_widths_hz[: self.bands]).astype(np.float32)
        self._batches = self._read_batches(blocks)
        self._first = self._end = 0
        self._stored = np.zeros((0, self.bands), np.float32)

    def read(self, first: int, count: int) -> Powers:
        """Return the powers per Hz of frames of this track, shaped (frames, bands).

        Before the other track starts and after it ends, they are 0.

        Parameters
        ----------
        first
            Index of the first frame of this track. It may not be lower than in the previous call.
        count
            Number of frames.
        """
        seconds = (first + np.arange(count)) / self._frames_per_s
        places = self._alignment.to_other(seconds) / self._seconds_per_frame
        self._load(math.floor(places[0]), math.floor(places[-1]) + 2)
        indices = np.floor(places).astype(np.int64)
        fraction = (places - indices).astype(np.float32)[:, None]
        return self._take(indices) * (1 - fraction) + self._take(indices + 1) * fraction

    def _take(self, indices: NDArray[np.int64]) -> Powers:
        is_stored = (indices >= self._first) & (indices < self._end)
        powers = np.zeros((len(indices), self.bands), np.float32)
        powers[is_stored] = self._stored[indices[is_stored] - self._first]
        return powers

    def _load(self, first: int, end: int) -> None:
        """Store the frames `first` to `end` of the other track, and discard earlier ones."""
        drop = min(max(0, first - self._first), len(self._stored))
        parts = [self._stored[drop:]]
        self._first += drop
        while self._end < end and (batch := next(self._batches, None)):
            _, frames, samples = batch
            self._end += frames
            if self._end <= first:
                self._first = self._end
            else:
                parts.append(self._powers.compute(frames, samples).max(axis=1) * self._per_hz)
        self._stored = np.concatenate(parts)

    def _read_batches(self, blocks: Blocks) -> Iterator[FrameBatch]:
        batcher = self._powers.create_batcher(BATCH_FRAMES)
        for block, last in blocks:
            yield from batcher.process(block, last)


def read_around(
    references: Sequence[ReferencePowers], first: int, frames: int, groups: DelayGroups
) -> Powers:
    """Return the powers of the other tracks in frames of this one and around them.

    Returns
    -------
    numpy.ndarray
        Shaped (past + frames + future, references, bands), with the bands of all tracks.
    """
    bands = min(reference.bands for reference in references)
    start, count = first - groups.past, groups.past + frames + groups.future
    return np.stack([track.read(start, count)[:, :bands] for track in references], axis=1)


def count_common_bands(extractor: BandLevelExtractor, sample_rate: int) -> int:
    """Return the number of bands that a track with another sample rate has too."""
    limit = MAX_BAND_SHARE * sample_rate
    return int(np.searchsorted(extractor.edges, limit, side="right")) - 1


def _matching_frame_length(samples: float) -> int:
    length = 1 << round(math.log2(samples))
    return min(max(length, MIN_FRAME_LENGTH), MAX_FRAME_LENGTH)

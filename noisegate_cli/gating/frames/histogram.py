"""Histograms of frame levels."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.samples import to_db
from noisegate_cli.text import format_repr

HISTOGRAM_BIN_DB = 0.1


HISTOGRAM_MIN_DB, HISTOGRAM_MAX_DB = -120.0, 20.0


@dataclass(eq=False, repr=False)
class LevelHistogram:
    """Histogram of frame levels in steps of 0.1 dB from −120 to +20 dBFS.

    Memory does not depend on the length of the recording. Histograms merge by addition, in any
    order. Frames of digital silence have no level in dB and are counted separately.

    Attributes
    ----------
    counts : numpy.ndarray
        Number of frames in each bin, shaped (bins,).
    silent_frames : int
        Frames of digital silence.
    """

    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(
            round((HISTOGRAM_MAX_DB - HISTOGRAM_MIN_DB) / HISTOGRAM_BIN_DB), np.int64
        )
    )
    silent_frames: int = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LevelHistogram):
            return NotImplemented
        return self.silent_frames == other.silent_frames and np.array_equal(
            self.counts, other.counts
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return format_repr(self, "nonsilent_frames", "silent_frames")

    def add(self, levels: NDArray[np.float64]) -> None:
        """Add `levels`, linear RMS of any shape, to the histogram."""
        nonsilent = levels[levels > 0]
        self.silent_frames += levels.size - nonsilent.size
        bins = (to_db(nonsilent) - HISTOGRAM_MIN_DB) / HISTOGRAM_BIN_DB
        np.clip(bins, 0, len(self.counts) - 1, out=bins)  # An infinite level has no integer.
        self.counts += np.bincount(bins.astype(np.int64), minlength=len(self.counts))

    def __add__(self, other: "LevelHistogram") -> "LevelHistogram":
        return LevelHistogram(self.counts + other.counts, self.silent_frames + other.silent_frames)

    @property
    def nonsilent_frames(self) -> int:
        """Number of frames that are not digital silence."""
        return int(self.counts.sum())

    @property
    def centers_db(self) -> NDArray[np.float64]:
        """Level in the middle of each bin, in dBFS."""
        return np.asarray(
            HISTOGRAM_MIN_DB + HISTOGRAM_BIN_DB * (np.arange(len(self.counts)) + 0.5), np.float64
        )

    def percentile(self, percent: float) -> float:
        """Return the level in dBFS that `percent` of the nonsilent frames do not exceed."""
        if not self.nonsilent_frames:
            return -np.inf
        rank = max(1, int(np.ceil(percent / 100 * self.nonsilent_frames)))
        return float(self.centers_db[np.searchsorted(np.cumsum(self.counts), rank)])

    def rebin(self, max_bins: int = 16) -> list[tuple[float, float, int]]:
        """Return at most `max_bins` rows (from dB, to dB, frames) in round steps, loudest first.

        The lowest row includes the few frames below it.
        """
        high = self.percentile(100)
        low = max(self.percentile(0.5), high - 90)
        step = next(s for s in (1, 2, 3, 6, 10) if (high - low) / s < max_bins)
        edges = np.arange(math.floor(low / step) * step, high + step, step)
        bins = np.clip(
            np.rint((edges - HISTOGRAM_MIN_DB) / HISTOGRAM_BIN_DB).astype(int), 0, len(self.counts)
        )
        bins[0] = 0
        counts = [int(self.counts[a:b].sum()) for a, b in pairwise(bins)]
        return [(float(a), float(a + step), n) for a, n in zip(edges, counts, strict=False)][::-1]

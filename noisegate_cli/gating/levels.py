"""How loud each frame is, and how often each level occurs.

Frames are librosa's with `center=True`: frame *k* is centred on sample *k·H*, the signal is padded
with zeros, and *n* samples have 1 + ⌊n/H⌋ frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noisegate_cli.errors import SignalError

Samples = NDArray[Any]
"""Samples shaped (samples, channels): int16, int32, float32 or float64."""

Levels = NDArray[np.float64]
"""RMS of frames, shaped (frames, channels), full scale 1.0."""


def to_db(level: ArrayLike) -> NDArray[np.float64]:
    """Return linear RMS in dBFS; digital silence is minus infinity, without a warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(level))


def from_db(db: ArrayLike) -> NDArray[np.float64]:
    """Return dBFS as linear RMS."""
    return np.asarray(10 ** (np.asarray(db, dtype=np.float64) / 20))


def rms_db(levels: NDArray[np.float64]) -> float:
    """Return the RMS of frames of these levels, linear, together: in dBFS, −∞ for none."""
    return float(to_db(np.sqrt(np.mean(levels**2)))) if levels.size else -np.inf


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the sample value that stands for 1.0: 2¹⁵ for int16, 2³¹ for int32, 1 for floats."""
    return -float(np.iinfo(dtype).min) if np.issubdtype(dtype, np.integer) else 1.0


def peak_of(samples: Samples) -> float:
    """Return the largest absolute value, full scale 1.0; 0 for none."""
    if not samples.size:
        return 0.0
    return max(-float(samples.min()), float(samples.max())) / full_scale(samples.dtype)


def working_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the float type to calculate in: 24 bits are plenty for 16, all else needs 53."""
    return np.float32 if dtype == np.int16 else np.float64


def in_slices(samples: Samples, length: int) -> Iterator[tuple[Samples, bool]]:
    """Cut `samples` into slices of `length`, each with whether it is the last; one at least."""
    for start in range(0, max(len(samples), 1), length):
        yield samples[start : start + length], start + length >= len(samples)


class FrameLevels:
    """RMS of each frame of samples that come in blocks.

    A frame is N/H hops, so each hop is square-summed once and frames are sums of neighbours: the
    same as `librosa.feature.rms`, without N/H-fold work. What is remembered is the samples after
    the last whole hop and the energies of the last N/H − 1 hops.

    Parameters
    ----------
    frame_length, hop_length
        In samples; the hop divides half the frame.

    Examples
    --------
    >>> meter = FrameLevels(frame_length=4, hop_length=2)
    >>> meter.process(np.array([[0.0], [0.5], [0.5]]))
    array([[0.25]])
    >>> meter.process(np.array([[0.5]]), last=True).round(3)
    array([[0.433],
           [0.354]])
    """

    def __init__(self, frame_length: int, hop_length: int) -> None:
        self._frame = frame_length
        self._hop = hop_length
        self._samples: Samples = np.empty((0, 0))
        self._energies: Levels | None = None
        self._hops = 0
        self.square_sum = 0.0
        """Of all samples so far, full scale 1.0."""

    def process(self, block: Samples, last: bool = False) -> Levels:
        """Return the levels of the frames that `block` completes.

        Parameters
        ----------
        block
            Samples shaped (samples, channels), integer or float.
        last
            Whether the recording ends here: the frames that reach past the end are padded.

        Raises
        ------
        SignalError
            When a sample is NaN or infinite.
        """
        hop, overlap = self._hop, self._frame // self._hop
        channels = block.shape[1]
        if self._energies is None:
            self._energies = np.zeros((overlap // 2, channels))
        samples = np.concatenate([self._samples, block]) if len(self._samples) else block
        whole = len(samples) // hop * hop
        energies = [self._energies, self._square_sums(samples[:whole])]
        self._hops += whole // hop
        self._samples = samples[whole:].copy()
        if last:
            rest = np.zeros((hop if len(self._samples) else 0, channels), block.dtype)
            rest[: len(self._samples)] = self._samples
            energies.append(self._square_sums(rest))
            # n samples have 1 + n // hop frames: the last reaches half a frame past the end.
            energies.append(np.zeros((overlap // 2 - len(rest) // hop, channels)))
        e = np.concatenate(energies)
        frames = max(0, len(e) - overlap + 1)
        self._energies = e[frames:]
        # Summed in one order for every frame, so that no frame depends on where blocks end.
        sums = sum((e[i : i + frames] for i in range(overlap)), np.zeros((frames, channels)))
        return np.sqrt(sums / self._frame) / full_scale(block.dtype)

    def _square_sums(self, samples: Samples) -> Levels:
        channels = samples.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            dtype = working_type(samples.dtype)
            planes: NDArray[Any] = np.ascontiguousarray(samples.T, dtype=dtype)
            planes = planes.reshape(channels, -1, self._hop) if len(samples) else planes[..., None]
            energies: Levels = np.einsum("ckh,ckh->kc", planes, planes).astype(np.float64)
        if not np.isfinite(energies).all():
            raise SignalError(_why_not_finite(samples, self._hops * self._hop))
        self.square_sum += float(energies.sum()) / full_scale(samples.dtype) ** 2
        return energies


def _why_not_finite(samples: Samples, start: int) -> str:
    """Say which of `samples`, whose first has the number `start`, has no level."""
    bad = ~np.isfinite(samples).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        value = samples[first][~np.isfinite(samples[first])][0]
        return (
            f"sample {start + first} is {'NaN' if np.isnan(value) else 'infinite'}: "
            "repair the recording, or let --nonfinite zero silence such samples"
        )
    loudest = start + int(np.argmax(np.abs(samples).max(axis=1)))
    return f"sample {loudest} is too large to have a level: scale the recording first"


BIN_DB = 0.1
FLOOR_DB, CEILING_DB = -120.0, 20.0


@dataclass
class LevelHistogram:
    """How often each frame level occurs, in steps of 0.1 dB from −120 to +20 dBFS.

    Memory is the same for any length, and histograms merge by adding: in any order the same.
    Digital silence is not a level but the absence of one, and is counted apart.
    """

    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(round((CEILING_DB - FLOOR_DB) / BIN_DB), np.int64)
    )
    silent: int = 0
    """Frames of digital silence."""

    def add(self, levels: NDArray[np.float64]) -> None:
        """Count `levels`, linear RMS of any shape."""
        sounding = levels[levels > 0]
        self.silent += levels.size - sounding.size
        bins = ((to_db(sounding) - FLOOR_DB) / BIN_DB).astype(np.int64)
        np.clip(bins, 0, len(self.counts) - 1, out=bins)
        self.counts += np.bincount(bins, minlength=len(self.counts))

    def __add__(self, other: "LevelHistogram") -> "LevelHistogram":
        return LevelHistogram(self.counts + other.counts, self.silent + other.silent)

    @property
    def sounding(self) -> int:
        """Frames that are not digital silence."""
        return int(self.counts.sum())

    @property
    def centres_db(self) -> NDArray[np.float64]:
        """The level in the middle of each bin, dBFS."""
        return np.asarray(FLOOR_DB + BIN_DB * (np.arange(len(self.counts)) + 0.5), np.float64)

    def percentile(self, percent: float) -> float:
        """Return the level, dBFS, that `percent` of the sounding frames don't exceed."""
        if not self.sounding:
            return -np.inf
        rank = max(1, int(np.ceil(percent / 100 * self.sounding)))
        return float(self.centres_db[np.searchsorted(np.cumsum(self.counts), rank)])

"""Sample arrays: data types, full scale, levels in dB, and blocks."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[Any]
"""Array of shape (samples, channels) and type int16, int32, float32 or float64."""

MAX_CHANNELS = 1024
"""Maximum number of channels in libsndfile."""

Blocks = Iterable[tuple[Samples, bool]]

BLOCK_BYTES = 1 << 21
"""Size of a block: it fits in the CPU cache, and numpy's overhead per call is negligible."""


def to_db(level: ArrayLike) -> NDArray[np.float64]:
    """Convert linear RMS to dBFS; digital silence gives minus infinity without a warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(level))


def from_db(db: ArrayLike) -> NDArray[np.float64]:
    """Convert dBFS to linear RMS."""
    return np.asarray(10 ** (np.asarray(db, dtype=np.float64) / 20))


def gain_from_db(db: float) -> float:
    """Convert a gain in dB to a linear one.

    The gate and its report use this function, so that their gains are equal. The last bit of
    `from_db` may differ, because NumPy has another power function.
    """
    return float(10 ** (float(db) / 20))


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the full-scale sample value: 2¹⁵ for int16, 2³¹ for int32, 1 for floats."""
    return 2.0 ** (8 * dtype.itemsize - 1) if dtype.kind == "i" else 1.0


def compute_peak(samples: Samples) -> float:
    """Return the largest absolute sample value relative to full scale; 0 for an empty array."""
    if not samples.size:
        return 0.0
    return max(-float(samples.min()), float(samples.max())) / full_scale(samples.dtype)


def sum_channels(samples: Samples) -> NDArray[np.float64]:
    """Return the sum of the samples of each channel; the sum of integers is exact."""
    # Adding up each channel is many times faster than a sum over the first axis. In int32, which
    # can hold the sum of this many int16, it takes half as long as in float64.
    dtype = np.int32 if samples.dtype == np.int16 else np.float64
    slices = iterate_slices(samples, 1 << 16)
    sums = [[channel.sum(dtype=dtype) for channel in part.T] for part, _ in slices]
    return np.asarray(np.sum(sums, axis=0, dtype=np.float64))


def choose_float_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the float type to calculate in.

    The 24-bit significand of float32 is precise enough for int16; other types need float64.
    """
    return np.float32 if dtype == np.int16 else np.float64


def iterate_slices(samples: Samples, length: int) -> Iterator[tuple[Samples, bool]]:
    """Yield slices of `length` samples, each with a flag that marks the last one.

    Empty input yields one empty slice.
    """
    for start in range(0, max(len(samples), 1), length):
        yield samples[start : start + length], start + length >= len(samples)


def silence_nonfinite(
    blocks: Iterable[tuple[Samples, bool]], warnings: list[str]
) -> Iterator[tuple[Samples, bool]]:
    """Replace NaN and infinite samples with zero, and append one warning at the end."""
    samples_read = count = first = 0
    for block, last in blocks:
        is_nonfinite = ~np.isfinite(block)
        if is_nonfinite.any():
            first = first if count else samples_read + int(np.argmax(is_nonfinite.any(axis=1)))
            count += int(np.count_nonzero(is_nonfinite))
            block = np.where(is_nonfinite, block.dtype.type(0), block)  # noqa: PLW2901
        samples_read += len(block)
        if last and count:
            warnings.append(
                f"{count} samples are NaN or infinite, the first is number {first}: "
                "they are replaced with silence"
            )
        yield block, last


def block_length(channels: int, dtype: np.dtype[Any]) -> int:
    """Return the number of samples per channel in a block of `BLOCK_BYTES`."""
    return max(1, BLOCK_BYTES // (channels * dtype.itemsize))


def select_channels(samples: Samples, channels: tuple[int, ...] | None) -> Samples:
    """Return some channels of samples shaped (samples, channels); all of them for None."""
    return samples if channels is None else np.ascontiguousarray(samples[:, channels])

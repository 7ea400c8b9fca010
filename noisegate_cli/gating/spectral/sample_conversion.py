"""Convert samples to planar floats for Fourier transforms, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SignalError
from noisegate_cli.samples import Samples, choose_float_type, full_scale

MAX_SAMPLE_VALUE = 1e6
"""Maximum sample value, with full scale 1.0: the SNR of larger samples overflows float32."""

PlanarSamples = NDArray[np.floating[Any]]
"""Samples shaped (channels, samples), full scale 1.0."""


def to_planar(samples: Samples, dtype: type[np.floating[Any]] = np.float32) -> PlanarSamples:
    """Return a copy of samples shaped (samples, channels), as floats shaped (channels, samples).

    Raises
    ------
    SignalError
        If a sample is NaN, infinite or above `MAX_SAMPLE_VALUE`.
    """
    planar: PlanarSamples = np.empty(samples.T.shape, dtype)
    if samples.dtype.kind == "i":
        return np.multiply(
            samples.T, 1 / full_scale(samples.dtype), out=planar, dtype=dtype, casting="same_kind"
        )
    with np.errstate(over="ignore"):
        planar[:] = samples.T
    peak = np.abs(planar).max(initial=0.0)
    if not np.isfinite(peak) and not np.isfinite(samples).all():
        raise SignalError("some samples are NaN or infinite: repair the recording first")
    if peak > MAX_SAMPLE_VALUE:
        raise SignalError(
            f"samples above {MAX_SAMPLE_VALUE:g} are too large for the spectral gate: "
            "scale them first"
        )
    return planar


def from_full_scale(
    y: NDArray[np.floating[Any]], dtype: np.dtype[Any], quantization_step: int
) -> Samples:
    """Convert floats with full scale 1.0 to a sample type; `y` is overwritten.

    Integers are rounded to multiples of `quantization_step` and clipped.
    """
    if dtype.kind == "f":
        return y.astype(dtype)
    scale = full_scale(dtype)
    y = y.astype(choose_float_type(dtype), copy=False)
    y *= scale / quantization_step
    np.rint(y, out=y)
    if quantization_step > 1:
        y *= quantization_step
    return np.clip(y, -scale, scale - quantization_step, out=y).astype(dtype)

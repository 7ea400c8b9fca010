"""Quantiles of short arrays, by sorting.

`numpy.quantile` partitions instead of sorting, which is less work but several times slower here:
numpy sorts with vector instructions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]


def quantile(values: FloatArray, q: float | Sequence[float], axis: int = 0) -> FloatArray:
    """Return quantiles along an axis, interpolated linearly.

    The result equals `numpy.quantile` except for rounding.

    Parameters
    ----------
    values
        Finite values, at least one along the axis.
    q
        One or several quantiles, 0 to 1.
    axis
        Axis along which the quantiles are computed.

    Returns
    -------
    ndarray
        Shaped as `values` without the axis; with several `q`, their axes come first.

    Examples
    --------
    >>> quantile(np.array([0.0, 40.0, 10.0]), [0.5, 0.75])
    array([10., 25.])
    """
    ordered = np.sort(values, axis=axis)
    if axis:
        ordered = np.moveaxis(ordered, axis, 0)
    # Arithmetic on numbers takes half as long as on arrays of one or two quantiles.
    if isinstance(q, float):
        return _interpolate(ordered, q)
    return np.stack([_interpolate(ordered, single) for single in q])


def _interpolate(ordered: FloatArray, q: float) -> FloatArray:
    """Return a quantile of values that ascend along the first axis."""
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    fraction = ordered.dtype.type(position - below)
    return np.asarray(ordered[below] * (1 - fraction) + ordered[above] * fraction)


def median(values: FloatArray, axis: int = 0) -> FloatArray:
    """Return the median along an axis; see `quantile`."""
    return quantile(values, 0.5, axis)

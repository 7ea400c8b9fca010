"""Quantiles of a few numbers at a time, by sorting.

numpy's own select instead of sorting, which is less work but several times as slow: processors
sort many numbers at once.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]


def quantile(values: FloatArray, q: ArrayLike, axis: int = 0) -> FloatArray:
    """Return what so large a share of the values lies below, linear between two of them.

    The same as `numpy.quantile`, but for the last digit.

    Parameters
    ----------
    values
        Finite, and one at least along the axis.
    q
        0 to 1, or several.

    Returns
    -------
    Shaped as `values` without the axis; of several shares, as many of these.

    Examples
    --------
    >>> quantile(np.array([0.0, 40.0, 10.0]), [0.5, 0.75])
    array([10., 25.])
    """
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)
    at = np.asarray(q) * (len(ordered) - 1)
    below = at.astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    between = np.reshape(at - below, at.shape + (1,) * (ordered.ndim - 1)).astype(ordered.dtype)
    return np.asarray(ordered[below] * (1 - between) + ordered[above] * between)


def median(values: FloatArray, axis: int = 0) -> FloatArray:
    """Return the middle one of the values, or the mean of the middle two; see `quantile`."""
    return quantile(values, 0.5, axis)

"""Products of matrices with so few multiplications that OpenBLAS starts no threads.

Its threads wait actively for each other. For matrices as narrow as those of the gate, they take
several times as long as one thread, and many times as long on a machine that is busy.
"""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_PRODUCT = 1 << 18
"""Number of multiplications in a product. With more, OpenBLAS starts threads."""

FloatType = TypeVar("FloatType", np.float32, np.float64)


def split_rows(rows: int, multiplications: int) -> Iterator[slice]:
    """Yield slices of rows, each with at most `MAX_PRODUCT` multiplications.

    Parameters
    ----------
    rows
        Number of rows.
    multiplications
        Number of multiplications for each row.
    """
    step = max(1, MAX_PRODUCT // max(1, multiplications))
    for start in range(0, rows, step):
        yield slice(start, start + step)


def multiply(
    a: NDArray[FloatType], b: NDArray[FloatType], out: NDArray[FloatType] | None = None
) -> NDArray[FloatType]:
    """Return a @ b, written into `out` if it is given."""
    out = np.empty((len(a), b.shape[1]), a.dtype) if out is None else out
    for rows in split_rows(len(a), b.size):
        np.matmul(a[rows], b, out=out[rows])
    return out


def multiply_transposed(a: NDArray[FloatType]) -> NDArray[FloatType]:
    """Return a.T @ a.

    Examples
    --------
    >>> multiply_transposed(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[10., 14.],
           [14., 20.]])
    """
    total = np.zeros((a.shape[1], a.shape[1]), a.dtype)
    for rows in split_rows(len(a), total.size):
        total += a[rows].T @ a[rows]
    return total

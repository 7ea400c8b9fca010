"""Window that all Fourier transforms and the overlap-add gain share."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Window = NDArray[np.float64]
"""Weights of the samples of a frame, shaped (frame_length,)."""


@lru_cache(maxsize=16)  # Several steps use the same windows, and so do the recordings of a batch.
def hann_window(length: int, exponent: float = 1.0) -> Window:
    """Return the periodic Hann window, raised to a power; the array is read-only.

    With the exponent 1 it is librosa's default window, `scipy.signal.windows.hann` with
    `sym=False`. With 0.5 it is the sine window, whose squares add up to a constant at an overlap
    of one half.

    Parameters
    ----------
    length
        In samples.
    exponent
        Power to which the weights are raised.

    Examples
    --------
    >>> hann_window(4)
    array([0. , 0.5, 1. , 0.5])
    """
    n = np.arange(length)
    window = np.asarray((0.5 - 0.5 * np.cos(2 * np.pi * n / length)) ** exponent)
    window.flags.writeable = False  # because the cache shares it
    return window

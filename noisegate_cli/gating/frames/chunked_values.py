"""Keep some value of every frame of a long recording."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

CHUNK_ROWS = 1 << 13
"""Rows in a chunk: an operation on them needs little memory, and numpy's overhead is negligible."""


class ChunkedValues:
    """Rows that arrive in blocks and are kept in chunks, so that no operation copies all of them.

    Parameters
    ----------
    dtype
        Type in which the rows are kept.

    Examples
    --------
    >>> values = ChunkedValues(np.uint8)
    >>> values.append(np.array([1, 2, 3]))
    >>> values.append(np.array([4]))
    >>> len(values), values.take(np.array([0, 3])).tolist()
    (4, [1, 4])
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._chunks: list[NDArray[Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows, which all have the same shape."""
        while len(rows) or not self._chunks:
            if self._count == CHUNK_ROWS * len(self._chunks):
                self._chunks.append(np.empty((CHUNK_ROWS, *rows.shape[1:]), self._dtype))
            filled = self._count - CHUNK_ROWS * (len(self._chunks) - 1)
            part, rows = rows[: CHUNK_ROWS - filled], rows[CHUNK_ROWS - filled :]
            self._chunks[-1][filled : filled + len(part)] = part
            self._count += len(part)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield the rows in order, `CHUNK_ROWS` at a time."""
        for number, chunk in enumerate(self._chunks):
            yield chunk[: self._count - number * CHUNK_ROWS]

    def drain(self) -> Iterator[NDArray[Any]]:
        """Yield the rows as `chunks` does, and release the memory of those that were used."""
        for number in range(len(self._chunks)):
            yield self._chunks[number][: self._count - number * CHUNK_ROWS]
            self._chunks[number] = self._chunks[number][:0].copy()

    def join(self) -> NDArray[Any]:
        """Return all rows as one array, and release the chunks one by one; needs some rows."""
        joined = np.empty((self._count, *self._chunks[0].shape[1:]), self._dtype)
        first = 0
        for chunk in self.drain():
            joined[first : first + len(chunk)] = chunk
            first += len(chunk)
        return joined

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows with some indices, which ascend."""
        edges = np.searchsorted(indices, np.arange(len(self._chunks) + 1) * CHUNK_ROWS)
        parts = [
            chunk[indices[start:end] - number * CHUNK_ROWS]
            for number, (chunk, start, end) in enumerate(
                zip(self._chunks, edges[:-1], edges[1:], strict=True)
            )
        ]
        return np.concatenate(parts)

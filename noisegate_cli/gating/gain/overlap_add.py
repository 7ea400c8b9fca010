"""Gains of frames → samples.

The plain method masks the frames of an STFT and inverts it. librosa's inverse windows each frame
again and divides by the summed squares of the window w, so with one gain g for a whole frame the
transforms cancel and

    y[n] = x[n] · G[n],   G[n] = Σ_k g_k·w²[n − kH] / Σ_k w²[n − kH].

No FFT is needed. Over one hop the sums have N/H terms, the same for each hop, and mostly all gains
in them are alike: where they are 1 the samples are left as they are, bit for bit; where they are
the closed gain one multiplication does. Only the hops in between need the sums.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from noisegate_cli.gating.gain.envelope import Gains
from noisegate_cli.samples import Samples, choose_float_type

GAIN_BATCH_HOPS = 64
"""Hops that are multiplied at once."""


class OverlapAddGain:
    """Lays the gains of frames over samples; both come in blocks, either of them later.

    Parameters
    ----------
    frame_length, hop_length
        In samples.
    closed_gain
        Linear gain of the closed gate.
    step
        The smallest difference between two integer samples: 256 for 24 bits held in 32.
        Products are rounded to it.
    """

    def __init__(
        self,
        frame_length: int,
        hop_length: int,
        closed_gain: float,
        gates: int = 1,
        step: int = 1,
    ) -> None:
        overlap = frame_length // hop_length
        n = np.arange(frame_length)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * n / frame_length)
        # A hop lies at the end of the first frame that covers it and at the start of the last.
        squares = (window**2).reshape(overlap, hop_length)[::-1]
        self._shares = squares / squares.sum(axis=0)
        self._hop = hop_length
        self._closed_gain = closed_gain
        self._step = step
        # NaN marks frames that don't exist: before the first and after the last.
        self._missing = np.full((overlap, gates), np.nan)
        self._gains = self._missing[: overlap // 2 - 1]
        self._samples: Samples | None = None

    def process(self, block: Samples, gains: Gains, last: bool = False) -> Samples:
        """Return the samples that are settled, under their gains, in the type of `block`.

        Parameters
        ----------
        block
            Samples shaped (samples, channels).
        gains
            Linear gains of further frames, shaped (frames, gates): one gate for all channels or
            one for each.
        last
            Whether this is all.
        """
        parts = [block] if self._samples is None else [self._samples, block]
        rows = np.concatenate([self._gains, gains, self._missing] if last else [self._gains, gains])
        length, overlap = sum(map(len, parts)), len(self._missing)
        hops = -(-length // self._hop)
        if not last:
            hops = min(length // self._hop, max(0, len(rows) - overlap + 1))
        if hops * self._hop > length:
            parts.append(np.zeros((hops * self._hop - length, block.shape[1]), block.dtype))
        # A copy in any case, so that it can be gated where it is.
        samples = np.concatenate(parts)
        settled = samples[: hops * self._hop]
        self._samples, self._gains = samples[len(settled) :].copy(), rows[hops:]
        if hops:
            self._gate(settled.reshape(hops, self._hop, -1), rows[: hops + overlap - 1])
        return settled[:length]

    def _gate(self, hops: Samples, rows: Gains) -> None:
        """Lay the gains of the frames that cover them over `hops`, the first hop's first."""
        missing = np.isnan(rows)
        is_open = self._all_covering((rows == 1) | missing)
        if is_open.all():
            return
        is_closed = self._all_covering((rows == self._closed_gain) | missing) & ~is_open
        moves = ~(is_open | is_closed)
        covering = sliding_window_view(rows, len(self._missing), axis=0)
        for gate in range(gates := rows.shape[1]):
            part = hops if gates == 1 else hops[:, :, gate : gate + 1]
            closed, moving = np.flatnonzero(is_closed[:, gate]), np.flatnonzero(moves[:, gate])
            if self._closed_gain == 0:
                part[closed] = 0
            else:
                for some in _split_hops(closed):
                    part[some] = self._scaled(part[some], self._closed_gain)
            for some in _split_hops(moving):
                curve = self._curve(covering[some, gate], choose_float_type(hops.dtype))
                part[some] = self._scaled(part[some], curve[:, :, None])

    def _all_covering(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether, for each hop, all the frames that cover it are flagged."""
        count = np.cumsum(flags, axis=0, dtype=np.int64)
        overlap = len(self._missing)
        in_hop: NDArray[np.int64] = count[overlap - 1 :].copy()
        in_hop[1:] -= count[:-overlap]
        return np.asarray(in_hop == overlap)

    def _curve(self, gains: Gains, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        """Return G[n] over hops, shaped (hops, hop_length), from their (hops, overlap) gains."""
        exists = ~np.isnan(gains)
        shares = self._shares.astype(dtype)
        curve = _weighted_sum(np.where(exists, gains, 0).astype(dtype), shares)
        # At the ends of the recording fewer frames share a hop.
        ends = np.flatnonzero(~exists.all(axis=1))
        curve[ends] /= _weighted_sum(exists[ends].astype(dtype), shares)
        return curve

    def _scaled(self, samples: Samples, gain: float | NDArray[Any]) -> Samples:
        scaled = samples * gain
        if np.issubdtype(samples.dtype, np.integer):
            # Gains are 1 at the most, and samples whole steps: the type is never left.
            scaled = np.rint(scaled / self._step) * self._step
        return scaled.astype(samples.dtype)


def _split_hops(hops: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield `hops` by the few, so that their products stay in the cache and memory stays flat."""
    for start in range(0, len(hops), GAIN_BATCH_HOPS):
        yield hops[start : start + GAIN_BATCH_HOPS]


def _weighted_sum(gains: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return gains @ weights, summed in one order however many rows there are, as BLAS doesn't."""
    total: NDArray[Any] = gains[:, :1] * weights[0]
    for i in range(1, len(weights)):
        total += gains[:, i : i + 1] * weights[i]
    return total

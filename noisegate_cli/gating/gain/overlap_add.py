"""Apply the gains of frames to samples.

The direct method multiplies the frames of an STFT by their gains and inverts it. librosa's inverse
applies the window w to each frame again and divides by the sum of the squared windows. With a
single gain g_k for the whole frame k, the transforms cancel:

    y[n] = x[n] · G[n],   G[n] = Σ_k g_k·w²[n − kH] / Σ_k w²[n − kH].

No FFT is needed. Within a hop the sums have N/H terms with the same weights for every hop, and
usually all their gains are equal. Where they are 1, the samples stay unchanged, bit for bit; where
they are the closed gain, one multiplication is enough. Only the other hops need the sums.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.gating.frames.window import hann_window
from noisegate_cli.gating.gain.envelope import Gains
from noisegate_cli.samples import Samples, choose_float_type

GAIN_BATCH_HOPS = 64
"""Number of hops that are multiplied at once, so that their products fit in the cache."""


@lru_cache(maxsize=16)  # The recordings of a batch have the same shares.
def _compute_shares(frame_length: int, hop_length: int) -> NDArray[np.float64]:
    """Return the shares of the frames in each sample of a hop, shaped (frames, samples).

    The array is read-only.
    """
    # A hop is at the end of the first frame that covers it, and at the start of the last one.
    squares = (hann_window(frame_length) ** 2).reshape(-1, hop_length)[::-1]
    shares: NDArray[np.float64] = squares / squares.sum(axis=0)
    shares.flags.writeable = False  # because the cache shares it
    return shares


class OverlapAddGain(PairedBlockProcessor[Samples, Gains, Samples]):
    """Apply the gains of frames to samples; both arrive in blocks, and either may lag behind.

    Parameters
    ----------
    frame_length, hop_length
        In samples.
    closed_gain
        Linear gain of the closed gate.
    gates
        Number of gates: one for all channels, or one for each.
    quantization_step
        Smallest difference between two integer samples, for example 256 for 24 bits stored in 32.
        Products are rounded to multiples of it.
    """

    def __init__(
        self,
        frame_length: int,
        hop_length: int,
        closed_gain: float,
        gates: int = 1,
        quantization_step: int = 1,
    ) -> None:
        overlap = frame_length // hop_length
        self._shares = _compute_shares(frame_length, hop_length)
        self._hop = hop_length
        self._closed_gain = closed_gain
        self._quantization_step = quantization_step
        # NaN marks frames that do not exist: before the first and after the last.
        self._missing = np.full((overlap, gates), np.nan)
        self._gains = self._missing[: overlap // 2 - 1]
        self._samples: Samples | None = None

    def process(self, block: Samples, gains: Gains, last: bool = False) -> Samples:
        """Return the output samples that are final, in the type of `block`.

        Parameters
        ----------
        block
            Samples shaped (samples, channels).
        gains
            Linear gains of the next frames, shaped (frames, gates).
        last
            Whether the recording ends here.
        """
        parts = [block] if self._samples is None else [self._samples, block]
        rows = np.concatenate([self._gains, gains, self._missing] if last else [self._gains, gains])
        length, overlap = sum(map(len, parts)), len(self._missing)
        hops = -(-length // self._hop)
        if not last:
            hops = min(length // self._hop, max(0, len(rows) - overlap + 1))
        if hops * self._hop > length:
            parts.append(np.zeros((hops * self._hop - length, block.shape[1]), block.dtype))
        # Always a copy, so that it can be modified in place.
        samples = np.concatenate(parts)
        final = samples[: hops * self._hop]
        self._samples, self._gains = samples[len(final) :].copy(), rows[hops:]
        if hops:
            self._apply_gains(final.reshape(hops, self._hop, -1), rows[: hops + overlap - 1])
        return final[:length]

    def _apply_gains(self, hops: Samples, rows: Gains) -> None:
        """Apply gains to `hops` in place; `rows` are the gains of all frames that cover them."""
        missing = np.isnan(rows)
        is_open = self._all_covering((rows == 1) | missing)
        if is_open.all():
            return
        is_closed = self._all_covering((rows == self._closed_gain) | missing) & ~is_open
        is_fading = ~(is_open | is_closed)
        frames = np.arange(len(self._missing))
        for gate in range(gates := rows.shape[1]):
            part = hops if gates == 1 else hops[:, :, gate : gate + 1]
            closed, fading = np.flatnonzero(is_closed[:, gate]), np.flatnonzero(is_fading[:, gate])
            if self._closed_gain == 0:
                part[closed] = 0
            else:
                for group in _split_hops(closed):
                    part[group] = self._scale(part[group], self._closed_gain)
            for group in _split_hops(fading):
                curve = self._compute_gain_curve(
                    rows[group[:, None] + frames, gate], choose_float_type(hops.dtype)
                )
                part[group] = self._scale(part[group], curve[:, :, None])

    def _all_covering(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return for each hop whether all frames that cover it are flagged."""
        count = np.cumsum(flags, axis=0, dtype=np.int64)
        overlap = len(self._missing)
        in_hop: NDArray[np.int64] = count[overlap - 1 :].copy()
        in_hop[1:] -= count[:-overlap]
        return np.asarray(in_hop == overlap)

    def _compute_gain_curve(self, gains: Gains, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        """Compute G[n], shaped (hops, hop_length), from gains shaped (hops, overlap)."""
        exists = ~np.isnan(gains)
        shares = self._shares.astype(dtype)
        curve = _weighted_sum(np.where(exists, gains, 0).astype(dtype), shares)
        # Fewer frames cover a hop at the ends of the recording.
        ends = np.flatnonzero(~exists.all(axis=1))
        curve[ends] /= _weighted_sum(exists[ends].astype(dtype), shares)
        return curve

    def _scale(self, samples: Samples, gain: float | NDArray[Any]) -> Samples:
        scaled = samples * gain
        if np.issubdtype(samples.dtype, np.integer):
            # Gains are at most 1 and samples are multiples of the step, so nothing overflows.
            step = self._quantization_step
            if step == 1:
                np.rint(scaled, out=scaled)
            else:
                scaled = np.rint(scaled / step) * step
        return scaled.astype(samples.dtype)


def _split_hops(hops: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield `hops` in groups of `GAIN_BATCH_HOPS`."""
    for start in range(0, len(hops), GAIN_BATCH_HOPS):
        yield hops[start : start + GAIN_BATCH_HOPS]


def _weighted_sum(gains: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Compute gains @ weights in a fixed order of summation; in BLAS it depends on the rows."""
    total: NDArray[Any] = gains[:, :1] * weights[0]
    term = np.empty_like(total)
    for i in range(1, len(weights)):
        total += np.multiply(gains[:, i : i + 1], weights[i], out=term)
    return total

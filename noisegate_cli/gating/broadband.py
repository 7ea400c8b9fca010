"""Gains of frames → samples, and the broadband gate made of all four steps.

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

from noisegate_cli.gating.audit import LEAST_RANGE_DB, ChopAudit, ChopReport
from noisegate_cli.gating.detector import Rule, detector
from noisegate_cli.gating.envelope import Envelope, Gains
from noisegate_cli.gating.levels import Samples, working_type
from noisegate_cli.gating.mask import GateMask, GateStatistics
from noisegate_cli.gating.settings import GateSettings

FEW_HOPS = 64
"""Hops that are multiplied at once."""


Gated = tuple[Samples, Samples | None]
"""Samples that were kept, and what was removed from them if that was asked for."""


class Overlay:
    """Lays the gains of frames over samples; both come in blocks, the gains some frames later.

    Parameters
    ----------
    frame_length, hop_length
        In samples.
    closed_gain
        Linear gain of the closed gate.
    step
        The smallest difference between two integer samples: 256 for 24 bits held in 32.
        Products are rounded to it.
    residue
        Whether to tell what was removed, too.
    """

    def __init__(
        self,
        frame_length: int,
        hop_length: int,
        closed_gain: float,
        gates: int = 1,
        step: int = 1,
        residue: bool = False,
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
        self._residue = residue
        # NaN marks frames that don't exist: before the first and after the last.
        self._missing = np.full((overlap, gates), np.nan)
        self._gains = self._missing[: overlap // 2 - 1]
        self._samples: Samples | None = None

    def process(self, block: Samples, gains: Gains, last: bool = False) -> Gated:
        """Return the samples that are settled, under their gains.

        Parameters
        ----------
        block
            Samples shaped (samples, channels).
        gains
            Linear gains of further frames, shaped (frames, gates): one gate for all channels or
            one for each.
        last
            Whether this is all.

        Returns
        -------
        kept, removed
            Both shaped (samples, channels), in the type of `block`; together they are what went
            in. `removed` is None unless it was asked for.
        """
        parts = [block] if self._samples is None else [self._samples, block]
        rows = np.concatenate([self._gains, gains, self._missing] if last else [self._gains, gains])
        length, overlap = sum(map(len, parts)), len(self._missing)
        hops = -(-length // self._hop) if last else max(0, len(rows) - overlap + 1)
        if hops * self._hop > length:
            parts.append(np.zeros((hops * self._hop - length, block.shape[1]), block.dtype))
        # A copy in any case, so that it can be gated where it is.
        samples = np.concatenate(parts)
        settled = samples[: hops * self._hop]
        self._samples, self._gains = samples[len(settled) :].copy(), rows[hops:]
        before = settled[:length].copy() if self._residue else None
        if hops:
            self._gate(settled.reshape(hops, self._hop, -1), rows[: hops + overlap - 1])
        kept = settled[:length]
        return kept, None if before is None else before - kept

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
                for some in _few(closed):
                    part[some] = self._scaled(part[some], self._closed_gain)
            for some in _few(moving):
                curve = self._curve(covering[some, gate], working_type(hops.dtype))
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


class BroadbandGate:
    """Level → mask → gain → samples, for samples that come in blocks.

    Parameters
    ----------
    settings
        How to gate.
    rule
        A threshold in linear RMS, full scale 1.0, below 0 for a gate that is always open; or what
        was learnt of the recording.
    sample_rate
        In Hz.
    channels
        Of the blocks to come.
    step, residue
        See `Overlay`.

    Examples
    --------
    A tone with a pause in it, cut into two blocks:

    >>> y = np.sin(np.arange(8000) / 3)[:, None]
    >>> y[3000:5000] *= 0.001
    >>> gate = BroadbandGate(GateSettings.preset("hard"), 0.1, sample_rate=8000, channels=1)
    >>> parts = [gate.process(y[:3500])[0], gate.process(y[3500:], last=True)[0]]
    >>> out = np.concatenate(parts)
    >>> out.shape, np.array_equal(out[:2800], y[:2800]), float(np.abs(out[3300:4700]).max())
    ((8000, 1), True, 0.0)
    """

    def __init__(
        self,
        settings: GateSettings,
        rule: Rule,
        sample_rate: int,
        channels: int = 1,
        step: int = 1,
        residue: bool = False,
    ) -> None:
        timing = settings.timing(sample_rate)
        self._detector = detector(rule, settings, sample_rate, channels)
        gates = self._detector.gates
        self._cuts = settings.range_db < LEAST_RANGE_DB
        self._audit = ChopAudit(timing, sample_rate, gates)
        self._mask = GateMask(self._detector.open_above, self._detector.close_below, timing, gates)
        self._envelope = Envelope(
            timing.lookahead, timing.attack, timing.release, settings.closed_gain, gates
        )
        self._overlay = Overlay(
            timing.frame_length, timing.hop_length, settings.closed_gain, gates, step, residue
        )

    @property
    def statistics(self) -> GateStatistics:
        """What the gate has done so far."""
        return self._mask.statistics

    @property
    def chops(self) -> ChopReport:
        """Where it has cut sounds so far."""
        return self._audit.report

    def process(self, block: Samples, last: bool = False) -> Gated:
        """Return the samples that `block` settles: what is kept, and what is removed if asked.

        They come out some frames later than they went in; with `last` all are out. See
        `Overlay.process` for the shapes, `FrameLevels.process` for the errors.
        """
        values, levels = self._detector.process(block, last)
        mask = self._mask.process(values, last)
        if self._cuts:
            self._audit.process(levels, mask, last)
        return self._overlay.process(block, self._envelope.process(mask, last), last)


def _few(hops: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield `hops` by the few, so that their products stay in the cache and memory stays flat."""
    for start in range(0, len(hops), FEW_HOPS):
        yield hops[start : start + FEW_HOPS]


def _weighted_sum(gains: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return gains @ weights, summed in one order however many rows there are, as BLAS doesn't."""
    total: NDArray[Any] = gains[:, :1] * weights[0]
    for i in range(1, len(weights)):
        total += gains[:, i : i + 1] * weights[i]
    return total

"""The whole gate: level → mask → gain → samples, in each frequency bin first if it is told to."""

from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.chops import MIN_AUDITED_RANGE_DB, ChopAudit, ChopReport
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.detector import detector
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.mask import GateMask, GateStatistics
from noisegate_cli.gating.gain.overlap_add import OverlapAddGain
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.gating.spectral.spectral_gate import SpectralGate

Gated = tuple[Samples, Samples | None]
"""Samples that were kept, and what was removed from them if that was asked for."""


class Gate:
    """Gates samples that come in blocks.

    Parameters
    ----------
    decision
        How to gate, and what to go by.
    sample_rate
        In Hz.
    channels
        Of the blocks to come.
    step
        See `OverlapAddGain`.
    residue
        Whether to tell what was removed, too.
    live
        Whether samples are waited for: they come out as soon as they can, see `live_delay_ms`. It
        makes no difference to them unless a spectral gate follows the noise, which it then does
        from what it has heard a shorter time before.

    Examples
    --------
    A tone with a pause in it, cut into two blocks:

    >>> y = np.sin(np.arange(8000) / 3)[:, None]
    >>> y[3000:5000] *= 0.001
    >>> gate = Gate(GateDecision(0.1, GateSettings.preset("hard")), sample_rate=8000)
    >>> parts = [gate.process(y[:3500])[0], gate.process(y[3500:], last=True)[0]]
    >>> out = np.concatenate(parts)
    >>> out.shape, np.array_equal(out[:2800], y[:2800]), float(np.abs(out[3300:4700]).max())
    ((8000, 1), True, 0.0)
    """

    def __init__(
        self,
        decision: GateDecision,
        sample_rate: int,
        channels: int = 1,
        *,
        step: int = 1,
        residue: bool = False,
        live: bool = False,
    ) -> None:
        settings = decision.settings
        timing = settings.timing(sample_rate)
        self._detector = detector(
            decision.rule, settings, sample_rate, channels, decision.subsample
        )
        gates = self._detector.gates
        self.noises = decision.noises or settings.noise_of(gates)
        """The noise in each gate, for a spectral gate that goes by it; None where none is known."""
        reduction_db = settings.pause_reduction_db if any(self.noises) else 0.0
        self._cuts = settings.range_db - reduction_db < MIN_AUDITED_RANGE_DB
        self._audit = ChopAudit(timing, sample_rate, gates)
        self._mask = GateMask(self._detector.open_above, self._detector.close_below, timing, gates)
        self._envelope = Envelope(
            timing.lookahead, timing.attack, timing.release, settings.closed_gain, gates
        )
        self._overlap_add_gain = OverlapAddGain(
            timing.frame_length, timing.hop_length, settings.closed_gain, gates, step
        )
        self._spectral = self._spectral_gate(settings, sample_rate, channels, step, live)
        self._before: list[Samples] | None = [] if residue else None

    def _spectral_gate(
        self, settings: GateSettings, sample_rate: int, channels: int, step: int, live: bool
    ) -> "SpectralGate | None":
        if settings.spectral == "off" or not (any(self.noises) or settings.masks_by_level):
            return None
        from noisegate_cli.gating.spectral.spectral_gate import SpectralGate

        return SpectralGate(settings, self.noises, sample_rate, channels, step, live)

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

        They come out some frames later than they went in; with `last` all are out.

        Returns
        -------
        kept, removed
            Both shaped (samples, channels), in the type of `block`; together they are what went
            in, but for what the type can't hold. `removed` is None unless it was asked for.

        Raises
        ------
        SignalError
            When a sample is NaN or infinite.
        """
        if self._spectral:
            self._spectral.submit_transforms(block, last)
        values, levels = self._detector.process(block, last)
        mask = self._mask.process(values, last)
        if self._cuts:
            self._audit.process(levels, mask, last)
        samples = self._spectral.process(mask, last) if self._spectral else block
        kept = self._overlap_add_gain.process(samples, self._envelope.process(mask, last), last)
        return kept, None if self._before is None else self._removed(block, kept)

    def _removed(self, block: Samples, kept: Samples) -> Samples:
        assert self._before is not None
        before = np.concatenate([*self._before, block])
        self._before = [before[len(kept) :].copy()]
        before = before[: len(kept)]
        if self._spectral is None or block.dtype.kind == "f":
            return before - kept
        # Bins that go down alone may leave the other sign, and more than there was.
        limits = np.iinfo(block.dtype)
        removed = np.clip(before.astype(np.int64) - kept, limits.min, limits.max)
        return removed.astype(block.dtype)


def live_delay_ms(settings: GateSettings, sample_rate: int) -> float:
    """Return how much later a live gate tells samples than it gets them, at the most, in ms."""
    delay = settings.delay_ms(sample_rate)
    if settings.spectral == "off":
        return delay
    from noisegate_cli.gating.spectral.spectral_gate import spectral_delay_ms

    return delay + spectral_delay_ms(settings, sample_rate)

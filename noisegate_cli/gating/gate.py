"""The complete gate: level → mask → gain → samples, with an optional spectral gate before it."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.cutoffs import CutoffAudit, is_audited
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.detector import Detector, create_detector
from noisegate_cli.gating.forced import ForcedMask
from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.gain.envelope import Envelope, Gains, invert_gains
from noisegate_cli.gating.gain.mask import DetectorValues, GateMask, Mask
from noisegate_cli.gating.gain.overlap_add import OverlapAddGain
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.gating.segments import OpenRunCollector, Segments, count_statistics, crop_runs
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples, gain_from_db, select_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noisegate_cli.gating.bleed.filter import BleedFilter
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.expander_gains import ExpanderGains
    from noisegate_cli.gating.key import KeyedDetector
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.gating.spectral.magnitude_mask import MagnitudeMask
    from noisegate_cli.gating.spectral.spectral_gate import SpectralGate

Gated = tuple[Samples, Samples | None]
"""The gated samples, and the removed residue if it was requested."""


class Gate(BlockProcessor[Samples, Gated]):
    """Gates samples block by block.

    Parameters
    ----------
    decision
        Settings of the gate and the rule that opens and closes it.
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    quantization_step
        Smallest difference between two integer samples, see `OverlapAddGain`.
    residue
        Whether to return the removed residue as well.
    with_samples
        Whether to return gated samples. Without them, only the mask is computed, for the report.
    span
        First sample that the report describes, a multiple of the hop, and first sample after the
        span.
    live
        Whether to minimize the latency of a spectral gate. The output is the same, except for a
        spectral gate that tracks the noise: it then tracks it in smaller batches.
    on_frames
        Is called with the values of the detector and the levels of each block, both shaped
        (frames, gates).
    references
        The other tracks of the decision, each at its beginning.
    on_gains
        Is called with the linear gains of each block, shaped (frames, gates). They lag behind.

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
        quantization_step: int = 1,
        residue: bool = False,
        with_samples: bool = True,
        span: tuple[int, float] = (0, math.inf),
        live: bool = False,
        on_frames: Callable[[DetectorValues, RmsLevels], None] | None = None,
        references: "Sequence[ReferencePowers]" = (),
        on_gains: Callable[[Gains], None] | None = None,
    ) -> None:
        settings = decision.settings
        timing = settings.timing(sample_rate)
        self._decision, self._sample_rate, self._timing = decision, sample_rate, timing
        self._active = decision.active_channels
        self._detector = _create_detector(decision, sample_rate, channels)
        gates = self._detector.gates
        self._noises = _match_noise_profiles(decision.noises, gates)
        reduction_db = settings.pause_reduction_db if any(self._noises) else 0.0
        # An expander attenuates a decay gradually. Ducking and a key are meant to cut sounds.
        self._is_audited = is_audited(decision.range_db - reduction_db) and not (
            settings.expands or settings.duck or decision.key
        )
        self._closed_gain = closed_gain = gain_from_db(decision.range_db)
        self._ducks = settings.duck
        self._span = span
        self._audit = CutoffAudit(timing, sample_rate, gates, span)
        self._mask = GateMask(self._detector.open_above, self._detector.close_below, timing, gates)
        self._bleed_filter = self._create_bleed_filter(sample_rate, channels, references)
        self._forced: ForcedMask | None = None
        if decision.forced:
            self._forced = ForcedMask(decision.forced, timing, sample_rate, gates)
        # Within the lookahead of the next run the gain is 1.
        self._runs = OpenRunCollector(gates, max_gap=timing.lookahead, inverted=settings.duck)
        self._own_runs = OpenRunCollector(gates)
        self._length = 0
        self._envelope = Envelope(
            timing.lookahead, timing.attack, timing.release, closed_gain, gates
        )
        self._expander = self._create_expander(closed_gain) if settings.expands else None
        self._overlap_add_gain = OverlapAddGain(
            timing.frame_length, timing.hop_length, closed_gain, gates, quantization_step
        )
        self._spectral, self._magnitude_mask = self._create_spectral(
            sample_rate, channels, quantization_step, live
        )
        self._with_samples = with_samples
        self._pending_inputs: list[Samples] | None = [] if residue else None
        self._on_frames, self._on_gains = on_frames, on_gains

    def _create_expander(self, closed_gain: float) -> "ExpanderGains":
        from noisegate_cli.gating.expander_gains import ExpanderGains

        return ExpanderGains(
            self._decision, self._detector, self._timing, self._sample_rate, closed_gain
        )

    def _create_bleed_filter(
        self, sample_rate: int, channels: int, references: "Sequence[ReferencePowers]"
    ) -> "BleedFilter | None":
        bleed = self._decision.bleed
        if not (bleed and any(bleed.models)):
            return None
        from noisegate_cli.gating.bleed.filter import BleedFilter
        from noisegate_cli.gating.key import KeyedDetector

        assert not isinstance(self._detector, KeyedDetector)  # a key excludes other tracks
        return BleedFilter(self._decision, self._detector, sample_rate, channels, references)

    def _create_spectral(
        self, sample_rate: int, channels: int, quantization_step: int, live: bool
    ) -> "tuple[SpectralGate | None, MagnitudeMask | None]":
        """Return what reduces the noise in each frequency bin; at most one of them."""
        settings, noises = self._decision.settings, self._noises
        if settings.spectral == "off" or not (any(noises) or settings.masks_by_level):
            return None, None
        from noisegate_cli.gating.spectral.configuration import SpectralConfiguration

        configuration = SpectralConfiguration(
            settings, noises, sample_rate, channels, quantization_step, live
        )
        if settings.spectral == "soft":
            from noisegate_cli.gating.spectral.spectral_gate import SpectralGate

            return SpectralGate(configuration, has_bleed=self._bleed_filter is not None), None
        from noisegate_cli.gating.spectral.magnitude_mask import MagnitudeMask

        return None, MagnitudeMask(configuration)

    @property
    def report(self) -> GateReport:
        """Report on the frames processed so far."""
        decision, segments = self._decision, self._collect_segments()
        return GateReport(
            settings=decision.settings,
            threshold=decision.threshold,
            suggestion=decision.suggestion,
            range_db=decision.range_db,
            noises=self._noises,
            statistics=count_statistics(segments.runs, segments.frames),
            segments=segments,
            forced=decision.forced,
            cutoffs=self._audit.report,
            active_channels=self._active,
            bleed=decision.bleed.report(self._bleed_closed_share) if decision.bleed else None,
        )

    def _collect_segments(self) -> Segments:
        """Return the open segments within the reported span."""
        hop, (start, end) = self._timing.hop_length, self._span
        length = max(0, int(min(end, self._length)) - start)
        runs, frames = self._runs.runs, self._runs.frames
        if self._span != (0, math.inf):
            first = start // hop
            frames = max(0, min(frames - first, 1 + length // hop))
            runs = tuple(crop_runs(gate_runs, first, first + frames) for gate_runs in runs)
        return Segments(
            runs, frames, length, self._sample_rate, self._timing, self._decision.range_db
        )

    @property
    def _bleed_closed_share(self) -> float:
        if not self._bleed_filter:
            return 0.0
        own = self._own_runs.statistics.closed_share
        return max(0.0, self._bleed_filter.closed_share - own)

    def process(self, block: Samples, last: bool = False) -> Gated:
        """Process a block and return the samples that are complete.

        The output is delayed by some frames; with `last` all remaining samples are returned.

        Parameters
        ----------
        block
            Samples shaped (samples, channels).
        last
            Whether this is the last block.

        Returns
        -------
        gated, removed
            Both shaped (samples, channels), in the dtype of `block`. Their sum is the input, unless
            the dtype cannot represent a difference. `removed` is None unless `residue` is set, and
            `gated` is empty unless `with_samples` is set.

        Raises
        ------
        SignalError
            If a sample is NaN or infinite.
        """
        if self._spectral and self._with_samples:
            self._spectral.submit_transforms(block, last)
        values, levels = self._detector.process(select_channels(block, self._active), last)
        if self._on_frames:
            self._on_frames(values, levels)
        own = mask = self._mask.process(values, last)
        if self._bleed_filter:
            self._own_runs.process(own)
            mask = self._bleed_filter.process(values, block, last)
            values = self._bleed_filter.values
        without_cuts = mask
        if self._forced:
            without_cuts, mask = self._forced.process(mask, block, last)
        self._runs.process(mask)
        self._length += len(block)
        # A cut that the caller wants is not a fault of the gate, and it does not remove noise.
        if self._is_audited:
            self._audit.process(levels, own if self._bleed_filter else without_cuts, last)
        if not self._with_samples:
            return block[:0], None
        samples = self._reduce_noise(block, own, without_cuts, last)
        if self._expander:
            gains = self._expander.process(values, last)
        else:
            gains = self._envelope.process(mask, last)
        if self._ducks:
            gains = invert_gains(gains, self._closed_gain)
        if self._on_gains:
            self._on_gains(gains)
        gated = self._overlap_add_gain.process(samples, gains, last)
        return gated, None if self._pending_inputs is None else self._compute_residue(block, gated)

    def _reduce_noise(self, block: Samples, own: Mask, mask: Mask, last: bool) -> Samples:
        """Return samples with less noise in each bin; without a spectral gate, the block itself."""
        if self._spectral and self._bleed_filter:
            self._spectral.append_bleed(self._bleed_filter.explained, own, last)
        if self._spectral:
            return self._spectral.process(mask, last)
        if self._magnitude_mask:
            return self._magnitude_mask.process(block, last)
        return block

    def _compute_residue(self, block: Samples, gated: Samples) -> Samples:
        assert self._pending_inputs is not None
        inputs = np.concatenate([*self._pending_inputs, block])
        self._pending_inputs = [inputs[len(gated) :].copy()]
        inputs = inputs[: len(gated)]
        if not (self._spectral or self._magnitude_mask) or block.dtype.kind == "f":
            return inputs - gated
        # Attenuating single bins can flip the sign of a sample or increase its magnitude, so the
        # difference may exceed the range of the dtype.
        limits = np.iinfo(block.dtype)
        removed = np.clip(inputs.astype(np.int64) - gated, limits.min, limits.max)
        return removed.astype(block.dtype)


def _create_detector(
    decision: GateDecision, sample_rate: int, channels: int
) -> "Detector | KeyedDetector":
    """Create the detector of a recording, or of the key that opens its gate."""
    if decision.key:
        from noisegate_cli.gating.key import KeyedDetector

        return KeyedDetector(decision.key, decision.settings, sample_rate, channels)
    count = channels if decision.active_channels is None else len(decision.active_channels)
    return create_detector(decision.rule, decision.settings, sample_rate, count, decision.subsample)


def _match_noise_profiles(
    noises: "tuple[NoiseProfile | None, ...]", gates: int
) -> "tuple[NoiseProfile | None, ...]":
    """Return the noise profile of each gate; None without noise, which most gates do not need."""
    if not noises:
        return (None,) * gates
    from noisegate_cli.gating.noise_profile import match_noise_profiles

    return match_noise_profiles(noises, gates)


def compute_latency(settings: GateSettings, sample_rate: int) -> int:
    """Return the latency of a live gate with a given threshold and noise, in samples.

    This is the maximum number of samples by which the output lags behind the input. A frame is
    complete half a frame after its center, and a sample half a frame before the last frame that
    covers it. The mask waits until it is known whether runs reach their minimum length, and the
    envelope for the fade-in and the lookahead.
    """
    timing = settings.timing(sample_rate)
    frames = max(0, timing.min_closed - 1) + max(0, timing.min_open - 1)
    frames += timing.lookahead + max(1, math.ceil(timing.attack)) - 1
    samples = timing.frame_length - 1 + frames * timing.hop_length
    if settings.key_hz:
        # The key filter processes whole batches of frames.
        low, high = settings.key_band(sample_rate)
        key = BandPowerExtractor([low, high], sample_rate, timing.frame_length, timing.hop_length)
        samples += (key.create_batcher().frames - 1) * timing.hop_length + key.margin
    if settings.spectral == "soft":
        from noisegate_cli.gating.spectral.spectral_gate import compute_spectral_latency

        samples += compute_spectral_latency(settings, sample_rate)
    elif settings.spectral == "mask":
        from noisegate_cli.gating.spectral.magnitude_mask import compute_mask_latency

        samples += compute_mask_latency(settings, sample_rate)
    return samples

"""The spectral gate: reduce the noise in each frequency bin, even while a signal is present.

Let X be the spectrum of a frame and D the mean of |X|² in the noise, for each bin. γ = |X|²/D is
the a-posteriori signal-to-noise ratio (SNR), and ξ = E|S|²/D is the a-priori SNR of the signal S.
If ξ is known, the minimum mean-square error estimate of S is the Wiener filter, G·X with
G = ξ/(1 + ξ).

ξ is not known. The simple estimate γ − 1 fluctuates with the noise and leaves short isolated
tones, called musical noise. Ephraim and Malah (Speech enhancement using a minimum mean-square error
short-time spectral amplitude estimator, 1984) use the decision of the previous frame instead. This
is the decision-directed estimate:

    ξ_k = α·G²_{k−1}·γ_{k−1} + (1 − α)·max(γ_k − 1, 0).

It averages over a long time where there is only noise, and follows the signal where there is one,
but one frame late. In a file the later frames are available, so the recursion also runs backwards;
the backward estimate is late at decays instead of onsets. A third estimate has no delay: G²·γ of
the frame itself, with the gain from the first two estimates (the two-step noise reduction of
Plapous, Marro and Scalart, Improved signal-to-noise ratio estimation for speech enhancement,
2006). The result is the geometric mean of two values: the geometric mean of the forward and the
backward estimate, and the third estimate.

Both recursions forget their initial state. Therefore they run over many segments of the recording
in parallel, and each starts a few run-in frames before its segment. This lets numpy process many
frames at once.

A voice has harmonics that the noise masks. They are regenerated from those above the noise (see
`HarmonicRegenerator`), and a share of their SNR is added to ξ.

In a bin that never contains a signal, peaks above the noise are noise too. Therefore G is
multiplied by the share of signal in the bin (see `compute_signal_share`), unless the peak is far
above the noise.

A peak of noise is usually isolated, and speech fills many bins at once. Therefore G is also reduced
in each frame where the mean of ξ over the neighboring bins is small (see `estimate_presence`).

The gains remove some of the signal. `LevelCompensator` measures how much, and increases them again.

Where the gate is closed, nothing is estimated: all bins get the same gain, so the remaining noise
keeps its spectrum. This gain can be applied to the samples, without an inverse transform. The
envelope of the gate fades between the two states.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.stft import (
    BinPowers,
    Float32Samples,
    FrameRun,
    InverseStft,
    Spectra,
    Stft,
)
from noisegate_cli.gating.gain.envelope import Envelope, Gains
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.bin_groups import BinGrouping
from noisegate_cli.gating.spectral.bleed_spectra import BleedSpectra
from noisegate_cli.gating.spectral.configuration import SpectralConfiguration
from noisegate_cli.gating.spectral.harmonics import HarmonicRegenerator
from noisegate_cli.gating.spectral.noise_estimation import combine_channels
from noisegate_cli.gating.spectral.noise_frames import create_noise_guard, noise_guard_frames
from noisegate_cli.gating.spectral.sample_conversion import (
    PlanarSamples,
    from_full_scale,
    to_planar,
)
from noisegate_cli.gating.spectral.wiener import (
    BatchGains,
    WienerGainEstimator,
    frames_per_segment,
)
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import Samples

MAX_DOUBLE_BATCH_CHANNELS = 4
"""Batches are doubled up to this many channels; with more, a batch has enough work already and
doubling it would cost too much memory."""


class SpectralGate(BlockProcessor[Mask, Samples]):
    """Gate blocks of samples in each frequency bin.

    The Fourier transforms are half of the work and run in a separate thread: the forward
    transforms of a block while a detector computes the mask, the inverse transforms while the
    gains of the next frames are computed.

    Parameters
    ----------
    configuration
        Settings, noise and format. Of the settings, only `reduction_db` and those of the frames,
        the channels and the envelope are used here.
    has_bleed
        Whether `append_bleed` is called before each call of `process`.
    """

    def __init__(self, configuration: SpectralConfiguration, has_bleed: bool = False) -> None:
        settings, timing = configuration.settings, configuration.timing
        sample_rate, channels = configuration.sample_rate, configuration.channels
        self._frame_stride = spectral_frame_stride(timing)
        hop = timing.hop_length * self._frame_stride
        self._transform = Stft(timing.frame_length, hop, settings.window_exponent)
        self._inverse = InverseStft(self._transform, channels)
        frames = frames_per_spectral_batch(hop, channels, configuration.live)
        self._batches = FrameBatcher(timing.frame_length, hop, frames=frames)
        # One more frame than librosa has, so that the end is covered by as many frames as the rest.
        self._end_padding = np.zeros((hop, channels), np.int16)
        self._quantization_step = configuration.quantization_step
        self._linked = configuration.linked
        self._grouping = BinGrouping(self._transform.bins, sample_rate)
        self._gain_estimators = [
            _create_gain_estimator(profile, settings, self._transform, sample_rate, self._grouping)
            for profile in configuration.noise_profiles
        ]
        gates = len(self._gain_estimators)
        self._envelope = Envelope(timing.lookahead, timing.attack, timing.release, 0.0, gates)
        self._noise_guard = create_noise_guard(settings, sample_rate, gates)
        self._openness: Gains = np.zeros((0, gates))
        self._noise_guard_gains = self._openness
        self._bleed: BleedSpectra | None = None
        if has_bleed:
            self._bleed = BleedSpectra(
                BandLevelExtractor(settings, sample_rate, channels).edges,
                self._transform,
                sample_rate,
                gates,
            )
        self._thread = ThreadPoolExecutor(1)
        self._pending_batches: deque[tuple[int, Future[_Batch]]] = deque()
        self._batches_without_gains: deque[_Batch] = deque()
        self._samples_left = 0

    def submit_transforms(self, block: Samples, last: bool = False) -> None:
        """Start the transforms of a block, shaped (samples, channels); call `process` next."""
        self._samples_left += len(block)
        self._empty_block = block[:0].copy()
        if last:
            block = np.concatenate([block, self._end_padding.astype(block.dtype)])
        self._pending_batches += [
            (frames, self._thread.submit(self._transform_batch, frames, samples))
            for _, frames, samples in self._batches.process(block, last)
        ]

    def append_bleed(
        self, powers: Sequence[BandPowerArray], audible: Mask, last: bool = False
    ) -> None:
        """Take the bleed of the next frames, which is noise under the signal; call `process` next.

        Parameters
        ----------
        powers
            Power per Hz of the bleed in every second frame, each shaped (frames, gates, bands).
        audible
            Mask of the next frames in which signal or bleed is audible, so that they are not noise.
        last
            Whether the recording ends here.
        """
        assert self._bleed
        self._bleed.append(powers)
        self._append_noise_guard(audible, last)

    def process(self, mask: Mask, last: bool = False) -> Samples:
        """Return the output samples that are final, in the type of the input.

        Parameters
        ----------
        mask
            Whether the gates are open in the next frames, shaped (frames, gates). The mask may lag
            behind the submitted samples.
        last
            Whether the recording ends here.
        """
        self._append_gate_frames(mask, last)
        parts: list[Future[Float32Samples]] = []
        while self._pending_batches and (last or self._has_mask(self._pending_batches[0][0])):
            frames, future = self._pending_batches.popleft()
            end = last and not self._pending_batches
            for gains in self._estimate_gains(frames, future.result(), end):
                batch = self._batches_without_gains.popleft()
                is_last = end and not self._batches_without_gains
                parts.append(self._thread.submit(self._apply_gains, batch, gains, is_last))
        # These threads still read the block, and the caller may overwrite it after the return.
        wait([future for _, future in self._pending_batches])
        dtype, step = self._empty_block.dtype, self._quantization_step
        samples = [from_full_scale(part.result(), dtype, step) for part in parts]
        return np.concatenate([self._empty_block, *samples])

    def _estimate_gains(
        self, frames: int, batch: "_Batch", last: bool
    ) -> list[tuple[BatchGains, ...]]:
        """Return the gains of the batches that this batch completes, of each gate."""
        self._batches_without_gains.append(batch)
        openness, guard_gains = self._take_gate_frames(frames)
        bleed = self._bleed.take(frames, self._frame_stride) if self._bleed else None
        gains = [
            estimator.estimate_gains(
                batch.spectra if self._linked else batch.spectra[i : i + 1],
                batch.powers[i],
                openness[:, i],
                guard_gains[:, i] == 0,
                last,
                None if bleed is None else bleed[:, i],
            )
            for i, estimator in enumerate(self._gain_estimators)
        ]
        return list(zip(*gains, strict=True))

    def _append_gate_frames(self, mask: Mask, last: bool) -> None:
        """Append the openness and the noise guard gains that `mask` completes."""
        self._openness = np.concatenate([self._openness, self._envelope.process(mask, last)])
        if last:
            # A frame beyond the end repeats the last one.
            edge = (0, self._frame_stride), (0, 0)
            self._openness = np.pad(self._openness, edge, mode="edge")
        if not self._bleed:
            self._append_noise_guard(mask, last)

    def _append_noise_guard(self, mask: Mask, last: bool) -> None:
        self._noise_guard_gains = np.concatenate(
            [self._noise_guard_gains, self._noise_guard.process(mask, last)]
        )
        if last:
            edge = (0, self._frame_stride), (0, 0)
            self._noise_guard_gains = np.pad(self._noise_guard_gains, edge, mode="edge")

    def _transform_batch(self, frames: int, samples: Samples) -> "_Batch":
        planar, transform = to_planar(samples), self._transform
        spectra = [np.empty((frames, transform.bins), np.complex64) for _ in planar]
        gates, groups = len(self._gain_estimators), len(self._grouping.group_widths_bins)
        powers = np.empty((gates, frames, groups), np.float32)
        for chunk in transform.split_frames(0, frames):
            start, length = chunk.start * transform.hop_length, chunk.stop - chunk.start
            parts = [
                transform.compute_spectra(x[start:], length, out=out[chunk])
                for x, out in zip(planar, spectra, strict=True)
            ]
            channel_powers = [self._grouping.mean_power(part) for part in parts]
            powers[:, chunk] = combine_channels(channel_powers, self._linked).swapaxes(0, 1)
        return _Batch(planar, spectra, powers)

    def _has_mask(self, frames: int) -> bool:
        available = [len(self._openness), len(self._noise_guard_gains)]
        if self._bleed:
            available.append(self._bleed.frames)
        return min(available) >= frames * self._frame_stride

    def _take_gate_frames(self, frames: int) -> tuple[Gains, Gains]:
        """Remove and return the openness and the noise guard gains of the next `frames`."""
        stride = self._frame_stride
        end = frames * stride
        openness, guard_gains = self._openness, self._noise_guard_gains
        self._openness, self._noise_guard_gains = openness[end:], guard_gains[end:]
        return openness[:end:stride], guard_gains[:end:stride]

    def _apply_gains(
        self, batch: "_Batch", gains: Sequence[BatchGains], last: bool
    ) -> Float32Samples:
        """Apply gains to the next batch and return the samples that it completes."""
        runs = [
            self._apply_channel_gains(samples, spectra, gains[0 if self._linked else i])
            for i, (samples, spectra) in enumerate(zip(batch.samples, batch.spectra, strict=True))
        ]
        y = self._inverse.process_runs(runs, len(batch.spectra[0]), last)[: self._samples_left]
        self._samples_left -= len(y)
        return y

    def _apply_channel_gains(
        self, samples: Float32Samples, spectra: Spectra, gains: BatchGains
    ) -> Iterator[FrameRun]:
        """Yield runs of gated frames: spectra, or samples where all bins have the same gain."""
        is_open = np.zeros(len(spectra), np.bool_)
        is_open[gains.frames] = True
        edges = [0, *(np.flatnonzero(is_open[1:] != is_open[:-1]) + 1).tolist(), len(spectra)]
        done = 0
        for start, end in pairwise(edges):
            for chunk in self._transform.split_frames(start, end):
                length = chunk.stop - chunk.start
                if not is_open[start]:
                    first = chunk.start * self._transform.hop_length
                    yield self._transform.window_frames(samples[first:], length, gains.closed_gain)
                    continue
                bin_gains = self._grouping.expand_to_bins(gains.gains[done : done + length])
                done += length
                yield np.multiply(spectra[chunk], bin_gains, out=spectra[chunk])


@dataclass(frozen=True, slots=True)
class _Batch:
    """Frames that are processed at once."""

    samples: PlanarSamples
    """Samples that the frames span, shaped (channels, samples)."""
    spectra: list[Spectra]
    """Spectra of each channel."""
    powers: BinPowers
    """Mean |X|² of each group of bins, shaped (gates, frames, groups)."""


def frames_per_spectral_batch(hop_length: int, channels: int = 1, live: bool = False) -> int:
    """Return how many frames the spectral gate processes at once: whole segments."""
    default_frames = frames_per_batch(hop_length)
    if live:
        return max(frames_per_segment(hop_length), default_frames // 4)
    # Larger batches make the two threads wait less for each other.
    return 2 * default_frames if channels <= MAX_DOUBLE_BATCH_CHANNELS else default_frames


def compute_spectral_latency(settings: GateSettings, sample_rate: int) -> int:
    """Return the maximum latency that a live spectral gate adds to a gate, in samples.

    A batch and the batch after it must be complete before it is processed. The noise guard adds
    its own frames, because it depends on whether the gate opens after them.
    """
    timing = settings.timing(sample_rate)
    hop = timing.hop_length * spectral_frame_stride(timing)
    samples = 2 * frames_per_spectral_batch(hop, live=True) * hop
    return samples + noise_guard_frames(timing, sample_rate) * timing.hop_length


def spectral_frame_stride(timing: Timing) -> int:
    """Return the stride of the frames that the spectral gate processes, in frames.

    An overlap of one half is enough for gains that are smooth in time.
    """
    return max(1, timing.overlap // 2)


def _create_gain_estimator(
    noise_profile: NoiseProfile | None,
    settings: GateSettings,
    transform: Stft,
    sample_rate: int,
    grouping: BinGrouping,
) -> WienerGainEstimator:
    mean, signal_shares = np.zeros(transform.bins), np.ones(transform.bins)
    if noise_profile:
        mean, signal_shares = noise_profile.interpolate_to_bins(transform, sample_rate)
    return WienerGainEstimator(
        mean,
        signal_shares,
        should_track_noise=noise_profile is not None and noise_profile.source != "given",
        frames_per_s=sample_rate / transform.hop_length,
        segment=frames_per_segment(transform.hop_length),
        # Without a noise profile there is nothing to reduce.
        min_gain=settings.bin_floor if noise_profile else 1.0,
        grouping=grouping,
        regenerator=HarmonicRegenerator(transform.bins, sample_rate),
    )

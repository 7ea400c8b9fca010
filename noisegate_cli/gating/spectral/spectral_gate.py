"""The spectral gate: the noise goes down in each frequency bin, under the signal too.

X is the spectrum of a frame and D the mean of |X|² in the noise, bin by bin. γ = |X|²/D is the
a-posteriori signal-to-noise ratio. Were the a-priori ratio ξ = E|S|²/D of the signal S known,
the estimate of S with the least mean square error would be Wiener's, G·X with G = ξ/(1 + ξ).

ξ is not known. Taken from γ − 1 alone it fluctuates as the noise does, and leaves tones that come
and go: musical noise. Ephraim and Malah (Speech enhancement using a minimum mean-square error
short-time spectral amplitude estimator, 1984) direct it by what was decided a frame before,

    ξ_k = α·G²_{k−1}·γ_{k−1} + (1 − α)·max(γ_k − 1, 0),

which is a long mean where there is noise and follows where there is signal, but a frame late. A
file knows its future: the recursion runs backwards too, where it is late for the decays instead
of the onsets. And it can be had once more without the delay, as G²·γ of the frame itself with the
gain found so far (the two-step noise reduction of Plapous, Marro and Scalart, Improved
signal-to-noise ratio estimation for speech enhancement, 2006). The geometric mean of the first
two and the third is what counts.

Both recursions forget. They run over segments of the recording side by side, each from frames
before it in which it forgets where it began: numpy then does many frames at once.

In a bin where no signal ever is, what stands out of the noise is noise: G is weighed by the share
of signal there, see `compute_signal_share`, unless it stands out by far.

Where the gate is closed nothing is to be estimated. There all bins go down by the same, and what
is left of the noise sounds as it did. Between the two the envelope of the gate fades.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.stft import BinPowers, Float32Samples, InverseStft, Spectra, Stft
from noisegate_cli.gating.gain.envelope import Envelope, Gains
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.bin_groups import BinGrouping
from noisegate_cli.gating.spectral.noise_estimation import (
    compute_gate_powers,
    create_noise_guard,
    noise_guard_frames,
    to_planar_float32,
)
from noisegate_cli.gating.spectral.wiener import BinGains, WienerGainEstimator, frames_per_segment
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import Samples, choose_float_type, full_scale

MAX_DOUBLE_BATCH_CHANNELS = 4
"""With more of them there is enough to do, and memory counts."""


MASK_OPEN_POWER_RATIO = 8.0
"""A bin of the binary mask opens where γ is above that, 9 dB: noise is that in one of 3000."""


class BinaryMaskEstimator:
    """The binary mask: a bin is open where |X|² is above a threshold, and closed elsewhere.

    It needs to know nothing but the threshold of each bin and the gain of a closed one.
    """

    def __init__(self, power_thresholds: NDArray[np.float64], min_gain: float) -> None:
        self._power_thresholds = power_thresholds
        self._min_gain = np.float32(min_gain)

    def process(self, bin_powers: BinPowers, *_: object) -> list[BinGains]:
        """Return the gains of this batch at once; see `WienerGainEstimator`."""
        return [np.where(bin_powers > self._power_thresholds, np.float32(1), self._min_gain)]


class SpectralGate:
    """Gates samples that come in blocks, in each frequency bin.

    The Fourier transforms, half of the work, are done in a thread of their own: those of a block
    while a detector finds out where the gate is open, and those back to samples while the gains of
    the next frames are found.

    Parameters
    ----------
    settings
        Of which `spectral`, `reduction_db`, the frames, the channels and the envelope count here.
    noises
        Of each gate; None where none is known, and nothing is taken away.
    sample_rate
        In Hz.
    channels
        Of the blocks to come.
    step
        The smallest difference between two integer samples, see `OverlapAddGain`.
    live
        See `Gate`: smaller batches, which cost more.
    """

    def __init__(
        self,
        settings: GateSettings,
        noises: Sequence[NoiseProfile | None],
        sample_rate: int,
        channels: int = 1,
        step: int = 1,
        live: bool = False,
    ) -> None:
        timing = settings.timing(sample_rate)
        self._frame_stride = every(settings, timing)
        hop = timing.hop_length * self._frame_stride
        self._transform = Stft(timing.frame_length, hop, settings.window_power)
        self._inverse = InverseStft(self._transform, channels)
        frames = frames_per_spectral_batch(hop, channels, live)
        self._batches = FrameBatcher(timing.frame_length, hop, frames=frames)
        # One more frame, so that as many cover the end as the rest. librosa has none.
        beyond = hop if settings.spectral == "soft" else 0
        self._end_padding = np.zeros((beyond, channels), np.int16)
        self._step, self._linked = step, settings.channels == "linked"
        self._gates = [
            _create_gain_estimator(n, settings, self._transform, sample_rate) for n in noises
        ]
        self._envelope = Envelope(
            timing.lookahead, timing.attack, timing.release, 0.0, len(self._gates)
        )
        self._noise_guard = create_noise_guard(settings, sample_rate, len(self._gates))
        self._openness: Gains = np.zeros((0, len(self._gates)))
        self._noise_guard_gains = self._openness
        self._thread = ThreadPoolExecutor(1)
        self._pending_spectra: deque[tuple[int, Future[list[Spectra]]]] = deque()
        self._spectra_without_gains: deque[list[Spectra]] = deque()
        self._samples_left = 0

    def submit_transforms(self, block: Samples, last: bool = False) -> None:
        """Begin with further samples, shaped (samples, channels); `process` has to follow."""
        self._samples_left += len(block)
        self._empty_block = np.empty((0, block.shape[1]), block.dtype)
        if last:
            block = np.concatenate([block, self._end_padding.astype(block.dtype)])
        self._pending_spectra += [
            (frames, self._thread.submit(self._compute_spectra, frames, samples))
            for _, frames, samples in self._batches.process(block, last)
        ]

    def process(self, mask: Mask, last: bool = False) -> Samples:
        """Return the samples that are settled, in their type.

        Parameters
        ----------
        mask
            Where the gates are open, in further frames, shaped (frames, gates): some frames later
            than they are heard.
        last
            Whether this is all.
        """
        self._openness = np.concatenate([self._openness, self._envelope.process(mask, last)])
        self._noise_guard_gains = np.concatenate(
            [self._noise_guard_gains, self._noise_guard.process(mask, last)]
        )
        if last:
            # A frame beyond the end is as the last.
            edge = (0, self._frame_stride), (0, 0)
            self._openness = np.pad(self._openness, edge, mode="edge")
            self._noise_guard_gains = np.pad(self._noise_guard_gains, edge, mode="edge")
        parts: list[Future[Float32Samples]] = []
        while self._pending_spectra and (last or self._has_mask(self._pending_spectra[0][0])):
            frames, hearing = self._pending_spectra.popleft()
            spectra = hearing.result()
            self._spectra_without_gains.append(spectra)
            bin_powers = compute_gate_powers(spectra, self._linked)
            end = last and not self._pending_spectra
            openness, nearness = self._take_gate_frames(frames)
            gains = [
                gate.process(bin_powers[:, i], openness[:, i], nearness[:, i] == 0, end)
                for i, gate in enumerate(self._gates)
            ]
            for some in zip(*gains, strict=True):
                spectra = self._spectra_without_gains.popleft()
                is_last = end and not self._spectra_without_gains
                parts.append(self._thread.submit(self._apply_gains, spectra, some, is_last))
        # These still read the block, which may be another's after this.
        wait([hearing for _, hearing in self._pending_spectra])
        samples = [self._to_sample_type(part.result()) for part in parts]
        return np.concatenate([self._empty_block, *samples])

    def _compute_spectra(self, frames: int, samples: Samples) -> list[Spectra]:
        return [self._transform.compute_spectra(x, frames) for x in to_planar_float32(samples)]

    def _has_mask(self, frames: int) -> bool:
        return min(len(self._openness), len(self._noise_guard_gains)) >= frames * self._frame_stride

    def _take_gate_frames(self, frames: int) -> tuple[Gains, Gains]:
        """Take what is known of the gates in so many frames."""
        rows = frames * self._frame_stride
        every = self._frame_stride
        taken = self._openness[:rows:every], self._noise_guard_gains[:rows:every]
        self._openness, self._noise_guard_gains = (
            self._openness[rows:],
            self._noise_guard_gains[rows:],
        )
        return taken

    def _apply_gains(
        self, spectra: list[Spectra], gains: Sequence[BinGains], last: bool
    ) -> Float32Samples:
        """Return the samples that further frames settle, under their gains."""
        for i, x in enumerate(spectra):
            np.multiply(x, gains[0 if self._linked else i], out=x)
        y = self._inverse.process(spectra, last)[: self._samples_left]
        self._samples_left -= len(y)
        return y

    def _to_sample_type(self, y: Float32Samples) -> Samples:
        """Return `y`, full scale 1.0, in the type of the recording."""
        dtype = self._empty_block.dtype
        if dtype.kind == "f":
            return y.astype(dtype)
        scale = full_scale(dtype)
        y = y.astype(choose_float_type(dtype), copy=False)
        y *= scale / self._step
        np.rint(y, out=y)
        if self._step > 1:
            y *= self._step
        return np.clip(y, -scale, scale - self._step, out=y).astype(dtype)


def frames_per_spectral_batch(hop_length: int, channels: int = 1, live: bool = False) -> int:
    """Return how many frames the spectral gate works on together: whole segments."""
    usual = frames_per_batch(hop_length)
    if live:
        return max(frames_per_segment(hop_length), usual // 4)
    # Two threads wait for each other the less, the more each has to do.
    return 2 * usual if channels <= MAX_DOUBLE_BATCH_CHANNELS else usual


def spectral_delay_ms(settings: GateSettings, sample_rate: int) -> float:
    """Return how much later a live spectral gate tells samples than it gets them, at the most.

    A batch has to be complete, for soft gains the one after it too; and what is noise is told by
    what follows.
    """
    timing = settings.timing(sample_rate)
    hop = timing.hop_length * every(settings, timing)
    batches = 2 if settings.spectral == "soft" else 1
    samples = batches * frames_per_spectral_batch(hop, live=True) * hop
    samples += noise_guard_frames(timing, sample_rate) * timing.hop_length
    return 1000 * samples / sample_rate


def every(settings: GateSettings, timing: Timing) -> int:
    """Return which frames the spectral gate takes: each that its number is a multiple of."""
    # Frames that overlap by half are enough for gains that are smooth in time.
    return max(1, timing.overlap // 2) if settings.spectral == "soft" else 1


def _create_gain_estimator(
    noise: NoiseProfile | None, settings: GateSettings, transform: Stft, sample_rate: int
) -> WienerGainEstimator | BinaryMaskEstimator:
    mean, signal = np.zeros(transform.bins), np.ones(transform.bins)
    if noise:
        mean, signal = noise.interpolate_to_bins(transform, sample_rate)
    # Where no noise is known, nothing is taken away.
    min_gain = settings.bin_floor if noise or settings.masks_by_level else 1.0
    if settings.spectral == "soft":
        should_track_noise = noise is not None and settings.noise is None
        segment = frames_per_segment(transform.hop_length)
        grouping = BinGrouping(transform.bins, sample_rate)
        frames_per_s = sample_rate / transform.hop_length
        return WienerGainEstimator(
            mean, signal, should_track_noise, frames_per_s, segment, min_gain, grouping
        )
    if isinstance(settings.threshold, str):
        return BinaryMaskEstimator(MASK_OPEN_POWER_RATIO * mean, min_gain)
    return BinaryMaskEstimator(
        np.full(transform.bins, settings.threshold**2 * transform.tone_power), min_gain
    )

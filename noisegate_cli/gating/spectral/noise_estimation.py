"""The noise in each frequency bin: learnt from the pauses, followed through them, or given."""

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.stft import (
    BinPowers,
    Float32Samples,
    Spectra,
    Stft,
    compute_bin_powers,
)
from noisegate_cli.gating.frames.subsampling import (
    SUBSAMPLE_STRIDE_FRAMES,
    BatchSubsampler,
    power_of_two_stride,
)
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.mask import FrameIndices, Mask
from noisegate_cli.gating.noise_profile import FULL_SIGNAL_SHARES, NoiseProfile, NoiseSource
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.bin_groups import BinGrouping
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import Samples, full_scale

MIN_GIVEN_NOISE_S = 0.1
"""Of noise that is given: a frame or two say little of its mean."""

NOISE_TIME_CONSTANT_S, NOISE_PRIOR_WEIGHT_S = 2.0, 0.2
"""The noise of a moment is the mean of that before and after it, with this time constant; that of
the whole recording counts in it for so long."""

MAX_LEARNED_BINS = 1 << 21
"""Of all frames that are heard to learn the noise of a recording, at the most: 2000 frames of
44.1 kHz, in 8 MB."""

EXCESS_THRESHOLD_RATIO = 4.0
"""What is so many times the mean noise stands out: noise itself does in one bin of fifty."""

NOISE_EXCESS_RATIO = 0.03
"""What stands out of a noise by itself, on the mean, in units of that: little that is heard in a
bin where next to nothing is heard is no signal. e⁻⁴, 0.02, in a single bin."""

MIN_PROFILE_FRAMES, QUIETEST_SHARE = 5, 0.1
"""Frames that a noise is learnt from, at the least, and the share of all that are the quietest."""

MAX_SAMPLE_VALUE = 1e6
"""Samples above that, with full scale 1.0, have powers that float32 can't hold over the noise."""

SILENT_BIN_POWER = 1e-12
"""|X|² that stands for nothing: the quantisation noise of 16 bits has 10⁴ times as much."""


DISTURBED_LEVEL_RATIO = 20.0
"""A frame so many times as loud as the median of the noise around it holds more than noise."""

STEADY_QUANTILE_RATIO = 0.3
"""Of its median in a bin, a tenth of a noise lies below 0.15; a tone has all its frames above."""


def to_planar_float32(samples: Samples) -> Float32Samples:
    """Return samples shaped (samples, channels) as (channels, samples) with full scale 1.0."""
    signal: Float32Samples = np.ascontiguousarray(samples.T, np.float32)
    if samples.dtype.kind == "i":
        return signal * np.float32(1 / full_scale(samples.dtype))
    loudest = np.abs(signal).max(initial=0.0)
    if not np.isfinite(loudest):
        raise SignalError("some samples are NaN or infinite: repair the recording first")
    if loudest > MAX_SAMPLE_VALUE:
        raise SignalError(
            f"samples above {MAX_SAMPLE_VALUE:g} are beyond the spectral gate: scale them first"
        )
    return signal


def compute_gate_powers(spectra: Sequence[Spectra], linked: bool) -> BinPowers:
    """Return |X|² of each gate, shaped (frames, gates, bins): the mean of linked channels."""
    if not linked:
        return np.stack([compute_bin_powers(x) for x in spectra], axis=1)
    total = compute_bin_powers(spectra[0])
    for x in spectra[1:]:
        total += compute_bin_powers(x)
    if len(spectra) > 1:
        total /= np.float32(len(spectra))
    return total[:, None]


class NoiseMeter:
    """Measures samples that are nothing but noise, in blocks: the mean |X|² of frames.

    It is the mean of linked channels, too. That is the estimate of Welch (The use of the fast
    Fourier transform for the estimation of power spectra, 1967). Digital silence is left out.
    """

    def __init__(self, settings: GateSettings, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        length = settings.timing(sample_rate).frame_length
        self._transform = Stft(length, length // 2, settings.window_power)
        self._linked = settings.channels == "linked"
        self._rest: Samples | None = None
        self._sum = np.zeros((1, self._transform.bins))
        self._frames = self._samples = 0

    def process(self, block: Samples) -> None:
        """Take in `block`, shaped (samples, channels)."""
        length, hop = self._transform.frame_length, self._transform.hop_length
        self._samples += len(block)
        samples = block if self._rest is None else np.concatenate([self._rest, block])
        frames = max(0, (len(samples) - length) // hop + 1)
        self._rest = samples[frames * hop :].copy()
        if frames:
            spectra = [
                self._transform.compute_spectra(x, frames) for x in to_planar_float32(samples)
            ]
            bin_powers = compute_gate_powers(spectra, self._linked)
            bin_powers = bin_powers[bin_powers.max(axis=(1, 2)) > SILENT_BIN_POWER]
            self._sum = self._sum + bin_powers.sum(axis=0, dtype=np.float64)
            self._frames += len(bin_powers)

    def compute_profiles(self) -> tuple[NoiseProfile, ...]:
        """Return the profile of linked channels, or of each channel.

        Raises
        ------
        SignalError
            When there was too little of it, or only digital silence.
        """
        seconds = self._samples / self._sample_rate
        if seconds < MIN_GIVEN_NOISE_S or self._samples < self._transform.frame_length:
            raise SignalError(
                f"{seconds:.2g} s of noise tell too little: give half a second or more"
            )
        if not self._frames:
            raise SignalError("the noise is digital silence: give some that can be heard")
        return tuple(
            NoiseProfile.from_mean_powers(mean, self._transform, self._sample_rate, "given")
            for mean in self._sum / self._frames
        )


class NoiseLearner:
    """Learns the noise of a recording that comes in blocks, in flat memory.

    It measures some of the frames of the subsample, see `subsample_frame_indices`. Which of these
    frames are noise is known only after the last block.

    Parameters
    ----------
    samples
        How many there will be, if that is known.
    """

    def __init__(
        self, settings: GateSettings, sample_rate: int, channels: int = 1, samples: int = 0
    ) -> None:
        timing = settings.timing(sample_rate)
        hop = SUBSAMPLE_STRIDE_FRAMES * timing.hop_length
        self._sample_rate = sample_rate
        self._linked = settings.channels == "linked"
        self._transform = Stft(timing.frame_length, hop, settings.window_power)
        self._batches = FrameBatcher(timing.frame_length, hop)
        self._grouping = BinGrouping(self._transform.bins, sample_rate)
        gates = 1 if self._linked else channels
        self._subsampler = BatchSubsampler(timing.hop_length, gates, samples)
        spectra = max(MIN_PROFILE_FRAMES, MAX_LEARNED_BINS // (self._transform.bins * gates))
        self._frame_stride = min(
            frames_per_batch(hop), power_of_two_stride(self._subsampler.max_stored_frames, spectra)
        )
        self._thread = ThreadPoolExecutor(1)

    def submit_block(self, block: Samples, last: bool = False) -> "Future[None]":
        """Take in `block` in another thread; it has to stay as it is until that is done."""
        return self._thread.submit(self.process, block, last)

    def process(self, block: Samples, last: bool = False) -> None:
        """Take in `block`, shaped (samples, channels)."""
        for index, frames, samples in self._batches.process(block, last):
            if self._subsampler.should_store(index):
                number = -(-frames // self._frame_stride)
                signal = to_planar_float32(samples)
                spectra = [
                    self._transform.compute_spectra(x, number, self._frame_stride) for x in signal
                ]
                self._subsampler.store(index, compute_gate_powers(spectra, self._linked))

    def compute_profiles(
        self,
        numbers: FrameIndices,
        is_open: Mask,
        is_noise: Mask,
        allow_quietest_fallback: Sequence[bool],
    ) -> tuple[NoiseProfile | None, ...]:
        """Return the profile of each gate.

        Where there is no pause it is guessed: the powers of noise in a bin are distributed
        exponentially, so that a tenth of them lie below −log(1 − 0.1) of their mean; and a signal
        is in no bin all the time. That is the idea of minimum statistics (Martin, Noise power
        spectral density estimation, 2001), for a noise that stands still.

        Parameters
        ----------
        numbers
            Of the frames that are kept.
        is_open, is_noise
            In which of them the gate is open, and which are noise and nothing else, both shaped
            (frames, gates).
        allow_quietest_fallback
            Of each gate.

        Returns
        -------
        None for a gate that has none.
        """
        bin_powers = self._subsampler.stored_powers()
        numbers_heard = self._subsampler.stored_frame_indices(self._frame_stride)
        bin_powers = bin_powers[np.isin(numbers_heard, numbers)]
        sounding = bin_powers.max(axis=2) > SILENT_BIN_POWER
        is_among_them = np.isin(numbers, numbers_heard)
        is_noise = is_noise[is_among_them] & sounding
        is_open = is_open[is_among_them] & sounding
        profiles: list[NoiseProfile | None] = []
        for gate, guess in enumerate(allow_quietest_fallback):
            pauses = bin_powers[is_noise[:, gate], gate]
            if len(pauses) >= MIN_PROFILE_FRAMES:
                pauses = pauses[find_undisturbed(pauses, median(pauses))]
                mean = pauses.mean(axis=0)
                opens = self._grouping.mean(bin_powers[is_open[:, gate], gate])
                share = compute_signal_share(opens, self._grouping.mean(pauses))
                profiles.append(
                    self._create_profile(mean, "pauses", self._grouping.expand_to_bins(share)[0])
                )
            elif guess:
                profiles.append(self._estimate_from_quietest(bin_powers[:, gate]))
            else:
                profiles.append(None)
        return tuple(profiles)

    def _estimate_from_quietest(self, bin_powers: BinPowers) -> NoiseProfile | None:
        """Return what is quietest in each bin that no tone fills; None if that is silence."""
        if len(bin_powers) < MIN_PROFILE_FRAMES / QUIETEST_SHARE:
            return None
        quiet, middle = quantile(bin_powers, [QUIETEST_SHARE, 0.5])
        varies = quiet < STEADY_QUANTILE_RATIO * middle
        if not varies.any() or not quiet.max() > SILENT_BIN_POWER:
            return None
        bins = np.arange(len(quiet))
        quiet = np.interp(bins, bins[varies], quiet[varies])
        return self._create_profile(quiet / -math.log1p(-QUIETEST_SHARE), "quietest")

    def _create_profile(
        self, mean: BinPowers, source: NoiseSource, signal: BinPowers = FULL_SIGNAL_SHARES
    ) -> NoiseProfile:
        return NoiseProfile.from_mean_powers(
            mean, self._transform, self._sample_rate, source, signal
        )


def compute_signal_share(opens: BinPowers, pauses: BinPowers) -> BinPowers:
    """Return how much of what stands out of the noise in each bin is signal, 0 to 1: a row.

    Noise has its peaks, too. Let E be the mean of what exceeds four times the mean noise, in
    pauses and where the gate is open: in the open frames E_open − E_pauses of E_open are signal,
    as in Wiener's gain. In a bin where no signal ever is, next to nothing is.

    Parameters
    ----------
    opens, pauses
        |X|² of open frames and of noise, shaped (frames, bins).
    """
    mean = pauses.mean(axis=0, keepdims=True)
    if len(opens) < MIN_PROFILE_FRAMES:
        return np.ones_like(mean)
    in_opens, in_pauses = (
        np.maximum(
            _smooth_bins(bin_powers / (mean + np.float32(SILENT_BIN_POWER)))
            - np.float32(EXCESS_THRESHOLD_RATIO),
            0,
        ).mean(axis=0, keepdims=True)
        for bin_powers in (opens, pauses)
    )
    few = np.float32(NOISE_EXCESS_RATIO)
    return np.asarray(np.clip(1 - (in_pauses + few) / (in_opens + few), 0, 1))


def find_undisturbed(bin_powers: BinPowers, noise: BinPowers) -> NDArray[np.bool_]:
    """Return which frames of noise are nothing else: a click or a knock is louder by far.

    Parameters
    ----------
    bin_powers
        |X|², shaped (frames, bins).
    noise
        What it is in each bin, about.
    """
    level = bin_powers @ (1 / (noise + np.float32(SILENT_BIN_POWER)))
    return np.asarray(level <= DISTURBED_LEVEL_RATIO * median(level) if len(level) else level > 0)


def _smooth_bins(bin_powers: BinPowers) -> BinPowers:
    """Return what is heard in each bin with a little of its neighbours: ¼, ½, ¼."""
    padded = np.pad(bin_powers, ((0, 0), (1, 1)), mode="edge")
    sides = padded[:, :-2] + padded[:, 2:]
    sides *= 0.25
    sides += np.float32(0.5) * bin_powers
    return np.asarray(sides)


class NoiseTracker:
    """The noise around each moment, from the frames in pauses, which come in batches.

    Parameters
    ----------
    mean
        |X|² in each bin of the noise of the whole recording.
    frames_per_s
        How many frames of a batch are a second.
    segment
        Frames that have one estimate.
    """

    def __init__(self, mean: BinPowers, frames_per_s: float, segment: int) -> None:
        self._segment = segment
        self._forgetting_factor = math.exp(-segment / (NOISE_TIME_CONSTANT_S * frames_per_s))
        self._mean = mean
        self._prior = NOISE_PRIOR_WEIGHT_S * frames_per_s * mean
        self._prior_count = NOISE_PRIOR_WEIGHT_S * frames_per_s
        self._sum = np.zeros(len(mean))
        self._count = 0.0

    def process(self, bin_powers: BinPowers, is_noise: NDArray[np.bool_]) -> BinPowers:
        """Return the noise of each segment of `bin_powers`, shaped (segments, bins).

        Parameters
        ----------
        bin_powers
            |X|², shaped (frames, bins); whole segments of frames.
        is_noise
            Which frames are noise and nothing else, shaped (frames,).
        """
        is_noise = is_noise & (bin_powers.max(axis=1) > SILENT_BIN_POWER)
        is_noise[is_noise] = find_undisturbed(bin_powers[is_noise], self._mean)
        flags = is_noise.reshape(-1, 1, self._segment)
        segments = bin_powers.reshape(-1, self._segment, bin_powers.shape[1])
        sums = (flags.astype(bin_powers.dtype) @ segments)[:, 0].astype(np.float64)
        counts = flags.sum(axis=(1, 2)).astype(np.float64)
        # What a segment heard counts the less, the further off it is, before or after; of later
        # batches nothing is known yet.
        number = np.arange(len(sums))
        nearness = self._forgetting_factor ** np.abs(number[:, None] - number)
        since = (self._forgetting_factor ** (number + 1))[:, None]
        total = self._prior + since * self._sum + nearness @ sums
        count = self._prior_count + since[:, 0] * self._count + nearness @ counts
        self._sum = since[-1] * self._sum + nearness[-1] @ sums
        self._count = float(since[-1, 0] * self._count + nearness[-1] @ counts)
        return np.asarray(total / count[:, None], bin_powers.dtype)


NOISE_GUARD_MS = 30.0
"""Noise is learnt so far away from where the gate is open."""


def create_noise_guard(settings: GateSettings, sample_rate: int, gates: int) -> Envelope:
    """Return what tells from a mask where the noise can be learnt: where its gain is 0."""
    apart = noise_guard_frames(settings.timing(sample_rate), sample_rate)
    return Envelope(apart, 0, apart, 0.0, gates)


def noise_guard_frames(timing: Timing, sample_rate: int) -> int:
    """Return in how many frames from an open one there may still be some of its sound."""
    return max(1, round(NOISE_GUARD_MS / 1000 * sample_rate / timing.hop_length))

"""Estimate the noise in each frequency bin: from pauses, from quiet frames or from a noise sample.

Powers are |X|² of an STFT with full scale 1.0.
"""

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.stft import (
    BinPowers,
    Spectra,
    Stft,
    compute_bin_powers,
)
from noisegate_cli.gating.frames.subsampling import (
    SUBSAMPLE_STRIDE_FRAMES,
    BatchSubsampler,
    power_of_two_stride,
)
from noisegate_cli.gating.gain.mask import FrameIndices, Mask
from noisegate_cli.gating.noise_profile import FULL_SIGNAL_SHARES, NoiseProfile, NoiseSource
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.bin_groups import BinGrouping
from noisegate_cli.gating.spectral.noise_frames import SILENT_BIN_POWER, find_undisturbed
from noisegate_cli.gating.spectral.sample_conversion import to_planar
from noisegate_cli.samples import Samples

MIN_GIVEN_NOISE_S = 0.1
"""Minimum length of a noise sample: one or two frames do not estimate the mean well."""

MAX_LEARNED_BINS = 1 << 21
"""Maximum number of stored powers from which noise is learned: 2000 frames at 44.1 kHz, 8 MB."""

EXCESS_THRESHOLD_RATIO = 4.0
"""A power above this multiple of the mean noise is an excess: noise itself exceeds it in 1 of 50
bins."""

NOISE_EXCESS_RATIO = 0.03
"""Mean excess of noise alone, in units of the mean noise; the theoretical value for a single bin is
e⁻⁴ = 0.02. It prevents a tiny excess in a bin with almost no excess from counting as signal."""

MIN_PROFILE_FRAMES, QUIETEST_SHARE = 5, 0.1
"""Minimum number of frames of a noise profile, and the share of frames that are the quietest."""

STEADY_QUANTILE_RATIO = 0.3
"""A bin is steady if its 10% quantile exceeds this multiple of its median. For noise the quantile
is 0.15 times the median; a steady tone has all its frames above."""

MIN_FLOOR_RATIO = 0.15
"""Minimum ratio of the 5% quantile to the 20% quantile of the powers in a bin with steady noise.
It is 0.23 for noise of constant power, and much less for applause, whose level falls to no
floor."""


def compute_gate_powers(spectra: Sequence[Spectra], linked: bool) -> BinPowers:
    """Return |X|² of each gate, shaped (frames, gates, bins); linked channels are averaged."""
    return combine_channels([compute_bin_powers(x) for x in spectra], linked)


def combine_channels(powers: Sequence[BinPowers], linked: bool) -> BinPowers:
    """Return the |X|² of each gate, shaped (frames, gates, bins), from those of the channels.

    Linked channels are averaged; the powers of the first one are overwritten.
    """
    if not linked:
        return np.stack(powers, axis=1)
    total = powers[0]
    for channel in powers[1:]:
        total += channel
    if len(powers) > 1:
        total /= np.float32(len(powers))
    return total[:, None]


class NoiseMeter(BlockProcessor[Samples, None]):
    """Measure the mean |X|² of a recording that contains only noise.

    The mean is taken over frames, and over channels if they are linked. This is the estimate of
    Welch (The use of the fast Fourier transform for the estimation of power spectra, 1967).
    Digital silence is ignored.
    """

    def __init__(self, settings: GateSettings, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        length = settings.timing(sample_rate).frame_length
        self._transform = Stft(length, length // 2, settings.window_exponent)
        self._batches = FrameBatcher(length, length // 2, center=False)
        self._linked = settings.channels == "linked"
        self._sum = np.zeros((1, self._transform.bins))
        self._frames = self._samples = 0

    def process(self, block: Samples, last: bool = False) -> None:
        """Measure `block`, shaped (samples, channels)."""
        self._samples += len(block)
        for _, frames, samples in self._batches.process(block, last):
            spectra = [self._transform.compute_spectra(x, frames) for x in to_planar(samples)]
            bin_powers = compute_gate_powers(spectra, self._linked)
            bin_powers = bin_powers[bin_powers.max(axis=(1, 2)) > SILENT_BIN_POWER]
            self._sum = self._sum + bin_powers.sum(axis=0, dtype=np.float64)
            self._frames += len(bin_powers)

    def compute_profiles(self) -> tuple[NoiseProfile, ...]:
        """Return one profile for linked channels, or one for each channel.

        Raises
        ------
        SignalError
            If the noise is too short, or only digital silence.
        """
        seconds = self._samples / self._sample_rate
        frame_s = self._transform.frame_length / self._sample_rate
        if seconds < max(MIN_GIVEN_NOISE_S, frame_s):
            raise SignalError(
                f"{seconds:.2g} s of noise are too short: give at least {max(0.5, frame_s):.2g} s"
            )
        if not self._frames:
            raise SignalError("the noise is digital silence: give a section with audible noise")
        return tuple(
            NoiseProfile.from_mean_powers(mean, self._transform, self._sample_rate, "given")
            for mean in self._sum / self._frames
        )


class NoiseLearner(BlockProcessor[Samples, None]):
    """Learn the noise of a recording from its blocks, in constant memory.

    It measures some of the frames of the subsample; see `subsample_frame_indices`. Only after the
    last block is it known which of these frames are noise.

    Parameters
    ----------
    settings
        Settings of the gate.
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    samples
        Expected length of the recording in samples; 0 if unknown.
    """

    def __init__(
        self, settings: GateSettings, sample_rate: int, channels: int = 1, samples: int = 0
    ) -> None:
        timing = settings.timing(sample_rate)
        hop = SUBSAMPLE_STRIDE_FRAMES * timing.hop_length
        self._sample_rate = sample_rate
        self._linked = settings.channels == "linked"
        self._transform = Stft(timing.frame_length, hop, settings.window_exponent)
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
        """Process `block` in another thread; it must not change until the future is done."""
        return self._thread.submit(self.process, block, last)

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        for index, frames, samples in self._batches.process(block, last):
            if self._subsampler.should_store(index):
                measured_frames = -(-frames // self._frame_stride)
                spectra = [
                    self._transform.compute_spectra(x, measured_frames, self._frame_stride)
                    for x in to_planar(samples)
                ]
                self._subsampler.store(index, compute_gate_powers(spectra, self._linked))

    def compute_profiles(
        self,
        frame_indices: FrameIndices,
        is_open: Mask,
        is_noise: Mask,
        allow_quietest_fallback: Sequence[bool],
    ) -> tuple[NoiseProfile | None, ...]:
        """Return the profile of each gate.

        Without pauses, the profile is estimated from the quietest frames. The powers of noise in
        a bin are distributed exponentially, so a tenth of them lie below −log(1 − 0.1) times
        their mean, and no signal fills a bin all the time. This is the idea of minimum statistics
        (Martin, Noise power spectral density estimation, 2001), for stationary noise.

        Parameters
        ----------
        frame_indices
            Indices of the frames that the masks describe.
        is_open, is_noise
            Whether the gate is open in these frames, and whether they contain only noise; both
            shaped (frames, gates).
        allow_quietest_fallback
            For each gate, whether to estimate the noise from the quietest frames if there are too
            few pauses.

        Returns
        -------
        tuple of NoiseProfile or None
            One entry for each gate; None if its noise cannot be estimated.
        """
        bin_powers = self._subsampler.stored_powers()
        measured_indices = self._subsampler.stored_frame_indices(self._frame_stride)
        bin_powers = bin_powers[np.isin(measured_indices, frame_indices)]
        is_nonsilent = bin_powers.max(axis=2) > SILENT_BIN_POWER
        is_measured = np.isin(frame_indices, measured_indices)
        is_noise = is_noise[is_measured] & is_nonsilent
        is_open = is_open[is_measured] & is_nonsilent
        profiles: list[NoiseProfile | None] = []
        for gate, allow_quietest in enumerate(allow_quietest_fallback):
            pauses = bin_powers[is_noise[:, gate], gate]
            if len(pauses) >= MIN_PROFILE_FRAMES:
                open_frames = bin_powers[is_open[:, gate], gate]
                profiles.append(self._estimate_from_pauses(pauses, open_frames))
            elif allow_quietest:
                profiles.append(self._estimate_from_quietest(bin_powers[:, gate]))
            else:
                profiles.append(None)
        return tuple(profiles)

    def _estimate_from_pauses(self, pauses: BinPowers, open_frames: BinPowers) -> NoiseProfile:
        pauses = pauses[find_undisturbed(pauses, median(pauses))]
        shares = compute_signal_share(self._grouping.mean(open_frames), self._grouping.mean(pauses))
        return self._create_profile(
            pauses.mean(axis=0), "pauses", self._grouping.expand_to_bins(shares)[0]
        )

    def _estimate_from_quietest(self, bin_powers: BinPowers) -> NoiseProfile | None:
        """Estimate the noise from the quietest frames of each bin without a steady tone.

        Return None if there are too few frames, or if the quietest ones are silent or no noise.
        """
        if len(bin_powers) < MIN_PROFILE_FRAMES / QUIETEST_SHARE:
            return None
        quiet, middle, low, high = quantile(
            bin_powers, [QUIETEST_SHARE, 0.5, QUIETEST_SHARE / 2, 2 * QUIETEST_SHARE]
        )
        is_variable = quiet < STEADY_QUANTILE_RATIO * middle
        if not is_variable.any() or not quiet.max() > SILENT_BIN_POWER:
            return None
        if median(low[is_variable] / high[is_variable]) < MIN_FLOOR_RATIO:
            return None
        bins = np.arange(len(quiet))
        quiet = np.interp(bins, bins[is_variable], quiet[is_variable])
        return self._create_profile(quiet / -math.log1p(-QUIETEST_SHARE), "quietest")

    def _create_profile(
        self, mean: BinPowers, source: NoiseSource, signal_shares: BinPowers = FULL_SIGNAL_SHARES
    ) -> NoiseProfile:
        return NoiseProfile.from_mean_powers(
            mean, self._transform, self._sample_rate, source, signal_shares
        )


def compute_signal_share(open_frames: BinPowers, pauses: BinPowers) -> BinPowers:
    """Return the share of signal in the excess over the noise in each bin, 0 to 1.

    Noise has peaks too. Let E be the mean excess of |X|² over four times the mean noise, computed
    in the pauses and in the open frames. In the open frames the share of signal is
    (E_open − E_pauses)/E_open, as in the Wiener gain. It is almost 0 in a bin without signal.

    Parameters
    ----------
    open_frames, pauses
        |X|² of open frames and of noise, shaped (frames, bins).

    Returns
    -------
    ndarray
        Shaped (1, bins).
    """
    mean = pauses.mean(axis=0, keepdims=True)
    if len(open_frames) < MIN_PROFILE_FRAMES:
        return np.ones_like(mean)
    open_excess, pause_excess = (
        np.maximum(
            _smooth_bins(bin_powers / (mean + np.float32(SILENT_BIN_POWER)))
            - np.float32(EXCESS_THRESHOLD_RATIO),
            0,
        ).mean(axis=0, keepdims=True)
        for bin_powers in (open_frames, pauses)
    )
    offset = np.float32(NOISE_EXCESS_RATIO)
    return np.asarray(np.clip(1 - (pause_excess + offset) / (open_excess + offset), 0, 1))


def _smooth_bins(bin_powers: BinPowers) -> BinPowers:
    """Smooth the powers over neighboring bins with the weights ¼, ½, ¼."""
    padded = np.pad(bin_powers, ((0, 0), (1, 1)), mode="edge")
    smoothed = padded[:, :-2] + padded[:, 2:]
    smoothed *= 0.25
    smoothed += np.float32(0.5) * bin_powers
    return np.asarray(smoothed)

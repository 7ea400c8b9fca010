"""The literal mask of the magnitude spectrogram, computed with librosa in blocks.

Let y be the samples of a channel with full scale 1.0, N the frame length, H the hop length and T
the threshold of a magnitude. The output is

    S = librosa.stft(y, n_fft=N, hop_length=H)
    librosa.istft(S * (np.abs(S) > T), n_fft=N, hop_length=H, length=len(y)).

A recording is too long for one call, so the calls are made for batches of frames with
`center=False`. A batch of samples starts with the first sample of its first frame and ends with
the last sample of its last frame, with zeros before and after the recording. The inverse of a
batch starts with the masked frames before it that overlap its first frame. `librosa.istft` divides
by the sum of the squared windows, so only those samples are final for which all frames are
present. The sums have the same terms in the same order as in one call, so the result is the same.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import AudioError
from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.stft import Stft
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.configuration import SpectralConfiguration
from noisegate_cli.gating.spectral.sample_conversion import (
    PlanarSamples,
    from_full_scale,
    to_planar,
)
from noisegate_cli.samples import Samples, choose_float_type

try:
    from librosa import istft, stft
except RuntimeError as error:
    # numba, which librosa uses, needs a folder for its compiled functions.
    if "cannot cache" not in str(error):
        raise
    raise AudioError(
        "the spectral mask needs librosa, and librosa needs a folder for compiled functions: "
        "set the environment variable NUMBA_CACHE_DIR to a writable folder"
    ) from error

MASK_OPEN_POWER_RATIO = 8.0
"""A bin opens where |X|² exceeds this multiple of the mean noise, 9 dB: noise does so in 1 of 3000
frames."""

MIN_BATCH_FRAMES, LIVE_BATCH_DIVISOR = 8, 4
"""Minimum number of frames in a batch, and the divisor of its usual length in a live gate."""

ChannelSpectra: TypeAlias = NDArray[np.complexfloating[Any, Any]]
"""Spectra as `librosa.stft` returns them, shaped (channels, bins, frames)."""


class MagnitudeMask(BlockProcessor[Samples, Samples]):
    """Multiply the bins of the magnitude spectrogram at or below a threshold by a constant gain.

    With a threshold in the settings, T is the magnitude of a tone with this RMS at the center of a
    bin. Otherwise T² is `MASK_OPEN_POWER_RATIO` times the mean |X|² of the noise in the bin. The
    gain is 0 in the preset `hard`; `reduction_db` sets it. If channels are linked, their RMS
    magnitude √(mean |X|²) is compared with T, and all channels get the same mask.

    Integers of 16 bits are processed in float32, all other types in float64.

    Parameters
    ----------
    configuration
        Settings, noise and format. Of the settings, only `threshold`, `reduction_db`, `channels`
        and those of the frames are used. With a threshold, no noise profile is needed. The output
        does not depend on `live`.

    Examples
    --------
    >>> settings = GateSettings.preset("hard", spectral="mask", threshold=0.001)
    >>> y = 0.2 * np.sin(np.arange(8000) / 5)[:, None]
    >>> mask = MagnitudeMask(SpectralConfiguration(settings, [None], sample_rate=8000))
    >>> parts = [mask.process(y[:3000]), mask.process(y[3000:], last=True)]
    >>> bool(np.allclose(np.concatenate(parts)[1000:-1000], y[1000:-1000], atol=0.01))
    True
    """

    def __init__(self, configuration: SpectralConfiguration) -> None:
        settings, timing = configuration.settings, configuration.timing
        sample_rate, channels = configuration.sample_rate, configuration.channels
        profiles = configuration.noise_profiles
        self._frame_length, self._hop_length = timing.frame_length, timing.hop_length
        self._batches = FrameBatcher(
            timing.frame_length,
            timing.hop_length,
            frames=_frames_per_mask_batch(timing.hop_length, channels, configuration.live),
        )
        self._quantization_step = configuration.quantization_step
        self._averages_channels = configuration.linked and channels > 1
        transform = Stft(timing.frame_length, timing.hop_length)
        self._thresholds = np.stack(
            [_compute_thresholds(p, settings, transform, sample_rate) for p in profiles]
        )[:, :, None]
        # Without a noise profile there is nothing to reduce.
        self._closed_gains = np.array(
            [settings.bin_floor if p or settings.masks_by_level else 1.0 for p in profiles]
        )[:, None, None]
        self._overlapping: ChannelSpectra | None = None
        self._max_overlapping_frames = timing.overlap - 1
        self._leading_samples = timing.frame_length // 2
        self._samples_left = 0

    def process(self, block: Samples, last: bool = False) -> Samples:
        """Return the output samples that are final, in the type of `block`.

        Raises
        ------
        SignalError
            If a sample is NaN, infinite or too large.
        """
        self._samples_left += len(block)
        dtype = choose_float_type(block.dtype)
        parts: list[PlanarSamples] = []
        spectra: ChannelSpectra | None = None
        for _, _, samples in self._batches.process(block, last):
            if spectra is not None:
                parts.append(self._invert(spectra))
            spectra = self._mask_spectra(to_planar(samples, dtype))
        if spectra is not None:
            parts.append(self._invert(spectra, last))
        outputs = [from_full_scale(y.T, block.dtype, self._quantization_step) for y in parts]
        return np.concatenate([np.empty((0, block.shape[1]), block.dtype), *outputs])

    def _mask_spectra(self, samples: PlanarSamples) -> ChannelSpectra:
        """Return the masked spectra of a batch of frames."""
        spectra = stft(samples, n_fft=self._frame_length, hop_length=self._hop_length, center=False)
        magnitudes = np.abs(spectra)
        if self._averages_channels:
            magnitudes = np.sqrt(np.mean(magnitudes**2, axis=0, keepdims=True))
        gains = np.where(magnitudes > self._thresholds, 1.0, self._closed_gains)
        return np.asarray(spectra * gains.astype(magnitudes.dtype))

    def _invert(self, spectra: ChannelSpectra, last: bool = False) -> PlanarSamples:
        """Return the samples that the next masked spectra complete, shaped (channels, samples)."""
        frames, before = spectra.shape[2], 0
        if self._overlapping is not None:
            before = self._overlapping.shape[2]
            spectra = np.concatenate([self._overlapping, spectra], axis=2)
        first = max(0, before + frames - self._max_overlapping_frames)
        self._overlapping = spectra[:, :, first:].copy()
        y = istft(spectra, n_fft=self._frame_length, hop_length=self._hop_length, center=False)
        # The next batch changes the samples from the start of its first frame.
        end = None if last else (before + frames) * self._hop_length
        y = y[:, before * self._hop_length : end]
        # The first frame begins half a frame before the recording.
        early = min(self._leading_samples, y.shape[1])
        self._leading_samples -= early
        y = y[:, early:][:, : self._samples_left]
        self._samples_left -= y.shape[1]
        return np.asarray(y)


def compute_mask_latency(settings: GateSettings, sample_rate: int) -> int:
    """Return the maximum latency that a live mask adds to a gate, in samples: one batch."""
    hop = settings.timing(sample_rate).hop_length
    return _frames_per_mask_batch(hop, channels=1, live=True) * hop


def _frames_per_mask_batch(hop_length: int, channels: int, live: bool) -> int:
    frames = frames_per_batch(hop_length * channels)
    return max(MIN_BATCH_FRAMES, frames // LIVE_BATCH_DIVISOR) if live else frames


def _compute_thresholds(
    noise_profile: NoiseProfile | None, settings: GateSettings, transform: Stft, sample_rate: int
) -> NDArray[np.float64]:
    """Return the magnitude above which each bin opens, shaped (bins,)."""
    if not isinstance(settings.threshold, str):
        return np.full(transform.bins, settings.threshold * transform.tone_power**0.5)
    if noise_profile is None:
        return np.zeros(transform.bins)
    mean, _ = noise_profile.interpolate_to_bins(transform, sample_rate)
    return np.sqrt(MASK_OPEN_POWER_RATIO * mean)

"""Compute the power of each frame in frequency bands."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.framing import FrameBatcher
from noisegate_cli.gating.frames.stft import Stft, compute_bin_powers
from noisegate_cli.samples import Samples, full_scale

BandPowerArray = NDArray[np.float32]
"""Mean square of each frame in each band, shaped (frames, channels, bands), full scale 1.0."""

BANDS_PER_PRODUCT, PRODUCT_SAMPLES = 8, 1 << 17
"""Number of bands, and of samples in the frames, that one product computes. A few adjacent bands
need few bins. With so few samples, OpenBLAS starts no threads, which take several times as long."""


class _BandGroup(NamedTuple):
    """Weights of the bins in some adjacent bands, shaped (bins, bands)."""

    bins: slice
    bands: slice
    weights: NDArray[np.float32]


class BandPowerExtractor:
    """Compute the powers of frames in adjacent frequency bands.

    Each frame is multiplied by a Hann window and Fourier transformed, and the bin powers are
    summed over each band. A bin that crosses an edge is divided between the two bands. By
    Parseval's theorem, a frame x under the window w has this mean square in the bins k of a band:

        Σ_k 2·|X_k|² / (N·Σ_n w²[n]).

    If only low frequencies are needed, the sample rate is first halved repeatedly, as long as it
    stays at least `oversampling` times the highest edge. The low-pass is (1 + z⁻¹)³/8, with the
    response cos³(π·f), where f is the frequency relative to the rate before halving. Its
    attenuation within the bands is compensated. Aliases in the highest band are 23 dB lower at
    an oversampling of 4, and lower still in the other bands.

    Parameters
    ----------
    edges
        Edges of the bands in Hz, ascending, all below half the sample rate.
    sample_rate
        In Hz.
    frame_length, hop_length
        In samples, as in `FrameRmsMeter`.
    oversampling
        Minimum ratio of the reduced sample rate to the highest edge, at least 2.

    Examples
    --------
    A tone of 0.5 RMS appears in the band that contains its frequency:

    >>> y = 0.5 * np.sqrt(2) * np.sin(2 * np.pi * 1000 * np.arange(4096) / 16000)[:, None]
    >>> bands = BandPowerExtractor([100, 800, 1200], 16000, frame_length=512, hop_length=128)
    >>> _, frames, samples = next(bands.create_batcher().process(y, last=True))
    >>> np.sqrt(bands.compute(frames, samples)).round(3)[3]
    array([[0. , 0.5]], dtype=float32)
    """

    def __init__(
        self,
        edges: list[float] | NDArray[np.float64],
        sample_rate: int,
        frame_length: int,
        hop_length: int,
        oversampling: float = 4,
    ) -> None:
        self._length, self._hop = frame_length, hop_length
        self._bands = len(edges) - 1
        self._halvings, self._transform, self._groups = _compute_weights(
            tuple(map(float, edges)), sample_rate, frame_length, hop_length, oversampling
        )
        factor = 1 << self._halvings
        self._product_frames = max(1, PRODUCT_SAMPLES // self._transform.frame_length)
        self.margin = 2 * factor
        """Extra samples after a frame that the halving filters need."""

    def create_batcher(self, frames: int | None = None) -> FrameBatcher:
        """Create a batcher that cuts a stream into spans of `frames` frames for `compute`."""
        return FrameBatcher(self._length, self._hop, self.margin, frames, mirrors=True)

    # Very large float samples may overflow; the callers check the powers.
    @np.errstate(over="ignore", invalid="ignore")
    def compute(self, frames: int, samples: Samples) -> BandPowerArray:
        """Return the powers of `frames` frames of `samples`, shaped (samples, channels)."""
        band_powers = np.empty((frames, samples.shape[1], self._bands), np.float32)
        hop, step = self._transform.hop_length, self._product_frames
        for channel in range(samples.shape[1]):
            x = samples[:, channel].astype(np.float32)
            for _ in range(self._halvings):
                x = _halve_sample_rate(x)
            for start in range(0, frames, step):
                out = band_powers[start : start + step, channel]
                spectra = self._transform.compute_spectra(x[start * hop :], len(out))
                bin_powers = compute_bin_powers(spectra)
                for bins, bands, weights in self._groups:
                    np.matmul(bin_powers[:, bins], weights, out=out[:, bands])
        band_powers *= np.float32(full_scale(samples.dtype) ** -2)
        return band_powers


@lru_cache(maxsize=8)  # In a batch, computing the weights would take as long as a short recording.
def _compute_weights(
    edges: tuple[float, ...],
    sample_rate: int,
    frame_length: int,
    hop_length: int,
    oversampling: float,
) -> tuple[int, Stft, list[_BandGroup]]:
    """Return how often to halve the rate, the transform, and the weights of bins in each band."""
    halvings = 0
    while (
        sample_rate >= edges[-1] * oversampling * (2 << halvings)
        and hop_length % (2 << halvings) == 0
    ):
        halvings += 1
    factor = 1 << halvings
    rate, length = sample_rate / factor, frame_length // factor
    hz = np.arange(length // 2 + 1) * rate / length
    response = np.ones(len(hz))
    for halving in range(halvings):
        response *= np.cos(np.pi * hz * (1 << halving) / sample_rate) ** 6
    transform = Stft(length, hop_length // factor)
    scale = transform.mean_square_per_power / np.maximum(response, 1e-3)
    groups = []
    for start in range(0, len(edges) - 1, BANDS_PER_PRODUCT):
        group_edges = np.asarray(edges[start : start + BANDS_PER_PRODUCT + 1])
        half_bin = rate / length / 2
        first, after = np.searchsorted(
            hz, [group_edges[0] - half_bin, group_edges[-1] + half_bin], side="right"
        )
        bins = slice(int(first), int(after))
        shares = _compute_bin_shares(hz[bins], group_edges, 2 * half_bin)
        weights = (shares * scale[bins, None]).astype(np.float32)
        weights.flags.writeable = False  # because the cache shares it
        groups.append(_BandGroup(bins, slice(start, start + BANDS_PER_PRODUCT), weights))
    return halvings, transform, groups


def _compute_bin_shares(
    centers: NDArray[np.float64], edges: NDArray[np.float64], bin_width: float
) -> NDArray[np.float64]:
    """Return the share of each bin that lies in each band, shaped (bins, bands); all in Hz."""
    half_bin = bin_width / 2
    upper = np.minimum(centers[:, None] + half_bin, edges[1:])
    lower = np.maximum(centers[:, None] - half_bin, edges[:-1])
    return np.asarray(np.maximum(upper - lower, 0) / (2 * half_bin))


def _halve_sample_rate(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return every second sample after the low-pass with the taps (1, 3, 3, 1)/8; overwrite `x`."""
    length = (len(x) - 4) // 2 * 2 + 4
    # Two sums of contiguous samples are faster than sums of every second sample; the third is not.
    sums = x[: length - 1] + x[1:length]
    np.add(sums[:-1], sums[1:], out=x[: length - 2])
    halved = x[: length - 3 : 2] + x[1 : length - 2 : 2]
    halved *= np.float32(0.125)
    return halved

"""Measure how much frames resemble a voiced sound: periodic at the pitch of a voice."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.framing import FrameBatcher
from noisegate_cli.gating.frames.window import hann_window
from noisegate_cli.gating.gain.mask import Mask, MinRunLength
from noisegate_cli.samples import Samples, full_scale

MIN_PITCH_HZ, MAX_PITCH_HZ = 73.0, 400.0
"""Range of the pitch of voices, from low men to children."""

MIN_VOICED_HZ, MAX_VOICED_HZ = 90.0, 1200.0
"""The band that is examined; it contains several harmonics, and little of hum and rumble."""

MIN_PERIODICITY = 0.65
"""Least normalised autocorrelation at the pitch of a voiced frame."""

MIN_VOICED_MS = 48.0
"""Shorter runs of voiced frames are chance."""

VOICING_FRAME_MS, VOICING_HOP_MS = 40.0, 16.0
"""Length of a frame, three periods of the lowest pitch, and the distance of the frames."""

MIN_VOICING_RATE_HZ = 3600.0
"""Lowest reduced sample rate. Frequencies that alias to less than `MAX_VOICED_HZ` are above 2400 Hz
there, where the low-pass attenuates by 60 dB: the song of a bird must not become a voice."""

LOWPASS_SHAPE, LOWPASS_PERIODS = 5.65, 1.5
"""Shape of the Kaiser window of the low-pass, and half its length in periods of `MAX_VOICED_HZ`."""

MIN_VOICED_ENERGY = 1e-20
"""Energy below which a frame counts as silent, for which there is no autocorrelation."""

MAX_CRY_HZ, CRY_LAGS = 900.0, 12
"""Highest pitch above `MAX_PITCH_HZ` that is examined, as of crying, and the number of its lags."""

SHAPE_FLOOR = 1e-3
"""Share of the mean power of the bins that is added to each before their shape is compared."""

STEADY_FRAMES, STEADY_PARTS = 32, 5
"""Tones are steady that are constant for so many parts of so many frames, 2.5 s."""

STEADY_RESIDUE = 0.1
"""Share of the power of steady tones that may remain after their subtraction. It limits what the
rest of hum resembles."""

BATCH_FRAMES, MAX_PRODUCT = 128, 1 << 18
"""Number of frames whose powers are computed at once, and of multiplications in a product of
matrices. With more, OpenBLAS starts threads, which take several times as long for such narrow
matrices."""

LEVEL_RATE_HZ = 8000.0
"""Rate of the samples from which the level is computed; the others are skipped."""

LAGS_PER_S = 6000.0
"""Resolution of the lags at which the autocorrelation is computed."""


Powers = NDArray[np.float32]
"""Powers of bins, shaped (frames, channels, bins)."""

FrameValues = NDArray[np.float32]
"""One value per frame, shaped (frames, channels)."""


class Voicing(NamedTuple):
    """Features of frames, each shaped (frames, channels)."""

    periodicity: FrameValues
    """Normalised autocorrelation at the lag of a pitch, about 0 to 1; 0 in silence."""
    cry_periodicity: FrameValues
    """The same at the lags of higher pitches."""
    similarity: FrameValues
    """Correlation of the logarithmic spectrum with the spectrum of the previous frame, −1 to 1."""
    band_db: FrameValues
    """Level from `MIN_VOICED_HZ` to `MAX_VOICED_HZ` without steady tones, in dB."""
    level_db: FrameValues
    """Level of all frequencies in dBFS."""


class VoicingDetector(BlockProcessor[Samples, Voicing]):
    """Measure the voicing of samples that arrive in blocks.

    The periodicity is the normalised autocorrelation of the band from `MIN_VOICED_HZ` to
    `MAX_VOICED_HZ`. It is divided by the autocorrelation of the window (Boersma, Accurate
    short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
    sound, 1993). Frame k is centred on sample k·`hop_length`.

    Hum would hide the voices, so steady power is subtracted from the spectrum: in each bin, the
    greatest power that is not undercut within 2.5 s (the morphological opening).

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.

    Examples
    --------
    Pulses at 100 Hz are voiced, and noise is not:

    >>> pulses = (np.arange(16000) % 160 == 0).astype(float)
    >>> noise = np.random.default_rng(0).normal(0, 1, 16000)
    >>> detector = VoicingDetector(16000, channels=2)
    >>> voicing = detector.process(np.stack([pulses, noise], axis=1), last=True)
    >>> find_voiced(voicing.periodicity, hop_s=0.016)[4:-4].mean(axis=0)
    array([1., 0.])
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._factor = max(1, int(sample_rate / MIN_VOICING_RATE_HZ))
        rate = sample_rate / self._factor
        self._length = max(4, round(VOICING_FRAME_MS / 1000 * rate / 2) * 2)
        self._hop = max(1, round(VOICING_HOP_MS / 1000 * rate))
        self.hop_length = self._hop * self._factor
        """Distance of the frames in samples."""
        self._lowpass = _design_lowpass(self._factor, sample_rate)
        margin = self._lowpass.size
        self._batches = FrameBatcher(
            self._length * self._factor, self.hop_length, margin, frames=BATCH_FRAMES
        )
        # Zeros behind the frame prevent that its end is correlated with its beginning.
        needed = self._length + math.ceil(rate / MIN_PITCH_HZ)
        transform_length = 1 << (needed - 1).bit_length()
        self._transform, self._cosines = _compute_matrices(self._length, transform_length, rate)
        self._held: list[Powers] = []
        self._held_levels: list[FrameValues] = []
        self._minima: list[NDArray[np.float32]] = []
        self._last_shape: Powers | None = None
        self._level_stride = max(1, int(sample_rate / LEVEL_RATE_HZ))
        self._empty = np.zeros((0, channels), np.float32)

    def process(self, block: Samples, last: bool = False) -> Voicing:
        """Return the features of the frames that `block` completes, with a delay of 2.5 s."""
        for _, frames, samples in self._batches.process(block, last):
            powers = self._compute_powers(frames, samples)
            levels = self._compute_levels(frames, samples)
            for start in range(0, frames, STEADY_FRAMES):
                self._held.append(powers[start : start + STEADY_FRAMES])
                self._held_levels.append(levels[start : start + STEADY_FRAMES])
                self._minima.append(self._held[-1].min(axis=0))
        count = len(self._held) if last else max(0, len(self._held) - STEADY_PARTS + 1)
        if not count:
            return Voicing(*[self._empty] * len(Voicing._fields))
        steady = self._pop_steady(count)
        held, self._held = self._held[:count], self._held[count:]
        levels = np.concatenate(self._held_levels[:count])
        self._held_levels = self._held_levels[count:]
        lengths = [len(powers) for powers in held]
        return self._measure(np.concatenate(held), np.repeat(steady, lengths, axis=0), levels)

    # Very large float samples may overflow; then no frame is voiced.
    @np.errstate(over="ignore", invalid="ignore")
    def _compute_powers(self, frames: int, samples: Samples) -> Powers:
        """Return the powers of the voiced band, shaped (frames, channels, bins)."""
        scale = np.float32(1 / full_scale(samples.dtype))
        channels = []
        for channel in range(samples.shape[1]):
            x = self._reduce_rate(samples[:, channel].astype(np.float32)) * scale
            views = np.lib.stride_tricks.sliding_window_view(x, self._length)[:: self._hop]
            # Few bins are needed, so that a product of matrices is faster than a fast transform.
            parts = np.square(_multiply(views[:frames], self._transform))
            channels.append(parts[:, ::2] + parts[:, 1::2])
        return np.stack(channels, axis=1)

    @np.errstate(over="ignore", invalid="ignore")
    def _compute_levels(self, frames: int, samples: Samples) -> FrameValues:
        """Return the level of one hop around the center of each frame, in dBFS."""
        hop = self.hop_length
        start = (len(samples) - (frames - 1) * hop) // 2 - hop // 2
        part = samples[start : start + frames * hop].reshape(frames, hop, samples.shape[1])
        part = part[:, :: self._level_stride].astype(np.float32)
        part *= np.float32(1 / full_scale(samples.dtype))
        return _to_db(np.square(part, out=part).mean(axis=1))

    def _pop_steady(self, count: int) -> Powers:
        """Return the steady powers in each of the next `count` parts."""
        index = len(self._minima) - len(self._held)
        minima = np.stack(self._minima)
        self._minima = self._minima[max(0, index + count - STEADY_PARTS + 1) :]
        span = min(STEADY_PARTS, len(minima))
        windows = len(minima) - span + 1
        lowest = np.minimum.reduce([minima[i : i + windows] for i in range(span)])
        parts = np.arange(index, index + count)
        steady = [lowest[np.clip(parts - i, 0, windows - 1)] for i in range(span)]
        return np.asarray(np.maximum.reduce(steady), np.float32)

    @np.errstate(over="ignore", invalid="ignore")
    def _measure(self, powers: Powers, steady: Powers, level_db: FrameValues) -> Voicing:
        """Return the features of frames without the steady powers."""
        frames, channels, bins = powers.shape
        shape = frames, channels
        voiced = (powers - steady).reshape(frames * channels, bins)
        correlation = _multiply(voiced, self._cosines)
        residue = STEADY_RESIDUE * (steady.reshape(voiced.shape) @ self._cosines[:, 0])
        energy = correlation[:, 0] + residue
        scale = np.where(energy > MIN_VOICED_ENERGY, 1 / np.maximum(energy, MIN_VOICED_ENERGY), 0)
        highest = np.maximum.reduceat(correlation, [0, 1, 1 + CRY_LAGS], axis=1)
        return Voicing(
            periodicity=(highest[:, 2] * scale).reshape(shape),
            cry_periodicity=(highest[:, 1] * scale).reshape(shape),
            similarity=self._compare_shapes(voiced.reshape(powers.shape)),
            band_db=_to_db(np.maximum(correlation[:, 0], 0)).reshape(shape),
            level_db=level_db,
        )

    def _compare_shapes(self, powers: Powers) -> FrameValues:
        """Return the correlation of the shape of each spectrum with the previous one."""
        powers = np.maximum(powers, 0)
        share = np.float32(1 / max(1, powers.shape[2]))
        floor = SHAPE_FLOOR * share * powers.sum(axis=2, keepdims=True)
        shapes = np.log(powers + (floor + np.float32(MIN_VOICED_ENERGY)))
        shapes -= share * shapes.sum(axis=2, keepdims=True)
        shapes /= np.sqrt(np.square(shapes).sum(axis=2, keepdims=True) + np.float32(1e-9))
        previous = shapes[:1] if self._last_shape is None else self._last_shape
        self._last_shape = shapes[-1:]
        return np.asarray((shapes * np.concatenate([previous, shapes[:-1]])).sum(axis=2))

    def _reduce_rate(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every `_factor`-th sample after the low-pass.

        The taps are cut into columns of `_factor` taps, so that one product of matrices does it.
        """
        columns = self._lowpass.shape[1]
        groups = x[: len(x) // self._factor * self._factor].reshape(-1, self._factor)
        products = _multiply(groups, self._lowpass)
        count = len(groups) - columns + 1
        total = products[:count, 0].copy()
        for i in range(1, columns):
            total += products[i : i + count, i]
        return total


def find_voiced(periodicity: NDArray[np.floating[Any]], hop_s: float) -> Mask:
    """Return which frames, shaped (frames, channels), are voiced for `MIN_VOICED_MS` or more."""
    run = max(1, round(MIN_VOICED_MS / 1000 / hop_s))
    is_periodic = periodicity > MIN_PERIODICITY
    return MinRunLength(True, run, periodicity.shape[1]).process(is_periodic, last=True)


def _to_db(power: FrameValues) -> FrameValues:
    return np.asarray(10 * np.log10(power + np.float32(MIN_VOICED_ENERGY)), np.float32)


def _multiply(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a @ b, computed in parts of at most `MAX_PRODUCT` multiplications."""
    step = max(1, MAX_PRODUCT // max(1, b.size))
    out = np.empty((len(a), b.shape[1]), np.float32)
    for start in range(0, len(a), step):
        np.matmul(a[start : start + step], b, out=out[start : start + step])
    return out


def _design_lowpass(factor: int, sample_rate: int) -> NDArray[np.float32]:
    """Return the taps of a low-pass for the reduction of the rate, shaped (factor, columns)."""
    if factor == 1:
        return np.ones((1, 1), np.float32)
    half = LOWPASS_PERIODS * sample_rate / MAX_VOICED_HZ
    columns = max(1, round(2 * half / factor))
    n = np.arange(columns * factor) - (columns * factor - 1) / 2
    cutoff = sample_rate / factor / 2
    taps = np.sinc(2 * cutoff / sample_rate * n) * np.kaiser(len(n), LOWPASS_SHAPE)
    return np.ascontiguousarray((taps / taps.sum()).reshape(columns, factor).T, np.float32)


def _compute_matrices(
    length: int, transform_length: int, rate: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the matrix from samples to bins, and the matrix from powers to autocorrelations.

    The first one includes the window, and alternates real and imaginary parts of the bins of the
    voiced band. The first column of the second one belongs to lag 0, the next `CRY_LAGS` to high
    pitches, the others to the pitches of voices. They include the division by the autocorrelation
    of the window.
    """
    hz = np.arange(transform_length // 2 + 1) * rate / transform_length
    hz = hz[slice(*np.searchsorted(hz, [MIN_VOICED_HZ, MAX_VOICED_HZ]))]
    window = hann_window(length)
    phases = 2 * np.pi * np.arange(length)[:, None] * hz / rate
    waves = np.stack([np.cos(phases), np.sin(phases)], axis=2).reshape(length, 2 * len(hz))
    count = math.ceil(LAGS_PER_S * (1 / MIN_PITCH_HZ - 1 / MAX_PITCH_HZ)) + 1
    cries = np.linspace(1 / MAX_CRY_HZ, 1 / MAX_PITCH_HZ, CRY_LAGS, endpoint=False)
    lags = np.r_[0.0, cries, np.linspace(1 / MAX_PITCH_HZ, 1 / MIN_PITCH_HZ, count)]
    correlation = np.correlate(window, window, "full")[length - 1 :]
    own = np.interp(lags * rate, np.arange(length), correlation / correlation[0])
    cosines = np.cos(2 * np.pi * hz[:, None] * lags) / own
    return (window[:, None] * waves).astype(np.float32), cosines.astype(np.float32)

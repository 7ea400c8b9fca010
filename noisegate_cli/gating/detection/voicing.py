"""Measure how much frames resemble a voiced sound: periodic at the pitch of a voice."""

import math
from collections import deque
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.framing import FrameBatcher
from noisegate_cli.gating.frames.products import multiply
from noisegate_cli.gating.frames.window import hann_window
from noisegate_cli.gating.gain.mask import MinRunLength
from noisegate_cli.samples import Samples, full_scale

MIN_PITCH_HZ, MAX_PITCH_HZ = 73.0, 400.0
"""Range of the pitch of voices, from low men to children."""

MIN_VOICED_HZ, MAX_VOICED_HZ = 125.0, 1000.0
"""The band that is examined; it contains several harmonics, and little of hum and rumble."""

MIN_PERIODICITY = 0.65
"""Minimum normalized autocorrelation at the pitch of a voiced frame."""

MIN_VOICED_MS = 48.0
"""Shorter runs of voiced frames are chance."""

VOICING_FRAME_MS, VOICING_HOP_MS = 40.0, 16.0
"""Length of a frame, three periods of the lowest pitch, and the distance between the frames."""

MIN_VOICING_RATE_HZ = 3000.0
"""Lowest reduced sample rate. Frequencies that alias to less than `MAX_VOICED_HZ` are above 2000 Hz
there, where the low-pass attenuates by 60 dB: the song of a bird must not become a voice."""

LOWPASS_SHAPE, LOWPASS_PERIODS = 5.65, 1.5
"""Shape of the Kaiser window of the low-pass, and half its length in periods of `MAX_VOICED_HZ`."""

MIN_VOICED_ENERGY = 1e-20
"""Energy below which a frame counts as silent, for which there is no autocorrelation."""

MAX_CRY_HZ, CRY_LAGS = 900.0, 12
"""Highest pitch above `MAX_PITCH_HZ` that is examined, as in crying, and the number of its lags."""

SHAPE_FLOOR = 1e-3
"""Share of the mean power of the bins that is added to each before their shape is compared."""

STEADY_FRAMES, STEADY_PARTS = 32, 5
"""A tone is steady if it is constant for this many parts of this many frames, 2.5 s."""

STEADY_RESIDUE = 0.3
"""Share of the power of steady tones that may remain after their subtraction. It limits what the
rest of hum resembles."""

REDUCED_FRAMES, BATCH_FRAMES = 256, 2048
"""Number of frames in a span whose rate is reduced at once, so that its samples fit in the CPU
cache, and of frames that are measured at once, a multiple of both the first and `STEADY_FRAMES`."""

LAGS_PER_S = 6000.0
"""Resolution of the lags at which the autocorrelation is computed."""


Powers = NDArray[np.float32]
"""Powers of bins, shaped (frames, bins)."""

FrameValues = NDArray[np.float32]
"""One value per frame, shaped (frames, channels) in results, else (frames,)."""


class Voicing(NamedTuple):
    """Features of frames, each shaped (frames, channels)."""

    periodicity: FrameValues
    """Normalized autocorrelation at the lag of a pitch, about 0 to 1; 0 in silence."""
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

    The periodicity is the normalized autocorrelation of the band from `MIN_VOICED_HZ` to
    `MAX_VOICED_HZ`. It is divided by the autocorrelation of the window (Boersma, Accurate
    short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
    sound, 1993). Frame k is centered on sample k·`hop_length`.

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
    >>> runs = create_voiced_runs(hop_s=0.016, gates=2)
    >>> runs.process(voicing.periodicity > MIN_PERIODICITY, last=True)[4:-4].mean(axis=0)
    array([1., 0.])
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._meters = [_VoicingMeter(sample_rate) for _ in range(channels)]
        self.hop_length = self._meters[0].hop_length
        """Distance between the frames in samples."""
        self._batches = self._meters[0].create_batcher()

    def process(self, block: Samples, last: bool = False) -> Voicing:
        """Return the features of the frames that `block` completes, with a delay of some seconds.

        All frames of a batch are computed at once, whatever the size of the blocks.
        """
        for _, frames, samples in self._batches.process(block, last):
            for channel, meter in enumerate(self._meters):
                meter.append(frames, samples[:, channel])
        features = np.array([meter.measure(last) for meter in self._meters])
        return Voicing(*features.transpose(1, 2, 0))


_NOTHING = Voicing(*[np.zeros(0, np.float32)] * len(Voicing._fields))


class _VoicingMeter:
    """Measure the voicing of one channel.

    Parameters
    ----------
    sample_rate
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._factor = max(1, int(sample_rate / MIN_VOICING_RATE_HZ))
        rate = sample_rate / self._factor
        self._length = max(4, round(VOICING_FRAME_MS / 1000 * rate / 2) * 2)
        self._hop = max(1, round(VOICING_HOP_MS / 1000 * rate))
        self.hop_length = self._hop * self._factor
        self._lowpass, delay = _design_lowpass(self._factor, sample_rate)
        self._level_start = self._length * self._factor // 2 + delay - self.hop_length // 2
        self._waves, self._cosines = _compute_matrices(self._length, rate)
        self._reduced: list[tuple[NDArray[np.float32], FrameValues]] = []
        self._measured = [_NOTHING]
        self._held: deque[tuple[Powers, FrameValues, Powers]] = deque()
        self._past_minima = np.zeros((0, len(self._waves[0][0])), np.float32)
        self._last_shape: NDArray[np.float32] | None = None

    def create_batcher(self) -> FrameBatcher:
        """Create a batcher that cuts a stream into spans for `append`."""
        # The last product of the low-pass may extend so far beyond the last frame.
        margin = 3 * self._factor * self._lowpass.shape[1]
        length = self._length * self._factor
        return FrameBatcher(length, self.hop_length, margin, frames=REDUCED_FRAMES)

    # Very large float samples may overflow; then no frame is voiced.
    @np.errstate(over="ignore", invalid="ignore")
    def append(self, frames: int, samples: NDArray[Any]) -> None:
        """Add the samples of some frames."""
        scale = np.float32(1 / full_scale(samples.dtype))
        x = samples.astype(np.float32)
        hops = x[self._level_start :][: frames * self.hop_length].reshape(frames, -1)
        levels = np.vecdot(hops, hops) * (scale * scale / np.float32(self.hop_length))
        reduced = self._reduce_rate(x)[: (frames - 1) * self._hop + self._length]
        reduced *= scale
        self._reduced.append((reduced, levels))
        if len(self._reduced) * REDUCED_FRAMES == BATCH_FRAMES:
            self._complete_batch()

    def measure(self, last: bool) -> Voicing:
        """Return the features of the frames that are complete; all of them with `last`."""
        if last and self._reduced:
            self._complete_batch()
        while last and self._held:
            self._measured.append(self._measure())
        parts, self._measured = self._measured, [_NOTHING]
        return Voicing(*map(np.concatenate, zip(*parts, strict=True)))

    def _complete_batch(self) -> None:
        """Compute the powers of a batch, and the features of the previous one."""
        powers, level_db = self._compute_powers()
        self._held.append((powers, level_db, _find_minima(powers)))
        # The next batch says how long a tone is constant.
        if len(self._held) > 1:
            self._measured.append(self._measure())

    @np.errstate(over="ignore", invalid="ignore")
    def _compute_powers(self) -> tuple[Powers, FrameValues]:
        """Return the powers of the voiced band, and the level around each frame in dBFS."""
        overlap, half = self._length - self._hop, self._length // 2
        *earlier, (rest, _) = self._reduced
        levels = np.concatenate([levels for _, levels in self._reduced])
        x = np.concatenate([*(reduced[:-overlap] for reduced, _ in earlier), rest])
        self._reduced = []
        # The window is symmetric: the real parts of the bins depend on the sum of the samples on
        # both sides of the center, the imaginary parts on the difference. Few bins are needed, so
        # that products of matrices are faster than a fast transform.
        strides = self._hop * x.itemsize, x.itemsize
        views = as_strided(x, (len(levels), self._length), strides)
        # Sums of contiguous copies take half as long as sums of views in opposite directions.
        before, after = views[:, 1 : half + 1].copy(), views[:, : half - 1 : -1].copy()
        powers = multiply(before + after, self._waves[0])
        np.square(powers, out=powers)
        imaginary = multiply(np.subtract(before, after, out=before), self._waves[1])
        powers += np.square(imaginary, out=imaginary)
        return powers, _to_db(levels)

    @np.errstate(over="ignore", invalid="ignore")
    def _measure(self) -> Voicing:
        """Return the features of the first batch that is held, without the steady powers."""
        powers, level_db, minima = self._held.popleft()
        steady = self._find_steady(minima)
        frames = len(powers)
        voiced = np.subtract(powers, np.repeat(steady, STEADY_FRAMES, axis=0)[:frames], out=powers)
        # Maxima and sums over the first axis are two to five times as fast as over the last one.
        correlation = np.empty((self._cosines.shape[1], frames), np.float32)
        multiply(voiced, self._cosines, correlation.T)
        power, pitch = correlation[0], correlation[1 + CRY_LAGS :].max(axis=0)
        cry = correlation[1 : 1 + CRY_LAGS].max(axis=0)
        residue = STEADY_RESIDUE * np.repeat(steady.sum(axis=1), STEADY_FRAMES)[:frames]
        energy = power + residue
        scale = np.where(energy > MIN_VOICED_ENERGY, 1 / np.maximum(energy, MIN_VOICED_ENERGY), 0)
        similarity = self._compare_shapes(voiced, power)
        return Voicing(pitch * scale, cry * scale, similarity, _to_db(power), level_db)

    def _find_steady(self, minima: Powers) -> Powers:
        """Return the steady powers in each part of a batch, from the lowest powers in its parts."""
        past, count = len(self._past_minima), len(minima)
        following = [minima for *_, minima in self._held]
        minima = np.concatenate([self._past_minima, minima, *following])
        self._past_minima = minima[max(0, past + count - STEADY_PARTS + 1) : past + count]
        span = min(STEADY_PARTS, len(minima))
        windows = len(minima) - span + 1
        offsets = np.arange(span)[:, None]
        lowest = minima[offsets + np.arange(windows)].min(axis=0)
        parts = np.arange(past, past + count)
        containing = np.clip(parts - offsets, 0, windows - 1)
        return np.asarray(lowest[containing].max(axis=0), np.float32)

    def _compare_shapes(self, powers: Powers, power: FrameValues) -> FrameValues:
        """Return the correlation of the shape of each spectrum with the previous one.

        The powers are overwritten.
        """
        frames, bins = powers.shape
        shapes = np.empty((frames + 1, bins), np.float32)
        floor = SHAPE_FLOOR / max(1, bins) * power + np.float32(MIN_VOICED_ENERGY)
        np.log(np.add(powers, floor[:, None], out=powers), out=shapes[1:])
        # `einsum` is several times as fast as sums over the last axis.
        mean = np.einsum("fb->f", shapes[1:]) * np.float32(1 / max(1, bins))
        shapes[1:] -= mean[:, None]
        shapes[0] = shapes[1] if self._last_shape is None else self._last_shape
        self._last_shape = shapes[-1].copy()
        norms = np.sqrt(np.einsum("fb,fb->f", shapes, shapes) + np.float32(1e-9))
        products = np.einsum("fb,fb->f", shapes[1:], shapes[:-1])
        return np.asarray(products / (norms[1:] * norms[:-1]), np.float32)

    def _reduce_rate(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every `_factor`-th sample after the low-pass.

        Each product with the samples of one row yields `step` samples. The rows overlap by half, so
        two products alternate.
        """
        if self._factor == 1:
            return x
        length, step = self._lowpass.shape
        count = (len(x) - length // 2) // length
        out = np.empty((count, 2, step), np.float32)
        for i in range(2):
            rows = x[i * length // 2 :][: count * length].reshape(count, length)
            multiply(rows, self._lowpass, out[:, i])
        return out.reshape(-1)


def create_voiced_runs(hop_s: float, gates: int = 1) -> MinRunLength:
    """Return what finds the runs of voiced frames that last `MIN_VOICED_MS` or more."""
    return MinRunLength(True, max(1, round(MIN_VOICED_MS / 1000 / hop_s)), gates)


def _to_db(power: FrameValues) -> FrameValues:
    return np.asarray(10 * np.log10(power + np.float32(MIN_VOICED_ENERGY)), np.float32)


def _find_minima(powers: Powers) -> Powers:
    """Return the lowest powers in parts of `STEADY_FRAMES` frames."""
    frames, bins = powers.shape
    if missing := -frames % STEADY_FRAMES:
        powers = np.concatenate([powers, np.repeat(powers[-1:], missing, axis=0)])
    parts = (frames + missing) // STEADY_FRAMES
    return np.asarray(powers.reshape(parts, STEADY_FRAMES, bins).min(axis=1))


@lru_cache(maxsize=8)  # In a batch, these matrices are the same for every recording.
def _design_lowpass(factor: int, sample_rate: int) -> tuple[NDArray[np.float32], int]:
    """Return the matrix of a low-pass for the reduction of the rate, and its delay in samples.

    Each column contains the taps for one sample, `factor` rows below the previous one.
    """
    if factor == 1:
        return np.ones((2, 1), np.float32), 0
    half = LOWPASS_PERIODS * sample_rate / MAX_VOICED_HZ
    step = max(1, round(2 * half / factor) - 1)
    taps_length = (step + 1) * factor
    n = np.arange(taps_length) - (taps_length - 1) / 2
    taps = np.sinc(n / factor) * np.kaiser(taps_length, LOWPASS_SHAPE)
    matrix = np.zeros((2 * step * factor, step), np.float32)
    for i in range(step):
        matrix[i * factor : i * factor + taps_length, i] = taps / taps.sum()
    matrix.flags.writeable = False  # because the cache shares it
    return matrix, taps_length // 2


@lru_cache(maxsize=8)
def _compute_matrices(length: int, rate: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the matrices from samples to bins, and the matrix from powers to autocorrelations.

    The first ones are the real and the imaginary parts of the bins of the voiced band, times the
    window, for the first half of a frame including its center. The first column of the last one
    belongs to lag 0, the next `CRY_LAGS` to high pitches, the others to the pitches of voices. They
    include the division by the autocorrelation of the window.
    """
    # With this many bins, the end of a frame is not correlated with its beginning at any lag.
    transform_length = length + math.ceil(rate / MIN_PITCH_HZ)
    hz = np.arange(transform_length // 2 + 1) * rate / transform_length
    hz = hz[slice(*np.searchsorted(hz, [MIN_VOICED_HZ, MAX_VOICED_HZ]))]
    window = hann_window(length)
    half = np.arange(1, length // 2 + 1)
    weights = window[half] * np.where(half < length // 2, 1, 0.5)  # The center is added to itself.
    phases = 2 * np.pi * (half - length // 2)[:, None] * hz / rate
    waves = weights[:, None] * np.stack([np.cos(phases), np.sin(phases)])
    count = math.ceil(LAGS_PER_S * (1 / MIN_PITCH_HZ - 1 / MAX_PITCH_HZ)) + 1
    cries = np.linspace(1 / MAX_CRY_HZ, 1 / MAX_PITCH_HZ, CRY_LAGS, endpoint=False)
    lags = np.r_[0.0, cries, np.linspace(1 / MAX_PITCH_HZ, 1 / MIN_PITCH_HZ, count)]
    correlation = np.correlate(window, window, "full")[length - 1 :]
    own = np.interp(lags * rate, np.arange(length), correlation / correlation[0])
    cosines = np.cos(2 * np.pi * hz[:, None] * lags) / own
    matrices = waves.astype(np.float32), cosines.astype(np.float32)
    for matrix in matrices:
        matrix.flags.writeable = False
    return matrices

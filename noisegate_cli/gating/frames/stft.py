"""Samples → spectra of frames → samples: librosa's `stft` and `istft`, a batch at a time."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float32Samples = NDArray[np.float32]
Spectra = NDArray[np.complex64]
"""Of frames, shaped (frames, bins)."""
BinPowers = NDArray[np.float32]
"""|X|² of frames, shaped (frames, bins)."""


class Stft:
    """The Fourier transforms of windowed frames.

    Parameters
    ----------
    frame_length, hop_length
        In samples; the hop divides the frame.
    window_power
        The window is that of Hann to this power: 1, as in librosa, or 0.5, whose squares add up to
        a constant with two frames to a sample.

    Examples
    --------
    >>> y = np.sin(np.arange(4096) / 5).astype(np.float32)
    >>> Stft(512, 128).compute_spectra(y, 8).shape
    (8, 257)
    """

    def __init__(self, frame_length: int, hop_length: int, window_power: float = 1.0) -> None:
        self.frame_length, self.hop_length = frame_length, hop_length
        n = np.arange(frame_length)
        window = (0.5 - 0.5 * np.cos(2 * np.pi * n / frame_length)) ** window_power
        self.window = window
        self._scaled_window = prescale_window(window)
        self.bins = frame_length // 2 + 1
        """Of a spectrum."""
        self.mean_square_per_power = 2 / (frame_length * float(np.sum(window**2)))
        """Of a frame, for each unit of |X|² in a bin: by Parseval's theorem."""
        self.tone_power = float(np.sum(window)) ** 2 / 2
        """|X|² of a tone of RMS 1 in the middle of a bin."""
        self.fft_batch_frames = max(1, FFT_BATCH_SAMPLES // frame_length)
        """Frames that are transformed at once."""

    def compute_spectra(
        self, samples: Float32Samples, frames: int, frame_stride: int = 1
    ) -> Spectra:
        """Return the spectra of so many frames of `samples`, shaped (samples,), from the first.

        With `frame_stride` they lie as many hops apart.
        """
        views = sliding_window_view(samples, self.frame_length)[:: self.hop_length * frame_stride]
        out = np.empty((frames, self.bins), np.complex64)
        for start in range(0, frames, self.fft_batch_frames):
            some = slice(start, min(start + self.fft_batch_frames, frames))
            windowed = views[some] * self._scaled_window
            np.fft.rfft(windowed, axis=1, norm=FFT_NORM, out=out[some])  # type: ignore[arg-type]
        return out


class InverseStft:
    """Spectra of frames → samples, in batches.

    Each frame y_k is windowed once more, and divided by the summed squares of the windows w:

        y[n] = Σ_k w[n − kH]·y_k[n − kH] / Σ_k w²[n − kH],

    which is the least-squares solution of Griffin and Lim (Signal estimation from modified
    short-time Fourier transform, 1984), and the samples themselves where no spectrum was changed.
    The first frame is centred on the first sample.

    Examples
    --------
    >>> y = np.sin(np.arange(2048) / 5).astype(np.float32)
    >>> transform = Stft(512, 128)
    >>> spectra = transform.compute_spectra(np.pad(y, 256), 17)
    >>> out = InverseStft(transform, channels=1).process([spectra], last=True)
    >>> np.allclose(out[:2048, 0], y, atol=1e-6)
    True
    """

    def __init__(self, transform: Stft, channels: int) -> None:
        self._transform = transform
        window = transform.window
        squares = (window**2).reshape(-1, transform.hop_length)
        total = squares.sum(axis=0)
        # Of the weights of all frames that cover a hop, that of the i-th is the share i.
        self._shares = (squares / total).astype(np.float32)
        self._window = (window / np.tile(total, len(squares))).astype(np.float32)
        self._tail = np.zeros((channels, len(squares) - 1, transform.hop_length), np.float32)
        self._frames = 0
        self._leading_samples = transform.frame_length // 2

    def process(self, spectra: Sequence[Spectra], last: bool = False) -> Float32Samples:
        """Return the samples that further frames of each channel settle, (samples, channels).

        All are settled by the last: half a frame more than the frames are centred on.
        """
        frames, before = len(spectra[0]), len(self._shares) - 1
        channels, _, hop = self._tail.shape
        hops = np.zeros((channels, before + frames, hop), np.float32)
        hops[:, :before] = self._tail
        for out, x in zip(hops, spectra, strict=True):
            self._overlap_add(x, out)
        first, self._frames = self._frames, self._frames + frames
        ready = before + frames if last else frames
        # The first and the last hops have fewer frames than the rest.
        for i in range(ready):
            if first + i < before or first + i >= self._frames:
                hops[:, i] /= self._overlap_weight(first + i)
        self._tail = hops[:, ready:].copy()
        samples = hops[:, :ready].reshape(channels, -1).T
        early = min(self._leading_samples, len(samples))
        self._leading_samples -= early
        return samples[early:]

    def _overlap_add(self, spectra: Spectra, hops: Float32Samples) -> None:
        hop, fft_batch_frames = self._transform.hop_length, self._transform.fft_batch_frames
        for start in range(0, len(spectra), fft_batch_frames):
            y = np.fft.irfft(
                spectra[start : start + fft_batch_frames], n=self._transform.frame_length, axis=1
            )
            y = y.astype(np.float32, copy=False)
            y *= self._window
            # The frames that cover a hop are added in their order, wherever batches end.
            for i in reversed(range(len(self._shares))):
                hops[start + i : start + i + len(y)] += y[:, i * hop : (i + 1) * hop]

    def _overlap_weight(self, hop: int) -> Float32Samples:
        """Return the share of a hop's weight that those of its frames have that exist."""
        shares = self._shares[max(0, hop - self._frames + 1) : hop + 1].sum(axis=0)
        return np.asarray(np.maximum(shares, np.finfo(np.float32).tiny))


Float64Array = NDArray[np.float64]


FFT_BATCH_SAMPLES = 1 << 18
"""Samples, of overlapping frames, that are transformed at once: all of most batches. Two threads
don't hold each other up in the middle of it."""


FFT_NORM: Final = "forward"
"""The transform that numpy divides by its length it does in float32, the plain one in float64: for
the same 24 bits that takes twice as long, or six times."""


def prescale_window(window: Float64Array) -> NDArray[np.float32]:
    """Return a window for transforms that are divided by their length: it makes up for that."""
    return np.asarray(window * len(window), np.float32)


def compute_bin_powers(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return |X|²."""
    total: NDArray[np.float32] = np.square(spectra.real)
    total += np.square(spectra.imag)
    return total

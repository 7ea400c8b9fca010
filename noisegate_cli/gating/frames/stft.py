"""Short-time Fourier transform and its inverse, as librosa's `stft` and `istft`, in batches."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.window import hann_window

Float32Samples = NDArray[np.float32]
Spectra = NDArray[np.complex64]
"""Spectra of frames, shaped (frames, bins)."""
BinPowers = NDArray[np.float32]
"""|X|² of frames, shaped (frames, bins)."""
FrameRun = Spectra | Float32Samples
"""Consecutive frames: complex spectra, or windowed samples shaped (frames, samples of a frame)."""

FFT_BATCH_SAMPLES = 1 << 19
"""Samples of overlapping frames that are transformed at once. Most batches fit in one call, so two
threads do not wait for each other in the middle of a batch."""

FFT_NORM: Final = "forward"
"""With this norm numpy computes the transform in float32, and with the default norm in float64,
which takes two to six times as long and adds no precision to 24-bit results."""


class Stft:
    """Compute the Fourier transforms of windowed frames.

    Parameters
    ----------
    frame_length, hop_length
        In samples; the frame length is a multiple of the hop length.
    window_exponent
        Exponent of the window: 1, as in librosa, or 0.5; see `hann_window`.

    Examples
    --------
    >>> y = np.sin(np.arange(4096) / 5).astype(np.float32)
    >>> Stft(512, 128).compute_spectra(y, 8).shape
    (8, 257)
    """

    def __init__(self, frame_length: int, hop_length: int, window_exponent: float = 1.0) -> None:
        self.frame_length, self.hop_length = frame_length, hop_length
        window = hann_window(frame_length, window_exponent)
        self.window = window
        # The factor compensates for the division by `FFT_NORM`.
        self._scaled_window = (window * frame_length).astype(np.float32)
        self.bins = frame_length // 2 + 1
        """Number of bins of a spectrum."""
        self.mean_square_per_power = 2 / (frame_length * float(np.sum(window**2)))
        """Mean square of a frame for each unit of |X|² in a bin, by Parseval's theorem."""
        self.tone_power = float(np.sum(window)) ** 2 / 2
        """|X|² of a tone with RMS 1 at the center of a bin."""
        self.fft_batch_frames = max(1, FFT_BATCH_SAMPLES // frame_length)
        """Number of frames that are transformed at once."""

    def compute_spectra(
        self,
        samples: Float32Samples,
        frames: int,
        frame_stride: int = 1,
        out: Spectra | None = None,
    ) -> Spectra:
        """Return the spectra of the first `frames` frames of `samples`, shaped (samples,).

        The frames are `frame_stride` hops apart. The spectra are written into `out` if it is given.
        """
        views = self._view_frames(samples, frames, frame_stride)
        if out is None:
            out = np.empty((frames, self.bins), np.complex64)
        for batch in self.split_frames(0, frames):
            windowed = views[batch] * self._scaled_window
            np.fft.rfft(windowed, axis=1, norm=FFT_NORM, out=out[batch])  # type: ignore[arg-type]
        return out

    def window_frames(self, samples: Float32Samples, frames: int, gain: float) -> Float32Samples:
        """Return the windowed samples of the first `frames` frames, multiplied by `gain`."""
        return self._view_frames(samples, frames) * (gain * self.window).astype(np.float32)

    def split_frames(self, start: int, end: int) -> Iterator[slice]:
        """Yield slices of as many frames as are transformed at once."""
        for first in range(start, end, self.fft_batch_frames):
            yield slice(first, min(first + self.fft_batch_frames, end))

    def _view_frames(
        self, samples: Float32Samples, frames: int, frame_stride: int = 1
    ) -> Float32Samples:
        samples = np.ascontiguousarray(samples)
        step = self.hop_length * frame_stride * samples.itemsize
        # A view of `sliding_window_view` takes as long as the transforms of ten frames.
        return np.ndarray(
            (frames, self.frame_length), samples.dtype, samples, strides=(step, samples.itemsize)
        )


class InverseStft(BlockProcessor[Sequence[Spectra], Float32Samples]):
    """Convert spectra of frames to samples, in batches.

    Each frame y_k is multiplied by the window w again, and the sum of the frames is divided by the
    sum of the squared windows:

        y[n] = Σ_k w[n − kH]·y_k[n − kH] / Σ_k w²[n − kH].

    This is the least-squares solution of Griffin and Lim (Signal estimation from modified
    short-time Fourier transform, 1984). Unmodified spectra give the original samples. The first
    frame is centered on the first sample.

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
        # shares[i] is the share of the i-th frame in the total weight of a hop.
        self._shares = (squares / total).astype(np.float32)
        self._window = (window / np.tile(total, len(squares))).astype(np.float32)
        self._tail = np.zeros((channels, len(squares) - 1, transform.hop_length), np.float32)
        self._frames = 0
        self._leading_samples = transform.frame_length // 2

    def process(self, spectra: Sequence[Spectra], last: bool = False) -> Float32Samples:
        """Return the samples that the next frames complete, shaped (samples, channels).

        With `last`, all remaining samples are returned, up to half a frame after the center of the
        last frame.
        """
        return self.process_runs([self._split(x) for x in spectra], len(spectra[0]), last)

    def _split(self, spectra: Spectra) -> Iterator[Spectra]:
        return (spectra[batch] for batch in self._transform.split_frames(0, len(spectra)))

    def process_runs(
        self, channels_runs: Sequence[Iterable[FrameRun]], frames: int, last: bool = False
    ) -> Float32Samples:
        """Return what `process` returns, from consecutive runs of frames of each channel.

        Frames that need no transform can be given as samples, with the window of the transform;
        they are overwritten.

        Parameters
        ----------
        channels_runs
            Runs of each channel; they are read once, channel by channel.
        frames
            Number of frames in the runs of a channel.
        last
            As in `process`.
        """
        before = len(self._shares) - 1
        channels, _, hop = self._tail.shape
        hops = np.zeros((channels, before + frames, hop), np.float32)
        hops[:, :before] = self._tail
        for out, runs in zip(hops, channels_runs, strict=True):
            self._overlap_add(runs, out)
        first, self._frames = self._frames, self._frames + frames
        ready = before + frames if last else frames
        # The first and the last hops are covered by fewer frames.
        for i in range(ready):
            if first + i < before or first + i >= self._frames:
                hops[:, i] /= self._overlap_weight(first + i)
        self._tail = hops[:, ready:].copy()
        samples = hops[:, :ready].reshape(channels, -1).T
        early = min(self._leading_samples, len(samples))
        self._leading_samples -= early
        return samples[early:]

    def _overlap_add(self, runs: Iterable[FrameRun], hops: Float32Samples) -> None:
        length, hop, start = self._transform.frame_length, self._transform.hop_length, 0
        for run in runs:
            y = np.fft.irfft(run, n=length, axis=1) if np.iscomplexobj(run) else run
            y = y.astype(np.float32, copy=False)
            y *= self._window
            # Frames are added in order, so the sum does not depend on where runs end.
            for i in reversed(range(len(self._shares))):
                hops[start + i : start + i + len(y)] += y[:, i * hop : (i + 1) * hop]
            start += len(y)

    def _overlap_weight(self, hop: int) -> Float32Samples:
        """Return the share of the existing frames in the total weight of a hop."""
        shares = self._shares[max(0, hop - self._frames + 1) : hop + 1].sum(axis=0)
        return np.asarray(np.maximum(shares, np.finfo(np.float32).tiny))


def compute_bin_powers(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Compute |X|²."""
    total: NDArray[np.float32] = np.square(spectra.real)
    total += np.square(spectra.imag)
    return total

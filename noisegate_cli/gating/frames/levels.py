"""Measure the RMS level of each frame.

The framing equals librosa's with `center=True`: frame *k* is centered on sample *k·H*, the signal
is padded with zeros, and *n* samples have 1 + ⌊n/H⌋ frames.
"""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.samples import Samples, choose_float_type, full_scale, to_db

RmsLevels = NDArray[np.float64]
"""RMS of each frame, shaped (frames, channels), full scale 1.0."""

CHUNK_SAMPLES = 1 << 16
"""Number of samples that are converted at once, so that they fit in the CPU cache."""


def rms_db(levels: NDArray[np.float64]) -> float:
    """Return the total RMS, in dBFS, of frames with the linear `levels`; −∞ without frames."""
    return float(to_db(np.sqrt(np.mean(levels**2)))) if levels.size else -np.inf


class FrameRmsMeter(BlockProcessor[Samples, RmsLevels]):
    """Compute the RMS of each frame of samples that arrive in blocks.

    A frame consists of N/H hops. The squares of each hop are summed once, and a frame is the sum
    of adjacent hops. The result equals `librosa.feature.rms` without N/H times the work. The state
    consists of the samples after the last whole hop and the energies of the last N/H − 1 hops.

    Parameters
    ----------
    frame_length, hop_length
        In samples; half the frame length must be a multiple of the hop length.

    Examples
    --------
    >>> meter = FrameRmsMeter(frame_length=4, hop_length=2)
    >>> meter.process(np.array([[0.0], [0.5], [0.5]]))
    array([[0.25]])
    >>> meter.process(np.array([[0.5]]), last=True).round(3)
    array([[0.433],
           [0.354]])
    """

    def __init__(self, frame_length: int, hop_length: int) -> None:
        self._frame = frame_length
        self._hop = hop_length
        self._samples: Samples = np.empty((0, 0))
        self._energies: RmsLevels | None = None
        self._hops = 0
        self.square_sum = 0.0
        """Sum of the squares of all samples so far, full scale 1.0."""

    def process(self, block: Samples, last: bool = False) -> RmsLevels:
        """Return the levels of the frames that `block` completes.

        Parameters
        ----------
        block
            Samples shaped (samples, channels), integer or float.
        last
            Whether the recording ends here; frames that extend past the end are zero-padded.

        Raises
        ------
        SignalError
            If a sample is NaN, infinite or too large.
        """
        hop, overlap = self._hop, self._frame // self._hop
        channels = block.shape[1]
        if self._energies is None:
            self._energies = np.zeros((overlap // 2, channels))
        samples = np.concatenate([self._samples, block]) if len(self._samples) else block
        complete_length = len(samples) // hop * hop
        energies = [self._energies, self._compute_hop_energies(samples[:complete_length])]
        self._hops += complete_length // hop
        self._samples = samples[complete_length:].copy()
        if last:
            last_hop = np.zeros((hop if len(self._samples) else 0, channels), block.dtype)
            last_hop[: len(self._samples)] = self._samples
            energies.append(self._compute_hop_energies(last_hop))
            # n samples have 1 + n // hop frames: the last one extends half a frame past the end.
            energies.append(np.zeros((overlap // 2 - len(last_hop) // hop, channels)))
        all_energies = np.concatenate(energies)
        frames = max(0, len(all_energies) - overlap + 1)
        self._energies = all_energies[frames:]
        # The fixed order of summation makes the result independent of where blocks end.
        sums = sum(
            (all_energies[i : i + frames] for i in range(overlap)), np.zeros((frames, channels))
        )
        return np.sqrt(sums / self._frame) / full_scale(block.dtype)

    def _compute_hop_energies(self, samples: Samples) -> RmsLevels:
        channels, hop = samples.shape[1], self._hop
        dtype = choose_float_type(samples.dtype)
        energies = np.empty((len(samples) // hop, channels))
        step = max(1, CHUNK_SAMPLES // (hop * channels))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(energies), step):
                part = samples[start * hop : (start + step) * hop]
                planes = np.ascontiguousarray(part.T, dtype=dtype).reshape(channels, -1, hop)
                energies[start : start + step] = np.einsum("ckh,ckh->kc", planes, planes)
        if not np.isfinite(energies).all():
            raise SignalError(_describe_nonfinite(samples, self._hops * self._hop))
        self.square_sum += float(energies.sum()) / full_scale(samples.dtype) ** 2
        return energies


def _describe_nonfinite(samples: Samples, start: int) -> str:
    """Return a message that names the first of `samples` without a level.

    `start` is the index of the first of `samples` in the recording.
    """
    is_nonfinite = ~np.isfinite(samples).all(axis=1)
    if is_nonfinite.any():
        first = int(np.argmax(is_nonfinite))
        value = samples[first][~np.isfinite(samples[first])][0]
        return (
            f"sample {start + first} is {'NaN' if np.isnan(value) else 'infinite'}: "
            "repair the recording, or replace such samples with nonfinite='zero'"
        )
    loudest = start + int(np.argmax(np.abs(samples).max(axis=1)))
    return f"sample {loudest} is too large: scale the recording first"

"""The short windows of a recording from which its alignment with another one is found."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.samples import Samples, full_scale

PROBE_RATE_HZ = 4000
"""Minimum sample rate after the decimation."""

WINDOW_S = 4.0
"""Length of a window: a drift of 100 ppm shifts its end by less than half a millisecond."""

MARGIN_WINDOWS = 3
"""The lag is searched up to this number of windows before and after, 12 s."""

MAX_WINDOWS = 16
"""Maximum number of windows that are correlated."""

SAMPLE_SCALE = 1000.0
"""Factor of the stored samples, so that quiet ones do not underflow in half precision."""


class AlignmentProbe(BlockProcessor[Samples, None]):
    """Store evenly spaced windows of a recording at a low sample rate, in bounded memory.

    Parameters
    ----------
    sample_rate
        In Hz.
    margin_windows
        Number of windows to store on either side of each window; `MARGIN_WINDOWS` for the recording
        in which the lag is searched.
    """

    def __init__(self, sample_rate: int, margin_windows: int = 0) -> None:
        self._factor = max(1, sample_rate // PROBE_RATE_HZ)
        self._margin = margin_windows
        self.rate = sample_rate / self._factor
        """Sample rate of the windows in Hz."""
        self.length = round(WINDOW_S * self.rate)
        """Samples of a window."""
        self.stride = 1
        """Distance between the windows that are correlated."""
        self.count = 0
        """Number of windows in the recording."""
        self._windows: dict[int, NDArray[np.float16]] = {}
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels).

        Raises
        ------
        SignalError
            If a sample is NaN or infinite.
        """
        mono = block.mean(axis=1, dtype=np.float32) * np.float32(
            SAMPLE_SCALE / full_scale(block.dtype)
        )
        mono = np.concatenate([self._rest, mono])
        size = self.length * self._factor
        while len(mono) >= size or (last and len(mono)):
            self._store(mono[:size])
            mono = mono[size:]
        self._rest = mono.copy()

    def _store(self, samples: NDArray[np.float32]) -> None:
        index, self.count = self.count, self.count + 1
        samples = np.pad(samples, (0, self.length * self._factor - len(samples)))
        # The mean of the samples is a low-pass that is good enough for the correlation.
        window = samples.reshape(self.length, self._factor).mean(axis=1)
        if not np.isfinite(window).all():
            raise SignalError(
                "it has NaN or infinite samples: repair the recording, or let nonfinite='zero' "
                "silence such samples"
            )
        if self._is_needed(index):
            limit = np.finfo(np.float16).max
            self._windows[index] = np.clip(window, -limit, limit).astype(np.float16)
        if (self.count - 1) // self.stride >= MAX_WINDOWS:
            self.stride *= 2
            self._windows = {i: x for i, x in self._windows.items() if self._is_needed(i)}

    def _is_needed(self, index: int) -> bool:
        offset = index % self.stride
        return min(offset, self.stride - offset) <= self._margin

    def span(self, index: int, margin: int = 0) -> NDArray[np.float32]:
        """Return window `index` with `margin` windows on either side; missing ones are zero."""
        silence = np.zeros(self.length, np.float16)
        indices = range(index - margin, index + margin + 1)
        return np.concatenate([self._windows.get(i, silence) for i in indices]).astype(np.float32)

    def start_s(self, index: int) -> float:
        """Return the time at which window `index` starts, in seconds."""
        return index * self.length / self.rate

"""The values of a detector as integers, which the page holds, and the gate that they control."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.rule import AdaptiveThreshold
from noisegate_cli.gating.frames.chunked_values import CHUNK_ROWS
from noisegate_cli.gating.gain.mask import DetectorValues, GateMask, Mask
from noisegate_cli.gating.timing import Timing
from noisegate_cli.page.unsure_moments import DetectorTrack


@dataclass(frozen=True, eq=False)
class CodedValues:
    """Values of a detector as codes, and the gate that they control.

    They are decoded in chunks, because a value needs four times the memory of its code.
    """

    codes: NDArray[Any]
    """Codes of all frames, shaped (frames, gates)."""
    decoder: Callable[[NDArray[Any]], DetectorValues]
    open_above: float
    close_below: float
    timing: Timing
    drift: AdaptiveThreshold | None = None
    """Drift of the noise floor that is subtracted from levels in dB."""

    def chunks(self) -> Iterator[tuple[slice, bool]]:
        """Yield the frames of each chunk, and whether it is the last one."""
        return split_frames(len(self.codes))

    def decode(self, frames: slice) -> DetectorValues:
        """Return the values of frames, shaped (frames, gates)."""
        values = self.decoder(self.codes[frames])
        if self.drift is None:
            return values
        drift_db = self.drift.drift_db_at(np.arange(frames.start, frames.stop))
        return np.asarray(values - drift_db[:, None])

    @cached_property
    def mask(self) -> Mask:
        """Mask of the gate, shaped (frames, gates)."""
        gates = self.codes.shape[1]
        gate = GateMask(self.open_above, self.close_below, self.timing, gates)
        parts = [gate.process(self.decode(frames), last) for frames, last in self.chunks()]
        return np.concatenate([np.zeros((0, gates), np.bool_), *parts])

    def track(self, hop_s: float) -> DetectorTrack:
        """Return the highest value of all gates in each frame, and whether any gate is open."""
        highest = np.empty(len(self.codes))
        for frames, _ in self.chunks():
            values = self.decode(frames)
            # A gate that always stays open has infinite values, and is never uncertain.
            highest[frames] = np.where(values < np.inf, values, -np.inf).max(axis=1)
        return DetectorTrack(
            highest,
            np.asarray(self.mask.any(axis=1)),
            self.open_above,
            self.close_below,
            hop_s,
            self.timing.min_open,
            self.timing.min_closed,
        )


def split_frames(count: int) -> Iterator[tuple[slice, bool]]:
    """Yield the frames of each chunk, and whether it is the last one."""
    for start in range(0, count, CHUNK_ROWS):
        stop = min(count, start + CHUNK_ROWS)
        yield slice(start, stop), stop == count

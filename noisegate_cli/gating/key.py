"""A key from elsewhere: another recording opens the gate (sidechain)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.alignment import Alignment
from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.detector import create_detector
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.rule import STAYS_OPEN, Rule
from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.gain.mask import DetectorValues
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks, Samples, select_channels


@dataclass(frozen=True, eq=False)
class KeySource:
    """A recording that opens the gate of another one."""

    read: Callable[[], Blocks]
    """Returns the blocks of the key from the beginning."""
    sample_rate: int
    """Of the key, in Hz."""
    channels: int
    """Of the key; they are linked."""
    rule: Rule
    """Rule that the key is compared with."""
    active_channels: tuple[int, ...] | None = None
    """Channels of the key that count; None for all."""
    subsample: BatchSubsampler | None = None
    """Band powers that the first pass over the key has stored."""
    alignment: Alignment | None = None
    """Relation between the clocks; None if both recordings start together."""


class KeyedDetector(BlockProcessor[Samples, tuple[DetectorValues, RmsLevels]]):
    """Computes the detector values of the key at the frames of the recording, and its levels.

    Each frame has the value of the nearest frame of the key. Outside the key it is −∞.

    Parameters
    ----------
    key
        The key.
    settings
        Settings of the gate, with linked channels.
    sample_rate, channels
        Of the recording.
    """

    gates = 1

    def __init__(
        self, key: KeySource, settings: GateSettings, sample_rate: int, channels: int = 1
    ) -> None:
        self._key = key
        count = key.channels if key.active_channels is None else len(key.active_channels)
        self._detector = create_detector(key.rule, settings, key.sample_rate, count, key.subsample)
        self.open_above, self.close_below = self._detector.open_above, self._detector.close_below
        self._seconds_per_frame = settings.timing(sample_rate).hop_length / sample_rate
        key_hop = settings.timing(key.sample_rate).hop_length
        self._seconds_per_key_frame = key_hop / key.sample_rate
        self._meter = LevelDetector(
            STAYS_OPEN, replace(settings, key_hz=None), sample_rate, channels
        )
        self._blocks = iter(key.read())
        self._frame = self._first = 0
        self._values: DetectorValues = np.zeros((0, 1))
        """Values of the key from frame `_first` on."""
        self._has_ended = False

    def process(self, block: Samples, last: bool = False) -> tuple[DetectorValues, RmsLevels]:
        """Return values and levels, both shaped (frames, 1)."""
        _, levels = self._meter.process(block, last)
        frames = self._frame + np.arange(len(levels))
        self._frame += len(levels)
        seconds = np.multiply(frames, self._seconds_per_frame, dtype=np.float64)
        return self._read(seconds), levels

    def _read(self, seconds: NDArray[np.float64]) -> DetectorValues:
        """Return the values of the key at times of the recording in ascending order."""
        values = np.full((len(seconds), 1), -np.inf)
        if not len(seconds):
            return values
        if self._key.alignment:
            seconds = self._key.alignment.to_other(seconds)
        # Rounding halves up, so that the result is the same for every start.
        indices = np.floor(seconds / self._seconds_per_key_frame + 0.5).astype(np.int64)
        self._discard_before(int(indices[0]))
        while not self._has_ended and self._first + len(self._values) <= indices[-1]:
            self._load_block()
            self._discard_before(int(indices[0]))
        places = indices - self._first
        is_inside = (places >= 0) & (places < len(self._values))
        values[is_inside] = self._values[places[is_inside]]
        return values

    def _discard_before(self, index: int) -> None:
        count = min(max(0, index - self._first), len(self._values))
        self._values, self._first = self._values[count:], self._first + count

    def _load_block(self) -> None:
        block, last = next(self._blocks)
        active = select_channels(block, self._key.active_channels)
        values, _ = self._detector.process(active, last)
        self._values = np.concatenate([self._values, values])
        self._has_ended = last

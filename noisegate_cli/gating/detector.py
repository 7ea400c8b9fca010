"""What the gate listens to: one number a frame for each gate."""

from noisegate_cli.gating.levels import FrameLevels, Levels, Samples
from noisegate_cli.gating.settings import GateSettings


class Detector:
    """Frame RMS of samples that come in blocks, of the loudest channel or of each.

    The gate and the analysis both listen through it, so that they speak of the same levels.

    Examples
    --------
    >>> import numpy as np
    >>> detector = Detector(GateSettings(frame_length=16), sample_rate=8000, channels=2)
    >>> levels = detector.process(np.tile([0.5, 0.25], (32, 1)), last=True)
    >>> detector.gates, levels[2:-2].ravel()
    (1, array([0.5, 0.5, 0.5, 0.5, 0.5]))
    """

    def __init__(self, settings: GateSettings, sample_rate: int, channels: int = 1) -> None:
        timing = settings.timing(sample_rate)
        self._frames = FrameLevels(timing.frame_length, timing.hop_length)
        self._linked = settings.channels == "linked"
        self.gates = 1 if self._linked else channels
        """How many numbers there are for a frame."""

    @property
    def square_sum(self) -> float:
        """Of all samples of all channels so far, full scale 1.0."""
        return self._frames.square_sum

    def process(self, block: Samples, last: bool = False) -> Levels:
        """Return levels shaped (frames, gates); see `FrameLevels.process`."""
        levels = self._frames.process(block, last)
        return levels.max(axis=1, keepdims=True) if self._linked else levels

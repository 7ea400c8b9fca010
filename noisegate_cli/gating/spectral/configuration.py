"""What a spectral gate needs to know before the first samples."""

from collections.abc import Sequence
from dataclasses import dataclass

from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.timing import Timing


@dataclass(frozen=True, slots=True)
class SpectralConfiguration:
    """Settings, noise and format of a recording for a gate that works per frequency bin.

    Examples
    --------
    >>> configuration = SpectralConfiguration(GateSettings(spectral="soft"), [None], 16000)
    >>> configuration.timing.frame_length, configuration.linked
    (512, True)
    """

    settings: GateSettings
    """Settings of the gate."""
    noise_profiles: Sequence[NoiseProfile | None]
    """Noise profile of each gate. Where it is None, no noise is reduced."""
    sample_rate: int
    """In Hz."""
    channels: int = 1
    """Number of channels of the blocks."""
    quantization_step: int = 1
    """Smallest difference between two integer samples; see `OverlapAddGain`."""
    live: bool = False
    """Whether to use smaller batches, which have less delay but take more time; see `Gate`."""

    @property
    def timing(self) -> Timing:
        """Lengths in frames and samples."""
        return self.settings.timing(self.sample_rate)

    @property
    def linked(self) -> bool:
        """Whether one gate applies to all channels."""
        return self.settings.channels == "linked"

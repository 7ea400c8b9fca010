"""Track where a recording has voices, in the first pass."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.evidence import Evidence, compute_distances_s, voice_penalty
from noisegate_cli.gating.detection.voicing import VoicingDetector
from noisegate_cli.gating.gain.mask import FrameIndices, Mask
from noisegate_cli.samples import Samples


class VoiceTracker(BlockProcessor[Samples, None]):
    """Records which moments of a recording are voiced, in one byte per 16 ms.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    linked
        Whether a voice in any channel counts for all.
    """

    def __init__(self, sample_rate: int, channels: int, linked: bool) -> None:
        self._voicing = VoicingDetector(sample_rate, channels)
        self._sample_rate, self._linked = sample_rate, linked
        self._parts: list[Mask] = []

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        voiced = self._voicing.process(block, last)
        self._parts.append(voiced.any(axis=1, keepdims=True) if self._linked else voiced)

    def distances_at(self, frames: FrameIndices, frame_hop_length: int) -> NDArray[np.float64]:
        """Return the distance of frames from the nearest voiced sound in seconds.

        Shaped (frames, gates); `frame_hop_length` is in samples.
        """
        hops = (frames * frame_hop_length + self._hop_length // 2) // self._hop_length
        return self._distances_s[np.minimum(hops, len(self._distances_s) - 1)]

    def evidence(self, gate: int) -> Evidence:
        """Return the term that the voices add to the score of one gate."""
        return Evidence(voice_penalty(self._distances_s[:, gate]), self._hop_length)

    @property
    def _hop_length(self) -> int:
        return self._voicing.hop_length

    @cached_property
    def _distances_s(self) -> NDArray[np.float64]:
        voiced = np.concatenate(self._parts)
        return compute_distances_s(voiced, self._hop_length / self._sample_rate)

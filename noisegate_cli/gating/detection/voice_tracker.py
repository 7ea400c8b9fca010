"""Track where a recording has voices, in the first pass."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.evidence import (
    LOUD_NOISE_DISTANCE_MS,
    MAX_SPEECH_DISTANCE_MS,
    MAX_VOICE_DISTANCE_MS,
    MIN_SPEECH_PROBABILITY,
    MIN_VOICE_CONTRAST_DB,
    Evidence,
    compute_distances_s,
    distance_penalty,
    speech_bonus,
)
from noisegate_cli.gating.detection.speech_detector import (
    CHUNK_SAMPLES,
    SPEECH_RATE_HZ,
    SpeechDetector,
)
from noisegate_cli.gating.detection.voicing import VoicingDetector
from noisegate_cli.gating.gain.mask import FrameIndices, Mask
from noisegate_cli.samples import Samples

SPEECH_DELAY_MS = 30.0
"""The speech detector hears the beginning of speech this late."""


class VoiceTracker(BlockProcessor[Samples, None]):
    """Record which moments of a recording are voices, in a few bytes per 16 ms.

    Voices are voiced sounds, or with `speech` what the speech detector takes for speech.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    linked
        Whether a voice in any channel counts for all.
    speech
        Whether the speech detector tells voices from other sounds.

    Raises
    ------
    MissingExtraError
        If the extra `speech` is required and not installed.
    """

    def __init__(self, sample_rate: int, channels: int, linked: bool, speech: bool = False) -> None:
        self._voicing = VoicingDetector(sample_rate, channels)
        self._speech: list[SpeechDetector] = []
        if speech:
            self._speech = [SpeechDetector(sample_rate) for _ in range(1 if linked else channels)]
        self._sample_rate, self._linked = sample_rate, linked
        self._voiced: list[Mask] = []
        self._probabilities: list[NDArray[np.float64]] = []

    def max_distance_s(self, contrast_db: float) -> float:
        """Return the greatest distance from a voice that belongs to speech, in seconds."""
        if self._speech:
            return MAX_SPEECH_DISTANCE_MS / 1000
        is_loud = contrast_db < MIN_VOICE_CONTRAST_DB
        return (LOUD_NOISE_DISTANCE_MS if is_loud else MAX_VOICE_DISTANCE_MS) / 1000

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        voiced = self._voicing.process(block, last)
        any_voiced: Mask = np.logical_or.reduce(voiced, axis=1, keepdims=True)
        self._voiced.append(any_voiced if self._linked else voiced)
        if self._speech:
            inputs = [block] if self._linked else np.split(block, block.shape[1], axis=1)
            pairs = zip(self._speech, inputs, strict=True)
            parts = [detector.process(samples, last) for detector, samples in pairs]
            self._probabilities.append(np.stack(parts, axis=1))

    def distances_at(self, frames: FrameIndices, frame_hop_length: int) -> NDArray[np.float64]:
        """Return the distance of frames from the nearest voice in seconds.

        Shaped (frames, gates); `frame_hop_length` is in samples.
        """
        hop = self._voicing.hop_length
        hops = (frames * frame_hop_length + hop // 2) // hop
        return self._distances_s[np.minimum(hops, len(self._distances_s) - 1)]

    def evidence(self, gate: int, max_distance_s: float) -> Evidence:
        """Return the term that the voices add to the score of one gate."""
        values = distance_penalty(self._distances_s[:, gate], max_distance_s)
        if self._speech:
            values = values + speech_bonus(self._speech_probabilities[:, gate])
        return Evidence(values, self._voicing.hop_length)

    @cached_property
    def _speech_probabilities(self) -> NDArray[np.float64]:
        """Probability of speech at each hop of the voicing, shaped (hops, gates)."""
        probabilities = np.concatenate(self._probabilities)
        hops = np.arange(sum(map(len, self._voiced)))
        seconds = hops * self._voicing.hop_length / self._sample_rate + SPEECH_DELAY_MS / 1000
        chunks = (seconds * SPEECH_RATE_HZ / CHUNK_SAMPLES).astype(np.int64)
        return probabilities[np.minimum(chunks, len(probabilities) - 1)]

    @cached_property
    def _distances_s(self) -> NDArray[np.float64]:
        if self._speech:
            is_voice = self._speech_probabilities > MIN_SPEECH_PROBABILITY
        else:
            is_voice = np.concatenate(self._voiced)
        return compute_distances_s(is_voice, self._voicing.hop_length / self._sample_rate)

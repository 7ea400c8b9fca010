"""Track where a recording has voices, in the first pass."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.evidence import (
    Evidence,
    compute_penalty,
    speech_bonus,
    speech_log_odds,
    spread_log_odds,
)
from noisegate_cli.gating.detection.speech_detector import (
    CHUNK_SAMPLES,
    SPEECH_RATE_HZ,
    SpeechDetector,
)
from noisegate_cli.gating.detection.voices import Voices, find_voices
from noisegate_cli.gating.detection.voicing import Voicing, VoicingDetector
from noisegate_cli.gating.gain.mask import FrameIndices
from noisegate_cli.samples import Samples

SPEECH_DELAY_MS = 30.0
"""The speech detector hears the beginning of speech this late."""

MIN_VOICE_SHARE = 0.25
"""Least share of voices in the open frames of speech: it has 0.34 to 0.7, and 0.27 to 0.45 with
many events; whispers, birds, toads and instruments have 0 to 0.23."""

MIN_PURE_SHARE = 0.4
"""Least share of voices in the voiced open frames of speech: it has 0.5 to 0.9; instruments have
0.2 to 0.3."""

Features = NDArray[np.float32]
"""Values of `Voicing`, shaped (features, hops, gates)."""


class VoiceTracker(BlockProcessor[Samples, None]):
    """Record how much each moment of a recording resembles a voice, in a few bytes per 16 ms.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    linked
        Whether a voice in any channel counts for all.
    speech
        Whether the speech detector helps to tell voices from other sounds.

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
        self._features: list[Features] = []
        self._probabilities: list[NDArray[np.float64]] = []

    @np.errstate(over="ignore")
    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        features = np.stack(self._voicing.process(block, last))
        if self._linked:
            most = features[0].argmax(axis=1)
            features = np.take_along_axis(features, most[None, :, None], axis=2)
        self._features.append(features)
        if self._speech:
            inputs = [block] if self._linked else np.split(block, block.shape[1], axis=1)
            pairs = zip(self._speech, inputs, strict=True)
            parts = [detector.process(samples, last) for detector, samples in pairs]
            self._probabilities.append(np.stack(parts, axis=1))

    def is_speech(self, gate: int, open_frames: FrameIndices, frame_hop_length: int) -> bool:
        """Return whether enough of the open frames are voices.

        Whispers, animals and instruments have few voices; a veto would close on them.

        Parameters
        ----------
        gate
            Index of the gate.
        open_frames
            Indices of the frames in which the gate is open.
        frame_hop_length
            Hop of these frames in samples.
        """
        voices = self._voices[gate]
        if voices is None or not len(open_frames):
            return False
        hop = self._voicing.hop_length
        hops = np.minimum(
            (open_frames * frame_hop_length + hop // 2) // hop, len(voices.log_odds) - 1
        )
        is_voiced = voices.is_voiced[hops]
        voice_share = (is_voiced & (voices.log_odds[hops] > 0)).mean()
        pure_share = voice_share / max(is_voiced.mean(), MIN_VOICE_SHARE)
        return bool(voice_share >= MIN_VOICE_SHARE and pure_share >= MIN_PURE_SHARE)

    def evidence(self, gate: int, contrast_db: float) -> Evidence | None:
        """Return the term that voices add to the score of one gate; None if there are none."""
        voices = self._voices[gate]
        if voices is None:
            return None
        hop = self._voicing.hop_length
        log_odds = spread_log_odds(voices.log_odds, hop / self._sample_rate)
        values = compute_penalty(log_odds, voices.level_db, contrast_db)
        if self._speech:
            values = values + speech_bonus(self._speech_probabilities[:, gate])
        return Evidence(values, hop)

    @cached_property
    def _voices(self) -> list[Voices | None]:
        """The voices of each gate; None if hardly anything is voiced."""
        features = np.concatenate(self._features, axis=1)
        hop_s = self._voicing.hop_length / self._sample_rate
        gates = range(features.shape[2])
        voices = [find_voices(Voicing(*features[..., gate]), hop_s) for gate in gates]
        if not self._speech:
            return voices
        log_odds = speech_log_odds(self._speech_probabilities)
        return [
            found and found._replace(log_odds=log_odds[:, gate])
            for gate, found in enumerate(voices)
        ]

    @cached_property
    def _speech_probabilities(self) -> NDArray[np.float64]:
        """Probability of speech at each hop of the voicing, shaped (hops, gates)."""
        probabilities = np.concatenate(self._probabilities)
        hops = np.arange(sum(features.shape[1] for features in self._features))
        seconds = hops * self._voicing.hop_length / self._sample_rate + SPEECH_DELAY_MS / 1000
        chunks = (seconds * SPEECH_RATE_HZ / CHUNK_SAMPLES).astype(np.int64)
        return probabilities[np.minimum(chunks, len(probabilities) - 1)]

"""Track where a recording has voices, in the first pass."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.evidence import (
    Evidence,
    LogOddsSpreader,
    compute_penalty,
    speech_bonus,
    speech_log_odds,
)
from noisegate_cli.gating.detection.speech_detector import (
    CHUNK_SAMPLES,
    SPEECH_RATE_HZ,
    SpeechDetector,
)
from noisegate_cli.gating.detection.voices import VoiceRecord, Voices
from noisegate_cli.gating.detection.voicing import Voicing, VoicingDetector
from noisegate_cli.gating.frames.chunked_values import ChunkedValues
from noisegate_cli.gating.frames.subsampling import SUBSAMPLE_STRIDE_FRAMES
from noisegate_cli.gating.gain.mask import FrameIndices
from noisegate_cli.samples import Samples

SPEECH_DELAY_MS = 30.0
"""The speech detector hears the beginning of speech this late."""

MIN_VOICE_SHARE = 0.35
"""Least share of voices in the open frames of speech, weighted by the amplitude: it has 0.43 to
0.84, also between bird song, snoring or keys; birds, toads, drums and most instruments have 0 to
0.3. Without the weights, speech among keys has no more than drums."""

MIN_PURE_SHARE = 0.5
"""Least share of voices in the voiced open frames of speech, weighted by the amplitude: it has 0.6
to 0.95; instruments have 0.2 to 0.35."""

MAX_VOICED_SHARE = 0.85
"""Greatest share of voiced frames in the open frames: speech has 0.38 to 0.8, as a third of its
sounds are unvoiced; bowed and blown instruments have 0.9 to 1."""

MIN_VOICE_S = 1.2
"""Least duration of voices in all: the shares of less sound are not reliable, and among samples of
drums and instruments some resemble speech."""


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
        gates = 1 if linked else channels
        self._voicing = VoicingDetector(sample_rate, channels)
        self._speech: list[SpeechDetector] = []
        if speech:
            self._speech = [SpeechDetector(sample_rate) for _ in range(gates)]
        self._sample_rate, self._linked = sample_rate, linked
        self._hop_s = self._voicing.hop_length / sample_rate
        self._records = [VoiceRecord(self._hop_s) for _ in range(gates)]
        self._probabilities = ChunkedValues(np.float32)

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        features = np.stack(self._voicing.process(block, last))
        if self._linked:
            most = features[0].argmax(axis=1)
            features = np.take_along_axis(features, most[None, :, None], axis=2)
        for gate, record in enumerate(self._records):
            record.process(Voicing(*features[..., gate]), last)
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
            Indices of every second frame, if the gate is open in it.
        frame_hop_length
            Hop of these frames in samples.
        """
        if not len(open_frames):
            return False
        hop = self._voicing.hop_length
        hops = (open_frames * frame_hop_length + hop // 2) // hop
        hops = np.minimum(hops, len(self._records[gate]) - 1)
        voiced, voice, voiced_amplitude, voice_amplitude, amplitude = np.zeros(5)
        for voices in self._voices(gate):
            chosen = hops - voices.first
            chosen = chosen[(chosen >= 0) & (chosen < len(voices.log_odds))]
            amplitudes = 10 ** (voices.level_db[chosen] / 20)
            is_voiced = voices.is_voiced[chosen]
            is_voice = is_voiced & (voices.log_odds[chosen] > 0)
            voiced += np.count_nonzero(is_voiced)
            voice += np.count_nonzero(is_voice)
            voiced_amplitude += amplitudes[is_voiced].sum()
            voice_amplitude += amplitudes[is_voice].sum()
            amplitude += amplitudes.sum()
        frame_s = SUBSAMPLE_STRIDE_FRAMES * frame_hop_length / self._sample_rate
        return bool(
            voice * frame_s >= MIN_VOICE_S
            and voiced <= MAX_VOICED_SHARE * len(hops)
            and voice_amplitude >= MIN_VOICE_SHARE * amplitude
            and voice_amplitude >= MIN_PURE_SHARE * voiced_amplitude
        )

    def evidence(self, gate: int, contrast_db: float) -> Evidence | None:
        """Return the term that voices add to the score of one gate; None if there are none.

        What was recorded of the gate is released.
        """
        record = self._records[gate]
        if record.loud_db is None:
            return None
        spreader = LogOddsSpreader(self._hop_s, (voices.log_odds for voices in self._voices(gate)))
        values = ChunkedValues(np.float16)
        for voices in self._voices(gate, release=True):
            log_odds = spreader.spread(voices.log_odds)
            terms = compute_penalty(log_odds, voices.level_db, contrast_db)
            if self._speech:
                hops = slice(voices.first, voices.first + len(terms))
                terms += speech_bonus(self._speech_probabilities(gate, hops))
            values.append(terms)
        return Evidence(values, self._voicing.hop_length)

    def _voices(self, gate: int, release: bool = False) -> Iterator[Voices]:
        """Yield the voices of one gate; none if hardly anything is voiced."""
        for voices in self._records[gate].voices(release):
            if self._speech:
                hops = slice(voices.first, voices.first + len(voices.log_odds))
                log_odds = speech_log_odds(self._speech_probabilities(gate, hops))
                yield voices._replace(log_odds=log_odds)
            else:
                yield voices

    def _speech_probabilities(self, gate: int, hops: slice) -> NDArray[np.float64]:
        """Return the probability of speech at hops of the voicing, shaped (hops,)."""
        samples = np.arange(hops.start, hops.stop) * self._voicing.hop_length
        seconds = samples / self._sample_rate + SPEECH_DELAY_MS / 1000
        chunks = (seconds * SPEECH_RATE_HZ / CHUNK_SAMPLES).astype(np.int64)
        chunks = np.minimum(chunks, len(self._probabilities) - 1)
        return self._probabilities.take(chunks)[:, gate].astype(np.float64)

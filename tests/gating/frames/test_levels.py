import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.frames.levels import FrameRmsMeter
from noisegate_cli.samples import from_db, to_db


def compute_levels(samples, frame, hop, block=None):
    meter = FrameRmsMeter(frame, hop)
    block_length = block or max(1, len(samples))
    starts = range(0, max(1, len(samples)), block_length)
    parts = [
        meter.process(samples[start : start + block_length], start + block_length >= len(samples))
        for start in starts
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 127, 128, 1000, 4096])
def test_levels_equal_librosa_feature_rms(length):
    y = np.random.default_rng(length).normal(0, 0.1, length)
    levels = compute_levels(y[:, None], 256, 64)[:, 0]
    expected = [0.0]
    if length:
        expected = librosa.feature.rms(y=y, frame_length=256, hop_length=64, dtype=np.float64)[0]
    assert_allclose(levels, expected, rtol=1e-9, atol=1e-12)


@given(
    length=st.integers(0, 400),
    block=st.integers(1, 400),
    hop=st.sampled_from([1, 3, 16, 64]),
    overlap=st.sampled_from([2, 4, 6]),
    dtype=st.sampled_from(["int16", "int32", "float32", "float64"]),
    channels=st.integers(1, 3),
)
def test_levels_do_not_depend_on_the_block_size(length, block, hop, overlap, dtype, channels):
    y = np.random.default_rng(length).normal(0, 0.1, (length, channels))
    y = (y * 2**15).astype(dtype) if dtype.startswith("int") else y.astype(dtype)
    assert np.array_equal(
        compute_levels(y, hop * overlap, hop, block), compute_levels(y, hop * overlap, hop)
    )


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_full_scale_integers_have_level_1(dtype):
    y = np.full((4096, 1), np.iinfo(dtype).min, dtype)
    assert_allclose(compute_levels(y, 256, 64)[4:-4], 1.0, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_samples_are_refused_with_their_position(value):
    y = np.zeros((1000, 1), np.float32)
    y[700] = value
    word = "NaN" if np.isnan(value) else "infinite"
    with pytest.raises(SignalError, match=f"sample 700 is {word}: repair the recording"):
        compute_levels(y, 256, 64)


def test_samples_whose_square_overflows_are_refused_with_their_position():
    y = np.zeros((1000, 1))
    y[700] = 1e200
    with pytest.raises(SignalError, match="sample 700 is too large: scale"):
        compute_levels(y, 256, 64)


values = st.lists(st.one_of(st.just(0.0), st.floats(1e-7, 2.0)), max_size=50)


@given(values, values)
def test_histograms_merge_in_any_order(first, second):
    def histogram(*parts):
        result = LevelHistogram()
        for part in parts:
            result.add(np.array(part))
        return result

    a, b, both = histogram(first), histogram(second), histogram(first, second)
    for merged in (a + b, b + a):
        assert np.array_equal(merged.counts, both.counts)
        assert merged.silent_frames == both.silent_frames


def test_percentiles_ignore_digital_silence():
    histogram = LevelHistogram()
    histogram.add(np.concatenate([np.zeros(1000), from_db(np.linspace(-60, -20, 401))]))
    assert histogram.percentile(50) == pytest.approx(-40, abs=0.2)
    assert histogram.percentile(100) == pytest.approx(-20, abs=0.2)
    assert histogram.silent_frames == 1000


def test_zero_is_minus_infinity_db_without_a_warning():
    assert to_db(0.0) == -np.inf

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


def levels(samples, frame, hop, block=None):
    meter = FrameRmsMeter(frame, hop)
    size = block or max(1, len(samples))
    starts = range(0, max(1, len(samples)), size)
    parts = [meter.process(samples[s : s + size], s + size >= len(samples)) for s in starts]
    return np.concatenate(parts)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 127, 128, 1000, 4096])
def test_equal_librosas_rms(length):
    y = np.random.default_rng(length).normal(0, 0.1, length)
    ours = levels(y[:, None], 256, 64)[:, 0]
    theirs = [0.0]
    if length:
        theirs = librosa.feature.rms(y=y, frame_length=256, hop_length=64, dtype=np.float64)[0]
    assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@given(
    length=st.integers(0, 400),
    block=st.integers(1, 400),
    hop=st.sampled_from([1, 3, 16, 64]),
    overlap=st.sampled_from([2, 4, 6]),
    kind=st.sampled_from(["int16", "int32", "float32", "float64"]),
    channels=st.integers(1, 3),
)
def test_do_not_depend_on_blocks(length, block, hop, overlap, kind, channels):
    y = np.random.default_rng(length).normal(0, 0.1, (length, channels))
    y = (y * 2**15).astype(kind) if kind.startswith("int") else y.astype(kind)
    assert np.array_equal(levels(y, hop * overlap, hop, block), levels(y, hop * overlap, hop))


@pytest.mark.parametrize("kind", ["int16", "int32"])
def test_full_scale_integers_are_one(kind):
    y = np.full((4096, 1), np.iinfo(kind).min, kind)
    assert_allclose(levels(y, 256, 64)[4:-4], 1.0, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused_with_their_place(bad):
    y = np.zeros((1000, 1), np.float32)
    y[700] = bad
    word = "NaN" if np.isnan(bad) else "infinite"
    with pytest.raises(SignalError, match=f"sample 700 is {word}: repair the recording"):
        levels(y, 256, 64)


def test_samples_whose_square_is_no_number_are_refused_with_their_place():
    y = np.zeros((1000, 1))
    y[700] = 1e200
    with pytest.raises(SignalError, match="sample 700 is too large to have a level"):
        levels(y, 256, 64)


values = st.lists(st.one_of(st.just(0.0), st.floats(1e-7, 2.0)), max_size=50)


@given(values, values)
def test_histograms_merge_in_any_order(one, other):
    def histogram(*parts):
        result = LevelHistogram()
        for part in parts:
            result.add(np.array(part))
        return result

    a, b, both = histogram(one), histogram(other), histogram(one, other)
    for merged in (a + b, b + a):
        assert np.array_equal(merged.counts, both.counts)
        assert merged.silent_frames == both.silent_frames


def test_percentiles_leave_digital_silence_out():
    histogram = LevelHistogram()
    histogram.add(np.concatenate([np.zeros(1000), from_db(np.linspace(-60, -20, 401))]))
    assert histogram.percentile(50) == pytest.approx(-40, abs=0.2)
    assert histogram.percentile(100) == pytest.approx(-20, abs=0.2)
    assert histogram.silent_frames == 1000


def test_digital_silence_is_minus_infinity_without_a_warning():
    assert to_db(0.0) == -np.inf

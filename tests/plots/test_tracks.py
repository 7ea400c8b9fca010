import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.plots.tracks import Range, RangeTrack, SpectrogramTrack
from tests.conftest import tone


@given(
    length=st.integers(1, 3000),
    max_bins=st.integers(1, 70),
    cuts=st.lists(st.floats(0, 1), max_size=5),
)
def test_each_bin_has_the_lowest_and_the_highest_of_its_values(length, max_bins, cuts):
    values = np.random.default_rng(length).normal(0, 1, (length, 2))
    track = RangeTrack(max_bins)
    for block in np.split(values, sorted(int(cut * length) for cut in cuts)):
        track.process(block)
    result = track.range
    assert len(result.low) == -(-length // result.bin_length) <= max_bins
    assert max_bins < 2 * length or result.bin_length == 1
    starts = np.arange(0, length, result.bin_length)
    np.testing.assert_array_equal(result.low, np.minimum.reduceat(values, starts).min(axis=1))
    np.testing.assert_array_equal(result.high, np.maximum.reduceat(values, starts).max(axis=1))
    assert result.edges[-1] == length


@given(bins=st.integers(1, 300), columns=st.integers(1, 300))
def test_resampling_keeps_the_extremes_and_covers_every_bin(bins, columns):
    rng = np.random.default_rng(bins)
    values = Range(-rng.random(bins), rng.random(bins), 3, 3 * bins)
    resampled = values.resample(columns)
    assert len(resampled.high) == columns
    assert resampled.high.max() == values.high.max()
    assert resampled.low.min() == values.low.min()


def test_a_recording_without_samples_has_no_bins():
    track = RangeTrack()
    track.process(np.zeros((0, 1)), last=True)
    assert track.range.count == len(track.range.low) == 0


@pytest.mark.parametrize("seconds", [2.0, 60.0])
def test_a_tone_has_its_level_at_its_frequency_in_a_spectrogram_of_limited_width(seconds):
    track = SpectrogramTrack(16000, 0, max_columns=64)
    y = tone(seconds, 0.1, hz=1000)[:, None]
    track.process(y[:777])
    track.process(y[777:], last=True)
    spectrogram = track.spectrogram
    level_db = spectrogram.level_db
    assert level_db.shape == (len(spectrogram.edges_hz) - 1, len(spectrogram.edges_s) - 1)
    assert 32 <= level_db.shape[1] <= 64
    middle = level_db[:, 10]
    row = int(middle.argmax())
    assert spectrogram.edges_hz[row] <= 1000 <= spectrogram.edges_hz[row + 1]
    assert middle[row] == pytest.approx(-20, abs=0.2)
    assert spectrogram.edges_s[-1] == pytest.approx(seconds)


def test_the_memory_of_a_range_does_not_grow_with_the_length():
    track = RangeTrack()
    for _ in range(300):
        track.process(np.zeros((50_000, 1), np.int16))
    assert len(track.range.low) <= 2048
    assert track.range.count == 15_000_000

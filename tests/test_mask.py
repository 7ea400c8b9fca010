import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.mask import GateStatistics, HysteresisMask
from tests.reference import hysteresis_mask

levels = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5]), max_size=60)
holds = st.integers(0, 5)


def masked(values, hold=0, open_above=0.2, close_below=0.1):
    gate = HysteresisMask(open_above, close_below, hold)
    return gate.process(np.array(values, float).reshape(-1, 1)).ravel().tolist()


@given(levels, holds)
def test_equals_the_plain_loop(values, hold):
    assert masked(values, hold) == hysteresis_mask(values, 0.2, 0.1, hold)


@given(levels, holds, st.lists(st.integers(0, 60), max_size=6))
def test_does_not_depend_on_blocks(values, hold, cuts):
    whole = HysteresisMask(0.2, 0.1, hold)
    parts = HysteresisMask(0.2, 0.1, hold)
    array = np.array(values, float).reshape(-1, 1)
    expected = whole.process(array)
    got = [
        parts.process(part) for part in np.split(array, sorted(min(c, len(array)) for c in cuts))
    ]
    assert np.array_equal(np.concatenate(got), expected)
    assert parts.statistics == whole.statistics


@given(levels, holds)
def test_a_higher_threshold_never_opens_more(values, hold):
    lower, higher = masked(values, hold, 0.2, 0.1), masked(values, hold, 0.4, 0.2)
    assert all(low or not high for low, high in zip(lower, higher, strict=True))


def test_a_level_between_the_thresholds_changes_nothing():
    assert masked([0.15, 0.3, 0.15, 0.15, 0.05, 0.15]) == [False, True, True, True, False, False]


def test_hold_counts_from_the_last_frame_that_asked():
    assert masked([0.3, 0, 0, 0.3, 0, 0, 0, 0], hold=2) == [True] * 6 + [False] * 2


def test_gates_side_by_side_do_not_touch_each_other():
    both = HysteresisMask(0.2, 0.1, 1, gates=2).process(np.array([[0.3, 0], [0, 0], [0, 0.3]]))
    assert both.tolist() == [[True, False], [True, False], [False, True]]


def test_statistics_count_frames_and_openings():
    gate = HysteresisMask(0.2, 0.1, hold=0)
    gate.process(np.array([[0.3], [0], [0.3], [0], [0]]))
    assert gate.statistics == GateStatistics(frames=5, closed=3, openings=2)
    assert gate.statistics.closed_share == 0.6

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.gain.mask import GateMask, GateStatistics, Hysteresis, MinRunLength
from noisegate_cli.gating.timing import Timing
from tests import reference

levels = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5]), max_size=60)
durations = st.integers(0, 5)
cuts = st.lists(st.integers(0, 60), max_size=6)


def timing(min_closed=0, min_open=0, hold=0):
    return Timing(4, 1, min_closed, min_open, hold, lookahead=0, attack=0, release=0)


def masked(values, hold=0, open_above=0.2, close_below=0.1, min_closed=0, min_open=0):
    gate = GateMask(open_above, close_below, timing(min_closed, min_open, hold))
    return gate.process(np.array(values, float).reshape(-1, 1), last=True).ravel().tolist()


def in_parts(stage, array, at):
    parts = np.split(array, sorted(min(c, len(array)) for c in at))
    done = [stage.process(part, last=i == len(parts) - 1) for i, part in enumerate(parts)]
    return np.concatenate(done)


@given(levels, durations, durations, durations)
def test_equals_the_plain_loops(values, hold, min_closed, min_open):
    expected = reference.hysteresis_mask(values, 0.2, 0.1)
    expected = reference.without_short_runs(expected, False, min_closed)
    expected = reference.without_short_runs(expected, True, min_open)
    expected = reference.held(expected, hold)
    assert masked(values, hold, min_closed=min_closed, min_open=min_open) == expected


@given(levels, levels, durations, durations, durations, cuts)
def test_does_not_depend_on_blocks(values, others, hold, min_closed, min_open, at):
    length = min(len(values), len(others))
    array = np.column_stack([values[:length], others[:length]])
    whole, parts = (GateMask(0.2, 0.1, timing(min_closed, min_open, hold), 2) for _ in range(2))
    expected = whole.process(array, last=True)
    assert np.array_equal(in_parts(parts, array, at), expected)
    assert parts.statistics == whole.statistics


@given(st.lists(st.booleans(), max_size=60), st.booleans(), durations, cuts)
def test_runs_that_are_too_short_are_undone(flags, value, frames, at):
    mask = np.array(flags, bool).reshape(-1, 1)
    settled = in_parts(MinRunLength(value, frames), mask, at)
    assert settled.ravel().tolist() == reference.without_short_runs(flags, value, frames)


@given(levels, durations)
def test_a_higher_threshold_never_opens_more(values, hold):
    lower, higher = masked(values, hold, 0.2, 0.1), masked(values, hold, 0.4, 0.2)
    assert all(low or not high for low, high in zip(lower, higher, strict=True))


def test_a_level_between_the_thresholds_changes_nothing():
    assert masked([0.15, 0.3, 0.15, 0.15, 0.05, 0.15]) == [False, True, True, True, False, False]


def test_hold_counts_from_the_last_frame_that_asked():
    assert masked([0.3, 0, 0, 0.3, 0, 0, 0, 0], hold=2) == [True] * 6 + [False] * 2


def test_a_click_does_not_open_and_a_stop_inside_a_word_does_not_close():
    click, word = [0, 0.3, 0, 0, 0, 0], [0.3, 0.3, 0, 0.3, 0.3]
    assert masked(click + word, min_closed=2, min_open=3) == [False] * 6 + [True] * 5


def test_short_syllables_make_one_opening_together():
    assert masked([0, 0.3, 0, 0.3, 0], min_closed=2, min_open=3) == [False, True, True, True, False]


@pytest.mark.parametrize("values", [[0, 0.3], [0.3, 0], [0.3], [0]])
def test_what_is_at_an_end_of_the_recording_is_never_too_short(values):
    assert masked(values, min_closed=5, min_open=5) == [value > 0.2 for value in values]


def test_gates_side_by_side_do_not_touch_each_other():
    gate = GateMask(0.2, 0.1, timing(hold=1), gates=2)
    both = gate.process(np.array([[0.3, 0], [0, 0], [0, 0.3]]))
    assert both.tolist() == [[True, False], [True, False], [False, True]]


def test_the_state_is_the_last_that_was_decided():
    gate = Hysteresis(0.2, 0.1)
    assert gate.process(np.array([[0.3]])).all()
    assert gate.process(np.array([[0.15]])).all()
    assert not gate.process(np.array([[0.1]])).any()


def test_statistics_count_frames_and_openings():
    gate = GateMask(0.2, 0.1, timing())
    gate.process(np.array([[0.3], [0], [0.3], [0], [0]]))
    assert gate.statistics == GateStatistics(frames=5, closed=3, openings=2)
    assert gate.statistics.closed_share == 0.6

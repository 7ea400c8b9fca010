import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.gain.mask import GateMask, Hysteresis, MinRunLength
from noisegate_cli.gating.timing import Timing
from tests import reference

levels = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5]), max_size=60)
durations = st.integers(0, 5)
cut_lists = st.lists(st.integers(0, 60), max_size=6)


def build_timing(min_closed=0, min_open=0, hold=0):
    return Timing(4, 1, min_closed, min_open, hold, lookahead=0, attack=0, release=0)


def compute_mask(values, hold=0, open_above=0.2, close_below=0.1, min_closed=0, min_open=0):
    gate = GateMask(open_above, close_below, build_timing(min_closed, min_open, hold))
    return gate.process(np.array(values, float).reshape(-1, 1), last=True).ravel().tolist()


def process_in_parts(stage, array, cuts):
    parts = np.split(array, sorted(min(cut, len(array)) for cut in cuts))
    outputs = [stage.process(part, last=i == len(parts) - 1) for i, part in enumerate(parts)]
    return np.concatenate(outputs)


@given(levels, durations, durations, durations)
def test_the_mask_equals_the_reference(values, hold, min_closed, min_open):
    expected = reference.hysteresis_mask(values, 0.2, 0.1)
    expected = reference.remove_short_runs(expected, False, min_closed)
    expected = reference.remove_short_runs(expected, True, min_open)
    expected = reference.extend_open_runs(expected, hold)
    assert compute_mask(values, hold, min_closed=min_closed, min_open=min_open) == expected


@given(levels, levels, durations, durations, durations, cut_lists)
def test_the_mask_does_not_depend_on_the_block_size(
    values, other_values, hold, min_closed, min_open, cuts
):
    length = min(len(values), len(other_values))
    array = np.column_stack([values[:length], other_values[:length]])
    whole_gate, block_gate = (
        GateMask(0.2, 0.1, build_timing(min_closed, min_open, hold), 2) for _ in range(2)
    )
    expected = whole_gate.process(array, last=True)
    assert np.array_equal(process_in_parts(block_gate, array, cuts), expected)


@given(st.lists(st.booleans(), max_size=60), st.booleans(), durations, cut_lists)
def test_runs_that_are_too_short_are_removed(flags, value, frames, cuts):
    mask = np.array(flags, bool).reshape(-1, 1)
    result = process_in_parts(MinRunLength(value, frames), mask, cuts)
    assert result.ravel().tolist() == reference.remove_short_runs(flags, value, frames)


@given(levels, durations)
def test_a_higher_threshold_never_opens_more_frames(values, hold):
    lower, higher = compute_mask(values, hold, 0.2, 0.1), compute_mask(values, hold, 0.4, 0.2)
    assert all(low or not high for low, high in zip(lower, higher, strict=True))


def test_a_level_between_the_thresholds_keeps_the_state():
    assert compute_mask([0.15, 0.3, 0.15, 0.15, 0.05, 0.15]) == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_hold_starts_at_the_last_frame_above_the_threshold():
    assert compute_mask([0.3, 0, 0, 0.3, 0, 0, 0, 0], hold=2) == [True] * 6 + [False] * 2


def test_a_click_does_not_open_and_a_gap_in_a_word_does_not_close():
    click, word = [0, 0.3, 0, 0, 0, 0], [0.3, 0.3, 0, 0.3, 0.3]
    assert compute_mask(click + word, min_closed=2, min_open=3) == [False] * 6 + [True] * 5


def test_short_syllables_are_joined_into_one_opening():
    assert compute_mask([0, 0.3, 0, 0.3, 0], min_closed=2, min_open=3) == [
        False,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("values", [[0, 0.3], [0.3, 0], [0.3], [0]])
def test_runs_at_either_end_of_the_recording_are_never_too_short(values):
    assert compute_mask(values, min_closed=5, min_open=5) == [value > 0.2 for value in values]


def test_parallel_gates_are_independent():
    gate = GateMask(0.2, 0.1, build_timing(hold=1), gates=2)
    mask = gate.process(np.array([[0.3, 0], [0, 0], [0, 0.3]]))
    assert mask.tolist() == [[True, False], [True, False], [False, True]]


def test_hysteresis_keeps_its_state_between_blocks():
    gate = Hysteresis(0.2, 0.1)
    assert gate.process(np.array([[0.3]])).all()
    assert gate.process(np.array([[0.15]])).all()
    assert not gate.process(np.array([[0.1]])).any()

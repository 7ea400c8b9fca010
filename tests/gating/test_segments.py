import pickle

import librosa
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, GateStatistics, gate, segments
from noisegate_cli.gating.segments import OpenRunCollector
from tests.conftest import SPEECH, examples, loud_and_quiet, tone

RATE = 16000


def masks(gates):
    return st.lists(st.tuples(*[st.booleans()] * gates), max_size=40).map(
        lambda rows: np.array(rows, np.bool_).reshape(-1, gates)
    )


@examples(15)
@given(threshold=st.floats(0.001, 0.2), length=st.integers(1, 60000))
def test_segments_of_the_hard_preset_equal_librosa_effects_split(threshold, length):
    y, rate = sf.read(SPEECH, dtype="float64", frames=length)
    result = segments(y, rate, preset="hard", threshold=threshold)
    expected = librosa.effects.split(
        y,
        top_db=-20 * np.log10(threshold),
        ref=1.0,
        frame_length=result.timing.frame_length,
        hop_length=result.timing.hop_length,
    ).reshape(-1, 2)
    expected = expected[expected[:, 0] < expected[:, 1]]
    assert np.array_equal(result.samples, expected)
    assert np.array_equal(result.seconds, expected / rate)


@given(mask=masks(2), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_open_runs_reconstruct_the_mask_for_any_blocks(mask, cuts):
    collector = OpenRunCollector(gates=2)
    for part in np.split(mask, sorted(min(cut, len(mask)) for cut in cuts)):
        collector.process(part)
    for gate_runs, flags in zip(collector.runs, mask.T, strict=True):
        rebuilt = np.zeros(len(mask), np.bool_)
        for start, end in gate_runs:
            assert start < end
            assert not rebuilt[max(0, start - 1) : end].any()
            rebuilt[start:end] = True
        assert np.array_equal(rebuilt, flags)


@examples(15)
@given(
    length=st.integers(0, 40000),
    preset=st.sampled_from(["voice", "music", "field", "hard"]),
    channels=st.sampled_from(["linked", "separate"]),
    range_db=st.sampled_from([None, -12.0]),
)
def test_the_output_is_the_input_times_the_gain(length, preset, channels, range_db):
    y = np.column_stack([loud_and_quiet(), np.roll(loud_and_quiet(), 9000)])[:length]
    gate_settings = GateSettings.preset(
        preset, threshold=0.02, channels=channels, range_db=range_db
    )
    result = gate(y, RATE, settings=gate_settings, return_result=True)
    gain = result.segments.compute_gain()
    assert gain.shape == (length, 1 if channels == "linked" else 2)
    np.testing.assert_allclose(result.samples, y * gain, rtol=1e-12, atol=0)


@pytest.mark.parametrize("range_db", [-np.inf, *np.linspace(-60, -0.1, 50)])
def test_the_output_of_a_closed_gate_equals_the_input_times_the_gain(range_db):
    y = np.full(8000, 2.0**-12)
    result = gate(y, RATE, threshold=0.02, range_db=range_db, return_result=True)
    assert result.statistics.closed_share == 1
    np.testing.assert_array_equal(result.samples, y * result.segments.compute_gain()[:, 0])


def test_segments_of_separate_channels_are_open_in_any_channel():
    y = np.column_stack([loud_and_quiet(), np.roll(loud_and_quiet(), 9000)])
    result = gate(y, RATE, threshold=0.02, preset="hard", channels="separate", return_result=True)
    mask = result.segments.compute_mask()
    assert mask.sum() == result.statistics.frames - result.statistics.closed
    is_open = np.repeat(mask.any(axis=1), result.segments.timing.hop_length)[: len(y)]
    covered = np.zeros(len(y), np.bool_)
    for start, end in result.segments.samples:
        assert not covered[max(0, start - 1) : end].any()
        covered[start:end] = True
    assert np.array_equal(covered, is_open)


def test_a_silent_recording_has_no_segments():
    for length in (0, 100, 32000):
        result = segments(np.zeros(length), RATE)
        assert result.samples.shape == result.seconds.shape == (0, 2)
        assert len(result) == 0


def test_a_loop_over_segments_yields_start_and_end_in_seconds():
    result = segments(loud_and_quiet(), RATE, threshold=0.02)
    assert [[start, end] for start, end in result] == result.seconds.tolist()
    assert len(list(result)) == len(result) == 2
    assert list(segments(np.zeros(RATE), RATE)) == []


def test_segments_compare_by_value_and_have_a_short_repr():
    first, second = (segments(loud_and_quiet(), RATE, threshold=0.02) for _ in range(2))
    assert first == second == pickle.loads(pickle.dumps(first))
    assert hash(first) == hash(second)
    assert first != segments(loud_and_quiet(), RATE, threshold=0.1, preset="hard")
    assert repr(first) == "<Segments: 2 open segments, 2.06 s of 3.00 s>"


@given(mask=masks(1), max_gap=st.integers(0, 5))
def test_runs_that_are_close_to_each_other_are_one(mask, max_gap):
    collector = OpenRunCollector(1, max_gap, inverted=True)
    collector.process(mask)
    (closed,) = collector.runs
    for start, end in closed:
        assert not mask[start:end].any()
        assert end - start > max_gap or start == 0 or end == len(mask)
    filled = np.ones(len(mask), np.int8)
    for start, end in closed:
        filled[start:end] = 0
    edges = np.flatnonzero(np.diff(filled - mask[:, 0], prepend=0, append=0))
    assert np.diff(edges)[::2].max(initial=0) <= max_gap


@given(mask=masks(2), max_gap=st.integers(0, 5))
def test_inverted_runs_are_the_frames_between_the_open_runs(mask, max_gap):
    collectors = [OpenRunCollector(2, max_gap, inverted=flag) for flag in (False, True)]
    for collector in collectors:
        collector.process(mask)
    covered = np.zeros_like(mask, np.int8)
    for collector in collectors:
        for gate_index, runs in enumerate(collector.runs):
            for start, end in runs:
                covered[start:end, gate_index] += 1
    assert (covered == 1).all()
    assert collectors[1].statistics.closed == mask.size - collectors[0].statistics.closed


def test_the_gate_does_not_close_within_the_lookahead():
    """Of 110 ms between two tones the gate holds 40 ms, and opens 80 ms before the second."""
    y = np.concatenate([tone(1, 0.5), tone(0.11, 1e-4), tone(1, 0.5)])
    timing = {"min_closed_ms": 0, "hold_ms": 40, "lookahead_ms": 80}
    near = gate(y, RATE, threshold=0.02, return_result=True, **timing)
    assert len(near.segments) == 1
    assert np.array_equal(near.samples, y)
    timing["lookahead_ms"] = 30
    assert len(segments(y, RATE, threshold=0.02, **timing)) == 2


def test_statistics_count_frames_and_openings():
    collector = OpenRunCollector(gates=1)
    collector.process(np.array([[True], [False], [True], [False], [False]]))
    assert collector.statistics == GateStatistics(frames=5, closed=3, openings=2)
    assert collector.statistics.closed_share == 0.6


def test_segments_are_a_sequence_of_pairs_and_an_array():
    found = segments(loud_and_quiet(), RATE, threshold=0.01)
    pairs = [tuple(pair) for pair in found.seconds.tolist()]
    assert [found[index] for index in range(len(found))] == pairs == list(found)
    assert (found[-1], found[:1]) == (pairs[-1], pairs[:1])
    assert np.array_equal(np.asarray(found), found.seconds)
    assert np.asarray(found, np.float32).dtype == np.float32


def test_no_segments_are_an_array_of_no_pairs():
    assert np.asarray(segments(np.zeros(RATE), RATE)).shape == (0, 2)

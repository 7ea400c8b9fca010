"""Forced segments open and close the gate exactly where they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import ForcedSegments, GateSettings, SettingsError, gate
from noisegate_cli.errors import SignalError
from noisegate_cli.gating.forced import ForcedMask, is_covered, match_gates
from noisegate_cli.gating.segments import OpenRunCollector, Segments
from tests.conftest import examples, loud_and_quiet, tone

RATE = 16000
PRESETS = st.sampled_from(["voice", "music", "field", "hard"])


def force_mask(forced, timing, rate, length, gates=1):
    """Return the mask of a gate with given segments, in one block."""
    frames = 1 + length // timing.hop_length
    processor = ForcedMask(forced, timing, rate, gates)
    return processor.process(np.zeros((frames, gates), bool), np.zeros((length, 1)), last=True)[1]


def sample_range(start, end, length):
    """Return the samples of a segment in seconds, without those that only rounding adds."""
    return int(start * RATE + 1e-6), min(length, int(np.ceil(end * RATE - 1e-6)))


@st.composite
def masks(draw):
    """Return settings, a length in samples, and a mask of all its frames."""
    hop = draw(st.sampled_from([1, 3, 8, 512]))
    length = draw(st.integers(1, 20)) * hop + draw(st.integers(-2, 2))
    frames = 1 + max(1, length) // hop
    flags = draw(
        st.lists(st.tuples(st.booleans(), st.booleans()), min_size=frames, max_size=frames)
    )
    rate = draw(st.sampled_from([8000, 44100, 192000]))
    return (
        GateSettings(frame_length=16 * hop, hop_length=hop),
        rate,
        max(1, length),
        np.array(flags),
    )


@examples(60)
@given(case=masks())
def test_the_edges_of_segments_restore_every_mask(case):
    gate_settings, rate, length, mask = case
    timing = gate_settings.timing(rate)
    collector = OpenRunCollector(gates=2)
    collector.process(mask)
    segments = Segments(collector.runs, len(mask), length, rate, timing, -np.inf)
    forced = ForcedSegments(segments=segments.edges)
    assert np.array_equal(force_mask(forced, timing, rate, length, gates=2), mask)
    for spans in segments.edges:
        assert all(0 <= start < end <= length / rate for start, end in spans)


@examples(25)
@given(
    preset=PRESETS,
    start=st.floats(0, 2.9),
    duration=st.floats(0.001, 1),
    range_db=st.sampled_from([None, -12.0]),
)
def test_every_sample_of_a_kept_segment_is_unchanged(preset, start, duration, range_db):
    y = 0.1 * loud_and_quiet()
    keep = (start, start + duration)
    out = gate(y, RATE, preset=preset, threshold=0.5, range_db=range_db, keep=[keep])
    first, after = sample_range(*keep, len(y))
    assert np.array_equal(out[first:after], y[first:after])
    # The fades end soon: the longest release is 600 ms, and the hold has no effect.
    closed = out[after + 11000 :], y[after + 11000 :]
    assert not closed[0].size or not np.array_equal(*closed)


@examples(25)
@given(
    preset=PRESETS,
    start=st.floats(0, 2.9),
    duration=st.floats(0.001, 1),
    range_db=st.sampled_from([-np.inf, -12.0]),
)
def test_every_sample_of_a_cut_segment_has_the_gain_of_the_closed_gate(
    preset, start, duration, range_db
):
    y = tone(3, 0.2)
    cut = (start, start + duration)
    out = gate(y, RATE, preset=preset, threshold=0.001, range_db=range_db, cut=[cut])
    first, after = sample_range(*cut, len(y))
    expected = y[first:after] * 10 ** (range_db / 20)
    np.testing.assert_allclose(out[first:after], expected, rtol=1e-12, atol=0)
    # The fades end soon: the longest of the presets are 600 ms, and 100 ms before an opening.
    assert np.array_equal(out[: max(0, first - 11000)], y[: max(0, first - 11000)])
    assert np.array_equal(out[after + 4000 :], y[after + 4000 :])


def test_keep_has_priority_over_cut():
    y = tone(3, 0.2)
    out = gate(y, RATE, threshold=0.001, keep=[(1, 2)], cut=[(0, 1.5), (2, 3)])
    assert np.array_equal(out[16000:32000], y[16000:32000])
    assert not out[:14000].any()
    assert not out[34000:].any()


def test_keep_and_cut_have_priority_over_given_segments():
    y = tone(3, 0.2)
    out = gate(y, RATE, segments=[(0, 1)], keep=[(2, 2.5)], cut=[(0.5, 0.6)])
    assert np.array_equal(out[32000:40000], y[32000:40000])
    assert not out[8000:9600].any()
    assert np.array_equal(out[:4000], y[:4000])
    assert not out[20000:28000].any()


@pytest.mark.parametrize("preset", ["voice", "music", "field", "hard"])
@pytest.mark.parametrize("channels", ["linked", "separate"])
def test_segments_of_a_result_give_the_same_result(preset, channels):
    y = np.column_stack([loud_and_quiet(), np.roll(loud_and_quiet(), 9000)])[: 32000 + 128]
    changes = {"preset": preset, "channels": channels, "hysteresis_db": 0}
    first = gate(y, RATE, threshold=0.02, return_result=True, keep=[(1.5, 1.6)], **changes)
    again = gate(y, RATE, segments=first.segments, return_result=True, **changes)
    assert np.array_equal(again.samples, first.samples)
    assert again.segments == first.segments
    assert again.statistics == first.statistics
    assert again.threshold is again.suggestion is None


@pytest.mark.parametrize("spectral", [{"spectral": True}, {"target_floor_db": -70.0}])
def test_segments_of_a_result_give_the_same_result_if_the_noise_is_learned(spectral):
    y = np.tile(loud_and_quiet(), 2) + np.random.default_rng(0).normal(0, 0.001, 96000)
    first = gate(y, RATE, return_result=True, **spectral)
    again = gate(y, RATE, segments=first.segments, return_result=True, **spectral)
    assert np.array_equal(again.samples, first.samples)
    assert again.range_db == first.range_db
    assert again.noises == first.noises


def test_given_segments_need_no_first_pass_and_no_minimum_duration():
    y = tone(1, 0.2)
    result = gate(y, RATE, segments=[(0.505, 0.511)], min_open_ms=500.0, return_result=True)
    assert result.segments.seconds.tolist() == [[0.504, 0.512]]


def test_a_segment_to_the_end_of_the_recording_opens_its_last_frame():
    y = tone(1, 0.2)
    for end in (1.0, 2.0):
        out = gate(y, RATE, preset="hard", segments=[(0.5, end)])
        assert np.array_equal(out[-4000:], y[-4000:])
    assert gate(y, RATE, preset="hard", segments=[(0.5, 0.998)])[-1] != y[-1]


def test_no_segments_close_the_whole_recording():
    assert not gate(tone(1, 0.2), RATE, segments=[]).any()
    assert not gate(tone(1, 0.2), RATE, segments=np.zeros((0, 2))).any()


def test_a_requested_cut_is_not_reported_as_a_fault_of_the_gate():
    y = loud_and_quiet()
    result = gate(y, RATE, threshold=0.0001, cut=[(0.8, 2.2)], return_result=True)
    assert result.cutoffs.count == 0
    edited = gate(y, RATE, segments=result.segments, return_result=True)
    assert edited.cutoffs.count == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"keep": [(2, 1)]},
            r"keep \(2, 1\) is not a time span: give two times in seconds, 0 or more",
        ),
        ({"cut": [(-1, 1)]}, r"cut \(-1, 1\) is not a time span"),
        ({"keep": "0:01-0:02"}, "keep '0:01-0:02' is not a list of time spans"),
        ({"keep": [1, 2]}, r"keep \[1, 2\] is not a list of time spans"),
        ({"cut": ["ab"]}, r"cut 'ab' is not a time span: give \(from, to\) in seconds"),
        ({"segments": [1.0, 2.0, 3.0]}, r"segments shaped \(3,\) are not time spans"),
        ({"segments": [(0, np.nan)]}, r"segments \(0, nan\) is not a time span"),
    ],
)
def test_wrong_time_spans_are_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        gate(tone(1, 0.2), RATE, **arguments)


@pytest.mark.parametrize("name", ["keep", "cut"])
def test_a_segment_after_the_end_is_refused(name):
    with pytest.raises(SignalError, match=r"it ends at 0:01.00, before the time span .* 0:08.00"):
        gate(tone(1, 0.2), RATE, threshold=0.1, **{name: [(8, 9)]})


def test_segments_of_channels_match_separate_gates():
    left, right = ((0.0, 1.0),), ((2.0, 3.0),)
    assert match_gates((left,), 3) == (left, left, left)
    assert match_gates((left, right), 3) == (left, right, ())
    assert match_gates((left, ()), 2) == (left, ())
    with pytest.raises(SettingsError, match="channel 2, and the gate has 1: give channels="):
        match_gates((left, right), 1)
    with pytest.raises(SettingsError, match="channel 3, and the gate has 2"):
        match_gates((left, right, left), 2)


@given(st.lists(st.tuples(st.integers(-5, 20), st.integers(1, 9)), max_size=8))
def test_frames_are_covered_by_ranges_that_may_overlap(pairs):
    ranges = np.array([(start, start + length) for start, length in pairs]).reshape(-1, 2)
    covered = {frame for start, length in pairs for frame in range(start, start + length)}
    expected = [frame in covered for frame in range(30)]
    assert is_covered(ranges, np.arange(30)).tolist() == expected

"""The static curve, and the expander as a gate with all thresholds at once."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from noisegate_cli import GateSettings, SettingsError, gate
from noisegate_cli.errors import SignalError
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.expander import (
    Expander,
    GainFades,
    LaggingLevel,
    LevelClosing,
    LevelHold,
    LevelOpening,
    expander_gain_db,
    running_maximum,
)
from noisegate_cli.gating.gain.mask import GateMask
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import from_db, to_db
from tests import reference

ratios = st.sampled_from([1.25, 2.0, 4.0, 20.0])
knees = st.sampled_from([0.0, 1.0, 6.0, 24.0])
levels = st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0]), max_size=40)
durations = st.integers(0, 5)
fades = st.sampled_from([0.0, 0.4, 1.0, 2.5, 6.0])
RATE = 16000
EXPANDER = partial(gate, sample_rate=RATE, threshold="-40dB")
STEADY = {"hysteresis_db": 0, "min_open_ms": 0, "min_closed_ms": 0}


def build_timing(min_closed=0, min_open=0, hold=0):
    return Timing(4, 1, min_closed, min_open, hold, lookahead=0, attack=0, release=0)


def column(values):
    return np.array(values, float).reshape(-1, 1)


def tone(*levels_db, seconds=0.5):
    """Return a sine whose RMS takes these levels in dBFS, one after another."""
    amplitude = np.repeat(from_db(levels_db) * np.sqrt(2), round(seconds * RATE))
    return amplitude * np.sin(2 * np.pi * 1000 * np.arange(len(amplitude)) / RATE)


@given(level_db=st.floats(-60, 20), ratio=ratios, knee_db=knees)
@settings(max_examples=20)
def test_the_static_curve_is_the_integral_of_its_slope(level_db, ratio, knee_db):
    expected = reference.expander_gain_db(level_db, ratio, knee_db)
    assert_allclose(expander_gain_db(level_db, ratio, knee_db), expected, atol=0.01 * ratio)


@given(ratio=ratios, knee_db=knees)
def test_the_static_curve_is_smooth_never_positive_and_never_falls(ratio, knee_db):
    level_db = np.linspace(-50, 30, 1601)
    gain_db = expander_gain_db(level_db, ratio, knee_db)
    slope = np.diff(gain_db) / np.diff(level_db)
    assert (gain_db <= 0).all()
    assert (slope >= -1e-9).all()
    assert (slope <= ratio - 1 + 1e-9).all()
    if knee_db:
        assert np.abs(np.diff(slope)).max() <= 1.01 * (ratio - 1) / knee_db * 0.05


def test_extreme_ratios_and_knees_do_not_overflow():
    gains = expander_gain_db([-40.0, 0.0, 3.0], ratio=1e308, knee_db=1e-320)
    assert gains.tolist() == [-np.inf, 0.0, 0.0]


def test_silence_stays_silent_without_a_range():
    assert expander_gain_db(-np.inf, 2, 6) == -np.inf


@given(levels, durations, durations, durations, st.sampled_from([1.0, 2.0, 4.0]))
def test_the_level_exceeds_each_threshold_where_a_gate_with_it_is_open(
    values, min_closed, min_open, hold, factor
):
    stages = [
        LaggingLevel(factor),
        LevelClosing(min_closed),
        LevelOpening(min_open),
        LevelHold(hold),
    ]
    level = column(values)
    for stage in stages:
        level = stage.process(level, last=True)
    timing = build_timing(min_closed, min_open, hold)
    for threshold in (0.0625, 0.125, 0.2, 0.25, 0.5, 0.7, 1.0, 2.0, 3.0):
        mask = GateMask(threshold, threshold / factor, timing).process(column(values), last=True)
        assert np.array_equal(level > threshold, mask)
    expected = reference.expanded_level(values, factor, (min_closed, min_open, hold))
    assert_allclose(level.ravel(), expected)


@given(levels, durations, durations, durations, st.sampled_from([0.0, 0.25]))
def test_an_infinite_ratio_gives_the_gains_of_the_gate(values, min_closed, min_open, hold, closed):
    timing = build_timing(min_closed, min_open, hold)
    expander = Expander(0.3, 0.15, timing, 1e9, 0.0, closed)
    mask = GateMask(0.3, 0.15, timing).process(column(values), last=True)
    gains = expander.process(column(values), last=True)
    assert np.array_equal(gains, np.where(mask, 1.0, closed))


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 4), fades, fades)
def test_gains_of_two_states_fade_exactly_as_those_of_a_gate(mask, lookahead, attack, release):
    flags = np.array(mask, bool).reshape(-1, 1)
    arguments = (lookahead, attack, release, 0.25)
    faded = GainFades(*arguments).process(np.where(flags, 1.0, 0.25), last=True)
    assert np.array_equal(faded, Envelope(*arguments).process(flags, last=True))


@given(st.lists(st.floats(0.1, 1), max_size=30), st.integers(0, 4), fades, fades)
def test_fades_equal_the_reference(gains, lookahead, attack, release):
    faded = GainFades(lookahead, attack, release, 0.1).process(column(gains), last=True)
    expected = reference.fade_gains(gains, lookahead, attack, release, 0.1)
    assert_allclose(faded.ravel(), expected, atol=1e-12)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40))
def test_the_running_maximum_covers_every_window(values, frames):
    array = np.array(values, float)
    expected = [max(values[i : i + frames]) for i in range(len(values) - frames + 1)]
    assert running_maximum(array, frames).tolist() == expected


@pytest.mark.parametrize(("ratio", "knee_db"), [(2.0, 0.0), (4.0, 0.0), (3.0, 12.0)])
@pytest.mark.parametrize("distance_db", [-20.0, -5.0, 0.1, 10.0])
def test_a_steady_tone_follows_the_static_curve(ratio, knee_db, distance_db):
    y = tone(-40 + distance_db)
    out = EXPANDER(y, ratio=ratio, knee_db=knee_db, **STEADY)
    middle = slice(RATE // 8, RATE // 4)
    gain_db = to_db(out[middle].std() / y[middle].std())
    expected = reference.expander_gain_db(distance_db, ratio, knee_db)
    assert gain_db == pytest.approx(expected, abs=0.02 * ratio)


def test_above_the_knee_samples_are_unchanged_and_the_range_limits_the_gain():
    y = tone(-10, -90, -10)
    out = EXPANDER(y, ratio=4, knee_db=6, range_db=-24)
    assert np.array_equal(out[: len(y) // 3], y[: len(y) // 3])
    middle = slice(int(0.75 * RATE), int(0.9 * RATE))
    assert_allclose(out[middle], y[middle] * from_db(-24), rtol=1e-12)


def test_hysteresis_delays_the_fall_by_its_width():
    y = tone(-20, -50)
    out = EXPANDER(y, ratio=2, hysteresis_db=6, min_open_ms=0, min_closed_ms=0)
    end = slice(int(0.8 * RATE), int(0.95 * RATE))
    assert to_db(out[end].std() / y[end].std()) == pytest.approx(-4, abs=0.1)


def test_an_expander_changes_little_where_a_gate_mutes():
    y = tone(-20, -46, -20)
    middle = slice(int(0.75 * RATE), int(0.9 * RATE))
    assert not EXPANDER(y)[middle].any()
    assert EXPANDER(y, ratio=1.5, **STEADY)[middle].std() > 0.6 * y[middle].std()


def test_kept_segments_are_unchanged_and_cut_segments_are_closed():
    y = tone(-20, -50, -20)
    out = EXPANDER(y, ratio=3, range_db=-20, keep=[(0.6, 0.7)], cut=[(1.1, 1.2)])
    assert np.array_equal(out[9600:11200], y[9600:11200])
    assert_allclose(out[17600:19200], y[17600:19200] * from_db(-20), rtol=1e-12)


def test_segments_are_those_of_the_gate_with_the_same_threshold():
    y = tone(-20, -50, -20, -60)
    expanded = EXPANDER(y, ratio=3, return_result=True)
    gated = EXPANDER(y, return_result=True)
    assert expanded.segments == gated.segments
    assert expanded.statistics == gated.statistics
    assert not expanded.cutoffs.count


def test_each_separate_channel_has_its_own_gain():
    y = np.column_stack([tone(-20), tone(-50)])
    out = EXPANDER(y, ratio=2, channels="separate", **STEADY)
    assert np.array_equal(out[:, 0], y[:, 0])
    assert to_db(out[2000:6000, 1].std() / y[2000:6000, 1].std()) == pytest.approx(-10, abs=0.1)


def test_methods_that_find_a_level_work_with_a_ratio():
    rng = np.random.default_rng(2)
    y = rng.normal(0, 1, 4 * RATE) * np.repeat([0.001, 0.2, 0.001, 0.2], RATE)
    for changes in ({"threshold": "floor+9dB"}, {"threshold": 0.01, "adaptive": True}):
        out = gate(y, RATE, ratio=2, **changes)
        assert np.array_equal(out[RATE + 800 : 2 * RATE], y[RATE + 800 : 2 * RATE])
        assert 0 < out[: RATE // 2].std() < 0.8 * y[: RATE // 2].std()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 1.0}, "ratio 1 must be above 1"),
        ({"ratio": float("nan")}, "must be a number"),
        ({"ratio": "4"}, "must be a number"),
        ({"ratio": 4.0, "knee_db": -1.0}, "knee -1 dB must be 0 to 60"),
        ({"knee_db": 6.0}, "knee_db= is for an expander: give ratio=4 too"),
        ({"ratio": 4.0, "threshold": "auto"}, "the automatic detector has none"),
        ({"ratio": 4.0, "target_floor_db": -60.0}, "give one of them"),
        ({"ratio": 4.0, "range_db": 0.0}, "changes nothing at a range of 0 dB: give"),
        ({"ratio": 4.0, "spectral": "soft"}, "the default with spectral=True: give range_db=-24"),
    ],
)
def test_values_that_make_no_expander_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        GateSettings(**{"threshold": 0.1} | changes)


def test_given_segments_and_a_ratio_are_refused():
    with pytest.raises(SettingsError, match="ratio= needs a level instead"):
        EXPANDER(tone(-20), ratio=2, segments=[(0, 0.1)])


def test_a_segment_beyond_the_end_is_refused_as_for_a_gate():
    with pytest.raises(SignalError, match="before the time span"):
        EXPANDER(tone(-20), ratio=2, keep=[(5, 6)])

"""Ducking: the gate is closed where it would be open."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, GateStream, SettingsError, analyze, gate
from noisegate_cli.gating.gain.envelope import Envelope, invert_gains
from noisegate_cli.samples import from_db
from tests.conftest import loud_and_quiet

RATE = 16000


@given(
    st.lists(st.booleans(), max_size=40), st.integers(0, 4), st.sampled_from([0.0, 0.1, 0.3, 1.0])
)
def test_inverted_gains_mirror_the_fades_and_keep_both_ends_exact(mask, lookahead, closed):
    flags = np.array(mask, bool).reshape(-1, 1)
    gains = Envelope(lookahead, 3.5, 7.5, closed).process(flags, last=True)
    inverted = invert_gains(gains, closed)
    np.testing.assert_allclose(gains + inverted, 1 + closed)
    assert (inverted[gains == 1] == closed).all()
    if closed < 1:
        assert (inverted[gains == closed] == 1).all()


def test_ducking_attenuates_the_signal_by_the_range_and_leaves_the_pauses_unchanged():
    y = loud_and_quiet()
    result = gate(y, RATE, threshold=0.03, range_db=-12, return_result=True)
    ducked = gate(y, RATE, threshold=0.03, range_db=-12, duck=True, return_result=True)
    is_pause = np.ones(len(y), bool)
    for start, end in result.segments.samples:
        is_pause[max(0, start - 4096) : end + 4096] = False
        inside = slice(start + 1024, end - 1024)
        np.testing.assert_allclose(ducked.samples[inside], y[inside] * from_db(-12), rtol=1e-6)
    assert is_pause.sum() > RATE // 4
    assert np.array_equal(ducked.samples[is_pause], y[is_pause])


def test_ducking_and_gating_share_the_recording():
    y = loud_and_quiet()
    gated, ducked = (gate(y, RATE, threshold=0.03, duck=duck) for duck in (False, True))
    np.testing.assert_allclose(gated + ducked, y, atol=1e-6)


def test_statistics_and_segments_describe_the_ducked_recording():
    y = loud_and_quiet()
    gated = gate(y, RATE, threshold=0.03, return_result=True)
    ducked = gate(y, RATE, threshold=0.03, duck=True, return_result=True)
    assert ducked.statistics.closed == gated.statistics.frames - gated.statistics.closed
    assert np.array_equal(ducked.segments.compute_mask(), ~gated.segments.compute_mask())
    assert not ducked.cutoffs.count


def test_the_analysis_predicts_the_ducking():
    y = loud_and_quiet()
    ducked = gate(y, RATE, duck=True, return_result=True)
    report = analyze(y, RATE, duck=True)
    assert report.closed_share == pytest.approx(ducked.statistics.closed_share)
    assert report.range_db == ducked.range_db


def test_a_stream_ducks_as_one_call():
    y = loud_and_quiet()
    settings = GateSettings(threshold=0.03, duck=True, range_db=-12)
    stream = GateStream(settings, RATE)
    parts = [stream.process(part) for part in np.array_split(y, 7)]
    out = np.concatenate([*parts, stream.process([], last=True)])
    assert np.array_equal(out, gate(y, RATE, settings=settings))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 4.0}, "omit one of them"),
        ({"spectral": "soft"}, "omit one of them"),
        ({"target_floor_db": -60.0}, "give range_db="),
        ({"duck": "yes"}, "must be True or False"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        GateSettings(**{"threshold": 0.1, "duck": True} | changes)


@pytest.mark.parametrize("forced", [{"keep": [(0, 1)]}, {"segments": [(0, 1)]}])
def test_segments_of_a_gate_are_refused(forced):
    with pytest.raises(SettingsError, match="omit duck=True"):
        gate(np.zeros(RATE), RATE, threshold=0.1, duck=True, **forced)


@pytest.mark.parametrize("threshold", ["auto", "auto:gmm"])
def test_ducking_leaves_a_recording_unchanged_if_no_signal_is_separated_from_noise(threshold):
    time = np.arange(3 * RATE) / RATE
    chord = sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330))
    result = gate(chord, RATE, threshold=threshold, duck=True, range_db=-12, return_result=True)
    assert result.suggestion.threshold is None
    assert result.threshold is None
    assert np.array_equal(result.samples, chord)
    assert result.statistics.closed == 0
    assert analyze(chord, RATE, threshold=threshold, duck=True).closed_share == 0


def test_a_key_without_a_separable_signal_ducks_nothing():
    time = np.arange(3 * RATE) / RATE
    y, hum = loud_and_quiet(), np.sin(2 * np.pi * 50 * time) / 10
    ducked = gate(y, RATE, key=hum, duck=True, range_db=-12)
    assert np.array_equal(ducked, y)

from itertools import cycle, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, gate
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.settings import PRESETS
from tests.conftest import FLOATS, PCM, as_type, examples, loud_and_quiet, tone

RATE = 16000
TYPES = [*PCM, *FLOATS]


def gate_in_blocks(y, block, preset="voice", threshold=0.03, **changes):
    """Return the output for `y`, shaped (samples, channels), fed in blocks."""
    gate_settings = GateSettings.preset(preset, **changes)
    stream = Gate(GateDecision(threshold, gate_settings), RATE, y.shape[1], residue=True)
    before = y.copy()
    starts = range(0, max(1, len(y)), block)
    parts = [stream.process(y[start : start + block], start + block >= len(y)) for start in starts]
    output, removed = (np.concatenate(side) for side in zip(*parts, strict=True))
    assert np.array_equal(y, before)
    if y.dtype.kind == "f":
        np.testing.assert_allclose(output + removed, y, rtol=1e-6, atol=1e-12)
    else:
        assert np.array_equal(output + removed, y)
    return output


@pytest.mark.parametrize(
    ("case", "preset"),
    list(zip(product(["linked", "separate"], TYPES), cycle(PRESETS), strict=False)),
)
def test_output_does_not_depend_on_the_block_size(case, preset):
    channels, subtype = case
    y = as_type(loud_and_quiet()[:, None] * [1.0, 0.3], subtype)[10000:40000]
    whole = gate_in_blocks(y, len(y), preset, channels=channels)
    for block in (509, 44100):
        assert np.array_equal(gate_in_blocks(y, block, preset, channels=channels), whole)
    for block, samples in ((1, 300), (17, 3000)):
        tail = y[-samples:]
        assert np.array_equal(
            gate_in_blocks(tail, block, preset, channels=channels),
            gate_in_blocks(tail, samples, preset, channels=channels),
        )


@examples(30)
@given(
    length=st.one_of(st.sampled_from([0, 1, 127, 128, 129, 511, 513]), st.integers(0, 3000)),
    block=st.integers(1, 600),
    seed=st.integers(0, 99),
    hold=st.integers(0, 40),
    lookahead=st.integers(0, 40),
)
def test_output_does_not_depend_on_the_block_size_for_any_length_and_times(
    length, block, seed, hold, lookahead
):
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 0.05, (length, 1)) * np.repeat(rng.integers(0, 2, 31), 100)[:length, None]
    times = {"hold_ms": hold, "lookahead_ms": lookahead, "release_ms": 20}
    assert np.array_equal(
        gate_in_blocks(y, block, **times), gate_in_blocks(y, max(1, length), **times)
    )


@pytest.mark.parametrize("subtype", TYPES)
def test_open_parts_are_unchanged_and_closed_parts_are_zero(subtype):
    y = as_type(loud_and_quiet(), subtype)
    out = gate(y, RATE, threshold=0.03)
    assert out.dtype == y.dtype
    assert np.array_equal(out[:16000], y[:16000])
    assert np.array_equal(out[32000:], y[32000:])
    assert not out[22000:30000].any()


def test_a_tone_below_the_threshold_is_silenced_and_one_above_is_unchanged():
    quiet, loud = tone(1, 0.029), tone(1, 0.031)
    assert not gate(quiet, RATE, threshold=0.03).any()
    assert np.array_equal(gate(loud, RATE, threshold=0.03), loud)


def test_range_0_db_changes_nothing():
    y = as_type(loud_and_quiet(), "PCM_16")
    settings = GateSettings(range_db=0.0)
    assert np.array_equal(gate(y, RATE, threshold=0.5, settings=settings), y)


def test_the_range_is_the_gain_of_the_closed_gate():
    y = loud_and_quiet()
    out = gate(y, RATE, threshold=0.03, settings=GateSettings(range_db=-20))
    np.testing.assert_allclose(out[22000:30000], 0.1 * y[22000:30000], rtol=1e-12)


@given(st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_a_higher_threshold_never_passes_more_signal(threshold_1, threshold_2):
    rng = np.random.default_rng(5)
    y = rng.normal(0, 1, 8000) * np.repeat(10 ** rng.uniform(-3, -0.5, 20), 400)
    low, high = sorted([threshold_1, threshold_2])
    with_low_threshold, with_high_threshold = (
        np.abs(gate(y, RATE, threshold=threshold)) for threshold in (low, high)
    )
    assert (with_high_threshold <= with_low_threshold).all()


@pytest.mark.parametrize("preset", ["voice", "music", "field"])
def test_the_gain_is_continuous(preset):
    y = np.ones(3 * RATE) * np.repeat([0.001, 0.5, 0.001], RATE)
    gain = gate(y, RATE, threshold=0.03, settings=GateSettings.preset(preset)) / y
    # A step is audible as a click. The steepest allowed slope is the cross-fade of the window:
    # from 0 to 1 within half a frame of 32 ms, 256 samples.
    assert gain.min() < 0.1
    assert gain.max() == 1
    assert np.abs(np.diff(gain)).max() < 3 / 256


def test_the_gate_is_open_before_the_onset_and_closes_after_hold_and_release():
    y = np.repeat([0.001, 0.5, 0.001], RATE)
    times = {"lookahead_ms": 40, "attack_ms": 10, "hold_ms": 200, "release_ms": 100}
    gain = gate(y, RATE, threshold=0.03, settings=GateSettings(**times)) / y
    opened_s, closed_s = np.flatnonzero(gain == 1)[[0, -1]] / RATE
    silent_s = np.flatnonzero(gain == 0) / RATE
    frame_s = 0.032
    assert 1 - 0.040 - frame_s < opened_s <= 1 - 0.040
    assert 2.2 - frame_s < closed_s < 2.2 + frame_s
    assert silent_s[silent_s > 1.5].min() == pytest.approx(2.3, abs=frame_s)


@pytest.mark.parametrize("hop", [64, 128, 256])
def test_times_do_not_depend_on_the_hop_length(hop):
    y = np.repeat([0.001, 0.5, 0.001], RATE)
    settings = GateSettings(frame_length=512, hop_length=hop, hold_ms=300, release_ms=200)
    gain = gate(y, RATE, threshold=0.03, settings=settings) / y
    open_samples = np.flatnonzero(gain > 0.5)
    assert open_samples[-1] / RATE == pytest.approx(2.4, abs=0.032)


def test_linked_channels_open_together_and_separate_channels_independently():
    y = np.stack([loud_and_quiet(), np.full(3 * RATE, 0.002)], axis=1)
    linked = gate(y, RATE, threshold=0.03)
    separate = gate(y, RATE, threshold=0.03, settings=GateSettings(channels="separate"))
    assert np.array_equal(linked[:16000, 1], y[:16000, 1])
    assert not separate[:, 1].any()
    assert np.array_equal(separate[:, 0], linked[:, 0])


def test_the_loudest_linked_channel_opens_the_gate():
    y = np.stack([tone(1, rms) for rms in (0.031, 0.001, 0.001, 0.001)], axis=1)
    assert np.array_equal(gate(y, RATE, threshold=0.03), y)


@pytest.mark.parametrize(("hysteresis", "stays_open"), [(3, True), (0, False)])
def test_a_level_just_below_the_threshold_stays_open_only_with_hysteresis(hysteresis, stays_open):
    y = np.concatenate([tone(1, 0.1), tone(1, 0.027)])
    settings = GateSettings(hysteresis_db=hysteresis, hold_ms=0)
    assert gate(y, RATE, threshold=0.03, settings=settings)[-8000:].any() == stays_open


def test_a_threshold_of_0_passes_everything_but_digital_silence():
    y = as_type(np.concatenate([tone(1, 0.001), np.zeros(RATE)]), "PCM_16")
    assert np.array_equal(gate(y, RATE, threshold=0), y)


def test_channels_of_opposite_phase_open_the_gate():
    y = np.stack([tone(1, 0.2), -tone(1, 0.2)], axis=1)
    assert np.array_equal(gate(y, RATE, threshold=0.1), y)


def test_faded_24_bit_samples_stay_24_bit():
    y = as_type(loud_and_quiet()[:, None], "PCM_24")
    stream = Gate(GateDecision(0.03, GateSettings(range_db=-11)), RATE, quantization_step=256)
    output, _ = stream.process(y, last=True)
    assert not np.array_equal(output, y)
    assert not (output % 256).any()

import numpy as np
import pytest
import soundfile as sf
from hypothesis import assume, given
from hypothesis import strategies as st

from noisegate_cli import AudioError, GateSettings, GateStream, SettingsError, gate
from noisegate_cli.gating.settings import PRESETS
from tests.conftest import as_type, examples, loud_and_quiet

RATE = 8000
NOISE = np.random.default_rng(0).normal(0, 0.003, RATE)
RECORDING = loud_and_quiet(RATE) + np.random.default_rng(1).normal(0, 0.003, 3 * RATE)


def feed(stream, y, lengths):
    """Return the output of a stream that is fed with blocks of these lengths, in turn."""
    parts, start = [], 0
    while start < len(y):
        end = start + lengths[len(parts) % len(lengths)]
        parts.append(stream.process(y[start:end], last=end >= len(y)))
        start = end
    return np.concatenate(parts or [stream.process(y, last=True)])


@examples(20)
@given(
    length=st.integers(0, 24000),
    lengths=st.lists(st.integers(100, 9000), min_size=1, max_size=4),
    preset=st.sampled_from(list(PRESETS)),
    spectral=st.booleans(),
    subtype=st.sampled_from(["PCM_16", "PCM_24", "FLOAT", "DOUBLE"]),
    channels=st.sampled_from([None, 1, 2]),
    key_hz=st.sampled_from([None, (200.0, 3000.0)]),
    is_live=st.booleans(),
)
def test_stream_output_equals_the_output_of_one_call(
    length, lengths, preset, spectral, subtype, channels, key_hz, is_live
):
    gate_settings = GateSettings.preset(preset, threshold=0.05, spectral=spectral, key_hz=key_hz)
    gate_settings = gate_settings.live if is_live else gate_settings
    y = as_type(RECORDING[:length], subtype)
    if channels:
        y = np.repeat(y[:, None], channels, axis=1)
    y_noise = NOISE if gate_settings.needs_noise else None
    stream = GateStream(gate_settings, RATE, channels or 1, y_noise=y_noise)
    expected = gate(y, RATE, settings=gate_settings, y_noise=y_noise, return_result=True)
    for _ in range(2):
        out = feed(stream, y, lengths)
        assert out.dtype == y.dtype
        assert np.array_equal(out, expected.samples)
        assert stream.report.statistics == expected.statistics
        assert stream.report.segments == expected.segments
        stream.reset()


@pytest.mark.parametrize("forced", [{"keep": [(1.2, 1.5)]}, {"cut": [(0.2, 0.4), (2.5, 3)]}])
def test_a_stream_keeps_and_cuts_the_segments_of_one_call(forced):
    settings = GateSettings(threshold=0.05)
    stream = GateStream(settings, RATE, **forced)
    expected = gate(RECORDING, RATE, settings=settings, **forced)
    assert not np.array_equal(expected, gate(RECORDING, RATE, settings=settings))
    for _ in range(2):
        assert np.array_equal(feed(stream, RECORDING, [700, 3000]), expected)
        stream.reset()


def test_a_stream_that_ends_before_a_segment_to_keep_is_an_error():
    stream = GateStream(GateSettings(threshold=0.05), RATE, keep=[(4, 5)])
    with pytest.raises(AudioError, match=r"ends at .* before the time span to keep"):
        stream.process(RECORDING, last=True)


def test_a_stream_refuses_segments_that_are_not_pairs_of_times():
    with pytest.raises(SettingsError, match="cut"):
        GateStream(GateSettings(threshold=0.05), RATE, cut=[(2, 1)])


@examples(25)
@given(
    block=st.integers(50, 3000),
    preset=st.sampled_from(list(PRESETS)),
    key_hz=st.sampled_from([None, (200.0, 3000.0)]),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "lookahead_ms": st.floats(0, 100),
            "attack_ms": st.floats(0, 100),
            "min_open_ms": st.floats(0, 300),
            "min_closed_ms": st.floats(0, 300),
            "frame_length": st.sampled_from([64, 256, 2048]),
        },
    ),
)
def test_the_output_lags_by_no_more_than_the_latency(block, preset, key_hz, changes):
    gate_settings = GateSettings.preset(preset, threshold=0.05, key_hz=key_hz, **changes)
    assume(not (key_hz and gate_settings.frame_length == 64))
    stream, output_samples = GateStream(gate_settings, RATE), 0
    y = RECORDING
    for start in range(0, len(y), block):
        part = y[start : start + block]
        output_samples += len(stream.process(part))
        assert start + len(part) - output_samples <= stream.latency


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("key_hz", [None, (200.0, 3000.0)])
def test_the_latency_of_a_live_stream_is_not_overestimated(preset, key_hz):
    gate_settings = GateSettings.preset(preset, threshold=0.05, key_hz=key_hz, frame_length=256)
    stream, output_samples, lag, block = GateStream(gate_settings.live, RATE), 0, 0, 33
    for start in range(0, len(RECORDING), block):
        output_samples += len(stream.process(RECORDING[start : start + block]))
        lag = max(lag, start + block - output_samples)
    assert stream.latency - block < lag <= stream.latency


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "threshold 'auto' is derived from the whole recording"),
        ({"threshold": "floor+6dB"}, "give a level, such as threshold='-40dB'"),
        ({"threshold": 0.1, "adaptive": True}, "give adaptive=False"),
        ({"threshold": 0.1, "target_floor_db": -60.0}, "target floor -60 dBFS depends"),
        ({"threshold": 0.1, "spectral": "soft"}, "as noise=, or samples as y_noise="),
        ({"threshold": 0.1, "spectral": "soft", "noise": (0.0, 1.0)}, "as noise=, or samples"),
    ],
)
def test_settings_that_need_the_whole_recording_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message) as error:
        GateStream(GateSettings(**changes), RATE)
    assert "\n" not in str(error.value)


def test_noise_from_a_file_equals_noise_from_samples(tmp_path):
    sf.write(tmp_path / "room.wav", NOISE, RATE, "DOUBLE")
    file_settings = GateSettings(threshold=0.05, spectral="soft", noise=str(tmp_path / "room.wav"))
    stream = GateStream(file_settings, RATE)
    from_samples = GateStream(GateSettings(threshold=0.05, spectral="soft"), RATE, y_noise=NOISE)
    assert np.array_equal(feed(stream, RECORDING, [5000]), feed(from_samples, RECORDING, [7000]))


def test_blocks_of_another_shape_or_type_are_refused():
    stream = GateStream(GateSettings(threshold=0.1), RATE, channels=2)
    with pytest.raises(SettingsError, match=r"give blocks shaped \(samples, 2\)"):
        stream.process(np.zeros(100))
    assert stream.process(np.zeros((0, 2))).shape == (0, 2)
    stream.process(np.zeros((100, 2), np.float32))
    with pytest.raises(SettingsError, match="type int16 does not fit a stream of float32"):
        stream.process(np.zeros((100, 2), np.int16))
    assert len(stream.process(np.zeros((0, 2)), last=True)) == 100
    with pytest.raises(SettingsError, match=r"the stream has ended: call reset\(\)"):
        stream.process(np.zeros((100, 2), np.float32))
    stream.reset()
    assert len(stream.process(np.zeros((50, 2), np.int16), last=True)) == 50


@pytest.mark.parametrize("channels", [0, 1.5, True, "2", None])
def test_the_number_of_channels_of_a_stream_must_be_a_whole_number(channels):
    with pytest.raises(SettingsError, match=f"channels {channels!r} must be a whole number"):
        GateStream(GateSettings(threshold=0.1), RATE, channels=channels)


@pytest.mark.parametrize(("shape", "channels"), [((-1,), 1), ((-1, 1), 1), ((-1, 2), 2)])
def test_an_empty_list_ends_a_stream_of_any_shape(shape, channels):
    y = RECORDING.astype(np.float32).reshape(shape)
    stream = GateStream(GateSettings(threshold=0.05), RATE, channels)
    out = [stream.process([]), stream.process(y), stream.process([], last=True)]
    assert [part.ndim for part in out[1:]] == [y.ndim, y.ndim]
    assert out[2].dtype == y.dtype
    assert np.array_equal(np.concatenate(out[1:]), gate(y, RATE, threshold=0.05))
    assert len(out[0]) == 0
    with pytest.raises(SettingsError, match="give preset='voice'"):
        GateStream("voice", RATE)


def test_a_stream_with_an_invalid_sample_must_be_reset():
    stream = GateStream(GateSettings(threshold=0.1), RATE)
    with pytest.raises(AudioError, match="NaN"):
        stream.process(np.full(1000, np.nan))
    with pytest.raises(SettingsError, match=r"call reset\(\)"):
        stream.process(np.zeros(1000))
    silent = GateStream(GateSettings(threshold=0.1, nonfinite="zero"), RATE)
    assert not silent.process(np.full(1000, np.nan), last=True).any()

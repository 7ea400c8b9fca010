"""Arrays of every type and layout, and the results of one call."""

import pickle
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import (
    GateSettings,
    GateStream,
    SettingsError,
    analyze,
    analyze_file,
    gate,
    gate_file,
    segments,
)
from noisegate_cli.terminal.cli import run
from tests.conftest import as_type, loud_and_quiet

RATE = 16000
STEREO = np.column_stack([loud_and_quiet(), 0.5 * loud_and_quiet()])


class Series:
    """Minimal stand-in for a pandas series."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._values, dtype)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_byte_order_and_memory_layout_do_not_change_the_result(dtype):
    y = STEREO.astype(dtype) if dtype[0] == "f" else as_type(STEREO, f"PCM_{dtype[3:]}")
    expected = gate(y, RATE, threshold=0.02)
    assert expected.dtype == y.dtype
    byte_swapped = y.astype(y.dtype.newbyteorder(">"))
    padded = np.zeros((2 * len(y), 3), dtype)[::2, ::-1]
    padded[:, :2] = y
    for equivalent in (
        byte_swapped,
        np.asfortranarray(y),
        padded[:, :2],
        y.tolist() if dtype == "float64" else y,
    ):
        out = gate(equivalent, RATE, threshold=0.02)
        assert np.array_equal(out, expected)
        assert out.dtype == np.asarray(equivalent).dtype


def test_array_like_objects_are_gated():
    y = loud_and_quiet()
    assert np.array_equal(gate(Series(y), RATE, threshold=0.02), gate(y, RATE, threshold=0.02))
    unmasked = np.ma.masked_array(y, mask=False)
    assert np.array_equal(gate(unmasked, RATE, threshold=0.02), gate(y, RATE, threshold=0.02))


@pytest.mark.parametrize(
    "dtype",
    ["float16", "int8", "uint8", "int64", "bool", "complex128", "longdouble", "object", "U3"],
)
def test_unsupported_types_are_refused_with_a_list_of_supported_types(dtype):
    y = np.zeros(1000).astype(dtype)
    with pytest.raises(SettingsError, match=f"type {y.dtype} cannot be gated: use ") as error:
        gate(y, RATE)
    if dtype not in ("object", "U3"):
        for name in str(error.value).split(": use ")[1].replace(" or ", ", ").split(", "):
            gate(y.real.astype(name), RATE, threshold=0.1)


def test_arrays_without_usable_samples_are_refused():
    masked = np.ma.masked_array(np.zeros(5), mask=[0, 1, 0, 1, 0])
    with pytest.raises(SettingsError, match="2 samples are masked: fill them first"):
        gate(masked, RATE)
    gate(masked.filled(0), RATE)
    with pytest.raises(SettingsError, match="not an array"):
        gate([[0.1, 0.2], [0.3]], RATE)
    with pytest.raises(SettingsError, match=r"shaped \(\) is neither"):
        gate(0.5, RATE)
    with pytest.raises(SettingsError, match=r"\(5, 0\) has no channels"):
        gate(np.zeros((5, 0)), RATE)


@pytest.mark.parametrize("axis", [-1, 1])
def test_channels_first_arrays_are_gated_along_the_given_axis(axis):
    expected = gate(STEREO, RATE, threshold=0.02, return_result=True)
    result = gate(STEREO.T, RATE, threshold=0.02, axis=axis, return_result=True)
    assert np.array_equal(result.samples, expected.samples.T)
    assert result.segments == expected.segments
    assert segments(STEREO.T, RATE, threshold=0.02, axis=axis) == expected.segments
    assert analyze(STEREO.T, RATE, axis=axis).peak_db == analyze(STEREO, RATE).peak_db
    mono = loud_and_quiet()
    assert np.array_equal(
        gate(mono, RATE, threshold=0.02, axis=-1), gate(mono, RATE, threshold=0.02)
    )


def test_a_wrong_axis_is_refused_with_a_hint():
    with pytest.raises(SettingsError, match=r"has its channels first: give axis=-1"):
        gate(STEREO.T, RATE)
    with pytest.raises(SettingsError, match=r"\(48000, 2\) has its channels last: give axis=0"):
        gate(STEREO, RATE, axis=-1)
    with pytest.raises(SettingsError, match="has no axis 2"):
        gate(STEREO, RATE, axis=2)
    gate(np.zeros((3000, 100)).T, RATE, axis=-1, threshold=0.1)


def test_array_and_file_results_have_the_same_fields(write, tmp_path):
    y = as_type(loud_and_quiet(), "PCM_16")
    from_array = gate(y, RATE, threshold="-34dB", preset="field", return_result=True)
    from_file = gate_file(write(y), tmp_path / "out.wav", threshold="-34dB", preset="field")
    assert np.array_equal(from_array.samples, gate(y, RATE, threshold="-34dB", preset="field"))
    for name in (
        "settings",
        "threshold",
        "range_db",
        "statistics",
        "segments",
        "cutoffs",
        "noises",
    ):
        assert getattr(from_array, name) == getattr(from_file, name), name
    assert len(from_file.segments) == from_file.statistics.openings == 2


def test_a_result_with_noise_profiles_has_a_short_repr():
    y = np.tile(loud_and_quiet(), 3) + np.random.default_rng(0).normal(0, 0.001, 9 * RATE)
    result = gate(y, RATE, spectral=True, return_result=True)
    assert result.noises[0] is not None
    assert len(repr(result.noises)) < 100


def test_settings_can_be_given_as_object_preset_or_keywords():
    y = loud_and_quiet()
    expected = gate(y, RATE, settings=GateSettings.preset("music", threshold=0.02, hold_ms=10))
    assert np.array_equal(gate(y, RATE, preset="music", threshold=0.02, hold_ms=10), expected)
    music = GateSettings.preset("music")
    assert np.array_equal(gate(y, RATE, settings=music, threshold=0.02, hold_ms=10), expected)
    with pytest.raises(SettingsError, match="use either settings= or preset='music', not both"):
        gate(y, RATE, settings=music, preset="music")
    with pytest.raises(TypeError, match="'hold' is not a setting: did you mean hold_ms"):
        gate(y, RATE, hold=10)


def test_noise_samples_and_a_noise_setting_exclude_each_other():
    y, noise = loud_and_quiet(), np.random.default_rng(0).normal(0, 0.001, RATE)
    with pytest.raises(SettingsError, match="use either noise= or y_noise=, not both"):
        gate(y, RATE, spectral=True, noise=(0.0, 1.0), y_noise=noise)
    with pytest.raises(SettingsError, match="does not use noise"):
        gate(y, RATE, preset="hard", threshold=0.1, spectral=True, y_noise=noise)
    with pytest.raises(SettingsError, match="samples of the noise as y_noise="):
        gate(y, RATE, spectral=True, noise=noise)


def test_samples_of_the_noise_serve_segments_and_analyze_too():
    room = np.random.default_rng(0).normal(0, 0.001, (RATE, 2))
    y = np.tile(STEREO, (2, 1)) + np.tile(room, (6, 1))
    options = {"threshold": 0.02, "spectral": True, "y_noise": room}
    expected = gate(y, RATE, return_result=True, **options)
    assert segments(y, RATE, **options) == expected.segments
    assert analyze(y, RATE, **options).noises == expected.noises


def test_analyses_compare_by_value():
    y = loud_and_quiet()
    report, same, other = analyze(y, RATE), analyze(y, RATE), analyze(0.9 * y, RATE)
    assert report == same == pickle.loads(pickle.dumps(report))
    assert report != other
    assert report.histogram != other.histogram


def test_results_are_equal_if_samples_and_report_are():
    y = loud_and_quiet()
    result, same, other = (
        gate(samples, RATE, threshold=0.02, return_result=True) for samples in (y, y, 0.99 * y)
    )
    assert result == same
    assert result != other
    assert result.segments == other.segments
    assert len(repr(result)) < 200
    assert "samples.shape=(48000,)" in repr(result)


def test_segments_are_those_of_a_gate_with_segments_to_keep_and_to_cut():
    forced = {"keep": [(1.2, 1.5)], "cut": [(0.2, 0.4)]}
    expected = gate(STEREO, RATE, threshold=0.02, return_result=True, **forced)
    found = segments(STEREO, RATE, threshold=0.02, **forced)
    assert found == expected.segments != segments(STEREO, RATE, threshold=0.02)


def test_a_preset_in_a_file_is_the_same_as_on_the_command_line(tmp_path):
    path, source, output = (tmp_path / name for name in ("my.toml", "in.wav", "out.wav"))
    path.write_text('preset = "music"\nrange = "-18dB"\nhold = "0.1s"\nthreshold = -40\n')
    sf.write(source, STEREO, RATE)
    assert run(["gate", str(source), "-o", str(output), "--preset", str(path), "-q"]) == 0
    expected = sf.read(output, dtype="int16")[0]
    for preset in (path, str(path)):
        result = gate_file(source, preset=preset, force=True)
        assert np.array_equal(sf.read(result.output.path, dtype="int16")[0], expected)
    y = sf.read(source, dtype="int16")[0]
    assert np.array_equal(gate(y, RATE, preset=path), expected)
    assert segments(y, RATE, preset=path) == result.segments
    assert analyze_file(source, preset=path).settings == result.settings


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"range_db": -18, "hold_ms": 100, "spectral": "off"}),
        ({"hold_ms": 50}, {"range_db": -18, "hold_ms": 50}),
        ({"target_floor_db": -60}, {"range_db": None, "target_floor_db": -60}),
        ({"spectral": True}, {"range_db": -18, "spectral": "soft"}),
    ],
)
def test_values_have_priority_over_those_of_a_preset_in_a_file(tmp_path, changes, expected):
    path = tmp_path / "my.toml"
    path.write_text('range = "-18dB"\nhold = "0.1s"\n')
    settings = gate(STEREO, RATE, preset=path, return_result=True, **changes).settings
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hodl = 3", "my.toml': there is no gate option 'hodl': did you mean hold"),
        ('hold = "90s"', "my.toml': hold '90s' must be 0 to 60 s"),
        ("reduction = 12", "my.toml': reduction_db= requires spectral=True"),
        ("hold = ", "my.toml' is not TOML"),
        (None, "my.toml' does not exist"),
    ],
)
def test_a_wrong_preset_in_a_file_is_quoted(tmp_path, content, message):
    path = tmp_path / "my.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=message):
        gate(STEREO, RATE, preset=path)


def test_a_preset_file_and_settings_exclude_each_other(tmp_path):
    with pytest.raises(SettingsError, match="not both"):
        gate(STEREO, RATE, preset=tmp_path / "my.toml", settings=GateSettings())


@pytest.mark.parametrize("y", ["talk.wav", Path("talk.wav"), b"talk.wav", None])
def test_a_path_in_place_of_samples_is_quoted_with_what_reads_files(y):
    message = re.escape(f"{y!r} is not an array of samples: for a file call gate_file")
    for call in (
        lambda: gate(y, RATE),
        lambda: segments(y, RATE),
        lambda: analyze(y, RATE),
        lambda: gate(STEREO, RATE, against=[y]),
        lambda: GateStream(GateSettings(threshold=0.1), RATE).process(y),
    ):
        with pytest.raises(SettingsError, match=message):
            call()


@pytest.mark.parametrize("rate", ["16000", None, 16000.5, np.nan, np.inf, True, 0, -1])
def test_a_sample_rate_that_is_not_a_whole_number_is_quoted(rate):
    message = re.escape(f"sample rate {rate!r} must be a whole number of 1 Hz or more")
    for call in (gate, segments, analyze):
        with pytest.raises(SettingsError, match=message):
            call(STEREO, rate)
    with pytest.raises(SettingsError, match=message):
        GateStream(GateSettings(threshold=0.1), rate)


def test_swapped_arguments_give_one_short_line():
    with pytest.raises(SettingsError, match="sample rate of type ndarray must be"):
        gate(RATE, STEREO)


@pytest.mark.parametrize("rate", [16000.0, np.int64(16000), np.float32(16000)])
def test_a_whole_number_of_any_type_is_a_sample_rate(rate):
    assert segments(STEREO, rate, threshold=0.02) == segments(STEREO, 16000, threshold=0.02)


def test_an_axis_that_is_not_a_number_is_quoted():
    with pytest.raises(SettingsError, match="axis 'time' must be a whole number: give 0 or -1"):
        gate(STEREO, RATE, axis="time")


def test_a_segment_as_text_is_quoted_as_given():
    with pytest.raises(SettingsError, match="keep '0:01-0:02' is not a time span: give"):
        gate(STEREO, RATE, keep=["0:01-0:02"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spectral": True},
        {"spectral": "mask", "y_noise": STEREO[9000:]},
        {"channels": "separate", "threshold": "-30dB"},
        {"duck": True},
        {"ratio": 3, "threshold": "floor+6dB"},
        {"keep": [(0.1, 0.2)], "cut": [(0.3, 0.4)]},
    ],
    ids=str,
)
def test_segments_are_those_of_the_gate(changes):
    for y in (STEREO, as_type(STEREO, "PCM_16")):
        assert segments(y, RATE, **changes) == gate(y, RATE, return_result=True, **changes).segments


def test_segments_need_no_memory_for_samples():
    y = np.tile(loud_and_quiet().astype(np.float32), 200)
    tracemalloc.start()
    segments(y, RATE, threshold="-30dB")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < y.nbytes / 2

"""Arguments of a wrong type or value cause one line that names the parameter."""

import inspect
import io
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import noisegate_cli
from noisegate_cli import (
    Excerpt,
    GateSettings,
    GateStream,
    NoisegateError,
    OutputOptions,
    RawFormat,
    SettingsError,
    analyze,
    analyze_file,
    gate,
    gate_file,
    measure_level_histogram,
    segments,
    write_labels,
)
from tests.conftest import SPEECH, loud_and_quiet

RATE = 16000
Y = loud_and_quiet()
LIVE = GateSettings(threshold="-30dB")

VALID_CALLS = {
    gate: (Y, RATE),
    segments: (Y, RATE),
    analyze: (Y, RATE),
    gate_file: (SPEECH, "out.wav"),
    analyze_file: (SPEECH,),
    measure_level_histogram: (SPEECH,),
    write_labels: ("labels.txt", segments(Y, RATE)),
    GateStream: (LIVE, RATE),
    RawFormat: (44100, 1, "PCM_16"),
    RawFormat.parse: ("44100:1:s16",),
}
"""The positional arguments of a valid call of each public function."""

SWITCHES = {"force", "fsync", "with_peak", "return_result", "keep_mtime", "big_endian"}
"""Parameters of which Python takes the truth."""

NAMES_IN_MESSAGES = {"y": "samples", "sample_rate": "sample rate", "preset": "preset"}


def parameters_of(*functions):
    """Return each parameter of some functions, without keyword settings and switches."""
    return [
        pytest.param(function, name, id=f"{function.__qualname__}-{name}")
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in SWITCHES
    ]


def call_with(function, name, value):
    """Call a function with valid arguments, apart from one."""
    parameters = inspect.signature(function).parameters
    arguments = dict(zip(parameters, VALID_CALLS.get(function, ()), strict=False))
    return function(**arguments | {name: value})


@pytest.mark.parametrize(
    ("function", "name"), parameters_of(*VALID_CALLS, OutputOptions, Excerpt, GateSettings)
)
@pytest.mark.parametrize("create", [object, lambda: io.BytesIO(b"RIFF")], ids=["object", "file"])
def test_a_value_of_a_foreign_type_causes_a_message_that_names_the_parameter(
    function, name, create, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoisegateError) as caught:
        call_with(function, name, create())
    message = str(caught.value)
    shown = {name, NAMES_IN_MESSAGES.get(name, name), name.split("_")[0], "RawFormat", "raw"}
    assert any(word in message for word in shown)
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


PATHS = {
    gate_file: ("path", "output", "residue", "labels", "comparison", "key", "plot", "preset"),
    analyze_file: ("path", "labels", "plot", "preset"),
    measure_level_histogram: ("path",),
    write_labels: ("path",),
}


@pytest.mark.parametrize("value", ["", "a\0b.wav", b"a.wav"])
@pytest.mark.parametrize(
    ("function", "name"),
    [(function, name) for function, names in PATHS.items() for name in names],
)
def test_a_path_that_no_file_can_have_is_refused_and_named(
    function, name, value, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=f"^{name}="):
        call_with(function, name, value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("function", [gate_file, analyze_file])
@pytest.mark.parametrize("against", ["other.wav", Path("other.wav"), None, 3, iter(["a.wav"])])
def test_one_path_is_not_a_list_of_other_tracks(function, against):
    with pytest.raises(SettingsError, match=r"against=.* is not a list of paths"):
        call_with(function, "against", against)


@pytest.mark.parametrize("against", [Y, None, "other.wav"])
def test_one_array_is_not_a_list_of_other_tracks(against):
    with pytest.raises(SettingsError, match="against= is not a list of arrays"):
        gate(Y, RATE, against=against)


@pytest.mark.parametrize(
    ("name", "given", "options"),
    [
        ("key", "key", {}),
        ("against[0]", "against", {}),
        ("y_noise", "y_noise", {"spectral": True}),
    ],
)
@pytest.mark.parametrize("fault", ["shape", "type", "nan"])
def test_a_message_about_another_array_names_its_parameter(name, given, options, fault):
    nan = Y.copy()
    nan[100] = np.nan
    faulty = {"shape": np.zeros((2, 9000)), "type": np.zeros(9000, np.int8), "nan": nan}[fault]
    with pytest.raises(NoisegateError, match=f"^{re.escape(name)}: "):
        gate(Y, RATE, **{given: [faulty] if given == "against" else faulty}, **options)


@pytest.mark.parametrize("rate", [10**12, 2**70, 1e300])
@pytest.mark.parametrize("function", [gate, segments, analyze, GateStream])
def test_a_sample_rate_that_no_recording_has_is_refused(function, rate):
    with pytest.raises(SettingsError, match=r"sample rate \d+ must be 3072000 Hz or less"):
        call_with(function, "sample_rate", rate)


@pytest.mark.parametrize("arguments", [(10**12, 1), (44100, 10**9), (True, 1), (44100, True)])
def test_a_raw_format_that_no_recording_has_is_refused(arguments):
    with pytest.raises(SettingsError, match="is not a sample format"):
        RawFormat(*arguments, "PCM_16")


@pytest.mark.parametrize("channels", [0, 1025, 10**9])
def test_a_stream_has_as_many_channels_as_a_recording_can_have(channels):
    with pytest.raises(SettingsError, match=rf"channels {channels} must be .* from 1 to 1024"):
        GateStream(LIVE, RATE, channels)


def test_bytes_are_not_quoted_in_full():
    with pytest.raises(SettingsError, match="is not an array of samples") as caught:
        gate(Y.tobytes(), RATE)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("name", "given", "stored"),
    [
        ("hold_ms", np.int8(120), 120),
        ("hold_ms", np.float32(30), 30.0),
        ("hold_ms", np.array(30.0), 30.0),
        ("hold_ms", Fraction(5, 2), 2.5),
        ("threshold", Fraction(1, 4), 0.25),
        ("range_db", np.float64(-20), -20.0),
        ("frame_length", np.int16(2048), 2048),
        ("key_hz", [np.float32(100), np.int16(3000)], (100.0, 3000)),
        ("adaptive", np.True_, True),
        ("duck", np.False_, False),
        ("spectral", True, "soft"),
        ("spectral", np.False_, "off"),
    ],
)
def test_a_setting_is_stored_in_a_type_of_python(name, given, stored):
    value = getattr(GateSettings(**{name: given}), name)
    types = [type(part) for part in (value if isinstance(value, tuple) else (value,))]
    assert value == stored
    assert set(types) <= {int, float, bool, str}


def test_the_settings_of_the_library_accept_what_gate_accepts():
    fields = set(inspect.signature(GateSettings).parameters)
    assert fields == set(noisegate_cli.SettingsChanges.__annotations__)
    assert GateSettings(spectral=True) == GateSettings.preset("voice", spectral=True)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (gate_file, ", or call gate() for samples"),
        (analyze_file, ", or call analyze() for samples"),
        (measure_level_histogram, ""),
        (lambda path: write_labels(path, segments(loud_and_quiet(), 16000)), ""),
    ],
)
def test_samples_in_place_of_a_path_are_refused_with_the_function_for_samples(call, hint):
    with pytest.raises(SettingsError) as refusal:
        call(np.zeros(100))
    assert str(refusal.value) == f"path= of type ndarray is not a path: give text or a Path{hint}"

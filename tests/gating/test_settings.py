import inspect
import math
import re
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, SettingsError
from noisegate_cli.errors import SignalError
from noisegate_cli.gating.parsing import (
    parse_band,
    parse_duration,
    parse_key,
    parse_level,
    parse_noise,
    parse_quantity,
    parse_range,
    parse_reduction,
    parse_samples,
    parse_threshold,
    parse_time,
)
from noisegate_cli.gating.setting_values import PathLike, SettingsChanges
from noisegate_cli.gating.settings import PRESETS, build_settings
from noisegate_cli.gating.text_settings import PARSERS, parse_text
from noisegate_cli.gating.timing import default_frame_length, default_hop_length


@pytest.mark.parametrize(
    ("rate", "frame"),
    [(8000, 256), (16000, 512), (22050, 1024), (44100, 2048), (48000, 2048), (192000, 8192)],
)
def test_the_default_frame_is_the_next_power_of_two_from_30_ms(rate, frame):
    assert default_frame_length(rate) == frame
    assert default_hop_length(frame) == frame // 4


def test_times_are_converted_to_frames():
    timing = GateSettings(hold_ms=100, lookahead_ms=9, release_ms=20).timing(16000)
    assert (timing.hold, timing.lookahead, timing.release) == (12, 2, 2.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"threshold": float("nan")}, "threshold nan must be a number or text"),
        ({"threshold": float("inf")}, "for a level in dBFS give threshold='-30dB'"),
        ({"attack_ms": -1}, "attack (ms) -1"),
        ({"hold_ms": float("inf")}, "hold (ms) inf"),
        ({"hysteresis_db": -3}, "hysteresis (dB) -3"),
        ({"range_db": 3}, "range 3 dB"),
        ({"range_db": float("nan")}, "range (dB) nan must be a number"),
        ({"channels": "left"}, "'left'"),
        ({"frame_length": 0}, "frame length 0"),
        ({"frame_length": 1001}, "frame length 1001 must be even"),
        ({"frame_length": 1 << 40}, "must be 16 to 1048576 samples"),
        ({"frame_length": 2048, "hop_length": 1}, "give hop_length=512"),
        ({"release_ms": 1e12}, "must be 0 to 60000"),
        ({"frame_length": 2048, "hop_length": 500}, "hop length 500"),
        ({"frame_length": 512, "hop_length": 512}, "hop length 512"),
    ],
)
def test_an_out_of_range_setting_is_refused_and_quoted(changes, message):
    with pytest.raises(SettingsError, match=re.escape(message)):
        GateSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": None}, "threshold None must be a number or text"),
        ({"hold_ms": "100ms"}, "hold (ms) '100ms' must be a number"),
        ({"hold_ms": None}, "hold (ms) None must be a number"),
        ({"frame_length": 512.0}, "frame length 512.0 must be an integer"),
        ({"key_hz": "250-4000"}, "key '250-4000' must be two frequencies in Hz"),
        ({"key_hz": (250,)}, "key (250,) must be two frequencies in Hz"),
        ({"key_hz": 250}, "key 250 must be two frequencies in Hz"),
        ({"adaptive": "no"}, "adaptive 'no' must be True or False"),
        ({"duck": 1}, "duck 1 must be True or False"),
        ({"speech": "no"}, "speech 'no' must be True or False"),
    ],
)
def test_a_setting_of_another_type_is_refused_and_quoted(changes, words):
    with pytest.raises(SettingsError, match=re.escape(words)):
        GateSettings(**changes)


def test_settings_take_numpy_numbers_lists_and_paths():
    expected = GateSettings(hold_ms=50, frame_length=512, key_hz=(250, 4000))
    given_by_numpy = GateSettings(
        hold_ms=np.float32(50), frame_length=np.int64(512), key_hz=[np.int16(250), 4000]
    )
    assert given_by_numpy == expected
    assert hash(given_by_numpy) == hash(expected)
    span = GateSettings(spectral="soft", noise=[np.float32(0.5), np.int64(2)])
    assert span.noise_span == (0.5, 2)
    assert GateSettings(spectral="soft", noise=Path("room.wav")).noise_file == "room.wav"


def test_help_describes_every_setting():
    text = inspect.getdoc(GateSettings)
    for field in fields(GateSettings):
        assert f"\n{field.name} : " in text


def test_settings_in_another_form_are_refused_with_what_to_give():
    with pytest.raises(SettingsError, match="give preset='music'"):
        build_settings("music", None, {})
    with pytest.raises(SettingsError, match=r"give GateSettings\(...\)"):
        build_settings({"hold_ms": 50}, None, {})


def test_a_hop_that_does_not_divide_the_default_frame_is_refused_when_that_is_known():
    with pytest.raises(SettingsError, match="give hop_length=512"):
        GateSettings(hop_length=500).timing(44100)


def test_single_settings_of_a_preset_can_be_changed():
    assert GateSettings.preset("hard", hold_ms=50).changes_from(PRESETS["hard"]) == {"hold_ms": 50}
    with pytest.raises(SettingsError, match="'loud' is not one of voice, music, field, hard"):
        GateSettings.preset("loud")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("0.03", 0.03),
        (".5", 0.5),
        ("1e-3", 1e-3),
        ("-20dB", 0.1),
        ("-20 dbfs", 0.1),
        ("-20", 0.1),
        ("0", 0.0),
    ],
)
def test_thresholds_are_linear_or_in_db(text, level):
    assert parse_threshold(text) == pytest.approx(level)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("4", "for 4% give 0.04, for a level in dBFS give -4dB"),
        ("-0.5", "for a level in dBFS give -0.5dB"),
        ("3dB", "give -3dB"),
        ("abc", "'abc' is not a level"),
        ("", "'' is not a level"),
        ("nan", "'nan' is not a level"),
        ("0.03V", "'0.03V' is not a level"),
    ],
)
def test_an_invalid_threshold_gets_a_hint(text, hint):
    with pytest.raises(SettingsError, match=re.escape(hint)):
        parse_threshold(text)


@pytest.mark.parametrize("text", ["-24dB", "24dB", "24", "-24", "24 db"])
def test_attenuations_need_neither_a_sign_nor_a_unit(text):
    assert parse_range(text) == -24
    assert parse_reduction(text) == 24
    assert parse_level("target floor", text) == -24


def test_a_range_of_two_meanings_is_refused():
    assert parse_range("Mute") == -math.inf
    assert parse_range("0") == 0
    with pytest.raises(SettingsError, match="for this linear gain give -6.02dB"):
        parse_range("0.5")
    with pytest.raises(SettingsError, match="would make the closed gate louder: give -6dB"):
        parse_range("+6dB")
    with pytest.raises(SettingsError, match="or mute: did you mean mute?"):
        parse_range("mut")


def test_durations_can_have_a_unit_and_their_limit_has_the_same():
    assert [parse_duration("attack", text) for text in ("5", "5ms", "0.005 s")] == [5, 5, 5]
    with pytest.raises(SettingsError, match="attack '90s' must be 0 to 60 s"):
        parse_duration("attack", "90s")
    with pytest.raises(SettingsError, match="attack '90000' must be 0 to 60000 ms"):
        parse_duration("attack", "90000")
    with pytest.raises(SettingsError, match="attack '5m' is not a duration"):
        parse_duration("attack", "5m")
    with pytest.raises(SettingsError, match="'5ms' is not a number of dB"):
        parse_quantity("hysteresis", "5ms", unit="dB")


@pytest.mark.parametrize("name", ["attack", "min open"])
@pytest.mark.parametrize("text", ["0.5", ".25", "0,5", "5e-1"])
def test_a_fraction_of_1_needs_the_unit_of_its_time(name, text):
    with pytest.raises(SettingsError, match=rf"{name} '{text}' has no unit: give .*s or .*ms"):
        parse_duration(name, text)
    assert parse_duration(name, f"{text}s") == pytest.approx(
        1000 * parse_duration(name, f"{text}ms")
    )
    assert parse_duration(name, "0") == 0


TEXTS = {
    "threshold": "-40.5dB",
    "key_hz": "250.5-4000",
    "hysteresis_db": "3.5",
    "min_open_ms": "80.5",
    "min_closed_ms": "80.5ms",
    "frame_length": "1024",
    "hop_length": "256",
    "lookahead_ms": "0.5s",
    "attack_ms": "10.5",
    "hold_ms": "10.5",
    "release_ms": "10.5",
    "range_db": "-24.5dB",
    "target_floor_db": "-62.5dB",
    "ratio": "2.5:1",
    "knee_db": "6.5 dB",
    "reduction_db": "-12.5",
    "noise": "0:00.5-0:02.125",
}


@pytest.mark.parametrize("minus", "−–‐‑")
@pytest.mark.parametrize("field", TEXTS)
def test_every_number_may_have_a_typographic_minus_and_a_decimal_comma(field, minus):
    text = TEXTS[field]
    typed = text.replace("-", minus).replace(".", ",")
    assert parse_text(field, typed) == parse_text(field, text)


def test_every_setting_with_a_number_is_among_these_texts():
    assert TEXTS.keys() == PARSERS.keys() - {"listen", "channels", "nonfinite"}


def test_a_comma_that_may_separate_thousands_is_refused():
    for parse in (partial(parse_duration, "hold"), parse_threshold, partial(parse_band, "key")):
        with pytest.raises(SettingsError, match="'1,500' is not a"):
            parse("1,500")
    assert parse_time("start", "1:20,500") == 80.5
    assert parse_threshold("0,025") == 0.025


def test_files_and_methods_keep_their_names():
    assert parse_noise("room–1,5.wav") == "room–1,5.wav"
    assert parse_key("a–b.wav:250–4000") == ("a–b.wav", (250.0, 4000.0))
    assert parse_threshold("floor+6,5dB") == "floor+6.5dB"


def test_whole_numbers_are_whole():
    with pytest.raises(SettingsError, match="'1.5' is not a whole number of samples"):
        parse_samples("hop length", "1.5")


@pytest.mark.parametrize("frame", [18, 30, 254, 1000, 1018, 2046])
def test_every_even_frame_length_has_a_default_hop_length(frame):
    settings = GateSettings(frame_length=frame)
    timing = settings.timing(8000)
    assert timing.frame_length == timing.hop_length * timing.overlap
    assert timing.overlap in range(2, 65, 2)


def test_a_threshold_can_be_text():
    assert GateSettings(threshold="-30dB").threshold == pytest.approx(10 ** (-30 / 20))
    assert GateSettings(threshold="0.03") == GateSettings(threshold=0.03)
    assert GateSettings.preset("music", threshold="-20dB").threshold == pytest.approx(0.1)
    with pytest.raises(SettingsError, match="'4dB' is above full scale: give -4dB"):
        GateSettings(threshold="4dB")


def test_a_key_just_below_half_the_sample_rate_is_refused_only_if_the_frame_is_too_short():
    settings = GateSettings(key_hz=(7900.0, 7990.0))
    with pytest.raises(SignalError, match=r"narrower than the 125 Hz .* frame_length=1024"):
        settings.key_band(16000)
    longer = GateSettings(key_hz=(7900.0, 7990.0), frame_length=1024)
    assert longer.key_band(16000) == (7900.0, 7990.0)
    assert GateSettings(key_hz=(7900.0, 9000.0), frame_length=1024).key_band(16000)[1] == 8000.0
    with pytest.raises(SignalError, match="is above half the sample rate of 16000 Hz"):
        GateSettings(key_hz=(8000.0, 9000.0)).key_band(16000)


VALUES = {
    "threshold": st.floats(0, 1) | st.sampled_from(["auto", "auto:otsu", "floor+6dB"]),
    "adaptive": st.booleans(),
    "key_hz": st.none() | st.just((250.0, 4000.0)),
    "hysteresis_db": st.floats(0, 100),
    "min_closed_ms": st.floats(0, 1000),
    "min_open_ms": st.floats(0, 1000),
    "lookahead_ms": st.floats(0, 1000),
    "attack_ms": st.floats(0, 1000),
    "hold_ms": st.floats(0, 1000),
    "release_ms": st.floats(0, 1000),
    "range_db": st.floats(max_value=0, allow_infinity=True),
    "ratio": st.floats(min_value=1, exclude_min=True),
    "knee_db": st.sampled_from([0.0, 6.0]),
    "duck": st.booleans(),
    "frame_length": st.none() | st.sampled_from([512, 1024]),
    "hop_length": st.none() | st.sampled_from([64, 128]),
    "target_floor_db": st.none() | st.floats(-100, -1),
    "channels": st.sampled_from(["linked", "separate"]),
    "spectral": st.sampled_from(["off", "soft", "mask"]),
    "reduction_db": st.floats(min_value=0),
    "noise": st.none() | st.just((0.0, 1.0)) | st.just("room.wav"),
    "nonfinite": st.sampled_from(["refuse", "zero"]),
    "listen": st.sampled_from(["voice", "all"]),
    "speech": st.booleans(),
}
CHANGES = st.fixed_dictionaries({}, optional=VALUES)


def explicit(changes):
    """Return the changes that give a value; None leaves the choice to the gate."""
    return {name: value for name, value in changes.items() if value is not None}


@given(preset=st.sampled_from(list(PRESETS)), changes=CHANGES)
def test_an_explicit_setting_overrides_every_preset_and_survives_other_settings(preset, changes):
    try:
        settings = build_settings(None, preset, changes)
    except SettingsError:
        # Contradictions are refused instead of resolved.
        given_names = set(explicit(changes))
        assert {"range_db", "target_floor_db"} <= given_names or (
            given_names & {"noise", "ratio", "knee_db", "duck", "speech"}
        )
        return
    for name, value in changes.items():
        assert getattr(settings, name) == value, name
        assert name == "range_db" or getattr(settings.resolved, name) == value, name
    if "range_db" in changes:
        assert settings.closed_range_db == settings.resolved.range_db == changes["range_db"]


@given(before=CHANGES, after=CHANGES)
def test_settings_survive_changes_of_other_settings(before, after):
    try:
        settings = GateSettings(**before)
        changed = build_settings(settings, None, after)
    except SettingsError:
        return
    for name, value in (before | after).items():
        assert getattr(changed, name) == value, name


def test_every_setting_has_a_value_in_these_tests():
    assert set(VALUES) == {field.name for field in fields(GateSettings)}


def test_the_typed_keyword_arguments_are_the_fields():
    types = get_type_hints(GateSettings)
    keywords = get_type_hints(SettingsChanges)
    assert keywords.pop("spectral") == types.pop("spectral") | bool
    assert set(get_args(keywords.pop("noise"))) == {*get_args(types.pop("noise")), PathLike}
    for name in ("range_db", "reduction_db"):
        assert keywords.pop(name) == types.pop(name) | str
    assert keywords == types


def test_a_range_survives_the_spectral_gate_and_a_preset_leaves_the_choice_to_it():
    assert build_settings(GateSettings(range_db=-60.0), None, {"spectral": True}).range_db == -60
    assert GateSettings(spectral="soft").closed_range_db == 0
    assert GateSettings().closed_range_db == -math.inf
    assert GateSettings.preset("music").closed_range_db == -30
    assert GateSettings.preset("music", spectral=True).closed_range_db == 0
    assert GateSettings.preset("music", target_floor_db=-60.0).range_db is None
    with pytest.raises(SettingsError, match=r"range_db= and target_floor_db= both"):
        GateSettings(range_db=-20.0, target_floor_db=-60.0)


def test_spectral_chooses_the_mode_of_the_preset_and_keeps_the_mode_of_settings():
    assert GateSettings.preset("hard", spectral=True).spectral == "mask"
    assert GateSettings.preset("voice", spectral=True).spectral == "soft"
    assert GateSettings.preset("voice", spectral=False).spectral == "off"
    mask = GateSettings.preset("hard", spectral=True)
    assert build_settings(mask, None, {"spectral": True}).spectral == "mask"
    assert build_settings(PRESETS["hard"], None, {"spectral": True}).spectral == "soft"


def test_a_gain_can_be_text_as_on_the_command_line():
    settings = GateSettings(range_db="mute", spectral="soft", reduction_db="12dB")
    assert (settings.range_db, settings.reduction_db) == (-math.inf, 12.0)
    assert build_settings(None, "music", {"range_db": "-20dB"}).range_db == -20.0
    with pytest.raises(SettingsError, match="range 'muted' is not a gain"):
        GateSettings(range_db="muted")


def test_a_truth_value_is_not_a_number():
    for name in ("threshold", "hold_ms", "range_db", "frame_length"):
        with pytest.raises(SettingsError, match="True must be"):
            GateSettings(**{name: True})


def test_a_level_in_dbfs_that_is_given_as_a_number_suggests_text():
    with pytest.raises(SettingsError, match="for a level in dBFS give threshold='-30dB'"):
        GateSettings(threshold=-30)


@pytest.mark.parametrize("text", ["floor+6", "floor + 6 dB", "Floor+6.0dB"])
def test_a_distance_from_the_noise_needs_no_unit(text):
    assert parse_threshold(text) == "floor+6dB"

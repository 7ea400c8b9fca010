"""Presets of the user and environment variables set options, with the same checks."""

import json
import math
import tomllib
from pathlib import Path

import pytest

from noisegate_cli import GateSettings, SettingsError
from noisegate_cli.api.presets import Preset
from noisegate_cli.errors import OutputError
from noisegate_cli.terminal.cli import COMMANDS, run
from noisegate_cli.terminal.commands import build_command
from noisegate_cli.terminal.options.completion import complete_presets
from noisegate_cli.terminal.options.gate_settings import choose_preset
from noisegate_cli.terminal.options.preset_files import (
    load_preset,
    save_preset,
    user_presets_path,
)
from tests.conftest import SPEECH, tone


@pytest.fixture(autouse=True)
def user_file(tmp_path, monkeypatch):
    """The file with the presets of the user, which does not exist yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "platformdirs.user_config_path", lambda name, **_: tmp_path / "config" / name
    )
    return tmp_path / "config" / "ngate" / "presets.toml"


def settings_of(name, **texts):
    return choose_preset(name, texts).parse()


def test_a_file_sets_options_as_the_command_line_does():
    Path("my.toml").write_text(
        'preset = "Music"\nrange = -24\nhold = "0.2s"\nmin-open = 40\nkey = "250-4000"\n'
        "spectral = true\nreduction = 12.5\nadaptive = false\n"
    )
    expected = GateSettings.preset(
        "music",
        range_db=-24,
        hold_ms=200,
        min_open_ms=40,
        key_hz=(250, 4000),
        spectral=True,
        reduction_db=12.5,
    )
    assert settings_of("./my.toml") == expected
    assert settings_of("./my.toml", hold_ms="50").hold_ms == 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hodl = 3", "'my.toml': there is no gate option 'hodl': did you mean hold?"),
        ("output = 3", "'my.toml': there is no gate option 'output'"),
        ('hold = "90s"', "'my.toml': hold '90s' must be 0 to 60 s"),
        ("hold = true", "'my.toml': hold True must be text or a number"),
        ('spectral = "yes"', "'my.toml': spectral 'yes' must be true or false"),
        ("reduction = 12", "'my.toml': --reduction requires --spectral"),
        (
            'channels = "seperate"',
            "channels 'seperate' must be one of linked, separate, exclusive",
        ),
        ('preset = "voce"', "'my.toml': preset 'voce' is not one of voice, music, field, hard:"),
        ("[voice]\nhold = 3", "'my.toml': there is no gate option 'voice'"),
        ("hold =", "preset 'my.toml' is not TOML"),
    ],
)
def test_a_wrong_file_is_one_line_with_file_and_key(capsys, content, message):
    Path("my.toml").write_text(content)
    assert run(["gate", str(SPEECH), "--preset", "my.toml", "-o", "out.wav"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not Path("out.wav").exists()


def test_a_missing_file_is_reported(capsys):
    assert run(["gate", str(SPEECH), "--preset", "./none.toml"]) == 2
    assert "'none.toml' does not exist" in capsys.readouterr().err.replace("./", "")


def test_given_options_are_saved_and_used(capsys, write):
    source = str(write(tone(1, 0.1)))
    options = ["-p", "music", "--hold", "0.2s", "--range", "24", "--save-preset", "interview"]
    assert run(["gate", source, *options]) == 0
    assert "preset     interview in " in capsys.readouterr().err
    assert tomllib.loads(user_presets_path().read_text()) == {
        "interview": {"preset": "music", "hold": "0.2s", "range": 24}
    }
    assert settings_of("interview") == GateSettings.preset("music", hold_ms=200, range_db=-24)
    assert complete_presets("int") == [("interview", "your preset")]
    assert run(["gate", source, "-p", "intervew"]) == 2
    assert capsys.readouterr().err.endswith(
        "is not one of voice, music, field, hard, interview: did you mean interview?\n"
    )


def save(name, force=False, **texts):
    return save_preset(name, Preset("voice", texts), force)


def test_a_preset_is_only_replaced_on_demand_and_the_rest_of_the_file_stays(user_file):
    user_file.parent.mkdir(parents=True)
    user_file.write_text('# mine\n[a]\nhold = 1 # short\n\n[b]\nhold = 2\n\n[c]\nkey = "1-2kHz"\n')
    with pytest.raises(OutputError, match="preset 'b' already exists: force=True overwrites it"):
        save("b", hold_ms="5")
    save("b", force=True, hold_ms="5")
    save("b", hold_ms="5")  # It is the same.
    save("two words", range_db="mute", spectral=True)
    assert user_file.read_text() == (
        '# mine\n[a]\nhold = 1 # short\n\n[b]\npreset = "voice"\nhold = 5\n\n'
        '[c]\nkey = "1-2kHz"\n\n'
        '["two words"]\npreset = "voice"\nrange = "mute"\nspectral = true\n'
    )
    assert settings_of("two words").range_db == -math.inf


def test_a_file_of_presets_that_is_a_link_stays_one(user_file, tmp_path):
    user_file.parent.mkdir(parents=True)
    (tmp_path / "real.toml").touch()
    user_file.symlink_to(tmp_path / "real.toml")
    save("a", hold_ms="5")
    assert user_file.is_symlink()
    assert (tmp_path / "real.toml").read_text() == '[a]\npreset = "voice"\nhold = 5\n'


def test_a_table_that_cannot_be_replaced_is_left(user_file):
    user_file.parent.mkdir(parents=True)
    user_file.write_text("b = { hold = 2 }\n")
    with pytest.raises(OutputError, match="edit it there"):
        save("b", force=True, hold_ms="5")
    assert user_file.read_text() == "b = { hold = 2 }\n"


@pytest.mark.parametrize("name", ["voice", "Music", "", " a", "a\nb"])
def test_a_name_that_would_not_be_found_is_refused(name, user_file):
    with pytest.raises(SettingsError, match="preset"):
        save(name, hold_ms="5")
    assert not user_file.exists()


def test_a_wrong_value_is_not_saved(capsys, user_file):
    assert run(["gate", str(SPEECH), "--hold", "90s", "--save-preset", "a"]) == 2
    assert not user_file.exists()


def test_a_preset_file_keeps_the_noise_recording_wherever_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "room").mkdir()
    save("room/room.toml", noise="hiss.wav", spectral=True)
    assert settings_of("room/room.toml").noise == str(tmp_path / "hiss.wav")
    Path("room/relative.toml").write_text('spectral = true\nnoise = "hiss.wav"\n')
    assert settings_of("room/relative.toml").noise == str(tmp_path / "room" / "hiss.wav")
    Path("room/span.toml").write_text('spectral = true\nnoise = "0-2s"\n')
    assert settings_of("room/span.toml").noise == (0.0, 2.0)


def test_a_typed_range_replaces_the_target_floor_of_a_preset():
    save("quiet.toml", target_floor_db="-62")
    assert settings_of("quiet.toml").target_floor_db == -62
    assert settings_of("quiet.toml", range_db="24").range_db == -24


def test_the_command_line_turns_off_the_switches_of_a_preset(capsys, write):
    Path("my.toml").write_text("spectral = true\nreduction = 9\nadaptive = true\n")
    options = ["gate", str(write(tone(1, 0.1))), "-f", "-t", "0.03"]
    for off, expected in ((), ("soft", True)), (["spectral", "adaptive"], ("off", False)):
        assert run([*options, "-p", "my.toml", "--json", *(f"--no-{name}" for name in off)]) == 0
        given = json.loads(capsys.readouterr().out)["settings"]
        assert (given["spectral"], given["adaptive"]) == expected
    assert run([*options, "-q", "--duck", "--no-duck", "--save-preset", "off.toml"]) == 0
    assert "duck = false" in Path("off.toml").read_text()


def test_a_damaged_file_of_presets_does_not_disturb_other_presets(user_file):
    user_file.parent.mkdir(parents=True)
    user_file.write_bytes(b"\xff[")
    assert settings_of("music") == GateSettings.preset("music").resolved
    assert [name for name, _ in complete_presets("")] == ["voice", "music", "field", "hard"]
    with pytest.raises(SettingsError, match="is not TOML"):
        load_preset("mine")


def test_environment_variables_set_options_unless_they_are_typed(capsys, monkeypatch, write):
    source = str(write(tone(1, 0.1)))
    monkeypatch.setenv("NGATE_GATE_PRESET", "loud")
    assert run(["gate", source]) == 2
    assert "preset 'loud'" in capsys.readouterr().err
    monkeypatch.setenv("NGATE_GATE_HOLD", "90s")
    assert run(["gate", source, "-p", "voice"]) == 2
    assert "hold '90s'" in capsys.readouterr().err
    monkeypatch.setenv("NGATE_VERSION", "1")
    monkeypatch.setenv("NGATE_GATE_QUIET", "1")
    assert run(["gate", source, "-p", "voice", "--hold", "90"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NGATE_GATE_HOLDD", "NGATE_GATE_HOLD"),
        ("NGATE_GAET_HOLD", "NGATE_GATE_HOLD"),
        ("NGATE_PRESET", "NGATE_GATE_PRESET"),
        ("NGATE_BATCH_QUIT", "NGATE_BATCH_QUIET"),
        ("NGATE_GATE_THRESHOLD_DB", "NGATE_GATE_THRESHOLD"),
    ],
)
def test_a_mistyped_environment_variable_gets_a_warning(capsys, monkeypatch, write, name, meant):
    source = str(write(tone(1, 0.1)))
    monkeypatch.setenv(name, "1")
    assert run(["gate", source]) == 0
    warning = f"ngate: warning: environment variable {name} has no effect: did you mean {meant}?\n"
    assert capsys.readouterr().err.startswith(warning)
    assert run(["gate", source, "-f", "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["NGATE_VERSION", "NGATE_ROOT", "NGATE_BATCH_DRY_RUN", "NGATEWAY"])
def test_a_variable_of_another_program_or_command_gets_no_warning(capsys, monkeypatch, write, name):
    monkeypatch.setenv(name, "1")
    assert run(["gate", str(write(tone(1, 0.1)))]) == 0
    assert "warning" not in capsys.readouterr().err


def test_the_variable_of_every_option_is_named_like_its_flag():
    for command in map(build_command, COMMANDS):
        for option in command.params:
            flags = [flag.lstrip("-").replace("-", "_") for flag in option.opts]
            if option.param_type_name == "option" and not option.secondary_opts:
                assert option.name in flags, f"{command.name} {option.opts}"


def test_help_has_one_environment_variable_as_an_example(capsys):
    for command in ("gate", "analyze", "batch"):
        assert run([command, "--help"]) == 0
        assert capsys.readouterr().out.count("NGATE_") == 1

"""A mistyped word gets the nearest right one, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.cli import COMMANDS, run
from noisegate_cli.terminal.commands import MAY_BE_EMPTY, build_command
from noisegate_cli.terminal.options.gate_settings import GATE_OPTIONS
from noisegate_cli.text import find_nearest
from tests.conftest import loud_and_quiet

KEYS = [option.key for option in GATE_OPTIONS.values()]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["gat"], "no such command 'gat': did you mean gate?"),
        (["frobnicate"], "no such command 'frobnicate': see ngate --help"),
        (["--verson"], "no such option --verson: did you mean --version?"),
        (["batch", "--dryrun"], "no such option --dryrun: did you mean --dry-run?"),
        (["analyze", "x", "--thresh", "1"], "did you mean --threshold?"),
        (
            ["gate", "x", "--labels", "a.txt", "--labels", "a.csv"],
            "give --labels only once: see ngate gate --help",
        ),
        (["gate", "x", "--tracks"], "no such option --tracks: it is an option of ngate batch"),
        (["batch", "x", "--residue", "r.wav"], "--residue: it is an option of ngate gate"),
        (["analyze", "x", "--debugg"], "no such option --debugg: see ngate analyze --help"),
    ],
)
def test_usage_errors_suggest_the_nearest_word(capsys, typed, meant):
    assert run(typed) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.rstrip("\n").endswith(meant)


def test_a_file_in_place_of_a_command_suggests_to_gate_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my ep1.wav").touch()
    assert run(["my ep1.wav"]) == 2
    message = "no such command 'my ep1.wav': did you mean `ngate gate 'my ep1.wav'`?"
    assert capsys.readouterr().err == f"ngate: {message}\n"
    assert run([str(tmp_path)]) == 2
    assert f"did you mean `ngate batch {tmp_path}`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gate", "x", "--track", "Lav"], "--track 'Lav' is not a whole number"),
        (["gate", "x", "--quality", "good"], "--quality 'good' is not a number"),
        (["gate", "x", "--quality", "4,5"], "--quality '4,5' is not a number: give 4.5"),
        (["gate", "x", "--quality", "−4"], "--quality '−4' is not a number: give -4"),
        (["gate", "x", "--track", "1,5"], "--track '1,5' is not a whole number"),
        (
            ["gate", "x", "--key", "1,000-4,000"],
            "--key '1,000-4,000' is not a band of frequencies: give a band such as 2000-8000, "
            "or a file",
        ),
        (["batch", ".", "-j", "0"], "--jobs 0 must be 1 or more"),
        (["gate"], "FILE is missing: see ngate gate --help"),
        (["batch", ""], "DIR: it is empty: is a shell variable unset?"),
        (["batch", ".", "-o", ""], "--output: it is empty: is a shell variable unset?"),
        (["gate", ""], "FILE: it is empty: is a shell variable unset?"),
        (["gate", "x", "-t"], "-t needs a value: see ngate gate --help"),
        (["batch", "a", "b"], "unexpected argument 'b': see ngate batch --help"),
        (["gate", "x", "-t", "-48", "dB"], "'-48 dB' has a space: write -48dB"),
        (["gate", "-t−48", "dB", "x"], "'-48 dB' has a space: write -48dB"),
        (["gate", "--threshold=-48", "dB", "x"], "'-48 dB' has a space: write -48dB"),
        (["gate", "x", "--keep", "1-2,5", "s"], "'1-2.5 s' has a space: write 1-2.5s"),
        (["batch", "x", "-t", "floor+6", "dB"], "'floor+6 dB' has a space: write floor+6dB"),
        (["analyze", "x", "--hold=0.3", "s"], "'0.3 s' has a space: write 0.3s"),
        (["gate", "x", "--bitrate", "128", "k"], "'128 k' has a space: write 128k"),
        (["gate", "x", "--key", "100Hz-4", "kHz"], "'100Hz-4 kHz' has a space: write 100Hz-4kHz"),
        (["batch", ".", "s"], "unexpected argument 's': see ngate batch --help"),
        (["gate", "x", "--preview", "0"], "preview '0' must be more than 0 s"),
        (["gate", "x", "--target-floor", "0"], "target floor 0 dBFS must be below 0"),
    ],
)
def test_a_wrong_or_missing_value_is_one_line(capsys, arguments, message):
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"ngate: {message}\n"


def test_a_recording_can_have_the_name_of_a_unit(tmp_path, monkeypatch, write, capsys):
    monkeypatch.chdir(tmp_path)
    write(loud_and_quiet(), "s.wav").rename("s")
    assert run(["gate", "-t", "0.1", "s", "-o", "1.wav"]) == 0
    assert run(["gate", "-t", "0.1", "-o", "2.wav", "--", "s"]) == 0
    (tmp_path / "s").unlink()
    assert run(["gate", "-t", "0.1", "--", "s"]) == 1
    assert "'s' does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_ignores_an_empty_value(capsys, command):
    options = [
        parameter
        for parameter in build_command(command).params
        if parameter.opts[0].startswith("-") and not getattr(parameter, "is_flag", False)
    ]
    assert len(options) > 20
    for option in options:
        if option.name == MAY_BE_EMPTY:
            continue
        assert run([command, "nothing", option.opts[0], ""]) == 2
        assert "it is empty: is a shell variable unset?" in capsys.readouterr().err


def test_an_empty_suffix_and_an_empty_environment_variable_are_accepted(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("NGATE_BATCH_LABELS", "")
    assert run(["batch", str(tmp_path), "--suffix", ""]) == 0
    assert "no recordings" in capsys.readouterr().err


@given(word=st.sampled_from(KEYS), data=st.data())
def test_a_word_with_a_doubled_letter_is_found(word, data):
    place = data.draw(st.integers(0, len(word) - 1))
    assert find_nearest(word[:place] + word[place] + word[place:], KEYS) == word


@pytest.mark.parametrize("word", ["loud", "verbose", "quick", "x", "", "default"])
def test_another_word_finds_nothing(word):
    assert find_nearest(word, PRESETS) is None

"""The advice is true, and the suggested commands do what was analyzed."""

import json
import re
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from noisegate_cli import GateSettings, analyze_file, gate_file
from noisegate_cli.gating.cutoff_report import Cutoff, CutoffReport
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.commands import build_command
from noisegate_cli.terminal.display.advice import (
    MAX_SUGGESTED_LOOKAHEAD_MS,
    collect_advice,
    suggest_cutoff_remedies,
    suggest_gate_command,
)
from tests.conftest import SPEECH, loud_and_quiet, tone


@pytest.fixture
def source(write):
    return write(np.tile(np.column_stack([loud_and_quiet()] * 2), (5, 1)))


def analyze(capsys, *words):
    """The output of `ngate analyze`, and the command in its last line."""
    assert run(["analyze", *map(str, words)]) == 0
    out = capsys.readouterr().out
    return out, out.splitlines()[-1].removeprefix("  command      ")


@pytest.mark.parametrize(
    "options",
    [
        "-p field",
        "-p hard --spectral",
        "--track=1",
        "--key=250-4000",
        "--channels=separate",
        "--spectral --reduction=12dB --noise=0:00-0:02",
        "-p field --hold=0.2s --range=-12dB --track=1",
        "--target-floor=-62dB",
    ],
)
def test_the_suggested_command_has_the_given_options_as_typed(source, capsys, options):
    _, command = analyze(capsys, source, *options.split())
    words = command.split()
    for option in options.split():
        assert option in words
    extra = set(words) - {"ngate", "gate", str(source), *options.split()}
    assert not extra or extra == {"-t", words[-1]}
    assert run([*words[1:], "-q", "-f"]) == 0


def test_the_suggested_command_keeps_the_format_of_a_raw_recording(tmp_path, capsys):
    path = tmp_path / "x.pcm"
    path.write_bytes(np.int16(32767 * np.tile(loud_and_quiet(), 5)).tobytes())
    _, command = analyze(capsys, path, "--raw", "16000:1:s16")
    assert "--raw=16000:1:s16" in command


@pytest.mark.parametrize("name", ["mine.toml", "./mine.toml"])
def test_the_suggested_command_names_the_file_of_a_preset(
    source, capsys, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('preset = "music"\nhold = 123\nspectral = true\n')
    _, command = analyze(capsys, source, "-p", name, "--no-spectral")
    assert command.startswith(f"ngate gate -p {name} --no-spectral {source}")
    assert run([*shlex.split(command)[1:], "-q", "-f"]) == 0


@pytest.mark.parametrize("threshold", ["floor+6dB", "auto:otsu", "-50dB", "0.02"])
def test_a_given_threshold_stays_as_typed(source, capsys, threshold):
    out, command = analyze(capsys, source, "-t", threshold)
    assert command == f"ngate gate {source} -t {threshold}"
    assert "agrees with the automatic gate for 0%" not in out


def test_an_analysis_with_a_method_does_not_print_an_agreement(source, capsys):
    assert "agrees" not in analyze(capsys, source, "-t", "auto:otsu")[0]
    assert re.search(
        r"agrees with the automatic gate for \d+% of the time", analyze(capsys, source)[0]
    )


def test_only_a_given_threshold_is_advised_against():
    automatic, given = analyze_file(SPEECH), analyze_file(SPEECH, threshold="-20dB")
    assert not any("omit -t" in note for note in collect_advice(automatic))
    (note,) = [note for note in collect_advice(given) if "omit -t" in note]
    share = 100 * (1 - given.levels.given_trial.agreement)
    assert f"The given threshold differs from the automatic gate for {share:.1f}% of" in note
    assert suggest_gate_command(given) == f"ngate gate {SPEECH} -t 0.1"


@pytest.mark.parametrize(("offset", "is_noise"), [(0.0, False), (0.0003, False), (0.02, True)])
def test_a_dc_offset_that_is_most_of_the_noise_causes_a_note(write, offset, is_noise):
    report = analyze_file(write(loud_and_quiet() + offset))
    notes = [note for note in collect_advice(report) if "DC offset of -34.0 dBFS" in note]
    assert len(notes) == is_noise


def test_a_speech_band_is_only_suggested_for_speech():
    for preset, has_band in (("voice", True), ("field", False)):
        report = analyze_file(SPEECH, preset=preset)
        notes = " ".join(collect_advice(report))
        assert "Even the best fixed threshold differs" in notes
        assert ("--key 250-4000" in notes) == has_band


@pytest.mark.parametrize("preset", ["voice", "field"])
def test_where_the_gate_stays_open_the_last_line_is_a_command_to_complete(write, capsys, preset):
    source = write(tone(2, 0.1))
    out, command = analyze(capsys, source, "-p", preset, "--min-open", "50")
    name = [] if preset == "voice" else ["-p", preset]
    assert command.split() == ["ngate", "gate", *name, "--min-open=50", str(source), "-t", "LEVEL"]
    assert "next step    choose a LEVEL from the table" in out
    assert "--key" not in out
    assert run([*command.replace("LEVEL", "-30dB").split()[1:], "-q"]) == 0
    assert run(["analyze", str(source), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suggested_command"] is None


def result_with(*cutoffs, **settings):
    decays = sum(cutoff.kind == "decay" for cutoff in cutoffs)
    return SimpleNamespace(
        settings=GateSettings(**settings),
        threshold=None,
        range_db=-np.inf,
        cutoffs=CutoffReport(decays, len(cutoffs) - decays, cutoffs),
    )


def test_each_kind_of_cutoff_has_its_own_remedy():
    decay, attack = Cutoff(1, "decay", 32, 0.4), Cutoff(3, "attack", 20, 0.1)
    assert suggest_cutoff_remedies(result_with(decay)) == {
        "decay": ["--hold 500"],
        "attack": [],
        "": ["--range -6dB"],
    }
    remedies = suggest_cutoff_remedies(result_with(decay, attack))
    assert (remedies["decay"], remedies["attack"]) == (["--hold 500"], ["--lookahead 200"])


def test_the_suggested_hold_covers_the_longest_cut_sound():
    loud = [Cutoff(i, "decay", 40, 0.1) for i in range(20)]
    longest = Cutoff(30, "decay", 11, 0.9)
    assert suggest_cutoff_remedies(result_with(*loud, longest))["decay"] == ["--hold 1000"]


@pytest.mark.parametrize("fall_db_per_s", [8, 12, 25])
def test_following_the_advice_against_cut_decays_ends(write, tmp_path, fall_db_per_s):
    rate, rng = 8000, np.random.default_rng(0)
    t = np.arange(10 * rate) / rate
    note = tone(10, 0.2, rate) * 10 ** (-fall_db_per_s * t / 20)
    source = write(
        np.append(rng.normal(0, 1e-3, rate), note) + rng.normal(0, 1e-3, 11 * rate),
        rate=rate,
        name="note.wav",
    )
    hold_ms, tried = 150.0, 0
    while True:
        result = gate_file(
            source, tmp_path / "out.wav", threshold=0.03, hold_ms=hold_ms, force=True
        )
        remedies = suggest_cutoff_remedies(result)["decay"]
        if not remedies:
            break
        tried += 1
        hold_ms = float(remedies[0].split()[1])
    assert 1 <= tried <= 4
    assert not result.cutoffs.decays


def test_a_suggested_hold_is_at_least_twice_as_long():
    brief = Cutoff(1, "decay", 11, 0.01)
    assert suggest_cutoff_remedies(result_with(brief, hold_ms=300.0))["decay"] == ["--hold 600"]


def test_a_lookahead_that_does_not_suffice_is_not_suggested():
    long = Cutoff(1, "attack", 20, MAX_SUGGESTED_LOOKAHEAD_MS / 1000)
    assert suggest_cutoff_remedies(result_with(long))["attack"] == []


def test_the_range_of_a_target_floor_is_printed_once(write, capsys):
    noise = np.random.default_rng(0).normal(0, 1e-2, 64000)
    y = noise + tone(4, 0.05) * np.repeat([0, 1, 0, 1], 16000)
    source = write(y)
    assert run(["gate", str(source), "--target-floor", "-52dB"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("range")]
    assert len(lines) == 1
    assert lines[0].endswith("for the target floor")
    assert not GateSettings(target_floor_db=-52).softens_range


def test_the_summary_names_the_preset(source, capsys):
    assert run(["gate", str(source), "-p", "field"]) == 0
    assert "preset     field\n" in capsys.readouterr().err
    assert run(["gate", str(source), "-f"]) == 0
    assert "preset" not in capsys.readouterr().err


def test_a_lossy_output_is_said_to_be_lossy(source, tmp_path, capsys):
    assert run(["gate", str(source), "-o", str(tmp_path / "x.mp3")]) == 0
    err = capsys.readouterr().err
    assert "note       MP3 is lossy: the samples are not bit-identical" in err


@pytest.mark.parametrize("command", ["gate", "analyze", "batch"])
def test_the_help_shows_text_in_square_brackets(capsys, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run([command, "--help"]) == 0
    out = capsys.readouterr().out
    texts = [parameter.help or "" for parameter in build_command(command).params]
    shown = re.findall(r"\\?\[\w+\]", " ".join(texts))
    assert shown == [r"\[speech]"]
    assert "noisegate-cli[speech]" in out

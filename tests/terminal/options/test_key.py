"""`--key`, `--duck`, `--ratio` and `--knee` on the command line."""

import json
import re

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings
from noisegate_cli.api.key_input import KeyTrack
from noisegate_cli.gating.alignment import Alignment
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display.recording_lines import format_key
from noisegate_cli.terminal.options.key import parse_key_option
from tests.conftest import DATA, SPEECH, loud_and_quiet

DUCKING = ["gate", "music.wav", "-t", "-30dB", "-o", "out.wav"]


@pytest.fixture
def folder(tmp_path, monkeypatch, write):
    write(loud_and_quiet())
    hiss = np.random.default_rng(5).normal(0, 0.03, 48000)
    sf.write(tmp_path / "music.wav", hiss, 16000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "file", "band"),
    [
        ("250-4000", None, (250.0, 4000.0)),
        ("voice.wav", "voice.wav", None),
        ("voice.wav:0.25-4kHz", "voice.wav", (250.0, 4000.0)),
        ("./1-2", "1-2", None),
        ("a:b.wav:1-2", "a:b.wav", (1.0, 2.0)),
    ],
)
def test_a_key_is_a_band_a_file_or_both(text, file, band):
    path, settings = parse_key_option(text, GateSettings())
    assert settings.key_hz == band
    assert (path if path is None else str(path)) == file


def test_the_summary_and_json_report_the_key_and_the_ducking(folder, capsys):
    options = [*DUCKING, "--key", "in.wav:100-4000", "--duck", "--range", "-12dB"]
    assert run(options) == 0
    err = capsys.readouterr().err
    assert "key        'in.wav': no sound in common, so both start together" in err
    assert "ducking    12 dB down while the key is above the threshold" in err
    assert re.search(r"^ducked     \d+\.\d% of 3\.00 s \(", err, re.MULTILINE)
    assert "closed" not in err
    assert run([*options, "--json", "--force"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["key"] == {"file": "in.wav", "start_s": None, "drift_ppm": None}
    assert data["settings"]["duck"] is True
    assert data["settings"]["key_hz"] == [100, 4000]


def test_a_key_of_the_same_event_is_aligned(folder, capsys):
    assert run(["gate", str(SPEECH), "--key", str(SPEECH), "-o", "out.wav"]) == 0
    assert ": in sync" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("alignment", "text"),
    [
        (Alignment(0.4121, 23.2), "0.412 s later, 23 ppm fast"),
        (Alignment(-1.5, -7.0), "1.500 s earlier, 7 ppm slow"),
    ],
)
def test_lag_and_drift_of_a_key_are_reported(alignment, text):
    assert format_key(KeyTrack("k.wav", alignment)) == f"key        'k.wav': {text}"


def test_ducking_without_a_separable_signal_attenuates_nothing(folder, capsys):
    assert run(["gate", "music.wav", "--duck", "-o", "out.wav"]) == 0
    err = capsys.readouterr().err
    assert "note       nothing is attenuated" in err
    assert "ducked     0.0% of 3.00 s" in err
    assert np.array_equal(sf.read("out.wav")[0], sf.read("music.wav")[0])


def test_ducking_that_does_nothing_says_so(folder, capsys):
    assert run(["gate", "music.wav", "-t", "-3dB", "--duck", "-o", "out.wav"]) == 0
    err = capsys.readouterr().err
    assert "note       no level exceeds the threshold: nothing is attenuated" in err
    assert "all of it is turned down" not in err


def test_the_summary_and_json_report_the_ratio(folder, capsys):
    options = ["gate", "in.wav", "-t", "-30dB", "--ratio", "4:1", "-o", "out.wav"]
    assert run([*options, "--knee", "6dB", "--range", "-24dB"]) == 0
    err = capsys.readouterr().err
    assert "expander   ratio 4:1 below the threshold, knee 6 dB, at most 24 dB down" in err
    assert run([*options, "--force", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert (settings["ratio"], settings["knee_db"]) == (4, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gate", "in.wav", "--ratio", "4"], "give -t -40dB, or -t floor+6dB"),
        (["gate", "in.wav", "-t", "0.1", "--ratio", "x"], "ratio 'x' is not a ratio"),
        (["gate", "in.wav", "-t", "0.1", "--knee", "6"], "--knee is for an expander: give --ratio"),
        (["gate", "in.wav", "-t", "0.1", "--duck", "--ratio", "4"], "omit one of them"),
        (["gate", "in.wav", "--key", "-"], "--key needs a file"),
        (["gate", "in.wav", "--key", ":1-2"], "--key ':1-2' names no file"),
        (["gate", "in.wav", "--key", "music.wav", "--spectral"], "omit one of them"),
        (["batch", ".", "-o", "out", "--key", "music.wav", "--spectral"], "omit one of them"),
        (["analyze", "in.wav", "--key", "music.wav"], "to choose their threshold, analyze that"),
        (["analyze", "in.wav", "--key", "music.wav:1-2k"], "is not a band of frequencies"),
        (["analyze", "in.wav", "--page", "a.html", "--duck"], "a page does not support ducking"),
    ],
)
def test_wrong_combinations_give_one_line_and_no_output(folder, capsys, arguments, message):
    before = sorted(folder.iterdir())
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def test_analyze_suggests_a_command_with_the_ratio_that_runs(folder, capsys):
    source = str(DATA / "speech_easy.flac")
    assert run(["analyze", source, "--json", "-t", "-40dB", "--ratio", "3"]) == 0
    command = json.loads(capsys.readouterr().out)["suggested_command"]
    assert "--ratio=3" in command
    assert " -t " in command


@pytest.mark.parametrize("text", ["2000", "2 kHz", "2.5k"])
def test_a_single_frequency_is_not_taken_as_the_name_of_a_file(capsys, text):
    assert run(["gate", "x.wav", "--key", text]) == 2
    expected = f"--key {text!r} is a single frequency: give a band such as 2000-8000, or a file"
    assert capsys.readouterr().err == f"ngate: {expected}\n"

"""The options of the spectral gate on the command line."""

import json

import numpy as np
import pytest

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display.advice import suggest_gate_command
from tests.conftest import DATA, loud_and_quiet, read, tone

NOISY_SPEECH = DATA / "speech_hard.flac"


def level_db(y):
    return 20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64))) + 1e-9)


def run_command(capsys, *arguments, status=0):
    assert run([*map(str, arguments)]) == status
    return capsys.readouterr().err


@pytest.fixture
def hiss():
    return np.random.default_rng(0).normal(0, 0.01, 16000 * 5)


def test_spectral_alone_reduces_the_noise(tmp_path, capsys):
    out, residue = tmp_path / "out.flac", tmp_path / "rest.flac"
    summary = run_command(
        capsys, "gate", NOISY_SPEECH, "--spectral", "-o", out, "--residue", residue
    )
    assert "noise      learned from the pauses" in summary
    assert summary.lower().count("noise ") == 2
    assert summary.count(" dBFS, signal") == summary.count(" dBFS") - 1 == 1
    assert "reduced by up to 24 dB in each bin, and by up to 16 dB under the signal" in summary
    before, output, removed = read(NOISY_SPEECH), read(out), read(residue)
    assert output.shape == before.shape
    assert np.array_equal(output.astype(int) + removed, before)
    assert level_db(removed) > level_db(before) - 25


def test_the_reduction_is_the_maximum_attenuation(write, tmp_path, capsys, hiss):
    y = np.concatenate([hiss, tone(2, 0.3) + hiss[:32000], hiss])
    source, out = write(y), tmp_path / "out.wav"
    assert "by up to 12 dB" in run_command(
        capsys, "gate", source, "--spectral", "--reduction", "12dB", "-o", out
    )
    attenuation_db = level_db(read(source)[:60000]) - level_db(read(out)[:60000])
    assert attenuation_db == pytest.approx(12, abs=0.1)


def test_noise_can_be_given_by_a_file_or_by_a_span(write, tmp_path, capsys, hiss):
    y = np.concatenate([hiss, tone(5, 0.1) + hiss])
    source, noise = write(y), write(hiss, "room.wav")
    from_file, from_span = tmp_path / "file.wav", tmp_path / "segment.wav"
    summary = run_command(capsys, "gate", source, "--spectral", "--noise", noise, "-o", from_file)
    assert "-40 dBFS, learned from '" in summary
    summary = run_command(
        capsys, "gate", source, "--spectral", "--noise", "0:00-0:05", "-o", from_span
    )
    assert "-40 dBFS, learned from 0:00.00-0:05.00" in summary
    assert np.array_equal(read(from_file), read(from_span))
    signal = slice(6 * 16000, 9 * 16000)
    noise_below_signal = read(from_file)[signal, 0] / 32768 - tone(10, 0.1)[signal]
    assert level_db(noise_below_signal) < level_db(hiss) - 8


def test_a_range_adds_the_broadband_gate(tmp_path, capsys):
    out = tmp_path / "out.flac"
    run_command(capsys, "gate", NOISY_SPEECH, "--spectral", "--range", "mute", "-o", out)
    assert np.mean(read(out) == 0) > 0.1


def test_without_a_noise_estimate_nothing_changes_and_a_message_is_printed(write, tmp_path, capsys):
    source, out = write(tone(5, 0.1)), tmp_path / "out.wav"
    summary = run_command(capsys, "gate", source, "--spectral", "-o", out)
    assert "no noise was learned, so none was reduced" in summary
    assert np.array_equal(read(source), read(out))


def test_the_hard_preset_masks_bins(write, tmp_path, capsys):
    source, out = write(loud_and_quiet()), tmp_path / "out.wav"
    summary = run_command(
        capsys, "gate", source, "--preset", "hard", "--spectral", "-t", "-30dB", "-o", out
    )
    assert "bins       open where their level exceeds the threshold" in summary
    assert not read(out)[20000:28000].any()
    assert level_db(read(out)[:15000]) == pytest.approx(level_db(read(source)[:15000]), abs=0.01)


def test_analyze_reports_the_noise_as_text_and_json(capsys):
    assert run(["analyze", "--spectral", str(NOISY_SPEECH)]) == 0
    text = capsys.readouterr().out
    assert "in octave bands" in text
    assert "1 kHz" in text
    assert run(["analyze", "--spectral", "--json", str(NOISY_SPEECH)]) == 0
    data = json.loads(capsys.readouterr().out)
    (noise,) = data["noises"]
    assert noise["source"] == "pauses"
    assert noise["level_db"] == pytest.approx(data["noise_floor_db"], abs=2)
    total_power = sum(10 ** (band["db"] / 10) for band in noise["bands"] if band["db"] is not None)
    assert 10 * np.log10(total_power) == pytest.approx(noise["level_db"], abs=0.5)
    assert "--spectral" in data["suggested_command"]


def test_the_suggested_command_has_the_spectral_options():
    from noisegate_cli import analyze_file

    settings = GateSettings.preset(
        "voice", spectral="soft", reduction_db=12.0, noise=(0.0, 1.5), channels="separate"
    )
    command = suggest_gate_command(analyze_file(NOISY_SPEECH, settings))
    assert "--spectral" in command
    assert "--reduction=12" in command
    assert "--noise=0:00.00-0:01.50" in command
    assert "--range" not in command
    hard = GateSettings.preset("hard", spectral="mask")
    command = suggest_gate_command(analyze_file(NOISY_SPEECH, hard))
    assert command.startswith("ngate gate -p hard --spectral")


def test_a_batch_gives_the_same_spectral_output_as_one_file(tmp_path, write, capsys, hiss):
    y = np.concatenate([hiss, tone(2, 0.3) + hiss[:32000], hiss])
    source = write(y, "all/a.wav")
    run_command(capsys, "batch", tmp_path / "all", "--spectral", "-j", 1)
    expected = tmp_path / "alone.wav"
    gate_file(source, expected, GateSettings.preset("voice", spectral="soft"))
    assert np.array_equal(read(tmp_path / "all-gated" / "a.wav"), read(expected))


def test_a_batch_checks_the_noise_file_first_and_resolves_its_path(
    tmp_path, write, capsys, monkeypatch, hiss
):
    y = np.concatenate([hiss, tone(2, 0.3) + hiss[:32000], hiss])
    source, noise = write(y, "all/a.wav"), write(hiss, "room.wav")
    write(y, "all/b.wav")
    monkeypatch.chdir(tmp_path)
    errors = run_command(capsys, "batch", "all", "--spectral", "--noise", "none.wav", status=1)
    assert errors.count("\n") == 1
    assert "'none.wav' does not exist" in errors
    assert not (tmp_path / "all-gated").exists()
    run_command(capsys, "batch", "all", "--spectral", "--noise", "room.wav", "-j", 1)
    expected = tmp_path / "alone.wav"
    gate_file(source, expected, GateSettings.preset("voice", spectral="soft", noise=str(noise)))
    assert np.array_equal(read(tmp_path / "all-gated" / "a.wav"), read(expected))


@pytest.mark.parametrize(
    ("options", "status", "quoted"),
    [
        (["--noise", "0-1"], 2, "--noise requires --spectral"),
        (["--reduction", "12"], 2, "--reduction requires --spectral"),
        (["--spectral", "--reduction", "much"], 2, "reduction 'much'"),
        (["--spectral", "--reduction", "12ms"], 2, "give 12dB"),
        (["--spectral", "--noise", "3-2"], 2, "noise '3-2' ends before it starts"),
        (["--spectral", "--noise", "room.wav"], 1, "'room.wav' does not exist"),
        (["--spectral", "--noise", "0:01-0:30"], 1, "it ends at 0:03.00"),
        (["--spectral", "--noise", "0-0.05"], 1, "give at least 0.5 s"),
    ],
)
def test_invalid_spectral_options_print_one_line(write, capsys, options, status, quoted):
    errors = run_command(capsys, "gate", write(loud_and_quiet()), *options, status=status)
    assert quoted in errors
    assert errors.count("\n") == 1


def test_the_recording_of_the_noise_is_never_overwritten(write, capsys, hiss):
    source, noise = write(np.concatenate([hiss, tone(2, 0.3)])), write(hiss, "room.wav")
    before = noise.read_bytes()
    for output in ("-o", "--residue"):
        errors = run_command(
            capsys, "gate", source, "--spectral", "--noise", noise, output, noise, "-f", status=1
        )
        assert "never overwritten" in errors
    assert noise.read_bytes() == before

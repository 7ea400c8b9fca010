"""The spectral gate as it is typed."""

import json

import numpy as np
import pytest

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.terminal.advice import suggest_gate_command
from noisegate_cli.terminal.cli import run
from tests.conftest import DATA, loud_and_quiet, read, tone

NOISY = DATA / "speech_hard.flac"


def level_db(y):
    return 20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64))) + 1e-9)


def said(capsys, *arguments, status=0):
    assert run([*map(str, arguments)]) == status
    return capsys.readouterr().err


@pytest.fixture
def hiss():
    return np.random.default_rng(0).normal(0, 0.01, 16000 * 5)


def test_one_word_cleans_a_recording(tmp_path, capsys):
    out, rest = tmp_path / "out.flac", tmp_path / "rest.flac"
    words = said(capsys, "gate", NOISY, "--spectral", "-o", out, "--residue", rest)
    assert "dBFS, learnt from the pauses" in words
    assert "up to 24 dB down in each bin" in words
    before, kept, removed = read(NOISY), read(out), read(rest)
    assert kept.shape == before.shape
    assert np.array_equal(kept.astype(int) + removed, before)
    assert level_db(removed) > level_db(before) - 25


def test_the_reduction_is_the_deepest_cut(write, tmp_path, capsys, hiss):
    y = np.concatenate([hiss, tone(2, 0.3) + hiss[:32000], hiss])
    source, out = write(y), tmp_path / "out.wav"
    assert "12 dB down" in said(
        capsys, "gate", source, "--spectral", "--reduction", "12dB", "-o", out
    )
    fall = level_db(read(source)[:60000]) - level_db(read(out)[:60000])
    assert fall == pytest.approx(12, abs=0.1)


def test_noise_is_shown_by_a_file_or_by_a_stretch(write, tmp_path, capsys, hiss):
    y = np.concatenate([hiss, tone(5, 0.1) + hiss])
    source, room = write(y), write(hiss, "room.wav")
    by_file, by_stretch = tmp_path / "file.wav", tmp_path / "stretch.wav"
    words = said(capsys, "gate", source, "--spectral", "--noise", room, "-o", by_file)
    assert "-40 dBFS, as in" in words
    words = said(capsys, "gate", source, "--spectral", "--noise", "0:00-0:05", "-o", by_stretch)
    assert "-40 dBFS, as in '0:00.00-0:05.00'" in words
    assert np.array_equal(read(by_file), read(by_stretch))
    sounds = slice(6 * 16000, 9 * 16000)
    under = read(by_file)[sounds, 0] / 32768 - tone(10, 0.1)[sounds]
    assert level_db(under) < level_db(hiss) - 8


def test_both_gates_together(tmp_path, capsys):
    out = tmp_path / "out.flac"
    said(capsys, "gate", NOISY, "--spectral", "--range", "mute", "-o", out)
    assert np.mean(read(out) == 0) > 0.1


def test_where_nothing_can_be_learnt_it_says_so_and_leaves_all_alone(write, tmp_path, capsys):
    source, out = write(tone(5, 0.1)), tmp_path / "out.wav"
    words = said(capsys, "gate", source, "--spectral", "-o", out)
    assert "no noise could be learnt, and nothing was taken away" in words
    assert np.array_equal(read(source), read(out))


def test_the_hard_preset_masks_bins(write, tmp_path, capsys):
    source, out = write(loud_and_quiet()), tmp_path / "out.wav"
    words = said(capsys, "gate", source, "--preset", "hard", "--spectral", "-t", "-30dB", "-o", out)
    assert "bins       open where a tone is above the threshold" in words
    assert not read(out)[20000:28000].any()
    assert level_db(read(out)[:15000]) == pytest.approx(level_db(read(source)[:15000]), abs=0.01)


def test_the_noise_is_in_the_data_and_on_the_screen(capsys):
    assert run(["analyze", "--spectral", str(NOISY)]) == 0
    shown = capsys.readouterr().out
    assert "by octaves" in shown
    assert "1 kHz" in shown
    assert run(["analyze", "--spectral", "--json", str(NOISY)]) == 0
    data = json.loads(capsys.readouterr().out)
    (noise,) = data["noises"]
    assert noise["source"] == "pauses"
    assert noise["level_db"] == pytest.approx(data["noise_floor_db"], abs=2)
    together = sum(10 ** (band["db"] / 10) for band in noise["bands"] if band["db"] is not None)
    assert 10 * np.log10(together) == pytest.approx(noise["level_db"], abs=0.5)
    assert "--spectral" in data["command"]


def test_the_suggested_line_can_be_typed():
    from noisegate_cli import analyze_file

    settings = GateSettings.preset(
        "voice", spectral="soft", reduction_db=12.0, noise=(0.0, 1.5), channels="separate"
    )
    line = suggest_gate_command(analyze_file(NOISY, settings))
    assert "--spectral" in line
    assert "--reduction=12" in line
    assert "--noise=0:00.00-0:01.50" in line
    assert "--range" not in line
    hard = GateSettings.preset("hard", spectral="mask")
    line = suggest_gate_command(analyze_file(NOISY, hard))
    assert line.startswith("ngate gate --preset=hard --spectral")


def test_a_batch_cleans_as_one_file_does(tmp_path, write, capsys, hiss):
    y = np.concatenate([hiss, tone(2, 0.3) + hiss[:32000], hiss])
    source = write(y, "all/a.wav")
    said(capsys, "batch", tmp_path / "all", "--spectral", "-j", 1)
    alone = tmp_path / "alone.wav"
    gate_file(source, alone, GateSettings.preset("voice", spectral="soft"))
    assert np.array_equal(read(tmp_path / "all-gated" / "a.wav"), read(alone))


def test_a_batch_looks_for_the_noise_once_and_finds_it_from_anywhere(
    tmp_path, write, capsys, monkeypatch, hiss
):
    y = np.concatenate([hiss, tone(2, 0.3) + hiss[:32000], hiss])
    source, room = write(y, "all/a.wav"), write(hiss, "room.wav")
    write(y, "all/b.wav")
    monkeypatch.chdir(tmp_path)
    line = said(capsys, "batch", "all", "--spectral", "--noise", "none.wav", status=1)
    assert line.count("\n") == 1
    assert "'none.wav' doesn't exist" in line
    assert not (tmp_path / "all-gated").exists()
    said(capsys, "batch", "all", "--spectral", "--noise", "room.wav", "-j", 1)
    alone = tmp_path / "alone.wav"
    gate_file(source, alone, GateSettings.preset("voice", spectral="soft", noise=str(room)))
    assert np.array_equal(read(tmp_path / "all-gated" / "a.wav"), read(alone))


@pytest.mark.parametrize(
    ("options", "status", "quoted"),
    [
        (["--noise", "0-1"], 2, "--noise is of the spectral gate: add --spectral"),
        (["--reduction", "12"], 2, "--reduction is of the spectral gate: add --spectral"),
        (["--spectral", "--reduction", "much"], 2, "reduction 'much'"),
        (["--spectral", "--reduction", "-12dB"], 2, "give 12dB"),
        (["--spectral", "--noise", "3-2"], 2, "noise '3-2' ends before it starts"),
        (["--spectral", "--noise", "room.wav"], 1, "'room.wav' doesn't exist"),
        (["--spectral", "--noise", "0:01-0:30"], 1, "it ends at 0:03.00"),
        (["--spectral", "--noise", "0-0.05"], 1, "give half a second"),
    ],
)
def test_what_cannot_be_is_one_line(write, capsys, options, status, quoted):
    line = said(capsys, "gate", write(loud_and_quiet()), *options, status=status)
    assert quoted in line
    assert line.count("\n") == 1


def test_the_recording_of_the_noise_is_never_overwritten(write, capsys, hiss):
    source, room = write(np.concatenate([hiss, tone(2, 0.3)])), write(hiss, "room.wav")
    before = room.read_bytes()
    for output in ("-o", "--residue"):
        line = said(
            capsys, "gate", source, "--spectral", "--noise", room, output, room, "-f", status=1
        )
        assert "never overwritten" in line
    assert room.read_bytes() == before

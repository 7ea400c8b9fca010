import subprocess
import sys

import numpy as np
import pytest

from noisegate_cli.terminal.cli import run
from tests.conftest import loud_and_quiet, tone

SOUND = np.tile(loud_and_quiet(), 2)


def test_gate_and_analyze_draw_a_plot_and_name_it(write, tmp_path, capsys):
    source, out = str(write(SOUND)), str(tmp_path / "out.wav")
    assert run(["gate", source, "-o", out, "--plot", str(tmp_path / "gate.png")]) == 0
    assert f"plot       '{tmp_path / 'gate.png'}'" in capsys.readouterr().err
    assert run(["analyze", source, "--json", "--plot", str(tmp_path / "new" / "an.svg")]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert (tmp_path / "gate.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "new" / "an.svg").read_bytes().startswith(b"<?xml")


def test_a_plot_changes_neither_the_output_nor_the_residue(write, tmp_path):
    source = str(write(SOUND + tone(6, 0.001)[: len(SOUND)]))
    for folder, extra in (("a", []), ("b", ["--plot", str(tmp_path / "b" / "p.pdf")])):
        out = [f"{tmp_path / folder / name}" for name in ("out.wav", "rest.wav")]
        options = ["-t", "-30dB", "--spectral", "--range", "-20dB", "-q"]
        assert run(["gate", source, "-o", out[0], "--residue", out[1], *options, *extra]) == 0
    for name in ("out.wav", "rest.wav"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "b" / "p.pdf").exists()


@pytest.mark.parametrize("command", ["gate", "analyze"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.jpg", "end the name in .png, .pdf or .svg"),
        ("old.png", "already exists: --force overwrites it"),
        ("in.png", "is the input"),
        ("folder.png", "is a folder"),
    ],
)
def test_a_plot_that_cannot_be_written_is_refused_before_the_work(
    write, tmp_path, capsys, command, name, message
):
    source = write(SOUND, "in.png")
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    output = ["-o", str(tmp_path / "out.wav")] if command == "gate" else []
    assert run([command, str(source), *output, "--plot", str(tmp_path / name)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_plot_is_neither_the_output_nor_the_residue(write, tmp_path, capsys):
    source, out = str(write(SOUND)), str(tmp_path / "out.png")
    assert run(["gate", source, "-o", out, "--format", "wav", "--plot", out]) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_plot_does_not_replace_the_recording_of_the_noise(write, capsys):
    source, noise = str(write(SOUND)), write(tone(1, 0.001), "noise.png")
    content = noise.read_bytes()
    options = ["--spectral", "--noise", str(noise), "--plot", str(noise), "-f"]
    for command in ("gate", "analyze"):
        assert run([command, source, *options]) == 1
        assert "is the recording of the noise" in capsys.readouterr().err
    assert noise.read_bytes() == content


def test_a_stream_from_standard_input_to_standard_output_can_be_drawn(write, tmp_path):
    source = write(SOUND)
    arguments = ["gate", "-", "-t", "-30dB", "-o", "-", "--plot", "out.png"]
    with source.open("rb") as stdin:
        command = [sys.executable, "-m", "noisegate_cli", *arguments]
        subprocess.run(command, stdin=stdin, check=True, capture_output=True, cwd=tmp_path)
    assert (tmp_path / "out.png").exists()


def test_a_batch_draws_unusual_recordings_and_replaces_only_its_own_sheet(write, tmp_path, capsys):
    write(tone(2, 0.001), "tree/quiet.wav")
    write(SOUND, "tree/usual.wav")
    sheet = tmp_path / "sheet.svg"
    batch = ["batch", str(tmp_path / "tree"), "-j1", "--plot", str(sheet)]
    assert run([*batch, "-t", "-25dB"]) == 0
    assert f"plot       '{sheet}'" in capsys.readouterr().err
    first = sheet.read_bytes()
    assert run([*batch, "-t", "-26dB"]) == 0
    assert sheet.read_bytes() == first
    sheet.write_text("mine")
    assert run([*batch, "-t", "-27dB"]) == 1
    assert "not the contact sheet of a batch: give --plot another name" in capsys.readouterr().err
    assert sheet.read_text() == "mine"


def test_a_batch_without_unusual_recordings_draws_nothing(write, tmp_path, capsys):
    write(SOUND, "tree/usual.wav")
    sheet = tmp_path / "sheet.png"
    assert run(["batch", str(tmp_path / "tree"), "-j1", "-t", "-25dB", "--plot", str(sheet)]) == 0
    assert "plot       none, because there is nothing to review" in capsys.readouterr().err
    assert not sheet.exists()

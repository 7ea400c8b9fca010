"""Unusual names and encodings: no errors, and outputs have the expected paths."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, OutputError, OutputOptions, gate_file
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.outputs.naming import output_name, parse_path
from noisegate_cli.files.outputs.target import default_output_path
from noisegate_cli.terminal.cli import run
from tests.zoo import sound

AT_003 = GateSettings(threshold=0.03)
NAMES = [
    " leading space.wav",
    "-n.wav",
    "--help.wav",
    "голос ひと 🎙.wav",
    "e\u0301 é.wav",
    "quote'\"`.wav",
    "$(echo x);&|.wav",
    "percent%20%s%d.wav",
    "two.dots.v1.2.wav",
    ".hidden.wav",
    "star*?[a].wav",
    "back\\slash.wav",
    "new\nline.wav",
    "a" * 251 + ".wav",
    "ひ" * 83 + ".wav",
    os.fsdecode(b"latin1_\xe9.wav"),
]
TERMINALS = {
    "windows": {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "TERM": "dumb"},
    "posix": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
}


def copy_with_names(folder, source):
    for name in NAMES:
        try:
            shutil.copy(source, folder / name)
        except OSError:
            continue  # the file system does not allow this name
        yield folder / name


@pytest.mark.parametrize("terminal", TERMINALS)
def test_unusual_names_and_encodings_cause_no_errors(tmp_path, write, terminal):
    source = write(sound())
    folder = tmp_path / "names"
    folder.mkdir()
    paths = list(copy_with_names(folder, source))
    command = [sys.executable, "-m", "noisegate_cli", "analyze", *map(str, paths)]
    environment = os.environ | TERMINALS[terminal]
    command += ["--json"] if terminal == "posix" else []
    process = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (process.returncode, process.stderr) == (0, b"")
    assert len(process.stdout.splitlines()) >= len(paths)
    before = set(folder.iterdir())
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-t", "0.03", "--", str(paths[-1])]
    process = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr
    assert len(set(folder.iterdir()) - before) == 1


def test_outputs_are_next_to_inputs_with_unusual_names(tmp_path, write):
    source = write(sound())
    folder = tmp_path / "names"
    folder.mkdir()
    for path in list(copy_with_names(folder, source)):
        output = gate_file(path, settings=AT_003).output.path
        assert output.parent == folder
        assert output.name.endswith("_gated.wav")
        assert path.name.startswith(output.name.removesuffix("_gated.wav"))
        assert sf.info(os.fsencode(output)).frames == 16000


@given(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=20),
    st.integers(1, 50),
)
def test_output_names_never_exceed_the_limit_of_the_file_system(part, times):
    stem = part * times
    info = AudioInfo(Path("/there") / f"x{stem}.wav", 16000, 1, 1, "WAV", "PCM_16")
    output = default_output_path(info, OutputOptions(suffix="_clean"))
    assert output.parent == info.path.parent
    assert len(os.fsencode(output.name)) <= 255
    assert output.name.endswith("_clean.wav")
    name_in_tree = output_name(f"there/x{stem}.wav", OutputOptions(suffix="_clean"))
    assert name_in_tree == f"there/{output.name}"


def test_a_hyphen_is_a_stream_and_a_path_with_a_hyphen_is_a_file():
    assert parse_path("-") == STDIO_PATH
    assert parse_path("./-") == Path.cwd() / "-"
    assert parse_path("new/") == "new/"
    assert parse_path("a/b.wav") == Path("a/b.wav")


def test_an_output_with_a_trailing_slash_is_a_folder_that_is_created(tmp_path, write, capsys):
    source = write(sound())
    assert run(["gate", str(source), "-t", "0.03", "-o", f"{tmp_path}/new/deep/"]) == 0
    assert (tmp_path / "new" / "deep" / "in_gated.wav").exists()
    assert "new/deep/in_gated.wav" in capsys.readouterr().err


def test_the_default_output_of_standard_input_has_a_name(tmp_path, write, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = write(sound(), "in.flac").read_bytes()
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-q"]
    subprocess.run(command, input=content, check=True)
    assert sf.info("stdin_gated.flac").frames == 16000


def test_an_output_never_leaves_its_folder_through_a_link(tmp_path, write):
    source = write(sound())
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "sub").symlink_to(elsewhere)
    (out / "file.wav").symlink_to(elsewhere / "file.wav")
    options = OutputOptions(inside=out)
    with pytest.raises(OutputError, match="points outside '.*out' through a link"):
        gate_file(source, out / "sub" / "x.wav", AT_003, options=options)
    # A link in the place of the output is replaced; its target is unchanged.
    gate_file(source, out / "file.wav", AT_003, options=options, force=True)
    assert not (out / "file.wav").is_symlink()
    gate_file(source, out / "new" / "x.wav", AT_003, options=options)
    assert list(elsewhere.iterdir()) == []

"""A shell completes options, the values of options and the names of files."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.gating.parsing import METHODS
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.completion import PRESET_USES, join_bash_words

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def no_user_presets(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def complete(monkeypatch, capsys):
    """Return a function that completes the last word of a command line, as bash asks for it."""

    def ask(line):
        words = line.split(" ")
        monkeypatch.setenv("_NGATE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        assert run([]) == 0
        return capsys.readouterr().out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("ngate ", ["gate", "analyze", "batch"]),
        ("ngate gate --prese", ["--preset"]),
        ("ngate gate -p ", list(PRESETS)),
        ("ngate analyze --preset m", ["music"]),
        ("ngate gate --preset = m", ["music"]),
        ("ngate gate --preset =", list(PRESETS)),
        ("ngate gate -t ", [*METHODS, "floor+6dB"]),
        ("ngate batch --channels s", ["separate"]),
        ("ngate gate --nonfinite ", ["refuse", "zero"]),
        ("ngate gate --format fl", ["flac"]),
        ("ngate batch --format ", [name.removeprefix(".") for name in WRITABLE_EXTENSIONS]),
        ("ngate batch --labels te", ["textgrid"]),
        ("ngate gate --subtype PCM_1", ["PCM_16"]),
        ("ngate gate --range ", ["mute", "30", "24"]),
        ("ngate gate --hold 3", ["30", "300"]),
    ],
)
def test_values_complete(complete, line, values):
    assert complete(line) == values


@pytest.mark.parametrize(
    "line",
    [
        "ngate gate ",
        "ngate gate a.wav -o ",
        "ngate gate a.wav --residue ",
        "ngate gate a.wav --spectral --noise ",
        "ngate analyze ",
        "ngate batch ",
        "ngate batch --report x",
        "ngate batch --plot x",
        "ngate batch --from-file x",
    ],
)
def test_the_shell_offers_files_where_files_are_meant(complete, line):
    assert complete(line) == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_show_what_each_preset_is_for(monkeypatch, capsys, shell):
    monkeypatch.setenv("_NGATE_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "ngate gate -p v")
    assert run([]) == 0
    out = capsys.readouterr().out
    assert "voice" in out
    assert "speech, podcasts" in out
    assert "music" not in out


def test_every_preset_has_a_description():
    assert set(PRESET_USES) == set(PRESETS)


def test_an_equals_sign_that_is_a_value_stays():
    environment = {
        "_NGATE_COMPLETE": "complete_bash",
        "COMP_WORDS": "ngate\nx\n=",
        "COMP_CWORD": "3",
    }
    join_bash_words(environment)
    assert environment["COMP_WORDS"] == "ngate\nx\n="


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_script_for_bash_completes(tmp_path):
    tool = tmp_path / "ngate"
    tool.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m noisegate_cli \"$@\"\n")
    tool.chmod(0o755)
    script = (
        f"cd '{ROOT}'; source <(_NGATE_COMPLETE=source_bash '{tool}');"
        "COMP_WORDS=(ngate gate --preset = f); COMP_CWORD=4;"
        f"_ngate_completion '{tool}'; echo \"${{COMPREPLY[@]}}\""
    )
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "field\n"


def test_completion_loads_no_heavy_modules():
    script = (
        "import os, sys; from noisegate_cli.terminal.cli import run\n"
        "os.environ |= {'_NGATE_COMPLETE': 'complete_bash', 'COMP_CWORD': '3',"
        " 'COMP_WORDS': 'ngate\\ngate\\n--subtype\\nPCM_1'}\n"
        "run([])\n"
        "print([m for m in ('numpy', 'soundfile', 'platformdirs', 'tomllib') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.splitlines() == ["PCM_16", "[]"]

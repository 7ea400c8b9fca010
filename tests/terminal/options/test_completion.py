"""A shell completes options, the values of options and the names of files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.gating.parsing import METHODS
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.options.completion import PRESET_USES, join_bash_words

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
        ("ngate batch --labels Te", ["TextGrid"]),
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
def test_the_shell_offers_files_where_an_option_takes_a_file(complete, line):
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


@pytest.fixture
def in_shell(tmp_path):
    """Return a function that runs a script in a shell, in a folder with recordings."""
    tool = tmp_path / "bin" / "ngate"
    tool.parent.mkdir()
    tool.write_text(
        f"#!/bin/sh\nexport PYTHONPATH='{ROOT}'\nexec '{sys.executable}' -m noisegate_cli \"$@\"\n"
    )
    tool.chmod(0o755)
    (tmp_path / "my talk.wav").touch()
    (tmp_path / "music.flac").touch()
    environment = os.environ | {
        "PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }

    def ask(shell, script):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
        result = subprocess.run(
            [shell, *options, "-c", script],
            capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60, check=True,
        )  # fmt: skip
        return result.stdout.splitlines()

    return ask


def test_the_script_for_bash_completes(in_shell):
    script = (
        "source <(_NGATE_COMPLETE=source_bash ngate);"
        "COMP_WORDS=(ngate gate --preset = f); COMP_CWORD=4;"
        '_ngate_completion ngate; echo "${COMPREPLY[@]}"'
    )
    assert in_shell("bash", script) == ["field"]


def test_fish_completes_values_after_an_equals_sign(in_shell):
    script = "env _NGATE_COMPLETE=source_fish ngate | source;" + "".join(
        f"complete -C 'ngate {line}'; echo end;" for line in ("gate --preset=m", "gate --noise=m")
    )
    assert in_shell("fish", script) == [
        "--preset=music\tinstruments and singing",
        "end",
        "--noise=music.flac",
        "--noise=my talk.wav",
        "end",
    ]


def test_zsh_completes_values_and_files_after_an_equals_sign(in_shell):
    script = (
        "compdef() { }; compset() { print -r -- $@ }; _files() { print files };"
        '_arguments() { print -r -- $1 }; eval "$(_NGATE_COMPLETE=source_zsh ngate)";'
        "words=(ngate gate --subtype=PCM_1); CURRENT=3; _ngate_completion;"
        "words=(ngate gate --noise=m); CURRENT=3; _ngate_completion"
    )
    assert in_shell("zsh", script) == ["-P *=", '*: :(("PCM_16"))', "-P *=", "files"]


def test_the_script_for_fish_completes_values_and_files(in_shell):
    script = "env _NGATE_COMPLETE=source_fish ngate | source;" + "".join(
        f"complete -C 'ngate {line}'; echo end;" for line in ("gate -p m", "gate --noise m", "b")
    )
    assert in_shell("fish", script) == [
        "music\tinstruments and singing",
        "end",
        "music.flac",
        "my talk.wav",
        "end",
        "batch\tGate every recording in a folder tree.",
        "end",
    ]


def test_the_script_for_zsh_completes_values_and_files(in_shell):
    # The functions of zsh's completion system need a terminal: they print what they are given.
    script = (
        "compdef() { }; _files() { print files }; _arguments() { print -r -- $1 };"
        'eval "$(_NGATE_COMPLETE=source_zsh ngate)";'
        "words=(ngate gate --subtype PCM_1); CURRENT=4; _ngate_completion;"
        "words=(ngate gate my); CURRENT=3; _ngate_completion"
    )
    assert in_shell("zsh", script) == ['*: :(("PCM_16"))', "files"]


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

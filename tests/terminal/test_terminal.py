"""The display on a pseudo-terminal; errors of the display never stop the gate."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import tty
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import gate_file
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display import progress_display
from noisegate_cli.terminal.display.progress_display import RecordingProgress
from tests.conftest import as_type, loud_and_quiet, read

IMMEDIATELY = """
from noisegate_cli.__main__ import main
from noisegate_cli.terminal.display import progress_display

progress_display.BAR_DELAY_S = progress_display.BAR_INTERVAL_S = 0
main()
"""

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLUMNS = 80
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}

HOSTILE_NAME = "\x1b[31mred\x1b]0;title\x07 [bold]b[bold]\nlines\r:smile: \udcff 録音's.wav"
LONG_NAME = "long" * 60 + ".wav"


def run_on_terminal(*arguments, environment=None, stdin=None):
    """Run the command line on a pseudo-terminal, with progress bars from the start."""
    controller, terminal_end = pty.openpty()
    tty.setraw(terminal_end)
    command = [sys.executable, "-c", IMMEDIATELY, *map(os.fsencode, arguments)]
    terminal = {"TERM": "xterm", "COLUMNS": str(COLUMNS), **(environment or {})}
    columns = int(terminal["COLUMNS"])
    fcntl.ioctl(terminal_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=terminal_end, env=os.environ | terminal
    )
    os.close(terminal_end)
    displayed = b""
    while True:
        try:
            part = os.read(controller, 1 << 16)
        except OSError:  # Linux reports the end of a terminal as an error.
            break
        if not part:
            break
        displayed += part
    os.close(controller)
    process.stdout.close()
    return process.wait(), displayed.decode()


def lines_of(displayed):
    return [line.rstrip() for line in re.split("[\r\n]+", CONTROL_SEQUENCE.sub("", displayed))]


def expect_harmless(displayed):
    """Check that no name has reached the terminal unescaped."""
    text = CONTROL_SEQUENCE.sub("", displayed)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\x1b[31m" not in displayed
    for line in re.split("[\r\n]", text):
        assert not re.match("lines", line)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Return a recording of each format, with its options."""
    folder, y = tmp_path_factory.mktemp("sources"), np.tile(loud_and_quiet(), 2)
    for name in ("in.wav", "in.flac", "in.mp3"):
        sf.write(folder / name, y, 16000)
    gate_file(folder / "in.wav", folder / "in.m4a")
    as_type(y, "PCM_16").tofile(folder / "in.raw")
    recordings = {path.suffix: (path, []) for path in folder.iterdir()}
    recordings[".raw"] = (folder / "in.raw", ["--raw", "16000:1:s16"])
    return recordings


@pytest.mark.parametrize(
    ("command", "extension"),
    [
        *product(["gate"], [".wav", ".flac", ".mp3", ".m4a", ".raw"]),
        *product(["analyze"], [".wav", ".m4a"]),
    ],
)
def test_every_input_format_shows_a_bar_and_is_gated(sources, tmp_path, command, extension):
    source, options = sources[extension]
    output = ["-o", tmp_path / "out.wav"] if command == "gate" else []
    status, displayed = run_on_terminal(command, source, *output, *options)
    assert status == 0, displayed
    assert "100%" in displayed
    assert "× real time" in displayed
    assert f"'in{extension}'" in displayed
    assert command == "analyze" or len(read(tmp_path / "out.wav")) >= 6 * 16000


@pytest.mark.parametrize("command", [[], ["gate"], ["batch"]])
def test_the_help_has_no_yellow_words(command):
    call = [sys.executable, "-m", "noisegate_cli", *command, "--help"]
    environment = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    displayed = subprocess.check_output(call, env=environment, text=True)
    assert "\x1b[1m" in displayed
    assert not re.search(r"\x1b\[(?:\d+;)*33m", displayed)


def test_an_error_is_wrapped_at_words_and_keeps_names_whole(tmp_path):
    source = tmp_path / "a name with spaces.wav"
    source.write_bytes(b"no recording")
    status, displayed = run_on_terminal("gate", source, environment={"COLUMNS": "40"})
    assert status == 1
    lines = lines_of(displayed)
    lines = [line for line in lines[lines.index("ngate:") + 1 :] if line]
    assert lines[0] == f"       '{source}'"
    assert len(lines) > 3
    assert all(line.startswith(" " * 7) and len(line) <= 40 for line in lines[1:])


def test_a_summary_is_wrapped_at_words_and_keeps_names_whole(sources, tmp_path):
    output = tmp_path / "a name with spaces.wav"
    options = ["-t", "0.03", "--hold", "0", "--range", "mute", "-o", output]
    _, displayed = run_on_terminal(
        "gate", sources[".wav"][0], *options, environment={"COLUMNS": "40"}
    )
    lines = lines_of(displayed)
    first = next(i for i, line in enumerate(lines) if line.startswith("closed "))
    assert max(map(len, lines[first : first + 2])) <= 40
    assert lines[first + 1].startswith(" " * 11)
    assert any(f"'{output}'" in line for line in lines)


def test_a_narrow_terminal_shows_fewer_columns_of_the_recordings_to_review(tmp_path, write):
    write(np.sin(np.arange(16000) / 5), "tree/a long name of a recording.wav")
    shown = {}
    for columns in (40, 200):
        _, displayed = run_on_terminal(
            "batch", tmp_path / "tree", "-f", "-j", "1", environment={"COLUMNS": str(columns)}
        )
        shown[columns] = next(line for line in lines_of(displayed) if line.startswith("listen to"))
        assert "'a long name of a recording.wav'" in displayed
    assert shown[40].split("  ")[0] == "listen to"
    assert "peak" not in shown[40]
    assert "peak" in shown[200]


def test_a_batch_and_standard_input_on_a_terminal(sources, tmp_path):
    for path, _ in sources.values():
        (tmp_path / "tree").mkdir(exist_ok=True)
        if path.suffix != ".raw":
            shutil.copy(path, tmp_path / "tree" / f"{path.suffix[1:]}{path.suffix}")
    status, displayed = run_on_terminal("batch", tmp_path / "tree", "-j1")
    assert status == 0, displayed
    assert "4 of 4 recordings" in displayed
    with sources[".wav"][0].open("rb") as stdin:
        assert run_on_terminal("gate", "-", "-o", tmp_path / "out.wav", stdin=stdin)[0] == 0


@pytest.mark.parametrize(
    ("name", "environment"),
    [(HOSTILE_NAME, {}), (HOSTILE_NAME, ASCII), (LONG_NAME, ASCII)],
    ids=["hostile-utf-8", "hostile-ascii", "long-ascii"],
)
def test_names_are_escaped_on_the_terminal(tmp_path, name, environment):
    folder = tmp_path / "tree"
    folder.mkdir()
    source = str(folder / name)
    sf.write(os.fsencode(source), np.tile(loud_and_quiet(), 5), 16000)
    for arguments in (
        ["gate", source, "-t", "0.9", "-o", tmp_path / "out.wav", "--residue", f"{source}.wav"],
        ["analyze", source, f"{source}.none"],
        ["batch", folder, "-j1", "-t", "0.9"],
    ):
        _, displayed = run_on_terminal(*arguments, environment=environment)
        expect_harmless(displayed)
        assert "this should not happen" not in displayed
        assert "[bold]b[bold]" in displayed or name == LONG_NAME
        if environment:
            assert displayed.isascii()
            # A line that is too long would wrap, and the bar could not be redrawn.
            for line in re.split("[\r\n]", CONTROL_SEQUENCE.sub("", displayed)):
                assert "real time" not in line or "closed" in line or len(line) <= COLUMNS


def test_errors_about_names_are_escaped(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Path(HOSTILE_NAME)
    sf.write(os.fsencode(source), loud_and_quiet(), 16000)
    for arguments in (
        ["gate", HOSTILE_NAME, "-o", HOSTILE_NAME],
        ["gate", HOSTILE_NAME, "-o", f"{HOSTILE_NAME}.none"],
        ["gate", f"{HOSTILE_NAME}.none"],
        ["gate", HOSTILE_NAME, f"{HOSTILE_NAME}.none", "-q", "-f"],
        ["gate", HOSTILE_NAME, f"{HOSTILE_NAME}.none", "-o", HOSTILE_NAME],
        ["gate", HOSTILE_NAME, HOSTILE_NAME, "--residue", HOSTILE_NAME],
        ["gate", HOSTILE_NAME, f"--{HOSTILE_NAME}"],
        ["gate", HOSTILE_NAME, "--preset", HOSTILE_NAME],
        ["analyze", f"{HOSTILE_NAME}.none"],
        ["batch", HOSTILE_NAME],
        ["batch", ".", "-o", HOSTILE_NAME],
        ["batch", ".", "-j1", "--report", f"{HOSTILE_NAME}/report.csv"],
    ):
        assert run(arguments) in (1, 2)
        errors = capsys.readouterr().err
        assert errors.removesuffix("\n").isprintable(), arguments
        assert "this should not happen" not in errors


def test_the_suggested_command_quotes_the_file_for_a_shell(tmp_path, monkeypatch):
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    monkeypatch.chdir(tmp_path)
    sf.write(os.fsencode(HOSTILE_NAME), np.tile(loud_and_quiet(), 5), 16000)
    command = [sys.executable, "-m", "noisegate_cli", "analyze", os.fsencode(HOSTILE_NAME)]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert all(line.isprintable() for line in text.split("\n"))
    line = text.splitlines()[-1].split("command", 1)[1].strip()
    script = f'ngate() {{ printf %s "$2"; }}; {line}'
    out = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert out == os.fsencode(HOSTILE_NAME)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_errors_of_the_display_do_not_stop_the_gate(monkeypatch, is_terminal):
    def fail(*_: object) -> None:
        calls.append(None)
        raise RuntimeError

    calls = []
    for name in ("BAR_DELAY_S", "LOG_INTERVAL_S"):
        monkeypatch.setattr(progress_display, name, 0)
    for display in (progress_display.RecordingBar, progress_display.ProgressLog):
        monkeypatch.setattr(display, "update", fail)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    progress = RecordingProgress("in.wav", lambda: 1 / 0)
    for share in (0.5, 1.0):
        progress.update(share)
    progress.close()
    assert len(calls) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "--json"],
        ["gate", "-o", "-"],
        ["gate", "--json"],
        ["--help"],
        ["gate", "--help"],
    ],
)
def test_a_full_disk_for_standard_output_is_reported(write, arguments):
    source = write(loud_and_quiet())
    command = [sys.executable, "-m", "noisegate_cli", *arguments, str(source)]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    errors = process.stderr.decode()
    assert errors == "ngate: standard output cannot be written: No space left on device\n"
    assert process.returncode == 1


@contextmanager
def unwritable(kind):
    """Yield a file that is on a full disk, or a pipe whose reader has ended."""
    if kind == "full":
        with Path("/dev/full").open("wb") as file:
            yield file
        return
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("kind", ["full", "pipe"])
def test_a_standard_error_that_cannot_be_written_changes_nothing(write, tmp_path, kind):
    write(loud_and_quiet(), "tree/in.wav")
    write(loud_and_quiet(), "damaged/in.wav")
    (tmp_path / "damaged" / "bad.wav").write_text("no recording")
    commands = [(0, "gate", "tree/in.wav"), (1, "batch", "damaged", "-j1", "-t", "0.03")]
    if kind == "full":
        commands += [
            (1, "gate", "tree/none.wav"),
            (0, "analyze", "tree/in.wav"),
            (0, "batch", "tree", "-j1", "-t", "0.03", "--dry-run"),
        ]
    with unwritable(kind) as file:
        for expected, *arguments in commands:
            command = [sys.executable, "-m", "noisegate_cli", *arguments]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=file, cwd=tmp_path, check=False
            )
            assert done.returncode == expected, arguments
    assert (tmp_path / "tree" / "in_gated.wav").exists()
    assert (tmp_path / "damaged-gated" / "in.wav").exists()


def test_an_interrupt_removes_the_bar_and_shows_the_cursor_again(tmp_path):
    source = tmp_path / "in.wav"
    sf.write(source, np.tile(loud_and_quiet(), 200), 16000)
    controller, terminal_end = pty.openpty()
    tty.setraw(terminal_end)
    command = [sys.executable, "-c", IMMEDIATELY, "gate", str(source), "-o", tmp_path / "out.flac"]
    process = subprocess.Popen(command, stderr=terminal_end, env=os.environ | {"TERM": "xterm"})
    os.close(terminal_end)
    displayed = b""
    while b"% " not in displayed:
        displayed += os.read(controller, 1 << 16)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    while not displayed.endswith(b"interrupted\n"):
        displayed += os.read(controller, 1 << 16)
    os.close(controller)
    assert displayed.endswith(b"\r\x1b[2K\x1b[?25hngate: interrupted\n")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("columns", [24, 40, 80])
@pytest.mark.parametrize("command", ["gate", "batch"])
def test_a_bar_leaves_room_for_the_echo_of_ctrl_c(tmp_path, write, command, columns):
    """Otherwise the terminal writes it on the next line, and the bar is not erased."""
    path = write(np.tile(loud_and_quiet(), 2), f"tree/{LONG_NAME}")
    if command == "gate":
        source, output = path, tmp_path / "out.wav"
    else:
        source, output = path.parent, tmp_path / "out"
    status, displayed = run_on_terminal(
        command, str(source), "-o", str(output), environment={"COLUMNS": str(columns)}
    )
    assert status == 0
    bars, _, _ = displayed.partition("\x1b[?25h")
    widths = [len(line) for line in lines_of(bars)]
    assert max(widths) > columns // 2
    assert max(widths) <= columns - len("^C")


INTERRUPTED_IMPORT = """
import os, sys
from noisegate_cli.__main__ import main

class Interrupting:
    def find_spec(self, name, *_):
        if name == sys.argv[-1]:
            os.kill(os.getpid(), 2)

sys.meta_path.insert(0, Interrupting())
main()
"""


@pytest.mark.parametrize("module", ["terminal.interrupts", "memory", "terminal.cli"])
def test_an_interrupt_while_the_command_line_loads_shows_no_traceback(module):
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, "--version", f"noisegate_cli.{module}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    if module == "terminal.interrupts":
        assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    else:
        assert (done.returncode, done.stderr) == (130, "ngate: interrupted\n")

"""What `ngate analyze` prints for one and for several recordings, and the plots it draws."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from noisegate_cli import analyze_file
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.console import is_ascii_only
from noisegate_cli.terminal.display.analysis_lines import choose_columns, format_header
from noisegate_cli.terminal.display.tables import build_analysis_table
from tests.conftest import DATA, SPEECH, loud_and_quiet, tone
from tests.terminal.test_terminal import ASCII, CONTROL_SEQUENCE
from tests.terminal.test_terminal import run_on_terminal as run_with_stderr_on_terminal

SOUND = np.tile(loud_and_quiet(), 5)


@pytest.fixture
def tree(write, tmp_path):
    write(SOUND, "tree/b.wav")
    write(tone(2, 0.1), "tree/a/tone.wav")
    write(SOUND, "tree/.hidden.wav")
    (tmp_path / "tree" / "bad.wav").write_text("no recording")
    (tmp_path / "tree" / "notes.txt").write_text("no recording either")
    return tmp_path / "tree"


def test_a_folder_gets_a_line_for_each_recording_and_a_bad_one_stops_none(tree, capsys):
    assert run(["analyze", str(tree)]) == 1
    out, err = capsys.readouterr()
    header, tone_line, sound_line = out.splitlines()
    assert header.split()[-2:] == ["verdict", "recording"]
    assert tone_line.endswith(f"'{tree / 'a' / 'tone.wav'}'")
    assert "steady tone" in tone_line
    assert sound_line.split()[2:5] == ["-11", "-60", "-14"]
    assert "separated" in sound_line
    assert err.count("\n") == 1
    assert "bad.wav" in err


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ZeroDivisionError("odd")])
def test_an_unexpected_error_of_one_recording_does_not_stop_the_others(
    tree, capsys, monkeypatch, error
):
    from noisegate_cli.api import file_analysis

    original = file_analysis.analyze_recording

    def fail(path, *arguments, **options):
        if str(path).endswith("tone.wav"):
            raise error
        return original(path, *arguments, **options)

    monkeypatch.setattr(file_analysis, "analyze_recording", fail)
    assert run(["analyze", str(tree), "--json"]) == 1
    out, err = capsys.readouterr()
    status = {
        row["file"].rpartition("/")[2]: row["status"] for row in map(json.loads, out.splitlines())
    }
    assert status == {"tone.wav": "failed", "b.wav": "done", "bad.wav": "failed"}
    reason = "Input/output error" if isinstance(error, OSError) else "ZeroDivisionError: odd"
    assert f"tone.wav': {reason}" in err


def test_several_files_can_be_read_as_csv(tree, capsys):
    names = [str(tree / "b.wav"), str(tree / "a" / "tone.wav")]
    assert run(["analyze", *names, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in rows] == names
    assert float(rows[0]["noise_floor_db"]) == pytest.approx(-60, abs=0.5)
    assert float(rows[0]["duration_s"]) == 15
    assert rows[1]["threshold"] == ""
    assert rows[1]["verdict"] == "steady_tone"


def test_csv_of_one_file_has_a_header_and_escapes_formulas(write, capsys, monkeypatch, tmp_path):
    write(tone(1, 0.1), "=1+1.wav")
    monkeypatch.chdir(tmp_path)
    assert run(["analyze", "=1+1.wav", "--csv"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.startswith("file,duration_s,")
    assert line.startswith("'=1+1.wav,1,")


def test_json_of_a_folder_has_one_object_on_each_line(tree, capsys):
    assert run(["analyze", str(tree), "--json"]) == 1
    lines = capsys.readouterr().out.splitlines()
    verdicts = [json.loads(line).get("verdict") for line in lines]
    assert sorted(verdicts, key=str) == [None, "separated", "steady_tone"]


def test_an_empty_folder_prints_a_message(tmp_path, capsys):
    assert run(["analyze", str(tmp_path)]) == 0
    assert "no recordings in" in capsys.readouterr().err


def test_a_folder_with_only_other_files_is_an_error_as_in_a_batch(tmp_path, capsys):
    (tmp_path / "notes" / "day1").mkdir(parents=True)
    (tmp_path / "notes" / "day1" / "notes.txt").touch()
    for command in ("analyze", "batch"):
        assert run([command, str(tmp_path / "notes")]) == 1
        assert "notes' contains no recordings, only other files" in capsys.readouterr().err
    assert run(["analyze", str(tmp_path / "notes"), str(SPEECH)]) == 1
    out, err = capsys.readouterr()
    assert "separated" in out
    assert err.count("\n") == 1


def test_every_folder_with_only_other_files_is_named(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").touch()
    folders = [str(tmp_path / name) for name in ("a", "b")]
    assert run(["analyze", *folders, "--json"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["file"] for line in out.splitlines()] == folders
    assert [line.split("' contains")[0][-2:] for line in err.splitlines()] == ["/a", "/b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--csv"], "--json and --csv both"),
        ([str(SPEECH), "--plot", "out.png"], "--plot requires a single recording"),
        (["--csv", "--plot", "out.png"], "use either --plot or --csv, not both"),
    ],
)
def test_options_that_exclude_each_other_are_refused(capsys, arguments, message):
    assert run(["analyze", str(SPEECH), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_leave_room_for_the_name(width):
    header = format_header(choose_columns(width))
    assert len(header) - len("recording") + 32 <= max(width, 32 + 17)
    assert {"closed", "-t"} <= set(header.split())


def test_the_columns_of_all_lines_are_aligned_and_levels_have_a_unit(tmp_path, write, capsys):
    for name, gain in (("a.wav", 1), ("b.wav", 0.0005)):
        write(gain * loud_and_quiet(), name, subtype="FLOAT")
    assert run(["analyze", str(tmp_path), "-t", "auto:otsu"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    place = header.index("recording")
    assert all(line[place - 1 : place + 1] == " '" for line in lines)
    assert len(lines) == 2
    assert "noise dB signal dB" in " ".join(header.split())


def analyze(*arguments, **environment):
    """Return what `ngate analyze` writes to a terminal, or to a log without a width."""
    command = [sys.executable, "-m", "noisegate_cli", "analyze", *map(str, arguments)]
    if "COLUMNS" not in environment:
        done = subprocess.run(
            command, capture_output=True, check=True, env=os.environ | environment
        )
        return done.stdout.decode()
    controller, terminal_end = pty.openpty()
    with subprocess.Popen(
        command, stdout=terminal_end, stderr=subprocess.PIPE, env=os.environ | environment
    ) as process:
        os.close(terminal_end)
        shown = b""
        while True:
            try:
                part = os.read(controller, 1 << 16)
            except OSError:
                break
            shown += part
    os.close(controller)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("width", "environment"),
    [
        (40, {"TERM": "xterm-256color"}),
        (60, {"TERM": "dumb"}),
        (80, {"TERM": "xterm", "NO_COLOR": "1"} | ASCII),
        (200, {"TERM": "xterm"}),
    ],
)
def test_no_line_wraps_on_a_terminal(write, width, environment):
    shown = analyze(write(SOUND), COLUMNS=str(width), **environment)
    colors = set(CONTROL_SEQUENCE.findall(shown))
    if environment["TERM"] == "dumb":
        assert not colors
    # Bright black and dim text vanish on some backgrounds.
    assert not [code for code in colors if code.strip("\x1b[m").split(";")[0] in ("2", "90")]
    if "NO_COLOR" in environment:
        assert not [code for code in colors if "3" in code]
        assert shown.isascii()
    for line in CONTROL_SEQUENCE.sub("", shown).splitlines():
        # A command to copy stays on one line.
        assert len(line) <= width or line.startswith("  command"), line
    assert "gate " in shown
    assert "◄" in shown or "<--" in shown


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LC_ALL": "C"}, True),
        ({"LC_CTYPE": "POSIX", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({}, False),
    ],
)
def test_the_locale_c_gets_ascii(monkeypatch, variables, expected):
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_ascii_only("utf-8") is expected
    assert is_ascii_only("latin-1")


def test_a_log_has_no_trailing_blanks_and_no_colors(write):
    text = analyze(write(SOUND), TERM="xterm")
    assert "\x1b" not in text
    for line in text.split("\n"):
        assert line == line.rstrip()
        assert len(line) <= 100 or line.startswith("  command")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_titles_of_the_table_are_whole_without_a_suggestion(capsys):
    assert run(["analyze", str(DATA / "guitar_stereo.flac"), "-q"]) == 0
    assert "openings/min  cut-offs/min\n" in capsys.readouterr().out


def test_the_bar_of_an_analysis_is_redrawn_in_its_line(write):
    status, displayed = run_with_stderr_on_terminal("analyze", write(np.tile(SOUND, 4)))
    assert status == 0
    shares = [int(share) for share in re.findall(r"(\d+)%", displayed)]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    # The cursor returns to the beginning of the line; at the end the line is erased.
    assert displayed.count("\n") <= 1
    assert "\x1b[2K" in displayed


def test_only_the_level_in_the_line_of_the_threshold_is_green():
    target = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=100)
    target.print(build_analysis_table(analyze_file(SPEECH)))
    (line,) = [li for li in target.file.getvalue().splitlines() if "agrees with" in li]
    assert re.search(r"\x1b\[1;32m[\d.]+ \(\S+ dBFS\)\x1b\[0m, agrees with", line)

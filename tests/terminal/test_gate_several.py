"""`ngate gate` gates several recordings, each as it would alone."""

import json
from pathlib import Path

import pytest

from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display.progress_display import RecordingProgress
from noisegate_cli.terminal.options.shared import expand_patterns
from noisegate_cli.text import quote_for_shell
from tests.conftest import loud_and_quiet, read, tone


@pytest.fixture
def folder(tmp_path, monkeypatch, write):
    """The current folder, with two recordings and a file that is none."""
    monkeypatch.chdir(tmp_path)
    write(loud_and_quiet(), "a.wav")
    write(loud_and_quiet(), "b.flac", subtype="PCM_24")
    (tmp_path / "bad.wav").write_text("no recording")
    return tmp_path


def gate(*arguments):
    return run(["gate", "-t", "0.03", *arguments])


def test_each_recording_is_gated_in_its_own_format_into_a_folder(folder, capsys):
    assert gate("a.wav", "b.flac", "-o", "out/") == 0
    assert gate("a.wav", "-o", "alone.wav") == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "a_gated.wav",
        "b_gated.flac",
    ]
    assert (read(folder / "out/a_gated.wav") == read(folder / "alone.wav")).all()
    err = capsys.readouterr().err
    assert "'a.wav': closed 3" in err
    assert "2 openings, written to 'out/a_gated.wav'" in err
    assert "gated 2 of 2 recordings" in err


def test_a_recording_that_fails_does_not_stop_the_others(folder, capsys):
    assert gate("bad.wav", "a.wav", "gone.wav", "b.flac") == 1
    err = capsys.readouterr().err
    assert "ngate: 'bad.wav'" in err
    assert "ngate: 'gone.wav' does not exist" in err
    assert err.endswith("gated 2 of 4 recordings\n")
    assert (folder / "a_gated.wav").exists()
    assert (folder / "b_gated.flac").exists()


def test_an_unexpected_error_of_one_recording_does_not_stop_the_others(folder, capsys, monkeypatch):
    from noisegate_cli.api import file_gate

    original = file_gate.gate_file

    def fail(source, *arguments, **options):
        if source.name == "a.wav":
            raise OSError(5, "Input/output error")
        return original(source, *arguments, **options)

    monkeypatch.setattr(file_gate, "gate_file", fail)
    assert gate("a.wav", "b.flac") == 1
    err = capsys.readouterr().err
    assert "ngate: 'a.wav': Input/output error" in err
    assert err.endswith("gated 1 of 2 recordings\n")


def test_outputs_of_an_earlier_call_are_skipped(folder, capsys):
    files = ["a.wav", "b.flac"]
    assert gate(*files) == 0
    capsys.readouterr()
    assert gate(*files, "a_gated.wav", "b_gated.flac", "-f") == 0
    err = capsys.readouterr().err
    assert "skipped 'a_gated.wav': it is an output of ngate" in err
    assert "gated 2 of 2 recordings" in err
    assert not (folder / "a_gated_gated.wav").exists()


def test_json_prints_a_line_for_each_recording(folder, capsys):
    assert gate("a.wav", "b.flac", "a.wav", "--json") == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["a.wav", "b.flac"]
    assert err == ""


def test_cut_sounds_of_any_recording_fail_on_demand(folder, write, capsys):
    write(tone(1, 0.001), "quiet.wav")
    assert gate("quiet.wav", "a.wav", "--fail-on-chop", "-q") == 1
    assert "'quiet_gated.wav': the gate never opens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "clean.wav"], "-o 'clean.wav' is for one recording, not for 2: give a folder"),
        (["-o", "-"], "give a folder, -o clean/"),
        (["--residue", "r.wav"], "--residue 'r.wav' is for one recording"),
        (["--labels", "l.txt"], "--labels 'l.txt' is for one recording"),
        (["--apply", "l.txt"], "--apply 'l.txt' is for one recording"),
        (["--ab", "x.wav"], "--ab 'x.wav' is for one recording"),
        (["--plot", "p.png"], "--plot 'p.png' is for one recording"),
        (["-"], "standard input cannot be gated with other recordings"),
        (["--format", "wav", "a.flac"], "'a.wav' and 'a.flac' have the same output 'a_gated.wav'"),
    ],
)
def test_options_for_one_recording_are_refused_before_any_work(folder, capsys, options, message):
    assert gate("a.wav", "b.flac", *options) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["a.wav", "b.flac", "bad.wav"]


def test_the_progress_shows_which_of_the_recordings_it_is(monkeypatch):
    titles = []
    monkeypatch.setattr(
        "noisegate_cli.terminal.display.progress_display.ProgressDisplay",
        lambda title, *_: titles.append(title),
    )
    RecordingProgress("a.wav", lambda: 1.0, "2 of 5 ")
    assert titles == ["2 of 5 'a.wav'"]


def test_patterns_are_expanded_on_windows_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a.wav", "c[1].wav"):
        Path(name).touch()
    typed = ["*.wav", "c[1].wav", "none*.wav"]
    assert expand_patterns(typed) == typed
    monkeypatch.setattr("sys.platform", "win32")
    assert expand_patterns(typed) == ["a.wav", "b.wav", "c[1].wav", "c[1].wav", "none*.wav"]


def test_a_suggested_command_is_quoted_for_the_shell_of_the_system(monkeypatch):
    words = ["ngate", "gate", "my talk.wav"]
    assert quote_for_shell(words) == "ngate gate 'my talk.wav'"
    monkeypatch.setattr("sys.platform", "win32")
    assert quote_for_shell(words) == 'ngate gate "my talk.wav"'

"""`--labels`, `--apply`, `--keep`, `--cut`, `--preview`, `--start`, `--duration` and `--ab`."""

import json

import numpy as np
import pytest

from noisegate_cli.files.labels.label_file import read_label_file
from noisegate_cli.terminal.cli import run
from tests.conftest import SPEECH, loud_and_quiet, read


@pytest.fixture
def folder(tmp_path, monkeypatch, write):
    write(loud_and_quiet())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_labels_are_edited_and_applied(folder, capsys):
    assert run(["gate", str(SPEECH), "-o", "a.wav", "--labels", "a.TextGrid"]) == 0
    assert "labels     'a.TextGrid'" in capsys.readouterr().err
    assert run(["gate", str(SPEECH), "-o", "b.wav", "--apply", "a.TextGrid"]) == 0
    assert "applied    the given open segments" in capsys.readouterr().err
    assert read(folder / "a.wav").tobytes() == read(folder / "b.wav").tobytes()


@pytest.mark.parametrize("labels", ["", "60\t61\topen\n"])
def test_labels_that_open_the_gate_nowhere_cause_a_warning(folder, capsys, labels):
    (folder / "a.txt").write_text(labels)
    assert run(["gate", "in.wav", "-o", "out.wav", "--apply", "a.txt"]) == 0
    err = capsys.readouterr().err
    assert "warning    'a.txt' contains no open segment of this recording" in err
    (folder / "a.txt").write_text("0\t1\topen\n")
    assert run(["gate", "in.wav", "-o", "out.wav", "--apply", "a.txt", "-f"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_segments_are_kept_and_cut(folder, capsys):
    options = ["--keep", "0:01.2-0:01.4", "--keep", "1.6-1.7s", "--cut", "0-0.5"]
    assert run(["gate", "in.wav", "-t", "0.03", "-o", "a.wav", *options]) == 0
    y, out = read(folder / "in.wav"), read(folder / "a.wav")
    assert np.array_equal(out[19200:22400], y[19200:22400])
    assert np.array_equal(out[25600:27200], y[25600:27200])
    assert not out[:8000].any()
    err = capsys.readouterr().err
    assert "kept       0:01.20-0:01.40, 0:01.60-0:01.70" in err
    assert "cut        0:00.00-0:00.50" in err


def test_json_carries_the_segments(folder, capsys):
    assert run(["gate", "in.wav", "-t", "0.03", "--cut", "2.5-3", "--json", "-q"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [sorted(segment) for segment in data["segments"]] == [["end", "start"]] * 2
    assert data["forced"] == {"segments": None, "keep": [], "cut": [[2.5, 3.0]]}
    assert run(["gate", "in.wav", "-t", "0.03", "--channels", "separate", "--json", "-fq"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert "channel" not in data["segments"][0]
    assert data["forced"] is None
    assert run(["analyze", "in.wav", "--json", "-q", "--labels", "a.csv"]) == 0
    assert len(json.loads(capsys.readouterr().out)["segments"]) == len(
        read_label_file(folder / "a.csv")
    )


def test_a_preview_and_a_comparison_are_written(folder, capsys):
    assert run(["gate", str(SPEECH), "-o", "a.wav", "--preview", "3", "--ab", "ab.wav"]) == 0
    assert len(read(folder / "a.wav")) == 48000
    assert len(read(folder / "ab.wav")) == 96000
    err = capsys.readouterr().err
    assert "comparison 'ab.wav'" in err
    assert " of the recording" in err
    assert run(["gate", str(SPEECH), "-o", "b.wav", "--duration", "3s"]) == 0
    assert len(read(folder / "b.wav")) == 48000
    assert "excerpt    0:00.00-0:03.00" in capsys.readouterr().err
    assert run(["gate", str(SPEECH), "-o", "c.wav", "--start", "0:08"]) == 0
    assert len(read(folder / "c.wav")) == 48000


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (
            ["--labels", "a.doc"],
            1,
            "end the name in one of .txt .csv .json .TextGrid .rttm .srt",
        ),
        (["--apply", "a.rpp"], 1, "give a file that ends in one of .txt .csv .json .TextGrid"),
        (["--apply", "none.txt"], 1, "'none.txt' cannot be read: No such file or directory"),
        (["--apply", "empty.json"], 1, "'empty.json': it has no \"segments\""),
        (["--apply", "bad.txt"], 1, "'bad.txt': line 2: 'x' is not a time in seconds"),
        (["--apply", "left.txt"], 2, "channel 2, and the gate has 1: give --channels separate"),
        (["--keep", "5"], 2, "keep '5' is not a time span: give FROM-TO, such as 1:20-1:25"),
        (
            ["--cut", "3-1"],
            2,
            "cut '3-1' ends before it starts: give FROM-TO, such as 0:00-0:02.5",
        ),
        (["--keep", "3-4"], 1, "'in.wav': it ends at 0:03.00, before the time span to keep"),
        (["--keep", "8-9"], 1, "'in.wav': it ends at 0:03.00, before the time span to keep"),
        (
            ["--preview", "soon"],
            2,
            "preview 'soon' is not a time: give seconds, or minutes as in 1:20",
        ),
        (["--preview", "3", "--duration", "3"], 2, "use either --preview or --duration, not both"),
        (["--start", "4"], 1, "before the excerpt starts at 0:04.00"),
        (["--ab", "out.wav"], 1, "'out.wav' is already the output: give the comparison another"),
        (["--ab", "in.wav", "-f"], 1, "'in.wav' is the input, which is never overwritten"),
        (["--labels", "-", "--json"], 2, "both write to standard output"),
    ],
)
def test_a_usage_error_gives_one_line_and_leaves_no_file(folder, capsys, options, status, message):
    (folder / "empty.json").write_text("{}")
    (folder / "bad.txt").write_text("0\t1\topen\nx\t2\topen\n")
    (folder / "left.txt").write_text("0\t1\topen 2\n")
    before = sorted(folder.iterdir())
    assert run(["gate", "in.wav", "-t", "0.03", "-o", "out.wav", *options]) == status
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("ngate: ")
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(folder.iterdir()) == before


def test_labels_of_several_recordings_are_written_next_to_them(folder, capsys, write):
    write(loud_and_quiet(), "day/a.wav")
    assert run(["analyze", "day", "in.wav", "--labels", "textgrid"]) == 0
    capsys.readouterr()
    assert run(["analyze", "in.wav", "--labels", "one.TextGrid", "-q"]) == 0
    assert "labels" not in capsys.readouterr().err
    assert run(["analyze", "in.wav", "--labels", "one.TextGrid", "-f"]) == 0
    assert "labels     'one.TextGrid'" in capsys.readouterr().err
    text = (folder / "one.TextGrid").read_text()
    assert (folder / "in.TextGrid").read_text() == text
    assert (folder / "day" / "a.TextGrid").read_text() == text
    capsys.readouterr()
    assert run(["analyze", "day", "in.wav", "--labels", "TextGrid", "--csv", "-q"]) == 1
    error = capsys.readouterr().err
    assert "'in.TextGrid' already exists: --force overwrites it" in error
    assert run(["analyze", "day", "--labels", "a.txt"]) == 1
    assert "labels 'a.txt' cannot be written: give one of txt csv" in capsys.readouterr().err


def test_a_label_file_without_a_name_gets_a_hint(folder, capsys):
    assert run(["analyze", "in.wav", "--labels", "TextGrid"]) == 1
    err = capsys.readouterr().err
    assert "'TextGrid' has no known extension for labels: give the name of a file, such as" in err
    assert err.endswith("labels.TextGrid\n")


def test_a_batch_writes_labels_next_to_its_outputs(folder, capsys, write):
    for name in ("day/a.wav", "day/a.flac"):
        write(loud_and_quiet(), f"rec/{name}")
    arguments = ["batch", "rec", "-t", "0.03", "-j", "1", "-q"]
    assert run([*arguments, "--labels", "srt"]) == 0
    for name in ("a.wav", "a.flac"):
        assert len(read_label_file(folder / "rec-gated" / "day" / f"{name}.srt")) == 2
    # Their names do not depend on the other recordings unless they would be the same.
    (folder / "rec" / "day" / "a.flac").unlink()
    write(loud_and_quiet(), "rec/night/b.c.wav")
    assert run([*arguments, "--labels", "textgrid", "-f"]) == 0
    for name in ("day/a.TextGrid", "night/b.c.TextGrid"):
        assert len(read_label_file(folder / "rec-gated" / name)) == 2
    # Other labels are other settings.
    assert run([*arguments, "--labels", "txt"]) == 0
    assert len(read_label_file(folder / "rec-gated" / "day" / "a.txt")) == 2
    assert run([*arguments, "--labels", "doc"]) == 1
    assert "labels 'doc' cannot be written: give one of txt csv json" in capsys.readouterr().err


def test_a_decay_cut_by_given_segments_needs_no_longer_hold(folder, capsys):
    (folder / "cut.txt").write_text("0.4\t0.9\topen\n")
    assert run(["gate", str(SPEECH), "--apply", "cut.txt", "-o", "out.wav"]) == 0
    err = capsys.readouterr().err
    assert "decay truncated" in err
    assert "--hold" not in err
    assert "to keep a decay, move the end of its segment in the labels" in err

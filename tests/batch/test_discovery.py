import io
import ntpath
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from noisegate_cli import AudioError, OutputOptions
from noisegate_cli.batch.discovery import (
    GlobPatterns,
    SkippedFiles,
    find_listed,
    read_names,
    walk_tree,
)
from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.files.outputs.naming import output_name
from noisegate_cli.terminal.cli import run as ngate
from tests.batch.helpers import list_files, run, statuses
from tests.conftest import loud_and_quiet, tone


def valid_names(recordings):
    return sorted(recording.name for recording in recordings if not recording.reason)


@pytest.fixture
def tree(tmp_path):
    names = ("a.wav", "B.WAV", "raw/a.wav", "day1/x.flac", "day1/raw/y.wav", "day2/take 1.wav")
    for name in (*names, "notes.txt", ".hidden.wav", ".cache/z.wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def find_names(tree, *include, exclude=()):
    return valid_names(walk_tree(tree, tree / "none", GlobPatterns(include, exclude)))


def test_all_recordings_except_hidden_ones_are_found(tree):
    assert find_names(tree) == [
        "B.WAV", "a.wav", "day1/raw/y.wav", "day1/x.flac", "day2/take 1.wav", "raw/a.wav",
    ]  # fmt: skip


def test_a_pattern_without_a_slash_matches_names_at_any_depth(tree):
    assert find_names(tree, "a.wav") == ["a.wav", "raw/a.wav"]
    assert find_names(tree, "*.flac", "B*") == ["B.WAV", "day1/x.flac"]


def test_a_pattern_with_a_slash_matches_paths_from_the_root(tree):
    assert find_names(tree, "day1/*") == ["day1/raw/y.wav", "day1/x.flac"]
    assert find_names(tree, "/a.wav", "./raw/*") == ["a.wav", "raw/a.wav"]
    assert find_names(tree, "**/*.wav") == ["day1/raw/y.wav", "day2/take 1.wav", "raw/a.wav"]


def test_excluding_a_folder_excludes_everything_below_it(tree):
    assert find_names(tree, exclude=("raw", "day2/")) == ["B.WAV", "a.wav", "day1/x.flac"]
    assert find_names(tree, "*.wav", exclude=("day1/raw",)) == [
        "a.wav",
        "day2/take 1.wav",
        "raw/a.wav",
    ]


def test_links_to_files_are_followed_but_not_links_to_folders_or_cycles(tree):
    (tree / "loop").symlink_to(tree, target_is_directory=True)
    (tree / "folder.wav").symlink_to(tree / "day1", target_is_directory=True)
    (tree / "link.wav").symlink_to(tree / "a.wav")
    (tree / "circle.wav").symlink_to(tree / "circle.wav")
    (tree / "nowhere.wav").symlink_to(tree / "gone.wav")
    assert {"link.wav", "circle.wav", "nowhere.wav", "a.wav"} <= set(find_names(tree))
    assert not [name for name in find_names(tree) if "loop" in name or "folder" in name]
    report, _ = run(
        tree, tree.with_name("out"), patterns=GlobPatterns(("nowhere.wav", "circle.wav"))
    )
    assert report.failed == 2
    assert any("gone.wav', which does not exist" in error for error in report.errors)


def test_listed_names_are_relative_to_the_working_directory_or_the_root(tree, monkeypatch):
    monkeypatch.chdir(tree.parent)
    names = ["in/a.wav", "day1/x.flac", str(tree / "raw/a.wav"), "in/../in/B.WAV", "in/.hidden.wav"]
    assert valid_names(find_listed(tree, names, GlobPatterns())) == [
        ".hidden.wav", "B.WAV", "a.wav", "day1/x.flac", "raw/a.wav",
    ]  # fmt: skip
    assert valid_names(find_listed(tree, names, GlobPatterns(exclude=("raw", "day*")))) == [
        ".hidden.wav", "B.WAV", "a.wav",
    ]  # fmt: skip


def test_listed_names_outside_the_root_are_refused(tree, tmp_path):
    (tmp_path / "other.wav").touch()
    outside, folder = find_listed(
        tree, [str(tmp_path / "other.wav"), str(tree / "day1")], GlobPatterns()
    )
    assert "other.wav' is not in" in outside.reason
    assert "is a folder" in folder.reason


def test_listed_names_can_contain_any_character(tmp_path, monkeypatch):
    names = ["with space.wav", "-dash.wav", "ü.wav", "two\nlines.wav", "\udcff.wav"]
    (tmp_path / "list").write_bytes(b"\0".join(map(os.fsencode, names)))
    assert list(read_names(str(tmp_path / "list"), null_separated=True)) == names
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a.wav\r\n\nb.wav")))
    assert list(read_names("-")) == ["a.wav", "b.wav"]
    with pytest.raises(AudioError, match="nowhere' cannot be read"):
        list(read_names(str(tmp_path / "nowhere")))


def test_unusual_names_are_preserved(tmp_path, write):
    names = ["-t.wav", "with space.wav", "two\nlines.wav", "ü ひと.wav", "'\".wav", "[x].wav"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"\xff.wav"))
    for name in names:
        write(loud_and_quiet(), "x.wav").rename(tmp_path / name)
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / name).rename(tmp_path / "in" / name)
    report, _ = run(tmp_path / "in", tmp_path / "out")
    assert (report.done, report.failed) == (len(names), 0)
    assert list_files(tmp_path / "out") == sorted(names)
    second_report, _ = run(tmp_path / "in", tmp_path / "out")
    assert second_report.skip_reasons == {"already done": len(names)}


def test_find_and_batch_work_together(tmp_path, write):
    for name in ("a b.wav", "two\nlines.wav", "c.wav"):
        write(loud_and_quiet(), f"in/deep/{name}")
    batch = [sys.executable, "-m", "noisegate_cli", "batch", "-q", "-t", "0.03", "-j", "1"]
    list_ = b"\0".join(os.fsencode(f"in/deep/{name}") for name in ("a b.wav", "two\nlines.wav"))
    command = [*batch, "--from-file", "-", "-0", "-o", "out"]
    subprocess.run(command, input=list_, cwd=tmp_path, check=True)
    assert list_files(tmp_path / "out") == ["in/deep/a b.wav", "in/deep/two\nlines.wav"]


def test_a_recording_that_is_listed_twice_is_gated_once(tmp_path, write, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tone(1, 0.1), "in/a.wav")
    (tmp_path / "list").write_text("in/a.wav\n./in/a.wav\na.wav\n" * 2)
    root = tmp_path / "in"
    names = [str(root / "a.wav"), f"{root}/./a.wav", "a.wav"]
    assert {recording.name for recording in find_listed(root, names, GlobPatterns())} == {"a.wav"}
    report, observer = run(root, tmp_path / "out", names_file=str(tmp_path / "list"))
    assert statuses(observer)["a.wav"] == "done"
    assert report.done == 1


def test_output_names_follow_from_input_names_and_options():
    options = OutputOptions(suffix="")
    assert output_name("a/b.WAV", options) == "a/b.WAV"
    assert output_name("a/b.wma", options) == "a/b.flac"
    assert output_name("a/b.listed", options) == "a/b.wav"
    assert output_name("a.b.wav", OutputOptions(format="flac", suffix="_x")) == "a.b_x.flac"


def test_an_unexpected_nul_separated_list_is_refused_with_a_hint(tmp_path, write, capsys):
    write(loud_and_quiet(), "in/a.wav")
    (tmp_path / "list").write_bytes(b"in/a.wav\0in/b.wav\0")
    options = ["-o", str(tmp_path / "out"), "--from-file", str(tmp_path / "list")]
    assert ngate(["batch", str(tmp_path / "in"), *options]) == 1
    assert capsys.readouterr().err.endswith("list' end with NUL, not with a line break: add -0\n")
    assert not (tmp_path / "out").exists()


def test_outputs_of_ngate_in_the_input_tree_are_skipped_and_counted(tree):
    for name in ("a_gated.wav", "day1/x_gated.wav", "raw/other_gated.wav", "_gated.wav"):
        (tree / name).touch()
    for name in ("earlier/a.wav", f"earlier/{MANIFEST_NAME}"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    skipped = SkippedFiles()
    found = valid_names(walk_tree(tree, tree / "none", GlobPatterns(), skipped))
    assert {"raw/other_gated.wav", "_gated.wav", "a.wav"} <= set(found)
    assert not {"a_gated.wav", "day1/x_gated.wav", "earlier/a.wav"} & set(found)
    assert (skipped.output_files, skipped.output_folders) == (2, [str(tree / "earlier")])


def test_skipped_outputs_are_reported(tmp_path, write, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(loud_and_quiet(), "in/a.wav")
    write(loud_and_quiet(), "in/a_gated.wav")
    assert ngate(["batch", "in", "-n", "-j", "1"]) == 0
    assert "skipped 1 output of ngate, named NAME_gated.EXT next to NAME" in (
        capsys.readouterr().err
    )
    assert ngate(["analyze", "in", "--csv"]) == 0
    out, err = capsys.readouterr()
    assert "skipped 1 output of ngate" in err
    assert [line.split(",")[0] for line in out.splitlines()] == ["file", "in/a.wav"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--include", "*.flc"], "no recording below 'in' matches '*.flc': check --include"),
        (["--from-file", "list"], "the list 'list' names no recording"),
    ],
)
def test_a_selection_without_recordings_is_an_error(
    tmp_path, write, capsys, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    write(loud_and_quiet(), "in/a.wav")
    (tmp_path / "list").touch()
    assert ngate(["batch", "in", "-n", "-j", "1", *options]) == 1
    assert capsys.readouterr().err == f"ngate: {message}\n"


def test_a_verbose_batch_reports_what_it_does_with_each_recording_and_why(
    tmp_path, write, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write(loud_and_quiet(), "in/a.wav")
    (tmp_path / "in" / "bad.wav").write_text("no recording")
    batch = ["batch", "in", "-t", "0.03", "-j", "1", "-v"]
    assert ngate([*batch, "-n"]) == 1
    assert "would gate 'a.wav': new" in capsys.readouterr().err
    assert ngate(batch) == 1
    err = capsys.readouterr().err
    assert "gated 'a.wav' (new): closed 3" in err
    assert err.count("in/bad.wav'") == 1
    assert ngate([*batch, "-n", "--hold", "31"]) == 1
    assert "would gate 'a.wav': other settings" in capsys.readouterr().err
    assert ngate([*batch, "-n"]) == 1
    assert "skipped 'a.wav': already done" in capsys.readouterr().err


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "list").write_bytes("a.wav\r\nb.wav\r\n".encode("utf-8-sig"))
    assert list(read_names(str(tmp_path / "list"))) == ["a.wav", "b.wav"]


def test_the_output_may_be_on_another_drive(tree, monkeypatch):
    def relative_path(path, start):  # as Windows does it
        return ntpath.relpath("D:" + path, "C:" + start) if "none" in path else relpath(path, start)

    relpath = os.path.relpath
    expected = find_names(tree)
    monkeypatch.setattr(os.path, "relpath", relative_path)
    assert find_names(tree) == expected

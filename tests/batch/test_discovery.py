import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from noisegate_cli import AudioError, OutputOptions
from noisegate_cli.batch.discovery import GlobPatterns, find_listed, read_names, walk_tree
from noisegate_cli.files.output_naming import output_name
from noisegate_cli.terminal.cli import run as ngate
from tests.batch.helpers import list_files, run, statuses
from tests.conftest import loud_and_quiet, tone


def found(names):
    return sorted(one.name for one in names if not one.reason)


@pytest.fixture
def tree(tmp_path):
    names = ("a.wav", "B.WAV", "raw/a.wav", "day1/x.flac", "day1/raw/y.wav", "day2/take 1.wav")
    for name in (*names, "notes.txt", ".hidden.wav", ".cache/z.wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def walked(tree, *include, exclude=()):
    return found(walk_tree(tree, tree / "none", GlobPatterns(include, exclude)))


def test_all_recordings_are_found_but_hidden_ones(tree):
    assert walked(tree) == [
        "B.WAV", "a.wav", "day1/raw/y.wav", "day1/x.flac", "day2/take 1.wav", "raw/a.wav",
    ]  # fmt: skip


def test_a_pattern_without_a_slash_is_one_of_names_at_any_depth(tree):
    assert walked(tree, "a.wav") == ["a.wav", "raw/a.wav"]
    assert walked(tree, "*.flac", "B*") == ["B.WAV", "day1/x.flac"]


def test_a_pattern_with_a_slash_is_one_of_paths_from_the_root(tree):
    assert walked(tree, "day1/*") == ["day1/raw/y.wav", "day1/x.flac"]
    assert walked(tree, "/a.wav", "./raw/*") == ["a.wav", "raw/a.wav"]
    assert walked(tree, "**/*.wav") == ["day1/raw/y.wav", "day2/take 1.wav", "raw/a.wav"]


def test_what_excludes_a_folder_excludes_all_below_it(tree):
    assert walked(tree, exclude=("raw", "day2/")) == ["B.WAV", "a.wav", "day1/x.flac"]
    assert walked(tree, "*.wav", exclude=("day1/raw",)) == ["a.wav", "day2/take 1.wav", "raw/a.wav"]


def test_links_to_files_are_followed_and_those_to_folders_or_in_circles_are_not(tree):
    (tree / "loop").symlink_to(tree, target_is_directory=True)
    (tree / "folder.wav").symlink_to(tree / "day1", target_is_directory=True)
    (tree / "link.wav").symlink_to(tree / "a.wav")
    (tree / "circle.wav").symlink_to(tree / "circle.wav")
    (tree / "nowhere.wav").symlink_to(tree / "gone.wav")
    assert {"link.wav", "circle.wav", "nowhere.wav", "a.wav"} <= set(walked(tree))
    assert not [name for name in walked(tree) if "loop" in name or "folder" in name]
    report, _ = run(
        tree, tree.with_name("out"), patterns=GlobPatterns(("nowhere.wav", "circle.wav"))
    )
    assert report.failed == 2
    assert any("nowhere.wav' doesn't exist" in error for error in report.errors)


def test_a_list_names_recordings_as_one_sees_them_or_below_the_root(tree, monkeypatch):
    monkeypatch.chdir(tree.parent)
    names = ["in/a.wav", "day1/x.flac", str(tree / "raw/a.wav"), "in/../in/B.WAV", "in/.hidden.wav"]
    assert found(find_listed(tree, names, GlobPatterns())) == [
        ".hidden.wav", "B.WAV", "a.wav", "day1/x.flac", "raw/a.wav",
    ]  # fmt: skip
    assert found(find_listed(tree, names, GlobPatterns(exclude=("raw", "day*")))) == [
        ".hidden.wav", "B.WAV", "a.wav",
    ]  # fmt: skip


def test_what_a_list_names_outside_of_the_root_is_refused(tree, tmp_path):
    (tmp_path / "other.wav").touch()
    one, two = find_listed(tree, [str(tmp_path / "other.wav"), str(tree / "day1")], GlobPatterns())
    assert "other.wav' is not below" in one.reason
    assert "is a directory" in two.reason


def test_the_names_of_a_list_may_hold_anything(tmp_path, monkeypatch):
    names = ["with space.wav", "-dash.wav", "ü.wav", "two\nlines.wav", "\udcff.wav"]
    (tmp_path / "list").write_bytes(b"\0".join(map(os.fsencode, names)))
    assert list(read_names(str(tmp_path / "list"), null_separated=True)) == names
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a.wav\r\n\nb.wav")))
    assert list(read_names("-")) == ["a.wav", "b.wav"]
    with pytest.raises(AudioError, match="nowhere' can't be read"):
        list(read_names(str(tmp_path / "nowhere")))


def test_awkward_names_come_out_as_they_went_in(tmp_path, write):
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
    again, _ = run(tmp_path / "in", tmp_path / "out")
    assert again.skip_reasons == {"done before": len(names)}


def test_find_and_batch_work_together(tmp_path, write):
    for name in ("a b.wav", "two\nlines.wav", "c.wav"):
        write(loud_and_quiet(), f"in/deep/{name}")
    batch = [sys.executable, "-m", "noisegate_cli", "batch", "-q", "-t", "0.03", "-j", "1"]
    list_ = b"\0".join(os.fsencode(f"in/deep/{name}") for name in ("a b.wav", "two\nlines.wav"))
    command = [*batch, "--from-file", "-", "-0", "-o", "out"]
    subprocess.run(command, input=list_, cwd=tmp_path, check=True)
    assert list_files(tmp_path / "out") == ["in/deep/a b.wav", "in/deep/two\nlines.wav"]


def test_a_recording_that_is_listed_twice_is_one(tmp_path, write, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tone(1, 0.1), "in/a.wav")
    (tmp_path / "list").write_text("in/a.wav\n./in/a.wav\na.wav\n" * 2)
    root = tmp_path / "in"
    names = [str(root / "a.wav"), f"{root}/./a.wav", "a.wav"]
    assert {one.name for one in find_listed(root, names, GlobPatterns())} == {"a.wav"}
    report, told = run(root, tmp_path / "out", names_file=str(tmp_path / "list"))
    assert statuses(told)["a.wav"] == "done"
    assert report.done == 1


def test_outputs_are_called_what_the_names_say():
    batch = OutputOptions(suffix="")
    assert output_name("a/b.WAV", batch) == "a/b.WAV"
    assert output_name("a/b.wma", batch) == "a/b.flac"
    assert output_name("a/b.listed", batch) == "a/b.wav"
    assert output_name("a.b.wav", OutputOptions(format="flac", suffix="_x")) == "a.b_x.flac"


def test_a_list_that_is_separated_by_nul_unexpectedly_is_explained(tmp_path, write, capsys):
    write(loud_and_quiet(), "in/a.wav")
    (tmp_path / "list").write_bytes(b"in/a.wav\0in/b.wav\0")
    options = ["-o", str(tmp_path / "out"), "--from-file", str(tmp_path / "list")]
    assert ngate(["batch", str(tmp_path / "in"), *options]) == 1
    assert capsys.readouterr().err.endswith("list' end in NUL, not in a line break: add -0\n")
    assert not (tmp_path / "out").exists()

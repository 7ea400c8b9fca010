import errno
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, OutputError, OutputOptions
from noisegate_cli.batch.manifest import (
    MANIFEST_NAME,
    Manifest,
    read_results,
)
from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.records import RecordingResult
from noisegate_cli.files.outputs.partial_files import partial_path
from noisegate_cli.gating.parsing import MUTE
from tests.batch.helpers import SETTINGS, list_files, read_manifest, run, statuses
from tests.conftest import loud_and_quiet, tone


@pytest.fixture
def tree(tmp_path, write):
    for name in ("in/a.wav", "in/deep/b.wav"):
        write(loud_and_quiet(), name)
    return tmp_path / "in"


def test_the_manifest_has_a_complete_line_for_each_recording(tree, tmp_path):
    (tree / "bad.wav").write_text("no recording")
    run(tree, tmp_path / "out", checksum=True)
    by_output = {line["output"]: line for line in read_manifest(tmp_path / "out")}
    assert sorted(by_output) == ["a.wav", "bad.wav", "deep/b.wav"]
    good, bad = by_output["a.wav"], by_output["bad.wav"]
    stat = (tree / "a.wav").stat()
    assert (good["status"], good["file"]) == ("done", str(tree / "a.wav"))
    assert (good["size"], good["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)
    assert good["digest"].startswith("blake2b:")
    assert good["settings"]["threshold"] == 0.03
    assert good["settings"]["range_db"] == "mute"
    assert good["versions"].keys() >= {"ngate", "numpy", "libsndfile"}
    assert good["result"]["duration_s"] == 3
    assert (bad["status"], bad["result"]) == ("failed", {})
    assert "not a readable recording" in bad["error"]


def test_a_muted_range_is_another_setting_than_the_default_range(tree, tmp_path):
    run(tree, tmp_path / "out", settings=GateSettings())
    muted = GateSettings(range_db=MUTE)
    report, _ = run(tree, tmp_path / "out", settings=muted)
    assert (report.done, report.reasons) == (2, {"other settings": 2})
    report, _ = run(tree, tmp_path / "out", settings=muted)
    assert report.done == 0


def test_a_second_run_does_nothing(tree, tmp_path):
    run(tree, tmp_path / "out")
    before = (tmp_path / "out" / MANIFEST_NAME).read_bytes()
    report, observer = run(tree, tmp_path / "out")
    assert (report.done, report.skip_reasons) == (0, {"already done": 2})
    assert set(statuses(observer).values()) == {"skipped"}
    assert (tmp_path / "out" / MANIFEST_NAME).read_bytes() == before


def reasons(tree, output, **options):
    return run(tree, output, dry_run=True, **options)[0].reasons


def test_missing_changed_failed_and_differently_gated_recordings_are_done_again(
    tree, tmp_path, write
):
    (tree / "bad.wav").write_text("no recording")
    output = tmp_path / "out"
    run(tree, output)
    assert reasons(tree, output) == {"failed in the last run": 1}
    (tree / "bad.wav").unlink()
    (output / "a.wav").unlink()
    (output / "deep" / "b.wav").write_bytes(b"")
    assert reasons(tree, output) == {"output is missing": 2}
    run(tree, output)
    write(tone(1, 0.1), "in/deep/b.wav")
    assert reasons(tree, output) == {"recording changed": 1}
    run(tree, output)
    assert reasons(tree, output, settings=replace(SETTINGS, hold_ms=5.0)) == {"other settings": 2}
    assert reasons(tree, output, options=OutputOptions(suffix="", subtype="PCM_24")) == {
        "other settings": 2
    }
    assert reasons(tree, output, force=True) == {"forced": 2}
    assert reasons(tree, output) == {}


def test_outputs_of_unknown_origin_are_kept_unless_forced(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").write_text("kept")
    report, _ = run(tree, tmp_path / "out")
    assert report.skip_reasons == {"output exists and is not from a batch": 1}
    assert (tmp_path / "out" / "a.wav").read_text() == "kept"
    run(tree, tmp_path / "out", force=True)
    assert (tmp_path / "out" / "a.wav").stat().st_size > 1000


def test_an_edited_output_is_kept_unless_forced(tree, tmp_path, write):
    output = tmp_path / "out"
    run(tree, output)
    (output / "a.wav").write_text("edited")
    write(tone(1, 0.1), "in/a.wav")
    report, _ = run(tree, output, settings=replace(SETTINGS, hold_ms=5.0))
    assert report.skip_reasons == {"output was changed after it was written": 1}
    assert (output / "a.wav").read_text() == "edited"
    run(tree, output, force=True)
    assert run(tree, output)[0].skip_reasons == {"already done": 2}


def test_a_failed_run_keeps_the_output_and_a_later_run_replaces_it(tree, tmp_path, write):
    output = tmp_path / "out"
    run(tree, output)
    before = (output / "a.wav").read_bytes()
    (tree / "a.wav").write_text("no recording any more")
    assert run(tree, output)[0].failed == 1
    assert (output / "a.wav").read_bytes() == before
    write(tone(1, 0.1), "in/a.wav")
    assert run(tree, output)[0].done == 1
    assert (output / "a.wav").read_bytes() != before


def test_two_trees_with_one_output_tree_do_not_overwrite_each_other(tree, tmp_path, write):
    write(tone(2, 0.1), "in2/a.wav")
    run(tree, tmp_path / "out")
    report, _ = run(tmp_path / "in2", tmp_path / "out")
    assert report.skip_reasons == {"output belongs to another recording": 1}


def test_a_moved_tree_is_recognized(tree, tmp_path):
    run(tree, tmp_path / "out")
    moved = tree.rename(tmp_path / "moved")
    (tmp_path / "out").rename(tmp_path / "out2")
    assert run(moved, tmp_path / "out2")[0].skip_reasons == {"already done": 2}


def test_checksums_distinguish_a_copy_from_a_change(tree, tmp_path):
    output = tmp_path / "out"
    run(tree, output, checksum=True)
    changed = tree / "deep" / "b.wav"
    stat = changed.stat()
    data = changed.read_bytes()
    changed.write_bytes(data[:-2] + b"\1\1")
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.utime(tree / "a.wav", ns=(0, 0))
    report, observer = run(tree, output, checksum=True)
    assert statuses(observer) == {"a.wav": "skipped", "b.wav": "done"}
    assert report.skip_reasons == {"already done": 1}


def test_settings_missing_in_an_older_manifest_have_their_defaults(tree, tmp_path):
    output = tmp_path / "out"
    run(tree, output)
    lines = read_manifest(output)
    for line in lines:
        del line["settings"]["adaptive"], line["options"]["keep_mtime"]
    (output / MANIFEST_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert reasons(tree, output) == {}
    assert reasons(tree, output, settings=GateSettings(threshold=0.03, adaptive=True)) != {}


def test_an_incomplete_last_line_is_removed_and_its_recording_is_gated_again(tree, tmp_path):
    output = tmp_path / "out"
    run(tree, output)
    lines = (output / MANIFEST_NAME).read_bytes().splitlines(keepends=True)
    assert b'"done"' in lines[-1]
    (output / MANIFEST_NAME).write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    report, _ = run(tree, output)
    assert (report.done, report.skipped, report.unreadable_lines) == (1, 1, 0)
    assert report.reasons == {"interrupted in the last run": 1}
    assert [line["output"] for line in read_manifest(output)] == ["a.wav", "deep/b.wav"]
    assert list_files(output) == ["a.wav", "deep/b.wav"]


def test_a_dry_run_ignores_a_line_that_a_running_batch_is_writing(tree, tmp_path):
    output = tmp_path / "out"
    run(tree, output)
    data = (output / MANIFEST_NAME).read_bytes()
    for missing_bytes in (1, 2, 30):
        (output / MANIFEST_NAME).write_bytes(data[:-missing_bytes])
        report, _ = run(tree, output, dry_run=True)
        assert report.unreadable_lines == 0
        assert report.reasons == {"interrupted in the last run": 1}
        assert [line["output"] for line in read_manifest(output)] == ["a.wav"]


def test_a_manifest_with_only_an_incomplete_line_is_empty(tmp_path):
    (tmp_path / MANIFEST_NAME).write_bytes(b'{"output": "a' + b"a" * 100_000)
    Manifest(tmp_path).close()
    assert (tmp_path / MANIFEST_NAME).read_bytes() == b""


@pytest.mark.parametrize(
    "line", ["garbage", "\x00" * 30, "[1, 2]", '{"output": 3}', "null", '{"no": "output"}', "\xff"]
)
def test_an_unreadable_line_is_reported_and_its_output_is_kept(tree, tmp_path, line):
    output = tmp_path / "out"
    run(tree, output)
    second = (output / MANIFEST_NAME).read_text().splitlines()[-1]
    (output / MANIFEST_NAME).write_text(f"{line}\n{second}\n", encoding="latin-1")
    report, _ = run(tree, output)
    assert report.unreadable_lines == 1
    # Without its line, the origin of the output is unknown.
    assert report.skip_reasons == {"output exists and is not from a batch": 1, "already done": 1}
    run(tree, output, force=True)
    assert run(tree, output)[0].skip_reasons == {"already done": 2}


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_the_recording_of_a_damaged_line_with_an_output_name_is_gated_again(tree, tmp_path, damage):
    output = tmp_path / "out"
    run(tree, output)
    lines = (output / MANIFEST_NAME).read_bytes().splitlines(keepends=True)
    damaged, intact = (line for line in lines if b'"done"' in line)
    damaged = (
        damaged[: damaged.index(b'"size"')] + b"\n"
        if damage == "cut"
        else damaged.replace(b'"error": null', b'"error" null')
    )
    (output / MANIFEST_NAME).write_bytes(damaged + intact)
    report, _ = run(tree, output)
    assert (report.unreadable_lines, report.reasons) == (1, {"interrupted in the last run": 1})
    assert run(tree, output)[0].skip_reasons == {"already done": 2}


@pytest.mark.parametrize("key", ["size", "output_size", "settings", "options", "result", "file"])
def test_a_line_with_invalid_values_does_not_stop_the_batch(tree, tmp_path, key):
    output = tmp_path / "out"
    run(tree, output)
    for value in (None, "x", [1], {"a": 1}, 2**70, 0.5):
        entries = read_manifest(output)[:2]
        entries[0][key] = value
        (output / MANIFEST_NAME).write_text("".join(json.dumps(line) + "\n" for line in entries))
        assert run(tree, output)[0].failed == 0


def test_only_one_batch_writes_to_an_output_tree_at_a_time(tree, tmp_path):
    first = Manifest(tmp_path / "out")
    with pytest.raises(OutputError, match=r"another ngate batch writes to .*out'"):
        run(tree, tmp_path / "out")
    first.close()
    assert run(tree, tmp_path / "out")[0].done == 2


def test_a_line_that_does_not_fit_on_the_disk_is_removed(tmp_path, monkeypatch):
    manifest = Manifest(tmp_path)
    manifest.append(RecordingResult("started", "a"))
    write = os.write

    def write_until_full(file, data):
        if len(data) > 5:
            return write(file, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_until_full)
    with pytest.raises(OutputError, match="No space left"):
        manifest.append(RecordingResult("started", "b"))
    monkeypatch.undo()
    manifest.append(RecordingResult("started", "c"))
    manifest.close()
    assert [result.output for result in read_results(tmp_path) if result] == ["a", "c"]


def append_started(output, name):
    with (output / MANIFEST_NAME).open("a") as file:
        print(json.dumps({"status": "started", "output": name}), file=file)


def test_without_locks_no_partial_file_is_removed(tree, tmp_path, monkeypatch):
    import fcntl

    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    output = tmp_path / "out"
    run(tree, output)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    append_started(output, "a.wav")
    partial = partial_path(output / "a.wav")
    partial.touch()
    assert run(tree, output)[0].done == 1
    assert partial.exists()
    monkeypatch.undo()
    append_started(output, "a.wav")
    run(tree, output)
    assert list_files(output) == ["a.wav", "deep/b.wav"]


@given(st.lists(st.binary(max_size=60) | st.from_regex(rb'\{"output": ?"[^"]*".*', fullmatch=True)))
def test_a_manifest_of_arbitrary_bytes_is_read_without_errors(lines):
    with TemporaryDirectory() as folder:
        data = b"\n".join(lines)
        (Path(folder) / MANIFEST_NAME).write_bytes(data)
        with closing(Plan(Path("in"), Path(folder), OutputOptions())) as plan:
            results = list(read_results(Path(folder)))
            assert len([result for result in results if result is None]) <= len(
                data.splitlines()
            ) + data.count(b"\n")
            plan.load_previous_results(result for result in results if result)


GOOD = {"status": "done", "output": "x.wav", "file": "/in/x.wav", "result": {}}


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(GOOD | {"output": "\ud800.wav"}),
        json.dumps(GOOD | {"output": "a\0.wav"}),
        json.dumps(GOOD | {"output": "../x.wav"}),
        json.dumps(GOOD | {"output": "/x.wav"}),
        json.dumps(GOOD | {"output": "deep/../../x.wav"}),
        json.dumps(GOOD | {"output": ""}),
        json.dumps(GOOD | {"file": "\ud800"}),
        json.dumps(GOOD | {"digest": "\ud800"}),
        json.dumps(GOOD | {"status": ["done"]}),
        json.dumps(GOOD | {"size": 2**64}),
        json.dumps(GOOD | {"size": True}),
        json.dumps(GOOD | {"settings": [1]}),
        json.dumps(GOOD | {"result": {"openings": "many"}}),
        json.dumps(GOOD | {"result": {"cutoffs": 3}}),
        json.dumps(GOOD | {"result": {"cutoffs": {"count": 1, "worst": [{}]}}}),
        json.dumps(GOOD | {"result": {"cutoffs": {"count": 1, "worst": [{"time": "x"}]}}}),
        json.dumps(GOOD | {"result": {"seconds": float("nan")}}),
        '{"status": "done", "settings": ' + "[" * 100_000,
        "1" * 100_000,
        '{"status": "' + "x" * (1 << 20) + '"}',
    ],
)
def test_an_invalid_line_is_counted_and_the_others_stay_valid(tree, tmp_path, line):
    output = tmp_path / "out"
    run(tree, output)
    with (output / MANIFEST_NAME).open("r+b") as file:
        good = file.read()
        file.seek(0)
        file.write(line.encode() + b"\n" + good)
    report, _ = run(tree, output)
    assert (report.unreadable_lines, report.skip_reasons) == (1, {"already done": 2})


def test_an_invalid_shared_threshold_in_the_manifest_is_measured_again(tree, tmp_path):
    output = tmp_path / "out"
    options = {"settings": GateSettings(), "threshold_scope": "tree"}
    run(tree, output, **options)
    entries = read_manifest(output)
    for entry in entries:
        entry["settings"]["threshold"] = 7.0
    (output / MANIFEST_NAME).write_text("".join(json.dumps(line) + "\n" for line in entries))
    assert run(tree, output, **options)[0].reasons == {"other settings": 2}


def test_a_line_with_a_path_outside_the_tree_removes_nothing(tree, tmp_path):
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(tree, output)
    (output / "link").symlink_to(elsewhere)
    partial = partial_path(elsewhere / "a.wav")
    partial.touch()
    for name in ("../elsewhere/a.wav", str(elsewhere / "a.wav"), "link/a.wav"):
        append_started(output, name)
        run(tree, output)
        assert partial.exists()


@pytest.mark.parametrize("file_type", ["link", "pipe", "folder"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_manifest_that_is_not_a_regular_file_is_refused(tree, tmp_path, file_type, dry_run):
    output, other = tmp_path / "out", tmp_path / "other.txt"
    output.mkdir()
    other.write_text("other")
    path = output / MANIFEST_NAME
    if file_type == "link":
        path.symlink_to(other)
    elif file_type == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OutputError, match=f"{MANIFEST_NAME}' is not a regular file: remove it"):
        run(tree, output, dry_run=dry_run)
    assert other.read_text() == "other"
    assert list_files(output) in ([], [MANIFEST_NAME])


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_names_are_the_same_in_any_locale(tmp_path, write):
    (tmp_path / "in").mkdir()
    write(loud_and_quiet()).rename(tmp_path / "in" / "\u00e9.wav")
    (tmp_path / "in" / "\u00fc.wav").write_text("no recording")
    for first, second in (({}, ASCII), (ASCII, {})):
        output = tmp_path / f"out{len(first)}{len(second)}"
        command = [
            *(sys.executable, "-m", "noisegate_cli", "batch", str(tmp_path / "in"), "-t", "0.03"),
            *("-o", str(output), "-j", "1", "--report", str(output.with_suffix(".csv"))),
        ]
        for environment, message in ((first, "gated      1 of"), (second, "already done")):
            process = subprocess.run(
                command, env=os.environ | environment, capture_output=True, check=False
            )
            assert b"Traceback" not in process.stderr
            assert process.returncode == 1, "because of the bad recording"
            assert message.encode() in process.stderr
        assert run(tmp_path / "in", output)[0].skip_reasons == {"already done": 1}

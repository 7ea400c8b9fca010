import csv
import errno
import os
import stat
from threading import Thread

import pytest
from rich.console import Console

from noisegate_cli import GateSettings, OutputError
from noisegate_cli.batch.csv_report import DECIMALS, HEADER, write_csv
from noisegate_cli.batch.discovery import GlobPatterns
from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.terminal.cli import run as ngate
from noisegate_cli.terminal.display.batch_summary import build_batch_table
from tests.batch.helpers import list_files, run
from tests.conftest import loud_and_quiet


@pytest.fixture
def tree(tmp_path, write):
    for name in ("in/a.wav", "in/deep/er/b.flac", "in/deep/c.wav"):
        write(loud_and_quiet(), name)
    return tmp_path / "in"


def read_rows(path):
    with path.open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_the_report_includes_recordings_of_earlier_runs(tree, tmp_path):
    (tree / "bad.wav").write_text("no recording")
    run(tree, tmp_path / "out", patterns=GlobPatterns(include=("a.wav",)))
    run(tree, tmp_path / "out", csv_path=tmp_path / "report.csv")
    rows = read_rows(tmp_path / "report.csv")
    assert list(rows) == ["a.wav", "bad.wav", "deep/c.wav", "deep/er/b.flac"]
    assert [row["status"] for row in rows.values()] == ["skipped", "failed", "done", "done"]
    assert float(rows["a.wav"]["duration_s"]) == float(rows["deep/c.wav"]["duration_s"]) == 3
    assert float(rows["a.wav"]["closed_share"]) > 0.2
    assert "not a readable recording" in rows["bad.wav"]["status_reason"]


def test_the_report_has_the_reasons_to_review_in_each_run(tree, tmp_path, write):
    write(0.01 * loud_and_quiet(), "in/quiet.wav")
    settings = GateSettings(threshold=0.1)
    for status in ("done", "skipped"):
        result, _ = run(tree, tmp_path / "out", settings=settings, csv_path=tmp_path / "report.csv")
        rows = read_rows(tmp_path / "report.csv")
        assert {row["status"] for row in rows.values()} == {status}
        assert {name: row["review"] for name, row in rows.items() if row["review"]} == {
            "quiet.wav": "all closed"
        }
        assert [candidate.name for candidate in result.review_candidates] == ["quiet.wav"]


def test_an_output_that_was_changed_afterwards_is_not_reviewed_again(tree, tmp_path, write):
    write(0.01 * loud_and_quiet(), "in/quiet.wav")
    run(tree, tmp_path / "out", settings=GateSettings(threshold=0.1))
    (tmp_path / "out" / "quiet.wav").write_bytes(b"edited")
    report, _ = run(tree, tmp_path / "out", settings=GateSettings(threshold=0.1))
    assert not report.review_counts


def test_a_truncated_recording_is_reviewed_with_its_warning(tree, tmp_path):
    whole = (tree / "a.wav").read_bytes()
    (tree / "a.wav").write_bytes(whole[: len(whole) // 2])
    for status in ("done", "skipped"):
        report, _ = run(tree, tmp_path / "out", csv_path=tmp_path / "report.csv")
        row = read_rows(tmp_path / "report.csv")["a.wav"]
        assert (row["status"], row["review"]) == (status, "warnings")
        assert "it is truncated" in row["warnings"]
        assert report.review_counts == {"warnings": 1}
        assert report.warned == 1


def test_a_truncated_recording_is_counted_if_it_has_a_worse_reason_to_review_it(tree, tmp_path):
    whole = (tree / "a.wav").read_bytes()
    (tree / "a.wav").write_bytes(whole[: len(whole) // 2])
    for done in (3, 0):
        report, _ = run(tree, tmp_path / "out", settings=GateSettings(threshold=0.9))
        assert report.done == done
        assert set(report.review_counts) == {"all closed"}
        assert report.warned == 1
    console = Console(width=100)
    with console.capture() as summary:
        console.print(build_batch_table(report))
    assert "1 recording: --report FILE lists the warnings" in summary.get()


def test_the_numbers_in_the_report_are_rounded(tree, tmp_path):
    run(tree, tmp_path / "out", csv_path=tmp_path / "report.csv")
    row = read_rows(tmp_path / "report.csv")["a.wav"]
    for name, decimals in DECIMALS.items():
        assert len(row[name].partition(".")[2]) <= decimals


def test_a_report_replaces_an_earlier_report_and_leaves_no_other_file(tree, tmp_path):
    report = tmp_path / "reports" / "r.csv"
    report.parent.mkdir()
    for _ in range(2):
        run(tree, tmp_path / "out", csv_path=report)
    assert {row["status"] for row in read_rows(report).values()} == {"skipped"}
    assert list_files(report.parent) == ["r.csv"]


@pytest.mark.parametrize("name", ["in/a.wav", "out/a.wav", "link.csv", f"out/{MANIFEST_NAME}"])
def test_a_report_never_replaces_a_file_of_the_batch(tree, tmp_path, name):
    run(tree, tmp_path / "out")
    (tmp_path / "link.csv").symlink_to(tree / "deep" / "c.wav")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="give csv_path= another name"):
        run(tree, tmp_path / "out", csv_path=tmp_path / name, force=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_report_never_has_the_path_of_a_future_output(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "out" / "a.wav")
    with pytest.raises(OutputError, match="is a file of this batch"):
        run(tree, tmp_path / "out", csv_path=tmp_path / "link.csv")


@pytest.mark.parametrize("name", ["r.xlsx", "r.json", "r", "-"])
def test_a_report_with_another_extension_is_refused_before_the_work(tree, tmp_path, name):
    with pytest.raises(
        OutputError, match=r"no known extension for a report: end the name in \.csv"
    ):
        run(tree, tmp_path / "out", csv_path=tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_a_report_replaces_only_an_earlier_report(tree, tmp_path):
    (tmp_path / "notes.csv").write_text("one,two")
    with pytest.raises(OutputError, match="is not the report of a batch"):
        run(tree, tmp_path / "out", csv_path=tmp_path / "notes.csv", force=True)
    assert (tmp_path / "notes.csv").read_text() == "one,two"
    with pytest.raises(OutputError, match="is a folder"):
        run(tree, tmp_path / "out", csv_path=tmp_path)


def test_a_report_can_be_written_to_a_pipe(tree, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    contents = []
    reader = Thread(target=lambda: contents.append((tmp_path / "pipe").read_text()))
    reader.start()
    run(tree, tmp_path / "out", csv_path=tmp_path / "pipe")
    reader.join()
    assert len(contents[0].splitlines()) == 4
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_cells_are_never_formulas_and_numbers_stay_numbers(tmp_path, write):
    names = ["=1+1.wav", "+a.wav", "-a.wav", "@a.wav", "\ta.wav"]
    for number, name in enumerate(names):
        write(loud_and_quiet(), f"in/{number}.wav").rename(tmp_path / "in" / name)
    run(tmp_path / "in", tmp_path / "out", csv_path=tmp_path / "r.csv")
    rows = read_rows(tmp_path / "r.csv")
    assert sorted(rows) == sorted(f"'{name}" for name in names)
    assert all(float(row["peak_db"]) < 0 for row in rows.values())


def test_the_report_of_the_command_names_flags_and_no_parameters(tmp_path, write):
    write(loud_and_quiet(), "in/a.wav")
    report = tmp_path / "report.csv"
    batch = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--report", str(report)]
    assert ngate([*batch, "--bitrate", "64k"]) == 1
    assert read_rows(report)["a.wav"]["status_reason"].endswith("omit --bitrate")


def test_a_full_disk_leaves_the_earlier_report_and_no_other_file(tmp_path):
    class FullDiskPlan:
        def iter_table_rows(self):
            yield ("a.wav",)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    report = tmp_path / "r.csv"
    earlier = ",".join(HEADER) + "\n"
    report.write_text(earlier)
    with pytest.raises(OutputError, match=r"r.csv' cannot be written: No space left"):
        write_csv(report, FullDiskPlan())
    assert report.read_text() == earlier
    assert list_files(tmp_path) == ["r.csv"]

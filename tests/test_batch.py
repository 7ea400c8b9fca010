import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, OutputError, batch, gate_file
from noisegate_cli.batch import JobResult, default_output_directory, find_jobs, run_job, run_jobs
from tests.conftest import loud_and_quiet, read, tone

SETTINGS = GateSettings(threshold=0.03)


def outcomes(root, output, **options):
    jobs = find_jobs(root, output)
    results: list[JobResult] = []
    run_jobs(jobs, SETTINGS, workers=options.pop("workers", 2), add=results.append, **options)
    return {r.job.source.name: r for r in results}


@pytest.fixture
def tree(tmp_path, write):
    for name in ("in/a.wav", "in/deep/er/b.flac", "in/deep/c.wav"):
        write(loud_and_quiet(), name)
    (tmp_path / "in" / "notes.txt").write_text("no recording")
    write(tone(1, 0.1), "in/.hidden.wav")
    write(tone(1, 0.1), "in/.cache/d.wav")
    return tmp_path / "in"


def test_every_recording_goes_to_the_same_place_in_the_output_tree(tree):
    output = default_output_directory(tree)
    assert output == tree.with_name("in-gated")
    results = outcomes(tree, output)
    assert {name: r.status for name, r in results.items()} == {
        "a.wav": "done", "b.flac": "done", "c.wav": "done",
    }  # fmt: skip
    found = sorted(p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file())
    assert found == ["a.wav", "deep/c.wav", "deep/er/b.flac"]


def test_the_number_of_workers_does_not_change_the_output(tree, tmp_path):
    for workers in (1, 3):
        outcomes(tree, tmp_path / f"out{workers}", workers=workers)
    gate_file(tree / "a.wav", tmp_path / "alone.wav", SETTINGS)
    expected = (tmp_path / "alone.wav").read_bytes()
    assert (tmp_path / "out1" / "a.wav").read_bytes() == expected
    assert (tmp_path / "out3" / "a.wav").read_bytes() == expected


def test_one_bad_file_does_not_stop_the_rest(tree):
    (tree / "bad.wav").write_text("this is no recording")
    (tree / "deep" / "empty.wav").touch()
    results = outcomes(tree, tree.with_name("out"))
    failed = {name: r.error for name, r in results.items() if r.status == "failed"}
    assert sorted(failed) == ["bad.wav", "empty.wav"]
    assert "bad.wav' is not a recording" in str(failed["bad.wav"])
    assert sum(r.status == "done" for r in results.values()) == 3


def test_outputs_that_exist_are_skipped_unless_forced(tree):
    output = tree.with_name("out")
    outcomes(tree, output)
    (output / "a.wav").write_text("kept")
    assert {r.status for r in outcomes(tree, output).values()} == {"skipped"}
    assert (output / "a.wav").read_text() == "kept"
    assert {r.status for r in outcomes(tree, output, force=True).values()} == {"done"}
    assert sf.info(output / "a.wav").frames == 48000


def test_an_output_tree_inside_the_input_is_not_walked_again(tree):
    outcomes(tree, tree / "gated")
    assert sorted(j.source.name for j in find_jobs(tree, tree / "gated")) == [
        "a.wav", "b.flac", "c.wav",
    ]  # fmt: skip


def test_the_input_tree_is_never_the_output(tree):
    with pytest.raises(OutputError, match="is the input tree"):
        find_jobs(tree, tree / ".")


def test_a_root_that_is_no_directory_is_refused(tree):
    with pytest.raises(AudioError, match="is not a directory: use ngate gate"):
        find_jobs(tree / "a.wav", tree)
    with pytest.raises(AudioError, match="doesn't exist"):
        find_jobs(tree / "nowhere", tree)


def test_the_directory_one_stands_in_has_its_output_beside_it(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert default_output_directory(Path()).name == "in-gated"
    assert default_output_directory(Path("..")).name == f"{tree.parent.name}-gated"


def test_links_in_circles_are_not_followed(tree):
    (tree / "deep" / "loop").symlink_to(tree, target_is_directory=True)
    assert len(find_jobs(tree, tree.with_name("out"))) == 3


def test_an_interrupt_stops_cleanly_and_the_next_run_does_the_rest(tmp_path, write):
    for i in range(16):
        write(loud_and_quiet().repeat(60), f"in/{i:02}.flac")
    output = tmp_path / "in-gated"
    command = [sys.executable, "-m", "noisegate_cli", "batch", str(tmp_path / "in"), "-j", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(output.glob("*.flac")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    interrupted = time.time()
    _, said = process.communicate(timeout=30)
    assert time.time() - interrupted < 3
    assert process.returncode == 130
    assert "Traceback" not in said
    done = {p.name: p.stat().st_mtime_ns for p in output.iterdir()}
    # One that was just being moved into place may still come.
    assert all(then < (interrupted + 0.2) * 1e9 for then in done.values())
    assert 0 < len(done) < 16
    # One a worker may have been moved into place without having been told of.
    told = int(said.split("gated")[1].split()[0])
    assert len(done) - 2 <= told <= len(done)
    assert "of 16 recordings" in said
    assert all(name.endswith(".flac") for name in done), "a partial file was left"
    for name in done:
        assert len(read(output / name)) == 60 * 48000
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(list(output.iterdir())) == 16
    assert all((output / name).stat().st_mtime_ns == then for name, then in done.items())


def test_no_recording_of_the_tree_is_ever_an_output(tmp_path, write):
    write(loud_and_quiet(), "in/b/x.wav")
    write(tone(1, 0.1), "in/b/b/x.wav")
    before = (tmp_path / "in/b/x.wav").read_bytes()
    jobs = find_jobs(tmp_path / "in" / "b", tmp_path / "in")
    results: list[JobResult] = []
    run_jobs(jobs, SETTINGS, workers=1, force=True, add=results.append)
    assert (tmp_path / "in/b/x.wav").read_bytes() == before
    assert sorted(r.status for r in results) == ["done", "failed"]
    assert any("would overwrite" in str(r.error) for r in results)


def test_two_recordings_that_would_give_one_output_are_found_before(tmp_path, write, monkeypatch):
    write(tone(1, 0.1), "in/a.wav")
    write(tone(1, 0.1), "in/a.flac")
    monkeypatch.setattr(batch, "default_output", lambda info: Path("any.wav"))
    jobs = find_jobs(tmp_path / "in", tmp_path / "out")
    assert [job.error is None for job in jobs] == [True, False]


def die_on_a(job, settings, force):
    """Stand in for `run_job`: a recording that kills whatever process opens it."""
    if job.source.name == "a.wav":
        os.kill(os.getpid(), signal.SIGKILL)
    return run_job(job, settings, force)


def die_once(job, settings, force):
    """Stand in for `run_job`: the first worker that comes is ended from outside."""
    mark = job.output.parent.parent / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    return run_job(job, settings, force)


def test_a_worker_that_dies_costs_the_recording_that_killed_it_and_no_other(tree, monkeypatch):
    monkeypatch.setattr(batch, "run_job", die_on_a)
    results = outcomes(tree, tree.with_name("out"))
    assert {name: r.status for name, r in results.items()} == {
        "a.wav": "failed", "b.flac": "done", "c.wav": "done",
    }  # fmt: skip
    assert "a.wav': the process that gated it died" in str(results["a.wav"].error)


def test_a_worker_that_is_ended_from_outside_costs_nothing(tree, monkeypatch):
    for source in tree.rglob("*.flac"):
        source.unlink()
    (tree / "deep" / "c.wav").rename(tree / "c.wav")
    (tree.with_name("out")).mkdir()
    monkeypatch.setattr(batch, "run_job", die_once)
    results = outcomes(tree, tree / ".." / "out")
    assert {r.status for r in results.values()} == {"done"}

"""Faults during a batch: finished outputs are complete, failures are reported, and a second run
gates the rest."""

import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from noisegate_cli import GateSettings, OutputError, gate_file, samples
from noisegate_cli.api.file_gate import gate_recording
from noisegate_cli.api.progress import report_progress
from noisegate_cli.batch import gating_phase, job, plan
from noisegate_cli.batch import run as batch_run
from noisegate_cli.batch.interface import BatchConfig
from noisegate_cli.batch.job import Job, gate_job, measure_job, pickle_settings
from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.batch.process_pool import ProcessWorkerPool, WorkerProcess
from noisegate_cli.batch.worker import send_heartbeat
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.files.outputs.wav_encoder import WavEncoder
from noisegate_cli.files.outputs.writer import open_writer
from noisegate_cli.terminal.interrupts import EXIT_BROKEN_PIPE
from tests.batch.helpers import (
    MAX_WAIT_S,
    SETTINGS,
    CollectingObserver,
    ForeignWriter,
    InlineWorkerPool,
    list_files,
    output_info,
    read_manifest,
    run,
    start_batch,
    statuses,
    wait_for,
    wait_for_half_of_a_batch,
    write_half_an_output,
)
from tests.conftest import drop_permission_override, loud_and_quiet, read

LINUX = sys.platform == "linux"
BATCH = [sys.executable, "-m", "noisegate_cli", "batch", "-t", "0.03", "-q"]


@pytest.fixture
def tree(tmp_path, write):
    """Return a tree with eight recordings in two folders."""
    for number in range(8):
        write(loud_and_quiet(), f"in/{'even' if number % 2 == 0 else 'odd'}/{number}.wav")
    return tmp_path / "in"


def expect_complete(root: Path, output: Path) -> None:
    """Check that each recording has a complete output and that no other files exist."""
    names = list_files(root)
    assert list_files(output) == names
    for name in names:
        single = output.with_name("alone") / name
        gate_file(root / name, single, SETTINGS, force=True)
        assert (output / name).read_bytes() == single.read_bytes()
    last = {line["output"]: line["status"] for line in read_manifest(output)}
    assert last == dict.fromkeys(names, "done")


def find_session_processes(session):
    """Return the IDs of the running processes of a session."""
    process_ids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            state, _, _, session_id = text.rpartition(")")[2].split()[:4]
            if int(session_id) == session and state != "Z":
                process_ids.append(int(entry.name))
    return process_ids


@pytest.mark.skipif(not LINUX, reason="looks at processes in /proc")
def test_the_parent_is_killed(tree, tmp_path):
    output = tmp_path / "out"
    process = start_batch("helpers.gate_odd_later", tree, "-o", output, "-j", "2", "-q")
    wait_for_half_of_a_batch(output, process)
    process.kill()
    process.wait()
    wait_for(lambda: not find_session_processes(process.pid))
    assert list_files(output) == [f"even/{number}.wav" for number in (0, 2, 4, 6)]
    report, _ = run(tree, output)
    assert (report.done, report.skip_reasons) == (4, {"already done": 4})
    expect_complete(tree, output)


def die_in_the_middle(job):
    """Replace `gate_job`: the process is killed when half of an output is written."""
    if job.name.endswith("3.wav"):
        with open_writer(output_info(job), force=True) as file:
            write_half_an_output(job, file)
            os.kill(os.getpid(), signal.SIGKILL)
    return gate_job(job)


def test_a_worker_is_killed_in_the_middle_of_an_output(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    monkeypatch.setattr(gating_phase, "gate_job", die_in_the_middle)
    report, observer = run(tree, output, ProcessWorkerPool(2))
    assert (report.done, report.failed) == (7, 1)
    assert statuses(observer)["3.wav"] == "failed"
    assert "3.wav': the worker process died twice" in report.errors[0]
    assert list_files(output) == [name for name in list_files(tree) if not name.endswith("3.wav")]
    monkeypatch.undo()
    assert run(tree, output)[0].reasons == {"failed in the last run": 1}
    assert run(tree, output)[0].skip_reasons == {"already done": 8}


def test_parent_and_workers_are_killed_at_once(tree, tmp_path):
    """Like a power failure, this leaves a partial file that no process removes."""
    output = tmp_path / "out"
    code = (
        "import os, signal; from pathlib import Path; from noisegate_cli.batch import gating_phase;"
        "from tests.batch import helpers, test_faults as t;"
        "gating_phase.gate_job = t.die_in_the_middle;"
        f"helpers.run(Path({str(tree)!r}), Path({str(output)!r}))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]
    )
    assert process.returncode == -signal.SIGKILL
    outputs = list_files(output)
    assert [name for name in outputs if name.endswith(".partial")]
    report, _ = run(tree, output)
    assert report.done + report.skipped == 8
    expect_complete(tree, output)


@pytest.mark.skipif(not LINUX, reason="takes a capability away from root")
def test_the_output_folder_is_read_only(tree, tmp_path):
    output = tmp_path / "out"
    (output / "odd").mkdir(parents=True)
    (output / "odd").chmod(0o555)
    command = [*BATCH, str(tree), "-o", str(output), "-j", "2"]
    options = {"capture_output": True, "text": True, "preexec_fn": drop_permission_override}
    process = subprocess.run(command, check=False, **options)
    assert process.returncode == 1
    assert len(process.stderr.splitlines()) == 4
    assert "odd/1.wav' cannot be written" in process.stderr
    assert list_files(output) == [f"even/{number}.wav" for number in (0, 2, 4, 6)]
    (output / "odd").chmod(0o755)
    output.chmod(0o555)
    (output / MANIFEST_NAME).chmod(0o444)
    process = subprocess.run(command, check=False, **options)
    assert process.returncode == 1
    path = output / MANIFEST_NAME
    assert process.stderr == f"ngate: '{path}' cannot be written: Permission denied\n"
    output.chmod(0o755)
    (output / MANIFEST_NAME).chmod(0o644)
    assert run(tree, output)[0].done == 4
    expect_complete(tree, output)


@pytest.mark.skipif(not LINUX, reason="drops capabilities")
def test_an_input_folder_without_permission_is_reported_as_every_unreadable_file(tree, tmp_path):
    tree.chmod(0)
    command = [*BATCH, str(tree), "-o", str(tmp_path / "out")]
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=drop_permission_override,
        check=False,
    )
    tree.chmod(0o755)
    assert process.returncode == 1
    assert f"ngate: '{tree}' cannot be read: Permission denied\n" in process.stderr


def limit_file_size():
    """Limit the size of files to 150 kB; for `preexec_fn`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))


def test_a_recording_exceeds_the_file_size_limit(tree, tmp_path, write):
    write(loud_and_quiet().repeat(4), "in/even/large.wav")
    output = tmp_path / "out"
    command = [*BATCH, str(tree), "-o", str(output), "-j", "1"]
    process = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=limit_file_size, check=False
    )
    assert process.returncode == 1
    assert "large.wav' cannot be written" in process.stderr
    assert list_files(output) == [name for name in list_files(tree) if "large" not in name]
    report, _ = run(tree, output)
    assert (report.done, report.skipped) == (1, 8)
    expect_complete(tree, output)


@pytest.mark.skipif(not LINUX or os.geteuid() != 0, reason="mounts a small disk")
def test_the_disk_is_full(tree, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(output)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("it cannot be mounted here")
    try:
        command = [*BATCH, str(tree), "-o", str(output), "-j", "2"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 1
        assert "cannot be written" in process.stderr
        outputs = [name for name in list_files(output) if name.endswith(".wav")]
        assert 0 < len(outputs) < 8
        assert all(len(read(output / name)) == 48000 for name in outputs)
        assert not [name for name in list_files(output) if name.endswith(".partial")]
        enlarge = ["mount", "-o", "remount,size=4m", str(output)]
        subprocess.run(enlarge, check=True)
        run(tree, output)
        expect_complete(tree, output)
    finally:
        subprocess.run(["umount", str(output)], check=True)


def test_the_disk_is_full_in_the_middle_of_an_output(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    write = WavEncoder.write

    def raise_no_space(self, block):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(self)
        write(self, block)

    written: list[WavEncoder] = []
    monkeypatch.setattr(WavEncoder, "write", raise_no_space)
    report, _ = run(tree, output)
    assert (report.done, report.failed) == (3, 5)
    assert all("No space left on device" in error for error in report.errors)
    assert len(list_files(output)) == 3
    monkeypatch.undo()
    assert run(tree, output)[0].done == 5
    expect_complete(tree, output)


def test_the_disk_is_full_while_the_manifest_is_written(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    write = os.write

    def write_until_full(file, data):
        if b'"status"' in data and os.fstat(file).st_size > 2000:
            write(file, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", write_until_full)
    with pytest.raises(
        OutputError, match=rf"{MANIFEST_NAME}' cannot be written: No space left on device"
    ):
        run(tree, output)
    monkeypatch.undo()
    before = read_manifest(output)
    assert 0 < len(before) < 8
    report, _ = run(tree, output)
    assert report.done == 8 - len(before)
    expect_complete(tree, output)


@pytest.mark.parametrize("pages", [12, 40])
def test_the_disk_is_full_for_the_temporary_database(tmp_path, monkeypatch, pages):
    (tmp_path / "in").mkdir()
    for number in range(2000):
        (tmp_path / "in" / f"{number}.wav").touch()
    monkeypatch.setattr(plan, "_SCHEMA", f"PRAGMA max_page_count = {pages};{plan._SCHEMA}")
    with pytest.raises(OutputError, match="temporary database.*: set TMPDIR to a folder"):
        run(tmp_path / "in", tmp_path / "out", dry_run=True)


def test_a_library_does_not_load(tree, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "soundfile.py").write_text("raise OSError('no libsndfile')")
    paths = os.pathsep.join((str(tmp_path / "broken"), *filter(None, sys.path)))
    command = [*BATCH, str(tree), "-o", str(tmp_path / "out"), "-j", "2"]
    environment = os.environ | {"PYTHONPATH": paths}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    errors = process.stderr.splitlines()
    assert len(errors) == 8
    assert all(line.endswith(".wav': OSError: no libsndfile") for line in errors)
    run(tree, tmp_path / "out")
    expect_complete(tree, tmp_path / "out")


def test_an_input_vanishes_while_the_batch_runs(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    source = tree / "odd" / "5.wav"
    data = source.read_bytes()

    def remove_and_gate(job):
        source.unlink(missing_ok=True)
        return gate_job(job)

    monkeypatch.setattr(gating_phase, "gate_job", remove_and_gate)
    report, _ = run(tree, output)
    assert (report.done, report.failed) == (7, 1)
    assert "5.wav' does not exist" in report.errors[0]
    monkeypatch.undo()
    source.write_bytes(data)
    assert run(tree, output)[0].reasons == {"failed in the last run": 1}
    expect_complete(tree, output)


def gate_with_change_before_output(name, change):
    """Return a `gate_recording` that calls `change` before an output appears."""

    def gate(task, progress, before_output_appears):
        def change_and_check():
            if task.path.endswith(name):
                change()
            before_output_appears()

        return gate_recording(task, progress, change_and_check)

    return gate


def test_an_input_vanishes_while_it_is_read(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    source = tree / "even" / "4.wav"
    data = source.read_bytes()
    monkeypatch.setattr(
        "noisegate_cli.api.file_gate.gate_recording",
        gate_with_change_before_output("4.wav", source.unlink),
    )
    report, _ = run(tree, output)
    assert (report.done, report.failed) == (7, 1)
    assert "4.wav' was removed while it was read" in report.errors[0]
    assert "even/4.wav" not in list_files(output)
    monkeypatch.undo()
    source.write_bytes(data)
    assert run(tree, output)[0].reasons == {"failed in the last run": 1}
    expect_complete(tree, output)


@pytest.mark.parametrize("workers", [None, ProcessWorkerPool(2)])
def test_an_output_that_another_process_writes_beforehand_is_kept(
    tree, tmp_path, workers, monkeypatch
):
    foreign = tmp_path / "out" / "odd" / "7.wav"
    observer = ForeignWriter(foreign)
    config = BatchConfig(root=tree, output=tmp_path / "out", settings=SETTINGS)
    report = batch_run.BatchRun(config, observer).execute(workers or InlineWorkerPool())
    assert (report.done, report.failed, report.skipped) == (7, 0, 1)
    assert statuses(observer)["7.wav"] == "skipped"
    assert run(tree, tmp_path / "out")[0].skip_reasons == {
        "already done": 7,
        "output exists and is not from a batch": 1,
    }
    assert foreign.read_text() == "foreign"


def test_an_output_that_another_process_writes_meanwhile_is_kept(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    foreign = output / "even" / "4.wav"
    monkeypatch.setattr(
        "noisegate_cli.api.file_gate.gate_recording",
        gate_with_change_before_output("4.wav", lambda: foreign.write_text("foreign")),
    )
    assert run(tree, output)[0].skip_reasons == {"output exists and is not from a batch": 1}
    monkeypatch.undo()
    assert run(tree, output)[0].skipped == 8
    assert foreign.read_text() == "foreign"
    assert not [name for name in list_files(output) if name.endswith(".partial")]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a"])
def test_a_repeated_job_accepts_its_own_output_and_no_other(tree, tmp_path, name):
    output = tmp_path / name
    settings = pickle_settings(SETTINGS, OutputOptions())
    job = Job(name, str(tree / "odd" / "3.wav"), str(output), 0, settings, is_repeatable=True)
    result = gate_job(job)
    assert result.status == "done"
    repeated = gate_job(job)
    figures = [r.result | {"seconds": 0} for r in (result, repeated)]
    assert repeated._replace(result={}) == result._replace(result={})
    assert figures[0] == figures[1]
    output.write_bytes(output.read_bytes()[:-1] + b"!")
    edited = output.read_bytes()
    assert gate_job(job).status == "skipped"
    assert output.read_bytes() == edited
    assert gate_job(job._replace(is_repeatable=False)).status == "skipped"


def test_an_output_that_someone_edits_while_it_is_made_again_is_kept(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"
    run(tree, output)
    edited = output / "even" / "4.wav"
    monkeypatch.setattr(
        "noisegate_cli.api.file_gate.gate_recording",
        gate_with_change_before_output("4.wav", lambda: edited.write_text("edited")),
    )
    report, _ = run(tree, output, settings=replace(SETTINGS, hold_ms=5.0))
    assert (report.done, report.skipped) == (7, 1)
    assert edited.read_text() == "edited"


@pytest.mark.parametrize("removed", ["manifest", "tree", "replaced"])
def test_a_batch_stops_if_its_output_tree_disappears(tree, tmp_path, removed):
    output = tmp_path / "out"

    class Removing(CollectingObserver):
        def on_recording(self, name, result):
            super().on_recording(name, result)
            if len(self.entries) == 1 and removed == "tree":
                output.rename(tmp_path / "moved")
            elif len(self.entries) == 1:
                (output / MANIFEST_NAME).unlink()
                if removed == "replaced":
                    (output / MANIFEST_NAME).touch()

    observer = Removing()
    config = BatchConfig(root=tree, output=output, settings=SETTINGS, max_errors=1)
    with pytest.raises(OutputError, match="was removed or replaced during the batch"):
        batch_run.BatchRun(config, observer).execute(InlineWorkerPool())
    assert len(observer.entries) < 8


def test_an_output_has_the_read_permissions_of_its_input(tree, tmp_path):
    for number, mode in ((0, 0o600), (2, 0o640), (4, 0o444), (6, 0o777)):
        (tree / "even" / f"{number}.wav").chmod(mode)
    run(tree, tmp_path / "out")
    modes = [(tmp_path / "out" / "even" / f"{n}.wav").stat().st_mode & 0o777 for n in (0, 2, 4, 6)]
    assert modes == [0o600, 0o640, 0o644, 0o644]


def test_the_reader_of_standard_output_ends_before_the_batch(tree, tmp_path):
    process = start_batch(
        "helpers.gate_odd_later",
        *(tree, "-o", tmp_path / "out", "-j", "1", "-q", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    (tmp_path / "go").touch()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(MAX_WAIT_S) == EXIT_BROKEN_PIPE
    assert "the program that reads standard output has exited" in errors
    assert "of 8 recordings are finished: repeat the command to continue" in errors
    assert "Traceback" not in errors
    assert "Exception" not in errors
    report, _ = run(tree, tmp_path / "out")
    assert report.done + report.skipped == 8


def test_an_input_changes_while_it_is_read(tree, tmp_path, monkeypatch, write):
    output = tmp_path / "out"

    monkeypatch.setattr(
        "noisegate_cli.api.file_gate.gate_recording",
        gate_with_change_before_output(
            "4.wav", lambda: os.utime(tree / "even" / "4.wav", ns=(0, 0))
        ),
    )
    report, _ = run(tree, output)
    assert (report.done, report.failed) == (7, 1)
    assert "4.wav' changed while it was read" in report.errors[0]
    assert "even/4.wav" not in list_files(output)
    monkeypatch.undo()
    assert run(tree, output)[0].done == 1
    expect_complete(tree, output)


def test_an_input_changes_before_it_is_read(tree, tmp_path, monkeypatch, write):
    output = tmp_path / "out"

    def rewrite_and_gate(job):
        if job.name.endswith("0.wav"):
            write(loud_and_quiet()[::-1], "in/odd/7.wav")
        return gate_job(job)

    monkeypatch.setattr(gating_phase, "gate_job", rewrite_and_gate)
    assert run(tree, output)[0].done == 8
    monkeypatch.undo()
    assert run(tree, output)[0].skip_reasons == {"already done": 8}
    expect_complete(tree, output)


def test_partial_files_of_other_processes_are_kept(tree, tmp_path):
    output = tmp_path / "out"
    (output / "even").mkdir(parents=True)
    (output / MANIFEST_NAME).write_text('{"status": "started", "output": "even/0.wav"}\n')
    partial = output / "even" / ".ngate-0123456789abcdef-01234567.partial"
    partial.touch()
    run(tree, output)
    assert partial.exists()


def test_a_batch_runs_without_semaphores(tree, tmp_path):
    """Containers without /dev/shm have no semaphores."""
    (tmp_path / "without.py").write_text(
        "import sys, _multiprocessing\n"
        "class SemLock(_multiprocessing.SemLock):\n"
        "    def __new__(*_): raise FileNotFoundError(2, 'No such file or directory')\n"
        "_multiprocessing.SemLock = SemLock\n"
        "from noisegate_cli.terminal.cli import run\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(run(sys.argv[1:]))\n"
    )
    command = [sys.executable, str(tmp_path / "without.py"), *BATCH[3:], str(tree), "-j", "2"]
    subprocess.run([*command, "-o", str(tmp_path / "out")], check=True)
    expect_complete(tree, tmp_path / "out")


def stall_in_a_library(job):
    """Replace `gate_job`: a call of a library does not return after half of an output."""
    with open_writer(output_info(job), force=True) as file:
        write_half_an_output(job, file)
        while True:  # A signal interrupts `sleep`.
            ctypes.CDLL(None).sleep(600)


@pytest.mark.skipif(not LINUX, reason="looks at processes in /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_worker_that_is_stuck_in_a_library_ends_with_the_batch(tree, tmp_path, sent):
    output = tmp_path / "out"
    process = start_batch(
        "test_faults.stall_in_a_library",
        *(tree, "-o", output, "-j", "2", "-q"),
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: output.exists() and len(list_files(output)) == 2, process)
    os.killpg(process.pid, sent) if sent != signal.SIGKILL else process.kill()
    message = process.communicate(timeout=MAX_WAIT_S)[1].decode()
    wait_for(lambda: not find_session_processes(process.pid))
    assert list_files(output) == []
    if sent != signal.SIGKILL:
        assert process.returncode == 128 + sent
        assert message.startswith("ngate: interrupted: 0 of 8 recordings are finished")


def stall_in_the_middle(job):
    """Replace `gate_job`: the third recording makes no progress after half of its output."""
    if job.name.endswith("3.wav"):
        with open_writer(output_info(job), force=True) as file:
            write_half_an_output(job, file)
            time.sleep(600)
    return gate_job(job)


def slow(job):
    """Replace `gate_job`: every recording is slow and makes progress."""
    for _ in range(60):
        time.sleep(0.1)
        send_heartbeat()
    return gate_job(job)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the blocked signals in /proc")
def test_workers_block_interrupts_while_python_starts():
    # A new interpreter, because the first worker of a process also starts a resource tracker.
    code = """if __name__ == "__main__":
        from noisegate_cli.batch.process_pool import ProcessWorkerPool
        pool = ProcessWorkerPool(2)
        pool.start()
        for worker in pool._idle:
            with open(f"/proc/{worker.process.pid}/status") as status:
                print(*(line.split()[1] for line in status if line.startswith("SigBlk")))
        pool.close()
    """
    blocked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    interrupts = sum(1 << (number - 1) for number in (signal.SIGINT, signal.SIGHUP))
    assert [int(mask, 16) & interrupts for mask in blocked] == [interrupts] * 2


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to itself")
def test_a_signal_while_a_worker_starts_is_handled_after_the_start():
    code = """if __name__ == "__main__":
        import os, signal
        from multiprocessing import util
        from noisegate_cli.batch.process_pool import ProcessWorkerPool
        def raise_interrupt(*_):
            raise KeyboardInterrupt
        def spawn_and_signal(*arguments, spawn=util.spawnv_passfds):
            pid = spawn(*arguments)
            if "resource_tracker" not in str(arguments):
                os.kill(os.getpid(), signal.SIGTERM)
            return pid
        signal.signal(signal.SIGTERM, raise_interrupt)
        util.spawnv_passfds = spawn_and_signal
        pool = ProcessWorkerPool(1)
        try:
            pool.start()
        except KeyboardInterrupt:
            print("interrupted")
        pool.stop()
    """
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (process.stdout, process.stderr) == ("interrupted\n", "")


def test_a_recording_without_progress_fails_and_the_others_are_done(tree, tmp_path, monkeypatch):
    output = tmp_path / "out"

    def time_only_the_stalled_job(self, work, jobs, timeout_s):
        is_stalled = any(job.name.endswith("3.wav") for job in jobs)
        return run_in_worker(self, work, jobs, timeout_s if is_stalled else None)

    run_in_worker = WorkerProcess.run
    monkeypatch.setattr(WorkerProcess, "run", time_only_the_stalled_job)
    monkeypatch.setattr(gating_phase, "gate_job", stall_in_the_middle)
    report, _ = run(tree, output, ProcessWorkerPool(2, timeout_s=5))
    assert (report.done, report.failed) == (7, 1)
    assert "3.wav': it made no progress for 5 s" in report.errors[0]
    assert "timeout_s=" in report.errors[0]
    assert list_files(output) == [name for name in list_files(tree) if not name.endswith("3.wav")]
    monkeypatch.undo()
    assert run(tree, output)[0].reasons == {"failed in the last run": 1}
    expect_complete(tree, output)


def test_each_block_is_progress_even_if_the_length_is_unknown(tree, monkeypatch):
    def forget_length(blocks, length, progress):
        return report_progress(blocks, 0, progress)

    beats = []
    monkeypatch.setattr(samples, "BLOCK_BYTES", 4000)
    monkeypatch.setattr(job, "send_heartbeat", beats.append)
    for module in ("file_analysis", "output_pass"):
        monkeypatch.setattr(f"noisegate_cli.api.{module}.report_progress", forget_length)
    source = str(tree / "odd" / "1.wav")
    for work, settings in ((measure_job, GateSettings()), (gate_job, SETTINGS)):
        beats.clear()
        output = str(tree.with_name("out.wav"))
        work(Job("1.wav", source, output, 0, pickle_settings(settings, OutputOptions())))
        assert beats[-1] == 1.0
        assert len(beats) > 5
        assert set(beats[:-1]) == {0.0}


def test_a_recording_that_is_slow_has_all_the_time_it_needs(tmp_path, write, monkeypatch):
    write(loud_and_quiet(), "in/a.wav")
    monkeypatch.setattr(gating_phase, "gate_job", slow)
    report, _ = run(tmp_path / "in", tmp_path / "out", ProcessWorkerPool(1, timeout_s=5))
    assert (report.done, report.failed) == (1, 0)


def test_a_pause_of_the_whole_batch_is_not_time_without_progress():
    class Connection:
        """Connection of a batch that is stopped in the middle of the second interval."""

        intervals_s: ClassVar[list[float]] = []

        def poll(self, interval_s):
            self.intervals_s.append(interval_s)
            return len(self.intervals_s) == 4

    waiting = WorkerProcess.__new__(WorkerProcess)
    waiting._connection = Connection()
    assert waiting._wait_for_message(600)
    assert sum(Connection.intervals_s[:3]) < 6


STOPPED_BATCH = """
import os, signal, sys, time
from pathlib import Path
from noisegate_cli.batch.process_pool import ProcessWorkerPool

def stop_batch(job):
    Path(job).write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.1)
    return "done"

if __name__ == "__main__":
    pool = ProcessWorkerPool(1, timeout_s=0.5)
    print(pool.submit(stop_batch, [sys.argv[1]]).result())
    pool.close()
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for the process in /proc")
def test_a_batch_goes_on_after_a_pause_that_is_longer_than_the_timeout(tmp_path):
    script, pid_file = tmp_path / "script.py", tmp_path / "pid"
    script.write_text(STOPPED_BATCH)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, script, pid_file]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    pids = [parent.pid, int(pid_file.read_text())]
    wait_for(lambda: all("(stopped)" in status_of(Path(f"/proc/{pid}")) for pid in pids))
    time.sleep(2.5)  # longer than all limits
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert parent.communicate(timeout=MAX_WAIT_S)[0] == "['done']\n"


ENDLESS_CALL = """
import itertools, os, sys
from pathlib import Path
from noisegate_cli.batch.process_pool import ProcessWorkerPool

def call_without_end(job):
    Path(job).write_text(str(os.getpid()))
    sum(itertools.repeat(0))  # in C, without releasing the lock of the interpreter

if __name__ == "__main__":
    pool = ProcessWorkerPool(1, timeout_s=1)
    pool.submit(call_without_end, [sys.argv[1]]).result()
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for the process in /proc")
def test_a_worker_in_an_endless_call_ends_after_its_parent_was_killed(tmp_path):
    script, pid_file = tmp_path / "script.py", tmp_path / "pid"
    script.write_text(ENDLESS_CALL)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, script, pid_file], env=environment)
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    parent.kill()
    parent.wait()
    worker_folder = Path("/proc") / pid_file.read_text()
    wait_for(lambda: not worker_folder.exists() or "(zombie)" in status_of(worker_folder))


def status_of(folder):
    with suppress(OSError):
        return (folder / "status").read_text()
    return "(zombie)"

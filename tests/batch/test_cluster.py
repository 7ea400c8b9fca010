"""Batches on a real Dask cluster: a scheduler and workers in separate processes."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from noisegate_cli import SettingsError
from noisegate_cli.batch import dask_pool, gating_phase
from noisegate_cli.batch import run as batch_run
from noisegate_cli.batch.dask_pool import DaskWorkerPool
from noisegate_cli.batch.interface import BatchConfig
from noisegate_cli.batch.job import gate_job
from noisegate_cli.errors import ClusterError
from noisegate_cli.terminal.cli import run as ngate
from tests.batch.helpers import (
    MAX_WAIT_S,
    ROOT,
    SETTINGS,
    CollectingObserver,
    ForeignWriter,
    list_files,
    read_manifest,
    run,
    statuses,
    wait_for,
    write_long_recordings,
)
from tests.conftest import loud_and_quiet

distributed = pytest.importorskip("distributed")


class Dask:
    """A scheduler and its workers."""

    def __init__(self, folder, stack, **settings):
        self._folder, self._stack = folder, stack
        self._env = os.environ | {"PYTHONPATH": str(ROOT)}
        self._env |= {f"DASK_DISTRIBUTED__{name}": value for name, value in settings.items()}
        contact = folder / "scheduler.json"
        self._scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", contact)
        wait_for(lambda: contact.exists() and contact.read_text().endswith("}"), self._scheduler)
        self.address = json.loads(contact.read_text())["address"]
        self.workers = []

    def add_workers(self, number):
        added = [
            self._start("worker", self.address, "--nthreads", "1", "--no-nanny")
            for _ in range(number)
        ]
        self.workers += added
        with distributed.Client(self.address, set_as_default=False) as client:
            alive = [worker for worker in self.workers if worker.poll() is None]
            wait_for(lambda: len(client.nthreads()) == len(alive), self._scheduler)

    def _start(self, role, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{role}", *map(str, arguments)]
        command += ["--host", "127.0.0.1", "--no-dashboard"]
        log = self._stack.enter_context((self._folder / "log").open("ab"))
        process = subprocess.Popen(command, cwd=self._folder, env=self._env, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


@contextmanager
def dask(folder, workers, **settings):
    with ExitStack() as stack:
        cluster = Dask(folder, stack, **settings)
        cluster.add_workers(workers)
        yield cluster


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(dask_pool, "CONNECT_TIMEOUT_S", MAX_WAIT_S)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask(tmp_path_factory.mktemp("dask"), 2) as running:
        yield running


@pytest.fixture
def tree(tmp_path, write):
    for number in range(6):
        write(loud_and_quiet(), f"in/deep/{number}.wav")
    (tmp_path / "in" / "bad.wav").write_text("no recording")
    return tmp_path / "in"


@pytest.fixture
def long_tree(tmp_path):
    write_long_recordings(tmp_path / "in", 12)
    return tmp_path / "in"


def have_same_files(first, second):
    assert list_files(first) == list_files(second)
    return all(
        (first / name).read_bytes() == (second / name).read_bytes() for name in list_files(first)
    )


def test_a_cluster_gives_the_same_results_as_processes(cluster, tree, tmp_path, capsys):
    local_output, cluster_output = tmp_path / "here", tmp_path / "there"
    report, observer = run(tree, local_output)
    on_cluster, cluster_observer = run(tree, cluster_output, DaskWorkerPool(cluster.address))
    assert (on_cluster.done, on_cluster.failed) == (report.done, report.failed) == (6, 1)
    assert statuses(cluster_observer) == statuses(observer)
    assert on_cluster.errors == report.errors
    assert have_same_files(local_output, cluster_output)
    entries = [
        {line["output"]: line["settings"] for line in read_manifest(output)}
        for output in (local_output, cluster_output)
    ]
    assert entries[0] == entries[1]
    # A local batch resumes the batch of the cluster.
    (cluster_output / "deep" / "1.wav").unlink()
    assert run(tree, cluster_output)[0].reasons == {
        "output is missing": 1,
        "failed in the last run": 1,
    }
    assert capsys.readouterr().err == ""


def test_the_command_line_runs_on_a_cluster(cluster, tree, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tree / "bad.wav").unlink()
    options = ["--cluster", cluster.address, "-o", "out", "-t", "auto:otsu", "--shared-threshold"]
    assert ngate(["batch", "in", *options, "--json"]) == 0
    out, err = capsys.readouterr()
    results = [json.loads(line) for line in out.splitlines()]
    assert {result["status"] for result in results} == {"done"}
    assert len({result["settings"]["threshold"] for result in results}) == 1
    assert "6 of 6 recordings" in err
    assert list_files(tmp_path / "out") == list_files(tree)


def test_unsuitable_workers_are_reported_before_anything_runs(cluster, monkeypatch):
    workers = DaskWorkerPool(cluster.address)
    with pytest.raises(ClusterError, match="do not see '/nowhere'.*a filesystem that all share"):
        workers.check_folders("/", "/nowhere")
    monkeypatch.setattr(dask_pool, "__version__", "9.9")
    with pytest.raises(ClusterError, match=r"have ngate 0.* this is 9\.9: install the same"):
        workers.check_folders("/")
    workers.close()


def test_missing_requirements_of_a_cluster_are_reported(monkeypatch, tree, capsys):
    monkeypatch.setattr(dask_pool, "CONNECT_TIMEOUT_S", 0.2)
    assert ngate(["batch", str(tree), "--cluster", "tcp://127.0.0.1:9", "-t", "0.1"]) == 1
    assert "ngate: there is no Dask scheduler at 'tcp://127.0.0.1:9'" in capsys.readouterr().err
    assert not tree.with_name("in-gated").exists()
    with pytest.raises(SettingsError, match="omit one"):
        BatchConfig(root=tree, output=tree, jobs=2, cluster="tcp://127.0.0.1:9")
    with pytest.raises(
        ClusterError, match="'nonsense' is not an address: give one such as tcp://host:8786"
    ):
        DaskWorkerPool("nonsense")

    def not_installed(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(dask_pool, "import_module", not_installed)
    with pytest.raises(ClusterError, match=r"pip install 'noisegate-cli\[cluster\]'"):
        DaskWorkerPool("tcp://127.0.0.1:9")


def test_a_worker_that_is_killed_loses_no_recordings(cluster, long_tree, tmp_path):
    class KillingObserver(CollectingObserver):
        def on_recording(self, name, result):
            super().on_recording(name, result)
            if len(self.entries) == 3:
                cluster.workers[0].send_signal(signal.SIGKILL)

    observer = KillingObserver()
    output = tmp_path / "out"
    batch = BatchConfig(root=long_tree, output=output, settings=SETTINGS)
    report = batch_run.BatchRun(batch, observer).execute(DaskWorkerPool(cluster.address))
    assert cluster.workers[0].wait(MAX_WAIT_S) == -signal.SIGKILL
    assert (report.done, report.failed, report.to_do) == (12, 0, 0)
    run(long_tree, tmp_path / "here")
    assert have_same_files(output, tmp_path / "here"), "and no temporary file is left"
    assert sorted(line["output"] for line in read_manifest(output)) == list_files(long_tree)
    assert run(long_tree, output)[0].skip_reasons == {"already done": 12}


def test_an_output_that_someone_writes_before_its_turn_comes_is_kept(cluster, tree, tmp_path):
    foreign = tmp_path / "out" / "deep" / "5.wav"
    observer = ForeignWriter(foreign)
    batch = BatchConfig(root=tree, output=tmp_path / "out", settings=SETTINGS)
    report = batch_run.BatchRun(batch, observer).execute(DaskWorkerPool(cluster.address))
    assert (report.done, report.skipped, report.failed) == (5, 1, 1)
    assert foreign.read_text() == "foreign"


def die_on_00(job):
    """Replace `gate_job`: the recording 00 kills its worker."""
    if job.name == "00.flac":
        os.kill(os.getpid(), signal.SIGKILL)
    return gate_job(job)


def test_a_recording_that_kills_workers_is_retried_alone_and_then_reported(
    long_tree, tmp_path, monkeypatch
):
    monkeypatch.setattr(gating_phase, "gate_job", die_on_00)
    (tmp_path / "dask").mkdir()
    with dask(tmp_path / "dask", 3, SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        report, _ = run(long_tree, tmp_path / "out", DaskWorkerPool(cluster.address))
    assert (report.done, report.failed) == (11, 1)
    assert "00.flac': the worker process died twice" in report.errors[0]
    assert list_files(tmp_path / "out") == list_files(long_tree)[1:]

"""Helpers for tests of batches."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from noisegate_cli import GateSettings
from noisegate_cli.batch.interface import BatchConfig, BatchReport
from noisegate_cli.batch.job import Job, gate_job
from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.batch.records import RecordingResult
from noisegate_cli.batch.run import BatchRun
from noisegate_cli.batch.worker import run_jobs
from noisegate_cli.files.inputs.reader import probe
from noisegate_cli.files.outputs.writer import AudioWriter, open_writer
from tests.conftest import loud_and_quiet

SETTINGS = GateSettings(threshold=0.03)


ROOT = Path(__file__).parents[2]

MAX_WAIT_S = 200
"""Time that a condition may take on a busy machine; shorter than `faulthandler_timeout`."""


def wait_for(condition: Callable[[], Any], process: "subprocess.Popen[Any] | None" = None) -> None:
    """Wait until a condition is true while a process runs."""
    end = time.monotonic() + MAX_WAIT_S
    while not condition():
        assert process is None or process.poll() is None, "it has ended"
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def write_long_recordings(folder: Path, number: int) -> None:
    """Write recordings that are so large that each is a chunk of its own."""
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.01, 48000 * 4)
    first = folder / "00.flac"
    sf.write(first, loud_and_quiet().repeat(4) + noise, 16000)
    for copy in range(1, number):
        shutil.copy(first, folder / f"{copy:02}.flac")


def start_batch(work: str, *arguments: Any, **options: Any) -> "subprocess.Popen[Any]":
    """Start a batch as a process in a new session.

    `work` is the name of the function of `tests.batch` that replaces `gate_job`.
    """
    module, _, name = work.partition(".")
    code = (
        f"from noisegate_cli.batch import gating_phase; from tests.batch import {module} as module;"
        f"gating_phase.gate_job = module.{name}; from noisegate_cli.__main__ import main; main()"
    )
    command = [sys.executable, "-c", code, "batch", "-t", "0.03", *map(str, arguments)]
    return subprocess.Popen(command, start_new_session=True, cwd=ROOT, **options)


def write_half_an_output(job: Job, file: AudioWriter) -> None:
    """Write the first samples of the recording of a job."""
    file.write(sf.read(job.source, dtype="int16", always_2d=True)[0][:1000])


def output_info(job: Job) -> Any:
    """Return the properties of the output of a job."""
    return replace(probe(Path(job.source)), path=Path(job.output))


def gate_odd_later(job: Job) -> Any:
    """Replace `gate_job`: the folder odd waits in the middle of an output for the file go."""
    if job.name.startswith("odd"):
        with suppress(StopIteration), open_writer(output_info(job), force=True) as file:
            write_half_an_output(job, file)
            while not Path(job.output).parents[2].joinpath("go").exists():
                time.sleep(0.02)
            raise StopIteration
    return gate_job(job)


def wait_for_half_of_a_batch(output: Path, process: "subprocess.Popen[Any]") -> None:
    """Wait until `gate_odd_later` has gated the folder even, and two outputs have begun."""
    wait_for(
        lambda: (
            (output / MANIFEST_NAME).exists()
            and len(read_manifest(output)) == 4
            and sum(name.endswith(".partial") for name in list_files(output)) == 2
        ),
        process,
    )


class SmallJob(int):
    """A job that is a number."""

    size = 1


class LargeJob(int):
    """A job that is a number, too large to share a chunk with another job."""

    size = 1 << 30


class InlineWorkerPool:
    """A worker pool in this process that runs each job when it is submitted."""

    worker_death_errors: tuple[type[BaseException], ...] = (MemoryError,)
    repeats_jobs = False
    max_queued = 2

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def start(self) -> None:
        pass

    def check_folders(self, *folders: str) -> None:
        pass

    def submit(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._run_job(future, lambda: run_jobs(work, jobs))
        return future

    def _run_job(self, future: Future[Any], job: Callable[[], Any]) -> None:
        try:
            future.set_result(job())
        except BaseException as error:  # as executors do
            future.set_exception(error)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


class ShuffledWorkerPool(InlineWorkerPool):
    """A worker pool that runs the submitted jobs in a random order in a thread."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size)
        self._random = random.Random(seed)
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._thread = ThreadPoolExecutor(1)

    def submit(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: run_jobs(work, jobs)))
        self._thread.submit(self._run_random_job)
        return future

    def _run_random_job(self) -> None:
        self._run_job(*self._waiting.pop(self._random.randrange(len(self._waiting))))

    def close(self) -> None:
        self._thread.shutdown()


class CollectingObserver:
    """An observer that stores all phases and results."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.entries: dict[str, RecordingResult] = {}

    def on_phase(self, name: str, files: int, size: int) -> None:
        self.phases.append(name)

    def on_progress(self, files: int, size: int, report: BatchReport, current: list[str]) -> None:
        pass

    def on_recording(self, name: str, result: RecordingResult) -> None:
        self.entries[name] = result


class ForeignWriter(CollectingObserver):
    """Write a file in the place of an output, as another program, before the gating begins."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def on_phase(self, name: str, files: int, size: int) -> None:
        super().on_phase(name, files, size)
        if name == "gating":
            self._path.parent.mkdir(parents=True)
            self._path.write_text("foreign")


def run(
    root: Path, output: Path, workers: Any = None, **options: Any
) -> tuple[BatchReport, CollectingObserver]:
    """Run a batch, by default in this process; return its report and its observer."""
    observer = CollectingObserver()
    options.setdefault("settings", SETTINGS)
    batch = BatchRun(BatchConfig(root=root, output=output, **options), observer)
    return batch.execute(workers or InlineWorkerPool()), observer


def statuses(observer: CollectingObserver) -> dict[str, str]:
    """Return the status of each recording by its name."""
    return {Path(name).name: result.status for name, result in observer.entries.items()}


def read_manifest(output: Path) -> list[dict[str, Any]]:
    """Return the results in a manifest, without the lines about started outputs.

    A batch that still runs may have written only a part of the last line.
    """
    complete_lines = (output / MANIFEST_NAME).read_text().split("\n")[:-1]
    lines = map(json.loads, complete_lines)
    return [line for line in lines if line["status"] not in ("started", "skipped")]


def list_files(folder: Path) -> list[str]:
    """Return all files below a folder except the manifest, including hidden files."""
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(name for name in names if name != MANIFEST_NAME)

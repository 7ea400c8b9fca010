"""What tests of batches share."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from noisegate_cli import GateSettings
from noisegate_cli.batch.manifest import NAME
from noisegate_cli.batch.run import Run
from noisegate_cli.batch.terms import Batch, Report
from noisegate_cli.batch.worker import each
from tests.conftest import loud_and_quiet

SETTINGS = GateSettings(threshold=0.03)


def write_long(folder: Path, number: int) -> None:
    """Write recordings that take a while each, so that one can interrupt among them."""
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.01, 48000 * 40)
    first = folder / "00.flac"
    sf.write(first, loud_and_quiet().repeat(40) + noise, 16000)
    for copy in range(1, number):
        shutil.copy(first, folder / f"{copy:02}.flac")


class Small(int):
    """A number that is a job."""

    size = 1


class Large(int):
    """A number that is a job, too large for a worker to get another one with it."""

    size = 1 << 30


class Here:
    """Workers in this very process, which do a job when it is given to them."""

    died: tuple[type[BaseException], ...] = (MemoryError,)
    worn = False
    queued = 2

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def start(self) -> None:
        pass

    def submit(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._do(future, lambda: each(work, jobs))
        return future

    def _do(self, future: Future[Any], job: Callable[[], Any]) -> None:
        try:
            future.set_result(job())
        except BaseException as error:  # as executors do
            future.set_exception(error)

    def renew(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


class Shuffled(Here):
    """Workers that do what they are given in a random order, a little later."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size)
        self._random = random.Random(seed)
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._thread = ThreadPoolExecutor(1)

    def submit(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: each(work, jobs)))
        self._thread.submit(self._do_any)
        return future

    def _do_any(self) -> None:
        self._do(*self._waiting.pop(self._random.randrange(len(self._waiting))))

    def close(self) -> None:
        self._thread.shutdown()


class Told:
    """Who watches a batch, and remembers all."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.entries: dict[str, dict[str, Any]] = {}

    def phase(self, name: str, files: int, size: int) -> None:
        self.phases.append(name)

    def progress(self, files: int, size: int, report: Report, now: list[str]) -> None:
        pass

    def settled(self, name: str, entry: dict[str, Any]) -> None:
        self.entries[name] = entry


def run(root: Path, output: Path, workers: Any = None, **options: Any) -> tuple[Report, Told]:
    """Run a batch, here unless told otherwise; return its report, and what became of each."""
    told = Told()
    options.setdefault("settings", SETTINGS)
    batch = Run(Batch(root=root, output=output, **options), told)
    return batch.go(workers or Here()), told


def statuses(told: Told) -> dict[str, str]:
    """Return what became of each recording, by its name."""
    return {Path(name).name: entry["status"] for name, entry in told.entries.items()}


def lines(output: Path) -> list[dict[str, Any]]:
    """Return the lines of a manifest."""
    return [json.loads(line) for line in (output / NAME).read_text().splitlines()]


def files(folder: Path) -> list[str]:
    """Return all files below a folder but for the manifest, hidden ones too."""
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(name for name in found if name != NAME)

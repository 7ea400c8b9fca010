"""What tests of batches share."""

import json
import random
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from noisegate_cli import GateSettings
from noisegate_cli.batch.manifest import NAME
from noisegate_cli.batch.run import Batch, Report, Run

SETTINGS = GateSettings(threshold=0.03)


class Here:
    """Workers in this very process: they do a job when it is asked for, or in a random order."""

    died: tuple[type[BaseException], ...] = (MemoryError,)
    worn = False

    def __init__(self, size: int = 1, seed: int | None = None) -> None:
        self.size = size
        self._random = None if seed is None else random.Random(seed)
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.renewed = 0

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: work(*arguments)))
        if self._random is None or len(self._waiting) > self.size:
            place = self._random.randrange(len(self._waiting)) if self._random else 0
            chosen, job = self._waiting.pop(place)
            try:
                chosen.set_result(job())
            except BaseException as error:  # as executors do
                chosen.set_exception(error)
        return future

    def renew(self) -> None:
        self.renewed += 1

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


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

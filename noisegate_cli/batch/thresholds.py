"""One threshold for many recordings: from the levels of all of them together.

Histograms of levels add up, in any order to the same: neither the number of workers nor which of
them is done first changes a threshold.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.batch.executors import Workers
from noisegate_cli.batch.plan import Plan, recipe_text
from noisegate_cli.batch.runner import Lost, Runner, handfuls
from noisegate_cli.batch.terms import Shared
from noisegate_cli.batch.worker import Job, histogram_of, measure_job, packed
from noisegate_cli.files.names import OutputOptions
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.gating.frames.histogram import LevelHistogram

Measured = tuple[bytes, int] | str


class SharedThresholds:
    """The thresholds of a tree: one by the name of each folder, or one by the empty name."""

    def __init__(self, plan: Plan, settings: GateSettings, shared: Shared) -> None:
        self._plan, self._settings, self._shared = plan, settings, shared
        self._method = str(settings.threshold)
        self._sums: dict[str, LevelHistogram] = {}
        self._left: dict[str, int] = {}
        self.thresholds: dict[str, float | None] = {}
        """Linear RMS; None where signal and noise don't part."""
        self.fingerprints: dict[str, str] = {}
        """What the thresholds come of: recordings, when they were changed, and settings."""

    def find(
        self, workers: Workers, root: Path, watch: Callable[[int, int, list[Job]], None]
    ) -> None:
        """Measure all recordings of the plan, unless the manifest knows what came of them.

        Those that can't be measured are left out: they fail when they are gated.
        """
        self._recall()
        measured = size = 0

        def take(ended: list[tuple[Job, Measured | Lost]]) -> None:
            nonlocal measured, size
            for job, found in ended:
                measured, size = measured + 1, size + job.size
                self._take(self.key(job.name), found)

        runner: Runner[Job, Measured] = Runner(
            workers, measure_job, take, watch=lambda jobs: watch(measured, size, jobs)
        )
        number, _ = self._plan.count("to do")
        runner.run(handfuls(self._to_measure(root), number, workers))

    def key(self, name: str) -> str:
        """Return under which name the threshold of a recording is kept."""
        return os.path.dirname(name) if self._shared == "folder" else ""

    def settings_for(self, name: str) -> GateSettings:
        """Return the settings of a recording, with its threshold.

        Where signal and noise don't part it is one that opens for all but digital silence.
        """
        return replace(self._settings, threshold=self.thresholds[self.key(name)] or 0.0)

    def _recall(self) -> None:
        """Take the thresholds that were found before for the very same recordings."""
        digests = {}
        for row, _ in self._plan.rows():
            key = self.key(row.name)
            if key not in digests:
                digests[key] = blake2b(recipe_text(self._settings, OutputOptions()).encode())
                self._left[key] = 0
            digests[key].update(repr((row.name, row.size, row.mtime_ns)).encode())
            self._left[key] += 1
        for key, digest in digests.items():
            self.fingerprints[key] = digest.hexdigest()[:32]
            known = self._plan.shared_threshold(self.fingerprints[key])
            if known is not None:
                self.thresholds[key] = known or None

    def _to_measure(self, root: Path) -> Iterator[Job]:
        recipe = packed(self._settings, OutputOptions())
        unknown = self.fingerprints.keys() - self.thresholds.keys()
        for row, _ in self._plan.rows():
            if self.key(row.name) in unknown:
                yield Job(row.name, os.path.join(root, row.name), "", row.size, recipe)

    def _take(self, key: str, found: Measured | Lost) -> None:
        from noisegate_cli.gating.detection.threshold import suggest_threshold
        from noisegate_cli.gating.frames.histogram import LevelHistogram

        if isinstance(found, tuple):
            self._sums[key] = self._sums.get(key, LevelHistogram()) + histogram_of(found)
        self._left[key] -= 1
        if not self._left[key]:
            histogram = self._sums.pop(key, LevelHistogram())
            found_level = suggest_threshold(histogram, self._settings.hysteresis_db, self._method)
            self.thresholds[key] = found_level.threshold

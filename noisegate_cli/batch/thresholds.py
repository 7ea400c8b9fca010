"""Compute one threshold for many recordings from their combined level histogram.

The sum of histograms does not depend on their order. Therefore the threshold depends neither on the
number of workers nor on the order in which jobs finish.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.batch.encoded_settings import encode_settings
from noisegate_cli.batch.interface import ThresholdScope
from noisegate_cli.batch.job import Job, decode_histogram, measure_job, pickle_settings
from noisegate_cli.batch.job_runner import JobRunner, WorkerPool, split_into_chunks
from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.worker import LostJob
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.gating.frames.histogram import LevelHistogram

Measurement = tuple[bytes, int] | str


class SharedThresholds:
    """Shared thresholds by folder, or under the empty name for the whole tree."""

    def __init__(
        self,
        plan: Plan,
        settings: GateSettings,
        threshold_scope: ThresholdScope,
        track: int | None = None,
    ) -> None:
        self._options = OutputOptions(track=track)
        self._plan, self._settings, self._threshold_scope = plan, settings, threshold_scope
        self._method = str(settings.threshold)
        self._histograms: dict[str, LevelHistogram] = {}
        self._remaining: dict[str, int] = {}
        self.thresholds: dict[str, float | None] = {}
        """Thresholds (linear RMS) by group; None if signal and noise cannot be separated."""
        self.fingerprints: dict[str, str] = {}
        """Digests by group of the settings and of the recordings with their sizes and times."""

    def measure(
        self, workers: WorkerPool, root: Path, on_running: Callable[[int, int, list[Job]], None]
    ) -> None:
        """Measure the recordings of all groups whose threshold is not in the manifest.

        Recordings that cannot be measured are ignored here and fail when they are gated.
        """
        self._restore_thresholds()
        measured_files = measured_bytes = 0

        def collect_results(ended: list[tuple[Job, Measurement | LostJob]]) -> None:
            nonlocal measured_files, measured_bytes
            for job, measurement in ended:
                measured_files, measured_bytes = measured_files + 1, measured_bytes + job.size
                self._add_measurement(self.get_group(job.name), measurement)

        runner: JobRunner[Job, Measurement] = JobRunner(
            workers,
            measure_job,
            collect_results,
            on_running=lambda jobs: on_running(measured_files, measured_bytes, jobs),
        )
        number, _ = self._plan.count("pending")
        runner.run(split_into_chunks(self._make_measure_jobs(root), number, workers))

    def get_group(self, name: str) -> str:
        """Return the group of a recording: its folder, or the empty name for the whole tree."""
        return os.path.dirname(name) if self._threshold_scope == "folder" else ""

    def fingerprint_for(self, name: str) -> str:
        """Return the digest of the recordings that share the threshold of a recording."""
        return self.fingerprints[self.get_group(name)]

    def settings_for(self, name: str) -> GateSettings:
        """Return the settings of a recording with its shared threshold.

        If signal and noise cannot be separated, the threshold is 0: only digital silence closes
        the gate.
        """
        return replace(self._settings, threshold=self.thresholds[self.get_group(name)] or 0.0)

    def _restore_thresholds(self) -> None:
        """Restore the thresholds of groups whose fingerprint is in the manifest."""
        from hashlib import blake2b

        digests = {}
        for recording in self._plan.recordings():
            key = self.get_group(recording.name)
            if key not in digests:
                digests[key] = blake2b(encode_settings(self._settings, self._options).encode())
                self._remaining[key] = 0
            digests[key].update(repr((recording.name, recording.size, recording.mtime_ns)).encode())
            self._remaining[key] += 1
        for key, digest in digests.items():
            self.fingerprints[key] = digest.hexdigest()[:32]
            threshold = self._plan.find_shared_threshold(self.fingerprints[key])
            if threshold is not None:
                self.thresholds[key] = threshold or None

    def _make_measure_jobs(self, root: Path) -> Iterator[Job]:
        pickled_settings = pickle_settings(self._settings, self._options)
        unknown = self.fingerprints.keys() - self.thresholds.keys()
        for recording in self._plan.recordings():
            if self.get_group(recording.name) in unknown:
                yield Job(
                    recording.name,
                    os.path.join(root, recording.name),
                    "",
                    recording.size,
                    pickled_settings,
                )

    def _add_measurement(self, key: str, measurement: Measurement | LostJob) -> None:
        from noisegate_cli.gating.detection.threshold import suggest_threshold
        from noisegate_cli.gating.frames.histogram import LevelHistogram

        if isinstance(measurement, tuple):
            self._histograms[key] = self._histograms.get(key, LevelHistogram()) + decode_histogram(
                measurement
            )
        self._remaining[key] -= 1
        if not self._remaining[key]:
            histogram = self._histograms.pop(key, LevelHistogram())
            suggestion = suggest_threshold(histogram, self._settings.hysteresis_db, self._method)
            self.thresholds[key] = suggestion.threshold

"""Gate the pending recordings of a batch, and record the start and the result of each."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from noisegate_cli.batch.incremental import REASON_CHECKSUM, REASON_FORCED, REASON_INTERRUPTED
from noisegate_cli.batch.interface import BatchConfig, BatchObserver, BatchReport
from noisegate_cli.batch.job import Job, gate_job, pickle_settings
from noisegate_cli.batch.job_runner import (
    MAX_CHUNK_JOBS,
    JobRunner,
    WorkerPool,
    split_into_chunks,
)
from noisegate_cli.batch.manifest import Manifest
from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.recording_settings import RecordingSettings
from noisegate_cli.batch.records import Recording, RecordingResult
from noisegate_cli.batch.worker import LostJob
from noisegate_cli.files.outputs.partial_files import remove_partials
from noisegate_cli.text import escape_undecodable, quote_path


class GatingPhase:
    """The phase of a batch in which the jobs run.

    Parameters
    ----------
    batch, plan, settings
        The batch, its recordings, and the settings of each recording.
    manifest
        Receives the start and the result of each recording.
    report
        Is updated with each result.
    observer
        Receives progress and results.
    """

    def __init__(
        self,
        batch: BatchConfig,
        plan: Plan,
        settings: RecordingSettings,
        manifest: Manifest,
        report: BatchReport,
        observer: BatchObserver,
    ) -> None:
        self._batch, self._plan, self._settings = batch, plan, settings
        self._manifest, self._report, self._observer = manifest, report, observer
        self._real_root = os.path.realpath(batch.root)
        self._pending: dict[str, Recording] = {}
        self._processed_bytes = 0

    def run(self, workers: WorkerPool) -> None:
        """Gate the pending recordings."""
        batch, plan, report = self._batch, self._plan, self._report
        if report.is_locked:
            self._remove_partials(plan.find_started_outputs())
        number, size = plan.count("pending")
        self._observer.on_phase("gating", number, size)
        runner: JobRunner[Job, RecordingResult] = JobRunner(
            workers,
            gate_job,
            self._record_results,
            on_running=self._notify_progress,
            should_stop=lambda: batch.has_max_errors(report.failed),
            on_worker_death=self._clean_up_after,
            # With an error limit, only the recordings that are being gated are still finished.
            has_queue=batch.max_errors is None,
        )
        most = MAX_CHUNK_JOBS if batch.max_errors is None else 1
        jobs = self._make_jobs(workers.repeats_jobs)
        try:
            runner.run(self._record_started(split_into_chunks(jobs, number, workers, most)))
        except BaseException:
            # Processes that were killed, and on Windows all stopped processes, do not clean up.
            if report.is_locked and not workers.repeats_jobs:
                self._remove_partials(recording.output for recording in self._pending.values())
            raise
        if workers.repeats_jobs:
            # The pool does not report the death of a worker.
            for folder in plan.folders():
                remove_partials(batch.output / folder, plan.iter_output_names(folder))

    def _make_jobs(self, are_repeatable: bool) -> Iterator[Job]:
        batch, settings = self._batch, self._settings
        options = replace(batch.options, inside=batch.output)
        # Outputs that differ only in their extension have the whole names in those of their labels.
        ambiguous = self._plan.find_outputs_with_same_stem() if options.labels else set()
        for recording in self._plan.recordings():
            self._pending[recording.name] = recording
            previous, reason = recording.previous, recording.reason
            yield Job(
                recording.name,
                source=os.path.join(batch.root, recording.name),
                output=os.path.join(batch.output, recording.output),
                size=recording.size,
                pickled_settings=pickle_settings(settings.choose(recording.name), options),
                needs_digest=batch.checksum,
                previous_digest=previous.digest if previous and reason == REASON_CHECKSUM else None,
                force=reason in (REASON_FORCED, REASON_INTERRUPTED),
                is_repeatable=are_repeatable,
                previous_output=(previous.output_size, previous.output_mtime_ns)
                if previous
                else None,
                fsync=batch.fsync,
                against=settings.list_other_tracks(recording),
                key=settings.find_key(recording.name),
                with_segments=batch.with_segments,
                labels_name=f"{os.path.basename(recording.output)}.{options.labels}"
                if recording.output in ambiguous
                else None,
            )

    def _record_started(self, chunks: Iterable[list[Job]]) -> Iterator[list[Job]]:
        """Record each chunk of jobs in the manifest as started, then yield it."""
        for jobs in chunks:
            self._manifest.append(
                *(RecordingResult("started", self._pending[job.name].output) for job in jobs)
            )
            yield jobs

    def _record_results(self, ended: list[tuple[Job, RecordingResult | LostJob]]) -> None:
        """Record the results of jobs, first in the manifest because it is persistent."""
        results = {job.name: self._complete_result(job, outcome) for job, outcome in ended}
        self._manifest.append(*results.values())
        self._plan.record_results(results.items())
        for name, result in results.items():
            recording = self._pending.pop(name)
            self._processed_bytes += recording.size
            if result.status == "done":
                result = result._replace(reason=recording.reason)  # noqa: PLW2901
            self._report.add_result(result)
            self._observer.on_recording(name, result)

    def _notify_progress(self, running: list[Job]) -> None:
        files = self._report.done + self._report.failed
        names = [job.name for job in running]
        self._observer.on_progress(files, self._processed_bytes, self._report, names)

    def _complete_result(self, job: Job, outcome: RecordingResult | LostJob) -> RecordingResult:
        """Return the result of a job with the values that the worker does not know."""
        recording = self._pending[job.name]
        if isinstance(outcome, LostJob):
            reason = escape_undecodable(f"{quote_path(job.source)}: {outcome.error}")
            outcome = RecordingResult("failed", reason=reason)
            if self._report.is_locked:
                self._remove_partials([recording.output])
        if outcome.status == "skipped":
            return outcome._replace(output=recording.output)
        if outcome.size is None:
            outcome = outcome._replace(size=recording.size, mtime_ns=recording.mtime_ns)
        if outcome.status == "failed" and recording.previous:
            # A failed job leaves the previous output in place.
            outcome = outcome._replace(
                output_size=recording.previous.output_size,
                output_mtime_ns=recording.previous.output_mtime_ns,
            )
        return outcome._replace(
            file=os.path.join(self._real_root, job.name),
            output=recording.output,
            settings_json=self._settings.encode(recording),
            shared=self._settings.shared_fingerprint(job.name),
        )

    def _clean_up_after(self, lost: list[Job]) -> list[Job]:
        """Remove partial files of jobs whose worker died; return the jobs to run again.

        The worker may have completed some outputs.
        """
        self._remove_partials(self._pending[job.name].output for job in lost)
        return [job._replace(is_repeatable=True) for job in lost]

    def _remove_partials(self, outputs: Iterable[str]) -> None:
        """Remove partial files that dead workers left next to the outputs."""
        folders: dict[str, list[str]] = {}
        for output in outputs:
            folder, name = os.path.split(output)
            folders.setdefault(folder, []).append(name)
        real_output = Path(os.path.realpath(self._batch.output))
        for folder, names in folders.items():
            # A link may lead out of the output tree.
            real_folder = Path(os.path.realpath(real_output / folder))
            if real_folder.is_relative_to(real_output):
                remove_partials(real_folder, names)

"""Run a batch from discovery to the final report."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from noisegate_cli.batch.contact_sheet import (
    check_sheet_is_no_recording,
    check_sheet_path,
    write_contact_sheet,
)
from noisegate_cli.batch.csv_report import check_csv_is_no_recording, check_csv_path, write_csv
from noisegate_cli.batch.discovery import OwnOutputs, find_listed, read_names, walk_tree
from noisegate_cli.batch.disk_space import (
    estimate_output_bytes,
    find_existing_parent,
    get_free_bytes,
)
from noisegate_cli.batch.encoded_settings import encode_settings
from noisegate_cli.batch.executors import DaskWorkerPool, ProcessWorkerPool, WorkerPool
from noisegate_cli.batch.incremental import (
    REASON_CHECKSUM,
    REASON_FORCED,
    REASON_INTERRUPTED,
    decide_job,
)
from noisegate_cli.batch.interface import (
    DEFAULT_TIMEOUT_S,
    BatchConfig,
    BatchObserver,
    BatchReport,
    NullBatchObserver,
)
from noisegate_cli.batch.job_runner import MAX_CHUNK_JOBS, JobRunner, split_into_chunks
from noisegate_cli.batch.keys import Keys
from noisegate_cli.batch.manifest import MANIFEST_NAME, Manifest, read_results
from noisegate_cli.batch.plan import PAGE_ROWS, open_plan
from noisegate_cli.batch.records import (
    Recording,
    RecordingResult,
    RecordingState,
)
from noisegate_cli.batch.sessions import MAX_SESSION_TRACKS, Sessions
from noisegate_cli.batch.thresholds import SharedThresholds
from noisegate_cli.batch.worker import Job, LostJob, gate_job, pickle_settings
from noisegate_cli.errors import AudioError, NoisegateError, OutputError
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.partial_files import remove_partials
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import escape_undecodable, quote_path

MAX_LISTED_ERRORS = 20
"""Maximum number of errors in the report; review candidates are limited to half of it."""

UNPROCESSED_STATES: tuple[RecordingState, RecordingState] = ("failed", "skipped")


class BatchRun:
    """A single run of a batch.

    Parameters
    ----------
    batch
        Configuration of the batch.
    observer
        Receives progress and results; None for no notifications.

    Examples
    --------
    >>> BatchRun(BatchConfig(root=Path("tests/nothing"), output=Path("out"))).execute()
    Traceback (most recent call last):
    noisegate_cli.errors.AudioError: 'tests/nothing' doesn't exist: check the name
    """

    def __init__(self, batch: BatchConfig, observer: BatchObserver | None = None) -> None:
        self._batch, self._observer = batch, observer or NullBatchObserver()
        self._real_root = os.path.realpath(batch.root)
        self._pending: dict[str, Recording] = {}
        self._shared_thresholds: SharedThresholds | None = None
        self._sessions: Sessions | None = None
        self._keys: Keys | None = None
        self._processed_bytes = 0
        self.report = BatchReport(batch.output, batch.dry_run)

    def execute(self, workers: WorkerPool | None = None) -> BatchReport:
        """Run the batch and return its report.

        Parameters
        ----------
        workers
            Pool that runs the jobs; by default the pool that the configuration asks for.

        Raises
        ------
        AudioError, OutputError, SettingsError, ClusterError
            If the batch cannot start or cannot continue.
        """
        batch, started_at = self._batch, time.perf_counter()
        check_trees(batch.root, batch.output)
        if batch.key is not None:
            self._keys = Keys(batch.key, batch.settings)
        if batch.csv_path:
            check_csv_path(batch.csv_path)
        if batch.plot_path:
            check_sheet_path(batch.plot_path)
        with ExitStack() as stack:
            self._plan = stack.enter_context(open_plan(batch.root, batch.output, batch.options))
            try:
                workers = workers or self._create_workers()
                stack.callback(workers.close)
                if not batch.dry_run and not (batch.output / MANIFEST_NAME).exists():
                    # A first run nearly always has recordings to gate.
                    workers.start()
                self._find_recordings()
                if self.report.total:
                    self._preview(workers) if batch.dry_run else self._gate_recordings(workers)
            finally:
                self.report.seconds = time.perf_counter() - started_at
                self._complete_report()
            candidates = self.report.review_candidates
            if batch.plot_path and candidates:
                self._observer.on_phase("drawing", len(candidates), 0)
                settings = {c.name: self._settings_for(c.name) for c in candidates}
                write_contact_sheet(batch.plot_path, batch.root, candidates, settings.__getitem__)
        return self.report

    def _create_workers(self) -> WorkerPool:
        batch = self._batch
        if batch.cluster:
            return DaskWorkerPool(batch.cluster)
        return ProcessWorkerPool(batch.jobs, batch.timeout_s or DEFAULT_TIMEOUT_S)

    def _find_recordings(self) -> None:
        """Find the recordings and fail those whose output names collide."""
        batch = self._batch
        self._observer.on_phase("finding", 0, 0)
        own = OwnOutputs()
        recordings = walk_tree(batch.root, batch.output, batch.patterns, own)
        if batch.names_file is not None:
            names = read_names(batch.names_file, batch.null_separated)
            recordings = find_listed(batch.root, names, batch.patterns)
        self._plan.add(self._report_found(recordings))
        self._plan.fail_colliding_outputs()
        if batch.tracks:
            self._plan.fail_large_folders(MAX_SESSION_TRACKS)
            self._sessions = Sessions(self._plan)
        if batch.csv_path:
            check_csv_is_no_recording(batch.csv_path, batch.output, self._plan)
        if batch.plot_path:
            check_sheet_is_no_recording(batch.plot_path, self._plan)
        self.report.total = self._plan.count()[0]
        self.report.own_files, self.report.own_folders = own.files, own.folders
        if not self.report.total:
            check_selection(batch)

    def _report_found(self, recordings: Iterator[Recording]) -> Iterator[Recording]:
        for number, recording in enumerate(recordings, start=1):
            yield recording
            if not number % PAGE_ROWS:
                self._observer.on_progress(number, 0, self.report, [])

    def _gate_recordings(self, workers: WorkerPool) -> None:
        batch, plan, report = self._batch, self._plan, self.report
        if isinstance(workers, DaskWorkerPool):
            workers.check_workers(str(batch.root), str(find_existing_parent(batch.output)))
        with closing(Manifest(batch.output, batch.fsync)) as self._manifest:
            report.is_locked = self._manifest.is_locked
            self._prepare(workers)
            if report.is_locked:
                self._remove_partials(plan.find_started_outputs())
            number, size = plan.count("pending")
            self._observer.on_phase("gating", number, size)
            runner: JobRunner[Job, RecordingResult] = JobRunner(
                workers,
                gate_job,
                self._record_results,
                on_running=lambda jobs: self._notify_progress(
                    report.done + report.failed, self._processed_bytes, jobs
                ),
                should_stop=self._has_max_errors,
                on_worker_death=self._clean_up_after,
            )
            # With an error limit, small chunks stop the batch soon after the limit is reached.
            most = MAX_CHUNK_JOBS if batch.max_errors is None else 1
            jobs = self._make_jobs(workers.repeats_jobs)
            runner.run(self._record_started(split_into_chunks(jobs, number, workers, most)))
            if workers.repeats_jobs:
                # The pool does not report the death of a worker.
                for folder in plan.folders():
                    remove_partials(batch.output / folder, plan.iter_output_names(folder))

    def _preview(self, workers: WorkerPool) -> None:
        """Report what the batch would do, for a dry run."""
        from noisegate_cli.files.output_target import output_info
        from noisegate_cli.files.reader import probe

        batch, plan, report = self._batch, self._plan, self.report
        self._prepare(workers)
        self._observer.on_phase("looking", *plan.count("pending"))
        for index, recording in enumerate(plan.recordings()):
            result = RecordingResult("pending", recording.output, recording.reason)
            try:
                info = probe(batch.root / recording.name, batch.options.track)
                target = output_info(info, batch.output / recording.output, batch.options)
            except NoisegateError as error:
                result = RecordingResult("failed", recording.output, str(error))
                plan.record_results([(recording.name, result)])
            else:
                report.audio_seconds += info.duration
                report.bytes_needed += estimate_output_bytes(info, target, recording.size)
                self._processed_bytes += recording.size
                self._observer.on_progress(
                    index + 1, self._processed_bytes, report, [recording.name]
                )
            self._notify_result(recording.name, result)
        report.bytes_free = get_free_bytes(batch.output)

    def _prepare(self, workers: WorkerPool) -> None:
        """Load the manifest, measure shared thresholds and decide which recordings to gate."""
        self._plan.load_previous_results(self._read_manifest())
        batch = self._batch
        if batch.threshold_scope:
            self._shared_thresholds = SharedThresholds(
                self._plan, batch.settings, batch.threshold_scope, batch.options.track
            )
            self._observer.on_phase("measuring", *self._plan.count("pending"))
            self._shared_thresholds.measure(workers, self._batch.root, self._notify_progress)
            self.report.thresholds = self._shared_thresholds.thresholds
        self._plan.set_states(self._decide_jobs())
        self.report.reasons = self._plan.reasons("pending")
        self.report.is_planned = True
        for state in UNPROCESSED_STATES:
            for recording in self._plan.recordings(state):
                result = RecordingResult(state, recording.output, recording.reason)
                self._notify_result(recording.name, result)

    def _read_manifest(self) -> Iterator[RecordingResult]:
        for result in read_results(self._batch.output):
            if result is None:
                self.report.unreadable_lines += 1
            else:
                yield result

    def _decide_jobs(self) -> Iterator[tuple[str, RecordingState, str]]:
        batch = self._batch
        for recording in self._plan.recordings():
            output = None
            with suppress(OSError):  # Other errors are reported when the output is written.
                output = os.lstat(os.path.join(batch.output, recording.output))
            decision = decide_job(
                recording,
                os.path.join(self._real_root, recording.name),
                output,
                self._encode_settings(recording),
                force=batch.force,
                checksum=batch.checksum,
            )
            yield recording.name, *decision

    def _settings_for(self, name: str) -> GateSettings:
        return (
            self._shared_thresholds.settings_for(name)
            if self._shared_thresholds
            else self._batch.settings
        )

    def _encode_settings(self, recording: Recording) -> str:
        tracks = self._sessions.fingerprint(recording) if self._sessions else None
        key = self._keys.fingerprint(recording.name) if self._keys else None
        return encode_settings(self._settings_for(recording.name), self._batch.options, tracks, key)

    def _find_other_tracks(self, recording: Recording) -> tuple[str, ...]:
        others = self._sessions.others(recording) if self._sessions else []
        return tuple(os.path.join(self._batch.root, track.name) for track in others)

    def _make_jobs(self, are_repeatable: bool) -> Iterator[Job]:
        batch = self._batch
        options = replace(batch.options, inside=batch.output)
        for recording in self._plan.recordings():
            self._pending[recording.name] = recording
            previous, reason = recording.previous, recording.reason
            yield Job(
                recording.name,
                source=os.path.join(batch.root, recording.name),
                output=os.path.join(batch.output, recording.output),
                size=recording.size,
                pickled_settings=pickle_settings(self._settings_for(recording.name), options),
                needs_digest=batch.checksum,
                previous_digest=previous.digest if previous and reason == REASON_CHECKSUM else None,
                force=reason in (REASON_FORCED, REASON_INTERRUPTED),
                is_repeatable=are_repeatable,
                previous_output=(previous.output_size, previous.output_mtime_ns)
                if previous
                else None,
                fsync=batch.fsync,
                against=self._find_other_tracks(recording),
                key=self._keys.find(recording.name) if self._keys else None,
                with_segments=batch.with_segments,
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
                self.report.done += 1
                self.report.audio_seconds += result.result["duration_s"]
                result = result._replace(reason=recording.reason)  # noqa: PLW2901
            self._notify_result(name, result)

    def _complete_result(self, job: Job, outcome: RecordingResult | LostJob) -> RecordingResult:
        """Return the result of a job with the values that the worker does not know."""
        recording = self._pending[job.name]
        if isinstance(outcome, LostJob):
            reason = escape_undecodable(f"{quote_path(job.source)}: {outcome.error}")
            outcome = RecordingResult("failed", reason=reason)
            if self.report.is_locked:
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
        thresholds, shared = self._shared_thresholds, None
        if thresholds:
            shared = thresholds.fingerprints[thresholds.get_group(job.name)]
        return outcome._replace(
            file=os.path.join(self._real_root, job.name),
            output=recording.output,
            settings_json=self._encode_settings(recording),
            shared=shared,
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

    def _has_max_errors(self) -> bool:
        max_errors = self._batch.max_errors
        return max_errors is not None and self.report.failed >= max_errors

    def _add_error(self, error: str) -> None:
        self.report.failed += 1
        if len(self.report.errors) < MAX_LISTED_ERRORS:
            self.report.errors.append(error)

    def _notify_progress(self, files: int, size: int, jobs: list[Job]) -> None:
        self._observer.on_progress(files, size, self.report, [job.name for job in jobs])

    def _notify_result(self, name: str, result: RecordingResult) -> None:
        """Count an error, and notify the observer of the result of a recording."""
        if result.status == "failed":
            self._add_error(str(result.reason))
        self._observer.on_recording(name, result)

    def _complete_report(self) -> None:
        plan, report = self._plan, self.report
        report.done, report.skipped, report.failed, report.to_do = (
            plan.count(state)[0] for state in ("done", "skipped", "failed", "pending")
        )
        if report.to_do and self._has_max_errors():
            report.stop_reason = f"stopped after {report.failed} failed recordings"
        report.skip_reasons = plan.reasons("skipped")
        report.closed_share = plan.closed_share()
        report.review_candidates, report.review_counts = plan.find_review_candidates(
            MAX_LISTED_ERRORS // 2
        )
        if self._batch.csv_path and report.is_planned:
            plan.restore_previous_results()
            write_csv(self._batch.csv_path, plan)


def default_output_directory(root: Path) -> Path:
    """Return the default output directory, `ROOT-gated` next to `root`.

    Raises
    ------
    OutputError
        If `root` is the root of the filesystem.
    """
    resolved = root if root.name not in ("", "..") else root.resolve()
    if not resolved.name:
        raise OutputError(
            f"{quote_path(root)} is the root of a filesystem: give the output folder with output="
        )
    return resolved.with_name(f"{resolved.name}-gated")


def check_selection(batch: BatchConfig) -> None:
    """Raise AudioError if recordings were selected, of which none exists.

    An empty folder is no error, but a pattern or a list without recordings is probably wrong.
    """
    root = quote_path(batch.root)
    if batch.patterns.include:
        patterns = " or ".join(map(repr, batch.patterns.include))
        raise AudioError(f"no recording below {root} matches {patterns}: check include=")
    if batch.names_file is not None:
        raise AudioError(f"the list {quote_path(batch.names_file)} names no recording")


def check_trees(root: Path, output: Path) -> None:
    """Check that the input tree exists and that `output` can be a directory.

    Raises
    ------
    AudioError
        If `root` is not a directory.
    OutputError
        If `output` is `root`, is a file, or has the extension of an audio file.
    """
    if not root.is_dir():
        raise AudioError(
            f"{quote_path(root)} is not a folder: use ngate gate for one recording"
            if root.exists()
            else f"{quote_path(root)} doesn't exist: check the name"
        )
    if output.exists() and not output.is_dir():
        raise OutputError(f"{quote_path(output)} is not a folder: give another output with output=")
    if not output.exists() and output.suffix.lower() in WRITABLE_EXTENSIONS:
        raise OutputError(
            f"{quote_path(output)} has the name of a recording, but a batch needs an "
            "output folder: "
            "give one with output="
        )
    if output.resolve() == root.resolve():
        raise OutputError(
            f"{quote_path(output)} is the input folder: give another output with output="
        )

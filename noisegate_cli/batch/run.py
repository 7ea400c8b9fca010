"""Run a batch from discovery to the final report."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

from noisegate_cli.api.failures import describe_failure, find_error_code
from noisegate_cli.batch.contact_sheet import (
    check_sheet_is_no_recording,
    check_sheet_path,
    write_contact_sheet,
)
from noisegate_cli.batch.csv_report import check_csv_is_no_recording, check_csv_path, write_csv
from noisegate_cli.batch.discovery import SkippedFiles, find_listed, read_names, walk_tree
from noisegate_cli.batch.gating_phase import GatingPhase
from noisegate_cli.batch.incremental import (
    decide_job,
)
from noisegate_cli.batch.interface import (
    DEFAULT_TIMEOUT_S,
    MAX_LISTED_ERRORS,
    BatchConfig,
    BatchObserver,
    BatchReport,
    NullBatchObserver,
)
from noisegate_cli.batch.job import Job
from noisegate_cli.batch.job_runner import WorkerPool
from noisegate_cli.batch.manifest import MANIFEST_NAME, Manifest, read_results
from noisegate_cli.batch.plan import PAGE_ROWS, open_plan
from noisegate_cli.batch.process_pool import ProcessWorkerPool
from noisegate_cli.batch.recording_settings import MAX_SESSION_TRACKS, RecordingSettings
from noisegate_cli.batch.records import (
    Recording,
    RecordingResult,
    RecordingState,
)
from noisegate_cli.batch.thresholds import SharedThresholds
from noisegate_cli.batch.trees import (
    check_trees,
    estimate_output_bytes,
    find_existing_parent,
    get_free_bytes,
)
from noisegate_cli.errors import AudioError
from noisegate_cli.text import escape_undecodable, quote_path

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
    >>> from pathlib import Path
    >>> BatchRun(BatchConfig(root=Path("tests/nothing"), output=Path("out"))).execute()
    Traceback (most recent call last):
    noisegate_cli.errors.AudioError: 'tests/nothing' does not exist: check the name
    """

    def __init__(self, batch: BatchConfig, observer: BatchObserver | None = None) -> None:
        self._batch, self._observer = batch, observer or NullBatchObserver()
        self._real_root = os.path.realpath(batch.root)
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
        if batch.csv_path:
            check_csv_path(batch.csv_path)
        if batch.plot_path:
            check_sheet_path(batch.plot_path)
        with ExitStack() as stack:
            self._plan = stack.enter_context(open_plan(batch.root, batch.output, batch.options))
            self._settings = RecordingSettings(batch, self._plan)
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
                settings = {c.name: self._settings.choose(c.name) for c in candidates}
                write_contact_sheet(batch.plot_path, batch.root, candidates, settings.__getitem__)
        return self.report

    def _create_workers(self) -> WorkerPool:
        batch = self._batch
        if batch.cluster:
            from noisegate_cli.batch.dask_pool import DaskWorkerPool

            return DaskWorkerPool(batch.cluster)
        return ProcessWorkerPool(batch.jobs, batch.timeout_s or DEFAULT_TIMEOUT_S)

    def _find_recordings(self) -> None:
        """Find the recordings and fail those whose output names collide."""
        batch = self._batch
        self._observer.on_phase("finding", 0, 0)
        skipped = SkippedFiles()
        recordings = walk_tree(batch.root, batch.output, batch.patterns, skipped)
        if batch.names_file is not None:
            names = read_names(batch.names_file, batch.null_separated)
            recordings = find_listed(batch.root, names, batch.patterns)
        self._plan.add(self._report_found(recordings))
        self._plan.fail_colliding_outputs()
        if batch.tracks:
            self._plan.fail_large_folders(MAX_SESSION_TRACKS)
        if batch.csv_path:
            check_csv_is_no_recording(batch.csv_path, batch.output, self._plan)
        if batch.plot_path:
            check_sheet_is_no_recording(batch.plot_path, self._plan)
        self.report.total = self._plan.count()[0]
        self.report.own_files = skipped.output_files
        self.report.own_folders = skipped.output_folders
        if not self.report.total:
            check_selection(batch, skipped)

    def _report_found(self, recordings: Iterator[Recording]) -> Iterator[Recording]:
        for number, recording in enumerate(recordings, start=1):
            yield recording
            if not number % PAGE_ROWS:
                self._observer.on_progress(number, 0, self.report, [])

    def _gate_recordings(self, workers: WorkerPool) -> None:
        batch = self._batch
        workers.check_folders(str(batch.root), str(find_existing_parent(batch.output)))
        with closing(Manifest(batch.output, batch.fsync)) as manifest:
            self.report.is_locked = manifest.is_locked
            self._prepare(workers)
            GatingPhase(
                batch, self._plan, self._settings, manifest, self.report, self._observer
            ).run(workers)

    def _preview(self, workers: WorkerPool) -> None:
        """Report what the batch would do, for a dry run."""
        from noisegate_cli.files.inputs.reader import probe
        from noisegate_cli.files.outputs.target import output_info

        batch, plan, report = self._batch, self._plan, self.report
        self._prepare(workers)
        self._observer.on_phase("looking", *plan.count("pending"))
        processed_bytes = 0
        for index, recording in enumerate(plan.recordings()):
            result = RecordingResult("pending", recording.output, recording.reason)
            try:
                info = probe(batch.root / recording.name, batch.options.track)
                target = output_info(info, batch.output / recording.output, batch.options)
            except Exception as error:  # It must fail this recording, not the command.
                result = RecordingResult(
                    "failed",
                    recording.output,
                    escape_undecodable(describe_failure(batch.root / recording.name, error)),
                    find_error_code(error),
                )
                plan.record_results([(recording.name, result)])
            else:
                report.audio_seconds += info.duration
                report.bytes_needed += estimate_output_bytes(info, target, recording.size)
                processed_bytes += recording.size
                self._observer.on_progress(index + 1, processed_bytes, report, [recording.name])
            self._notify_result(recording.name, result)
        report.bytes_free = get_free_bytes(batch.output)

    def _prepare(self, workers: WorkerPool) -> None:
        """Load the manifest, measure shared thresholds and decide which recordings to gate."""
        self._plan.load_previous_results(self._read_manifest())
        batch = self._batch
        if batch.threshold_scope:
            shared = SharedThresholds(
                self._plan, batch.settings, batch.threshold_scope, batch.options.track
            )
            self._observer.on_phase("measuring", *self._plan.count("pending"))
            shared.measure(workers, batch.root, self._notify_progress)
            self._settings.thresholds, self.report.thresholds = shared, shared.thresholds
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
                self._settings.encode(recording),
                force=batch.force,
                checksum=batch.checksum,
            )
            yield recording.name, *decision

    def _notify_progress(self, files: int, size: int, jobs: list[Job]) -> None:
        self._observer.on_progress(files, size, self.report, [job.name for job in jobs])

    def _notify_result(self, name: str, result: RecordingResult) -> None:
        """Count an error, and notify the observer of the result of a recording."""
        self.report.add_result(result)
        self._observer.on_recording(name, result)

    def _complete_report(self) -> None:
        plan, report = self._plan, self.report
        report.done, report.skipped, report.failed, report.to_do = (
            plan.count(state)[0] for state in ("done", "skipped", "failed", "pending")
        )
        if report.to_do and self._batch.has_max_errors(report.failed):
            report.stop_reason = f"stopped after {report.failed} failed recordings"
        report.skip_reasons = plan.reasons("skipped")
        report.closed_share = plan.closed_share()
        plan.restore_previous_results()
        if not self._batch.dry_run:
            report.review_candidates, report.review_counts = plan.find_review_candidates(
                MAX_LISTED_ERRORS // 2
            )
            report.warned = plan.count_warned()
        if self._batch.csv_path and report.is_planned:
            write_csv(self._batch.csv_path, plan, self._batch.reword)


def check_selection(batch: BatchConfig, skipped: SkippedFiles) -> None:
    """Raise AudioError for a selection without recordings that is probably wrong.

    A folder without files is not an error: an inbox may be empty. A folder with other files only, a
    pattern and a list are errors.
    """
    root = quote_path(batch.root)
    if batch.patterns.include:
        patterns = " or ".join(map(repr, batch.patterns.include))
        raise AudioError(f"no recording below {root} matches {patterns}: check include=")
    if batch.names_file is not None:
        raise AudioError(f"the list {quote_path(batch.names_file)} names no recording")
    if skipped.has_only_other_files:
        raise AudioError(
            f"{root} contains no recordings, only other files: give another folder, or list "
            "recordings with unusual extensions with names_file="
        )

"""Run a batch from discovery to the final report."""

import csv
import os
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from noisegate_cli.batch.discovery import FoundFile, find_listed, read_names, walk_tree
from noisegate_cli.batch.disk_space import (
    estimate_output_bytes,
    find_existing_parent,
    get_free_bytes,
)
from noisegate_cli.batch.executors import DaskWorkerPool, ProcessWorkerPool, WorkerPool
from noisegate_cli.batch.incremental import REASON_CHECKSUM, SKIP_DONE_BEFORE, decide_job
from noisegate_cli.batch.interface import BatchConfig, BatchObserver, BatchReport, NullBatchObserver
from noisegate_cli.batch.job_runner import MAX_CHUNK_JOBS, JobRunner, LostJob, split_into_chunks
from noisegate_cli.batch.manifest import (
    MANIFEST_NAME,
    STATUS_INTERRUPTED,
    Manifest,
    ManifestEntry,
    OutputJournal,
    read_entries,
)
from noisegate_cli.batch.plan import (
    PAGE_ROWS,
    RESULT_COLUMNS,
    Plan,
    PlanRow,
    PreviousResult,
    RecordingResult,
    RecordingState,
    encode_settings,
    to_json_dict,
)
from noisegate_cli.batch.thresholds import SharedThresholds
from noisegate_cli.batch.worker import Job, JobOutcome, gate_job, pickle_settings
from noisegate_cli.errors import AudioError, NoisegateError, OutputError
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.partial_files import remove_partials
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import quote_path

MAX_LISTED_ERRORS = 20
"""Maximum number of errors in the report; review candidates are limited to half of it."""

UNPROCESSED_STATES: tuple[RecordingState, RecordingState] = ("failed", "skipped")


class _PendingRecording(NamedTuple):
    """Data for the manifest entry of a recording that is being gated."""

    row: PlanRow
    previous: PreviousResult | None
    settings: GateSettings


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
        self._pending: dict[str, _PendingRecording] = {}
        self._shared_thresholds: SharedThresholds | None = None
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
        if batch.csv_path and not batch.csv_path.absolute().parent.is_dir():
            raise OutputError(
                f"{quote_path(batch.csv_path)} can't be written: there is no such directory"
            )
        with ExitStack() as stack:
            self._plan = stack.enter_context(closing(Plan(batch.root, batch.output, batch.options)))
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
        return self.report

    def _create_workers(self) -> WorkerPool:
        cluster = self._batch.cluster
        return DaskWorkerPool(cluster) if cluster else ProcessWorkerPool(self._batch.jobs)

    def _find_recordings(self) -> None:
        """Find the recordings and fail those whose output names collide."""
        batch = self._batch
        self._observer.on_phase("finding", 0, 0)
        found = walk_tree(batch.root, batch.output, batch.patterns)
        if batch.names_file is not None:
            names = read_names(batch.names_file, batch.separator)
            found = find_listed(batch.root, names, batch.patterns)
        self._plan.add(self._report_found(found))
        self._plan.fail_colliding_outputs()
        self.report.total = self._plan.count()[0]

    def _report_found(self, found: Iterator[FoundFile]) -> Iterator[FoundFile]:
        for number, one in enumerate(found, start=1):
            yield one
            if not number % PAGE_ROWS:
                self._observer.on_progress(number, 0, self.report, [])

    def _gate_recordings(self, workers: WorkerPool) -> None:
        batch, plan, report = self._batch, self._plan, self.report
        if isinstance(workers, DaskWorkerPool):
            workers.check_workers(str(batch.root), str(find_existing_parent(batch.output)))
        with (
            closing(Manifest(batch.output)) as self._manifest,
            closing(OutputJournal(batch.output)) as self._journal,
        ):
            report.is_locked = self._manifest.is_locked
            self._prepare(workers, self._journal)
            if report.is_locked:
                self._remove_partials({*self._journal.unfinished, *plan.find_interrupted_outputs()})
            number, size = plan.count("to do")
            self._observer.on_phase("gating", number, size)
            runner: JobRunner[Job, JobOutcome] = JobRunner(
                workers,
                gate_job,
                self._record_outcomes,
                on_running=lambda jobs: self._notify_progress(
                    report.done + report.failed, self._processed_bytes, jobs
                ),
                should_stop=self._has_max_errors,
                on_worker_death=lambda jobs: self._remove_partials(
                    self._pending[job.name].row.output for job in jobs
                ),
            )
            # With an error limit, small chunks stop the batch soon after the limit is reached.
            most = MAX_CHUNK_JOBS if batch.max_errors is None else 1
            try:
                runner.run(
                    self._record_started(
                        split_into_chunks(self._make_jobs(), number, workers, most)
                    )
                )
                if isinstance(workers, DaskWorkerPool):
                    # Dask does not report the death of a worker whose jobs it runs again.
                    for folder in plan.folders():
                        remove_partials(batch.output / folder, plan.iter_output_names(folder))
            finally:
                self._record_interrupted()

    def _preview(self, workers: WorkerPool) -> None:
        """Report what the batch would do, for a dry run."""
        from noisegate_cli.files.output_target import output_info
        from noisegate_cli.files.reader import probe

        batch, plan, report = self._batch, self._plan, self.report
        self._prepare(workers, OutputJournal(batch.output))
        self._observer.on_phase("looking", *plan.count("to do"))
        for looked, (row, _) in enumerate(plan.rows()):
            try:
                info = probe(batch.root / row.name)
                target = output_info(info, batch.output / row.output, batch.options)
            except NoisegateError as error:
                plan.record_results([RecordingResult(row.name, "failed", str(error))])
                self._notify_unprocessed(row, "failed", str(error))
                continue
            report.audio_seconds += info.duration
            report.bytes_needed += estimate_output_bytes(info, target, row.size)
            self._processed_bytes += row.size
            self._notify_unprocessed(row, "to do", row.reason)
            self._observer.on_progress(looked + 1, self._processed_bytes, report, [row.name])
        report.bytes_free = get_free_bytes(batch.output)

    def _prepare(self, workers: WorkerPool, started: OutputJournal) -> None:
        """Load the manifest, measure shared thresholds and decide which recordings to gate."""
        unreadable_lines: list[int] = []
        self._plan.load_manifest_entries(read_entries(self._batch.output, unreadable_lines))
        self.report.unreadable_lines = len(unreadable_lines)
        for output in self._plan.find_recorded_outputs(
            started.previous_batch_id, started.unfinished
        ):
            started.mark_finished(output)
        if self._batch.threshold_scope:
            self._shared_thresholds = SharedThresholds(
                self._plan, self._batch.settings, self._batch.threshold_scope
            )
            self._observer.on_phase("measuring", *self._plan.count("to do"))
            self._shared_thresholds.measure(workers, self._batch.root, self._notify_progress)
            self.report.thresholds = self._shared_thresholds.thresholds
        self._plan.set_states(self._decide_jobs(started.unfinished))
        self.report.reasons = self._plan.reasons("to do")
        self.report.is_planned = True
        for state in UNPROCESSED_STATES:
            for row, _ in self._plan.rows(state):
                self._notify_unprocessed(row, state, row.reason)

    def _decide_jobs(self, started: Set[str]) -> Iterator[tuple[str, RecordingState, str]]:
        batch = self._batch
        for row, previous in self._plan.rows():
            output = None
            with suppress(OSError):  # Other errors are reported when the output is written.
                output = os.lstat(os.path.join(batch.output, row.output))
            decision = decide_job(
                row,
                os.path.join(self._real_root, row.name),
                output,
                previous,
                encode_settings(self._settings_for(row), batch.options),
                was_started=row.output in started,
                force=batch.force,
                checksum=batch.checksum,
            )
            yield row.name, *decision

    def _settings_for(self, row: PlanRow) -> GateSettings:
        return (
            self._shared_thresholds.settings_for(row.name)
            if self._shared_thresholds
            else self._batch.settings
        )

    def _make_jobs(self) -> Iterator[Job]:
        """Yield the jobs of the batch."""
        batch = self._batch
        options = replace(batch.options, inside=batch.output)
        for row, previous in self._plan.rows():
            settings = self._settings_for(row)
            self._pending[row.name] = _PendingRecording(row, previous, settings)
            yield Job(
                row.name,
                os.path.join(batch.root, row.name),
                os.path.join(batch.output, row.output),
                row.size,
                pickle_settings(settings, options),
                batch.checksum,
                previous.digest if previous and row.reason == REASON_CHECKSUM else None,
            )

    def _record_started(self, chunks: Iterable[list[Job]]) -> Iterator[list[Job]]:
        """Record each chunk of jobs in the journal, then yield it."""
        for jobs in chunks:
            self._journal.add(*(self._pending[job.name].row.output for job in jobs))
            yield jobs

    def _record_outcomes(self, ended: list[tuple[Job, JobOutcome | LostJob]]) -> None:
        """Record the outcomes of jobs, first in the manifest because it is persistent."""
        outcomes = {
            job.name: JobOutcome("failed", f"{quote_path(job.source)}: {outcome.error}")
            if isinstance(outcome, LostJob)
            else outcome
            for job, outcome in ended
        }
        entries = {
            name: self._make_entry(self._pending[name], outcome)
            for name, outcome in outcomes.items()
            if outcome.status != "skipped"
        }
        self._manifest.append(*entries.values())
        self._plan.record_results(
            RecordingResult(
                name, o.status, o.error if name in entries else SKIP_DONE_BEFORE, o.result
            )
            for name, o in outcomes.items()
        )
        for name, outcome in outcomes.items():
            row = self._pending.pop(name).row
            self._processed_bytes += row.size
            self._journal.mark_finished(row.output)
            if name in entries:
                self._count_outcome(outcome)
                self._observer.on_recording(name, entries[name])
            else:
                self._notify_unprocessed(row, "skipped", SKIP_DONE_BEFORE)

    def _count_outcome(self, outcome: JobOutcome) -> None:
        if outcome.error is None:
            self.report.done += 1
            self.report.audio_seconds += outcome.result["duration_s"]
        else:
            self._add_error(outcome.error)

    def _make_entry(self, of: _PendingRecording, outcome: JobOutcome) -> ManifestEntry:
        row, previous, settings = of
        output = (outcome.output_size, outcome.output_mtime_ns)
        if outcome.status == "failed" and previous:
            # A failed job leaves the previous output in place.
            output = (previous.output_size, previous.output_mtime_ns)
        shared = (
            self._shared_thresholds
            and self._shared_thresholds.fingerprints[self._shared_thresholds.get_group(row.name)]
        )
        return {
            "status": outcome.status,
            "file": os.path.join(self._real_root, row.name),
            "output": row.output,
            "error": outcome.error,
            "size": row.size if outcome.size is None else outcome.size,
            "mtime_ns": row.mtime_ns if outcome.mtime_ns is None else outcome.mtime_ns,
            "digest": outcome.digest,
            "output_size": output[0],
            "output_mtime_ns": output[1],
            "settings": to_json_dict(settings),
            "options": to_json_dict(self._batch.options),
            "shared": shared,
            "batch": self._journal.batch_id,
            "versions": outcome.versions,
            "result": outcome.result,
        }

    def _record_interrupted(self) -> None:
        """Record unfinished outputs in the manifest for the next batch."""
        files = {o.row.output: os.path.join(self._real_root, n) for n, o in self._pending.items()}
        # If the manifest cannot be written, the journal keeps the names of the outputs.
        with suppress(OutputError):
            for output in sorted(self._journal.unfinished):
                file = files.get(output)
                self._manifest.append(
                    {"status": STATUS_INTERRUPTED, "file": file, "output": output}
                )
                self._journal.mark_finished(output)

    def _remove_partials(self, outputs: Iterable[str]) -> None:
        """Remove partial files that dead workers left beside the outputs."""
        folders: dict[str, list[str]] = {}
        for output in outputs:
            folder, name = os.path.split(output)
            folders.setdefault(folder, []).append(name)
        for folder, names in folders.items():
            remove_partials(self._batch.output / folder, names)

    def _has_max_errors(self) -> bool:
        most = self._batch.max_errors
        return most is not None and self.report.failed >= most

    def _add_error(self, error: str) -> None:
        self.report.failed += 1
        if len(self.report.errors) < MAX_LISTED_ERRORS:
            self.report.errors.append(error)

    def _notify_progress(self, files: int, size: int, jobs: list[Job]) -> None:
        self._observer.on_progress(files, size, self.report, [job.name for job in jobs])

    def _notify_unprocessed(self, row: PlanRow, state: RecordingState, reason: str | None) -> None:
        """Notify the observer of a recording that was not gated."""
        if state == "failed":
            self._add_error(str(reason))
        entry: ManifestEntry = {
            "status": state,
            "file": None,
            "output": row.output,
            "why": reason,
            "result": {},
        }
        self._observer.on_recording(row.name, entry)

    def _complete_report(self) -> None:
        plan, report = self._plan, self.report
        report.done, report.skipped, report.failed, report.to_do = (
            plan.count(state)[0] for state in ("done", "skipped", "failed", "to do")
        )
        if report.to_do and self._has_max_errors():
            report.stop_reason = f"stopped after {report.failed} failed"
        report.skip_reasons = plan.reasons("skipped")
        report.closed_share = plan.closed_share()
        report.review_candidates, report.review_counts = plan.find_review_candidates(
            MAX_LISTED_ERRORS // 2
        )
        if self._batch.csv_path and report.is_planned:
            plan.restore_previous_results()
            write_csv(self._batch.csv_path, plan)


def default_output_directory(root: Path) -> Path:
    """Return the default output directory, `ROOT-gated` beside `root`.

    Raises
    ------
    OutputError
        If `root` is the root of the filesystem.
    """
    named = root if root.name not in ("", "..") else root.resolve()
    if not named.name:
        raise OutputError(f"{quote_path(root)} has nothing beside it: give the output with output=")
    return named.with_name(f"{named.name}-gated")


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
            f"{quote_path(root)} is not a directory: use ngate gate for one recording"
            if root.exists()
            else f"{quote_path(root)} doesn't exist: check the name"
        )
    if output.exists() and not output.is_dir():
        raise OutputError(
            f"{quote_path(output)} is not a directory: give another output with output="
        )
    if not output.exists() and output.suffix.lower() in WRITABLE_EXTENSIONS:
        raise OutputError(
            f"{quote_path(output)} is called like a recording, and a batch makes a tree of them: "
            "give a directory with output="
        )
    if output.resolve() == root.resolve():
        raise OutputError(
            f"{quote_path(output)} is the input tree: give another output with output="
        )


def write_csv(path: Path, plan: Plan) -> None:
    """Write the results of all recordings as CSV.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "output", "status", "why", *RESULT_COLUMNS))
            writer.writerows(plan.iter_table_rows())
    except OSError as error:
        raise OutputError(f"{quote_path(path)} can't be written: {error.strerror}") from error

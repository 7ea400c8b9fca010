"""A batch from its beginning to its end, whichever that is."""

import csv
import os
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from noisegate_cli.batch.choosing import Found, listed, names_in, walk
from noisegate_cli.batch.deciding import COMPARED, DONE_BEFORE, decide
from noisegate_cli.batch.disk import bytes_free, bytes_needed, existing_part
from noisegate_cli.batch.executors import Cluster, Processes, Workers
from noisegate_cli.batch.manifest import INTERRUPTED, NAME, Entry, Manifest, Started, read_entries
from noisegate_cli.batch.plan import (
    AT_ONCE,
    FIGURES,
    Known,
    Plan,
    Row,
    Settled,
    State,
    plain_data,
    recipe_text,
)
from noisegate_cli.batch.runner import HANDFUL_JOBS, Lost, Runner, handfuls
from noisegate_cli.batch.terms import Batch, Report, Unwatched, Watch
from noisegate_cli.batch.thresholds import SharedThresholds
from noisegate_cli.batch.worker import Job, Outcome, gate_job, packed
from noisegate_cli.errors import AudioError, NoisegateError, OutputError
from noisegate_cli.files.formats import EXTENSIONS
from noisegate_cli.files.partials import remove_partials
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import shown

LISTED = 20
"""Errors that are kept, and told at the end; unusual recordings half as many."""

SETTLED: tuple[State, State] = ("failed", "skipped")


class _Open(NamedTuple):
    """What the manifest will want to know of a recording that is being gated."""

    row: Row
    known: Known | None
    settings: GateSettings


class Run:
    """A batch that runs.

    Examples
    --------
    >>> Run(Batch(root=Path("tests/nothing"), output=Path("out"))).go()
    Traceback (most recent call last):
    noisegate_cli.errors.AudioError: 'tests/nothing' doesn't exist: check the name
    """

    def __init__(self, batch: Batch, watch: Watch | None = None) -> None:
        self._batch, self._watch = batch, watch or Unwatched()
        self._real_root = os.path.realpath(batch.root)
        self._open: dict[str, _Open] = {}
        self._shared: SharedThresholds | None = None
        self._size = 0
        self.report = Report(batch.output, batch.dry)

    def go(self, workers: Workers | None = None) -> Report:
        """Run to the end, on `workers` if they are given.

        Raises
        ------
        AudioError, OutputError, SettingsError, ClusterError
            When it can't even begin, or can't go on.
        """
        batch, started_at = self._batch, time.perf_counter()
        check_trees(batch.root, batch.output)
        if batch.table and not batch.table.absolute().parent.is_dir():
            raise OutputError(f"{shown(batch.table)} can't be written: there is no such directory")
        with ExitStack() as stack:
            self._plan = stack.enter_context(closing(Plan(batch.root, batch.output, batch.options)))
            try:
                workers = workers or self._workers()
                stack.callback(workers.close)
                if not batch.dry and not (batch.output / NAME).exists():
                    # A first run: there is something to do, nearly always.
                    workers.start()
                self._find()
                if self.report.total:
                    self._try(workers) if batch.dry else self._do(workers)
            finally:
                self.report.seconds = time.perf_counter() - started_at
                self._sum_up()
        return self.report

    def _workers(self) -> Workers:
        cluster = self._batch.cluster
        return Cluster(cluster) if cluster else Processes(self._batch.jobs)

    def _find(self) -> None:
        """Find the recordings, and those that can't be gated for their names alone."""
        batch = self._batch
        self._watch.phase("finding", 0, 0)
        found = walk(batch.root, batch.output, batch.patterns)
        if batch.names is not None:
            names = names_in(batch.names, batch.separator)
            found = listed(batch.root, names, batch.patterns)
        self._plan.add(self._counted(found))
        self._plan.refuse_what_collides()
        self.report.total = self._plan.count()[0]

    def _counted(self, found: Iterator[Found]) -> Iterator[Found]:
        for number, one in enumerate(found, start=1):
            yield one
            if not number % AT_ONCE:
                self._watch.progress(number, 0, self.report, [])

    def _do(self, workers: Workers) -> None:
        batch, plan, report = self._batch, self._plan, self.report
        if isinstance(workers, Cluster):
            workers.check(str(batch.root), str(existing_part(batch.output)))
        with (
            closing(Manifest(batch.output)) as self._manifest,
            closing(Started(batch.output)) as self._started,
        ):
            report.is_locked = self._manifest.is_locked
            self._prepare(workers, self._started)
            if report.is_locked:
                self._sweep({*self._started.names, *plan.interrupted()})
            number, size = plan.count("to do")
            self._watch.phase("gating", number, size)
            runner: Runner[Job, Outcome] = Runner(
                workers,
                gate_job,
                self._take,
                watch=lambda jobs: self._tell(report.done + report.failed, self._size, jobs),
                enough=self._has_failed_enough,
                died=lambda jobs: self._sweep(self._open[job.name].row.output for job in jobs),
            )
            # Who wants to stop after so many doesn't want many more.
            most = HANDFUL_JOBS if batch.max_errors is None else 1
            try:
                runner.run(self._noted(handfuls(self._jobs(), number, workers, most)))
                if isinstance(workers, Cluster):
                    # Its workers die without our being told.
                    for folder in plan.folders():
                        remove_partials(batch.output / folder, plan.outputs_in(folder))
            finally:
                self._note_what_is_open()

    def _try(self, workers: Workers) -> None:
        """Find out what would be done."""
        from noisegate_cli.files.reader import probe
        from noisegate_cli.files.target import output_info

        batch, plan, report = self._batch, self._plan, self.report
        self._prepare(workers, Started(batch.output))
        self._watch.phase("looking", *plan.count("to do"))
        for looked, (row, _) in enumerate(plan.rows()):
            try:
                info = probe(batch.root / row.name)
                target = output_info(info, batch.output / row.output, batch.options)
            except NoisegateError as error:
                plan.settle([Settled(row.name, "failed", str(error))])
                self._tell_settled(row, "failed", str(error))
                continue
            report.audio_seconds += info.duration
            report.bytes_needed += bytes_needed(info, target, row.size)
            self._size += row.size
            self._tell_settled(row, "to do", row.why)
            self._watch.progress(looked + 1, self._size, report, [row.name])
        report.bytes_free = bytes_free(batch.output)

    def _prepare(self, workers: Workers, started: Started) -> None:
        """Decide what is to be done."""
        unreadable: list[int] = []
        self._plan.remember(read_entries(self._batch.output, unreadable))
        self.report.unreadable = len(unreadable)
        for output in self._plan.settled_by(started.left_by, started.names):
            started.settle(output)
        if self._batch.shared:
            self._shared = SharedThresholds(self._plan, self._batch.settings, self._batch.shared)
            self._watch.phase("measuring", *self._plan.count("to do"))
            self._shared.find(workers, self._batch.root, self._tell)
            self.report.thresholds = self._shared.thresholds
        self._plan.decide(self._decisions(started.names))
        self.report.reasons = self._plan.reasons("to do")
        self.report.is_decided = True
        for state in SETTLED:
            for row, _ in self._plan.rows(state):
                self._tell_settled(row, state, row.why)

    def _decisions(self, started: Set[str]) -> Iterator[tuple[str, State, str]]:
        batch = self._batch
        for row, known in self._plan.rows():
            output = None
            with suppress(OSError):  # What else is wrong with it is found when it is made.
                output = os.lstat(os.path.join(batch.output, row.output))
            decision = decide(
                row,
                os.path.join(self._real_root, row.name),
                output,
                known,
                recipe_text(self._settings_for(row), batch.options),
                was_started=row.output in started,
                force=batch.force,
                checksum=batch.checksum,
            )
            yield row.name, *decision

    def _settings_for(self, row: Row) -> GateSettings:
        return self._shared.settings_for(row.name) if self._shared else self._batch.settings

    def _jobs(self) -> Iterator[Job]:
        """Yield what is to be done."""
        batch = self._batch
        options = replace(batch.options, inside=batch.output)
        for row, known in self._plan.rows():
            settings = self._settings_for(row)
            self._open[row.name] = _Open(row, known, settings)
            yield Job(
                row.name,
                os.path.join(batch.root, row.name),
                os.path.join(batch.output, row.output),
                row.size,
                packed(settings, options),
                batch.checksum,
                known.digest if known and row.why == COMPARED else None,
            )

    def _noted(self, handfuls: Iterable[list[Job]]) -> Iterator[list[Job]]:
        """Yield jobs, first noted as begun."""
        for jobs in handfuls:
            self._started.add(*(self._open[job.name].row.output for job in jobs))
            yield jobs

    def _take(self, ended: list[tuple[Job, Outcome | Lost]]) -> None:
        """Take in what became of recordings: first where it lasts."""
        outcomes = {
            job.name: Outcome("failed", f"{shown(job.source)}: {outcome.error}")
            if isinstance(outcome, Lost)
            else outcome
            for job, outcome in ended
        }
        entries = {
            name: self._entry(self._open[name], outcome)
            for name, outcome in outcomes.items()
            if outcome.status != "skipped"
        }
        self._manifest.append(*entries.values())
        self._plan.settle(
            Settled(name, o.status, o.error if name in entries else DONE_BEFORE, o.result)
            for name, o in outcomes.items()
        )
        for name, outcome in outcomes.items():
            row = self._open.pop(name).row
            self._size += row.size
            self._started.settle(row.output)
            if name in entries:
                self._count(outcome)
                self._watch.settled(name, entries[name])
            else:
                self._tell_settled(row, "skipped", DONE_BEFORE)

    def _count(self, outcome: Outcome) -> None:
        if outcome.error is None:
            self.report.done += 1
            self.report.audio_seconds += outcome.result["duration_s"]
        else:
            self._add_error(outcome.error)

    def _entry(self, of: _Open, outcome: Outcome) -> Entry:
        row, known, settings = of
        output = (outcome.output_size, outcome.output_mtime_ns)
        if outcome.status == "failed" and known:
            # What was there before still is.
            output = (known.output_size, known.output_mtime_ns)
        shared = self._shared and self._shared.fingerprints[self._shared.key(row.name)]
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
            "settings": plain_data(settings),
            "options": plain_data(self._batch.options),
            "shared": shared,
            "batch": self._started.batch,
            "versions": outcome.versions,
            "result": outcome.result,
        }

    def _note_what_is_open(self) -> None:
        """Let the next batch know what this one has begun and not ended."""
        files = {o.row.output: os.path.join(self._real_root, n) for n, o in self._open.items()}
        # Where even that can't be written, the list of what was started stays where it is.
        with suppress(OutputError):
            for output in sorted(self._started.names):
                file = files.get(output)
                self._manifest.append({"status": INTERRUPTED, "file": file, "output": output})
                self._started.settle(output)

    def _sweep(self, outputs: Iterable[str]) -> None:
        """Remove what was left beside outputs of workers that died."""
        folders: dict[str, list[str]] = {}
        for output in outputs:
            folder, name = os.path.split(output)
            folders.setdefault(folder, []).append(name)
        for folder, names in folders.items():
            remove_partials(self._batch.output / folder, names)

    def _has_failed_enough(self) -> bool:
        most = self._batch.max_errors
        return most is not None and self.report.failed >= most

    def _add_error(self, error: str) -> None:
        self.report.failed += 1
        if len(self.report.errors) < LISTED:
            self.report.errors.append(error)

    def _tell(self, files: int, size: int, jobs: list[Job]) -> None:
        self._watch.progress(files, size, self.report, [job.name for job in jobs])

    def _tell_settled(self, row: Row, state: State, why: str | None) -> None:
        """Tell of a recording with which nothing was done."""
        if state == "failed":
            self._add_error(str(why))
        entry: Entry = {
            "status": state,
            "file": None,
            "output": row.output,
            "why": why,
            "result": {},
        }
        self._watch.settled(row.name, entry)

    def _sum_up(self) -> None:
        plan, report = self._plan, self.report
        report.done, report.skipped, report.failed, report.to_do = (
            plan.count(state)[0] for state in ("done", "skipped", "failed", "to do")
        )
        if report.to_do and self._has_failed_enough():
            report.stopped = f"stopped after {report.failed} failed"
        report.skips = plan.reasons("skipped")
        report.closed_share = plan.closed_share()
        report.unusual, report.kinds = plan.unusual(LISTED // 2)
        if self._batch.table and report.is_decided:
            plan.recall_figures()
            write_table(self._batch.table, plan)


def default_output_directory(root: Path) -> Path:
    """Return `ROOT-gated`, beside `root`."""
    named = root if root.name not in ("", "..") else root.resolve()
    if not named.name:
        raise OutputError(f"{shown(root)} has nothing beside it: give the output with -o")
    return named.with_name(f"{named.name}-gated")


def check_trees(root: Path, output: Path) -> None:
    """Make sure that there is an input tree, and that the output can be one.

    Raises
    ------
    AudioError
        When `root` is no directory.
    OutputError
        When `output` is `root`, or a file, or called like one.
    """
    if not root.is_dir():
        raise AudioError(
            f"{shown(root)} is not a directory: use ngate gate for one recording"
            if root.exists()
            else f"{shown(root)} doesn't exist: check the name"
        )
    if output.exists() and not output.is_dir():
        raise OutputError(f"{shown(output)} is not a directory: give another output with -o")
    if not output.exists() and output.suffix.lower() in EXTENSIONS:
        raise OutputError(
            f"{shown(output)} is called like a recording, and a batch makes a tree of them: "
            "give a directory with -o"
        )
    if output.resolve() == root.resolve():
        raise OutputError(f"{shown(output)} is the input tree: give another output with -o")


def write_table(path: Path, plan: Plan) -> None:
    """Write what became of all recordings as CSV.

    Raises
    ------
    OutputError
        When it can't be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "output", "status", "why", *FIGURES))
            writer.writerows(plan.table())
    except OSError as error:
        raise OutputError(f"{shown(path)} can't be written: {error.strerror}") from error

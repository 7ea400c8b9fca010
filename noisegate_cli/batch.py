"""Many recordings: which there are, and all of them through the gate, several at a time."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from noisegate_cli.audio import probe
from noisegate_cli.errors import AudioError, NoisegateError, OutputError
from noisegate_cli.formats import EXTENSIONS, ONLY_READ
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.output import default_output
from noisegate_cli.process import GateResult, gate_file
from noisegate_cli.units import shown

QUEUED_PER_WORKER = 2
"""Jobs that wait in the pool for each worker; the rest wait here, where they cost nothing."""

MOST_WORKERS = 61
"""What Windows can wait for at once."""

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One recording to be gated."""

    source: Path
    output: Path
    duration: float = 0.0
    """Seconds of audio; 0 when it can't be read."""
    error: str | None = None
    """Why it can't even be tried."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job. An error is a value too."""

    job: Job
    status: Status
    result: GateResult | None = None
    error: str | None = None


@dataclass
class BatchReport:
    """What became of all jobs, in the order of their names."""

    output: Path
    total: int = 0
    """Recordings that there are."""
    results: list[JobResult] = field(default_factory=list)
    audio_seen: float = 0.0
    """Seconds of audio in the recordings that were dealt with, one way or another."""
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    """Time that it took."""

    def add(self, result: JobResult) -> None:
        """Take in one more result."""
        self.results.append(result)
        self.audio_seen += result.job.duration

    def finish(self) -> None:
        """Sort the results by name and stop the clock."""
        self.results.sort(key=lambda r: r.job.source)
        self.seconds = time.perf_counter() - self.started

    def of(self, status: Status) -> list[JobResult]:
        """Return the results with `status`."""
        return [r for r in self.results if r.status == status]

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio that were gated."""
        return sum(r.result.source.duration for r in self.results if r.result)


def default_output_directory(root: Path) -> Path:
    """Return `ROOT-gated`, beside `root`."""
    named = root if root.name not in ("", "..") else root.resolve()
    if not named.name:
        raise OutputError(f"{shown(root)} has nothing beside it: give the output with -o")
    return named.with_name(f"{named.name}-gated")


def find_jobs(root: Path, output: Path) -> list[Job]:
    """Return a job for each recording below `root`, sorted by name, into the same tree at `output`.

    Hidden files and folders are left out, folders behind links too, and `output` itself where it
    lies inside `root`.

    Raises
    ------
    AudioError
        When `root` is no directory.
    OutputError
        When `output` is `root`.
    """
    if not root.is_dir():
        raise AudioError(
            f"{shown(root)} is not a directory: use ngate gate for one recording"
            if root.exists()
            else f"{shown(root)} doesn't exist: check the name"
        )
    if output.exists() and not output.is_dir():
        raise OutputError(f"{shown(output)} is not a directory: give another output with -o")
    if os.path.realpath(output) == os.path.realpath(root):
        raise OutputError(f"{shown(output)} is the input tree: give another output with -o")
    jobs: list[Job] = []
    unread: list[OSError] = []
    sources = sorted(_recordings(root, output.resolve(), unread))
    # What may not be written to: the recordings themselves, and the outputs of others.
    taken = {source.resolve(): source for source in sources}
    for source in sources:
        job = _job(source, output / source.relative_to(root))
        other = taken.setdefault(job.output.resolve(), source)
        if other != source:
            why = f"{shown(source)} would overwrite {shown(other)}, or what comes of it"
            job = Job(source, job.output, error=why)
        jobs.append(job)
    for error in unread:
        folder = Path(error.filename)
        why = f"{shown(folder)} can't be read: {error.strerror}"
        jobs.append(Job(folder, output / folder.relative_to(root), error=why))
    return jobs


def run_jobs(
    jobs: list[Job],
    settings: GateSettings,
    *,
    workers: int,
    force: bool = False,
    add: Callable[[JobResult], None],
) -> None:
    """Run `jobs` in `workers` processes and `add` their results as they come.

    A worker that dies takes all that was in its pool with it. Those jobs are tried once more, each
    alone, so that only the one that kills a worker fails. Interrupting stops the workers, which
    take their unfinished outputs away; what was done by then is added.
    """
    waiting: deque[Job] = deque()
    for job in jobs:
        if job.error is not None:
            add(JobResult(job, "failed", error=job.error))
        elif os.path.lexists(job.output) and not force:
            add(JobResult(job, "skipped"))
        else:
            waiting.append(job)
    workers = min(workers, MOST_WORKERS)
    lost: list[Job] = []
    while waiting:
        lost += _run_in_pool(waiting, settings, workers, force, add)
    for job in lost:
        # Forced, as it may have been done when it was lost.
        if _run_in_pool(deque([job]), settings, 1, True, add):
            reason = f"{shown(job.source)}: the process that gated it died, twice: is it too large?"
            add(JobResult(job, "failed", error=reason))


def run_job(job: Job, settings: GateSettings, force: bool) -> JobResult:
    """Gate one recording of a batch."""
    try:
        result = gate_file(job.source, job.output, settings, force=force)
    except NoisegateError as error:
        return JobResult(job, "failed", error=str(error))
    except Exception as error:  # A fault in ngate costs this recording, not the batch.
        return JobResult(
            job, "failed", error=f"{shown(job.source)}: {type(error).__name__}: {error}"
        )
    return JobResult(job, "done", result)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_in_pool(
    waiting: deque[Job],
    settings: GateSettings,
    workers: int,
    force: bool,
    add: Callable[[JobResult], None],
) -> list[Job]:
    """Run until nothing is `waiting`, or a worker died; return the jobs that were lost with it."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    running: dict[Future[JobResult], Job] = {}
    lost: list[Job] = []
    broken = False
    try:
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < workers * (1 + QUEUED_PER_WORKER):
                try:
                    with _interrupts_held():
                        job = waiting[0]
                        running[pool.submit(_work, run_job, job, settings, force)] = job
                    waiting.popleft()
                except BrokenProcessPool:
                    broken = True
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = True
                    lost.append(running[future])
                else:
                    add(future.result())
                del running[future]
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        for future in running:
            if future.done() and not future.cancelled() and not future.exception():
                add(future.result())
        raise
    pool.shutdown()
    return lost


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let processes that are started meanwhile never see Ctrl-C: the parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """What a worker process knows of its own end."""

    busy = False
    """Whether it is in a job, which has something to clean up."""
    told = False
    """Whether it was told to end."""

    @classmethod
    def leave(cls, *_: object) -> None:
        """End this process, through the clean-up of its job if there is one."""
        if cls.busy and not cls.told:
            cls.told = True
            raise SystemExit
        # The pool, once broken, says it again: that must not end the clean-up.
        if not cls.busy:
            os._exit(1)


def _work(run: Callable[..., JobResult], *arguments: object) -> JobResult:
    """Run a job in a worker, which ends here when it is told to.

    Further out the pool would take SystemExit for a result, and give this worker the next job.
    """
    result = None
    _Worker.busy = True
    # What was interrupted while it was being opened is closed when the exception is let go, here.
    with suppress(SystemExit):
        result = run(*arguments)
        _Worker.busy = False
    if result is None or _Worker.told:
        os._exit(1)
    return result


def _prepare_worker() -> None:
    """Clean up when this worker is told to end."""
    signal.signal(signal.SIGTERM, _Worker.leave)


def _recordings(root: Path, output: Path, unread: list[OSError]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=unread.append):
        here = Path(folder)
        folders[:] = [
            f for f in folders if not f.startswith(".") and (here / f).resolve() != output
        ]
        for name in names:
            known = Path(name).suffix.lower() in (*EXTENSIONS, *ONLY_READ)
            if known and not name.startswith("."):
                yield here / name


def _job(source: Path, output: Path) -> Job:
    try:
        info = probe(source)
    except NoisegateError as error:
        return Job(source, output, error=str(error))
    return Job(source, output.with_suffix(default_output(info).suffix), info.duration)

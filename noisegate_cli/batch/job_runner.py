"""Schedule jobs on a pool of workers and retry jobs whose worker died."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from itertools import islice
from typing import Generic, Protocol, TypeVar

from noisegate_cli.batch.worker import LostJob
from noisegate_cli.errors import ClusterError, NoisegateError

MAX_CHUNK_JOBS, MAX_CHUNK_BYTES = 16, 6_000_000
"""Limits of a chunk of jobs. Small jobs are submitted together because submitting a job takes as
long as gating a few seconds of audio."""

CHUNKS_PER_WORKER = 2
"""Minimum number of remaining chunks per worker, so that all workers finish at about the same
time."""

POLL_INTERVAL_S = 1.0
"""Interval between progress reports when no job finishes."""

DIED_TWICE_MESSAGE = (
    "the worker process died twice while gating it: is it too large for the memory?"
)


class SizedJob(Protocol):
    """A job with a size."""

    @property
    def size(self) -> int:
        """Bytes."""


S = TypeVar("S", bound=SizedJob)
J = TypeVar("J")
R = TypeVar("R")


class WorkerPool(Protocol):
    """Pool of workers that run jobs."""

    @property
    def worker_death_errors(self) -> tuple[type[BaseException], ...]:
        """Exceptions that a future raises if its worker died."""

    @property
    def size(self) -> int:
        """Number of jobs that run in parallel."""

    @property
    def max_queued(self) -> int:
        """Maximum number of queued chunks per worker."""

    @property
    def repeats_jobs(self) -> bool:
        """Whether the pool itself runs the jobs of a dead worker again."""

    def start(self) -> None:
        """Start the workers before the first job."""

    def check_folders(self, *folders: str) -> None:
        """Check that the workers run this version of ngate and can access the folders."""

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R | LostJob]]":
        """Submit a chunk of jobs that one worker runs in sequence."""

    def stop(self) -> None:
        """Stop immediately: abort running jobs and clean up after them."""

    def close(self) -> None:
        """Close the pool when no job runs."""


def ignore_jobs(jobs: list[J]) -> None:
    """Ignore the jobs; default of the callbacks."""


def split_into_chunks(
    jobs: Iterable[S], number: int, workers: WorkerPool, max_jobs: int = MAX_CHUNK_JOBS
) -> Iterator[list[S]]:
    """Yield chunks of jobs to submit together.

    Parameters
    ----------
    jobs
        The jobs.
    number
        Upper bound of the number of jobs.
    workers
        Pool that runs the jobs.
    max_jobs
        Maximum number of jobs in a chunk.
    """
    chunk: list[S] = []
    size = 0
    for job in jobs:
        chunk.append(job)
        size += job.size
        min_jobs = min(max_jobs, number // (CHUNKS_PER_WORKER * workers.size))
        if len(chunk) >= min_jobs or size >= MAX_CHUNK_BYTES:
            yield chunk
            number -= len(chunk)
            chunk, size = [], 0
    if chunk:
        yield chunk


class JobRunner(Generic[J, R]):
    """Run jobs on a pool of workers and deliver the results as the jobs finish.

    A worker that dies may affect other jobs. All affected jobs run again one by one, so that only
    the job that kills its worker is lost.

    Parameters
    ----------
    workers
        Pool that runs the jobs.
    work
        Function that returns the result of a job.
    on_results
        Called with the jobs of a finished chunk, each with its result or a `LostJob`.
    on_running
        Called at intervals with the running jobs.
    should_stop
        Returns whether to stop; queued jobs are then cancelled.
    on_worker_death
        Called with the jobs that were lost when a worker died; returns the jobs to run instead.
    has_queue
        Whether chunks are queued for the workers. Without a queue each worker waits for its next
        chunk, so that no other chunk starts after `should_stop`.
    """

    def __init__(
        self,
        workers: WorkerPool,
        work: Callable[[J], R],
        on_results: Callable[[list[tuple[J, R | LostJob]]], None],
        *,
        on_running: Callable[[list[J]], None] = ignore_jobs,
        should_stop: Callable[[], bool] = lambda: False,
        on_worker_death: Callable[[list[J]], list[J]] = list,
        has_queue: bool = True,
    ) -> None:
        self._workers, self._work, self._on_results = workers, work, on_results
        self._on_running, self._should_stop, self._on_worker_death = (
            on_running,
            should_stop,
            on_worker_death,
        )
        self._max_chunks = workers.size * (1 + (workers.max_queued if has_queue else 0))
        self._running: dict[Future[list[R | LostJob]], list[J]] = {}
        self._lost_jobs: list[J] = []

    def run(self, jobs: Iterable[list[J]]) -> None:
        """Run chunks of jobs, taking a chunk from `jobs` only when the queue has room.

        If an exception such as KeyboardInterrupt leaves this method, the workers are stopped and
        the finished results are delivered first.
        """
        waiting: Iterator[list[J]] | None = iter(jobs)
        try:
            while waiting or self._running or self._lost_jobs:
                if self._should_stop():
                    waiting = None
                    self._lost_jobs.clear()
                    self._cancel_queued()
                if self._lost_jobs:
                    self._collect_all()
                    self._retry_lost_jobs()
                elif waiting and not self._fill_queue(waiting):
                    waiting = None
                self._collect_finished()
        except BaseException:
            self._workers.stop()
            self._deliver_finished()
            raise

    def _fill_queue(self, waiting: Iterator[list[J]]) -> bool:
        """Fill the queue of the workers; return whether more chunks may be waiting."""
        while len(self._running) < self._max_chunks:
            jobs = next(waiting, None)
            if jobs is None:
                return False
            self._submit_chunk(jobs)
        return True

    def _submit_chunk(self, jobs: list[J]) -> None:
        self._running[self._workers.submit(self._work, jobs)] = jobs

    def _collect_finished(self) -> None:
        """Wait until a chunk finishes or the interval ends, and deliver finished results."""
        # Workers take chunks in order: the oldest chunks are running, the others are queued.
        running = islice(self._running.values(), self._workers.size)
        self._on_running([jobs[0] for jobs in running])
        done = wait(self._running, POLL_INTERVAL_S, FIRST_COMPLETED).done
        for future in [f for f in self._running if f in done]:
            jobs = self._running.pop(future)
            outcomes: Sequence[R | LostJob]
            try:
                outcomes = future.result()
            except self._workers.worker_death_errors:
                self._lost_jobs += jobs
                continue
            except CancelledError:
                raise ClusterError(
                    "the scheduler of the cluster has stopped: restart it, then repeat the command"
                ) from None
            except Exception as error:  # The jobs or their results could not be transferred.
                outcomes = [LostJob(f"{type(error).__name__}: {error}")] * len(jobs)
            self._on_results(list(zip(jobs, outcomes, strict=True)))

    def _collect_all(self) -> None:
        while self._running:
            self._collect_finished()

    def _retry_lost_jobs(self) -> None:
        """Run lost jobs again, one by one."""
        lost, self._lost_jobs = self._lost_jobs, []
        for job in self._on_worker_death(lost):
            if self._should_stop():
                return
            self._submit_chunk([job])
            self._collect_all()
            if self._lost_jobs:
                self._lost_jobs.clear()
                self._on_results([(job, LostJob(DIED_TWICE_MESSAGE))])

    def _cancel_queued(self) -> None:
        """Cancel queued chunks."""
        for future in list(self._running):
            if future.cancel():
                del self._running[future]

    def _deliver_finished(self) -> None:
        for future, jobs in self._running.items():
            if future.done() and not future.cancelled() and not future.exception():
                try:
                    self._on_results(list(zip(jobs, future.result(), strict=True)))
                except NoisegateError:
                    return  # Probably the error that stopped the run: it is being raised already.

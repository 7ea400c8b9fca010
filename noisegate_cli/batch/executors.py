"""Worker pools: processes on this machine, or a Dask cluster.

Both return futures of `concurrent.futures`. They differ in the length of their queues, in the
exceptions that report the death of a worker, and in how they are stopped.
"""

import logging
import math
import multiprocessing
import os
import pickle
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol, TypeVar

from noisegate_cli import __version__
from noisegate_cli.batch.worker import LostJob, preload_modules, run_jobs, serve_jobs
from noisegate_cli.errors import ClusterError

J = TypeVar("J")
R = TypeVar("R")

MAX_QUEUED_PER_PROCESS, MAX_QUEUED_PER_THREAD = 2, 6
"""Chunks of jobs that are queued for each worker in addition to the running chunk.

A short queue limits memory. A cluster needs a longer queue because its latency is higher.
"""

MAX_JOBS_PER_PROCESS = 5000
"""Jobs per process before it is replaced, which limits memory leaks in libraries."""

POLLS_PER_TIMEOUT, MAX_POLL_INTERVAL_S = 10, 1.0
"""Number of intervals in which a timeout is counted, and their maximum length."""

TERMINATION_TIMEOUT_S = 5.0
"""Time that a terminated process has for its clean-up before it is killed."""

SCHEDULER_ADDRESS_RE = re.compile(r"(\w+://)?\S+:\d+")

CONNECT_TIMEOUT_S, WORKER_COUNT_INTERVAL_S, DISCONNECT_TIMEOUT_S = 10, 5.0, 1
"""Timeout of the connection, interval between queries of the worker count, timeout of closing."""


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

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R | LostJob]]":
        """Submit a chunk of jobs that one worker runs in sequence."""

    def stop(self) -> None:
        """Stop immediately: abort running jobs and clean up after them."""

    def close(self) -> None:
        """Close the pool when no job runs."""


class WorkerDeathError(Exception):
    """A worker process died during a job."""


class ProcessWorkerPool:
    """Processes on this machine, spawned rather than forked to behave the same on all systems.

    `ProcessPoolExecutor` is not used because it needs semaphores, which some containers lack, and
    because it replaces all processes if one dies or must be killed.

    Parameters
    ----------
    size
        Number of processes; None for one per CPU.
    timeout_s
        Time without progress after which a job is given up and its process is killed.
    """

    worker_death_errors: tuple[type[BaseException], ...] = (WorkerDeathError,)
    max_queued = MAX_QUEUED_PER_PROCESS
    repeats_jobs = False

    def __init__(self, size: int | None = None, timeout_s: float | None = None) -> None:
        self.size = size or count_cpus()
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(self.size)  # one for each process
        self._workers: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        self._is_stopping = False

    def start(self) -> None:
        """Start the processes early, because their imports take a while."""
        self._idle += [self._start_worker() for _ in range(self.size - len(self._workers))]

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R | LostJob]]":
        """Submit a chunk of jobs that one worker runs in sequence."""
        return self._threads.submit(self._run_chunk, work, jobs)

    def stop(self) -> None:
        """Terminate all processes; each cleans up first, but not for long."""
        self._is_stopping = True
        workers = list(self._workers)
        for worker in workers:
            worker.process.terminate()
        kill_time = time.monotonic() + TERMINATION_TIMEOUT_S
        for worker in workers:
            worker.process.join(max(0, kill_time - time.monotonic()))
            worker.process.kill()
        self.close()

    def close(self) -> None:
        """Wait for the processes to exit."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in list(self._workers):
            self._close_worker(worker)
        self._idle.clear()

    def _run_chunk(self, work: Callable[[J], R], jobs: Sequence[J]) -> list[R | LostJob]:
        results: list[R | LostJob] = []
        while len(results) < len(jobs):
            worker = self._idle.pop() if self._idle else self._start_worker()
            is_usable = False
            try:
                results += worker.run(work, jobs[len(results) :], self._timeout_s)
                is_usable = worker.job_count < MAX_JOBS_PER_PROCESS and worker.process.is_alive()
            finally:
                if is_usable:
                    self._idle.append(worker)
                else:
                    self._close_worker(worker)
        return results

    def _start_worker(self) -> "WorkerProcess":
        worker = WorkerProcess(self._timeout_s)
        self._workers.add(worker)
        if self._is_stopping:  # `stop` may not have seen this process.
            worker.process.terminate()
        return worker

    def _close_worker(self, worker: "WorkerProcess") -> None:
        worker.close()
        self._workers.discard(worker)


class WorkerProcess:
    """A process that runs jobs, and the connection to it.

    Parameters
    ----------
    timeout_s
        Time without progress after which the process may end itself; see `serve_jobs`.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, child_connection = context.Pipe()
        self.process = context.Process(target=serve_jobs, args=(child_connection, timeout_s))
        with _block_interrupts():
            self.process.start()
        child_connection.close()
        self._is_ready = False
        self.job_count = 0
        """Number of jobs that the process has run."""

    def run(
        self, work: Callable[[J], R], jobs: Sequence[J], timeout_s: float | None
    ) -> list[R | LostJob]:
        """Return the results of the jobs, of the first ones only if a job makes no progress.

        The process is killed then.

        Raises
        ------
        WorkerDeathError
            If the process dies.
        """
        results: list[R | LostJob] = []
        chunk = pickle.dumps((work, jobs))
        try:
            if not self._is_ready:  # Its imports may take long.
                self._connection.recv()
                self._is_ready = True
            self._connection.send_bytes(chunk)
            while len(results) < len(jobs):
                if not self._wait_for_message(timeout_s):
                    self.kill()
                    reason = f"it made no progress for {timeout_s:g} s, is the file damaged?"
                    return [*results, LostJob(f"{reason} A larger timeout_s= allows more time")]
                message = self._connection.recv()
                if isinstance(message, Exception):
                    raise message
                results += message
        except (EOFError, OSError) as error:
            raise WorkerDeathError from error
        self.job_count += len(jobs)
        return results

    def _wait_for_message(self, timeout_s: float | None) -> bool:
        """Return whether the process sends a message in time.

        The time in which this process is stopped, as by Ctrl-Z, does not count: the workers are
        stopped too. Therefore the timeout is counted in intervals, of which a stop ends only one.
        """
        if timeout_s is None:
            return self._connection.poll(None)
        interval_s = min(timeout_s / POLLS_PER_TIMEOUT, MAX_POLL_INTERVAL_S)
        intervals = math.ceil(timeout_s / interval_s)
        return any(self._connection.poll(interval_s) for _ in range(intervals))

    def kill(self) -> None:
        """Terminate the process; kill it if it does not clean up in time."""
        self.process.terminate()
        self.process.join(TERMINATION_TIMEOUT_S)
        self.process.kill()
        self.process.join()

    def close(self) -> None:
        """Disconnect from the process and wait until it exits."""
        self._connection.close()
        self.process.join()


class DaskWorkerPool:
    """Workers of a Dask cluster that share a filesystem with this machine.

    Raises
    ------
    ClusterError
        If Dask is not installed or the scheduler cannot be reached.
    """

    repeats_jobs = True
    max_queued = MAX_QUEUED_PER_THREAD

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")  # its functions have no types
        except ImportError as error:
            raise ClusterError(
                "cluster= requires Dask, which is not installed: pip install "
                "'noisegate-cli[cluster]'"
            ) from error
        if not SCHEDULER_ADDRESS_RE.fullmatch(address):
            raise ClusterError(
                f"cluster {address!r} is not an address: give one such as tcp://host:8786"
            )
        self._address = address
        self.worker_death_errors: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        # ngate reports each error once. Dask sets a level on each of its loggers, so that the
        # level of the parent logger has no effect.
        for name in [n for n in logging.root.manager.loggerDict if n.startswith("distributed")]:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            with warnings.catch_warnings():
                # Dask warns about version differences of libraries that the jobs don't use.
                warnings.simplefilter("ignore")
                self._client = distributed.Client(
                    address, timeout=CONNECT_TIMEOUT_S, set_as_default=False
                )
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(
                f"there is no Dask scheduler at {address!r}: start one with `dask scheduler`, "
                "or check the address"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        self._thread_count, self._thread_count_time = 0, 0.0

    @property
    def size(self) -> int:
        """Number of threads of the workers, which may join or leave the cluster."""
        if time.monotonic() - self._thread_count_time > WORKER_COUNT_INTERVAL_S:
            with suppress(OSError):
                self._thread_count = sum(self._client.nthreads().values())
            self._thread_count_time = time.monotonic()
        return max(1, self._thread_count)

    def start(self) -> None:
        """Do nothing: the workers of the cluster already run."""

    def check_workers(self, *folders: str) -> None:
        """Check that a worker has this version of ngate and can access the folders.

        Raises
        ------
        ClusterError
            If the worker has another version or cannot access a folder.
        """
        try:
            version, missing_folders = self._executor.submit(_inspect_worker, folders).result()
        except Exception as error:
            raise ClusterError(
                f"the workers at {self._address!r} can't run ngate ({error}): "
                "install the same version there"
            ) from error
        if version != __version__:
            raise ClusterError(
                f"the workers at {self._address!r} have ngate {version}, this is {__version__}: "
                "install the same version on both"
            )
        for folder in missing_folders:
            raise ClusterError(
                f"the workers at {self._address!r} don't see {folder!r}: the files of a batch must "
                "be on a filesystem that all share, under the same names"
            )

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R | LostJob]]":
        """Submit a chunk of jobs that one worker runs in sequence."""
        future: Future[list[R | LostJob]] = self._executor.submit(run_jobs, work, jobs)
        return future

    def stop(self) -> None:
        """Cancel queued jobs and disconnect; running jobs continue, and their results are lost."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        self.close()

    def close(self) -> None:
        """Disconnect from the cluster, which keeps running."""
        with suppress(Exception):
            self._client.close(timeout=DISCONNECT_TIMEOUT_S)


def count_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _inspect_worker(folders: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the ngate version of the worker and the folders that it cannot access."""
    preload_modules()
    return __version__, [f for f in folders if not os.path.isdir(f)]


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Block SIGINT and SIGHUP in processes started within; the parent terminates them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    interrupts = {signal.SIGINT, signal.SIGHUP}
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts)
    try:
        # The first process of multiprocessing starts this tracker, and then SIGINT is unblocked.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, interrupts)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)

"""Worker pools: processes on this machine, or a Dask cluster.

Both wrap an executor of `concurrent.futures`. They differ in the length of their queues, in the
exceptions that report the death of a worker, and in how they are stopped.
"""

import logging
import multiprocessing
import os
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol, TypeVar

from noisegate_cli import __version__
from noisegate_cli.batch.worker import (
    initialize_process,
    preload_modules,
    run_jobs,
    run_jobs_in_process,
)
from noisegate_cli.errors import ClusterError

J = TypeVar("J")
R = TypeVar("R")

MAX_QUEUED_PER_PROCESS, MAX_QUEUED_PER_THREAD = 2, 6
"""Chunks of jobs that are queued for each worker in addition to the running chunk.

A short queue limits memory. A cluster needs a longer queue because its latency is higher.
"""

MAX_PROCESSES = 61
"""Maximum number of worker processes of `ProcessPoolExecutor` on Windows."""

MAX_JOBS_PER_PROCESS = 5000
"""Jobs per process before the pool is restarted, which limits memory leaks in libraries."""

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
    def needs_restart(self) -> bool:
        """Whether the pool needs a `restart`."""

    @property
    def repeats_jobs(self) -> bool:
        """Whether the pool itself runs the jobs of a dead worker again."""

    def start(self) -> None:
        """Start the workers before the first job."""

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Submit a chunk of jobs that one worker runs in sequence."""

    def restart(self) -> None:
        """Replace the workers; call it only when no job runs or the pool is broken."""

    def stop(self) -> None:
        """Stop immediately: abort running jobs and clean up after them."""

    def close(self) -> None:
        """Close the pool when no job runs."""


class ProcessWorkerPool:
    """Processes on this machine, spawned rather than forked to behave the same on all systems."""

    worker_death_errors: tuple[type[BaseException], ...] = (BrokenExecutor,)
    max_queued = MAX_QUEUED_PER_PROCESS
    repeats_jobs = False

    def __init__(self, size: int | None = None) -> None:
        self.size = min(size or count_cpus(), MAX_PROCESSES)
        self._pool: Executor | None = None
        self._submitted_jobs = 0
        self._preexisting_children = set(multiprocessing.active_children())

    @property
    def needs_restart(self) -> bool:
        """Whether the processes have run the maximum number of jobs."""
        return self._submitted_jobs >= MAX_JOBS_PER_PROCESS * self.size

    def start(self) -> None:
        """Start the processes early, because their imports take a while."""
        for _ in range(self.size):
            self.submit(len, [])

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Submit a chunk of jobs that one worker runs in sequence."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.size, context, initialize_process)
        self._submitted_jobs += len(jobs)
        with _block_interrupts():
            return self._pool.submit(run_jobs_in_process, work, jobs)

    def restart(self) -> None:
        """Replace the processes by new ones."""
        self.close()
        self._submitted_jobs = 0

    def stop(self) -> None:
        """Terminate all processes; each cleans up first."""
        for process in set(multiprocessing.active_children()) - self._preexisting_children:
            process.terminate()
        self.close()

    def close(self) -> None:
        """Wait for the processes to exit."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class DaskWorkerPool:
    """Workers of a Dask cluster that share a filesystem with this machine.

    Raises
    ------
    ClusterError
        If Dask is not installed or the scheduler cannot be reached.
    """

    needs_restart = False
    repeats_jobs = True
    max_queued = MAX_QUEUED_PER_THREAD

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")  # its functions have no types
        except ImportError as error:
            raise ClusterError(
                "cluster= needs Dask, which is not installed: pip install 'noisegate-cli[cluster]'"
            ) from error
        if not SCHEDULER_ADDRESS_RE.fullmatch(address):
            raise ClusterError(f"cluster {address!r} is no address: give it as tcp://host:8786")
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
            theirs, missing = self._executor.submit(_inspect_worker, folders).result()
        except Exception as error:
            raise ClusterError(
                f"the workers at {self._address!r} can't run ngate ({error}): "
                "install the same version there as here"
            ) from error
        if theirs != __version__:
            raise ClusterError(
                f"the workers at {self._address!r} have ngate {theirs}, this is {__version__}: "
                "install the same version on both"
            )
        for folder in missing:
            raise ClusterError(
                f"the workers at {self._address!r} don't see {folder!r}: the files of a batch must "
                "be on a filesystem that all share, under the same names"
            )

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Submit a chunk of jobs that one worker runs in sequence."""
        future: Future[list[R]] = self._executor.submit(run_jobs, work, jobs)
        return future

    def restart(self) -> None:
        """Do nothing: the cluster replaces its workers itself."""

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
    """Block SIGINT in processes started within the block; the parent terminates them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

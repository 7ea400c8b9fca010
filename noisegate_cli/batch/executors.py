"""Where workers run: in processes on this machine, or on a Dask cluster.

Both are executors of `concurrent.futures`. What differs is how many jobs they can do with, how it
shows that a worker died, and how they are stopped.
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
"""Handfuls of jobs that wait for each worker besides the one it does; the rest wait where they cost
nothing. The way to a cluster is longer."""

MAX_PROCESSES = 61
"""What Windows can wait for at once."""

MAX_JOBS_PER_PROCESS = 5000
"""Then it makes room for a new one: what libraries leak never becomes much."""

SCHEDULER_ADDRESS_RE = re.compile(r"(\w+://)?\S+:\d+")

CONNECT_TIMEOUT_S, WORKER_COUNT_INTERVAL_S, DISCONNECT_TIMEOUT_S = 10, 5.0, 1
"""Seconds: to wait for a scheduler, from question to question how many workers there are, to wait
for it when all is over."""


class WorkerPool(Protocol):
    """Where jobs are done."""

    @property
    def worker_death_errors(self) -> tuple[type[BaseException], ...]:
        """What a job ends with whose worker died."""

    @property
    def size(self) -> int:
        """How many jobs are done at a time."""

    @property
    def max_queued(self) -> int:
        """How many may wait for each of them."""

    @property
    def needs_restart(self) -> bool:
        """Whether it is time to `restart`."""

    def start(self) -> None:
        """Get ready: there will be something to do."""

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Have a few jobs done, one after the other."""

    def restart(self) -> None:
        """Begin anew with fresh workers; nothing is being done, or all of it is lost."""

    def stop(self) -> None:
        """Stop at once: what is being done is given up, and cleaned up."""

    def close(self) -> None:
        """End, when nothing is being done."""


class ProcessWorkerPool:
    """Processes on this machine, started afresh rather than forked: the same on every system."""

    worker_death_errors: tuple[type[BaseException], ...] = (BrokenExecutor,)
    max_queued = MAX_QUEUED_PER_PROCESS

    def __init__(self, size: int | None = None) -> None:
        self.size = min(size or count_cpus(), MAX_PROCESSES)
        self._pool: Executor | None = None
        self._submitted_jobs = 0
        self._preexisting_children = set(multiprocessing.active_children())

    @property
    def needs_restart(self) -> bool:
        """Whether its processes have done so much that it is time to `restart`."""
        return self._submitted_jobs >= MAX_JOBS_PER_PROCESS * self.size

    def start(self) -> None:
        """Let processes start, which takes a while, and import what they need."""
        for _ in range(self.size):
            self.submit(len, [])

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Have a few jobs done, one after the other."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.size, context, initialize_process)
        self._submitted_jobs += len(jobs)
        with _block_interrupts():
            return self._pool.submit(run_jobs_in_process, work, jobs)

    def restart(self) -> None:
        """Let new processes take over."""
        self.close()
        self._submitted_jobs = 0

    def stop(self) -> None:
        """Tell all processes to clean up and end."""
        for process in set(multiprocessing.active_children()) - self._preexisting_children:
            process.terminate()
        self.close()

    def close(self) -> None:
        """Wait for the processes to end."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class DaskWorkerPool:
    """The workers of a Dask cluster, which see the same files under the same names.

    Raises
    ------
    ClusterError
        When it isn't there, or its workers are not fit for a batch.
    """

    needs_restart = False
    max_queued = MAX_QUEUED_PER_THREAD

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")  # its functions have no types
        except ImportError as error:
            raise ClusterError(
                "--cluster needs Dask, which is not installed: pip install 'noisegate-cli[cluster]'"
            ) from error
        if not SCHEDULER_ADDRESS_RE.fullmatch(address):
            raise ClusterError(f"cluster {address!r} is no address: give it as tcp://host:8786")
        self._address = address
        self.worker_death_errors: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        # What goes wrong is said by us, once. Its parts have levels of their own.
        for name in [n for n in logging.root.manager.loggerDict if n.startswith("distributed")]:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            with warnings.catch_warnings():
                # Of versions of libraries that no job of ours meets.
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
        """How many threads its workers have; they may come and go."""
        if time.monotonic() - self._thread_count_time > WORKER_COUNT_INTERVAL_S:
            with suppress(OSError):
                self._thread_count = sum(self._client.nthreads().values())
            self._thread_count_time = time.monotonic()
        return max(1, self._thread_count)

    def start(self) -> None:
        """Do nothing: they have."""

    def check_workers(self, *folders: str) -> None:
        """Make sure that a worker has this version of ngate, and sees these folders.

        Raises
        ------
        ClusterError
            When that isn't so.
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
        """Have a few jobs done, one after the other."""
        future: Future[list[R]] = self._executor.submit(run_jobs, work, jobs)
        return future

    def restart(self) -> None:
        """Do nothing: a cluster replaces its workers itself."""

    def stop(self) -> None:
        """Take back what isn't begun; what is goes on, and ends as if it had been lost."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        self.close()

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        with suppress(Exception):
            self._client.close(timeout=DISCONNECT_TIMEOUT_S)


def count_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _inspect_worker(folders: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return, on a worker, which ngate it has and which folders it doesn't see."""
    preload_modules()
    return __version__, [f for f in folders if not os.path.isdir(f)]


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Let processes that are started meanwhile never see Ctrl-C: the parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

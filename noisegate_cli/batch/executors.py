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
from noisegate_cli.batch.worker import each, each_in_process, get_ready, prepare_process
from noisegate_cli.errors import ClusterError

J = TypeVar("J")
R = TypeVar("R")

QUEUED_HERE, QUEUED_THERE = 2, 6
"""Handfuls of jobs that wait for each worker besides the one it does; the rest wait where they cost
nothing. The way to a cluster is longer."""

MOST_PROCESSES = 61
"""What Windows can wait for at once."""

JOBS_PER_PROCESS = 5000
"""Then it makes room for a new one: what libraries leak never becomes much."""

ADDRESS = re.compile(r"(\w+://)?\S+:\d+")

CONNECT_S, ASK_EVERY_S, LEAVE_S = 10, 5.0, 1
"""Seconds: to wait for a scheduler, from question to question how many workers there are, to wait
for it when all is over."""


class Workers(Protocol):
    """Where jobs are done."""

    @property
    def died(self) -> tuple[type[BaseException], ...]:
        """What a job ends with whose worker died."""

    @property
    def size(self) -> int:
        """How many jobs are done at a time."""

    @property
    def queued(self) -> int:
        """How many may wait for each of them."""

    @property
    def worn(self) -> bool:
        """Whether it is time to `renew`."""

    def start(self) -> None:
        """Get ready: there will be something to do."""

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Have a few jobs done, one after the other."""

    def renew(self) -> None:
        """Begin anew with fresh workers; nothing is being done, or all of it is lost."""

    def stop(self) -> None:
        """Stop at once: what is being done is given up, and cleaned up."""

    def close(self) -> None:
        """End, when nothing is being done."""


class Processes:
    """Processes on this machine, started afresh rather than forked: the same on every system."""

    died: tuple[type[BaseException], ...] = (BrokenExecutor,)
    queued = QUEUED_HERE

    def __init__(self, size: int | None = None) -> None:
        self.size = min(size or processors(), MOST_PROCESSES)
        self._pool: Executor | None = None
        self._submitted = 0
        self._others = set(multiprocessing.active_children())

    @property
    def worn(self) -> bool:
        """Whether its processes have done so much that it is time to `renew`."""
        return self._submitted >= JOBS_PER_PROCESS * self.size

    def start(self) -> None:
        """Let processes start, which takes a while, and import what they need."""
        for _ in range(self.size):
            self.submit(len, [])

    def submit(self, work: Callable[[J], R], jobs: Sequence[J]) -> "Future[list[R]]":
        """Have a few jobs done, one after the other."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.size, context, prepare_process)
        self._submitted += len(jobs)
        with _interrupts_held():
            return self._pool.submit(each_in_process, work, jobs)

    def renew(self) -> None:
        """Let new processes take over."""
        self.close()
        self._submitted = 0

    def stop(self) -> None:
        """Tell all processes to clean up and end."""
        for process in set(multiprocessing.active_children()) - self._others:
            process.terminate()
        self.close()

    def close(self) -> None:
        """Wait for the processes to end."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class Cluster:
    """The workers of a Dask cluster, which see the same files under the same names.

    Raises
    ------
    ClusterError
        When it isn't there, or its workers are not fit for a batch.
    """

    worn = False
    queued = QUEUED_THERE

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")  # its functions have no types
        except ImportError as error:
            raise ClusterError(
                "--cluster needs Dask, which is not installed: pip install 'noisegate-cli[cluster]'"
            ) from error
        if not ADDRESS.fullmatch(address):
            raise ClusterError(f"cluster {address!r} is no address: give it as tcp://host:8786")
        self._address = address
        self.died: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        # What goes wrong is said by us, once. Its parts have levels of their own.
        for name in [n for n in logging.root.manager.loggerDict if n.startswith("distributed")]:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            with warnings.catch_warnings():
                # Of versions of libraries that no job of ours meets.
                warnings.simplefilter("ignore")
                self._client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(
                f"there is no Dask scheduler at {address!r}: start one with `dask scheduler`, "
                "or check the address"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        self._threads, self._asked = 0, 0.0

    @property
    def size(self) -> int:
        """How many threads its workers have; they may come and go."""
        if time.monotonic() - self._asked > ASK_EVERY_S:
            with suppress(OSError):
                self._threads = sum(self._client.nthreads().values())
            self._asked = time.monotonic()
        return max(1, self._threads)

    def start(self) -> None:
        """Do nothing: they have."""

    def check(self, *folders: str) -> None:
        """Make sure that a worker has this version of ngate, and sees these folders.

        Raises
        ------
        ClusterError
            When that isn't so.
        """
        try:
            theirs, missing = self._executor.submit(_look, folders).result()
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
        future: Future[list[R]] = self._executor.submit(each, work, jobs)
        return future

    def renew(self) -> None:
        """Do nothing: a cluster replaces its workers itself."""

    def stop(self) -> None:
        """Take back what isn't begun; what is goes on, and ends as if it had been lost."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        self.close()

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        with suppress(Exception):
            self._client.close(timeout=LEAVE_S)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _look(folders: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return, on a worker, which ngate it has and which folders it doesn't see."""
    get_ready()
    return __version__, [f for f in folders if not os.path.isdir(f)]


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

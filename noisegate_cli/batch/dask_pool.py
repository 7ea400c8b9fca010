"""Workers of a Dask cluster that run the jobs of a batch."""

import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from noisegate_cli import __version__
from noisegate_cli.batch.worker import LostJob, preload_modules, run_jobs
from noisegate_cli.errors import ClusterError

J = TypeVar("J")
R = TypeVar("R")

MAX_QUEUED_CHUNKS = 6
"""Chunks of jobs that are queued for each thread in addition to the running chunk. The queue is
longer than the queue of a process because the latency of a cluster is higher."""

SCHEDULER_ADDRESS_RE = re.compile(r"(\w+://)?\S+:\d+")

CONNECT_TIMEOUT_S, WORKER_COUNT_INTERVAL_S, DISCONNECT_TIMEOUT_S = 10, 5.0, 1
"""Timeout of the connection, interval between queries of the worker count, timeout of closing."""


class DaskWorkerPool:
    """Workers of a Dask cluster that share a filesystem with this machine.

    Raises
    ------
    ClusterError
        If Dask is not installed or the scheduler cannot be reached.
    """

    repeats_jobs = True
    max_queued = MAX_QUEUED_CHUNKS

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
                # Dask warns about version differences of libraries that the jobs do not use.
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

    def check_folders(self, *folders: str) -> None:
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
                f"the workers at {self._address!r} cannot run ngate ({error}): "
                "install the same version there"
            ) from error
        if version != __version__:
            raise ClusterError(
                f"the workers at {self._address!r} have ngate {version}, this is {__version__}: "
                "install the same version on both"
            )
        for folder in missing_folders:
            raise ClusterError(
                f"the workers at {self._address!r} do not see {folder!r}: the files of a batch "
                "must be on a filesystem that all share, under the same names"
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


def _inspect_worker(folders: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the ngate version of the worker and the folders that it cannot access."""
    preload_modules()
    return __version__, [f for f in folders if not os.path.isdir(f)]

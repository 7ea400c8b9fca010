"""A worker process: it runs jobs of a batch, reports progress, and ends with its parent."""

import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from noisegate_cli.files.unfinished import remove_unfinished_files
from noisegate_cli.memory import keep_freed_memory, reduce_gc

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

J = TypeVar("J")
R = TypeVar("R")

HEARTBEAT_INTERVAL_S = 0.5
"""Minimum interval between messages about progress."""

WATCHDOG_TIMEOUTS = 4
"""CPU time without progress, in timeouts, after which a worker is ended if its parent has not
killed it after one. The threads of libraries use CPU time too."""

EXIT_TIMEOUT_S = 1.0
"""Time after which a worker exits even in a call of a library. The parent kills it later."""


@dataclass(frozen=True, slots=True)
class LostJob:
    """Result of a job that failed to return one, for example because its worker died twice."""

    error: str


class _ProcessState:
    """State of a worker process of `ProcessWorkerPool`."""

    connection: "ClassVar[Connection | None]" = None
    """Connection to the parent; None in a worker of a cluster."""
    lock = Lock()
    """Lock of the connection and of the unsent results."""
    unsent_results: ClassVar[list[Any]] = []
    last_message_time = 0.0
    timeout_s: ClassVar[float | None] = None
    """Time without progress after which the parent kills the process; None for no limit."""

    @classmethod
    def send(cls, message: Exception | None = None) -> None:
        """Send an error to the parent, or else the unsent results, of which there may be none."""
        if cls.connection is not None:
            with cls.lock:
                cls.connection.send(message or cls.unsent_results)
                cls.unsent_results.clear()
                cls.last_message_time = time.monotonic()

    @classmethod
    def start_watchdog(cls) -> None:
        """Let the system end the process unless this function is called again in time.

        It counts CPU time, of which a process that is stopped by Ctrl-Z uses none. A call that
        keeps the lock of the interpreter, so that no thread can end the process, uses it up.
        """
        if cls.timeout_s is not None and sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, WATCHDOG_TIMEOUTS * cls.timeout_s)

    @classmethod
    def stop_watchdog(cls) -> None:
        """Let the process idle without a limit."""
        if cls.timeout_s is not None and sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)

    @classmethod
    def send_periodically(cls) -> None:
        """Send the results of finished jobs, in case the running job never ends."""
        while True:
            time.sleep(HEARTBEAT_INTERVAL_S)
            if cls.unsent_results:
                with suppress(OSError):
                    cls.send()


def send_heartbeat(share: float = 0.0) -> None:  # noqa: ARG001  # it is a ProgressCallback
    """Notify the parent at intervals that the running job makes progress."""
    if time.monotonic() - _ProcessState.last_message_time > HEARTBEAT_INTERVAL_S:
        _ProcessState.send()
        _ProcessState.start_watchdog()


def run_jobs(work: Callable[[J], R], jobs: Sequence[J]) -> list[R]:
    """Run a chunk of jobs in sequence."""
    return [work(job) for job in jobs]


def serve_jobs(connection: "Connection", timeout_s: float | None = None) -> None:
    """Run chunks of jobs in a process of `ProcessWorkerPool` until the parent disconnects.

    The process receives a pickled function and its jobs. It sends lists with one result for each
    job, and empty lists when it is ready and when a job makes progress. The results of short jobs
    are sent together, because sending wakes the parent.

    The parent kills the process if a job makes no progress for `timeout_s`. If the parent has died,
    and a call of a library neither ends nor lets another thread run, the system ends the process
    later.
    """
    initialize_process()
    _ProcessState.connection = connection
    _ProcessState.timeout_s = timeout_s
    with suppress(EOFError, OSError):
        _ProcessState.send()
        Thread(target=_ProcessState.send_periodically, daemon=True).start()
        while True:
            chunk = connection.recv_bytes()
            try:
                work, jobs = pickle.loads(chunk)
            except Exception as error:
                _ProcessState.send(error)
                continue
            _ProcessState.start_watchdog()
            for job in jobs:
                result = _run_job(work, job)
                with _ProcessState.lock:
                    _ProcessState.unsent_results.append(result)
            _ProcessState.send()
            _ProcessState.stop_watchdog()


def _run_job(work: Callable[[J], R], job: J) -> R | LostJob:
    try:
        return work(job)
    except Exception as error:
        return LostJob(f"{type(error).__name__}: {error}")


def preload_modules() -> None:
    """Import the modules that jobs need, which takes longer than gating a short recording."""
    import noisegate_cli.api.file_gate  # noqa: F401


def initialize_process() -> None:
    """Initialize a worker process, which exits on SIGTERM or when its parent has died.

    The parent handles other signals to the process group, and terminates its workers.
    """
    reduce_gc()
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    Thread(target=_exit_when_stopped, args=(_open_wakeup_pipe(),), daemon=True).start()
    with suppress(Exception):  # Each job reports the error.
        preload_modules()


def _exit_on_sigterm(*_: object) -> None:
    """Exit without unwinding: an exception could be raised in a cleanup, or be ignored."""
    remove_unfinished_files()
    os._exit(1)


def _open_wakeup_pipe() -> int | None:
    """Return a pipe that receives a byte with each signal; None if the system has none."""
    if sys.platform == "win32":
        return None
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    return reader


def _exit_when_stopped(wakeup_pipe: int | None) -> None:
    """Exit when the parent has died, or after SIGTERM.

    The main thread handles SIGTERM, but not during a call of a library, which may never return.
    """
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    signs = [parent.sentinel if parent else None, wakeup_pipe]
    wait([sign for sign in signs if isinstance(sign, int)])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(EXIT_TIMEOUT_S)
    _exit_on_sigterm()

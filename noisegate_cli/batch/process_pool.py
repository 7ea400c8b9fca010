"""Processes on this machine that run the jobs of a batch."""

import math
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TypeVar

from noisegate_cli.batch.worker import LostJob, serve_jobs

J = TypeVar("J")
R = TypeVar("R")

MAX_QUEUED_CHUNKS = 2
"""Chunks of jobs that are queued for each process in addition to the running chunk. A short queue
limits memory."""

MAX_JOBS_PER_PROCESS = 5000
"""Jobs per process before it is replaced, which limits memory leaks in libraries."""

POLLS_PER_TIMEOUT, MAX_POLL_INTERVAL_S = 10, 1.0
"""Number of intervals in which a timeout is counted, and their maximum length."""

TERMINATION_TIMEOUT_S = 5.0
"""Time that a terminated process has for its cleanup before it is killed."""


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
    max_queued = MAX_QUEUED_CHUNKS
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

    def check_folders(self, *folders: str) -> None:
        """Do nothing: the processes see the same files as this one."""

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
        with _defer_signals(), _block_interrupts():
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


def count_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _defer_signals() -> Iterator[None]:
    """Handle signals after the context.

    A handler that raises an exception would leave a process that prints a traceback while it waits
    for its startup data. Blocking the signals is not enough: Python also handles those that arrive
    in other threads in the main thread.
    """
    if current_thread() is not main_thread():  # Only the main thread handles signals.
        yield
        return
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    deferred: list[int] = []
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: deferred.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for deferred_number in deferred:
            signal.raise_signal(deferred_number)


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Block SIGINT and SIGHUP in processes started within; the parent terminates them."""
    if sys.platform == "win32":
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

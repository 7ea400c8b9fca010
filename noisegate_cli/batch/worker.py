"""Run one job of a batch in a worker: a process on this machine, or a thread of a Dask worker.

The parent process imports this module to create jobs but never runs them. Therefore numpy and the
audio libraries are imported inside the functions that need them.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from noisegate_cli import __version__
from noisegate_cli.api.result_data import encode_segments, summarize_result
from noisegate_cli.batch.incremental import SKIP_DONE_BEFORE, SKIP_FOREIGN_OUTPUT, is_unmodified
from noisegate_cli.batch.records import SEGMENTS_KEY, RecordingResult, RecordingState
from noisegate_cli.errors import AudioError, NoisegateError, OutputExistsError
from noisegate_cli.files.output_naming import OutputOptions
from noisegate_cli.files.unfinished import remove_unfinished_files
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_freed_memory, reduce_gc
from noisegate_cli.text import escape_undecodable, quote_path

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.gating.frames.histogram import LevelHistogram

J = TypeVar("J")
R = TypeVar("R")

PickledSettings = bytes
"""Pickled settings and output options, shared by all jobs with equal settings."""

DIGEST_BYTES = 16
DIGEST_CHUNK_BYTES = 1 << 20

HEARTBEAT_INTERVAL_S = 0.5
"""Minimum interval between messages about progress."""

WATCHDOG_TIMEOUTS = 4
"""CPU time without progress, in timeouts, after which a worker is ended if its parent has not
killed it after one. The threads of libraries use CPU time too."""

EXIT_TIMEOUT_S = 1.0
"""Time after which a worker exits even in a call of a library. The parent kills it later."""


class Job(NamedTuple):
    """A recording to gate; a tuple of plain values because those are the fastest to pickle."""

    name: str
    """Path below the input tree."""
    source: str
    output: str
    size: int
    """Size of the input in bytes; 0 if unknown."""
    pickled_settings: PickledSettings
    needs_digest: bool = False
    """Whether to compute a digest of the input."""
    previous_digest: str | None = None
    """Digest of the input when the output was made; the job is skipped if it is unchanged."""
    force: bool = False
    """Whether to replace an existing output in any case."""
    is_repeatable: bool = False
    """Whether an existing output may be the result of this job, which has run before."""
    previous_output: tuple[int | None, int | None] | None = None
    """Size and modification time of the output that may be replaced; None if there is none."""
    fsync: bool = False
    """Whether to wait until the output is on the disk."""
    against: tuple[str, ...] = ()
    """Other tracks of the same session."""
    key: str | None = None
    """Another recording that opens the gate."""
    with_segments: bool = False
    """Whether the result contains the open stretches."""


@dataclass(frozen=True, slots=True)
class LostJob:
    """Result of a job that failed to return one, for example because its worker died twice."""

    error: str


@lru_cache
def pickle_settings(settings: GateSettings, options: OutputOptions) -> PickledSettings:
    """Return settings and output options, pickled for jobs."""
    return pickle.dumps((settings, options))


def gate_job(job: Job) -> RecordingResult:
    """Gate one recording of a batch; an error is returned as a failed result, not raised."""
    before = digest = None
    try:
        before = os.stat(job.source)
        if job.needs_digest:
            digest = compute_digest(job.source)
            if digest == job.previous_digest:
                return RecordingResult("skipped", reason=SKIP_DONE_BEFORE)
    except OSError:
        pass  # gate_file raises an error with a better message.
    output = summary = None
    status: RecordingState = "failed"
    try:
        result = _gate(job, before)
        output = os.stat(job.output)
        status, reason, summary = "done", None, summarize_result(result)
        if job.with_segments:
            summary |= {SEGMENTS_KEY: encode_segments(result)}
    except OutputExistsError:
        return RecordingResult("skipped", reason=SKIP_FOREIGN_OUTPUT)
    except NoisegateError as error:
        reason = str(error)
    except Exception as error:  # A bug in ngate must fail this recording, not the batch.
        reason = f"{quote_path(job.source)}: {type(error).__name__}: {error}"
    return RecordingResult(
        status,
        reason=reason and escape_undecodable(reason),
        size=before and before.st_size,
        mtime_ns=before and before.st_mtime_ns,
        digest=digest,
        output_size=output and output.st_size,
        output_mtime_ns=output and output.st_mtime_ns,
        versions=versions() if summary else {},
        result=summary or {},
    )


def _gate(job: Job, before: os.stat_result | None) -> "GateResult":
    """Gate a recording whose status was `before`.

    Raises
    ------
    OutputExistsError
        If someone else has written the output.
    """
    from noisegate_cli.api.file_gate import gate_recording
    from noisegate_cli.api.gate_task import GateTask

    settings, options = _unpickle_settings(job.pickled_settings)
    task = GateTask(
        job.source,
        job.output,
        settings,
        against=job.against,
        key=job.key,
        skip_unreadable=True,
        options=options,
        with_peak=True,
    )
    try:
        replacing = replace(task, force=_may_replace_output(job), fsync=job.fsync)
        return gate_recording(replacing, send_heartbeat, partial(_check_files, job, before))
    except OutputExistsError:
        if not job.is_repeatable:
            raise
    from filecmp import cmp
    from tempfile import TemporaryDirectory

    # Equal jobs make equal files.
    with TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(job.output))
        again = replace(task, output=copy, options=replace(options, inside=None))
        result = gate_recording(again, send_heartbeat)
        if not cmp(copy, job.output, shallow=False):
            raise OutputExistsError(f"{quote_path(job.output)} already exists")
    return result


def _may_replace_output(job: Job) -> bool:
    """Return whether to replace the output; False if there is none.

    Raises
    ------
    OutputExistsError
        If the output exists and is not the one that a batch has made.
    """
    try:
        status = os.lstat(job.output)
    except FileNotFoundError:
        return False
    if job.force or (
        job.previous_output is not None
        and (not status.st_size or is_unmodified(status, *job.previous_output))
    ):
        return True
    raise OutputExistsError(f"{quote_path(job.output)} already exists")


def _check_files(job: Job, before: os.stat_result | None) -> None:
    """Check, when the output is complete, that it may appear.

    Raises
    ------
    AudioError
        If the input changed or vanished, so that the output may mix its old and its new content.
    OutputExistsError
        If someone has written the output meanwhile.
    """
    try:
        after = os.stat(job.source)
    except OSError as error:
        raise AudioError(
            f"{quote_path(job.source)} was removed while it was read: {error.strerror}"
        ) from error
    if before is None or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise AudioError(f"{quote_path(job.source)} changed while it was read: gate it again")
    _may_replace_output(job)


def measure_job(job: Job) -> tuple[bytes, int] | str:
    """Return the level histogram and the number of silent frames of a recording, or an error."""
    try:
        from noisegate_cli.api.file_analysis import measure_level_histogram

        settings, options = _unpickle_settings(job.pickled_settings)
        histogram = measure_level_histogram(job.source, settings, send_heartbeat, options.track)
    except Exception as error:  # The error is reported when the recording is gated.
        return str(error)
    return histogram.counts.tobytes(), histogram.silent_frames


def decode_histogram(measured: tuple[bytes, int]) -> "LevelHistogram":
    """Return the histogram from the result of `measure_job`."""
    import numpy as np

    from noisegate_cli.gating.frames.histogram import LevelHistogram

    counts, silent_frames = measured
    return LevelHistogram(np.frombuffer(counts, np.int64), silent_frames)


@cache
def versions() -> dict[str, str]:
    """Return the versions of the software that the output depends on."""
    import numpy as np
    import soundfile as sf

    return {
        "ngate": __version__,
        "numpy": np.__version__,
        "libsndfile": sf.__libsndfile_version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def compute_digest(path: str) -> str:
    """Return a digest of the content of a file."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    with Path(path).open("rb", buffering=0) as file:
        while part := file.read(DIGEST_CHUNK_BYTES):
            digest.update(part)
            send_heartbeat()
    return f"blake2b:{digest.hexdigest()}"


@lru_cache
def _unpickle_settings(pickled: PickledSettings) -> tuple[GateSettings, OutputOptions]:
    settings, options = pickle.loads(pickled)
    return settings, options


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
    """Tell the parent at intervals that the running job makes progress."""
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
    """Exit without unwinding: an exception could be raised in a clean-up, or be ignored."""
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

"""Run one job of a batch in a worker: a process on this machine, or a thread of a Dask worker.

The parent process imports this module to create jobs but never runs them. Therefore numpy and the
audio libraries are imported inside the functions that need them.
"""

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from noisegate_cli import __version__
from noisegate_cli.errors import NoisegateError
from noisegate_cli.files.output_naming import OutputOptions
from noisegate_cli.files.unfinished import remove_unfinished_files
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_freed_memory, reduce_gc
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.gating.frames.histogram import LevelHistogram
    from noisegate_cli.recordings import GateResult

J = TypeVar("J")
R = TypeVar("R")

PickledSettings = bytes
"""Pickled settings and output options, shared by all jobs with equal settings."""

DIGEST_BYTES = 16
DIGEST_CHUNK_BYTES = 1 << 20


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


class JobOutcome(NamedTuple):
    """Outcome of a job; errors are returned as values, not raised."""

    status: Literal["done", "skipped", "failed"]
    error: str | None = None
    size: int | None = None
    """Size of the input in bytes."""
    mtime_ns: int | None = None
    digest: str | None = None
    output_size: int | None = None
    output_mtime_ns: int | None = None
    result: dict[str, Any] = {}  # noqa: RUF012  # never changed; a NamedTuple has no factories
    """See `summarize_result`."""
    versions: dict[str, str] = {}  # noqa: RUF012


@lru_cache
def pickle_settings(settings: GateSettings, options: OutputOptions) -> PickledSettings:
    """Return settings and output options, pickled for jobs."""
    return pickle.dumps((settings, options))


def gate_job(job: Job) -> JobOutcome:
    """Gate one recording of a batch.

    An existing output is overwritten: the batch has decided that before it created the job. The
    output may come from an earlier batch, or from a worker that was wrongly presumed dead.
    """
    size = mtime_ns = digest = None
    try:
        before = os.stat(job.source)
        size, mtime_ns = before.st_size, before.st_mtime_ns
        if job.needs_digest:
            digest = compute_digest(job.source)
            if digest == job.previous_digest:
                return JobOutcome("skipped", None, size, mtime_ns, digest)
    except OSError:
        pass  # gate_file raises an error with a better message.
    try:
        from noisegate_cli.recordings import gate_file

        settings, options = _unpickle_settings(job.pickled_settings)
        result = gate_file(
            job.source, job.output, settings, options=options, force=True, with_peak=True
        )
        output = os.stat(job.output)
        after = os.stat(job.source)
        if (after.st_size, after.st_mtime_ns) != (size, mtime_ns):
            # The output may mix the old and the new input.
            os.unlink(job.output)
            return JobOutcome(
                "failed", f"{quote_path(job.source)} changed while it was read: run it again"
            )
    except NoisegateError as error:
        return JobOutcome("failed", str(error), size, mtime_ns, digest)
    except Exception as error:  # A bug in ngate must fail this recording, not the batch.
        why = f"{quote_path(job.source)}: {type(error).__name__}: {error}"
        return JobOutcome("failed", why, size, mtime_ns, digest)
    return JobOutcome(
        "done", None, size, mtime_ns, digest, output.st_size, output.st_mtime_ns,
        summarize_result(result), versions(),
    )  # fmt: skip


def measure_job(job: Job) -> tuple[bytes, int] | str:
    """Return the level histogram and the number of silent frames of a recording, or an error."""
    try:
        from noisegate_cli.recordings import measure_level_histogram

        histogram = measure_level_histogram(job.source, _unpickle_settings(job.pickled_settings)[0])
    except Exception as error:  # The error is reported when the recording is gated.
        return str(error)
    return histogram.counts.tobytes(), histogram.silent_frames


def decode_histogram(measured: tuple[bytes, int]) -> "LevelHistogram":
    """Return the histogram from the result of `measure_job`."""
    import numpy as np

    from noisegate_cli.gating.frames.histogram import LevelHistogram

    counts, silent_frames = measured
    return LevelHistogram(np.frombuffer(counts, np.int64), silent_frames)


def summarize_result(result: "GateResult") -> dict[str, Any]:
    """Return the figures of a result for the manifest, with None for infinite values."""
    suggestion = result.suggestion
    found = {
        "duration_s": result.source.duration,
        "sample_rate": result.source.sample_rate,
        "channels": result.source.channels,
        "subtype": result.output.subtype,
        "threshold": result.threshold,
        "range_db": result.range_db,
        "method": suggestion.method if suggestion else None,
        "verdict": suggestion.verdict.value if suggestion else None,
        "distance_db": suggestion.distance_db if suggestion else None,
        "noise_floor_db": suggestion.noise_floor_db if suggestion else None,
        "active_db": suggestion.active_db if suggestion else None,
        "peak_db": result.peak_db,
        "closed_share": result.statistics.closed_share,
        "openings": result.statistics.openings,
        "chops": result.chops.count,
        "warnings": list(result.warnings),
        "seconds": round(result.seconds, 6),
    }
    return {k: None if v in (float("inf"), -float("inf")) else v for k, v in found.items()}


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
    return f"blake2b:{digest.hexdigest()}"


@lru_cache
def _unpickle_settings(pickled: PickledSettings) -> tuple[GateSettings, OutputOptions]:
    settings, options = pickle.loads(pickled)
    return settings, options


def run_jobs(work: Callable[[J], R], jobs: Sequence[J]) -> list[R]:
    """Run a chunk of jobs in sequence."""
    return [work(job) for job in jobs]


def preload_modules() -> None:
    """Import the modules that jobs need, which takes longer than gating a short recording."""
    import noisegate_cli.recordings  # noqa: F401


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
    Thread(target=_exit_with_parent, daemon=True).start()
    with suppress(Exception):  # Each job reports the error.
        preload_modules()


def _exit_on_sigterm(*_: object) -> None:
    """Exit without unwinding: an exception could be raised in a clean-up, or be ignored."""
    remove_unfinished_files()
    os._exit(1)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

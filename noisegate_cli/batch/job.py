"""Jobs of a batch: gate or measure one recording, in a process or a thread of a worker.

The parent process imports this module to create jobs but never runs them. Therefore numpy and the
audio libraries are imported inside the functions that need them.
"""

import os
import pickle
import sys
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from noisegate_cli import __version__
from noisegate_cli.api.failures import describe_failure, find_error_code
from noisegate_cli.api.result_data import encode_segments, summarize_result
from noisegate_cli.batch.incremental import SKIP_DONE_BEFORE, SKIP_FOREIGN_OUTPUT, is_unmodified
from noisegate_cli.batch.records import SEGMENTS_KEY, RecordingResult, RecordingState
from noisegate_cli.batch.worker import send_heartbeat
from noisegate_cli.errors import AudioError, OutputExistsError
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import escape_undecodable, quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.api.gate_task import GateTask
    from noisegate_cli.gating.frames.histogram import LevelHistogram

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
    force: bool = False
    """Whether to replace an existing output regardless."""
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
    """Whether the result contains the open segments."""
    labels_name: str | None = None
    """Name of the label file, if it is not the name of the output with another extension."""


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
    error_code = None
    try:
        result = _gate(job, before)
        output = os.stat(job.output)
        status, reason, summary = "done", None, summarize_result(result)
        if job.with_segments:
            summary |= {SEGMENTS_KEY: encode_segments(result, result.offset_s)}
    except OutputExistsError:
        return RecordingResult("skipped", reason=SKIP_FOREIGN_OUTPUT)
    except Exception as error:  # A bug in ngate must fail this recording, not the batch.
        reason, error_code = describe_failure(job.source, error), find_error_code(error)
    return RecordingResult(
        status,
        reason=reason and escape_undecodable(reason),
        error_code=error_code,
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

    try:
        task = _create_task(job, job.output, _may_replace_output(job))
        return gate_recording(task, send_heartbeat, partial(_check_files, job, before))
    except OutputExistsError:
        if not job.is_repeatable:
            raise
    from filecmp import cmp
    from tempfile import TemporaryDirectory

    # Equal jobs make equal files.
    with TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(job.output))
        task = _create_task(job, copy)
        task = task._replace(fsync=False, options=replace(task.options, inside=None))
        result = gate_recording(task, send_heartbeat)
        if not cmp(copy, job.output, shallow=False):
            raise OutputExistsError(f"{quote_path(job.output)} already exists")
    return result


def _create_task(job: Job, output: str, force: bool = False) -> "GateTask":
    from noisegate_cli.api.gate_task import GateTask

    settings, options = _unpickle_settings(job.pickled_settings)
    labels = job.labels_name and os.path.join(os.path.dirname(output), job.labels_name)
    return GateTask(
        job.source,
        output,
        settings,
        against=job.against,
        labels=labels,
        key=job.key,
        skip_unreadable=True,
        options=options,
        force=force,
        fsync=job.fsync,
        with_peak=True,
    )


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
        If someone has written the output in the meantime.
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
    from hashlib import blake2b

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

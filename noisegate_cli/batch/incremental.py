"""Decide from the manifest which recordings a batch must gate, and why."""

import os

from noisegate_cli.batch.records import Recording, RecordingState

MTIME_TOLERANCE_NS = 2_000_000_000
"""Tolerance of modification times; FAT stores them with a resolution of 2 s."""

REASON_NEW = "new"
REASON_OUTPUT_MISSING = "output is missing"
REASON_INPUT_CHANGED = "recording changed"
REASON_FAILED_BEFORE = "failed in the last run"
REASON_OTHER_SETTINGS = "other settings"
REASON_INTERRUPTED = "interrupted in the last run"
REASON_FORCED = "forced"
REASON_CHECKSUM = "compared by content"
"""Reasons to gate a recording."""

SKIP_DONE_BEFORE = "already done"
SKIP_FOREIGN_OUTPUT = "output exists and is not from a batch"
SKIP_OUTPUT_MODIFIED = "output was changed after it was written"
SKIP_OUTPUT_OF_OTHER_INPUT = "output belongs to another recording"
"""Reasons to skip a recording."""

FORCE_ONLY_REASONS = (SKIP_FOREIGN_OUTPUT, SKIP_OUTPUT_MODIFIED, SKIP_OUTPUT_OF_OTHER_INPUT)
"""Reasons where gating would overwrite data that no batch has made from this recording."""


def decide_job(  # noqa: PLR0911  # one for each reason
    recording: Recording,
    source: str,
    output: os.stat_result | None,
    settings_json: str,
    *,
    force: bool = False,
    checksum: bool = False,
) -> tuple[RecordingState, str]:
    """Decide what to do with a recording.

    An existing output is overwritten only if the manifest shows that a batch made it from this
    recording, that it is unmodified, and that it is out of date. Any other existing output is
    kept unless `force` is set.

    Parameters
    ----------
    recording
        The recording, with the previous result for its output.
    source
        Real path of the recording, as in the manifest.
    output
        Status of the existing output; None if there is none. An empty file from an earlier batch
        counts as missing, because a power failure may leave one.
    settings_json
        Current settings and output options as JSON.
    force
        Whether to gate the recording regardless.
    checksum
        Whether to detect changes of recordings by content instead of modification time.

    Returns
    -------
    tuple
        The new state of the recording, `"pending"` or `"skipped"`, and the reason.
    """
    previous = recording.previous
    if force:
        return "pending", REASON_FORCED
    if recording.was_started:
        return "pending", REASON_INTERRUPTED
    if output is None or (previous and not output.st_size):
        reason = (
            REASON_NEW
            if previous is None
            else REASON_FAILED_BEFORE
            if previous.status == "failed"
            else REASON_OUTPUT_MISSING
        )
        return "pending", reason
    if previous is None or previous.output_size is None:
        return "skipped", SKIP_FOREIGN_OUTPUT
    if not is_unmodified(output, previous.output_size, previous.output_mtime_ns):
        return "skipped", SKIP_OUTPUT_MODIFIED
    same_input = (previous.size, previous.mtime_ns) == (recording.size, recording.mtime_ns)
    if previous.file != source and not same_input:
        return "skipped", SKIP_OUTPUT_OF_OTHER_INPUT
    if previous.status == "failed":
        return "pending", REASON_FAILED_BEFORE
    if previous.settings_json != settings_json:
        return "pending", REASON_OTHER_SETTINGS
    if checksum and previous.digest and previous.size == recording.size:
        return "pending", REASON_CHECKSUM
    return ("skipped", SKIP_DONE_BEFORE) if same_input else ("pending", REASON_INPUT_CHANGED)


def is_unmodified(output: os.stat_result, size: int | None, mtime_ns: int | None) -> bool:
    """Return whether an output still has the given size and modification time."""
    changed = abs(output.st_mtime_ns - (mtime_ns or 0)) > MTIME_TOLERANCE_NS
    return output.st_size == size and not changed

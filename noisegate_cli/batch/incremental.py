"""Decide from the manifest which recordings a batch must gate, and why."""

import os
from typing import NamedTuple

from noisegate_cli.batch import manifest
from noisegate_cli.batch.plan import PlanRow, PreviousResult, RecordingState

MTIME_TOLERANCE_NS = 2_000_000_000
"""Tolerance of modification times; FAT stores them with a resolution of 2 s."""

REASON_NEW = "new"
REASON_OUTPUT_MISSING = "output is missing"
REASON_INPUT_CHANGED = "changed since"
REASON_FAILED_BEFORE = "failed before"
REASON_OTHER_SETTINGS = "other settings"
REASON_INTERRUPTED = "interrupted before"
REASON_FORCED = "forced"
REASON_CHECKSUM = "compared"
"""Reasons to gate a recording."""

SKIP_DONE_BEFORE = "done before"
SKIP_FOREIGN_OUTPUT = "output exists, and no batch made it"
SKIP_OUTPUT_MODIFIED = "output was changed since it was made"
SKIP_OUTPUT_OF_OTHER_INPUT = "output is that of another recording"
"""Reasons to skip a recording."""

FORCE_ONLY_REASONS = (SKIP_FOREIGN_OUTPUT, SKIP_OUTPUT_MODIFIED, SKIP_OUTPUT_OF_OTHER_INPUT)
"""Reasons where gating would overwrite data that no batch has made from this recording."""


class JobDecision(NamedTuple):
    """Decision about a recording."""

    state: RecordingState
    """`"to do"` or `"skipped"`."""
    reason: str


def decide_job(  # noqa: PLR0911  # one for each reason
    row: PlanRow,
    source: str,
    output: os.stat_result | None,
    previous: PreviousResult | None,
    settings_json: str,
    *,
    was_started: bool = False,
    force: bool = False,
    checksum: bool = False,
) -> JobDecision:
    """Decide what to do with a recording.

    An existing output is overwritten only if the manifest shows that a batch made it from this
    recording, that it is unmodified, and that it is out of date. Any other existing output is
    left alone unless `force` is set.

    Parameters
    ----------
    row
        The recording in the plan.
    source
        Real path of the recording, as in the manifest.
    output
        Status of the existing output; None if there is none. An empty file from an earlier batch
        counts as missing, because a power failure may leave one.
    previous
        Manifest entry of the output; None if there is none.
    settings_json
        Current settings and output options as JSON.
    was_started
        Whether an interrupted batch has started the output.
    force
        Whether to gate the recording in any case.
    checksum
        Whether to detect changes of recordings by content instead of modification time.

    Returns
    -------
    JobDecision
        The new state of the recording, and the reason.
    """
    if force:
        return JobDecision("to do", REASON_FORCED)
    if was_started or (previous and previous.status == manifest.STATUS_INTERRUPTED):
        return JobDecision("to do", REASON_INTERRUPTED)
    if output is None or (previous and not output.st_size):
        reason = (
            REASON_NEW
            if previous is None
            else REASON_FAILED_BEFORE
            if previous.status == "failed"
            else REASON_OUTPUT_MISSING
        )
        return JobDecision("to do", reason)
    if previous is None or previous.output_size is None:
        return JobDecision("skipped", SKIP_FOREIGN_OUTPUT)
    if not _is_output_unmodified(output, previous):
        return JobDecision("skipped", SKIP_OUTPUT_MODIFIED)
    same_input = (previous.size, previous.mtime_ns) == (row.size, row.mtime_ns)
    if previous.file != source and not same_input:
        return JobDecision("skipped", SKIP_OUTPUT_OF_OTHER_INPUT)
    return _decide_own_output(row, previous, settings_json, same_input, checksum)


def _decide_own_output(
    row: PlanRow, previous: PreviousResult, settings_json: str, same_input: bool, checksum: bool
) -> JobDecision:
    """Decide about an unmodified output that a batch made from this recording."""
    if previous.status == "failed":
        return JobDecision("to do", REASON_FAILED_BEFORE)
    if previous.settings_json != settings_json:
        return JobDecision("to do", REASON_OTHER_SETTINGS)
    if checksum and previous.digest and previous.size == row.size:
        return JobDecision("to do", REASON_CHECKSUM)
    return (
        JobDecision("skipped", SKIP_DONE_BEFORE)
        if same_input
        else JobDecision("to do", REASON_INPUT_CHANGED)
    )


def _is_output_unmodified(output: os.stat_result, previous: PreviousResult) -> bool:
    changed = abs(output.st_mtime_ns - (previous.output_mtime_ns or 0)) > MTIME_TOLERANCE_NS
    return output.st_size == previous.output_size and not changed

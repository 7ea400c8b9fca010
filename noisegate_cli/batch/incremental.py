"""What is left to do: of each recording whether, and why, by what the manifest remembers."""

import os
from typing import NamedTuple

from noisegate_cli.batch import manifest
from noisegate_cli.batch.plan import PlanRow, PreviousResult, RecordingState

MTIME_TOLERANCE_NS = 2_000_000_000
"""Some filesystems keep times to two seconds only."""

REASON_NEW = "new"
REASON_OUTPUT_MISSING = "output is missing"
REASON_INPUT_CHANGED = "changed since"
REASON_FAILED_BEFORE = "failed before"
REASON_OTHER_SETTINGS = "other settings"
REASON_INTERRUPTED = "interrupted before"
REASON_FORCED = "forced"
REASON_CHECKSUM = "compared"
"""Why a recording is gated."""

SKIP_DONE_BEFORE = "done before"
SKIP_FOREIGN_OUTPUT = "output exists, and no batch made it"
SKIP_OUTPUT_MODIFIED = "output was changed since it was made"
SKIP_OUTPUT_OF_OTHER_INPUT = "output is that of another recording"
"""Why it isn't."""

FORCE_ONLY_REASONS = (SKIP_FOREIGN_OUTPUT, SKIP_OUTPUT_MODIFIED, SKIP_OUTPUT_OF_OTHER_INPUT)
"""What would destroy something that no batch has made of this recording."""


class JobDecision(NamedTuple):
    """What to do with a recording."""

    state: RecordingState
    """to do or skipped."""
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

    What is there is made again when the manifest tells that a batch made it, that it is still what
    that made, and that it isn't what would be made now. What is there without that is not ours: it
    is left alone unless forced.

    Parameters
    ----------
    source
        The recording, as the manifest has it.
    output
        What is there now; None for nothing. An empty file that a batch has made is nothing, too:
        that is what a power cut may leave.
    previous
        What the manifest has of the output.
    settings_json
        How the output would be made now.
    was_started
        Whether a batch was stopped that may have made the output, or not.
    checksum
        Whether recordings are compared by what they hold, not by when they were changed.
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
    """Decide where the output is what a batch made of this recording."""
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

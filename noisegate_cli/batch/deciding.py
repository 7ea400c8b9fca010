"""What is left to do: of each recording whether, and why, by what the manifest remembers."""

import os
from typing import NamedTuple

from noisegate_cli.batch import manifest
from noisegate_cli.batch.plan import Known, Row, State

SAME_TIME_NS = 2_000_000_000
"""Some filesystems keep times to two seconds only."""

NEW = "new"
MISSING = "output is missing"
CHANGED = "changed since"
FAILED = "failed before"
OTHERWISE = "other settings"
INTERRUPTED = "interrupted before"
FORCED = "forced"
COMPARED = "compared"
"""Why a recording is gated."""

DONE_BEFORE = "done before"
FOREIGN = "output exists, and no batch made it"
TOUCHED = "output was changed since it was made"
ANOTHER = "output is that of another recording"
"""Why it isn't."""

ONLY_FORCED = (FOREIGN, TOUCHED, ANOTHER)
"""What would destroy something that no batch has made of this recording."""


class Decision(NamedTuple):
    """What to do with a recording."""

    state: State
    """to do or skipped."""
    why: str


def decide(  # noqa: PLR0911  # one for each reason
    row: Row,
    source: str,
    output: os.stat_result | None,
    known: Known | None,
    recipe: str,
    *,
    was_started: bool = False,
    force: bool = False,
    checksum: bool = False,
) -> Decision:
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
    known
        What the manifest has of the output.
    recipe
        How the output would be made now.
    was_started
        Whether a batch was stopped that may have made the output, or not.
    checksum
        Whether recordings are compared by what they hold, not by when they were changed.
    """
    if force:
        return Decision("to do", FORCED)
    if was_started or (known and known.status == manifest.INTERRUPTED):
        return Decision("to do", INTERRUPTED)
    if output is None or (known and not output.st_size):
        why = NEW if known is None else FAILED if known.status == "failed" else MISSING
        return Decision("to do", why)
    if known is None or known.output_size is None:
        return Decision("skipped", FOREIGN)
    if not _is_as_made(output, known):
        return Decision("skipped", TOUCHED)
    same_input = (known.size, known.mtime_ns) == (row.size, row.mtime_ns)
    if known.file != source and not same_input:
        return Decision("skipped", ANOTHER)
    return _of_ours(row, known, recipe, same_input, checksum)


def _of_ours(row: Row, known: Known, recipe: str, same_input: bool, checksum: bool) -> Decision:
    """Decide where the output is what a batch made of this recording."""
    if known.status == "failed":
        return Decision("to do", FAILED)
    if known.recipe != recipe:
        return Decision("to do", OTHERWISE)
    if checksum and known.digest and known.size == row.size:
        return Decision("to do", COMPARED)
    return Decision("skipped", DONE_BEFORE) if same_input else Decision("to do", CHANGED)


def _is_as_made(output: os.stat_result, known: Known) -> bool:
    changed = abs(output.st_mtime_ns - (known.output_mtime_ns or 0)) > SAME_TIME_NS
    return output.st_size == known.output_size and not changed

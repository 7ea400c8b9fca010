"""Configuration, report and observer of a batch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from noisegate_cli.batch.discovery import GlobPatterns
from noisegate_cli.batch.records import RecordingResult, ReviewCandidate
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.gating.settings import GateSettings

ThresholdScope = Literal["tree", "folder"]
"""Scope of a shared threshold: all recordings, or the recordings in one folder."""

DEFAULT_TIMEOUT_S = 600.0
"""Timeout of a recording on this machine."""

MAX_TIMEOUT_S = 1e6
"""Maximum timeout, which the clocks of all systems can represent."""

MAX_LISTED_ERRORS = 20
"""Maximum number of errors in the report; review candidates are limited to half of it."""

SAME_NAMES = OutputOptions(suffix="")
"""Output options without a suffix, because the outputs go to a separate tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """Configuration of a batch.

    Raises
    ------
    SettingsError
        If two options contradict each other.
    """

    root: Path
    output: Path
    settings: GateSettings = field(default_factory=GateSettings)
    options: OutputOptions = SAME_NAMES
    patterns: GlobPatterns = field(default_factory=GlobPatterns)
    names_file: str | None = None
    """File that lists the recordings, "-" for stdin; None for all recordings below the root."""
    null_separated: bool = False
    """Whether each name in `names_file` ends in NUL, not in a line break."""
    threshold_scope: ThresholdScope | None = None
    """Scope of a shared threshold; None if each recording has its own threshold."""
    tracks: bool = False
    """Whether the recordings in a folder are the tracks of one session, so that each of them is
    gated against the others."""
    key: Path | None = None
    """Another recording that opens the gate of all, or a folder with one for each recording, of the
    same name and any extension."""
    jobs: int | None = None
    """Number of parallel jobs on this machine; None for one per CPU."""
    cluster: str | None = None
    """Address of a Dask scheduler; None for this machine."""
    timeout_s: float | None = None
    """Time without progress after which a recording fails; None for `DEFAULT_TIMEOUT_S` on this
    machine. A cluster has no limit, because a thread of its workers cannot be ended."""
    force: bool = False
    fsync: bool = False
    """Whether to wait until each output, its name and then its result are on the disk."""
    checksum: bool = False
    max_errors: int | None = None
    """Number of failed recordings after which the batch stops; None for no limit."""
    csv_path: Path | None = None
    """Path of a CSV file with the results of all recordings."""
    reword: Callable[[str], str] = str
    """Function that words a message for the reader of the CSV file."""
    plot_path: Path | None = None
    """Path of a plot of the recordings to review first."""
    with_segments: bool = False
    """Whether the observer receives the open segments of each recording."""
    dry_run: bool = False
    """Whether only to report what the batch would do."""

    def __post_init__(self) -> None:
        if self.threshold_scope and not isinstance(self.settings.threshold, str):
            raise SettingsError(
                f"threshold {self.settings.threshold:g} already applies to all recordings: "
                "omit threshold= or the shared threshold"
            )
        if self.threshold_scope and self.settings.speech:
            raise SettingsError(
                "a shared threshold replaces the automatic gate, and speech=True is a part of it: "
                "omit one of them"
            )
        if self.timeout_s is not None and not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise SettingsError(
                f"timeout {self.timeout_s:g} is out of range: "
                f"give timeout_s= at most {MAX_TIMEOUT_S:.0f}"
            )
        if self.cluster and self.timeout_s is not None:
            raise SettingsError(
                "timeout_s= applies to this machine only, and a cluster has no time "
                "limit: omit one of them"
            )
        if self.tracks and self.settings.channels == "exclusive":
            raise SettingsError("use either tracks=True or channels='exclusive', not both")
        if self.key is not None and (self.tracks or self.threshold_scope):
            other = "tracks=" if self.tracks else "a shared threshold"
            raise SettingsError(f"use either key= or {other}, not both")
        if self.cluster and self.jobs:
            raise SettingsError(
                "jobs= applies to this machine only, and a cluster has its own workers: "
                "omit one of them"
            )

    def has_max_errors(self, failed: int) -> bool:
        """Return whether the batch must stop after `failed` failed recordings."""
        return self.max_errors is not None and failed >= self.max_errors


@dataclass
class BatchReport:
    """Results of a batch, updated while it runs."""

    output: Path
    dry_run: bool = False
    is_planned: bool = False
    """Whether the batch has decided which recordings to gate."""
    total: int = 0
    """Number of recordings."""
    own_files: int = 0
    """Number of outputs of ngate next to their recordings, which are skipped."""
    own_folders: list[str] = field(default_factory=list)
    """Output folders of other batches, which are skipped."""
    done: int = 0
    skipped: int = 0
    failed: int = 0
    to_do: int = 0
    """Number of remaining recordings; 0 unless the batch was stopped or was a dry run."""
    audio_seconds: float = 0.0
    """Total duration of the recordings that were gated, or would be in a dry run."""
    seconds: float = 0.0
    """Elapsed time of the batch."""
    closed_share: float = 0.0
    thresholds: dict[str, float | None] = field(default_factory=dict)
    """Shared thresholds (linear RMS) by folder, or under the empty name for the whole tree.

    None if signal and noise cannot be separated and the gate stays open.
    """
    reasons: dict[str, int] = field(default_factory=dict)
    """Number of recordings to gate, by reason."""
    skip_reasons: dict[str, int] = field(default_factory=dict)
    """Number of skipped recordings, by reason."""
    errors: list[str] = field(default_factory=list)
    """The first error messages."""
    review_candidates: list[ReviewCandidate] = field(default_factory=list)
    """Recordings to review first."""
    review_counts: dict[str, int] = field(default_factory=dict)
    """Number of recordings to review, by reason."""
    warned: int = 0
    """Number of recordings with warnings, also of those with another reason to review them."""
    unreadable_lines: int = 0
    """Number of lines of the manifest that cannot be parsed."""
    bytes_needed: int = 0
    bytes_free: int = 0
    is_locked: bool = True
    """Whether this batch holds an exclusive lock on the output tree."""
    stop_reason: str = ""
    """Reason why the batch stopped early; empty if it did not."""

    def add_result(self, result: RecordingResult) -> None:
        """Count the result of a recording."""
        if result.status == "done":
            self.done += 1
            self.audio_seconds += result.result["duration_s"]
        elif result.status == "failed":
            self.failed += 1
            if len(self.errors) < MAX_LISTED_ERRORS:
                self.errors.append(str(result.reason))


class BatchObserver(Protocol):
    """Callbacks that a batch calls while it runs."""

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Handle the start of a phase that processes `files` recordings of `size` bytes."""

    def on_progress(self, files: int, size: int, report: BatchReport, current: list[str]) -> None:
        """Handle progress in the phase: finished files and bytes, and the current recordings."""

    def on_recording(self, name: str, result: RecordingResult) -> None:
        """Handle the result of a recording."""


class NullBatchObserver:
    """Observer that does nothing."""

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Do nothing."""

    def on_progress(self, files: int, size: int, report: BatchReport, current: list[str]) -> None:
        """Do nothing."""

    def on_recording(self, name: str, result: RecordingResult) -> None:
        """Do nothing."""

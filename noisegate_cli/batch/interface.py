"""What a batch is told to do, and what it tells."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from noisegate_cli.batch.discovery import GlobPatterns
from noisegate_cli.batch.manifest import ManifestEntry
from noisegate_cli.batch.plan import ReviewCandidate
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.output_naming import OutputOptions
from noisegate_cli.gating.settings import GateSettings

ThresholdScope = Literal["tree", "folder"]
"""What a threshold is shared by: all recordings, or those that lie in the same folder."""

SAME_NAMES = OutputOptions(suffix="")
"""Outputs are called what the inputs are called, in a tree of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """What a batch is told to do.

    Raises
    ------
    SettingsError
        When two things contradict each other.
    """

    root: Path
    output: Path
    settings: GateSettings = field(default_factory=GateSettings)
    options: OutputOptions = SAME_NAMES
    patterns: GlobPatterns = field(default_factory=GlobPatterns)
    names_file: str | None = None
    """A file that lists the recordings, "-" for stdin; None for all below the root."""
    separator: bytes = b"\n"
    """Between two names of that file."""
    threshold_scope: ThresholdScope | None = None
    """What recordings share a threshold; None for each its own."""
    jobs: int | None = None
    """Recordings at a time on this machine; None for one a processor."""
    cluster: str | None = None
    """Address of a Dask scheduler; None for this machine."""
    force: bool = False
    checksum: bool = False
    max_errors: int | None = None
    """Stop after so many."""
    csv_path: Path | None = None
    """Where to write what became of all recordings, as CSV."""
    dry_run: bool = False
    """Whether only to tell what would be done."""

    def __post_init__(self) -> None:
        if self.threshold_scope and not isinstance(self.settings.threshold, str):
            raise SettingsError(
                f"threshold {self.settings.threshold:g} is that of all recordings already: "
                "leave out -t, or what shares one"
            )
        if self.cluster and self.jobs:
            raise SettingsError("--jobs is for this machine, a cluster has its own: leave out one")


@dataclass
class BatchReport:
    """What became of a batch. It fills while that runs."""

    output: Path
    dry_run: bool = False
    is_planned: bool = False
    """Whether it came so far that it knows what is to be done."""
    total: int = 0
    """Recordings that there are."""
    done: int = 0
    skipped: int = 0
    failed: int = 0
    to_do: int = 0
    """Recordings that are left: none, unless it was stopped or only tried."""
    audio_seconds: float = 0.0
    """Of what was gated, or would be."""
    seconds: float = 0.0
    """Time that it took."""
    closed_share: float = 0.0
    thresholds: dict[str, float | None] = field(default_factory=dict)
    """What was found to share, linear RMS: by folder, or by the empty name; None where signal and
    noise don't part, and the gate stays open."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why recordings would be gated."""
    skip_reasons: dict[str, int] = field(default_factory=dict)
    """Why they were not."""
    errors: list[str] = field(default_factory=list)
    """The first of them."""
    review_candidates: list[ReviewCandidate] = field(default_factory=list)
    """What one should listen to first."""
    review_counts: dict[str, int] = field(default_factory=dict)
    """How many recordings there are of which kind of unusual."""
    unreadable_lines: int = 0
    """Lines of the manifest."""
    bytes_needed: int = 0
    bytes_free: int = 0
    is_locked: bool = True
    """Whether no other batch can write to the output tree meanwhile."""
    stop_reason: str = ""
    """Why it was stopped early."""


class BatchObserver(Protocol):
    """Who is told how a batch goes on."""

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Tell what is about to happen to how many recordings of how many bytes."""

    def on_progress(self, files: int, size: int, report: BatchReport, current: list[str]) -> None:
        """Tell how much of that is done, and which recordings are being worked on."""

    def on_recording(self, name: str, entry: ManifestEntry) -> None:
        """Tell what became of a recording."""


class NullBatchObserver:
    """A batch that nobody watches."""

    def on_phase(self, name: str, files: int, size: int) -> None:
        """Do nothing."""

    def on_progress(self, files: int, size: int, report: BatchReport, current: list[str]) -> None:
        """Do nothing."""

    def on_recording(self, name: str, entry: ManifestEntry) -> None:
        """Do nothing."""

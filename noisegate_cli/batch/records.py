"""Records of one recording in a batch."""

from typing import Any, Literal, NamedTuple

RecordingState = Literal["pending", "done", "skipped", "failed"]

RESULT_COLUMNS = (
    "duration_s",
    "threshold",
    "noise_floor_db",
    "active_db",
    "peak_db",
    "closed_share",
    "openings",
    "cutoffs",
    "cutoff_times",
    "bleed_closed_share",
    "warnings",
    "seconds",
)
"""Figures of a result that the plan stores; see `get_columns`."""

TEXT_COLUMNS = ("cutoff_times", "warnings")
"""The columns that are text; the others are numbers."""

SEGMENTS_KEY = "segments"
"""Open segments in a result, on request. The manifest omits them, because they may be many."""


class RecordingResult(NamedTuple):
    """Result of a recording: a worker returns it, the manifest stores it, the observer gets it."""

    status: RecordingState | Literal["started"]
    """`"started"` only in the manifest: the output may be incomplete."""
    output: str = ""
    """Path of the output below the output tree."""
    reason: str | None = None
    """Error message of a failed recording, or the reason why a recording was not gated.

    An observer also receives the reason why a recording was gated."""
    error_code: str | None = None
    """The system's name for the error, such as ENOENT. The manifest omits it."""
    file: str | None = None
    """Real path of the recording."""
    size: int | None = None
    """Size of the recording in bytes."""
    mtime_ns: int | None = None
    digest: str | None = None
    output_size: int | None = None
    output_mtime_ns: int | None = None
    settings_json: str | None = None
    """Settings and output options; see `encoded_settings.encode_settings`."""
    shared: str | None = None
    """Fingerprint of the recordings that share the threshold; None if it is not shared."""
    versions: dict[str, str] = {}  # noqa: RUF012  # never changed; a NamedTuple has no factories
    """Versions of the software that the output depends on."""
    result: dict[str, Any] = {}  # noqa: RUF012
    """See `api.result_data.summarize_result`."""


class Recording(NamedTuple):
    """A recording to gate: found in the input tree, then completed by the plan."""

    name: str
    """Path below the input tree, or the listed name if the file is outside the tree."""
    size: int = 0
    """Size in bytes; 0 if unknown."""
    mtime_ns: int = 0
    reason: str | None = None
    """Reason for the state of the recording; an error message if it cannot be used."""
    output: str = ""
    """Path of the output below the output tree."""
    was_started: bool = False
    """Whether an interrupted batch has started the output, which may be incomplete."""
    previous: RecordingResult | None = None
    """Result of the previous batch for the same output."""


def get_columns(result: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values of `RESULT_COLUMNS` in a result.

    Examples
    --------
    >>> cutoffs = {"count": 2, "worst": [{"time": 1.5}, {"time": 75.25}]}
    >>> get_columns({"duration_s": 90.0, "cutoffs": cutoffs})
    (90.0, None, None, None, None, None, None, 2, '1.5 75.25', None, '', None)
    """
    cutoffs = result.get("cutoffs") or {}
    values = result | {
        "cutoffs": cutoffs.get("count", result.get("chops")),  # the name in version 0.1
        "cutoff_times": " ".join(f"{worst['time']:g}" for worst in cutoffs.get("worst", ())),
        "warnings": "; ".join(result.get("warnings") or ()),
    }
    return tuple(values.get(name) for name in RESULT_COLUMNS)


class ReviewCandidate(NamedTuple):
    """A recording that the user should review."""

    name: str
    reason: str
    closed_share: float
    contrast_db: float | None
    peak_db: float | None
    cutoffs: int
    cutoff_times: str
    """Times of the worst cut-offs in seconds, separated by spaces."""

"""The recordings of a batch, with the state and the result of each.

The recordings are rows of a temporary SQLite database. SQLite moves it to disk when it grows, so
that a million recordings need little memory, and removes it when it is closed or the process dies.
"""

import json
import math
import os
import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from noisegate_cli.batch.discovery import FoundFile
from noisegate_cli.batch.manifest import STATUS_INTERRUPTED, ManifestEntry
from noisegate_cli.files.output_naming import OutputOptions, output_name
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import quote_path

T = TypeVar("T")

RecordingState = Literal["to do", "done", "skipped", "failed"]

PAGE_ROWS = 1000
"""Rows per page of a query or an insert, which limits the memory."""

RESULT_COLUMNS = (
    "duration_s",
    "threshold",
    "noise_floor_db",
    "active_db",
    "peak_db",
    "closed_share",
    "openings",
    "chops",
    "seconds",
)
"""Figures of a result that the plan stores."""

MAX_UNCLIPPED_PEAK_DB = -0.01
MIN_USUAL_CONTRAST_DB = 12.0
MAX_USUAL_CLOSED_SHARE = 0.9

REVIEW_REASONS = (
    "all closed",
    "clipped",
    "little contrast",
    "never closed",
    "cut sounds",
    "mostly closed",
)
"""Reasons to review a recording, worst first."""

_REVIEW_REASON_SQL = f"""CASE
    WHEN openings = 0 THEN 0
    WHEN peak_db > {MAX_UNCLIPPED_PEAK_DB} THEN 1
    WHEN active_db - noise_floor_db < {MIN_USUAL_CONTRAST_DB} THEN 2
    WHEN closed_share = 0 THEN 3
    WHEN chops > 0 THEN 4
    WHEN closed_share > {MAX_USUAL_CLOSED_SHARE} THEN 5
END"""
_RESULT_COLUMNS_SQL = ", ".join(RESULT_COLUMNS)
_SCHEMA = f"""
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE files (
        name BLOB PRIMARY KEY, output BLOB, real BLOB, target BLOB, folder BLOB,
        size INTEGER, mtime_ns INTEGER, state TEXT, why TEXT, {_RESULT_COLUMNS_SQL}
    ) WITHOUT ROWID;
    CREATE TABLE entries (
        output BLOB PRIMARY KEY, file BLOB, status TEXT, size INTEGER, mtime_ns INTEGER,
        digest TEXT, output_size INTEGER, output_mtime_ns INTEGER, recipe TEXT, shared TEXT,
        batch TEXT, {_RESULT_COLUMNS_SQL}
    ) WITHOUT ROWID;
"""
_ROW_COLUMNS_SQL = "f.name, f.output, f.folder, f.size, f.mtime_ns, f.why"
_PREVIOUS_COLUMNS_SQL = (
    "e.file, e.status, e.size, e.mtime_ns, e.digest, e.output_size, e.output_mtime_ns, e.recipe"
)


class PlanRow(NamedTuple):
    """A recording of the plan."""

    name: str
    """Path below the input tree."""
    output: str
    """Path below the output tree."""
    folder: str
    """Directory of the recording, as a path below the input tree."""
    size: int
    mtime_ns: int
    reason: str | None
    """Reason for the state."""


class PreviousResult(NamedTuple):
    """Manifest entry of an output."""

    file: str
    """Path of the recording from which the output was made."""
    status: str
    size: int | None
    mtime_ns: int | None
    digest: str | None
    output_size: int | None
    output_mtime_ns: int | None
    settings_json: str
    """Settings and output options with which the output was made, as JSON."""


class RecordingResult(NamedTuple):
    """State and figures of a recording."""

    name: str
    state: RecordingState
    reason: str | None
    result: dict[str, Any] = {}  # noqa: RUF012  # never changed; a NamedTuple has no factories
    """See `worker.summarize_result`."""


class ReviewCandidate(NamedTuple):
    """A recording that the user should review."""

    name: str
    reason: str
    closed_share: float
    contrast_db: float | None
    peak_db: float | None
    chops: int


class Plan:
    """The recordings of a batch.

    Parameters
    ----------
    root, output
        Directories of the input tree and the output tree.
    options
        Options that determine the names of the outputs.
    """

    def __init__(self, root: Path, output: Path, options: OutputOptions) -> None:
        self._root, self._output, self._options = root, output, options
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        # A single transaction that is never committed: the database is temporary.
        self._db.execute("BEGIN")
        self._db.create_function("clash", 2, self._format_collision)

    def close(self) -> None:
        """Close and discard the database."""
        self._db.close()

    def add(self, found: Iterable[FoundFile]) -> None:
        """Add recordings, ignoring names that the plan already contains."""

        @lru_cache(maxsize=1024)
        def real_folder(tree: Path, folder: str) -> str:
            return os.path.join(os.path.realpath(os.path.join(tree, folder)), "")

        # Resolving paths is slow: each folder is resolved once, and file names only if they are
        # links.
        def row(f: FoundFile) -> tuple[object, ...]:
            folder, name = os.path.split(f.name)
            real = real_folder(self._root, folder) + name
            if os.path.islink(real):
                real = os.path.realpath(real)
            output = output_name(f.name, self._options)
            target = real_folder(self._output, folder) + os.path.basename(output)
            texts = (f.name, output, os.path.normcase(real), os.path.normcase(target), folder)
            state = "failed" if f.error else "to do"
            return *map(os.fsencode, texts), f.size, f.mtime_ns, state, f.error or None

        columns = "name, output, real, target, folder, size, mtime_ns, state, why"
        self._insert(f"OR IGNORE INTO files ({columns})", 9, map(row, found))

    def fail_colliding_outputs(self) -> None:
        """Fail recordings whose output collides with another output or with an input."""
        self._db.execute("CREATE INDEX targets ON files (target, name)")
        self._db.execute("CREATE INDEX reals ON files (real, name)")
        for clash in ("b.real = a.target", "b.target = a.target AND b.name < a.name"):
            self._db.execute(f"""
                UPDATE files AS a SET state = 'failed',
                    why = clash(name, (SELECT b.name FROM files b WHERE {clash} LIMIT 1))
                WHERE state = 'to do' AND EXISTS (SELECT 1 FROM files b WHERE {clash})
            """)

    def load_manifest_entries(self, entries: Iterable[ManifestEntry]) -> None:
        """Load manifest entries; the last of several entries for one output is used."""

        def row(e: ManifestEntry) -> tuple[object, ...]:
            result = e.get("result")
            result = result if isinstance(result, dict) else {}
            return (
                *(os.fsencode(str(e.get(key))) for key in ("output", "file")),
                *(_to_sql_value(e.get(key)) for key in ("status", "size", "mtime_ns", "digest")),
                *(_to_sql_value(e.get(key)) for key in ("output_size", "output_mtime_ns")),
                _add_default_settings(json.dumps([e.get("settings"), e.get("options")])),
                *(_to_sql_value(e.get(key)) for key in ("shared", "batch")),
                *(_to_sql_value(result.get(key)) for key in RESULT_COLUMNS),
            )

        self._insert("OR REPLACE INTO entries", 11 + len(RESULT_COLUMNS), map(row, entries))
        self._db.execute("CREATE INDEX IF NOT EXISTS shares ON entries (shared)")

    def rows(
        self, state: RecordingState = "to do"
    ) -> Iterator[tuple[PlanRow, PreviousResult | None]]:
        """Yield the recordings in a state, sorted by name, with their manifest entries.

        The states may change during the iteration.
        """
        query = f"""
            SELECT {_ROW_COLUMNS_SQL}, {_PREVIOUS_COLUMNS_SQL}
            FROM files f LEFT JOIN entries e ON e.output = f.output
            WHERE f.state = ? AND f.name > ? ORDER BY f.name LIMIT {PAGE_ROWS}
        """
        last = b""
        while page := self._db.execute(query, (state, last)).fetchall():
            last = page[-1][0]
            for values in page:
                name, output, folder = map(os.fsdecode, values[:3])
                row = PlanRow(name, output, folder, *values[3:6])
                file, *previous = values[6:]
                yield (
                    row,
                    PreviousResult(os.fsdecode(file), *previous) if file is not None else None,
                )

    def set_states(self, decisions: Iterable[tuple[str, RecordingState, str]]) -> None:
        """Set the states of recordings from tuples (name, state, reason)."""
        query = "UPDATE files SET state = ?, why = ? WHERE name = ?"
        for page in _split_into_pages(decisions):
            self._db.executemany(query, [(s, reason, os.fsencode(n)) for n, s, reason in page])

    def restore_previous_results(self) -> None:
        """Copy the figures of skipped recordings from their manifest entries."""
        self._db.execute(f"""
            UPDATE files SET ({_RESULT_COLUMNS_SQL}) = (
                SELECT {_RESULT_COLUMNS_SQL} FROM entries e WHERE e.output = files.output
            ) WHERE state = 'skipped'
        """)

    def record_results(self, settled: Iterable[RecordingResult]) -> None:
        """Record the results of recordings."""
        self._db.executemany(
            "UPDATE files SET state = ?, why = ?"
            f"{''.join(f', {key} = ?' for key in RESULT_COLUMNS)} WHERE name = ?",
            (
                (
                    state,
                    reason,
                    *(_to_sql_value(result.get(key)) for key in RESULT_COLUMNS),
                    os.fsencode(name),
                )
                for name, state, reason, result in settled
            ),
        )

    def count(self, state: RecordingState | None = None) -> tuple[int, int]:
        """Return the number and the total bytes of the recordings in a state, or of all."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM files WHERE state = ?1 OR ?1 IS NULL"
        number, size = self._db.execute(query, (state,)).fetchone()
        return number, size

    def reasons(self, state: RecordingState) -> dict[str, int]:
        """Return the number of recordings in a state by reason, most frequent first."""
        query = "SELECT why, count(*) n FROM files WHERE state = ? GROUP BY why ORDER BY n DESC"
        return dict(self._db.execute(query, (state,)))

    def find_shared_threshold(self, fingerprint: str) -> float | None:
        """Return the threshold that the manifest has for recordings with this fingerprint."""
        query = "SELECT recipe FROM entries WHERE shared = ? LIMIT 1"
        for (settings_json,) in self._db.execute(query, (fingerprint,)):
            threshold = json.loads(settings_json)[0]["threshold"]
            return threshold if isinstance(threshold, float) else None
        return None

    def find_recorded_outputs(self, batch: str, outputs: Iterable[str]) -> set[str]:
        """Return the outputs for which `batch` has recorded a manifest entry."""
        query = "SELECT 1 FROM entries WHERE output = ? AND batch = ?"
        return {o for o in outputs if self._db.execute(query, (os.fsencode(o), batch)).fetchone()}

    def find_interrupted_outputs(self) -> list[str]:
        """Return the outputs that a stopped batch has left unfinished."""
        query = "SELECT output FROM entries WHERE status = ?"
        return [os.fsdecode(output) for (output,) in self._db.execute(query, (STATUS_INTERRUPTED,))]

    def folders(self) -> list[str]:
        """Return the folders that contain recordings, as paths below the input tree."""
        return [os.fsdecode(f) for (f,) in self._db.execute("SELECT DISTINCT folder FROM files")]

    def iter_output_names(self, folder: str) -> Iterator[str]:
        """Yield the names of the outputs in a folder."""
        query = "SELECT output FROM files WHERE folder = ?"
        for (output,) in self._db.execute(query, (os.fsencode(folder),)):
            yield os.path.basename(os.fsdecode(output))

    def closed_share(self) -> float:
        """Return the closed share of the total gated time, 0 to 1."""
        query = "SELECT total(closed_share * duration_s), total(duration_s) FROM files"
        closed, seconds = self._db.execute(query + " WHERE state = 'done'").fetchone()
        return closed / seconds if seconds else 0.0

    def find_review_candidates(self, limit: int) -> tuple[list[ReviewCandidate], dict[str, int]]:
        """Return recordings to review, worst first, and their total number by reason."""
        worst = self._db.execute(f"""
            SELECT name, {_REVIEW_REASON_SQL} AS kind, closed_share,
                active_db - noise_floor_db AS contrast, peak_db, chops
            FROM files WHERE state = 'done' AND kind IS NOT NULL
            ORDER BY kind, contrast, chops DESC, closed_share DESC, name LIMIT {limit}
        """)
        kinds = self._db.execute(f"""
            SELECT {_REVIEW_REASON_SQL} AS kind, count(*) FROM files
            WHERE state = 'done' AND kind IS NOT NULL GROUP BY kind ORDER BY kind
        """)
        return (
            [
                ReviewCandidate(os.fsdecode(name), REVIEW_REASONS[kind], *rest)
                for name, kind, *rest in worst
            ],
            {REVIEW_REASONS[kind]: number for kind, number in kinds},
        )

    def iter_table_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield (name, output, state, reason, *RESULT_COLUMNS) of all recordings by name."""
        query = f"SELECT name, output, state, why, {_RESULT_COLUMNS_SQL} FROM files ORDER BY name"
        for name, output, *rest in self._db.execute(query):
            yield os.fsdecode(name), os.fsdecode(output), *rest

    def _insert(self, into: str, columns: int, rows: Iterable[tuple[object, ...]]) -> None:
        query = f"INSERT {into} VALUES ({', '.join('?' * columns)})"
        for page in _split_into_pages(rows):
            self._db.executemany(query, page)

    def _format_collision(self, name: bytes, other: bytes) -> str:
        source, there = (
            quote_path(os.path.join(self._root, os.fsdecode(n))) for n in (name, other)
        )
        return f"{source} would overwrite {there}, or what comes of it"


@lru_cache(maxsize=64)
def encode_settings(settings: GateSettings, options: OutputOptions) -> str:
    """Return settings and output options as canonical JSON; equal settings give equal text."""
    return json.dumps([to_json_dict(settings), to_json_dict(options)], sort_keys=True)


@lru_cache(maxsize=64)
def to_json_dict(value: GateSettings | OutputOptions) -> dict[str, Any]:
    """Return settings as a JSON-compatible dict with None for infinite values.

    The dict is cached and must not be modified.
    """
    return {field.name: _to_json_value(getattr(value, field.name)) for field in fields(value)}


def _to_json_value(value: object) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    try:
        json.dumps(value)
    except TypeError:  # Large values such as noise profiles are only compared, by their digest.
        return blake2b(pickle.dumps(value), digest_size=16).hexdigest()
    return value


@lru_cache(maxsize=1024)
def _add_default_settings(settings_json: str) -> str:
    """Return the settings of a manifest entry with defaults for settings that it lacks.

    Entries of older versions lack newer settings.
    """
    defaults = (to_json_dict(GateSettings()), to_json_dict(OutputOptions()))
    found = json.loads(settings_json)
    both = [d | f if isinstance(f, dict) else f for d, f in zip(defaults, found, strict=True)]
    return json.dumps(both, sort_keys=True)


def _to_sql_value(value: object) -> int | float | str | None:
    """Return `value`, or None if SQLite cannot store it; a manifest may have been edited."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value if isinstance(value, int | float | str) else None


def _split_into_pages(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while page := list(islice(rows, PAGE_ROWS)):
        yield page

"""The recordings of a batch, with the state and the result of each.

The recordings are rows of a temporary SQLite database. SQLite moves it to disk when it grows, so
that a million recordings need little memory, and removes it when it is closed or the process dies.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

from noisegate_cli.batch.encoded_settings import decode_settings
from noisegate_cli.batch.incremental import SKIP_DONE_BEFORE
from noisegate_cli.batch.records import (
    RESULT_COLUMNS,
    Recording,
    RecordingResult,
    RecordingState,
    ReviewCandidate,
    get_columns,
)
from noisegate_cli.errors import OutputError
from noisegate_cli.files.outputs.naming import OutputOptions, output_name
from noisegate_cli.text import quote_path

T = TypeVar("T")

PAGE_ROWS = 1000
"""Rows per page of a query or an insert, which limits the memory."""

MAX_UNCLIPPED_PEAK_DB = -0.01
MIN_USUAL_CONTRAST_DB = 12.0
MAX_USUAL_CLOSED_SHARE = 0.9

REVIEW_REASONS = (
    "all closed",
    "clipped",
    "low contrast",
    "never closed",
    "cut-offs",
    "mostly closed",
    "warnings",
)
"""Reasons to review a recording, worst first."""

_HAS_RESULT_SQL = f"(state = 'done' OR (state = 'skipped' AND why = '{SKIP_DONE_BEFORE}'))"
_REVIEW_REASON_SQL = f"""CASE
    WHEN NOT {_HAS_RESULT_SQL} THEN NULL
    WHEN openings = 0 THEN 0
    WHEN peak_db > {MAX_UNCLIPPED_PEAK_DB} THEN 1
    WHEN active_db - noise_floor_db < {MIN_USUAL_CONTRAST_DB} THEN 2
    WHEN closed_share = 0 THEN 3
    WHEN cutoffs > 0 THEN 4
    WHEN closed_share > {MAX_USUAL_CLOSED_SHARE} THEN 5
    WHEN warnings <> '' THEN 6
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
        digest TEXT, output_size INTEGER, output_mtime_ns INTEGER, settings_json TEXT,
        shared TEXT, {_RESULT_COLUMNS_SQL}
    ) WITHOUT ROWID;
    CREATE TABLE started (output BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_ROW_COLUMNS_SQL = "f.name, f.size, f.mtime_ns, f.why, f.output, s.output IS NOT NULL"
_PREVIOUS_COLUMNS = (
    "status",
    "size",
    "mtime_ns",
    "digest",
    "output_size",
    "output_mtime_ns",
    "settings_json",
    "shared",
)


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
        self._db.create_function("stem", 1, lambda path: os.path.splitext(path)[0])
        self._db.create_function("too_many", 1, self._format_large_folder)

    def close(self) -> None:
        """Close and discard the database."""
        self._db.close()

    def add(self, recordings: Iterable[Recording]) -> None:
        """Add recordings, ignoring names that the plan already contains."""

        @lru_cache(maxsize=1024)
        def real_folder(tree: Path, folder: str) -> str:
            return os.path.join(os.path.realpath(os.path.join(tree, folder)), "")

        # Resolving paths is slow: each folder is resolved once, and file names only if they are
        # links.
        def row(recording: Recording) -> tuple[object, ...]:
            folder, name = os.path.split(recording.name)
            real = real_folder(self._root, folder) + name
            if os.path.islink(real):
                real = os.path.realpath(real)
            output = output_name(recording.name, self._options)
            target = real_folder(self._output, folder) + os.path.basename(output)
            texts = (
                recording.name,
                output,
                os.path.normcase(real),
                os.path.normcase(target),
                folder,
            )
            state = "failed" if recording.reason else "pending"
            return (
                *map(os.fsencode, texts),
                recording.size,
                recording.mtime_ns,
                state,
                recording.reason,
            )

        columns = "name, output, real, target, folder, size, mtime_ns, state, why"
        self._insert(f"OR IGNORE INTO files ({columns})", 9, map(row, recordings))

    def fail_colliding_outputs(self) -> None:
        """Fail recordings whose output collides with another output or with an input."""
        self._db.execute("CREATE INDEX targets ON files (target, name)")
        self._db.execute("CREATE INDEX reals ON files (real, name)")
        for clash in ("b.real = a.target", "b.target = a.target AND b.name < a.name"):
            self._db.execute(f"""
                UPDATE files AS a SET state = 'failed',
                    why = clash(name, (SELECT b.name FROM files b WHERE {clash} LIMIT 1))
                WHERE state = 'pending' AND EXISTS (SELECT 1 FROM files b WHERE {clash})
            """)

    def fail_large_folders(self, max_recordings: int) -> None:
        """Fail the recordings of folders that contain too many to be the tracks of a session."""
        self._db.execute("CREATE INDEX folders ON files (folder, name)")
        self._db.execute(
            """
            UPDATE files SET state = 'failed', why = too_many(name) WHERE state = 'pending'
            AND folder IN (SELECT folder FROM files GROUP BY folder HAVING count(*) > ?)
            """,
            (max_recordings,),
        )

    def list_folder(self, folder: str) -> list[Recording]:
        """Return all recordings in a folder, whatever their state, sorted by name."""
        query = "SELECT name, size, mtime_ns FROM files WHERE folder = ? ORDER BY name"
        return [
            Recording(os.fsdecode(name), size, mtime_ns)
            for name, size, mtime_ns in self._db.execute(query, (os.fsencode(folder),))
        ]

    def load_previous_results(self, results: Iterable[RecordingResult]) -> None:
        """Load the results of previous batches, oldest first."""

        def row(result: RecordingResult) -> tuple[object, ...]:
            return (
                os.fsencode(result.output),
                None if result.file is None else os.fsencode(result.file),
                *(getattr(result, key) for key in _PREVIOUS_COLUMNS),
                *get_columns(result.result),
            )

        marks = ", ".join("?" * (2 + len(_PREVIOUS_COLUMNS) + len(RESULT_COLUMNS)))
        for page in _split_into_pages(results):
            finished_rows = (row(result) for result in page if result.status in ("done", "failed"))
            self._db.executemany(f"INSERT OR REPLACE INTO entries VALUES ({marks})", finished_rows)
            is_started = {os.fsencode(r.output): r.status == "started" for r in page}
            for query, is_insert in (
                ("INSERT OR IGNORE INTO started VALUES (?)", True),
                ("DELETE FROM started WHERE output = ?", False),
            ):
                outputs = ((output,) for output in is_started if is_started[output] is is_insert)
                self._db.executemany(query, outputs)
        self._db.execute("CREATE INDEX IF NOT EXISTS shares ON entries (shared)")

    def recordings(self, state: RecordingState = "pending") -> Iterator[Recording]:
        """Yield the recordings in a state, sorted by name.

        The states may change during the iteration.
        """
        query = f"""
            SELECT {_ROW_COLUMNS_SQL}, e.file, {", ".join(f"e.{key}" for key in _PREVIOUS_COLUMNS)}
            FROM files f
            LEFT JOIN entries e ON e.output = f.output LEFT JOIN started s ON s.output = f.output
            WHERE f.state = ? AND f.name > ? ORDER BY f.name LIMIT {PAGE_ROWS}
        """
        last = b""
        while page := self._db.execute(query, (state, last)).fetchall():
            last = page[-1][0]
            for name, size, mtime_ns, reason, output, was_started, file, *previous_values in page:
                previous = None
                if previous_values[0] is not None:
                    previous = RecordingResult(
                        file=None if file is None else os.fsdecode(file),
                        **dict(zip(_PREVIOUS_COLUMNS, previous_values, strict=True)),
                    )
                yield Recording(
                    os.fsdecode(name),
                    size,
                    mtime_ns,
                    reason,
                    os.fsdecode(output),
                    bool(was_started),
                    previous,
                )

    def set_states(self, decisions: Iterable[tuple[str, RecordingState, str]]) -> None:
        """Set the states of recordings from tuples (name, state, reason)."""
        query = "UPDATE files SET state = ?, why = ? WHERE name = ?"
        for page in _split_into_pages(decisions):
            self._db.executemany(query, [(s, reason, os.fsencode(n)) for n, s, reason in page])

    def restore_previous_results(self) -> None:
        """Copy the figures of skipped recordings from their previous results."""
        self._db.execute(f"""
            UPDATE files SET ({_RESULT_COLUMNS_SQL}) = (
                SELECT {_RESULT_COLUMNS_SQL} FROM entries e WHERE e.output = files.output
            ) WHERE state = 'skipped'
        """)

    def record_results(self, results: Iterable[tuple[str, RecordingResult]]) -> None:
        """Record the results of recordings from tuples (name, result)."""
        self._db.executemany(
            "UPDATE files SET state = ?, why = ?"
            f"{''.join(f', {key} = ?' for key in RESULT_COLUMNS)} WHERE name = ?",
            (
                (
                    result.status,
                    result.reason,
                    *get_columns(result.result),
                    os.fsencode(name),
                )
                for name, result in results
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
        query = "SELECT settings_json FROM entries WHERE shared = ? LIMIT 1"
        for (settings_json,) in self._db.execute(query, (fingerprint,)):
            threshold = decode_settings(settings_json)[0]["threshold"]
            return threshold if isinstance(threshold, float) and 0 <= threshold <= 1 else None
        return None

    def find_started_outputs(self) -> list[str]:
        """Return the outputs that a stopped batch has started and not finished."""
        return [os.fsdecode(output) for (output,) in self._db.execute("SELECT * FROM started")]

    def is_input_or_output(self, path: Path) -> bool:
        """Return whether `path` is a recording of the batch or one of its outputs."""
        query = "SELECT 1 FROM files WHERE real = ?1 OR target = ?1 LIMIT 1"
        real = os.fsencode(os.path.normcase(os.path.realpath(path)))
        return self._db.execute(query, (real,)).fetchone() is not None

    def folders(self) -> list[str]:
        """Return the folders that contain recordings, as paths below the input tree."""
        return [os.fsdecode(f) for (f,) in self._db.execute("SELECT DISTINCT folder FROM files")]

    def iter_output_names(self, folder: str) -> Iterator[str]:
        """Yield the names of the outputs in a folder."""
        query = "SELECT output FROM files WHERE folder = ?"
        for (output,) in self._db.execute(query, (os.fsencode(folder),)):
            yield os.path.basename(os.fsdecode(output))

    def find_outputs_with_same_stem(self) -> set[str]:
        """Return the outputs whose paths differ only in their extensions."""
        query = """
            SELECT output FROM files WHERE stem(target) IN
                (SELECT stem(target) FROM files GROUP BY stem(target) HAVING count(*) > 1)
        """
        return {os.fsdecode(output) for (output,) in self._db.execute(query)}

    def closed_share(self) -> float:
        """Return the closed share of the total gated time, 0 to 1."""
        query = "SELECT total(closed_share * duration_s), total(duration_s) FROM files"
        closed, seconds = self._db.execute(query + " WHERE state = 'done'").fetchone()
        return closed / seconds if seconds else 0.0

    def find_review_candidates(self, limit: int) -> tuple[list[ReviewCandidate], dict[str, int]]:
        """Return recordings to review, worst first, and their total number by reason.

        They include recordings that are skipped because an earlier batch has gated them.
        """
        worst = self._db.execute(f"""
            SELECT name, {_REVIEW_REASON_SQL} AS kind, closed_share,
                active_db - noise_floor_db AS contrast, peak_db, cutoffs,
                cutoff_times
            FROM files WHERE kind IS NOT NULL
            ORDER BY kind, contrast, cutoffs DESC, closed_share DESC, name LIMIT {limit}
        """)
        counts = self._db.execute(f"""
            SELECT {_REVIEW_REASON_SQL} AS kind, count(*) FROM files
            WHERE kind IS NOT NULL GROUP BY kind ORDER BY kind
        """)
        return (
            [
                ReviewCandidate(os.fsdecode(name), REVIEW_REASONS[reason_index], *values)
                for name, reason_index, *values in worst
            ],
            {REVIEW_REASONS[reason_index]: number for reason_index, number in counts},
        )

    def count_warned(self) -> int:
        """Return the number of recordings with warnings, gated by this or an earlier batch."""
        (number,) = self._db.execute(
            f"SELECT count(*) FROM files WHERE {_HAS_RESULT_SQL} AND warnings <> ''"
        ).fetchone()
        return int(number)

    def iter_table_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield (name, output, state, reason, review, *RESULT_COLUMNS) of all recordings by name.

        `review` is the reason to review the recording, empty if there is none.
        """
        query = f"""
            SELECT name, output, state, why, {_REVIEW_REASON_SQL}, {_RESULT_COLUMNS_SQL}
            FROM files ORDER BY name
        """
        for name, output, state, why, review, *values in self._db.execute(query):
            reason = "" if review is None else REVIEW_REASONS[review]
            yield os.fsdecode(name), os.fsdecode(output), state, why, reason, *values

    def _insert(self, into: str, columns: int, rows: Iterable[tuple[object, ...]]) -> None:
        query = f"INSERT {into} VALUES ({', '.join('?' * columns)})"
        for page in _split_into_pages(rows):
            self._db.executemany(query, page)

    def _format_collision(self, name: bytes, other: bytes) -> str:
        source, other_source = (
            quote_path(os.path.join(self._root, os.fsdecode(n))) for n in (name, other)
        )
        return f"{source} would overwrite {other_source} or its output"

    def _format_large_folder(self, name: bytes) -> str:
        source = quote_path(os.path.join(self._root, os.fsdecode(name)))
        return f"{source} is in a folder with too many recordings for the tracks of one session"


@contextmanager
def open_plan(root: Path, output: Path, options: OutputOptions) -> Iterator[Plan]:
    """Yield an empty plan, which is closed on exit.

    Raises
    ------
    OutputError
        If the temporary database cannot be written.
    """
    with closing(Plan(root, output, options)) as plan:
        try:
            yield plan
        except sqlite3.DatabaseError as error:
            # SQLite's reason is useless: after the first error it finds the database damaged.
            raise OutputError(
                "the temporary database of the batch cannot be written: "
                "set TMPDIR to a folder with free space"
            ) from error


def _split_into_pages(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while page := list(islice(rows, PAGE_ROWS)):
        yield page

"""Write the results of all recordings of a batch as CSV."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.records import RESULT_COLUMNS
from noisegate_cli.errors import OutputError
from noisegate_cli.files.outputs.naming import check_extension
from noisegate_cli.files.outputs.partial_files import partial_path
from noisegate_cli.text import quote_path

HEADER = ("file", "output", "status", "status_reason", "review", *RESULT_COLUMNS)

DECIMALS = {
    "duration_s": 3,
    "threshold": 9,
    "noise_floor_db": 2,
    "active_db": 2,
    "peak_db": 2,
    "closed_share": 4,
    "bleed_closed_share": 4,
    "seconds": 3,
}
"""Decimal places of the columns with fractions. A threshold of -100 dB has 4 digits."""

EXTENSIONS = ("csv",)

MESSAGE_COLUMNS = ("status_reason", "warnings")
"""Columns that hold messages of ngate."""

FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of text that a spreadsheet would evaluate."""


def check_csv_path(path: Path) -> None:
    """Check that a report can be written to `path`; only an earlier report is overwritten.

    Raises
    ------
    OutputError
        If the directory does not exist, another file does, or the name has another extension.
    """
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{quote_path(path)} cannot be written: the folder does not exist")
    if path.is_dir():
        raise OutputError(f"{quote_path(path)} is a folder: give a file name")
    try:
        is_foreign = path.is_file() and not _is_report(path)
    except OSError as error:
        raise _make_write_error(path, error) from error
    if is_foreign:
        raise OutputError(
            f"{quote_path(path)} already exists and is not the report of a batch: "
            "give csv_path= another name"
        )
    if not _is_device(path):
        check_extension(path, "report", EXTENSIONS)


def check_csv_is_no_recording(path: Path, output: Path, plan: Plan) -> None:
    """Check that a report would not take the place of a file of the batch.

    Raises
    ------
    OutputError
        If `path` is a recording, an output or the manifest.
    """
    if plan.is_input_or_output(path) or (
        os.path.realpath(path) == os.path.realpath(output / MANIFEST_NAME)
    ):
        raise OutputError(
            f"{quote_path(path)} is a file of this batch: give csv_path= another name"
        )


def write_csv(path: Path, plan: Plan, reword: Callable[[str], str] = str) -> None:
    """Write the results of all recordings as CSV, atomically if `path` is a regular file.

    `reword` rewords a message for the reader.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    check_csv_path(path)
    try:
        with _open_report(path) as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            for row in plan.iter_table_rows():
                writer.writerow(escape_formulas(_format_cells(row, reword)))
    except OSError as error:
        raise _make_write_error(path, error) from error


def _is_report(path: Path) -> bool:
    """Return whether a file is a report, or empty."""
    start = ",".join(HEADER[:3]).encode()
    with path.open("rb") as file:
        return file.read(len(start)) in (start, b"")


def _is_device(path: Path) -> bool:
    """Return whether a path is a device or a named pipe, which is never replaced."""
    return path.exists() and not path.is_file()


@contextmanager
def _open_report(path: Path) -> Iterator[TextIO]:
    is_device = _is_device(path)
    real = Path(os.path.realpath(path))
    partial = path if is_device else partial_path(real)
    try:
        with partial.open(
            "w" if is_device else "x", newline="", encoding="utf-8", errors="backslashreplace"
        ) as file:
            yield file
        if not is_device:
            partial.replace(real)
    except BaseException:
        if not is_device:
            partial.unlink(missing_ok=True)
        raise


def _format_cells(row: tuple[object, ...], reword: Callable[[str], str]) -> Iterator[object]:
    """Yield the cells of a row: numbers rounded as their columns require, messages reworded."""
    for column, cell in zip(HEADER, row, strict=False):
        if isinstance(cell, float) and column in DECIMALS:
            yield round(cell, DECIMALS[column])
        elif isinstance(cell, str) and column in MESSAGE_COLUMNS:
            yield reword(cell)
        else:
            yield cell


def escape_formulas(row: Iterable[object]) -> list[object]:
    """Return a row in which a spreadsheet evaluates no text."""
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_PREFIXES) else cell
        for cell in row
    ]


def _make_write_error(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{quote_path(path)} cannot be written: {error.strerror}")

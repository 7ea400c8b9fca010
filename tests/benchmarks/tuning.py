"""Read and renew the records of the tuned constants in docs/tuning.md."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.constants import Value

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "tuning.md"


@dataclass
class Record:
    """A row of docs/tuning.md, split into cells."""

    line: int
    constant: str
    value: Value
    cells: list[str]

    @property
    def criterion(self) -> str:
        """The criterion by which values are compared; empty if the constant is not tuned."""
        return self.cells[4] if len(self.cells) == 7 else ""


def read_records(text: str) -> list[Record]:
    """Return the rows that describe a constant.

    A row with seven cells is the record of a tuned constant: constant, value, what it does, chosen
    on, judged by, sweep, verdict. Its heading is the path of its module. A row
    with four cells is a constant that is not tuned: module, constant, value, reason.
    """
    records, module = [], ""
    for number, line in enumerate(text.splitlines()):
        if heading := re.fullmatch(r"#+ `(.*)\.py`", line):
            module = heading[1]
        if not re.match(r"\| `", line):
            continue
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        place = cells[0].strip("`").removesuffix(".py") if len(cells) == 4 else module
        name, value = cells[1:3] if len(cells) == 4 else cells[:2]
        if len(cells) in (4, 7) and name.strip("`").isupper():
            constant = f"{place.replace('/', '.')}.{name.strip('`')}"
            records.append(Record(number, constant, parse_value(value), cells))
    return records


def parse_value(cell: str) -> Value:
    """Return the value in a cell such as "`150.0` ms"."""
    value: Value = ast.literal_eval(cell.split("`")[1])
    return value


def renew_record(text: str, constant: str, value: Value, sweep: str, verdict: str) -> str:
    """Return the document with the value, the sweep and the verdict of a record renewed."""
    record = next(r for r in read_records(text) if r.constant == constant)
    cells = list(record.cells)
    cells[1] = re.sub("`.*?`", f"`{value}`", cells[1])
    cells[5:] = [sweep, verdict]
    lines = text.splitlines()
    lines[record.line] = f"| {' | '.join(cells)} |"
    return "\n".join(lines) + "\n"


def renew_scores(text: str, name: str, scores: str) -> str:
    """Return the document with the scores of the current values renewed."""
    return re.sub(rf"(?m)^\| {name} \|.*$", f"| {name} | {scores} |", text)

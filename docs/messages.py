"""List all messages in one table, to read them through: `python -m docs.messages`."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "noisegate_cli"

MIN_WORDS = 2

SQL_WORDS = ("SELECT", "INSERT", "UPDATE", "CREATE", "DELETE", "WHERE", "PRAGMA")


class Message(NamedTuple):
    """A text in the source."""

    module: str
    line: int
    text: str


def collect_messages() -> Iterator[Message]:
    """Yield all texts of the package with several words, except docstrings, types and SQL."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        hidden = {id(node) for parent in ast.walk(tree) for node in _find_hidden(parent)}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and id(node) not in hidden and (text := _get_text(node)):
                is_sql = any(word in text for word in SQL_WORDS)
                if len(text.split()) >= MIN_WORDS and not is_sql:
                    module = path.relative_to(PACKAGE).as_posix()
                    yield Message(module, node.lineno, " ".join(text.split()))


def _find_hidden(parent: ast.AST) -> Iterator[ast.AST]:
    """Yield the docstrings, the annotations and the parts of f-strings directly below a node."""
    if isinstance(parent, ast.Module | ast.ClassDef | ast.FunctionDef):
        for statement in parent.body:
            if isinstance(statement, ast.Expr):
                yield statement.value
    if isinstance(parent, ast.JoinedStr):
        yield from (node for node in ast.walk(parent) if node is not parent)
    for field in ("annotation", "returns"):
        # A help text stands in the metadata of an annotation, a type in quotes stands alone.
        if isinstance(node := getattr(parent, field, None), ast.Constant):
            yield node


def _get_text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    return ""


if __name__ == "__main__":
    for message in collect_messages():
        print(f"{message.module}:{message.line}\t{message.text}")

"""What may import what: arrows never run back up."""

import ast
from pathlib import Path

import noisegate_cli

PACKAGE = Path(noisegate_cli.__file__).parent
STANDARD = {
    "collections",
    "concurrent",
    "dataclasses",
    "functools",
    "math",
    "re",
    "types",
    "typing",
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_the_core_knows_arrays_and_nothing_else():
    allowed = STANDARD | {"numpy", "librosa", "scipy"}
    for path in (PACKAGE / "gating").glob("*.py"):
        for name in imported(path):
            if not name.startswith(("noisegate_cli.gating", "noisegate_cli.errors")):
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


def test_the_layers_below_the_command_line_know_no_terminal():
    above = {f"noisegate_cli.{m}" for m in ("cli", "console", "report", "tables")}
    files = "formats pcm wav sndfile pyav pipes tags audio writer output naming partials process"
    lower = [PACKAGE / f"{name}.py" for name in (*files.split(), "units", "errors")]
    for path in (*lower, *(PACKAGE / "batch").glob("*.py")):
        for module in imported(path):
            assert module.split(".")[0] not in ("typer", "rich", "tqdm")
            assert module not in above


def test_reading_knows_nothing_of_writing_and_neither_knows_the_gate():
    for name in ("formats", "pcm", "wav", "sndfile", "pyav", "pipes", "tags", "audio"):
        for module in imported(PACKAGE / f"{name}.py"):
            assert module not in ("noisegate_cli.writer", "noisegate_cli.output"), name
    for name in ("audio", "writer", "output"):
        for module in imported(PACKAGE / f"{name}.py"):
            assert module != "noisegate_cli.process", name


def test_pyav_and_mutagen_are_imported_in_one_module_each():
    for path in PACKAGE.glob("*.py"):
        found = {module.split(".")[0] for module in imported(path)}
        assert "av" not in found or path.name == "pyav.py"
        assert "mutagen" not in found or path.name == "tags.py"

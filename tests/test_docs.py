"""The README, the changelog and the documents for contributors agree with the code."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import noisegate_cli
from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.options import GATE_OPTIONS
from tests.conftest import loud_and_quiet

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_option_with_its_preset_values():
    rows = {}
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].split(", ")[-1].strip("`")] = cells[2:]
    for name, option in GATE_OPTIONS.items():
        values = rows[option.flags[0]]
        if not any(values):
            continue
        for preset, documented in zip(PRESETS.values(), values, strict=True):
            value = getattr(preset.resolved, name)
            expected = {None: "auto", MUTE: "mute", -MUTE: "mute"}.get(value, value)
            if isinstance(expected, float | int):
                expected = (
                    f"{expected:g}dB" if name in ("range_db", "reduction_db") else f"{expected:g}"
                )
            assert documented == expected, f"{option.flags[0]} of a preset"


def test_the_readme_lists_every_batch_option():
    from typer.main import get_command

    from noisegate_cli.terminal.cli import app

    gate_flags = {flag for option in GATE_OPTIONS.values() for flag in option.flags}
    for parameter in get_command(app).commands["batch"].params:
        for flag in (*parameter.opts, *parameter.secondary_opts):
            if flag.startswith("-") and flag not in gate_flags:
                assert f"`{flag}" in README, flag


def test_the_citation_names_the_last_version_of_the_changelog():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.search(r"^version: (.*)$", citation, re.M)[1]
    assert version == noisegate_cli.__version__
    assert version == re.search(r"^## (\d\S*)", changelog, re.M)[1]


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    assert targets == re.findall(r"^([a-z]+):.*## \S", makefile, re.M)


def test_the_readme_names_existing_make_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make (\w+)", README):
        assert f"\n{target}:" in makefile
    assert {"demo", "test"} <= set(re.findall(r"make (\w+)", README))


def test_the_pictures_of_the_readme_exist():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).stat().st_size > 1000


def test_the_changelog_has_an_entry_for_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {noisegate_cli.__version__}" in changelog


def test_the_python_example_of_the_readme_runs(tmp_path, monkeypatch, write):
    y = np.tile(loud_and_quiet(44100), 3)
    write(y, "file.wav", 44100)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {"y": y, "blocks": np.array_split(y, 7)}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        exec(example, names)
    assert (tmp_path / "clean.wav").exists()
    assert np.concatenate(names["clean"]).shape == y.shape


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_and_tests_that_a_document_mentions_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:\w+/)+[\w.-]+)`", text):
        candidates = (ROOT / path, ROOT / "noisegate_cli" / path)
        assert any(candidate.exists() for candidate in candidates), path
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    for test in re.findall(r"`(test_\w+)`", text):
        assert any(f"def {test}(" in source for source in sources), test

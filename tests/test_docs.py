"""The README, the changelog and the documents for contributors agree with the code."""

import re
from pathlib import Path

import pytest

import noisegate_cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


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
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.M):
        assert f"\n{target}:" in makefile
    assert {"demo", "test"} <= set(re.findall(r"^make (\w+)", README, re.M))


def test_the_pictures_of_the_readme_exist():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).stat().st_size > 1000


def test_the_changelog_has_an_entry_for_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {noisegate_cli.__version__}" in changelog


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_and_tests_that_a_document_mentions_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:\w+/)+[\w.-]+)`", text):
        candidates = (ROOT / path, ROOT / "noisegate_cli" / path)
        assert any(candidate.exists() for candidate in candidates), path
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    for test in re.findall(r"`(test_\w+)`", text):
        assert any(f"def {test}(" in source for source in sources), test

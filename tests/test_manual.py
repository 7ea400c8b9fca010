"""The commands, Python blocks, options and links of the README and the manual are right."""

import io
import re
import shlex
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from docs.options_page import PAGE, build_page
from noisegate_cli.terminal.cli import run
from tests.sessions import RATE, make_session

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = [page for page in PAGES if page.name == "README.md" or page.parent.name != "docs"]
GUIDES += [
    ROOT / "docs" / name
    for name in ("tutorial.md", "labels.md", "batches.md", "presets.md", "index.md")
]
RECORDINGS = ["interview.wav", "episode.wav", "dawn.wav", "take.wav", "file.wav", "film.mkv"]
RECORDINGS += ["music.wav", "voice.wav"]


def page_id(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """The current folder, with recordings that have the names used in the manual."""
    y, rate = sf.read(ROOT / "tests/data/jfk_1961.wav", stop=4 * 16_000)
    for name in RECORDINGS:
        target = (tmp_path / name).with_suffix(".wav")
        sf.write(target, np.column_stack([y, y]) if name == "episode.wav" else y, rate)
        target.rename(tmp_path / name)
    (host, guest), _ = make_session(bleed_db=-12.0)
    (tmp_path / "session").mkdir()
    for folder in (tmp_path, tmp_path / "session"):
        sf.write(folder / "host.wav", host, RATE)
        sf.write(folder / "guest.wav", guest, RATE)
    sf.write(tmp_path / "call.wav", np.column_stack([host, guest]), RATE)
    for folder in ("recordings", "corpus"):
        (tmp_path / folder).mkdir()
        shutil.copy(tmp_path / "file.wav", tmp_path / folder / "first.wav")
    (tmp_path / "train.txt").write_text("corpus/first.wav\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "data").symlink_to(ROOT / "tests" / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path / "config")
    return tmp_path


def commands(page):
    """Return the ngate commands in the code blocks and the tables of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:console)?\n(.*?)```", text, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    lines += re.findall(r"\| `(ngate \w+ [a-z./][^`]*)` \|", text)
    found = [line.partition("  #")[0].strip() for line in lines if line.startswith("ngate ")]
    needs_more = r"\||COMMAND|--install-completion|--cluster|OPTIONS"
    return [line for line in found if not re.search(needs_more, line)]


@pytest.mark.parametrize("page", GUIDES, ids=page_id)
def test_the_commands_of_a_page_run(page, recordings):
    for line in commands(page):
        _, *arguments = shlex.split(line)
        if arguments[0] == "batch":
            arguments += ["-j", "1"]
        elif arguments[0] == "gate" and not {"-f", "--force"} & set(arguments):
            arguments += ["--force"]
        stderr = io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(stderr):
            status = run(arguments)
        assert status == 0, f"{line}: {stderr.getvalue()}"


def test_the_manual_has_commands():
    assert sum(len(commands(page)) for page in GUIDES) > 25


@pytest.mark.parametrize("page", [p for p in GUIDES if "```python" in p.read_text()], ids=page_id)
def test_the_python_blocks_of_a_page_run(page, recordings):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        with redirect_stdout(io.StringIO()):
            exec(block, names)
    assert names.keys() & {"y", "gate_file"}


def test_the_page_of_options_is_current():
    assert PAGE.read_text(encoding="utf-8") == build_page(), "run python -m docs.options_page"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_options_are_code_because_hyphens_in_text_become_dashes(page):
    code = r"(?s:```.*?```)|`[^`]*`|<!--.*?-->|^ {4}.*$"
    text = re.sub(code, "", page.read_text(encoding="utf-8"), flags=re.M)
    assert re.findall(r"--[a-z]\S*", text) == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_of_a_page_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists() or target in ("install", "tutorial"), target

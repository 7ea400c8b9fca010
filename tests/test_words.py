"""All texts that a user sees are plain modern technical English, in American spelling."""

import re
from pathlib import Path

import pytest

from docs.messages import PACKAGE, collect_messages
from noisegate_cli.page.document import SCRIPTS

ROOT = Path(__file__).parent.parent

UNCLEAR_WORDS = r"""
    parts? \s noise | don't \s part | broke \s off | breaks? \s off | cut \s short | turned \s down
    | told | tells? | heard | hears | chops? | at \s the \s most | learnt | colours? | behaviour
    | centres? | recognis\w+ | minimis\w+ | normalis\w+ | analys(?:e|ed|ing) | goes \s by
    | dealt \s with | made \s anew | taken \s for | taken \s away | left \s out | leave \s out
    | (?:no|nothing) \s but | all \s the \s same | sound \s tracks? | let \s the \s name
    | what \s comes \s of | (?<!there\s)(?:is|are) \s no | next \s to \s no
    | \w+n't
"""
PATTERN = re.compile(rf"\b(?:{UNCLEAR_WORDS})\b", re.IGNORECASE | re.VERBOSE)

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DEVELOPER_DOCUMENTS = ["tuning.md", "architecture.md"]


def test_the_messages_of_the_package_have_no_unclear_words():
    messages = list(collect_messages())
    assert len(messages) > 300
    assert [message for message in messages if PATTERN.search(message.text)] == []


@pytest.mark.parametrize("name", [*SCRIPTS, "template.html"])
def test_the_page_has_no_unclear_words(name):
    lines = (PACKAGE / "page" / name).read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines for text in re.findall(r'"[^"]* [^"]*"|`[^`]+`|>[^<]+<', line)]
    assert [text for text in texts if PATTERN.search(text)] == []


@pytest.mark.parametrize(
    "page", [p for p in DOCUMENTS if p.name not in DEVELOPER_DOCUMENTS], ids=lambda p: p.name
)
def test_the_guides_have_no_unclear_words(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if PATTERN.search(line)] == []


@pytest.mark.parametrize("text", ["It parts noise", "was told", "a chop", "is no number"])
def test_unclear_words_are_found(text):
    assert PATTERN.search(text)

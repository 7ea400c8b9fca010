"""All texts that a user sees are plain modern technical English, in American spelling."""

import io
import re
import tokenize
from pathlib import Path

import pytest

from docs.messages import PACKAGE, collect_messages
from noisegate_cli.page.document import SCRIPTS

ROOT = Path(__file__).parent.parent

UNCLEAR_PHRASES = r"""
    that \s of | so \s many | taken \s for | left \s (?:out|alone) | told \s (?:apart|from)
    | nothing \s but | (?:all|every) \s \w+ \s but \s the | at \s the \s most | anew
    | (?<!there\s)(?:is|are) \s no (?!\s (?:longer|\w+er \s than)\b)
"""
PHRASES = re.compile(rf"\b(?:{UNCLEAR_PHRASES})\b", re.IGNORECASE | re.VERBOSE)

UNCLEAR_WORDS = rf"""
    parts? \s noise | don't \s part | broke \s off | breaks? \s off | cut \s short | turned \s down
    | told | tells? | heard | hears | chops? | learnt | colours? | behaviour
    | centres? | recognis\w+ | minimis\w+ | normalis\w+ | analys(?:e|ed|ing) | goes \s by
    | dealt \s with | taken \s away | leave \s out
    | no \s but | all \s the \s same | sound \s tracks? | let \s the \s name
    | what \s comes \s of | next \s to \s no
    | \w+n't | stretch(?:es)? | in \s step | of \s (?:its|their|your) \s own | \d \s % \s \w+
    | {UNCLEAR_PHRASES}
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


def explanations(path):
    """Yield the comments and the docstrings of a module, each in one line."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    for token in tokens:
        if token.type == tokenize.COMMENT or token.string.startswith('"""'):
            yield " ".join(token.string.replace("#", "").split())


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in PACKAGE.rglob("*.py")}), ids=lambda p: p.name
)
def test_comments_and_docstrings_have_no_unclear_phrases(folder):
    texts = [text for path in folder.glob("*.py") for text in explanations(path)]
    assert texts
    assert [text for text in texts if PHRASES.search(text)] == []


@pytest.mark.parametrize(
    "path",
    [*DOCUMENTS, ROOT / "CONTRIBUTING.md", *sorted((PACKAGE / "page").glob("*.[jc]s*"))],
    ids=lambda path: path.name,
)
def test_documents_and_scripts_have_no_unclear_phrases(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if PHRASES.search(line)] == []


def test_the_names_of_tests_have_no_unclear_phrases():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    names = [name for source in sources for name in re.findall(r"def test_(\w+)", source)]
    assert len(names) > 1000
    sentences = [name.replace("_", " ") for name in names]
    assert [sentence for sentence in sentences if PHRASES.search(sentence)] == []


@pytest.mark.parametrize(
    "text",
    ["It parts noise", "was told", "a chop", "is no number", "a stretch of noise", "5 % less"],
)
def test_unclear_words_are_found(text):
    assert PATTERN.search(text)


@pytest.mark.parametrize("text", ["the gain is that of a gate", "tones are no noise", "so many"])
def test_unclear_phrases_are_found(text):
    assert PHRASES.search(text)
    assert PATTERN.search(text)


@pytest.mark.parametrize(
    "text", ["there is no noise", "it is no longer there", "it is no later than now"]
)
def test_plain_negations_are_accepted(text):
    assert not PATTERN.search(text)

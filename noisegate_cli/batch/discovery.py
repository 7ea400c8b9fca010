"""Which recordings a batch takes."""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from pathlib import Path, PurePath
from typing import IO, NamedTuple

from noisegate_cli.errors import AudioError
from noisegate_cli.files.formats import READ_ONLY_EXTENSIONS, WRITABLE_EXTENSIONS
from noisegate_cli.text import quote_path

AUDIO_EXTENSIONS = frozenset((*WRITABLE_EXTENSIONS, *READ_ONLY_EXTENSIONS))

LIST_CHUNK_BYTES = 1 << 16
"""Bytes of a list of names."""


class FoundFile(NamedTuple):
    """A recording, or what looks like one."""

    name: str
    """Path below the root; or as it was listed, when it is not below it."""
    size: int = 0
    """Bytes; 0 where that can't be told."""
    mtime_ns: int = 0
    error: str = ""
    """Why it can't even be tried."""


@dataclass(frozen=True, slots=True)
class GlobPatterns:
    """Globs that say which recordings are wanted.

    A pattern without a slash is one of names, at any depth; one with a slash is one of paths below
    the root. `*` stands for slashes too. What excludes a folder excludes all below it.

    Examples
    --------
    >>> patterns = GlobPatterns(include=("*.wav",), exclude=("raw", "take1/*"))
    >>> [patterns.matches(name) for name in ("a.wav", "a.flac", "raw/a.wav", "take1/b/a.wav")]
    [True, False, False, False]
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def matches(self, name: str) -> bool:
        """Whether the recording at this path below the root is wanted."""
        if not (self.include or self.exclude):
            return True
        path = PurePath(name).as_posix()
        if self.include and not _matches(path, tuple(self.include)):
            return False
        while self.exclude and path:
            if _matches(path, tuple(self.exclude)):
                return False
            path = path.rpartition("/")[0]
        return True

    def should_enter(self, folder: str) -> bool:
        """Whether anything below this folder may be wanted; its own parents are."""
        path = PurePath(folder).as_posix()
        return not (self.exclude and _matches(path, tuple(self.exclude)))


def walk_tree(root: Path, output: Path, patterns: GlobPatterns) -> Iterator[FoundFile]:
    """Yield the recordings below `root`, in no order.

    Hidden files and folders are left out, folders behind links too, and `output` itself where it
    lies inside `root`. A folder that can't be read is one `FoundFile` with an error.
    """
    inside = os.path.relpath(os.path.realpath(output), os.path.realpath(root))
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = os.path.join(folder, entry.name) if folder else entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if name != inside and patterns.should_enter(name):
                            folders.append(name)
                    elif _get_extension(name) in AUDIO_EXTENSIONS and patterns.matches(name):
                        found = _stat_file(name, entry)
                        if found is not None:
                            yield found
        except OSError as error:
            why = f"{quote_path(root / folder)} can't be read: {error.strerror}"
            yield FoundFile(folder or ".", error=why)


def find_listed(root: Path, names: Iterable[str], patterns: GlobPatterns) -> Iterator[FoundFile]:
    """Yield the recordings that a list names, below the current directory or below `root`."""
    here = os.path.abspath(root)
    real = os.path.realpath(root)
    for name in names:
        path = name if os.path.lexists(name) else os.path.join(here, name)
        below = os.path.relpath(os.path.abspath(path), here)
        if _is_outside(below):
            folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
            below = os.path.relpath(os.path.join(folder, os.path.basename(path)), real)
        if _is_outside(below):
            why = (
                f"{quote_path(name)} is not below {quote_path(root)}: "
                "give the directory that holds it"
            )
            yield FoundFile(name, error=why)
        elif patterns.matches(below):
            why = f"{quote_path(name)} is a directory: list the recordings in it"
            yield _stat_file(below, Path(path)) or FoundFile(below, error=why)


def read_names(source: str, separator: bytes) -> Iterator[str]:
    r"""Yield the names in a file, or on stdin for "-", that are separated by b"\n" or b"\0".

    Raises
    ------
    AudioError
        When there is no such file.
    """
    with ExitStack() as stack:
        file: IO[bytes] = sys.stdin.buffer
        try:
            if source != "-":
                file = stack.enter_context(Path(source).open("rb"))
            rest = b""
            while part := file.read(LIST_CHUNK_BYTES):
                *names, rest = (rest + part).split(separator)
                yield from _decode_names(names, separator)
            yield from _decode_names([rest], separator)
        except OSError as error:
            raise AudioError(
                f"the list {quote_path(source)} can't be read: {error.strerror}: "
                "give --from-file a file"
            ) from error


def _stat_file(name: str, file: "os.DirEntry[str] | Path") -> FoundFile | None:
    """Return a recording, or nothing for a directory that is called like one."""
    try:
        status = file.stat()
    except OSError:  # a link to nowhere, or in a circle: it is tried, and then named
        return FoundFile(name)
    if stat.S_ISDIR(status.st_mode):
        return None
    return FoundFile(name, status.st_size, status.st_mtime_ns)


def _get_extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_outside(below: str) -> bool:
    return below.split(os.sep, 1)[0] == ".." or os.path.isabs(below)


def _decode_names(names: list[bytes], separator: bytes) -> Iterator[str]:
    for name in names:
        text = os.fsdecode(name.removesuffix(b"\r") if separator == b"\n" else name)
        if text:
            yield text


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    names, paths = _compile_patterns(patterns)
    if names and names.fullmatch(path.rpartition("/")[2]):
        return True
    return bool(paths and paths.fullmatch(path))


@cache
def _compile_patterns(
    patterns: tuple[str, ...],
) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Return what patterns say of names, and what they say of paths."""
    plain = [pattern.rstrip("/").removeprefix("./") for pattern in patterns]
    names = [translate(p) for p in plain if "/" not in p]
    paths = [translate(p.removeprefix("/")) for p in plain if "/" in p]
    return (
        re.compile("|".join(names)) if names else None,
        re.compile("|".join(paths)) if paths else None,
    )

"""Find the recordings of a batch."""

import os
import re
import stat
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from pathlib import Path, PurePath
from typing import IO

from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.batch.records import Recording
from noisegate_cli.errors import AudioError
from noisegate_cli.files.formats import READ_ONLY_EXTENSIONS, WRITABLE_EXTENSIONS
from noisegate_cli.files.outputs.naming import source_stem
from noisegate_cli.text import quote_path

AUDIO_EXTENSIONS = frozenset((*WRITABLE_EXTENSIONS, *READ_ONLY_EXTENSIONS))

LIST_CHUNK_BYTES = 1 << 16
"""Bytes to read at a time from a list of names."""


@dataclass(frozen=True, slots=True)
class GlobPatterns:
    """Glob patterns that select recordings.

    A pattern without a slash matches file names at any depth. A pattern with a slash matches paths
    below the root. `*` also matches slashes. A pattern that excludes a folder excludes its content.

    Examples
    --------
    >>> patterns = GlobPatterns(include=("*.wav",), exclude=("raw", "take1/*"))
    >>> [patterns.matches(name) for name in ("a.wav", "a.flac", "raw/a.wav", "take1/b/a.wav")]
    [True, False, False, False]
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def matches(self, name: str) -> bool:
        """Return whether the patterns select the recording at this path below the root."""
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
        """Return whether the folder is not excluded, given that its parents are not."""
        path = PurePath(folder).as_posix()
        return not (self.exclude and _matches(path, tuple(self.exclude)))


class SkippedFiles:
    """Files inside an input tree that are not gated: outputs of ngate, and other files."""

    def __init__(self) -> None:
        self.output_files = 0
        """Number of files named like an output next to their recording, such as a_gated.wav."""
        self.other_files = 0
        """Number of files that do not have the extension of a recording."""
        self.output_folders: list[str] = []
        """Folders with the manifest of a batch."""
        self._folder = ""
        self._stems: frozenset[str] = frozenset()

    @property
    def has_only_other_files(self) -> bool:
        """Whether a tree without recordings is probably the wrong one."""
        return bool(self.other_files and not (self.output_files or self.output_folders))

    def add_output_folder(self, path: str) -> bool:
        """List a folder if it is the output of a batch; return whether it is."""
        is_output = os.path.lexists(os.path.join(path, MANIFEST_NAME))
        if is_output:
            self.output_folders.append(path)
        return is_output

    def add_output_file(self, path: str) -> bool:
        """Count a file if it is named like an output next to a recording; return whether it is."""
        folder, name = os.path.split(path)
        stem = source_stem(name)
        if stem is None:
            return False
        if folder != self._folder:
            self._folder, self._stems = folder, _list_stems(folder)
        self.output_files += stem in self._stems
        return stem in self._stems


def walk_tree(
    root: Path, output: Path, patterns: GlobPatterns, skipped: SkippedFiles | None = None
) -> Iterator[Recording]:
    """Yield the recordings below `root` in arbitrary order.

    Hidden files, hidden folders and symbolic links to folders are skipped, and `output` too if it
    is inside `root`. Other outputs of ngate, and other files, are skipped and added to `skipped`.
    A folder that cannot be read yields one `Recording` with an error.
    """
    skipped = skipped or SkippedFiles()
    output_name = _relative_path(os.path.realpath(output), os.path.realpath(root))
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            for name, entry in _list_visible(root, folder):
                if entry.is_dir(follow_symlinks=False):
                    is_entered = name != output_name and patterns.should_enter(name)
                    if is_entered and not skipped.add_output_folder(entry.path):
                        folders.append(name)
                elif _get_extension(name) not in AUDIO_EXTENSIONS:
                    skipped.other_files += 1
                elif (
                    patterns.matches(name)
                    and not skipped.add_output_file(entry.path)
                    and (recording := _stat_file(name, entry))
                ):
                    yield recording
        except OSError as error:
            reason = f"{quote_path(root / folder)} cannot be read: {error.strerror}"
            yield Recording(folder or ".", reason=reason)


def _list_visible(root: Path, folder: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield the entries of a folder that are not hidden, with their paths below `root`."""
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield os.path.join(folder, entry.name) if folder else entry.name, entry


def find_listed(root: Path, names: Iterable[str], patterns: GlobPatterns) -> Iterator[Recording]:
    """Yield listed recordings, with names relative to the current directory or to `root`."""
    absolute_root = os.path.abspath(root)
    real_root = os.path.realpath(root)
    for name in names:
        path = name if os.path.lexists(name) else os.path.join(absolute_root, name)
        relative = _relative_path(os.path.abspath(path), absolute_root)
        if _is_outside(relative):
            folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
            relative = _relative_path(os.path.join(folder, os.path.basename(path)), real_root)
        if not os.path.lexists(path):
            yield Recording(name, reason=f"{quote_path(name)} does not exist: check the list")
        elif _is_outside(relative):
            reason = (
                f"{quote_path(name)} is not in {quote_path(root)}: give the folder that contains it"
            )
            yield Recording(name, reason=reason)
        elif patterns.matches(relative):
            reason = f"{quote_path(name)} is a folder: list the recordings in it"
            yield _stat_file(relative, Path(path)) or Recording(relative, reason=reason)


def read_names(source: str, null_separated: bool = False) -> Iterator[str]:
    """Yield the names from a file, or from stdin for "-".

    Parameters
    ----------
    source
        Path of the file.
    null_separated
        Whether each name ends in NUL, not in a line break.

    Raises
    ------
    AudioError
        If the file cannot be read, or if it is separated by NUL unexpectedly.
    """
    separator = b"\0" if null_separated else b"\n"
    with ExitStack() as stack:
        file: IO[bytes] = sys.stdin.buffer
        try:
            if source != "-":
                file = stack.enter_context(Path(source).open("rb"))
            unfinished, is_start = b"", True
            while chunk := file.read(LIST_CHUNK_BYTES):
                if is_start:  # Programs for Windows begin UTF-8 with a byte order mark.
                    chunk, is_start = chunk.removeprefix(BOM_UTF8), False
                if not null_separated and b"\0" in chunk:
                    raise AudioError(
                        f"the names in {quote_path(source)} end with NUL, not with a line break: "
                        "add null_separated=True"
                    )
                *names, unfinished = (unfinished + chunk).split(separator)
                yield from _decode_names(names, separator)
            yield from _decode_names([unfinished], separator)
        except AudioError:
            raise
        except OSError as error:
            raise AudioError(
                f"the list {quote_path(source)} cannot be read: {error.strerror}: "
                "give names_file= a file"
            ) from error


def _stat_file(name: str, file: "os.DirEntry[str] | Path") -> Recording | None:
    """Return the file with size and time, or None if it is a directory."""
    try:
        status = file.stat()
    except OSError:  # A broken or circular link: gating it reports the error.
        return Recording(name)
    if stat.S_ISDIR(status.st_mode):
        return None
    return Recording(name, status.st_size, status.st_mtime_ns)


def _list_stems(folder: str) -> frozenset[str]:
    """Return the names of the recordings in a folder without their extensions."""
    return frozenset(
        os.path.splitext(name)[0]
        for name in os.listdir(folder)
        if _get_extension(name) in AUDIO_EXTENSIONS
    )


def _get_extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _relative_path(path: str, start: str) -> str:
    """Return an absolute path relative to `start`, unchanged if it is on another drive."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return path


def _is_outside(relative_path: str) -> bool:
    return relative_path.split(os.sep, 1)[0] == ".." or os.path.isabs(relative_path)


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
    """Return one regular expression for file names and one for paths; None if there is none."""
    normalized = [pattern.rstrip("/").removeprefix("./") for pattern in patterns]
    names = [translate(p) for p in normalized if "/" not in p]
    paths = [translate(p.removeprefix("/")) for p in normalized if "/" in p]
    return (
        re.compile("|".join(names)) if names else None,
        re.compile("|".join(paths)) if paths else None,
    )

"""Recordings being written: in which format, whole or not at all, and never over what is there."""

import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import soundfile as sf

from noisegate_cli.audio import EXTENSIONS, SAMPLE_TYPES, AudioInfo, file_name, reason
from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.gating.levels import Samples, full_scale
from noisegate_cli.units import shown

SAME_FILES = {"WAVEX": "WAV", "RF64": "WAV"}
"""Formats that share their extensions with another."""

CODED = {".ogg": "VORBIS", ".oga": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
"""The subtype of extensions whose formats hold nothing but coded sound."""

PARTIAL = ".partial"
"""How names of files end that are being written."""

WAV_LIMIT = 0xFFFFFFFF - 0x10000
"""Bytes of samples that a WAV header can announce, with room for the other chunks."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How outputs are written, and what they are called where they get no name.

    Raises
    ------
    SettingsError
        When a format or a subtype doesn't exist; the message quotes it.

    Examples
    --------
    >>> OutputOptions(format="flac", subtype="pcm_24")
    OutputOptions(format='flac', subtype='PCM_24', suffix='_gated', keep_mtime=False)
    """

    format: str | None = None
    """An ending, such as flac, for outputs that get no name; None keeps that of the input."""
    subtype: str | None = None
    """libsndfile's name of a sample type, such as PCM_24; None keeps that of the input."""
    suffix: str = "_gated"
    """What follows the name of the input where the output gets none."""
    keep_mtime: bool = False
    """Whether outputs were last changed when their input was."""

    def __post_init__(self) -> None:
        if self.format is not None:
            ending = f".{self.format.lower().removeprefix('.')}"
            if ending not in EXTENSIONS:
                endings = " ".join(name.removeprefix(".") for name in EXTENSIONS)
                raise SettingsError(
                    f"format {self.format!r} can't be written: give one of {endings}"
                )
            object.__setattr__(self, "format", ending.removeprefix("."))
        if self.subtype is not None:
            subtypes = sf.available_subtypes()
            if self.subtype.upper() not in subtypes:
                raise SettingsError(
                    f"subtype {self.subtype!r} is no sample type: give one of {' '.join(subtypes)}"
                )
            object.__setattr__(self, "subtype", self.subtype.upper())
        if any(c and c in self.suffix for c in (os.sep, os.altsep, "\0")):
            raise SettingsError(f"suffix {self.suffix!r} is no part of a file name: try _gated")


AS_IT_IS = OutputOptions()


def output_info(source: AudioInfo, path: Path, options: OutputOptions = AS_IT_IS) -> AudioInfo:
    """Return what is written to `path`: like `source` as far as its extension and options allow.

    Raises
    ------
    OutputError
        When the extension says nothing, or its format can't hold the recording.
    """
    extension = path.suffix.lower()
    kind = EXTENSIONS.get(extension)
    family = SAME_FILES.get(source.format, source.format)
    if kind == family or (kind is None and extension == source.path.suffix.lower()):
        kind = source.format
    if kind is None:
        raise OutputError(
            f"{shown(path)} doesn't say in which format to write: "
            f"let the name end in one of {' '.join(EXTENSIONS)}"
        )
    size = source.samples * source.channels * source.dtype.itemsize
    if kind in ("WAV", "WAVEX") and size > WAV_LIMIT:
        kind = "RF64"
    if options.subtype:
        wanted = [options.subtype]
    elif extension in CODED and extension != source.path.suffix.lower():
        wanted = [CODED[extension]]
    elif kind == source.format or source.subtype in SAMPLE_TYPES:
        wanted = [source.subtype, "PCM_24", "PCM_16"]
    else:
        wanted = ["PCM_24", "PCM_16"]
    endian = source.endian if kind == source.format else "FILE"
    why = ""
    for subtype in wanted:
        info = replace(source, path=path, format=kind, subtype=subtype, endian=endian)
        why = _why_not(**_parameters(info))
        if not why:
            return info
    if options.subtype and options.subtype not in (subtypes := sf.available_subtypes(kind)):
        raise OutputError(
            f"{shown(path)} can't hold {options.subtype}: {kind} holds {' '.join(subtypes)}"
        )
    raise OutputError(
        f"{shown(path)} can't hold this recording ({why}): give -o a name that ends in .wav"
    )


def default_output(info: AudioInfo, options: OutputOptions = AS_IT_IS) -> Path:
    """Return `NAME_gated.EXT` beside the recording; `.wav` where EXT can't be written.

    The options have their say in `_gated` and in EXT.
    """
    ending = f".{options.format}" if options.format else info.path.suffix
    path = info.path.with_name(f"{info.path.stem}{options.suffix}{ending}")
    try:
        output_info(info, path, options)
    except OutputError:
        return path if options.format else path.with_suffix(".wav")
    return path


class _OutputFile(sf.SoundFile):  # type: ignore[misc,unused-ignore]  # soundfile has no types
    """A file that doesn't wait for the disk when it is closed."""

    def flush(self) -> None:
        """Do nothing: closing writes all that is needed, and soundfile's flush is an fsync.

        It would take as long as gating; neither cp nor other audio tools wait for it.
        """


class AudioWriter:
    """A recording being written; made by `writing`.

    A thread writes one block while the next one is gated: neither needs the interpreter for long.
    It starts when there is a second block; for a short recording it would only take time.
    """

    def __init__(self, file: sf.SoundFile, info: AudioInfo) -> None:
        self._file = file
        self._path = info.path
        self._dtype = info.dtype
        self._error: Exception | None = None
        self._first: Samples | None = None
        self._blocks: Queue[Samples | None] = Queue(maxsize=1)
        self._thread: Thread | None = None

    def write(self, block: Samples) -> None:
        """Append samples shaped (samples, channels), which must not be changed any more.

        Raises
        ------
        OutputError
            When earlier ones don't fit on the disk.
        """
        self._complain()
        if self._thread is not None:
            self._blocks.put(block)
        elif self._first is None:
            self._first = block
        else:
            self._thread = Thread(target=self._run, args=(self._first, block), daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait until all is written; see `write` for the errors."""
        if self._thread is None and self._first is not None:
            self._write(self._first)
        self.stop()
        self._complain()

    def stop(self) -> None:
        """Wait until the thread has ended."""
        if self._thread is not None and self._thread.is_alive():
            self._blocks.put(None)
            self._thread.join()

    def _run(self, *blocks: Samples) -> None:
        for block in blocks:
            self._write(block)
        while (later := self._blocks.get()) is not None:
            self._write(later)

    def _write(self, block: Samples) -> None:
        try:
            if self._error is None:
                self._file.write(self._scaled(block))
        # soundfile asserts that all samples were written.
        except (sf.SoundFileError, OSError, AssertionError) as error:
            self._error = error

    def _scaled(self, block: Samples) -> Samples:
        """Return what libsndfile writes as the same level: integers as floats it doesn't scale."""
        if self._dtype.kind == "f" and block.dtype.kind == "i":
            return (block / full_scale(block.dtype)).astype(self._dtype)
        return block

    def _complain(self) -> None:
        if self._error:
            raise OutputError(_why_unwritable(self._path, self._error)) from self._error


@contextmanager
def writing(
    info: AudioInfo,
    tags: dict[str, str] | None = None,
    force: bool = False,
    mtime_of: Path | None = None,
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing: it appears when the block ends, whole, or not at all.

    Samples go to a file beside it that takes its name at the end; on any error, and on an
    interrupt, that file is removed. It gets the time of the last change of `mtime_of`.

    Raises
    ------
    OutputError
        When `info.path` exists and `force` is false, or can't be written.
    """
    path = info.path
    check_free(path, force)
    partial = path.with_name(f"{_partial_prefix(path.name)}{os.urandom(4).hex()}{PARTIAL}")
    made = [folder for folder in path.parents if not folder.exists()]
    with ExitStack() as stack:
        stack.callback(_remove, partial, made)
        with _saying_why(path):
            file = stack.enter_context(_created(partial, info))
            for name, text in (tags or {}).items():
                # Not every format has a place for every tag.
                with suppress(sf.SoundFileError, AttributeError):
                    setattr(file, name, text)
        writer = AudioWriter(file, info)
        stack.callback(writer.stop)
        yield writer
        writer.finish()
        with _saying_why(path):
            file.close()
            if mtime_of:
                _keep_mtime(mtime_of, partial)
        check_free(path, force)
        with _saying_why(path):
            partial.replace(path)


def remove_partials(folder: str | Path, names: Iterable[str]) -> None:
    """Remove what processes left in `folder` that were killed while they wrote one of `names`.

    Nobody may be writing to these. What others write there is left alone. The names are not asked
    for unless there is something that may be removed.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        partials = [Path(entry.path) for entry in entries if entry.name.endswith(PARTIAL)]
        if not partials:
            return
        prefixes = tuple({_partial_prefix(name) for name in names})
        for path in partials:
            if path.name.startswith(prefixes):
                with suppress(OSError):
                    path.unlink()


def _partial_prefix(name: str) -> str:
    """Return how the names of partial files begin that are to become `name`."""
    return f".ngate-{blake2b(os.fsencode(name), digest_size=8).hexdigest()}-"


@contextmanager
def _saying_why(path: Path) -> Iterator[None]:
    """Turn what the system has against writing into an OutputError."""
    try:
        yield
    except (sf.SoundFileError, OSError) as error:
        raise OutputError(_why_unwritable(path, error)) from error


@cache
def _why_not(**parameters: Any) -> str:
    """Return why libsndfile can't write such a file, or nothing: its table of formats is wrong."""
    try:
        with sf.SoundFile(io.BytesIO(), "w", **parameters):
            return ""
    except (sf.SoundFileError, ValueError) as error:
        return reason(error)


def _created(partial: Path, info: AudioInfo) -> sf.SoundFile:
    """Open a new file in a folder that may have to be made first."""
    while True:
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _OutputFile(file_name(partial), "w", **_parameters(info))
        except sf.SoundFileError:
            # Another output that failed may have taken the folder away, which was still empty.
            if partial.parent.exists():
                raise


def _keep_mtime(source: Path, output: Path) -> None:
    """Let `output` have been changed when `source` was."""
    changed = source.stat()
    os.utime(output, ns=(changed.st_atime_ns, changed.st_mtime_ns))


def _remove(partial: Path, folders: list[Path]) -> None:
    """Remove what is left of an output that failed, with the folders made for it."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()


def check_free(path: Path, force: bool) -> None:
    """Raise OutputError when writing to `path` would destroy something."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(_why_unwritable(path, error)) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{shown(path)} is a directory: give a file name")
    if not force:
        raise OutputError(f"{shown(path)} exists already: --force overwrites it")


def is_directory(path: Path) -> bool:
    """Whether there is a directory; a name that can't be looked up is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file, through links too."""
    try:
        return a.samefile(b)
    except OSError:
        return a.absolute() == b.absolute()


def _parameters(info: AudioInfo) -> dict[str, Any]:
    return {
        "samplerate": info.sample_rate,
        "channels": info.channels,
        "format": info.format,
        "subtype": info.subtype,
        "endian": info.endian,
    }


def _why_unwritable(path: Path, error: Exception) -> str:
    if isinstance(error, AssertionError):
        why = "not all samples were written, is the disk full?"
    else:
        why = getattr(error, "strerror", None) or reason(error)
        if why == "System error":
            why = "is the disk full?"
    return f"{shown(path)} can't be written: {why}"

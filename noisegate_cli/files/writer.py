"""Recordings being written: whole or not at all, by whichever library writes their format."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from noisegate_cli.errors import NoisegateError, OutputError
from noisegate_cli.files.formats import STREAM, AudioInfo
from noisegate_cli.files.libsndfile import VORBIS_ORDER, file_name, reason
from noisegate_cli.files.partials import partial_path
from noisegate_cli.files.pcm import converted
from noisegate_cli.files.riff import WRITTEN, KeptChunks, WavFile, append_chunks
from noisegate_cli.samples import Samples
from noisegate_cli.text import shown

if TYPE_CHECKING:
    from noisegate_cli.files.tags import Tags

BY_PYAV = ("M4A", "MKA", "WEBM", "WV", "TTA")
"""Formats that PyAV writes, and libsndfile doesn't."""

TAGGED_BY_SNDFILE = ("CAF",)
TAGGED_BY_ENCODER = ("MKA", "WEBM")
"""Formats whose tags libsndfile or PyAV writes, and mutagen doesn't."""


class Sink(Protocol):
    """What samples are written to."""

    def write(self, block: Samples) -> None:
        """Append samples in the type of the file."""

    def close(self) -> None:
        """Complete the file."""


class _OutputFile(sf.SoundFile):  # type: ignore[misc,unused-ignore]  # soundfile has no types
    """A file that doesn't wait for the disk when it is closed."""

    def flush(self) -> None:
        """Do nothing: closing writes all that is needed, and soundfile's flush is an fsync.

        It would take as long as gating; neither cp nor other audio tools wait for it.
        """

    def close(self) -> None:
        """Close it, once: whoever is told to end in the middle of that closes it again.

        soundfile forgets the file when libsndfile is done with it, where it is freed already.
        """
        file, self._file = self._file, None  # type: ignore[has-type,unused-ignore]
        if file is not None:
            sf._error_check(sf._snd.sf_close(file))


class AudioWriter:
    """A recording being written; made by `writing`.

    A thread writes one block while the next one is gated: neither needs the interpreter for long.
    It starts when there is a second block; for a short recording it would only take time. Nothing
    waits on the way to standard output.
    """

    def __init__(self, file: Sink, info: AudioInfo) -> None:
        self._file = file
        self._info = info
        self._order: NDArray[np.int64] | None = None
        if info.format == "OGG" and info.is_coded and info.channels in VORBIS_ORDER:
            self._order = np.argsort(VORBIS_ORDER[info.channels])
        self.clipped = 0
        """Samples over full scale that were cut off there, as the output has room for no more."""
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
        if self._info.path == STREAM:
            self._write(block)
        elif self._thread is not None:
            self._blocks.put(block)
        elif self._first is None:
            self._first = block
        else:
            self._thread = Thread(target=self._run, args=(self._first, block), daemon=True)
            self._thread.start()
        self._complain()

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
                self._file.write(self._as_written(block))
        # soundfile asserts that all samples were written; PyAV's errors are ValueErrors too.
        except (sf.SoundFileError, OSError, AssertionError, ValueError) as error:
            self._error = error

    def _as_written(self, block: Samples) -> Samples:
        samples, clipped = converted(block, self._info.subtype)
        self.clipped += clipped
        return samples if self._order is None else np.ascontiguousarray(samples[:, self._order])

    def _complain(self) -> None:
        if isinstance(self._error, BrokenPipeError):
            raise self._error
        if self._error:
            raise OutputError(why_unwritable(self._info.path, self._error)) from self._error


@dataclass(frozen=True)
class Kept:
    """What an output keeps of its input, beside the samples."""

    path: Path
    """Of the input, to be read."""
    known_tags: dict[str, str] = field(default_factory=dict)
    """As the decoder of the input says."""
    chunks: KeptChunks | None = None
    mtime: bool = False
    """Whether to keep the time of the last change."""
    warnings: list[str] = field(default_factory=list)
    """What could not be kept."""

    @cached_property
    def tags(self) -> "Tags":
        """Title, artist, cover."""
        from noisegate_cli.files.tags import Tags, read_tags

        try:
            return read_tags(self.path, self.known_tags, self.chunks)
        except Exception:  # Whatever is wrong with its tags, the recording is what counts.
            self.warnings.append("its tags are damaged: they are left out")
            return Tags()


@contextmanager
def writing(
    info: AudioInfo, kept: Kept | None = None, force: bool = False
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing: it appears when the block ends, whole, or not at all.

    Samples go to a file beside it that takes its name at the end; on any error, and on an
    interrupt, that file is removed. Standard output gets them at once, where its format allows.

    Raises
    ------
    OutputError
        When `info.path` exists and `force` is false, or can't be written.
    """
    if info.path == STREAM:
        from noisegate_cli.files.pipes import StreamFile, can_stream, copied_out

        if can_stream(info):
            with _saying_why(info.path):
                stream = StreamFile(info, kept.chunks if kept else None)
            with _writer(stream, info) as writer:
                yield writer
            return
        with copied_out() as file, _whole(file, info, kept) as writer:
            yield writer
        return
    path = info.path
    check_free(path, force)
    partial = partial_path(path)
    made = [folder for folder in path.parents if not folder.exists()]
    with ExitStack() as stack:
        stack.callback(_remove, partial, made)
        with _whole(partial, info, kept) as writer:
            yield writer
        check_free(path, force)
        with _saying_why(path):
            partial.replace(path)


@contextmanager
def _whole(path: Path, info: AudioInfo, kept: Kept | None) -> Iterator[AudioWriter]:
    """Open a new file at `path`, and complete it with what it keeps when the block ends."""
    with _saying_why(info.path):
        file = _created(path, info, kept)
    with _writer(file, info) as writer:
        yield writer
    with _saying_why(info.path):
        _keep(path, info, kept)


@contextmanager
def _writer(file: Sink, info: AudioInfo) -> Iterator[AudioWriter]:
    with ExitStack() as stack:
        stack.callback(getattr(file, "abandon", file.close))
        writer = AudioWriter(file, info)
        stack.callback(writer.stop)
        yield writer
        writer.finish()
        with _saying_why(info.path):
            file.close()


def _keep(path: Path, info: AudioInfo, kept: Kept | None) -> None:
    """Give a file that is complete what it keeps of its input."""
    if kept is None:
        return
    if kept.chunks is not None and _is_wav(info):
        if not _writes_wav(info):
            append_chunks(path, kept.chunks)
    elif kept.chunks is None or kept.chunks or info.needs_mask:
        from noisegate_cli.files.tags import write_tags

        try:
            write_tags(path, info, kept.tags)
        except OSError:
            raise
        except Exception as error:  # as above
            kept.warnings.append(f"its tags can't be kept ({error})")
    if kept.mtime:
        changed = kept.path.stat()
        os.utime(path, ns=(changed.st_atime_ns, changed.st_mtime_ns))


@contextmanager
def _saying_why(path: Path) -> Iterator[None]:
    """Turn what the system has against writing into an OutputError."""
    try:
        yield
    except (BrokenPipeError, NoisegateError):
        raise
    except (sf.SoundFileError, OSError, ValueError) as error:
        raise OutputError(why_unwritable(path, error)) from error


def _is_wav(info: AudioInfo) -> bool:
    return info.format in ("WAV", "WAVEX", "RF64")


def _writes_wav(info: AudioInfo) -> bool:
    """Whether `wav` writes it, and not libsndfile."""
    return _is_wav(info) and info.subtype in WRITTEN and info.endian != "BIG"


def _writes_pyav(info: AudioInfo) -> bool:
    return info.format in BY_PYAV or (info.format == "OGG" and not info.is_coded)


def why_not(info: AudioInfo) -> str:
    """Return why such a file can't be written, or nothing."""
    if _writes_pyav(info):
        from noisegate_cli.files.ffmpeg import why_not

        return why_not(replace(info, path=Path(), samples=0, bit_rate=0))
    return _why_not_sndfile(**_parameters(info))


@cache
def _why_not_sndfile(**parameters: Any) -> str:
    """Return why libsndfile can't write such a file, or nothing: its table of formats is wrong."""
    try:
        with sf.SoundFile(io.BytesIO(), "w", **parameters):
            return ""
    except (sf.SoundFileError, ValueError) as error:
        return reason(error)


def _created(path: Path, info: AudioInfo, kept: Kept | None) -> Sink:
    """Open a new file in a folder that may have to be made first."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _sink(path, info, kept)
        except (sf.SoundFileError, FileNotFoundError):
            # Another output that failed may have taken the folder away, which was still empty.
            if path.parent.exists():
                raise


def _sink(path: Path, info: AudioInfo, kept: Kept | None) -> Sink:
    if _writes_wav(info):
        return WavFile(path, info, kept.chunks if kept else None)
    if _writes_pyav(info):
        from noisegate_cli.files.ffmpeg import PyavEncoder

        named = kept.tags.first(ffmpeg=True) if kept and info.format in TAGGED_BY_ENCODER else {}
        return PyavEncoder(path, info, named)
    file: Sink = _OutputFile(file_name(path), "w", **_parameters(info), **_coding(info))
    if kept and info.format in TAGGED_BY_SNDFILE:
        for name, text in kept.tags.first().items():
            # Not every format has a place for every tag.
            with suppress(sf.SoundFileError, AttributeError):
                setattr(file, name, text)
    return file


def check_free(path: Path, force: bool) -> None:
    """Raise OutputError when writing to `path` would destroy something."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(why_unwritable(path, error)) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{shown(path)} is a directory: give a file name")
    if not force:
        raise OutputError(f"{shown(path)} exists already: --force overwrites it")


def _remove(partial: Path, folders: list[Path]) -> None:
    """Remove what is left of an output that failed, with the folders made for it."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()


VORBIS_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
"""kbit/s of a channel of 44.1 kHz at the qualities 0, 0.1 … 1 of Vorbis."""


def _coding(info: AudioInfo) -> dict[str, Any]:
    """Return what makes libsndfile code at about the bit rate of `info`.

    It takes a level of compression, 0 to 1, which means something else for each codec.
    """
    if not info.bit_rate:
        return {}
    rate = info.bit_rate / 1000
    if info.subtype == "MPEG_LAYER_III":
        highest = 320 if info.sample_rate >= 32000 else 160 if info.sample_rate >= 16000 else 64
        level = min(0.95, max(0.0, 1 - rate / highest))
        # At a constant rate there would be no word of the padding.
        return {"compression_level": level, "bitrate_mode": "AVERAGE"}
    if info.subtype == "OPUS":
        return {"compression_level": min(1.0, max(0.0, 1 - (rate / info.channels - 6) / 250))}
    if info.subtype == "VORBIS":
        wider = max(1.0, 44100 / info.sample_rate) ** 0.7
        quality = np.interp(rate / info.channels * wider, VORBIS_RATES, np.linspace(0, 1, 11))
        return {"compression_level": 1 - float(quality)}
    return {}


def _parameters(info: AudioInfo) -> dict[str, Any]:
    return {
        "samplerate": info.sample_rate,
        "channels": info.channels,
        "format": info.format,
        "subtype": info.subtype,
        "endian": info.endian,
    }


def why_unwritable(path: Path, error: Exception) -> str:
    """Return what to say of an output that can't be written."""
    if isinstance(error, AssertionError):
        why = "not all samples were written, is the disk full?"
    else:
        why = getattr(error, "strerror", None) or reason(error)
        if why == "System error":
            why = "is the disk full?"
    return f"{shown(path)} can't be written: {why}"

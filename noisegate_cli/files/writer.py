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
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo
from noisegate_cli.files.libsndfile import VORBIS_CHANNEL_ORDER, encode_path, error_text
from noisegate_cli.files.partial_files import partial_path
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.riff import (
    WRITABLE_FORMAT_TAGS,
    MetadataChunks,
    WavEncoder,
    append_metadata_chunks,
)
from noisegate_cli.samples import Samples
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.files.tags import Tags

PYAV_FORMATS = ("M4A", "MKA", "WEBM", "WV", "TTA")
"""Formats that PyAV writes, and libsndfile doesn't."""

TAGGED_BY_SNDFILE = ("CAF",)
TAGGED_BY_ENCODER = ("MKA", "WEBM")
"""Formats whose tags libsndfile or PyAV writes, and mutagen doesn't."""


class Encoder(Protocol):
    """What samples are written to."""

    def write(self, block: Samples) -> None:
        """Append samples in the type of the file."""

    def close(self) -> None:
        """Complete the file."""


class _SndfileEncoder(sf.SoundFile):  # type: ignore[misc,unused-ignore]  # soundfile has no types
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
    """A recording being written; made by `open_writer`.

    A thread writes one block while the next one is gated: neither needs the interpreter for long.
    It starts when there is a second block; for a short recording it would only take time. Nothing
    waits on the way to standard output.
    """

    def __init__(self, file: Encoder, info: AudioInfo) -> None:
        self._file = file
        self._info = info
        self._channel_order: NDArray[np.int64] | None = None
        if info.format == "OGG" and info.is_lossy and info.channels in VORBIS_CHANNEL_ORDER:
            self._channel_order = np.argsort(VORBIS_CHANNEL_ORDER[info.channels])
        self.clipped_samples = 0
        """Samples over full scale that were cut off there, as the output has room for no more."""
        self._error: Exception | None = None
        self._first_block: Samples | None = None
        self._queue: Queue[Samples | None] = Queue(maxsize=1)
        self._thread: Thread | None = None

    def write(self, block: Samples) -> None:
        """Append samples shaped (samples, channels), which must not be changed any more.

        Raises
        ------
        OutputError
            When earlier ones don't fit on the disk.
        """
        if self._info.path == STDIO_PATH:
            self._write(block)
        elif self._thread is not None:
            self._queue.put(block)
        elif self._first_block is None:
            self._first_block = block
        else:
            self._thread = Thread(
                target=self._write_queued, args=(self._first_block, block), daemon=True
            )
            self._thread.start()
        self._raise_error()

    def finish(self) -> None:
        """Wait until all is written; see `write` for the errors."""
        if self._thread is None and self._first_block is not None:
            self._write(self._first_block)
        self.stop()
        self._raise_error()

    def stop(self) -> None:
        """Wait until the thread has ended."""
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _write_queued(self, *blocks: Samples) -> None:
        for block in blocks:
            self._write(block)
        while (later := self._queue.get()) is not None:
            self._write(later)

    def _write(self, block: Samples) -> None:
        try:
            if self._error is None:
                self._file.write(self._convert_block(block))
        # soundfile asserts that all samples were written; PyAV's errors are ValueErrors too.
        except (sf.SoundFileError, OSError, AssertionError, ValueError) as error:
            self._error = error

    def _convert_block(self, block: Samples) -> Samples:
        samples, clipped_samples = convert_to_subtype(block, self._info.subtype)
        self.clipped_samples += clipped_samples
        return (
            samples
            if self._channel_order is None
            else np.ascontiguousarray(samples[:, self._channel_order])
        )

    def _raise_error(self) -> None:
        if isinstance(self._error, BrokenPipeError):
            raise self._error
        if self._error:
            raise OutputError(unwritable_message(self._info.path, self._error)) from self._error


@dataclass(frozen=True)
class InputMetadata:
    """What an output keeps of its input, beside the samples."""

    path: Path
    """Of the input, to be read."""
    decoder_tags: dict[str, str] = field(default_factory=dict)
    """As the decoder of the input says."""
    chunks: MetadataChunks | None = None
    keep_mtime: bool = False
    """Whether to keep the time of the last change."""
    warnings: list[str] = field(default_factory=list)
    """What could not be kept."""

    @cached_property
    def tags(self) -> "Tags":
        """Title, artist, cover."""
        from noisegate_cli.files.tags import Tags, read_tags

        try:
            return read_tags(self.path, self.decoder_tags, self.chunks)
        except Exception:  # Whatever is wrong with its tags, the recording is what counts.
            self.warnings.append("its tags are damaged: they are left out")
            return Tags()


@contextmanager
def open_writer(
    info: AudioInfo, metadata: InputMetadata | None = None, force: bool = False
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing: it appears when the block ends, whole, or not at all.

    Samples go to a file beside it that takes its name at the end; on any error, and on an
    interrupt, that file is removed. Standard output gets them at once, where its format allows.

    Raises
    ------
    OutputError
        When `info.path` exists and `force` is false, or can't be written.
    """
    if info.path == STDIO_PATH:
        from noisegate_cli.files.pipes import StreamEncoder, can_stream, copy_to_stdout

        if can_stream(info):
            with _wrap_write_errors(info.path):
                stream = StreamEncoder(info, metadata.chunks if metadata else None)
            with _open_encoder_writer(stream, info) as writer:
                yield writer
            return
        with copy_to_stdout() as file, _open_file_writer(file, info, metadata) as writer:
            yield writer
        return
    path = info.path
    check_overwrite(path, force)
    partial = partial_path(path)
    made = [folder for folder in path.parents if not folder.exists()]
    with ExitStack() as stack:
        stack.callback(_remove_partial, partial, made)
        with _open_file_writer(partial, info, metadata) as writer:
            yield writer
        check_overwrite(path, force)
        with _wrap_write_errors(path):
            partial.replace(path)


@contextmanager
def _open_file_writer(
    path: Path, info: AudioInfo, metadata: InputMetadata | None
) -> Iterator[AudioWriter]:
    """Open a new file at `path`, and complete it with what it keeps when the block ends."""
    with _wrap_write_errors(info.path):
        file = _create_file(path, info, metadata)
    with _open_encoder_writer(file, info) as writer:
        yield writer
    with _wrap_write_errors(info.path):
        _copy_metadata(path, info, metadata)


@contextmanager
def _open_encoder_writer(file: Encoder, info: AudioInfo) -> Iterator[AudioWriter]:
    with ExitStack() as stack:
        stack.callback(getattr(file, "abandon", file.close))
        writer = AudioWriter(file, info)
        stack.callback(writer.stop)
        yield writer
        writer.finish()
        with _wrap_write_errors(info.path):
            file.close()


def _copy_metadata(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> None:
    """Give a file that is complete what it keeps of its input."""
    if metadata is None:
        return
    if metadata.chunks is not None and _is_wav(info):
        if not _uses_wav_encoder(info):
            append_metadata_chunks(path, metadata.chunks)
    elif metadata.chunks is None or metadata.chunks or info.needs_channel_mask:
        from noisegate_cli.files.tags import write_tags

        try:
            write_tags(path, info, metadata.tags)
        except OSError:
            raise
        except Exception as error:  # as above
            metadata.warnings.append(f"its tags can't be kept ({error})")
    if metadata.keep_mtime:
        changed = metadata.path.stat()
        os.utime(path, ns=(changed.st_atime_ns, changed.st_mtime_ns))


@contextmanager
def _wrap_write_errors(path: Path) -> Iterator[None]:
    """Turn what the system has against writing into an OutputError."""
    try:
        yield
    except (BrokenPipeError, NoisegateError):
        raise
    except (sf.SoundFileError, OSError, ValueError) as error:
        raise OutputError(unwritable_message(path, error)) from error


def _is_wav(info: AudioInfo) -> bool:
    return info.format in ("WAV", "WAVEX", "RF64")


def _uses_wav_encoder(info: AudioInfo) -> bool:
    """Whether `wav` writes it, and not libsndfile."""
    return _is_wav(info) and info.subtype in WRITABLE_FORMAT_TAGS and info.endian != "BIG"


def _uses_pyav(info: AudioInfo) -> bool:
    return info.format in PYAV_FORMATS or (info.format == "OGG" and not info.is_lossy)


def unsupported_reason(info: AudioInfo) -> str:
    """Return why such a file can't be written, or nothing."""
    if _uses_pyav(info):
        from noisegate_cli.files.ffmpeg import unsupported_reason

        return unsupported_reason(replace(info, path=Path(), samples=0, bit_rate=0))
    return _sndfile_unsupported_reason(**_sndfile_parameters(info))


@cache
def _sndfile_unsupported_reason(**parameters: Any) -> str:
    """Return why libsndfile can't write such a file, or nothing: its table of formats is wrong."""
    try:
        with sf.SoundFile(io.BytesIO(), "w", **parameters):
            return ""
    except (sf.SoundFileError, ValueError) as error:
        return error_text(error)


def _create_file(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> Encoder:
    """Open a new file in a folder that may have to be made first."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _create_encoder(path, info, metadata)
        except (sf.SoundFileError, FileNotFoundError):
            # Another output that failed may have taken the folder away, which was still empty.
            if path.parent.exists():
                raise


def _create_encoder(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> Encoder:
    if _uses_wav_encoder(info):
        return WavEncoder(path, info, metadata.chunks if metadata else None)
    if _uses_pyav(info):
        from noisegate_cli.files.ffmpeg import PyavEncoder

        named = (
            metadata.tags.first_values(ffmpeg=True)
            if metadata and info.format in TAGGED_BY_ENCODER
            else {}
        )
        return PyavEncoder(path, info, named)
    file: Encoder = _SndfileEncoder(
        encode_path(path), "w", **_sndfile_parameters(info), **_compression_parameters(info)
    )
    if metadata and info.format in TAGGED_BY_SNDFILE:
        for name, text in metadata.tags.first_values().items():
            # Not every format has a place for every tag.
            with suppress(sf.SoundFileError, AttributeError):
                setattr(file, name, text)
    return file


def check_overwrite(path: Path, force: bool) -> None:
    """Raise OutputError when writing to `path` would destroy something."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(unwritable_message(path, error)) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{quote_path(path)} is a directory: give a file name")
    if not force:
        raise OutputError(f"{quote_path(path)} exists already: force=True overwrites it")


def _remove_partial(partial: Path, folders: list[Path]) -> None:
    """Remove what is left of an output that failed, with the folders made for it."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()


VORBIS_BIT_RATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
"""kbit/s of a channel of 44.1 kHz at the qualities 0, 0.1 … 1 of Vorbis."""


def _compression_parameters(info: AudioInfo) -> dict[str, Any]:
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
        quality = np.interp(
            rate / info.channels * wider, VORBIS_BIT_RATES_KBPS, np.linspace(0, 1, 11)
        )
        return {"compression_level": 1 - float(quality)}
    return {}


def _sndfile_parameters(info: AudioInfo) -> dict[str, Any]:
    return {
        "samplerate": info.sample_rate,
        "channels": info.channels,
        "format": info.format,
        "subtype": info.subtype,
        "endian": info.endian,
    }


def unwritable_message(path: Path, error: Exception) -> str:
    """Return what to say of an output that can't be written."""
    if isinstance(error, AssertionError):
        why = "not all samples were written, is the disk full?"
    else:
        why = getattr(error, "strerror", None) or error_text(error)
        if why == "System error":
            why = "is the disk full?"
    return f"{quote_path(path)} can't be written: {why}"

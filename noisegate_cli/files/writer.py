"""Write recordings atomically, with the library that supports their format."""

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

from noisegate_cli.errors import NoisegateError, OutputError, OutputExistsError
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo
from noisegate_cli.files.libsndfile import VORBIS_CHANNEL_ORDER, encode_path, error_text
from noisegate_cli.files.partial_files import partial_path, rename_without_replacing
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
"""Formats that PyAV writes and libsndfile can't."""

TAGGED_BY_SNDFILE = ("CAF",)
TAGGED_BY_ENCODER = ("MKA", "WEBM")
"""Formats whose tags libsndfile or PyAV writes instead of mutagen."""


class Encoder(Protocol):
    """Interface of the objects that encode samples to a file or a stream."""

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""

    def close(self) -> None:
        """Complete the file."""


class _SndfileEncoder(sf.SoundFile):  # type: ignore[misc,unused-ignore]  # soundfile has no types
    """A sound file that doesn't wait for the disk when it is closed."""

    def flush(self) -> None:
        """Do nothing: closing writes all data, and soundfile's flush calls fsync.

        An fsync takes as long as gating; cp and other audio tools don't wait for it either.
        """

    def close(self) -> None:
        """Close the file exactly once, even if an interrupt during closing causes a second call.

        soundfile clears its handle only after libsndfile has freed the file, so that a second
        call could free it again.
        """
        file, self._file = self._file, None  # type: ignore[has-type,unused-ignore]
        if file is not None:
            sf._error_check(sf._snd.sf_close(file))


class AudioWriter:
    """A recording open for writing; created by `open_writer`.

    A thread writes a block while the next one is gated; both release the GIL most of the time.
    The thread starts with the second block, because it would only slow down short recordings.
    Blocks for standard output are written immediately.
    """

    def __init__(self, file: Encoder, info: AudioInfo) -> None:
        self._file = file
        self._info = info
        self._channel_order: NDArray[np.int64] | None = None
        if info.format == "OGG" and info.is_lossy and info.channels in VORBIS_CHANNEL_ORDER:
            self._channel_order = np.argsort(VORBIS_CHANNEL_ORDER[info.channels])
        self.clipped_samples = 0
        """Number of samples over full scale that were clipped to the range of the output."""
        self._error: Exception | None = None
        self._first_block: Samples | None = None
        self._queue: Queue[Samples | None] = Queue(maxsize=1)
        self._thread: Thread | None = None

    def write(self, block: Samples) -> None:
        """Append samples of shape (samples, channels); the caller must not modify them later.

        Raises
        ------
        OutputError
            If this block or an earlier one could not be written.
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
        """Wait until all samples are written; see `write` for the errors."""
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
        # soundfile asserts that all samples were written; PyAV also raises ValueError.
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
    """Metadata that is copied from the input to the output."""

    path: Path
    """Path of the input file."""
    decoder_tags: dict[str, str] = field(default_factory=dict)
    """Tags that the decoder of the input reports."""
    chunks: MetadataChunks | None = None
    keep_mtime: bool = False
    """Whether to copy the modification time."""
    keep_mode: bool = False
    """Whether only those may read or write the output who may do so with the input."""
    warnings: list[str] = field(default_factory=list)
    """Warnings about metadata that could not be copied."""

    @cached_property
    def tags(self) -> "Tags":
        """Tags of the input, such as title, artist and cover."""
        from noisegate_cli.files.tags import Tags, read_tags

        try:
            return read_tags(self.path, self.decoder_tags, self.chunks)
        except Exception:  # Damaged tags must not prevent writing the recording.
            self.warnings.append("its tags are damaged: they are left out")
            return Tags()


@contextmanager
def open_writer(
    info: AudioInfo, metadata: InputMetadata | None = None, force: bool = False
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing; the file appears complete when the context exits.

    Samples are written to a partial file in the same directory, which is renamed at the end. On an
    error or an interrupt, the partial file is removed. Standard output receives the samples
    immediately if the format can be streamed.

    Raises
    ------
    OutputError
        If `info.path` exists and `force` is false, or if it can't be written.
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
            if force:
                partial.replace(path)
            else:
                try:
                    rename_without_replacing(partial, path)
                except FileExistsError:
                    raise OutputExistsError(_exists_message(path)) from None


@contextmanager
def _open_file_writer(
    path: Path, info: AudioInfo, metadata: InputMetadata | None
) -> Iterator[AudioWriter]:
    """Open a new file at `path`, and copy the metadata when the context exits."""
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
    """Copy the metadata of the input to a complete file."""
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
        except Exception as error:  # as in InputMetadata.tags
            metadata.warnings.append(f"its tags can't be kept ({error})")
    if metadata.keep_mtime:
        changed = metadata.path.stat()
        os.utime(path, ns=(changed.st_atime_ns, changed.st_mtime_ns))


@contextmanager
def _wrap_write_errors(path: Path) -> Iterator[None]:
    """Convert errors of the system and the libraries while writing to OutputError."""
    try:
        yield
    except (BrokenPipeError, NoisegateError):
        raise
    except (sf.SoundFileError, OSError, ValueError) as error:
        raise OutputError(unwritable_message(path, error)) from error


def _is_wav(info: AudioInfo) -> bool:
    return info.format in ("WAV", "WAVEX", "RF64")


def _uses_wav_encoder(info: AudioInfo) -> bool:
    """Return whether `WavEncoder` writes the file instead of libsndfile."""
    return _is_wav(info) and info.subtype in WRITABLE_FORMAT_TAGS and info.endian != "BIG"


def _uses_pyav(info: AudioInfo) -> bool:
    return info.format in PYAV_FORMATS or (info.format == "OGG" and not info.is_lossy)


def unsupported_reason(info: AudioInfo) -> str:
    """Return why such a file can't be written, or an empty string if it can."""
    if _uses_pyav(info):
        from noisegate_cli.files.ffmpeg import unsupported_reason

        return unsupported_reason(replace(info, path=Path(), samples=0, bit_rate=0))
    return _sndfile_unsupported_reason(**_sndfile_parameters(info))


@cache
def _sndfile_unsupported_reason(**parameters: Any) -> str:
    """Return why libsndfile can't write such a file, or an empty string if it can.

    A trial is necessary because libsndfile's table of formats is wrong.
    """
    try:
        with sf.SoundFile(io.BytesIO(), "w", **parameters):
            return ""
    except (sf.SoundFileError, ValueError) as error:
        return error_text(error)


def _create_file(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> Encoder:
    """Open a new file, and create its directory if necessary."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = _create_encoder(path, info, metadata)
        except (sf.SoundFileError, FileNotFoundError):
            # The cleanup of another output that failed may have removed the empty directory.
            if path.parent.exists():
                raise
        else:
            # No samples are written yet.
            if metadata is not None and metadata.keep_mode:
                _restrict_mode(path, metadata.path)
            return file


def _restrict_mode(path: Path, source: Path) -> None:
    """Let only those read or write a new file who may do so with `source`."""
    # The owner may write, because the file is opened again to add tags.
    with suppress(OSError):  # The input may have vanished, which is reported elsewhere.
        allowed = source.stat().st_mode | stat.S_IWUSR
        path.chmod(stat.S_IMODE(path.stat().st_mode & allowed))


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
            # Not every format supports every tag.
            with suppress(sf.SoundFileError, AttributeError):
                setattr(file, name, text)
    return file


def check_overwrite(path: Path, force: bool) -> None:
    """Raise OutputError if `path` is a directory, or if it exists and `force` is false."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(unwritable_message(path, error)) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{quote_path(path)} is a directory: give a file name")
    if not force:
        raise OutputExistsError(_exists_message(path))


def _exists_message(path: Path) -> str:
    return f"{quote_path(path)} exists already: force=True overwrites it"


def _remove_partial(partial: Path, folders: list[Path]) -> None:
    """Remove the partial file of a failed output, and the directories created for it."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()


VORBIS_BIT_RATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
"""Bit rate per channel at 44.1 kHz for the Vorbis qualities 0, 0.1 … 1."""


def _compression_parameters(info: AudioInfo) -> dict[str, Any]:
    """Return libsndfile parameters that approximate the bit rate of `info`.

    libsndfile expects a compression level from 0 to 1, whose meaning depends on the codec.
    """
    if not info.bit_rate:
        return {}
    rate = info.bit_rate / 1000
    if info.subtype == "MPEG_LAYER_III":
        highest = 320 if info.sample_rate >= 32000 else 160 if info.sample_rate >= 16000 else 64
        level = min(0.95, max(0.0, 1 - rate / highest))
        # A file with a constant bit rate would not declare the encoder padding.
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
    """Return the error message for an output that can't be written."""
    if isinstance(error, AssertionError):
        why = "not all samples were written, is the disk full?"
    else:
        why = getattr(error, "strerror", None) or error_text(error)
        if why == "System error":
            why = "is the disk full?"
    return f"{quote_path(path)} can't be written: {why}"

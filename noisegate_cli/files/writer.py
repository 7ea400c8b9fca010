"""Write recordings atomically, with the library that supports their format."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from queue import Queue
from shutil import copyfile
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import soundfile as sf

from noisegate_cli.errors import NoisegateError, OutputError, OutputExistsError
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo
from noisegate_cli.files.libsndfile import SndfileEncoder, error_text
from noisegate_cli.files.partial_files import (
    make_folders,
    partial_path,
    rename_without_replacing,
    sync_file,
    sync_folders,
)
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.riff import WRITABLE_FORMAT_TAGS, MetadataChunks
from noisegate_cli.files.size_limits import check_size
from noisegate_cli.files.unfinished import remove_when_left
from noisegate_cli.files.wav_encoder import WavEncoder, append_metadata_chunks
from noisegate_cli.samples import Samples
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.files.chapters import Chapter
    from noisegate_cli.files.protocols import Encoder
    from noisegate_cli.files.tags import Tags


WRITE_ERRORS = (sf.SoundFileError, OSError, AssertionError, ValueError)
"""Errors of encoders: soundfile asserts that all samples were written."""


class AudioWriter:
    """A recording open for writing; created by `open_writer`.

    A thread writes a block while the next one is gated; both release the GIL most of the time.
    The thread starts with the second block, because it would only slow down short recordings.
    Blocks for standard output are written immediately.
    """

    def __init__(self, file: "Encoder", info: AudioInfo) -> None:
        self._file = file
        self._info = info
        self.clipped_samples = 0
        """Number of samples over full scale that were clipped to the range of the output."""
        self.samples = 0
        """Number of samples per channel that were written."""
        self.copies_input = False
        """Whether the output becomes a copy of the input instead of what was written."""
        self._error: Exception | None = None
        self._first_block: Samples | None = None
        self._queue: Queue[Samples | None] = Queue(maxsize=1)
        self._thread: Thread | None = None
        self._lock = Lock()
        """Lock of the next two variables, because an interrupt can come while the thread starts."""
        self._has_begun = self._is_abandoned = False
        self._has_ended = Event()

    def write(self, block: Samples) -> None:
        """Append samples of shape (samples, channels); the caller must not modify them later.

        Raises
        ------
        OutputError
            If this block or an earlier one could not be written, or if the file would be too large.
        """
        self.samples += len(block)
        check_size(self._info, self.samples)
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
        if self._thread is not None:
            self._wait_for_thread()
        elif self._first_block is not None:
            self._write(self._first_block)
        self._raise_error()

    def abandon(self) -> None:
        """Close the file without completing it, when the thread that uses it has ended.

        Has no effect on a closed file.
        """
        with self._lock:
            self._is_abandoned = True
            must_wait = self._has_begun
        if must_wait:
            self._wait_for_thread()
        self._file.abandon()

    def _wait_for_thread(self) -> None:
        if not self._has_ended.is_set():
            self._queue.put(None)
        # Not Thread.join: interrupted, it marks a running thread as ended.
        self._has_ended.wait()

    def _write_queued(self, *blocks: Samples) -> None:
        with self._lock:
            if self._is_abandoned:
                return
            self._has_begun = True
        for block in blocks:
            self._write(block)
        while (later := self._queue.get()) is not None:
            self._write(later)
        self._has_ended.set()

    def _write(self, block: Samples) -> None:
        try:
            if self._error is None and not self._is_abandoned:
                samples, clipped_samples = convert_to_subtype(block, self._info.subtype)
                self.clipped_samples += clipped_samples
                self._file.write(samples)
        except Exception as error:  # The thread goes on, so that the queue has room.
            self._error = error

    def _raise_error(self) -> None:
        error = self._error
        if isinstance(error, WRITE_ERRORS) and not isinstance(error, BrokenPipeError):
            raise OutputError(unwritable_message(self._info.path, error)) from error
        if error is not None:
            raise error


@dataclass(frozen=True)
class InputMetadata:
    """Metadata that is copied from the input to the output."""

    path: Path
    """Path of the input file."""
    decoder_tags: dict[str, str] = field(default_factory=dict)
    """Tags that the decoder of the input reports."""
    chunks: MetadataChunks | None = None
    decoder_chapters: "tuple[Chapter, ...]" = ()
    """Chapters that the decoder of the input reports, besides those in tags."""
    duration: float = 0.0
    """Duration of the input in seconds; 0 if unknown."""
    keep_mtime: bool = False
    """Whether to copy the modification time."""
    keep_mode: bool = False
    """Whether the output gets no permissions that the input doesn't have, except for the owner."""
    warnings: list[str] = field(default_factory=list)
    """Warnings about metadata that could not be copied."""

    @cached_property
    def tags(self) -> "Tags":
        """Tags of the input, such as title, artist and cover."""
        from noisegate_cli.files.tags import Tags, read_tags

        try:
            tags = read_tags(self.path, self.decoder_tags, self.chunks, self.duration)
        except Exception:  # Damaged tags must not prevent writing the recording.
            self.warnings.append("its tags are damaged and are not copied")
            tags = Tags()
        return tags if tags.chapters else replace(tags, chapters=self.decoder_chapters)

    def has_atoms(self, info: AudioInfo) -> bool:
        """Return whether the tags are MP4 atoms that an output can hold as they are."""
        return info.container.tag_writer == "mp4" and type(self.tags.native).__name__ == "MP4Tags"


@contextmanager
def open_writer(
    info: AudioInfo,
    metadata: InputMetadata | None = None,
    force: bool = False,
    fsync: bool = False,
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing; the file appears complete when the context exits.

    Samples are written to a partial file in the same directory, which is renamed at the end. On an
    error or an interrupt, the partial file is removed. Standard output receives the samples
    immediately if the format can be streamed. If `fsync` is true, the file and its name are on the
    disk when the context exits.

    Raises
    ------
    OutputError
        If `info.path` exists and `force` is false, or if it can't be written.
    """
    path = info.path
    check_overwrite(path, force)
    if is_stream(path):
        with _open_stream_writer(info, metadata) as writer:
            yield writer
        return
    with open_partial_file(path, force, fsync) as partial:
        with _open_file_writer(partial, info, metadata) as writer:
            yield writer
        _check_short_output(partial, info, writer.samples)


def _check_short_output(path: Path, info: AudioInfo, samples: int) -> None:
    if info.container.is_compressed:
        from noisegate_cli.files.short_outputs import check_short_output

        check_short_output(path, info, samples)


@contextmanager
def open_partial_file(path: Path, force: bool = False, fsync: bool = False) -> Iterator[Path]:
    """Yield the path of a partial file, which is renamed to `path` when the context exits.

    On an error or an interrupt, the partial file is removed, and the directories that were created
    for it. See `open_writer` for the parameters and the errors.
    """
    check_overwrite(path, force)
    partial = partial_path(path)
    new_folders = [folder for folder in path.parents if not folder.exists()]
    with remove_when_left(partial, new_folders):
        yield partial
        check_overwrite(path, force)
        with wrap_write_errors(path):
            if fsync:
                sync_file(partial)
            if force:
                partial.replace(path)
            else:
                try:
                    rename_without_replacing(partial, path)
                except FileExistsError:
                    raise OutputExistsError(_exists_message(path)) from None
            if fsync:
                sync_folders([path.parent, *(folder.parent for folder in new_folders)])


@contextmanager
def _open_stream_writer(info: AudioInfo, metadata: InputMetadata | None) -> Iterator[AudioWriter]:
    """Open standard output, a named pipe or a device for writing."""
    from noisegate_cli.files.pipes import (
        StreamEncoder,
        can_stream,
        copy_to_sink,
        open_sink,
        spool_output,
    )

    with wrap_write_errors(info.path):
        sink = open_sink(info.path)
    with sink as output:
        if can_stream(info):
            with wrap_write_errors(info.path):
                stream = StreamEncoder(output, info, metadata.chunks if metadata else None)
            with _open_encoder_writer(stream, info) as writer:
                yield writer
            if metadata:
                _warn_of_lost_chapters(metadata, metadata.decoder_chapters, info)
        else:
            with spool_output() as file:
                with _open_file_writer(file, replace(info, path=file), metadata) as writer:
                    yield writer
                _check_short_output(file, info, writer.samples)
                with wrap_write_errors(info.path):
                    copy_to_sink(file, output)


@contextmanager
def _open_file_writer(
    path: Path, info: AudioInfo, metadata: InputMetadata | None
) -> Iterator[AudioWriter]:
    """Open a new file at `path`, and copy the metadata when the context exits."""
    with wrap_write_errors(info.path):
        file = _create_file(path, info, metadata)
    with _open_encoder_writer(file, info) as writer:
        yield writer
    with wrap_write_errors(info.path):
        if writer.copies_input and metadata:
            copyfile(metadata.path, path)
            _copy_mtime(path, metadata)
            return
        if not _uses_wav_encoder(info):
            from noisegate_cli.files.variable_fields import clear_variable_fields

            clear_variable_fields(path, replace(info, samples=writer.samples))
        _copy_metadata(path, info, metadata)


@contextmanager
def _open_encoder_writer(file: "Encoder", info: AudioInfo) -> Iterator[AudioWriter]:
    with ExitStack() as stack:
        writer = AudioWriter(file, info)
        stack.callback(writer.abandon)
        yield writer
        if writer.copies_input:
            return
        writer.finish()
        with wrap_write_errors(info.path):
            file.close()


def _copy_metadata(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> None:
    """Copy the metadata of the input to a complete file."""
    if metadata is None:
        return
    if info.is_ambisonic_opus and info.subtype != "OPUS":
        _warn(metadata, f"its channels are ambisonic: {info.format} cannot declare that")
    if info.keeps_tracks and not metadata.has_atoms(info):
        pass  # The encoder has written the metadata.
    elif metadata.chunks is not None and info.container.is_wav:
        if not _uses_wav_encoder(info):
            append_metadata_chunks(path, metadata.chunks)
    elif metadata.chunks is None or metadata.chunks or info.needs_channel_mask:
        from noisegate_cli.files.tag_writers import WRITERS_OF_CHAPTERS, write_tags

        try:
            write_tags(path, info, metadata.tags)
        except Exception as error:  # as in InputMetadata.tags
            if (system_error := _find_system_error(error)) is not None:
                raise system_error from error
            metadata.warnings.append(f"its tags cannot be copied ({error})")
        if info.container.tag_writer not in WRITERS_OF_CHAPTERS:
            _warn_of_lost_chapters(metadata, metadata.tags.chapters, info)
    _copy_mtime(path, metadata)


def _copy_mtime(path: Path, metadata: InputMetadata) -> None:
    if metadata.keep_mtime:
        source_status = metadata.path.stat()
        os.utime(path, ns=(source_status.st_atime_ns, source_status.st_mtime_ns))


def _warn_of_lost_chapters(
    metadata: InputMetadata, chapters: "tuple[Chapter, ...]", info: AudioInfo
) -> None:
    if chapters:
        _warn(
            metadata,
            f"its {len(chapters)} chapters are not copied: {info.format} cannot store them",
        )


def _warn(metadata: InputMetadata, warning: str) -> None:
    if warning not in metadata.warnings:  # The residue has the same format.
        metadata.warnings.append(warning)


def _find_system_error(error: BaseException) -> OSError | None:
    """Return the OSError that has caused an error; mutagen converts it to its own type."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause


@contextmanager
def wrap_write_errors(path: Path) -> Iterator[None]:
    """Convert errors of the system and the libraries while writing to OutputError."""
    try:
        yield
    except (BrokenPipeError, NoisegateError):
        raise
    except WRITE_ERRORS as error:
        raise OutputError(unwritable_message(path, error)) from error


def _uses_wav_encoder(info: AudioInfo) -> bool:
    """Return whether `WavEncoder` writes the file instead of libsndfile."""
    return info.container.is_wav and info.subtype in WRITABLE_FORMAT_TAGS and info.endian != "BIG"


def _uses_pyav(info: AudioInfo) -> bool:
    """Return whether PyAV writes the file instead of libsndfile."""
    return info.container.writer == "ffmpeg" or info.ffmpeg_encoder != ""


def unsupported_reason(info: AudioInfo) -> str:
    """Return why such a file can't be written, or an empty string if it can."""
    if _uses_pyav(info):
        from noisegate_cli.files.ffmpeg_encoder import unsupported_reason
    else:
        from noisegate_cli.files.libsndfile import unsupported_reason
    # Without the properties that don't matter, most calls find their answer in the cache.
    # Of the bit rate, it matters only whether there is one.
    return unsupported_reason(
        replace(info, path=Path(), samples=0, bit_rate=min(1, info.bit_rate), frame_rate=None)
    )


def _create_file(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> "Encoder":
    """Open a new file, and create its directory if necessary."""
    while True:
        make_folders(path.parent)
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
    """Remove the permissions of a new file that `source` doesn't have."""
    # The owner keeps write permission, because the file is opened again to add tags.
    with suppress(OSError):  # The input may have vanished, which is reported elsewhere.
        allowed_mode = source.stat().st_mode | stat.S_IWUSR
        path.chmod(stat.S_IMODE(path.stat().st_mode & allowed_mode))


def _create_encoder(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> "Encoder":
    if _uses_wav_encoder(info):
        return WavEncoder(path, info, metadata.chunks if metadata else None)
    if info.keeps_tracks and metadata:
        from noisegate_cli.files.ffmpeg_video import VideoEncoder

        return VideoEncoder(path, info, metadata.path, metadata.warnings)
    library = "ffmpeg" if _uses_pyav(info) else "libsndfile"
    encoder_writes_tags = info.container.tag_writer == library
    tags = metadata.tags if metadata and encoder_writes_tags else None
    if library == "ffmpeg":
        from noisegate_cli.files.ffmpeg_encoder import PyavEncoder

        holds_chapters = info.container.tag_writer in ("ffmpeg", "mp4")
        return PyavEncoder(
            path,
            info,
            tags.first_values(ffmpeg=True) if tags else {},
            metadata.tags.chapters if metadata and holds_chapters else (),
        )
    return SndfileEncoder(path, info, tags.first_values() if tags else {})


def is_stream(path: Path) -> bool:
    """Return whether an output can't be replaced: standard output, a named pipe or a device."""
    if path == STDIO_PATH:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_overwrite(path: Path, force: bool) -> None:
    """Raise OutputError if `path` is a directory, or if it exists and `force` is false."""
    if path == STDIO_PATH:
        return
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(unwritable_message(path, error)) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{quote_path(path)} is a folder: give a file name")
    if not force:
        raise OutputExistsError(_exists_message(path))


def _exists_message(path: Path) -> str:
    return f"{quote_path(path)} already exists: force=True overwrites it"


def unwritable_message(path: Path, error: Exception) -> str:
    """Return the error message for an output that can't be written."""
    if isinstance(error, AssertionError):
        reason = "not all samples were written, is the disk full?"
    else:
        reason = getattr(error, "strerror", None) or error_text(error)
        if reason == "System error":
            reason = "is the disk full?"
    name = "standard output" if path == STDIO_PATH else quote_path(path)
    return f"{name} can't be written: {reason}"

"""Write recordings atomically, block by block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue
from shutil import copyfile
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from noisegate_cli.errors import OutputError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.outputs.atomic import (
    WRITE_ERRORS,
    PartialFiles,
    check_overwrite,
    is_stream,
    open_partial_files,
    unwritable_message,
    wrap_write_errors,
)
from noisegate_cli.files.outputs.encoders import open_encoder
from noisegate_cli.files.outputs.metadata import InputMetadata, copy_metadata
from noisegate_cli.files.outputs.size_limits import check_size
from noisegate_cli.files.outputs.wav_encoder import is_wav_encodable
from noisegate_cli.files.pcm import convert_to_subtype, limit_for_codec
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.files.protocols import Encoder


class AudioWriter:
    """A recording open for writing; created by `open_writer` and `open_writer_among`.

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
        self._thread: Thread | None = None
        self._lock = Lock()
        """Lock of the next two variables, because an interrupt can come while the thread starts."""
        self._has_begun = self._is_abandoned = False
        # Created with the thread.
        self._queue: Queue[Samples | None]
        self._has_ended: Event

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
            self._queue, self._has_ended = Queue(maxsize=1), Event()
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
                if self._info.is_lossy and samples.dtype.kind == "f":
                    samples, clipped_samples = limit_for_codec(samples)
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


@contextmanager
def open_writer(
    info: AudioInfo, metadata: InputMetadata | None = None, force: bool = False
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing; the file appears complete when the context exits.

    `force` overwrites an existing file. See `open_writer_among` for the errors.
    """
    with open_partial_files(force) as files, open_writer_among(files, info, metadata) as writer:
        yield writer


@contextmanager
def open_writer_among(
    files: PartialFiles, info: AudioInfo, metadata: InputMetadata | None
) -> Iterator[AudioWriter]:
    """Open `info.path` for writing as one of several outputs that appear together.

    Samples are written to a partial file in the same directory, which is complete when the context
    exits, and gets its name with the other `files`. On an error or an interrupt, it is removed.
    Standard output receives the samples immediately if the format can be streamed.

    Raises
    ------
    OutputError
        If `info.path` exists and may not be overwritten, or if it cannot be written.
    """
    path = info.path
    if is_stream(path):
        check_overwrite(path, files.force)
        with _open_stream_writer(info, metadata) as writer:
            yield writer
        return
    partial = files.add(path)
    with _open_file_writer(partial, info, metadata) as writer:
        yield writer
    _check_short_output(partial, info, writer.samples)


def _check_short_output(path: Path, info: AudioInfo, samples: int) -> None:
    if info.container.is_compressed:
        from noisegate_cli.files.outputs.short_outputs import check_short_output

        check_short_output(path, info, samples)


@contextmanager
def _open_stream_writer(info: AudioInfo, metadata: InputMetadata | None) -> Iterator[AudioWriter]:
    """Open standard output, a named pipe or a device for writing."""
    from noisegate_cli.files.inputs.spool import spool_output
    from noisegate_cli.files.outputs.stream import (
        StreamEncoder,
        can_stream,
        copy_to_sink,
        open_sink,
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
                metadata.warn_of_lost_chapters(metadata.decoder_chapters, info)
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
        file = open_encoder(path, info, metadata)
    with _open_encoder_writer(file, info) as writer:
        yield writer
    with wrap_write_errors(info.path):
        if writer.copies_input and metadata:
            copyfile(metadata.path, path)
            metadata.copy_mtime(path)
            return
        if not is_wav_encodable(info):
            from noisegate_cli.files.containers.variable_fields import clear_variable_fields

            clear_variable_fields(path, replace(info, samples=writer.samples))
        copy_metadata(path, info, metadata)


@contextmanager
def _open_encoder_writer(file: "Encoder", info: AudioInfo) -> Iterator[AudioWriter]:
    writer = AudioWriter(file, info)
    try:
        yield writer
        if writer.copies_input:
            return
        writer.finish()
        with wrap_write_errors(info.path):
            file.close()
    finally:
        writer.abandon()

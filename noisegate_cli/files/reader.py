"""Read recordings block by block in their own sample type.

libsndfile reads and writes integers without change. A conversion through floats takes four times
as long and isn't lossless (libsndfile reads with 1/32768 and writes with 32767). Samples therefore
stay int16, int32, float32 or float64, whichever represents the samples of the file exactly.

libsndfile is tried first. PyAV reads files that libsndfile can't read, or can't read completely.
Damaged recordings are read as far as possible, with a warning.
"""

import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import soundfile as sf

from noisegate_cli.errors import AudioError, DamageError, SignalError
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo, is_plausible
from noisegate_cli.files.libsndfile import SndfileDecoder, unreadable_error
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.riff import MetadataChunks, WavLayout, read_layout
from noisegate_cli.samples import Samples, block_length, silence_nonfinite
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from noisegate_cli.files.ffmpeg import PyavDecoder
    from noisegate_cli.files.pipes import RawFormat, StreamReader


WAV_MAGIC = (b"RIFF", b"RIFX", b"RF64")

LIBSNDFILE_MAGIC = (*WAV_MAGIC, b"riff", b"FORM", b".snd")
"""First bytes of files for which libsndfile's error messages are more precise than FFmpeg's."""

RESUMABLE_FORMATS = ("FLAC", "MP3", "OGG")
"""Containers that PyAV may be able to read past a position where libsndfile fails."""


class AudioReader:
    """A recording open for reading.

    Parameters
    ----------
    path
        File to read.
    raw
        Sample format of a file without a header; None for other files.
    display_path
        Path for messages, if it differs from `path`.
    zero_nonfinite
        Whether to replace NaN and infinite samples with zero.

    Raises
    ------
    AudioError
        If the file can't be read; the message quotes the path.
    """

    def __init__(
        self,
        path: Path,
        raw: "RawFormat | None" = None,
        display_path: Path | None = None,
        zero_nonfinite: bool = False,
    ) -> None:
        self.path = path
        self._raw = raw
        self._display_path = display_path or path
        self._zero_nonfinite = zero_nonfinite
        self.warnings: list[str] = []
        """Warnings about the recording; complete after it has been read to the end."""
        magic = _read_magic(path, self._display_path)
        self._layout: WavLayout | None = None
        if magic in WAV_MAGIC and not raw:
            self._layout = read_layout(path)
        self._decoder = self._open_decoder(magic)
        try:
            self.info = self._validate_info()
        except AudioError:
            self._decoder.close()
            raise

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    def reopen(self) -> "AudioReader":
        """Return a new reader of the same recording, positioned at its beginning."""
        return AudioReader(self.path, self._raw, self._display_path, self._zero_nonfinite)

    @property
    def tags(self) -> dict[str, str]:
        """Tags that the decoder reports, such as title and artist."""
        return self._decoder.tags

    @property
    def chunks(self) -> MetadataChunks | None:
        """Metadata chunks of a WAV file; None for other files."""
        return self._layout.metadata_chunks if self._layout else None

    def blocks(self) -> Iterator[tuple[Samples, bool]]:
        """Yield blocks of shape (samples, channels), each with a flag that marks the last one.

        An empty recording yields one empty block. The array of a block is reused for the next
        one: copy it to use it later.

        Raises
        ------
        AudioError
            If the recording declares samples but none can be read.
        """
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            return silence_nonfinite(self._blocks(), self.warnings)
        return self._blocks()

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        length = block_length(self.info.channels, self.info.dtype)
        nothing = np.zeros((0, self.info.channels), self.info.dtype)
        blocks = self._decoder.blocks(length)
        read, damage = 0, ""
        last = False
        while not last:
            try:
                block, last = next(blocks)
            except DamageError as error:
                block, last, damage = nothing, True, str(error)
            read += len(block)
            rest = self._open_fallback(read, damage) if last else None
            if last and rest is None:
                self._check_completeness(read, damage)
            yield block, last and rest is None
        if rest is None:
            return
        with rest:
            for block, last in rest.blocks_from(read, length):
                read += len(block)
                if len(block):
                    damage = damage or "libsndfile stopped before the end"
                if last:
                    self._check_completeness(read, damage)
                yield convert_to_subtype(block, self.info.subtype)[0], last

    def _open_decoder(self, magic: bytes) -> "SndfileDecoder | PyavDecoder":
        why: Exception | None = None
        if not (self._layout and self._layout.has_undeclared_audio):
            try:
                decoder = SndfileDecoder(self.path, magic, self._raw)
                if decoder.can_read_all:
                    return decoder
                decoder.close()
            except (sf.SoundFileError, OSError, TypeError, ValueError) as error:
                # FFmpeg accepts a chunk that declares a size larger than the file.
                if self._raw or (self._layout and not self._layout.is_valid):
                    raise unreadable_error(self._display_path, error) from error
                why = error
        from noisegate_cli.files.ffmpeg import PyavDecoder

        try:
            return PyavDecoder(self.path)
        except AudioError as error:
            # For formats that libsndfile handles best, its error message is more precise.
            told = why if why and magic in LIBSNDFILE_MAGIC else error
            raise unreadable_error(self._display_path, told) from error

    def _validate_info(self) -> AudioInfo:
        """Return the properties of the recording, or raise AudioError if they are implausible."""
        info = replace(self._decoder.info, path=self._display_path)
        _check_plausible(info)
        if others := self._decoder.other_streams:
            self.warnings.append(f"it has {others + 1} sound tracks: the main one is taken")
        layout = self._layout
        if layout is None:
            return info
        if layout.has_undeclared_audio:
            self.warnings.append(
                "its header says that it is empty, as when a recorder was cut off: "
                "all that follows is taken for its sound"
            )
        if layout.extra_data_bytes and layout.block_align:
            seconds = layout.extra_data_bytes / layout.block_align / info.sample_rate
            self.warnings.append(
                f"it holds a second recording of {format_duration(seconds)}, which is left out"
            )
        return replace(info, channel_mask=layout.channel_mask)

    def _open_fallback(self, read: int, damage: str) -> "PyavDecoder | None":
        """Return a PyAV decoder to continue with if libsndfile stopped early, or None."""
        decoder = self._decoder
        if not isinstance(decoder, SndfileDecoder) or decoder.info.format not in RESUMABLE_FORMATS:
            return None
        short = read < decoder.declared_length - self._decoder.tolerance_samples / 10
        if not (damage or (short and math.isfinite(decoder.declared_length))):
            return None
        from noisegate_cli.files.ffmpeg import PyavDecoder

        try:
            rest = PyavDecoder(self.path)
        except AudioError:
            return None
        same = (rest.info.channels, rest.info.sample_rate)
        if same != (self.info.channels, self.info.sample_rate):
            rest.close()
            return None
        return rest

    def _check_completeness(self, read: int, damage: str) -> None:
        rate, declared_length = self.info.sample_rate, self._decoder.declared_length
        if not read and (declared_length or damage):
            of = (
                f" of {format_duration(declared_length / rate)}"
                if 0 < declared_length < math.inf
                else ""
            )
            raise AudioError(
                f"{quote_path(self._display_path)} is cut short: it holds nothing{of}; "
                "copy it again"
            )
        if declared_length == math.inf:
            self.warnings.append(
                f"its end is missing: it holds {format_duration(read / rate)}, "
                "how long it was can't be told"
            )
        elif read < declared_length - self._decoder.tolerance_samples:
            self.warnings.append(
                f"it is {'damaged' if damage else 'cut short'}: it holds "
                f"{format_duration(read / rate)} of {format_duration(declared_length / rate)}, "
                f"{format_duration((declared_length - read) / rate)} are missing"
            )
        elif damage or self._decoder.damaged:
            self.warnings.append("it is damaged: what could not be decoded is left out")


def _check_plausible(info: AudioInfo) -> None:
    if not is_plausible(info.channels, info.sample_rate):
        raise AudioError(
            f"{quote_path(info.path)} announces {info.channels} channels "
            f"at {info.sample_rate} Hz, which can't be: its header is damaged"
        )


def probe(path: Path) -> AudioInfo:
    """Return the properties of the recording at `path`; see `AudioReader` for the errors."""
    with AudioReader(path) as reader:
        return reader.info


Reader: TypeAlias = "AudioReader | StreamReader"


@contextmanager
def open_reader(
    path: Path,
    raw: "RawFormat | None" = None,
    allow_streaming: bool = False,
    zero_nonfinite: bool = False,
) -> Iterator[Reader]:
    """Open a recording, or standard input if `path` is `STDIO_PATH`.

    Parameters
    ----------
    path
        File to read, or `STDIO_PATH`.
    raw
        Sample format of a recording without a header; None for other recordings.
    allow_streaming
        Whether standard input may be read as a stream, and so only once. Otherwise, and for
        formats that can't be streamed, it is first spooled to a private temporary file.
    zero_nonfinite
        Whether to replace NaN and infinite samples with zero.
    """
    if path != STDIO_PATH:
        with AudioReader(path, raw, zero_nonfinite=zero_nonfinite) as reader:
            yield reader
        return
    from noisegate_cli.files.pipes import StandardInput, StreamReader, spool_to_file

    source = StandardInput()
    if allow_streaming and (stream := StreamReader.try_open(source, raw, zero_nonfinite)):
        _check_plausible(stream.info)
        yield stream
        return
    with spool_to_file(source) as file, AudioReader(file, raw, path, zero_nonfinite) as reader:
        yield reader


def _read_magic(path: Path, display_path: Path) -> bytes:
    """Return the first four bytes of a file, or raise AudioError if it can't be read."""
    first = b""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                first = file.read(4)
    except FileNotFoundError as error:
        raise AudioError(f"{quote_path(display_path)} doesn't exist: check the name") from error
    except OSError as error:
        raise AudioError(f"{quote_path(display_path)} can't be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise AudioError(
            f"{quote_path(display_path)} is a directory: use ngate batch for a tree of recordings"
        )
    if not stat.S_ISREG(mode):
        raise AudioError(
            f"{quote_path(display_path)} is no file on a disk: write it to one first, "
            "or pipe it to ngate gate -"
        )
    if not first:
        raise AudioError(f"{quote_path(display_path)} is empty (0 bytes): record or copy it again")
    return first


@contextmanager
def add_path_to_errors(path: Path) -> Iterator[None]:
    """Add the path of the recording to the message of a SignalError."""
    try:
        yield
    except SignalError as error:
        raise AudioError(f"{quote_path(path)}: {error}") from error

"""Read recordings block by block in their own sample type.

libsndfile reads and writes integers without change. A conversion through floats takes four times as
long and is not lossless (libsndfile reads with 1/32768 and writes with 32767). Samples therefore
stay int16, int32, float32 or float64, whichever represents the samples of the file exactly.

Damaged recordings are read as far as possible, with a warning.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from noisegate_cli.errors import AudioError, DamageError, SignalError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo, quote_input
from noisegate_cli.files.audio_tracks import check_track
from noisegate_cli.files.containers.riff import MetadataChunks
from noisegate_cli.files.formats import DEFAULT_CHANNEL_MASKS
from noisegate_cli.files.inputs.check import check_plausible
from noisegate_cli.files.inputs.decoders import DecoderChooser
from noisegate_cli.files.libsndfile.decoder import SndfileDecoder
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.samples import Samples, block_length, silence_nonfinite
from noisegate_cli.text import format_duration

if TYPE_CHECKING:
    from noisegate_cli.files.chapters import Chapter
    from noisegate_cli.files.file_parts import FilePart
    from noisegate_cli.files.inputs.stream import StreamReader
    from noisegate_cli.files.protocols import Decoder, ResumingDecoder
    from noisegate_cli.files.raw_format import RawFormat


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
    track
        Number of the audio track, from 1; None for the main one.
    parts
        Parts of the file if it is several files joined end to end; None to find them.

    Raises
    ------
    AudioError
        If the file cannot be read, or has no such track; the message quotes the path.
    """

    def __init__(
        self,
        path: Path,
        raw: "RawFormat | None" = None,
        display_path: Path | None = None,
        zero_nonfinite: bool = False,
        track: int | None = None,
        parts: "list[FilePart] | None" = None,
    ) -> None:
        self.path = path
        self._track = track
        self._raw = raw
        self._display_path = display_path or path
        self._zero_nonfinite = zero_nonfinite
        self.warnings: list[str] = []
        """Warnings about the recording; complete after it has been read to the end."""
        self._chooser = DecoderChooser(
            path, self._display_path, raw, track, parts, self.warnings.append
        )
        self._decoder: Decoder = self._chooser.open()
        self._is_unread = True
        self._ahead: tuple[tuple[Samples, bool], Iterator[tuple[Samples, bool]]] | None = None
        self._layout = self._chooser.layout
        try:
            self.info = self._validate_info()
        except AudioError:
            self._decoder.close()
            raise

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._is_unread, self._ahead = False, None
        self._decoder.close()

    def reopen(self) -> "AudioReader":
        """Return a new reader of the same recording, positioned at its beginning."""
        return AudioReader(
            self.path,
            self._raw,
            self._display_path,
            self._zero_nonfinite,
            self._track,
            self._chooser.parts,
        )

    @property
    def tags(self) -> dict[str, str]:
        """Tags that the decoder reports, such as title and artist."""
        return self._decoder.tags

    @property
    def chapters(self) -> "tuple[Chapter, ...]":
        """Chapters that the container has, in addition to those in tags."""
        return self._decoder.chapters

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
        if self._ahead:
            first, rest = self._ahead
            return chain([first], rest)
        return self._begin()

    def read_ahead(self) -> Samples | None:
        """Return the only block of a short recording, which `blocks` yields again; else None.

        A second pass then needs no second reader. None if `blocks` has been called before.
        """
        is_short = 0 < self.info.samples < block_length(self.info.channels, self.info.dtype)
        if is_short and self._is_unread:
            blocks = self._begin()
            self._ahead = next(blocks), blocks
        if self._ahead is None:
            return None
        block, last = self._ahead[0]
        return block if last else None

    def _begin(self) -> Iterator[tuple[Samples, bool]]:
        self._is_unread = False
        blocks = self._blocks()
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            blocks = silence_nonfinite(blocks, self.warnings)
        if self._track is None and len(self.info.tracks) > 1:
            from noisegate_cli.files.inputs.silent_tracks import warn_if_silent

            info = self.info
            blocks = warn_if_silent(blocks, self.path, info.track, info.tracks, self.warnings)
        return blocks

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        length = block_length(self.info.channels, self.info.dtype)
        nothing = np.zeros((0, self.info.channels), self.info.dtype)
        blocks = self._decoder.blocks(length)
        read, is_interrupted, last = 0, False, False
        while not last:
            try:
                block, last = next(blocks)
            except DamageError:
                block, last, is_interrupted = nothing, True, True
            read += len(block)
            rest = self._open_fallback(read, is_interrupted) if last else None
            if last and rest is None:
                self._check_completeness(read, is_interrupted, self._decoder)
            yield block, last and rest is None
        if rest is None:
            return
        with rest:
            for block, last in rest.blocks_from(read, length):
                read += len(block)
                is_interrupted = is_interrupted or len(block) > 0
                if last:
                    self._check_completeness(read, is_interrupted, rest)
                yield convert_to_subtype(block, self.info.subtype)[0], last

    def _validate_info(self) -> AudioInfo:
        """Return the properties of the recording, or raise AudioError if they are implausible."""
        info, layout = self._decoder.info, self._layout
        check_plausible(self._display_path, info.channels, info.sample_rate)
        if self._track is not None:
            check_track(quote_input(self._display_path), self._track, info.tracks)
        if layout is None:
            channel_mask = info.channel_mask or self._read_channel_mask(info)
            return replace(info, path=self._display_path, channel_mask=channel_mask)
        if layout.has_undeclared_audio:
            self.warnings.append(
                "its header says that it is empty, as after a power failure of the recorder: "
                "all data after the header is read as audio"
            )
        if layout.extra_duration:
            seconds = format_duration(layout.extra_duration)
            self.warnings.append(f"it contains a second recording of {seconds}, which is ignored")
        return replace(
            info,
            path=self._display_path,
            channel_mask=layout.fmt.channel_mask,
            valid_bits=layout.fmt.valid_bits,
            is_ambisonic=layout.fmt.is_ambisonic,
        )

    def _has_all_compressed_data(self) -> bool:
        """Return whether FFmpeg reads a WAV file that is complete and holds compressed samples.

        FFmpeg estimates the length of such a file, so that the length cannot reveal missing
        samples.
        """
        data = self._layout.data if self._layout else None
        by_ffmpeg = not isinstance(self._decoder, SndfileDecoder)
        return by_ffmpeg and self.info.is_lossy and data is not None and data.is_complete

    def _read_channel_mask(self, info: AudioInfo) -> int:
        """Return the channel mask of a FLAC or Ogg file with more than two channels; 0 for others.

        libsndfile does not report it.
        """
        has_positions = info.format in ("FLAC", "OGG") and not info.opus_mapping_family
        if info.channels <= 2 or not has_positions:
            return 0
        from noisegate_cli.files.tags.reading import read_channel_mask

        mask = read_channel_mask(self.path) if info.format == "FLAC" else 0
        return mask or DEFAULT_CHANNEL_MASKS.get(info.channels, 0)

    def _open_fallback(self, read: int, is_interrupted: bool) -> "ResumingDecoder | None":
        """Return a PyAV decoder to continue with if libsndfile stopped early, or None."""
        decoder = self._decoder
        if not (isinstance(decoder, SndfileDecoder) and decoder.info.container.is_resumable):
            return None
        short = read < decoder.declared_length
        if not (is_interrupted or (short and math.isfinite(decoder.declared_length))):
            return None
        return self._chooser.open_rest(self.info)

    def _check_completeness(
        self, read: int, is_interrupted: bool, last: "Decoder | ResumingDecoder"
    ) -> None:
        """Add warnings about missing samples; `last` has decoded the end of the recording."""
        decoder, path = self._decoder, self.path
        is_end_missing = self.info.format == "OGG" and _is_ogg_end_missing(path)
        is_suspect = is_interrupted or bool(decoder.damaged) or read < decoder.declared_length
        if not (is_suspect or is_end_missing or last.holes):
            return
        from noisegate_cli.files.inputs.completeness import (
            ReadSamples,
            check_readable,
            describe_losses,
        )

        if is_suspect:
            check_readable(path, self.info.path)
        samples = ReadSamples(
            info=self.info,
            length=read,
            declared_length=decoder.declared_length,
            tolerance=math.inf if self._has_all_compressed_data() else decoder.tolerance_samples,
            errors=decoder.damaged,
            is_interrupted=is_interrupted,
            holes=last.holes,
            is_end_missing=is_end_missing,
        )
        self.warnings.extend(describe_losses(samples))


def _is_ogg_end_missing(path: Path) -> bool:
    from noisegate_cli.files.containers.ogg import is_end_missing

    return is_end_missing(path)


def probe(path: Path, track: int | None = None) -> AudioInfo:
    """Return the properties of the recording at `path`; see `AudioReader` for the errors."""
    with AudioReader(path, track=track) as reader:
        return reader.info


Reader: TypeAlias = "AudioReader | StreamReader"


@contextmanager
def open_reader(
    path: Path,
    raw: "RawFormat | None" = None,
    allow_streaming: bool = False,
    zero_nonfinite: bool = False,
    track: int | None = None,
) -> Iterator[Reader]:
    """Open a recording, or standard input if `path` is `STDIO_PATH`.

    Parameters
    ----------
    path
        File to read, or `STDIO_PATH`.
    raw
        Sample format of a recording without a header; None for other recordings.
    allow_streaming
        Whether standard input may be read as a stream, and so only once. Otherwise, and for formats
        that cannot be streamed, it is first spooled to a private temporary file.
    zero_nonfinite
        Whether to replace NaN and infinite samples with zero.
    track
        Number of the audio track, from 1; None for the main one.
    """
    if path != STDIO_PATH:
        with AudioReader(path, raw, zero_nonfinite=zero_nonfinite, track=track) as reader:
            yield reader
        return
    from noisegate_cli.files.inputs.spool import spool_to_file
    from noisegate_cli.files.inputs.stream import StandardInput, StreamReader

    source = StandardInput()
    if allow_streaming and (stream := StreamReader.try_open(source, raw, zero_nonfinite)):
        check_track(quote_input(path), track, stream.info.tracks)
        yield stream
        return
    with (
        spool_to_file(source) as file,
        AudioReader(file, raw, path, zero_nonfinite, track) as reader,
    ):
        yield reader


@contextmanager
def add_path_to_errors(path: Path) -> Iterator[None]:
    """Add the path of the recording to the message of a SignalError."""
    try:
        yield
    except SignalError as error:
        raise AudioError(f"{quote_input(path)}: {error}") from error

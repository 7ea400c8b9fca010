"""Read recordings block by block in their own sample type.

libsndfile reads and writes integers without change. A conversion through floats takes four times
as long and isn't lossless (libsndfile reads with 1/32768 and writes with 32767). Samples therefore
stay int16, int32, float32 or float64, whichever represents the samples of the file exactly.

PyAV reads MPEG audio, and files that libsndfile can't read, or can't read completely. libsndfile
reads all other files. Damaged recordings are read as far as possible, with a warning.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import soundfile as sf

from noisegate_cli.errors import AudioError, DamageError, SignalError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo, is_plausible
from noisegate_cli.files.audio_tracks import check_track
from noisegate_cli.files.formats import DEFAULT_CHANNEL_MASKS, Format, find_format_by_magic
from noisegate_cli.files.input_file import check_readable, read_head
from noisegate_cli.files.libsndfile import SndfileDecoder, error_text, unreadable_error
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.riff import MetadataChunks, WavLayout, read_layout
from noisegate_cli.samples import Samples, block_length, silence_nonfinite
from noisegate_cli.text import format_duration, quote_path

if TYPE_CHECKING:
    from noisegate_cli.files.chapters import Chapter
    from noisegate_cli.files.file_parts import FilePart
    from noisegate_cli.files.holes import Hole
    from noisegate_cli.files.protocols import Decoder, ResumingDecoder
    from noisegate_cli.files.raw_format import RawFormat
    from noisegate_cli.files.stream_input import StreamReader


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
        If the file can't be read, or has no such track; the message quotes the path.
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
        self._parts = parts
        self._raw = raw
        self._display_path = display_path or path
        self._zero_nonfinite = zero_nonfinite
        self.warnings: list[str] = []
        """Warnings about the recording; complete after it has been read to the end."""
        head = read_head(path, self._display_path)
        magic = head[:4]
        kind = find_format_by_magic(magic)
        self._layout: WavLayout | None = None
        try:
            if not raw:
                if kind and kind.is_wav:
                    self._layout = read_layout(path)
                if not self._layout:  # The tags of WAV files have limits of their own.
                    self._check_tags()
            self._decoder: Decoder = self._open_decoder(magic, kind)
        except AudioError:  # It is an OSError that has its message already.
            raise
        except OSError as error:  # Files in /proc can't be searched, and a disk can fail.
            raise unreadable_error(self._display_path, error) from error
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
        return AudioReader(
            self.path,
            self._raw,
            self._display_path,
            self._zero_nonfinite,
            self._track,
            self._parts,
        )

    @property
    def tags(self) -> dict[str, str]:
        """Tags that the decoder reports, such as title and artist."""
        return self._decoder.tags

    @property
    def chapters(self) -> "tuple[Chapter, ...]":
        """Chapters that the container has, besides those in tags."""
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
        blocks = self._blocks()
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            blocks = silence_nonfinite(blocks, self.warnings)
        if self._track is None and len(self.info.tracks) > 1:
            from noisegate_cli.files.silent_tracks import warn_if_silent

            info = self.info
            blocks = warn_if_silent(blocks, self.path, info.track, info.tracks, self.warnings)
        return blocks

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
                self._check_completeness(read, damage, self._decoder)
            yield block, last and rest is None
        if rest is None:
            return
        with rest:
            for block, last in rest.blocks_from(read, length):
                read += len(block)
                if len(block):
                    damage = damage or "libsndfile stopped before the end"
                if last:
                    self._check_completeness(read, damage, rest)
                yield convert_to_subtype(block, self.info.subtype)[0], last

    def _check_tags(self, part: "FilePart | None" = None) -> None:
        """Raise AudioError if the file, or a part of it, has excessive tags."""
        from noisegate_cli.files.tag_limits import has_excessive_tags

        if has_excessive_tags(self.path, part):
            raise AudioError(
                f"{quote_path(self._display_path)} has too many or too large tags: "
                "remove them with a tag editor"
            )

    def _open_decoder(self, magic: bytes, kind: Format | None) -> "Decoder":
        why: Exception | None = None
        is_mpeg = is_free = False
        if not (self._raw or kind):
            from noisegate_cli.files.mpeg import is_free_format, is_mpeg_audio

            is_free = is_free_format(self.path)
            is_mpeg = not is_free and is_mpeg_audio(self.path, magic)
        if not (self._raw or is_mpeg) and (joined := self._open_joined(kind)):
            return joined
        if not (is_mpeg or self._needs_ffmpeg or self._is_ogg_start_damaged(kind)):
            try:
                decoder = SndfileDecoder(self.path, self._raw)
                if decoder.can_read_all or is_free:
                    return decoder
                decoder.close()
            except (sf.SoundFileError, OSError, TypeError, ValueError) as error:
                # FFmpeg accepts a chunk that declares a size larger than the file.
                if self._raw or (self._layout and not self._layout.is_valid):
                    raise unreadable_error(self._display_path, error) from error
                why = error
        if self._layout:  # FFmpeg reads its tags too.
            self._check_tags()
        from noisegate_cli.files.ffmpeg_decoders import open_decoder

        try:
            return open_decoder(
                self.path, is_mpeg, self._track, self.warnings.append, self._check_tags
            )
        except AudioError as error:
            # For uncompressed formats, libsndfile's error message is more precise.
            cause = why if why and kind and not kind.is_compressed else error
            raise unreadable_error(self._display_path, cause) from error

    def _is_ogg_start_damaged(self, kind: Format | None) -> bool:
        if not kind or kind.name != "OGG":
            return False
        from noisegate_cli.files.ogg import is_start_damaged

        return is_start_damaged(self.path)

    @property
    def _needs_ffmpeg(self) -> bool:
        return self._layout is not None and self._layout.needs_ffmpeg

    def _open_joined(self, kind: Format | None) -> "Decoder | None":
        """Open a file that is several files joined end to end; return None for others."""
        if self._layout and not self._layout.is_joined:
            return None
        if kind and kind.name == "OGG":
            from noisegate_cli.files.ogg import find_chained_parts as find_parts
        else:
            from noisegate_cli.files.joined_files import find_joined_parts as find_parts
        if self._parts is None:
            try:
                self._parts = find_parts(self.path)
            except AudioError as error:
                raise unreadable_error(self._display_path, error) from error
        parts = self._parts
        if not parts:
            return None
        from noisegate_cli.files.joined_decoder import JoinedDecoder

        with suppress(AudioError):
            joined = JoinedDecoder(
                parts, self._open_part, open_rest=self._open_rest, warn=self.warnings.append
            )
            if not joined.info.has_other_tracks:
                return joined
            joined.close()  # An output would have only the picture of the first video.
            self.warnings.append("it contains a second video, which is ignored")
            return self._open_part(parts[0])
        return None

    def _open_part(self, part: "FilePart") -> "Decoder":
        self._check_tags(part)
        if not self._needs_ffmpeg:
            try:
                decoder = SndfileDecoder(self.path, part=part)
                if decoder.can_read_all:
                    return decoder
                decoder.close()
            except sf.SoundFileError as error:
                if not part.demuxer:
                    raise AudioError(error_text(error)) from error
        from noisegate_cli.files.ffmpeg import PyavDecoder

        return PyavDecoder(self.path, part, self._track)

    def _validate_info(self) -> AudioInfo:
        """Return the properties of the recording, or raise AudioError if they are implausible."""
        info, layout = self._decoder.info, self._layout
        _check_plausible(self._display_path, info)
        check_track(self._display_path, self._track, info.tracks)
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

        FFmpeg estimates the length of such a file, so that the length can't reveal missing samples.
        """
        data = self._layout.data if self._layout else None
        by_ffmpeg = not isinstance(self._decoder, SndfileDecoder)
        return by_ffmpeg and self.info.is_lossy and data is not None and data.is_complete

    def _read_channel_mask(self, info: AudioInfo) -> int:
        """Return the channel mask of a FLAC or Ogg file with more than two channels; 0 of others.

        libsndfile doesn't report it.
        """
        has_positions = info.format in ("FLAC", "OGG") and not info.opus_mapping_family
        if info.channels <= 2 or not has_positions:
            return 0
        from noisegate_cli.files.tags import read_channel_mask

        mask = read_channel_mask(self.path) if info.format == "FLAC" else 0
        return mask or DEFAULT_CHANNEL_MASKS.get(info.channels, 0)

    def _open_fallback(self, read: int, damage: str) -> "ResumingDecoder | None":
        """Return a PyAV decoder to continue with if libsndfile stopped early, or None."""
        decoder = self._decoder
        if not (isinstance(decoder, SndfileDecoder) and decoder.info.container.is_resumable):
            return None
        short = read < decoder.declared_length
        if not (damage or (short and math.isfinite(decoder.declared_length))):
            return None
        return self._open_rest()

    def _open_rest(self, part: "FilePart | None" = None) -> "ResumingDecoder | None":
        """Open the file or a part of it through PyAV, if that yields the same kind of samples."""
        from noisegate_cli.files.ffmpeg import PyavDecoder

        try:
            rest = PyavDecoder(self.path, part)
        except AudioError:
            return None
        if rest.info.channels == self.info.channels:
            if rest.info.sample_rate == self.info.sample_rate:
                return rest
            if self.info.subtype == rest.info.subtype == "OPUS":
                from noisegate_cli.files.ffmpeg_resampler import ResampledDecoder

                return ResampledDecoder(rest, self.info.sample_rate)
        rest.close()
        return None

    def _check_completeness(
        self, read: int, damage: str, last: "Decoder | ResumingDecoder"
    ) -> None:
        """Add warnings about missing samples; `last` has decoded the end of the recording."""
        rate = self.info.sample_rate
        declared_length = self._decoder.declared_length
        if damage or self._decoder.damaged or read < declared_length:
            check_readable(self.path, self._display_path)
        if not read and (declared_length or damage):
            of = (
                f" of {format_duration(declared_length / rate)}"
                if 0 < declared_length < math.inf
                else ""
            )
            raise AudioError(
                f"{quote_path(self._display_path)} is truncated: it contains no audio{of}; "
                "copy it again"
            )
        is_ogg = self.info.format == "OGG"
        is_ogg_end_missing = is_ogg and _is_ogg_end_missing(self.path)
        if is_ogg and declared_length == math.inf and not is_ogg_end_missing:
            declared_length = read  # libsndfile takes bytes after the last page for a missing end.
        if declared_length == math.inf or (is_ogg_end_missing and read >= declared_length):
            self.warnings.append(
                f"its end is missing: it contains {format_duration(read / rate)}, "
                "the original length is unknown"
            )
            if last.holes:
                self._warn_of_holes(last.holes)
        elif read < declared_length - self._decoder.tolerance_samples and not (
            self._has_all_compressed_data()
        ):
            # The packet at the end of a file that is truncated causes one error.
            is_damaged = damage or self._decoder.damaged > 1
            self.warnings.append(
                f"it is {'damaged' if is_damaged else 'truncated'}: it contains "
                f"{format_duration(read / rate)} of {format_duration(declared_length / rate)}, "
                f"{format_duration((declared_length - read) / rate)} are missing"
            )
        elif last.holes:
            self._warn_of_holes(last.holes)
        elif (damage or self._decoder.damaged) and not self._has_exact_length(read):
            # Other bytes after the last frame are an error for decoders, but no damage.
            self.warnings.append("it is damaged: parts that cannot be decoded are omitted")

    def _has_exact_length(self, read: int) -> bool:
        """Return whether the file declares exactly the samples that were read."""
        decoder = self._decoder
        is_exact = self.info.is_length_exact or self.info.format == "MP3"
        return is_exact and decoder.declared_length == read

    def _warn_of_holes(self, holes: "list[Hole]") -> None:
        from noisegate_cli.files.holes import describe_holes

        self.warnings.append(describe_holes(holes, self.info.sample_rate))


def _is_ogg_end_missing(path: Path) -> bool:
    from noisegate_cli.files.ogg import is_end_missing

    return is_end_missing(path)


def _check_plausible(path: Path, info: AudioInfo) -> None:
    if not is_plausible(info.channels, info.sample_rate):
        raise AudioError(
            f"{quote_path(path)} declares {info.channels} channels "
            f"at {info.sample_rate} Hz, which is impossible: its header is damaged"
        )


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
        Whether standard input may be read as a stream, and so only once. Otherwise, and for
        formats that can't be streamed, it is first spooled to a private temporary file.
    zero_nonfinite
        Whether to replace NaN and infinite samples with zero.
    track
        Number of the audio track, from 1; None for the main one.
    """
    if path != STDIO_PATH:
        with AudioReader(path, raw, zero_nonfinite=zero_nonfinite, track=track) as reader:
            yield reader
        return
    from noisegate_cli.files.spool import spool_to_file
    from noisegate_cli.files.stream_input import StandardInput, StreamReader

    source = StandardInput()
    if allow_streaming and (stream := StreamReader.try_open(source, raw, zero_nonfinite)):
        _check_plausible(path, stream.info)
        check_track(path, track, stream.info.tracks)
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
        raise AudioError(f"{quote_path(path)}: {error}") from error

"""Choose the decoder of a recording, and open it.

PyAV reads MPEG audio, and files that libsndfile cannot read, or cannot read completely. libsndfile
reads all other files.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile as sf

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import AudioInfo, quote_input
from noisegate_cli.files.containers.riff import WavLayout, read_layout
from noisegate_cli.files.formats import Format, find_format_by_magic
from noisegate_cli.files.inputs.check import read_head
from noisegate_cli.files.libsndfile.conventions import error_text, unreadable_error
from noisegate_cli.files.libsndfile.decoder import SndfileDecoder

if TYPE_CHECKING:
    from noisegate_cli.files.file_parts import FilePart
    from noisegate_cli.files.protocols import Decoder, ResumingDecoder
    from noisegate_cli.files.raw_format import RawFormat


class DecoderChooser:
    """Opens a recording with the library that reads it best.

    Parameters
    ----------
    path
        File to read.
    display_path
        Path for messages.
    raw
        Sample format of a file without a header; None for other files.
    track
        Number of the audio track, from 1; None for the main one.
    parts
        Parts of the file if it is several files joined end to end; None to find them.
    warn
        Function that receives warnings about what is not read.
    """

    def __init__(
        self,
        path: Path,
        display_path: Path,
        raw: "RawFormat | None",
        track: int | None,
        parts: "list[FilePart] | None",
        warn: Callable[[str], None],
    ) -> None:
        self._path, self._display_path = path, display_path
        self._raw, self._track, self._warn = raw, track, warn
        self.parts = parts
        """Parts of the file; None if it was not searched for them."""
        self.layout: WavLayout | None = None
        """Chunks of a WAV file; None for other files."""

    def open(self) -> "Decoder":
        """Return a decoder of the recording.

        Raises
        ------
        AudioError
            If the file cannot be read; the message quotes the path.
        """
        magic = read_head(self._path, self._display_path)[:4]
        kind = None if self._raw else find_format_by_magic(magic)
        try:
            if not self._raw:
                if kind and kind.is_wav:
                    self.layout = read_layout(self._path)
                if not self.layout:  # The tags of WAV files have their own limits.
                    self._check_tags()
            return self._open(magic, kind)
        except AudioError:  # It is an OSError that has its message already.
            raise
        except OSError as error:  # Files in /proc cannot be searched, and a disk can fail.
            raise unreadable_error(self._display_path, error) from error

    def open_rest(
        self, info: AudioInfo, part: "FilePart | None" = None
    ) -> "ResumingDecoder | None":
        """Open the file or a part of it through PyAV, to read on where libsndfile stopped.

        It is None if PyAV cannot yield samples of the kind of `info`.
        """
        from noisegate_cli.files.ffmpeg.decoder import PyavDecoder

        try:
            rest = PyavDecoder(self._path, part)
        except AudioError:
            return None
        if rest.info.channels == info.channels:
            if rest.info.sample_rate == info.sample_rate:
                return rest
            if info.subtype == rest.info.subtype == "OPUS":
                from noisegate_cli.files.ffmpeg.resampler import ResampledDecoder

                return ResampledDecoder(rest, info.sample_rate)
        rest.close()
        return None

    def _open(self, magic: bytes, kind: Format | None) -> "Decoder":
        is_mpeg = is_free = False
        if not (self._raw or kind):
            from noisegate_cli.files.containers.mpeg import is_free_format, is_mpeg_audio

            is_free = is_free_format(self._path)
            is_mpeg = not is_free and is_mpeg_audio(self._path, magic)
        if not (self._raw or is_mpeg) and (joined := self._open_joined(kind)):
            return joined
        why: Exception | None = None
        if not (is_mpeg or self._needs_ffmpeg or self._is_ogg_start_damaged(kind)):
            try:
                decoder = SndfileDecoder(self._path, self._raw)
                if decoder.can_read_all or is_free:
                    return decoder
                decoder.close()
            except (sf.SoundFileError, OSError, TypeError, ValueError) as error:
                # FFmpeg accepts a chunk that declares a size larger than the file.
                if self._raw or (self.layout and not self.layout.is_valid):
                    raise unreadable_error(self._display_path, error) from error
                why = error
        if self.layout:  # FFmpeg reads its tags too.
            self._check_tags()
        from noisegate_cli.files.ffmpeg.opening import open_decoder

        try:
            return open_decoder(self._path, is_mpeg, self._track, self._warn, self._check_tags)
        except AudioError as error:
            # For uncompressed formats, libsndfile's error message is more precise.
            cause = why if why and kind and not kind.is_compressed else error
            raise unreadable_error(self._display_path, cause) from error

    def _is_ogg_start_damaged(self, kind: Format | None) -> bool:
        if not kind or kind.name != "OGG":
            return False
        from noisegate_cli.files.containers.ogg import is_start_damaged

        return is_start_damaged(self._path)

    @property
    def _needs_ffmpeg(self) -> bool:
        return self.layout is not None and self.layout.needs_ffmpeg

    def _open_joined(self, kind: Format | None) -> "Decoder | None":
        """Open a file that is several files joined end to end; return None for others."""
        if self.layout and not self.layout.is_joined:
            return None
        if self.parts is None:
            self.parts = self._find_parts(kind)
        if not self.parts:
            return None
        from noisegate_cli.files.joined_decoder import JoinedDecoder

        with suppress(AudioError):
            joined = JoinedDecoder(
                self.parts, self._open_part, open_rest=self.open_rest, warn=self._warn
            )
            if not joined.info.has_other_tracks:
                return joined
            joined.close()  # An output would have only the video track of the first video.
            self._warn("it contains a second video, which is ignored")
            return self._open_part(self.parts[0])
        return None

    def _find_parts(self, kind: Format | None) -> "list[FilePart]":
        if kind and kind.name == "OGG":
            from noisegate_cli.files.containers.ogg import find_chained_parts as find_parts
        else:
            from noisegate_cli.files.containers.joined_files import find_joined_parts as find_parts
        try:
            return find_parts(self._path)
        except AudioError as error:
            raise unreadable_error(self._display_path, error) from error

    def _open_part(self, part: "FilePart") -> "Decoder":
        self._check_tags(part)
        if not self._needs_ffmpeg:
            try:
                decoder = SndfileDecoder(self._path, part=part)
                if decoder.can_read_all:
                    return decoder
                decoder.close()
            except sf.SoundFileError as error:
                if not part.demuxer:
                    raise AudioError(error_text(error)) from error
        from noisegate_cli.files.ffmpeg.decoder import PyavDecoder

        return PyavDecoder(self._path, part, self._track)

    def _check_tags(self, part: "FilePart | None" = None) -> None:
        """Raise AudioError if the file, or a part of it, has excessive tags."""
        from noisegate_cli.files.tags.limits import has_excessive_tags

        if has_excessive_tags(self._path, part):
            raise AudioError(
                f"{quote_input(self._display_path)} has too many or too large tags: "
                "remove them with a tag editor"
            )

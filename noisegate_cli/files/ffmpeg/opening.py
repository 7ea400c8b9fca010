"""Open recordings through PyAV; an MP3 file is a series of parts with a decoder each."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from noisegate_cli.errors import AudioError
from noisegate_cli.files.containers.mpeg import find_parts
from noisegate_cli.files.containers.trailing_tags import find_audio_end
from noisegate_cli.files.ffmpeg.decoder import PyavDecoder
from noisegate_cli.files.ffmpeg.packets import FRAME_DEMUXERS
from noisegate_cli.files.file_parts import FilePart
from noisegate_cli.files.joined_decoder import JoinedDecoder
from noisegate_cli.files.protocols import Decoder

MPEG_TOLERANCE_SAMPLES = 2 * 1152
"""Samples that may be missing from an MP3 file, since some encoders count the length header as a
frame, and since the first frame may need bits of a frame that is not there."""


def open_decoder(
    path: Path,
    expects_mpeg: bool = False,
    track: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
    check_tags: Callable[[FilePart], None] = lambda _: None,
) -> Decoder:
    """Open the recording at `path`; see `PyavDecoder` for the errors.

    If `expects_mpeg` is true and FFmpeg does not recognize the format, for example since the file
    is damaged, it is read as MPEG audio. `track` is the number of an audio track, from 1; by
    default, and if there is no such track, the main one is read. `warn` gets a warning about parts
    of an MP3 file that are omitted. `check_tags` raises an error if a part of an MP3 file has
    excessive tags.
    """
    try:
        decoder = PyavDecoder(path, track=track)
        if decoder.demuxer != "mp3":
            is_bare = decoder.demuxer in FRAME_DEMUXERS  # FFmpeg would decode tags at the end.
            end = _find_tags_start(path) if is_bare else None
            if end is None:
                return decoder
            decoder.close()
            return PyavDecoder(path, FilePart(0, end, decoder.demuxer), track)
        decoder.close()
    except AudioError as error:
        if expects_mpeg:
            with suppress(AudioError):
                return _open_mpeg(path, warn, check_tags)
        raise error
    return _open_mpeg(path, warn, check_tags)


def _find_tags_start(path: Path) -> int | None:
    """Return the position of the tags at the end of a file; None if there are none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        end = find_audio_end(file, size)
    return end if end < size else None


def _open_mpeg(
    path: Path, warn: Callable[[str], None], check_tags: Callable[[FilePart], None]
) -> JoinedDecoder:
    def open_part(part: FilePart) -> PyavDecoder:
        check_tags(part)
        return PyavDecoder(path, part)

    return JoinedDecoder(find_parts(path), open_part, MPEG_TOLERANCE_SAMPLES, warn=warn)

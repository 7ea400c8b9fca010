"""Choose the encoder of an output, and open its file."""

import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile as sf

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import usual_name
from noisegate_cli.files.libsndfile.encoder import SndfileEncoder
from noisegate_cli.files.outputs.partial_files import make_folders
from noisegate_cli.files.outputs.wav_encoder import WavEncoder, is_wav_encodable

if TYPE_CHECKING:
    from noisegate_cli.files.outputs.metadata import InputMetadata
    from noisegate_cli.files.protocols import Encoder


NO_PATH = Path()


def open_encoder(path: Path, info: AudioInfo, metadata: "InputMetadata | None") -> "Encoder":
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


def unsupported_reason(info: AudioInfo) -> str:
    """Return why such a file cannot be written, or an empty string if it can."""
    limit = info.container.max_channels
    if limit is not None and info.channels > limit:
        return f"{usual_name(info.format)} is limited to {limit} channels"
    if _uses_pyav(info):
        from noisegate_cli.files.ffmpeg.encoder import unsupported_reason
    else:
        from noisegate_cli.files.libsndfile.encoder import unsupported_reason
    # Without the properties that do not matter, most calls find their answer in the cache.
    # Whether there is a bit rate matters, but not its value.
    return unsupported_reason(
        replace(info, path=NO_PATH, samples=0, bit_rate=min(1, info.bit_rate), frame_rate=None)
    )


def _create_encoder(path: Path, info: AudioInfo, metadata: "InputMetadata | None") -> "Encoder":
    if is_wav_encodable(info):
        return WavEncoder(path, info, metadata.chunks if metadata else None)
    if info.keeps_tracks and metadata:
        from noisegate_cli.files.ffmpeg.video import VideoEncoder

        return VideoEncoder(path, info, metadata.path, metadata.warnings)
    library = "ffmpeg" if _uses_pyav(info) else "libsndfile"
    encoder_writes_tags = info.container.tag_writer == library
    tags = metadata.tags if metadata and encoder_writes_tags else None
    if library == "ffmpeg":
        from noisegate_cli.files.ffmpeg.encoder import PyavEncoder

        holds_chapters = info.container.tag_writer in ("ffmpeg", "mp4")
        return PyavEncoder(
            path,
            info,
            tags.first_values(ffmpeg=True) if tags else {},
            metadata.tags.chapters if metadata and holds_chapters else (),
        )
    return SndfileEncoder(path, info, tags.first_values() if tags else {})


def _restrict_mode(path: Path, source: Path) -> None:
    """Remove the permissions of a new file that `source` does not have."""
    # The owner keeps write permission, because the file is opened again to add tags.
    with suppress(OSError):  # The input may have vanished, which is reported elsewhere.
        mode = stat.S_IMODE(path.stat().st_mode)
        allowed_mode = mode & (source.stat().st_mode | stat.S_IWUSR)
        if allowed_mode != mode:
            path.chmod(allowed_mode)


def _uses_pyav(info: AudioInfo) -> bool:
    """Return whether PyAV writes the file instead of libsndfile."""
    return info.container.writer == "ffmpeg" or info.ffmpeg_encoder != ""

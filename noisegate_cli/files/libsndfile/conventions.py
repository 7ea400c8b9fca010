"""Channel order, paths and error messages of libsndfile."""

import os
from pathlib import Path

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import quote_input

VORBIS_CHANNEL_ORDER = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}
"""Ogg channel index of each WAV channel, by number of channels.

Vorbis and Opus have their own order (Vorbis I specification, 4.3.9; RFC 7845, 5.1.1.2).
"""


def encode_path(path: Path) -> str | bytes:
    """Return a path for libsndfile: bytes, which may be undecodable, or a string on Windows."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def unreadable_error(path: Path, error: Exception) -> AudioError:
    """Return the error for a file that is not a readable recording."""
    return AudioError(
        f"{quote_input(path)} is not a readable recording ({error_text(error)}): "
        "if another program can open it, convert it to WAV or FLAC with that program"
    )


def error_text(error: Exception) -> str:
    """Return libsndfile's error message without the path that precedes it."""
    words = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return words.rstrip(".").removeprefix("Error : ").strip()

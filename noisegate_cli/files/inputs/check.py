"""Check that an input is a file with content."""

import os
import stat
from pathlib import Path

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import is_plausible, quote_input
from noisegate_cli.text import quote_path

HEAD_BYTES = 12


def read_head(path: Path, display_path: Path) -> bytes:
    """Return the first `HEAD_BYTES` of a file, or raise AudioError if it cannot be read."""
    first = b""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb", buffering=0) as file:
                first = file.read(HEAD_BYTES)
        elif stat.S_ISDIR(mode):
            os.scandir(path).close()  # An unreadable folder raises an error.
    except FileNotFoundError as error:
        name = quote_path(display_path)
        is_pattern = any(sign in name for sign in "*?")
        reason = f"no file matches {name}" if is_pattern else f"{name} does not exist"
        if path.is_symlink():
            target = quote_path(path.readlink())
            raise AudioError(f"{name} is a link to {target}, which does not exist") from error
        raise AudioError(f"{reason}: check the name") from error
    except OSError as error:
        raise AudioError(f"{quote_path(display_path)} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise AudioError(
            f"{quote_path(display_path)} is a folder: use ngate batch for all recordings in it"
        )
    if not stat.S_ISREG(mode):
        raise AudioError(
            f"{quote_path(display_path)} is not a regular file: copy it to a file first, "
            "or pipe it to ngate gate -"
        )
    if not first:
        raise AudioError(f"{quote_path(display_path)} is empty (0 bytes): record or copy it again")
    return first


def check_plausible(path: Path, channels: int, sample_rate: int) -> None:
    """Raise AudioError if no recording has that number of channels at that rate in Hz."""
    if not is_plausible(channels, sample_rate):
        raise AudioError(
            f"{quote_input(path)} declares {channels} channels "
            f"at {sample_rate} Hz, which is impossible: its header is damaged"
        )

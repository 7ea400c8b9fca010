"""Describe what is missing in a recording that could not be read completely."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import AudioInfo, quote_input
from noisegate_cli.text import format_duration

if TYPE_CHECKING:
    from noisegate_cli.files.holes import Hole

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadSamples:
    """How much of a recording was read, and how much it should be."""

    info: AudioInfo
    length: int
    """Number of samples per channel that were read."""
    declared_length: float
    """Number that the file declares; see `Decoder.declared_length`."""
    tolerance: float
    """Number that may be missing without a warning."""
    errors: int
    """Number of errors while decoding."""
    is_interrupted: bool
    """Whether the first decoder failed before the end."""
    holes: "list[Hole]"
    """Samples that are replaced by silence."""
    is_end_missing: bool = False
    """Whether an Ogg file ends in the middle of a page."""


def check_readable(path: Path, display_path: Path) -> None:
    """Read a file to its end, or raise AudioError if the system fails to.

    The libraries treat a disk or network error as the end of the file.
    """
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(CHUNK_BYTES):
                pass
    except OSError as error:
        raise AudioError(f"{quote_input(display_path)} cannot be read: {error.strerror}") from error


def describe_losses(read: ReadSamples) -> Iterator[str]:
    """Yield warnings about samples that are missing or damaged.

    Raises
    ------
    AudioError
        If there should be samples, but none was read.
    """
    rate = read.info.sample_rate
    if not read.length and (read.declared_length or read.is_interrupted):
        raise _no_audio_error(read)
    duration = format_duration(read.length / rate)
    expected = _expected_length(read)
    if expected == math.inf:
        yield f"its end is missing: it contains {duration}, the original length is unknown"
    elif read.length < expected - read.tolerance:
        # The packet at the end of a file that is truncated causes one error.
        is_damaged = read.is_interrupted or read.errors > 1
        yield (
            f"it is {'damaged' if is_damaged else 'truncated'}: it contains {duration} of "
            f"{format_duration(expected / rate)}, "
            f"{format_duration((expected - read.length) / rate)} are missing"
        )
        return  # The duration that is missing includes the holes.
    if read.holes:
        from noisegate_cli.files.holes import describe_holes

        yield describe_holes(read.holes, rate)
    elif expected < math.inf and (read.is_interrupted or read.errors):
        # Other bytes after the last frame are an error for decoders, but no damage.
        is_exact = read.info.is_length_exact or read.info.format == "MP3"
        if not (is_exact and read.length == read.declared_length):
            yield "it is damaged: parts that cannot be decoded are omitted"


def _expected_length(read: ReadSamples) -> float:
    """Return the number of samples that the recording should have; infinite if it is unknown."""
    if read.is_end_missing and read.length >= read.declared_length:
        return math.inf
    if read.info.format == "OGG" and read.declared_length == math.inf and not read.is_end_missing:
        return read.length  # libsndfile treats bytes after the last page as a missing end.
    return read.declared_length


def _no_audio_error(read: ReadSamples) -> AudioError:
    is_known = 0 < read.declared_length < math.inf
    seconds = read.declared_length / read.info.sample_rate
    of = f" of {format_duration(seconds)}" if is_known else ""
    return AudioError(
        f"{quote_input(read.info.path)} is truncated: it contains no audio{of}; copy it again"
    )

"""Find the holes that damage leaves in a sequence of decoded frames.

A decoder skips what it cannot decode. The timestamp of the next frame shows the length of the hole.
"""

from typing import NamedTuple

from noisegate_cli.text import format_duration

MAX_HOLE_S = 3600
"""Maximum total duration of the holes in a recording; timestamps can be damaged too."""


MAX_PLACES = 3
"""Maximum number of damaged places that a warning lists."""


class Hole(NamedTuple):
    """Samples per channel that could not be decoded, and that are replaced by silence."""

    start: int
    """Position of the first missing sample in the recording."""
    length: int


class HoleFinder:
    """Compare the timestamps of frames with their lengths.

    Parameters
    ----------
    accuracy
        Maximum error of a timestamp in samples.
    max_samples
        Maximum total length of the holes in samples.

    Examples
    --------
    >>> finder = HoleFinder(accuracy=0.5, max_samples=48000)
    >>> finder.find(0, 1024), finder.find(1024, 1024), finder.find(4096, 1024)
    (0, 0, 2048)
    """

    def __init__(self, accuracy: float, max_samples: int) -> None:
        self._accuracy = accuracy
        self._remaining = max_samples
        self._end: float | None = None  # time after the last frame, in samples
        self._longest = 0
        self._is_after_error = False

    def note_error(self, time: float | None) -> None:
        """Note that a packet at `time`, in samples, could not be decoded."""
        self._is_after_error = True
        if self._end is None:
            self._end = time

    def find(self, time: float | None, length: int) -> int:
        """Return the number of samples that are missing before a frame.

        Parameters
        ----------
        time
            Timestamp of the frame in samples; None if it has none.
        length
            Length of the frame in samples.
        """
        gap = 0.0 if time is None or self._end is None else time - self._end
        # Timestamps are inaccurate in some files, such as at the end of Vorbis streams.
        minimum = self._accuracy if self._is_after_error else max(self._accuracy, self._longest / 2)
        missing = self._round_to_frames(gap) if gap >= minimum else 0
        if missing > self._remaining:
            missing = 0
        self._remaining -= missing
        self._end = (self._end or 0.0) + length if time is None else time + length
        self._longest = max(self._longest, length)
        self._is_after_error = False
        return missing

    def _round_to_frames(self, gap: float) -> int:
        """Return the length of a gap, which usually is a multiple of the length of a frame."""
        frames = self._longest * round(gap / self._longest) if self._longest else 0
        return frames if abs(gap - frames) <= self._accuracy else round(gap)


def describe_holes(holes: list[Hole], rate: int) -> str:
    """Return a warning about holes that are filled with silence."""
    places = [format_duration(hole.start / rate) for hole in holes[:MAX_PLACES]]
    more = f" and {len(holes) - MAX_PLACES} more places" if len(holes) > MAX_PLACES else ""
    total = format_duration(sum(hole.length for hole in holes) / rate)
    return f"it is damaged: {total} at {', '.join(places)}{more} are replaced with silence"


def parse_flac_position(frame: bytes, block_length: int) -> int | None:
    """Return the number of the first sample of a FLAC frame; None if the header is invalid.

    Parameters
    ----------
    frame
        At least the first 11 bytes of the frame.
    block_length
        Number of samples in a frame of a stream with a fixed block size.
    """
    # RFC 9639, 9.1: the number of the frame, or of its first sample, is coded like UTF-8.
    if len(frame) < 11 or frame[0] != 0xFF or frame[1] & 0xFE != 0xF8:
        return None
    first = frame[4]
    extra = 0 if first < 0x80 else 8 - (first ^ 0xFF).bit_length() - 1
    if first >= 0x80 and not 1 <= extra <= 6:
        return None
    number = first & (0x7F if not extra else (1 << (6 - extra)) - 1)
    for octet in frame[5 : 5 + extra]:
        number = number << 6 | octet & 0x3F
    has_variable_blocks = frame[1] & 1
    return number if has_variable_blocks else number * block_length

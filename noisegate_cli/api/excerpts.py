"""Excerpts of a recording, for a quick listen."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from noisegate_cli.errors import SettingsError, SignalError
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_time

MAX_LEAD_S = 1.0
"""Maximum time before the first edge in an excerpt that is chosen automatically."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A part of a recording that is written. The gate is the same as for the whole recording.

    Parameters
    ----------
    start : float, optional
        Start in seconds from the start of the file, rounded down to a whole hop. None is where the
        gate opens and closes most often.
    duration : float, optional
        Duration in seconds; None is the rest of the recording, and needs a start.

    Raises
    ------
    SettingsError
        If a value is negative, or both are None.
    """

    start: float | None = None
    duration: float | None = None

    def __post_init__(self) -> None:
        if self.start is None and self.duration is None:
            raise SettingsError("an excerpt needs a start, a duration, or both")
        for name in ("start", "duration"):
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if value is not None and not is_number:
                raise SettingsError(f"{name} {value!r} must be a number of seconds")
        if self.start is not None and not 0 <= self.start < math.inf:
            raise SettingsError(f"start {float(self.start):g} must be 0 s or more")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise SettingsError(f"duration {float(self.duration):g} must be more than 0 s")


class SampleSpan(NamedTuple):
    """A part of a recording in samples."""

    start: int = 0
    end: float = math.inf
    """First sample after the part."""

    def limit_length(self, samples: int) -> int:
        """Return the length of the part of a recording with `samples` samples; 0 if unknown."""
        if math.isinf(self.end):
            return max(0, samples - self.start)
        length = int(self.end) - self.start
        return max(0, min(length, samples - self.start)) if samples else length

    def create_cropper(self) -> "Cropper":
        """Return what cuts blocks of samples to this part."""
        return Cropper(self)

    def check_start(self, samples: int, sample_rate: int, offset_s: float = 0.0) -> None:
        """Raise SignalError if a recording with `samples` samples ends before the part begins.

        `offset_s` is the time of the first sample.
        """
        if self.start and self.start >= samples:
            raise SignalError(
                f"it ends at {format_time(samples / sample_rate + offset_s)}, before the excerpt "
                f"starts at {format_time(self.start / sample_rate + offset_s)}"
            )


class Cropper:
    """Cuts blocks of samples to a part of the recording."""

    def __init__(self, span: SampleSpan) -> None:
        self._span = span
        self._position = 0

    @property
    def is_complete(self) -> bool:
        """Whether no later block contains a sample of the part."""
        return self._position >= self._span.end

    def process(self, *blocks: Samples) -> tuple[Samples, ...]:
        """Return the samples within the part; the blocks begin at the same sample."""
        start = max(0, self._span.start - self._position)
        end = max(0, min(self._span.end - self._position, len(blocks[0])))
        self._position += len(blocks[0])
        return tuple(block[start : int(end)] for block in blocks)


def choose_span(
    excerpt: Excerpt,
    segments: Segments | None,
    settings: GateSettings,
    sample_rate: int,
    offset_s: float = 0.0,
) -> SampleSpan:
    """Return an excerpt in samples, which begins with a whole hop.

    `segments` are the open segments of the whole recording; they are needed only if the excerpt
    has no start. `offset_s` is the time of the first sample.
    """
    if excerpt.start is None:
        assert segments is not None
        assert excerpt.duration is not None
        start = find_busiest(segments, excerpt.duration)
    else:
        start = max(0.0, excerpt.start - offset_s)
    hop = settings.timing(sample_rate).hop_length
    # A microsample is less than any sample, and more than a rounding error.
    first = int(start * sample_rate + 1e-6) // hop * hop
    if excerpt.duration is None:
        return SampleSpan(first)
    return SampleSpan(first, first + max(1, round(excerpt.duration * sample_rate)))


def find_busiest(segments: Segments, duration: float) -> float:
    """Return the start of the segment of this duration in which the gate moves most often.

    Parameters
    ----------
    segments
        Open segments of a recording.
    duration
        In seconds.

    Returns
    -------
    float
        In seconds; the first one if several are equal, and 0 if the gate never moves.
    """
    total = segments.length / segments.sample_rate
    edges = np.sort(segments.seconds.ravel())
    edges = edges[(edges > 0) & (edges < total)]
    if not edges.size:
        return 0.0
    starts = np.clip(edges - min(MAX_LEAD_S, duration / 10), 0, max(0.0, total - duration))
    counts = np.searchsorted(edges, starts + duration) - np.searchsorted(edges, starts)
    return float(starts[np.argmax(counts)])

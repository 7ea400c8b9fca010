"""Segments in which a gate is open or closed, whatever its detector says."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SettingsError, SignalError
from noisegate_cli.gating.block_processor import BlockProcessor, PairedBlockProcessor
from noisegate_cli.gating.gain.envelope import Gains
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_time

Spans: TypeAlias = tuple[tuple[float, float], ...]
"""Time spans, from and to in seconds."""

MAX_END_ERROR_HOPS = 1 / 8
"""A given segment that ends this close to the end of the recording lasts until the end. See
`Segments.edges`: other segments end twice as far from it."""

FrameRanges = NDArray[np.int64]
"""First frame of each segment and first frame after it, shaped (n, 2). They may overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedSegments:
    """Segments in which the gate is open or closed, whatever the detector says.

    `keep` has priority over `cut`, and both have priority over `segments`.

    Parameters
    ----------
    segments : sequence, optional
        All open segments, such as `Segments.edges`: one tuple for all gates, or one for each
        gate, without the last ones if they stay closed. None leaves the decision to the detector.
        They are rounded to whole frames.
    keep : sequence of (float, float), optional
        Segments that are fully open. The fade-in and the fade-out lie outside.
    cut : sequence of (float, float), optional
        Segments that are fully closed. The fade-out and the fade-in lie outside.

    Raises
    ------
    SettingsError
        If a segment is not a pair of numbers, begins before 0, or ends before it begins.

    Examples
    --------
    >>> ForcedSegments(keep=[(80, 85)]).keep
    ((80.0, 85.0),)
    """

    segments: tuple[Spans, ...] | None = None
    keep: Spans = ()
    cut: Spans = ()

    def __post_init__(self) -> None:
        for name in ("keep", "cut"):
            object.__setattr__(self, name, to_spans(name, getattr(self, name)))
        if self.segments is not None:
            spans = tuple(to_spans("segments", gate) for gate in self.segments)
            object.__setattr__(self, "segments", spans)

    def __bool__(self) -> bool:
        return self.segments is not None or bool(self.keep or self.cut)

    def advance(self, seconds: float, with_segments: bool) -> "ForcedSegments":
        """Return the segments some seconds earlier, without what is then before 0.

        Examples
        --------
        >>> ForcedSegments(keep=[(1, 3), (0, 1)]).advance(2, with_segments=True).keep
        ((0.0, 1.0),)
        """

        def advance(spans: Spans) -> Spans:
            earlier = ((max(0.0, start - seconds), end - seconds) for start, end in spans)
            return tuple(span for span in earlier if span[1] > 0)

        segments = self.segments
        if with_segments and segments is not None:
            segments = tuple(map(advance, segments))
        return ForcedSegments(segments=segments, keep=advance(self.keep), cut=advance(self.cut))


def to_spans(name: str, values: Iterable[Any]) -> Spans:
    """Return pairs of seconds, such as an array shaped (n, 2), as tuples of floats.

    Raises
    ------
    SettingsError
        If a value is not a pair of numbers, begins before 0, or ends before it begins. The message
        quotes it after `name`.
    """
    try:
        if isinstance(values, str):
            raise TypeError
        pairs = [value if isinstance(value, str) else tuple(value) for value in values]
    except TypeError:
        raise SettingsError(
            f"{name} {values!r} is not a list of time spans: give {name}=[(from, to)] in seconds"
        ) from None
    spans = []
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(number, Real) for number in pair):
            raise SettingsError(f"{name} {pair!r} is not a time span: give (from, to) in seconds")
        start, end = map(float, pair)
        if not 0 <= start < end < math.inf:
            raise SettingsError(
                f"{name} ({start:g}, {end:g}) is not a time span: give two times in seconds, "
                "0 or more, the earlier one first"
            )
        spans.append((start, end))
    return tuple(spans)


NOT_FORCED = ForcedSegments()
"""No forced segments: the detector decides everywhere."""


class ForcedMask(PairedBlockProcessor[Mask, Samples, tuple[Mask, Mask]]):
    """Open and close a gate in forced segments.

    The second stream is the recording itself: its length decides which given segments last until
    its end.

    Parameters
    ----------
    forced
        The segments.
    timing
        Timing of the gate. A cut is longer by the fades, so that they lie outside.
    sample_rate
        In Hz.
    gates
        Number of gates.

    Raises
    ------
    SettingsError
        If there are given segments for more gates.

    Examples
    --------
    >>> timing = Timing(16, 8, 0, 0, hold=0, lookahead=0, attack=0, release=0)
    >>> forced = ForcedMask(ForcedSegments(keep=[(0.016, 0.024)]), timing, sample_rate=1000)
    >>> mask, _ = forced.process(np.zeros((6, 1), bool), np.zeros((40, 1)), last=True)
    >>> mask.ravel().astype(int)
    array([0, 0, 1, 1, 0, 0])
    """

    def __init__(
        self, forced: ForcedSegments, timing: Timing, sample_rate: int, gates: int = 1
    ) -> None:
        self._hop, self._rate = timing.hop_length, sample_rate
        self._given: list[tuple[FrameRanges, NDArray[np.float64]]] | None = None
        if forced.segments is not None:
            spans = match_gates(forced.segments, gates)
            self._given = [self._round_to_frames(gate_spans) for gate_spans in spans]
        self._keep = frames_within(forced.keep, timing, sample_rate)
        self._cut = frames_closed_within(forced.cut, timing, sample_rate)
        self._latest_start = max((start for start, _ in forced.keep + forced.cut), default=0.0)
        self._frames = self._length = 0

    def process(self, mask: Mask, block: Samples, last: bool = False) -> tuple[Mask, Mask]:
        """Return the mask without the cuts, and the mask, both shaped (frames, gates).

        Parameters
        ----------
        mask
            The next frames of the detector's mask, shaped (frames, gates).
        block
            The next samples, of which only the number is used.
        last
            Whether the recording ends here.

        Raises
        ------
        SignalError
            If it ends here, before a segment to keep or to cut.
        """
        self._length += len(block)
        if last and self._latest_start * self._rate >= max(1, self._length):
            raise SignalError(
                f"it ends at {format_time(self._length / self._rate)}, before the time span to "
                f"keep or cut, which starts at {format_time(self._latest_start)}"
            )
        frames = self._frames + np.arange(len(mask))
        self._frames += len(mask)
        if self._given is not None:
            end = self._length if last else math.inf
            columns = [self._open_frames(given, frames, end) for given in self._given]
            mask = np.column_stack(columns)
        is_kept = is_covered(self._keep, frames)[:, None]
        is_cut = is_covered(self._cut, frames)[:, None] & ~is_kept
        opened: Mask = mask | is_kept
        return opened, opened & ~is_cut

    def _round_to_frames(self, spans: Spans) -> tuple[FrameRanges, NDArray[np.float64]]:
        """Return the frames of given time spans and their ends in samples."""
        positions = np.array(spans, np.float64).reshape(-1, 2) * self._rate
        ranges = np.rint(positions / self._hop).astype(np.int64)
        ranges[:, 1] = np.maximum(ranges[:, 1], ranges[:, 0] + 1)
        return ranges, positions[:, 1]

    def _open_frames(
        self,
        given: tuple[FrameRanges, NDArray[np.float64]],
        frames: NDArray[np.int64],
        length: float,
    ) -> NDArray[np.bool_]:
        ranges, ends = given
        is_open = is_covered(ranges, frames)
        lasts = ends >= length - MAX_END_ERROR_HOPS * self._hop
        if lasts.any():
            is_open |= frames >= ranges[lasts, 0].min()
        return is_open


class ForcedGains(BlockProcessor[Gains, Gains]):
    """Replace the gains of frames in segments to keep and to cut, before the fades.

    Parameters
    ----------
    forced
        The forced segments; its field `segments` is not used.
    timing, sample_rate
        As in `ForcedMask`.
    closed_gain
        Linear gain in cut segments.
    """

    def __init__(
        self, forced: ForcedSegments, timing: Timing, sample_rate: int, closed_gain: float
    ) -> None:
        self._keep = frames_within(forced.keep, timing, sample_rate)
        self._cut = frames_closed_within(forced.cut, timing, sample_rate)
        self._closed_gain, self._frames = closed_gain, 0

    def process(self, gains: Gains, last: bool = False) -> Gains:  # noqa: ARG002
        """Return `gains`, shaped (frames, gates), with the gains in those segments replaced."""
        frames = self._frames + np.arange(len(gains))
        self._frames += len(gains)
        is_kept = is_covered(self._keep, frames)[:, None]
        is_cut = is_covered(self._cut, frames)[:, None]
        return np.where(is_kept, 1.0, np.where(is_cut, self._closed_gain, gains))


def match_gates(segments: tuple[Spans, ...], gates: int) -> tuple[Spans, ...]:
    """Return the open segments of each gate, given for each gate or for all of them.

    Raises
    ------
    SettingsError
        If there are segments for more gates.
    """
    if len(segments) == 1:
        return segments * gates
    if gates == 1 or any(segments[gates:]):
        raise SettingsError(
            f"there are time spans for channel {len(segments)}, and the gate has {gates}: "
            "give channels='separate' and the same recording, or time spans for all channels"
        )
    return (*segments, *((),) * gates)[:gates]


def frames_within(spans: Spans, timing: Timing, sample_rate: int) -> FrameRanges:
    """Return the frames that overlap each segment; frame k is centered on sample k·hop."""
    seconds = np.array(spans, np.float64).reshape(-1, 2)
    # A microsample is less than any sample, and more than a rounding error.
    starts = np.floor(seconds[:, 0] * sample_rate + 1e-6)
    ends = np.ceil(seconds[:, 1] * sample_rate - 1e-6)
    half = timing.frame_length // 2
    first = np.floor((starts - half) / timing.hop_length) + 1
    after = np.ceil((ends + half) / timing.hop_length)
    return np.column_stack([first, after]).astype(np.int64)


def frames_closed_within(spans: Spans, timing: Timing, sample_rate: int) -> FrameRanges:
    """Return the frames that are closed, so that all frames that overlap a segment are silent.

    The gain reaches the closed gain after the release, and leaves it before the lookahead and the
    attack.
    """
    fade_out = max(1, math.ceil(timing.release))
    fade_in = timing.lookahead + max(1, math.ceil(timing.attack))
    frames: FrameRanges = frames_within(spans, timing, sample_rate)
    frames += np.array([1 - fade_out, fade_in - 1])
    return frames


def is_covered(ranges: FrameRanges, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each frame is in one of the ranges, which may overlap."""
    begun = np.searchsorted(np.sort(ranges[:, 0]), frames, side="right")
    ended = np.searchsorted(np.sort(ranges[:, 1]), frames, side="right")
    return begun > ended

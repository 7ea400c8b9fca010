"""Open segments of a gate, as run lengths of its mask."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import SupportsIndex, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.frames.window import hann_window
from noisegate_cli.gating.gain.envelope import Envelope, Gains
from noisegate_cli.gating.gain.mask import GateStatistics, Mask
from noisegate_cli.gating.gain.overlap_add import OverlapAddGain
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import gain_from_db

FrameRuns = NDArray[np.int64]
"""First frame of each open run and first frame after it, shaped (runs, 2)."""

END_MARGIN_HOPS = 1 / 4
"""Minimum distance of an edge from the end of the recording in `Segments.edges`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Segments:
    """Open segments of a gate, in samples and in seconds.

    It is a sequence of the start and the end of each segment in seconds. numpy and pandas convert
    it to an array or a table shaped (n, 2).

    Frame *k* covers the samples from *k·H* to *(k + 1)·H*, where *H* is the hop length, as in
    `librosa.effects.split`. The hold is part of a segment; the lookahead and the fades are not. If
    two segments are not further apart than the lookahead, the gain between them is 1, and they are
    one segment. If each channel has its own gate, a segment is open in at least one of them.

    Attributes
    ----------
    runs : tuple of numpy.ndarray
        Open runs of each gate, in frames, shaped (runs, 2).
    frames : int
        Number of frames of the recording.
    length : int
        Length of the recording in samples.
    sample_rate : int
        Sample rate in Hz.
    timing : Timing
        Frames and fades of the gate.
    range_db : float
        Gain of the closed gate in dB.
    """

    runs: tuple[FrameRuns, ...]
    frames: int
    length: int
    sample_rate: int
    timing: Timing
    range_db: float

    @property
    def samples(self) -> NDArray[np.int64]:
        """Start and end of each segment in samples, shaped (n, 2); the end is exclusive."""
        runs = np.concatenate(self.runs)
        runs = runs[np.argsort(runs[:, 0], kind="stable")]
        # Runs of different gates may overlap or touch: they are one segment.
        ends = np.maximum.accumulate(runs[:, 1])
        is_first = np.ones(len(runs), np.bool_)
        is_first[1:] = runs[1:, 0] > ends[:-1]
        is_last = np.append(is_first[1:], True)[: len(runs)]
        merged = np.column_stack([runs[is_first, 0], ends[is_last]])
        samples = np.minimum(merged * self.timing.hop_length, self.length)
        # The last frame may begin where the recording ends.
        return np.asarray(samples[samples[:, 0] < samples[:, 1]])

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Start and end of each segment in seconds, shaped (n, 2)."""
        return self.samples / self.sample_rate

    @property
    def edges(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Start and end in seconds of each segment of each gate, from which the mask is restored.

        `gate(..., segments=...)` rounds them to whole frames. The last frame may begin at the end
        of the recording or just before it. Therefore an edge is at least a quarter of a hop before
        the end, unless the gate is open until the end.
        """
        hop, length = self.timing.hop_length, self.length
        latest = max(0.0, length - END_MARGIN_HOPS * hop)
        edges = []
        for runs in self.runs:
            samples = np.minimum(runs * float(hop), latest)
            samples[runs[:, 1] == self.frames, 1] = length
            is_audible = samples[:, 0] < samples[:, 1]
            seconds = samples[is_audible] / self.sample_rate
            edges.append(tuple((start, end) for start, end in seconds.tolist()))
        return tuple(edges)

    def compute_mask(self) -> Mask:
        """Return whether each gate is open in each frame, shaped (frames, gates)."""
        edges = np.zeros((self.frames + 1, len(self.runs)), np.int8)
        for gate, runs in enumerate(self.runs):
            edges[runs[:, 0], gate] = 1
            edges[runs[:, 1], gate] = -1
        return np.cumsum(edges[:-1], axis=0, dtype=np.int8) > 0

    def compute_gain(self) -> NDArray[np.float64]:
        """Return the linear gain of each gate at each sample, shaped (samples, gates).

        Without a spectral gate the output is the input times this gain.
        """
        timing, closed_gain, gates = self.timing, gain_from_db(self.range_db), len(self.runs)
        gains = self._compute_frame_gains()
        curve = OverlapAddGain(timing.frame_length, timing.hop_length, closed_gain, gates)
        return np.asarray(curve.process(np.ones((self.length, gates)), gains, last=True))

    def compute_hop_gains(self) -> Gains:
        """Return the linear gain of each gate at the sample *k·H* of each frame *k*.

        Between these samples the gain is close to a straight line. The array is shaped
        (frames, gates), and much smaller than the array of `compute_gain`.
        """
        timing = self.timing
        gains = self._compute_frame_gains()
        # The weights of the frames that cover a sample, as in `OverlapAddGain`.
        weights = hann_window(timing.frame_length)[timing.hop_length :: timing.hop_length] ** 2
        center = len(weights) // 2
        smoothed = [
            np.convolve(curve, weights)[center : center + len(gains)]
            for curve in (*gains.T, np.ones(len(gains)))
        ]
        return np.asarray(np.column_stack(smoothed[:-1]) / smoothed[-1][:, None])

    def _compute_frame_gains(self) -> Gains:
        timing, closed_gain, gates = self.timing, gain_from_db(self.range_db), len(self.runs)
        envelope = Envelope(timing.lookahead, timing.attack, timing.release, closed_gain, gates)
        return envelope.process(self.compute_mask(), last=True)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return ((start, end) for start, end in self.seconds.tolist())

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: SupportsIndex) -> tuple[float, float]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[float, float]]: ...

    def __getitem__(
        self, index: SupportsIndex | slice
    ) -> tuple[float, float] | list[tuple[float, float]]:
        return list(self)[index]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.float64]:
        return np.array(self.seconds, dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Segments):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        open_s = float(np.diff(self.seconds).sum())
        total_s = self.length / self.sample_rate
        return f"<Segments: {len(self)} open segments, {open_s:.2f} s of {total_s:.2f} s>"

    def _key(self) -> tuple[object, ...]:
        runs = tuple(run.tobytes() for run in self.runs)
        return runs, self.frames, self.length, self.sample_rate, self.timing, self.range_db


def count_statistics(runs: tuple[FrameRuns, ...], frames: int) -> GateStatistics:
    """Return the statistics of gates with these open runs in `frames` frames."""
    open_frames = sum(int((gate_runs[:, 1] - gate_runs[:, 0]).sum()) for gate_runs in runs)
    total = frames * len(runs)
    return GateStatistics(total, total - open_frames, sum(map(len, runs)))


def crop_runs(runs: FrameRuns, first: int, after: int) -> FrameRuns:
    """Return the parts of open runs from frame `first` to frame `after`, counted from `first`.

    Examples
    --------
    >>> crop_runs(np.array([[0, 3], [5, 9]]), first=2, after=5).tolist()
    [[0, 1]]
    """
    cropped = np.clip(runs, first, after) - first
    return np.asarray(cropped[cropped[:, 0] < cropped[:, 1]])


class OpenRunCollector(BlockProcessor[Mask, None]):
    """Collect the open runs of a mask that arrives in blocks.

    Parameters
    ----------
    gates
        Number of gates.
    max_gap
        Two open runs with at most this many frames between them are one.
    inverted
        Whether to return the closed runs instead; they are the open runs of a gate that ducks.

    Examples
    --------
    >>> collector = OpenRunCollector(gates=1)
    >>> collector.process(np.array([[False], [True]]))
    >>> collector.process(np.array([[True], [False], [True]]))
    >>> collector.runs[0].tolist()
    [[1, 3], [4, 5]]
    """

    def __init__(self, gates: int, max_gap: int = 0, *, inverted: bool = False) -> None:
        self.frames = 0
        """Number of frames so far."""
        self._state = np.zeros((1, gates), np.bool_)
        self._edges: list[list[NDArray[np.int64]]] = [[] for _ in range(gates)]
        self._max_gap = max_gap
        self._inverted = inverted

    def process(self, mask: Mask, last: bool = False) -> None:  # noqa: ARG002 -- protocol
        """Add the next frames of the mask, shaped (frames, gates)."""
        states = np.concatenate([self._state, mask])
        changes = states[1:] != states[:-1]
        for gate, edges in enumerate(self._edges):
            if (frames_of_change := changes[:, gate].nonzero()[0]).size:
                edges.append(frames_of_change + self.frames)
        self._state = states[-1:]
        self.frames += len(mask)

    @property
    def statistics(self) -> GateStatistics:
        """Statistics of the mask so far."""
        return count_statistics(self.runs, self.frames)

    @property
    def runs(self) -> tuple[FrameRuns, ...]:
        """Open runs of each gate; a run that is still open ends with the last frame."""
        runs = tuple(self._join_edges(gate) for gate in range(len(self._edges)))
        return tuple(_invert_runs(run, self.frames) for run in runs) if self._inverted else runs

    def _join_edges(self, gate: int) -> FrameRuns:
        end = [self.frames] if self._state[0, gate] else []
        edges = np.concatenate([*self._edges[gate], np.array(end, np.int64)])
        gaps = edges[1:-1].reshape(-1, 2)
        gaps = gaps[gaps[:, 1] - gaps[:, 0] > self._max_gap]
        return np.concatenate([edges[:1], gaps.ravel(), edges[-1:]]).reshape(-1, 2)


def _invert_runs(runs: FrameRuns, frames: int) -> FrameRuns:
    """Return the closed runs of a gate with these open runs in `frames` frames."""
    edges = np.concatenate([[0], runs.ravel(), [frames]]).reshape(-1, 2)
    return np.asarray(edges[edges[:, 0] < edges[:, 1]])

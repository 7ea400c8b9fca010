"""Labels of a gate: from its result to a file, and from a file to segments that force the gate."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from noisegate_cli.api.arguments import check_path
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.gating.forced import ForcedSegments, Spans, to_spans
from noisegate_cli.gating.segments import Segments

if TYPE_CHECKING:
    from fractions import Fraction

    from noisegate_cli.files.labels.track import Envelope, LabelTrack, Segment
    from noisegate_cli.gating.cutoff_report import Cutoff
    from noisegate_cli.gating.gate_report import GateReport

UNNAMED = "recording"
"""Name of a recording from standard input or an array."""

GAIN_DECIMALS = 9

GivenSegments = Segments | ArrayLike | str | Path
"""Open segments: those of a result, an array shaped (n, 2) in seconds, or a label file."""


def build_label_track(
    report: "GateReport | Segments",
    path: str | Path,
    channels: int,
    offset_s: float = 0.0,
    frame_rate: "Fraction | None" = None,
) -> "LabelTrack":
    """Return the open segments and the cut-offs of a gate as a label track.

    Parameters
    ----------
    report
        Report on the gate of a recording, or its open segments, without cut-offs.
    path
        Path of the recording.
    channels
        Number of its channels.
    offset_s
        Time of the first sample in seconds, see `AudioInfo.offset_s`. The times of the labels
        count from the start of the file.
    frame_rate
        Frames per second of the video; None without video.
    """
    from noisegate_cli.files.labels.track import LabelTrack, Mark, Segment

    segments, marked = _get_segments(report)
    is_separate = len(segments.runs) > 1
    labeled = [
        Segment(start + offset_s, end + offset_s, gate if is_separate else None)
        for gate, spans in enumerate(segments.edges, 1)
        for start, end in spans
    ]
    marks = (Mark(cutoff.time + offset_s, f"cut-off {cutoff.kind}") for cutoff in marked)
    return LabelTrack(
        path=UNNAMED if str(path) in ("", ".", str(STDIO_PATH)) else str(path),
        duration=segments.length / segments.sample_rate + offset_s,
        channels=channels,
        segments=tuple(sorted(labeled, key=lambda s: (s.start, s.channel or 0))),
        marks=tuple(marks),
        envelopes=tuple(_compute_envelopes(segments, offset_s)),
        frame_rate=frame_rate,
    )


def _get_segments(report: "GateReport | Segments") -> "tuple[Segments, Sequence[Cutoff]]":
    if isinstance(report, Segments):
        return report, ()
    return report.segments, report.cutoffs.marked


def _compute_envelopes(segments: Segments, offset_s: float) -> "Iterable[Envelope]":
    """Yield the gain curve of each gate, without the points on a straight line."""
    gains = segments.compute_hop_gains().round(GAIN_DECIMALS)
    times = offset_s + np.arange(len(gains)) * segments.timing.hop_length / segments.sample_rate
    for curve in gains.T:
        slopes = np.diff(curve)
        is_bend = np.ones(len(curve), np.bool_)
        is_bend[1:-1] = slopes[1:] != slopes[:-1]
        yield tuple(zip(times[is_bend].tolist(), curve[is_bend].tolist(), strict=True))


def write_labels(
    path: str | Path,
    report: "GateReport | Segments",
    recording: str | Path = "",
    *,
    force: bool = False,
) -> None:
    r"""Write the open segments of a gate as labels.

    Parameters
    ----------
    path : str or Path
        File to write. Its extension selects the format: `.txt` (Audacity), `.csv`, `.json`,
        `.TextGrid`, `.rttm`, `.srt`, `.edl` or `.rpp`.
    report : GateReport or Segments
        Result of `gate_file`, or of `gate` with `return_result=True`, or the `segments` of one.
        Only a result has the cut-offs, and the time at which the audio of a video starts.
    recording : str or Path, optional
        Path of the recording, for formats that name it.
    force : bool, default False
        Whether to overwrite an existing file.

    Raises
    ------
    LabelsError
        If no format has this extension.
    OutputError
        If the file cannot be written or already exists.

    Examples
    --------
    >>> import tempfile
    >>> from noisegate_cli import gate
    >>> y = np.sin(np.arange(24000) / 5) * np.repeat([0.001, 0.5, 0.001], 8000)
    >>> result = gate(y, 16000, threshold=0.01, preset="hard", return_result=True)
    >>> path = Path(tempfile.mkdtemp()) / "labels.txt"
    >>> write_labels(path, result)
    >>> path.read_text()
    '0.488000\t1.016000\topen\n'
    """
    from noisegate_cli.files.labels.label_file import open_label_writer
    from noisegate_cli.gating.gate_report import GateReport

    check_path("path", path)
    if recording != "":
        check_path("recording", recording)
    if not isinstance(report, GateReport | Segments):
        raise SettingsError(
            f"report= of type {type(report).__name__} is not the result of a gate: give "
            "gate(..., return_result=True), or the segments of a result"
        )
    source = getattr(report, "source", None)  # of a GateResult
    frame_rate = source.frame_rate if source else None
    channels = len(_get_segments(report)[0].runs)
    offset_s = 0.0 if isinstance(report, Segments) else report.offset_s
    with open_label_writer(Path(path), force) as write:
        write(build_label_track(report, recording, channels, offset_s, frame_rate))


def build_forced(
    segments: GivenSegments | None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
) -> ForcedSegments:
    """Return forced segments from the parameters of `gate` and `gate_file`.

    Raises
    ------
    SettingsError
        If a segment is not a pair of times.
    LabelsError
        If `segments` is a path, and the file cannot be read.
    """
    return ForcedSegments(
        segments=None if segments is None else _collect_segments(segments),
        keep=to_spans("keep", keep),
        cut=to_spans("cut", cut),
    )


def _collect_segments(segments: GivenSegments) -> tuple[Spans, ...]:
    if isinstance(segments, Segments):
        return segments.edges
    if isinstance(segments, str | Path):
        from noisegate_cli.files.labels.label_file import read_label_file

        return _group_by_channel(read_label_file(Path(segments)))
    array = np.asarray(segments)
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise SettingsError(
            f"segments shaped {array.shape} are not time spans: give seconds shaped (n, 2)"
        )
    return (to_spans("segments", array.reshape(-1, 2).tolist()),)


def _group_by_channel(segments: "list[Segment]") -> tuple[Spans, ...]:
    """Return the segments for all channels, or those of each channel from 1 on."""
    highest = max((segment.channel or 0 for segment in segments), default=0)
    if not highest:
        return (tuple(segment[:2] for segment in segments),)
    # One tuple would apply to all channels.
    return tuple(
        tuple(segment[:2] for segment in segments if segment.channel in (None, channel))
        for channel in range(1, max(2, highest) + 1)
    )

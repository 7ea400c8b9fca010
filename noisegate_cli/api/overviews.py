"""Run a gate over a recording to draw it or play it, without writing an output."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from noisegate_cli.api.decisions import decide
from noisegate_cli.api.noise_input import measure_noise_file
from noisegate_cli.api.progress import ProgressCallback, report_progress
from noisegate_cli.api.sources import ArraySource, FileSource, Source
from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.files.inputs.reader import open_reader
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import NOT_FORCED, ForcedSegments
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.plots.overview import (
    Overview,
    OverviewRecorder,
    Timeline,
    TimelineRecorder,
)
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.files.raw_format import RawFormat
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.noise_profile import NoiseProfiles


class OverviewParts(TypedDict, total=False):
    """What an overview contains in addition to the levels, which every overview has."""

    with_spectrogram: bool
    """Whether it has a spectrogram; by default it has none."""
    with_output: bool
    """Whether it has the samples after the gate, the removed ones and the gains; by default it has
    them. The plot of an analysis does not show them."""
    excerpt: tuple[int, int] | None
    """First sample of a segment whose samples it holds, and first sample after it."""


def record(
    source: Source,
    decision: GateDecision,
    progress: ProgressCallback = lambda _: None,
    *,
    references: "Sequence[ReferencePowers]" = (),
    **parts: Unpack[OverviewParts],
) -> Overview:
    """Gate a recording, and return the overview.

    Parameters
    ----------
    source
        The recording.
    decision
        Rule and settings of the gate.
    progress
        Called with the finished share of the pass.
    references
        The other tracks of the decision, each at its beginning.
    **parts
        See `OverviewParts`.
    """
    with_output = parts.get("with_output", True)
    recorder = OverviewRecorder(
        decision,
        source.sample_rate,
        source.samples,
        offset_s=source.offset_s,
        with_spectrogram=parts.get("with_spectrogram", False),
        excerpt=parts.get("excerpt"),
    )
    with source.name_in_errors(), recorder:
        gate = Gate(
            decision,
            source.sample_rate,
            source.channels,
            quantization_step=source.quantization_step,
            residue=with_output,
            with_samples=with_output,
            references=references,
            on_frames=recorder.add_frames,
            on_gains=recorder.add_gains,
        )
        for block, last in report_progress(source.blocks(), source.samples, progress):
            kept, removed = gate.process(block, last)
            recorder.add_samples(block, kept if with_output else None, removed, last)
    return recorder.finish(gate.report)


def record_timeline(
    source: Source,
    decision: GateDecision,
    progress: ProgressCallback = lambda _: None,
    *,
    references: "Sequence[ReferencePowers]" = (),
) -> Timeline:
    """Find where a gate is open in a recording, without gating its samples; see `record`."""
    recorder = TimelineRecorder(source.sample_rate, source.offset_s)
    with source.name_in_errors():
        gate = Gate(
            decision, source.sample_rate, source.channels, references=references, with_samples=False
        )
        for block, last in report_progress(source.blocks(), source.samples, progress):
            gate.process(block, last)
            recorder.add_samples(block)
    return recorder.finish(gate.report)


def record_file(
    path: Path,
    settings: GateSettings,
    raw: "RawFormat | None" = None,
    *,
    track: int | None = None,
    forced: ForcedSegments = NOT_FORCED,
    key: Path | None = None,
    **parts: Unpack[OverviewParts],
) -> Overview:
    """Gate the recording at `path` as `gate_file` does, and return the overview.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated, or was standard input, which is gone.
    """
    if path == STDIO_PATH:
        raise AudioError("standard input cannot be read again: use plot= while it is gated")
    noises = measure_noise_file(settings)
    with open_reader(path, raw, zero_nonfinite=settings.zero_nonfinite, track=track) as reader:
        source = FileSource(reader)
        key_source = None
        if key is not None:
            from noisegate_cli.api.key_input import open_key

            key_source = open_key(key, settings)
        decision, _ = decide(
            source, settings, lambda _: None, noises=noises, forced=forced, key=key_source
        )
        return record(source, decision, **parts)


def record_array(
    samples: Samples,
    sample_rate: int,
    settings: GateSettings,
    noises: "NoiseProfiles",
    *,
    forced: ForcedSegments = NOT_FORCED,
    **parts: Unpack[OverviewParts],
) -> Overview:
    """Gate samples shaped (samples, channels) as `gate` does, and return the overview.

    `noises` are the noise profiles that the caller of `gate` gave, if any.
    """
    source = ArraySource(samples, sample_rate)
    noises = noises or measure_noise_file(settings)
    decision, _ = decide(source, settings, lambda _: None, noises=noises, forced=forced)
    return record(source, decision, **parts)

"""Gate one recording from file to file."""

# Otherwise `help(gate_file)` expands ArrayLike over several lines.
from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack

from noisegate_cli.api.arguments import check_path, check_paths, check_tracks, check_type
from noisegate_cli.api.decisions import decide
from noisegate_cli.api.gate_result import GateResult
from noisegate_cli.api.gate_task import GateTask
from noisegate_cli.api.inputs import check_no_output_options, choose_settings, parse_raw_format
from noisegate_cli.api.labels import GivenSegments, build_forced
from noisegate_cli.api.output_pass import WrittenOutputs, write_outputs
from noisegate_cli.api.outputs import (
    Outputs,
    describe_lost_tracks,
    plan_outputs,
    warn_ignored_channels,
)
from noisegate_cli.api.pictures import check_picture, draw_gate_of, save_picture
from noisegate_cli.api.progress import Progress, ProgressCallback, open_progress
from noisegate_cli.api.sources import FileSource
from noisegate_cli.files.inputs.reader import Reader, open_reader
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.files.outputs.wav_encoder import rf64_if_large
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate, compute_latency
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.setting_values import SettingsChanges
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import to_db
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.excerpts import Excerpt, SampleSpan
    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.files.audio_info import AudioInfo
    from noisegate_cli.files.raw_format import RawFormat
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.key import KeySource
    from noisegate_cli.gating.noise_profile import NoiseProfiles
    from noisegate_cli.plots.overview import OverviewRecorder


def gate_file(
    path: str | Path,
    output: str | Path | None = None,
    settings: GateSettings | None = None,
    *,
    against: Sequence[str | Path] = (),
    residue: str | Path | None = None,
    labels: str | Path | None = None,
    comparison: str | Path | None = None,
    segments: GivenSegments | None = None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
    key: str | Path | None = None,
    excerpt: Excerpt | None = None,
    plot: str | Path | None = None,
    options: OutputOptions | None = None,
    raw: RawFormat | str | None = None,
    track: int | None = None,
    preset: str | Path | None = None,
    force: bool = False,
    fsync: bool = False,
    with_peak: bool = False,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> GateResult:
    """Gate the recording at `path` into `output`, block by block.

    The output, the residue, the comparison and the labels are written atomically: they appear only
    when all of them are complete. They have the sample type of the input if their format supports
    it.

    Parameters
    ----------
    path : str or Path
        The recording; `"-"` is standard input.
    output : str or Path, optional
        Path of the output; `"-"` is standard output. If it is a directory or ends in a slash, the
        output is written to this directory. The default is `NAME_gated.EXT` next to the input. WAV,
        AU and raw samples are streamed from standard input to standard output if the threshold is
        given.
    settings : GateSettings, optional
        Settings of the gate; by default the preset `voice`.
    against : sequence of str or Path, optional
        Other tracks of the same session, of any format, sample rate and length. The gate stays
        closed where only their bleed is audible. Lag and clock drift are measured. A track that has
        no sound in common with the recording is not used.
    residue : str or Path, optional
        Path of a file for the removed signal, input − output; None to write none.
    labels : str or Path, optional
        Path of a file for the open segments; its extension selects the format, see `write_labels`.
    comparison : str or Path, optional
        Path of a file in which input and output alternate every 4 s, each passage first as it was.
    segments : Segments, array_like of shape (n, 2), str or Path, optional
        All segments in which the gate is open, instead of a detector: the `segments` of a result,
        an array shaped (n, 2) in seconds, or the path of a label file: `.txt` (Audacity), `.csv`,
        `.json`, `.TextGrid`, `.rttm`, `.srt` or `.edl`.
    keep, cut : sequence of (float, float), optional
        Time spans (from, to) in seconds in which the gate is always fully open, or always fully
        closed. The fades lie outside. Where both overlap, `keep` has priority.
    key : str or Path, optional
        Path of another recording that opens the gate (sidechain), of any format, sample rate and
        length. Lag and clock drift are measured from the sound that both have in common; without
        any, both are assumed to start together. Before and after the key, the gate is closed, or
        open with `duck=True`.
    excerpt : Excerpt, optional
        Part of the recording that is written; None for all of it.
    plot : str or Path, optional
        Path of a plot of the signal before and after the gate: .png, .pdf or .svg. None draws no
        plot.
    options : OutputOptions, optional
        Sample type of the output, its name if `output` has none, and the metadata to preserve.
    raw : RawFormat or str, optional
        Sample format of an input without a header, as an object or as text: `"44100:1:s16"`.
    track : int, optional
        Number of the audio track, from 1; None for the main one. An output in a video format gets
        the video and the other tracks of the input unchanged.
    preset : str or Path, optional
        Preset instead of `settings`: its name, or the path of a TOML file, whose keys and values
        are those of `ngate --preset FILE.toml`.
    force : bool, default False
        Whether to overwrite existing files. The input is never overwritten.
    fsync : bool, default False
        Whether to wait until the output and its name are on the disk, so that they survive a power
        cut.
    with_peak : bool, default False
        Whether to measure the peak of the input, which takes about 10% longer.
    progress : bool or callable, default False
        True shows a bar; a function is called with the finished share of the work, 0 to 1.
    **changes
        Single settings that override `settings` or the preset, see `GateSettings`:
        `threshold="-30dB"`, `hold_ms=100`, `spectral=True`.

    Returns
    -------
    GateResult
        Output, threshold and statistics of the gate.

    Raises
    ------
    AudioError
        If the input cannot be read or gated; the message quotes the path.
    OutputError
        If the output cannot be written, already exists, or is the input.
    LabelsError
        If the file of `segments` cannot be read, or `labels` has an unknown extension.
    SettingsError
        If a setting is out of range, or settings and options contradict each other.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> output = Path(mkdtemp()) / "clean.flac"
    >>> result = gate_file("tests/data/jfk_1961.wav", output, threshold="-30dB")
    >>> result.statistics.openings, round(result.statistics.closed_share, 2)
    (6, 0.35)
    >>> result.output.format, result.output.duration
    ('FLAC', 11.0)
    """
    check_no_output_options(changes)
    check_path("path", path, "gate")
    check_paths(output=output, residue=residue, labels=labels, comparison=comparison)
    check_paths(key=key, plot=plot)
    check_tracks(against)
    check_type("options", options, OutputOptions, "OutputOptions(...)")
    if excerpt is not None:
        from noisegate_cli.api.excerpts import Excerpt

        check_type("excerpt", excerpt, Excerpt, "Excerpt(start=60, duration=10)")
    options = options or OutputOptions()
    task = GateTask(
        path,
        output,
        choose_settings(settings, preset, changes),
        forced=build_forced(segments, keep, cut),
        segments_path=segments if isinstance(segments, str | Path) else None,
        against=against,
        key=key,
        excerpt=excerpt,
        residue=residue,
        labels=labels,
        comparison=comparison,
        plot=plot,
        options=options if track is None else replace(options, track=track),
        raw=parse_raw_format(raw),
        force=force,
        fsync=fsync,
        with_peak=with_peak,
    )
    return gate_recording(task, progress)


def gate_recording(
    task: GateTask,
    progress: Progress = False,
    before_output_appears: Callable[[], None] = lambda: None,
) -> GateResult:
    """Gate a recording as `gate_file` does.

    `before_output_appears` is called when all samples are written. If it raises an exception, no
    output appears.
    """
    task.check()
    started = time.perf_counter()
    path, settings = Path(task.path), task.settings
    noises = _measure_noise_file(settings) if settings.noise_file is not None else ()
    is_known = GateDecision.from_settings(settings, noises, task.forced) is not None
    with (
        open_progress(progress, path.name) as report,
        open_reader(
            path,
            task.raw,
            is_known and task.can_stream,
            settings.zero_nonfinite,
            task.options.track,
        ) as reader,
    ):
        plan = _plan_gate(task, reader, noises, report)
        recorder = _create_recorder(plan.decision, plan.source) if plan.picture else None
        with plan.open_references() as references, recorder or nullcontext():
            written = write_outputs(
                task,
                reader,
                plan.decision,
                plan.outputs,
                plan.span,
                references,
                plan.second_pass,
                recorder,
                before_output_appears,
            )
    if plan.picture and recorder:
        figure = draw_gate_of(reader.info.path, recorder.finish(written.gated))
        save_picture(figure, plan.picture, task.force, task.fsync)
    return _build_result(task, reader, plan, written, time.perf_counter() - started)


class _Plan(NamedTuple):
    """The decision of a gate and its outputs, before the pass that writes them."""

    source: FileSource
    others: OtherTracks | None
    decision: GateDecision
    span: SampleSpan | None
    """Part of the recording that is written; None for all of it."""
    outputs: Outputs
    picture: Path | None
    second_pass: ProgressCallback
    """Called with the finished share of the pass that writes the outputs."""

    def open_references(self) -> AbstractContextManager[Sequence[ReferencePowers]]:
        """Open the other tracks of the decision."""
        return self.others.open_references() if self.others else nullcontext(())


def _plan_gate(
    task: GateTask, reader: Reader, noises: NoiseProfiles, progress: ProgressCallback
) -> _Plan:
    """Choose what to write, and decide in a first pass if the settings require one."""
    source, settings = FileSource(reader), task.settings
    others = _open_other_tracks(task, source) if task.against else None
    choose = partial(
        decide,
        source,
        noises=noises,
        forced=task.forced.advance(reader.info.offset_s, task.segments_path is not None),
        others=others,
        key=_open_key(task.key, settings) if task.key is not None else None,
    )
    span, decided = None, None
    if task.excerpt:
        if task.excerpt.start is None:
            decided = choose(settings, progress)
        span = _choose_span(task.excerpt, source, settings, decided, others)
    outputs = plan_outputs(task, reader, span)
    picture = None
    if task.plot:
        picture = check_picture(task.plot, task.inputs | outputs.paths, task.force)
    if outputs.is_live:
        settings = settings.live
    decision, second_pass = decided or choose(settings, progress)
    return _Plan(source, others, decision, span, outputs, picture, second_pass)


def _measure_noise_file(settings: GateSettings) -> NoiseProfiles:
    from noisegate_cli.api.noise_input import measure_noise_file

    return measure_noise_file(settings)


def _open_other_tracks(task: GateTask, source: FileSource) -> OtherTracks:
    from noisegate_cli.api.other_tracks import open_other_tracks

    return open_other_tracks(task.path, task.against, task.settings, source, task.skip_unreadable)


def _open_key(path: str | Path, settings: GateSettings) -> FileSource:
    from noisegate_cli.api.key_input import open_key

    return open_key(path, settings)


def _choose_span(
    excerpt: Excerpt,
    source: FileSource,
    settings: GateSettings,
    decided: tuple[GateDecision, ProgressCallback] | None,
    others: OtherTracks | None,
) -> SampleSpan:
    """Return the part to write; the gate runs without an output to find the busiest part."""
    from noisegate_cli.api.excerpts import choose_span

    segments = _find_segments(source, decided[0], others) if decided else None
    return choose_span(excerpt, segments, settings, source.sample_rate, source.offset_s)


def _find_segments(
    source: FileSource, decision: GateDecision, others: OtherTracks | None
) -> Segments:
    """Return the open segments of a gate, in a separate pass over the recording."""
    with (
        others.open_references() if others else nullcontext(()) as references,
        source.name_in_errors(),
    ):
        gate = Gate(decision, source.sample_rate, source.channels, references=references)
        for block, last in source.blocks():
            gate.process(block, last)
    return gate.report.segments


def _create_recorder(decision: GateDecision, source: FileSource) -> OverviewRecorder:
    """Return what records the plot of a gate."""
    from noisegate_cli.plots.overview import OverviewRecorder

    with_spectrogram = decision.settings.spectral != "off"
    return OverviewRecorder(
        decision,
        source.sample_rate,
        source.samples,
        offset_s=source.offset_s,
        with_spectrogram=with_spectrogram,
    )


def _build_result(
    task: GateTask, reader: Reader, plan: _Plan, written: WrittenOutputs, seconds: float
) -> GateResult:
    decision, outputs, others = plan.decision, plan.outputs, plan.others
    info, gated = reader.info, written.gated
    rate, length = info.sample_rate, gated.segments.length
    delay_samples = compute_latency(decision.settings, rate) if outputs.is_live else None
    return GateResult(
        **gated.to_dict(),
        source=info.with_samples(length),
        output=rf64_if_large(outputs.target.with_samples(length)),
        residue=outputs.residue.path if outputs.residue else None,
        labels=outputs.labels,
        comparison=outputs.comparison.path if outputs.comparison else None,
        excerpt=_locate_span(plan.span, length, info) if plan.span else None,
        peak_db=float(to_db(written.peak)) if task.with_peak else None,
        seconds=seconds,
        warnings=(
            *reader.warnings,
            *describe_lost_tracks(info, outputs.target),
            *warn_ignored_channels(decision.active_channels, info),
            *(others.warnings if others else ()),
            *_warn_of_empty_labels(task, plan),
            *written.warnings,
        ),
        is_copied=written.is_copied,
        delay_ms=None if delay_samples is None else 1000 * delay_samples / rate,
        raw=task.raw,
        others=others.report(gated.bleed) if others else (),
        key=_describe_key(task.key, decision.key) if task.key and decision.key else None,
    )


def _warn_of_empty_labels(task: GateTask, plan: _Plan) -> list[str]:
    """Return a warning if the label file of `segments=` opens the gate nowhere."""
    segments, source = plan.decision.forced.segments, plan.source
    if task.segments_path is None or segments is None:
        return []
    end_s = source.samples / source.sample_rate if source.samples else math.inf
    if any(start < end_s for spans in segments for start, _ in spans):
        return []
    return [f"{quote_path(task.segments_path)} contains no open segment of this recording"]


def _locate_span(span: SampleSpan, length: int, info: AudioInfo) -> tuple[float, float]:
    """Return start and end of an excerpt of `length` samples, in seconds of the file."""
    start, end = (sample / info.sample_rate for sample in (span.start, span.start + length))
    return start + info.offset_s, end + info.offset_s


def _describe_key(path: str | Path, key: KeySource) -> KeyTrack:
    from noisegate_cli.api.key_input import KeyTrack

    return KeyTrack(Path(path), key.alignment)

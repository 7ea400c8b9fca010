"""Gate and analyze one recording from file to file."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from noisegate_cli.api.excerpts import Excerpt, SampleSpan, choose_span
from noisegate_cli.api.labels import GivenSegments, build_forced, build_label_track
from noisegate_cli.api.noise_input import measure_noise_file, measure_noise_span_of_reader
from noisegate_cli.api.output_blocks import OutputBlocks
from noisegate_cli.api.outputs import (
    Outputs,
    can_copy,
    check_paths,
    describe_lost_tracks,
    plan_outputs,
)
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    Progress,
    ProgressCallback,
    open_progress,
    report_progress,
    scale_progress,
)
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo
from noisegate_cli.files.output_naming import OutputOptions
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors, open_reader
from noisegate_cli.files.riff import rf64_if_large
from noisegate_cli.files.writer import AudioWriter, InputMetadata, open_writer
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.forced import NOT_FORCED, ForcedStretches
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.gate import Gate, GateReport, compute_latency
from noisegate_cli.gating.settings import GateSettings, SettingsChanges, build_settings
from noisegate_cli.samples import compute_peak, to_db
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.gating.analysis import Analyzer, LevelReport
    from noisegate_cli.gating.noise_profile import NoiseProfiles


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """Result of `analyze_file`."""

    info: AudioInfo
    settings: GateSettings
    levels: "LevelReport"
    warnings: tuple[str, ...] = ()
    """Problems of the recording, one sentence each."""
    gate: GateReport | None = None
    """What the automatic gate would do in the whole recording; None unless labels are written."""

    def __repr__(self) -> str:
        names = ("levels.closed_share", "levels.suggestion.threshold", "levels.suggestion.verdict")
        return format_repr(self, "info.path.name", *names)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult(GateReport):
    """Result of `gate_file`."""

    source: AudioInfo
    output: AudioInfo
    residue: Path | None
    labels: Path | None = None
    """File of the open stretches."""
    comparison: Path | None = None
    """File of input and output in turns."""
    excerpt: tuple[float, float] | None = None
    """Start and end in seconds of the part that was written; None for the whole recording. The
    statistics and segments are those of this part, from its start."""
    peak_db: float | None
    """Peak of the input in dBFS; minus infinity for digital silence, None without `with_peak`."""
    seconds: float
    """Elapsed time in seconds."""
    warnings: tuple[str, ...] = ()
    """Problems of the recording and losses in the output, one sentence each."""
    is_copied: bool = False
    """Whether the output is a copy of the file of the input, because the gate stayed open and
    encoding again would lose quality."""
    delay_ms: float | None = None
    """Maximum delay from standard input to standard output; None for files."""

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "chops.count")
        return format_repr(self, "output.path.name", *names)


def analyze_file(
    path: str | Path,
    settings: GateSettings | None = None,
    progress: Progress = False,
    *,
    preset: str | None = None,
    raw: "RawFormat | str | None" = None,
    track: int | None = None,
    labels: str | Path | None = None,
    force: bool = False,
    **changes: Unpack[SettingsChanges],
) -> AnalysisReport:
    """Measure the recording at `path` in one pass, block by block.

    Parameters
    ----------
    path
        The recording; `"-"` is standard input.
    settings
        Settings of the gate; by default the preset `voice`.
    progress
        True shows a bar; a function is called with the finished share of the work, 0 to 1.
    preset
        Name of a preset instead of `settings`.
    raw
        Sample format of an input without a header, as an object or as text: `"44100:1:s16"`.
    track
        Number of the audio track, from 1; None for the main one.
    labels
        File for the stretches in which the gate would be open; see `write_labels`. It takes a
        second pass over the recording.
    force
        Whether to overwrite an existing file of labels.
    **changes
        Single settings that override `settings` or the preset, see `GateSettings`.

    Returns
    -------
    AnalysisReport
        Properties, levels and warnings of the recording.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated; the message quotes the path.
    LabelsError, OutputError
        If the labels cannot be written.
    """
    settings = build_settings(settings, preset, changes)
    noises = measure_noise_file(settings)
    with ExitStack() as stack:
        report = stack.enter_context(open_progress(progress, Path(path).name))
        reader = stack.enter_context(
            open_reader(
                Path(path),
                _parse_raw_format(raw),
                zero_nonfinite=settings.zero_nonfinite,
                track=track,
            )
        )
        write_labels = None
        if labels:
            from noisegate_cli.files.labels.label_file import open_label_writer

            sources = {"the input": reader.info.path}
            if settings.noise_file:
                sources["the recording of the noise"] = Path(settings.noise_file)
            check_paths({"the file of labels": Path(labels)}, sources, OutputOptions(), force)
            write_labels = stack.enter_context(open_label_writer(Path(labels), force))
        noises = noises or measure_noise_span_of_reader(reader, settings)
        first = scale_progress(report, 0.0, FIRST_PASS_SHARE) if labels else report
        analyzer = _measure_file(reader, settings, noises, first)
        levels, gated = analyzer.report(), None
        if write_labels:
            second = scale_progress(report, FIRST_PASS_SHARE, 1.0)
            gated = _run_without_output(reader, analyzer.decide(), second)
            write_labels(build_label_track(gated, reader.info.path, reader.info.channels))
        info = replace(reader.info, samples=levels.samples)
        return AnalysisReport(info, settings, levels, tuple(reader.warnings), gated)


def measure_level_histogram(
    path: str | Path,
    settings: GateSettings | None = None,
    progress: Progress = False,
    track: int | None = None,
) -> LevelHistogram:
    """Return the histogram of the frame levels in the recording at `path`.

    The levels are the ones that the gate compares with a threshold: after the key filter, and of
    each channel if the channels are `separate`. Histograms of several recordings can be added.

    Parameters
    ----------
    path
        The recording.
    settings
        Settings of the gate; by default `GateSettings()`.
    progress
        True shows a bar; a function is called with the finished share of the work, 0 to 1.
    track
        Number of the audio track, from 1; None for the main one.

    Returns
    -------
    LevelHistogram
        Number of frames at each level.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated; the message quotes the path.
    """
    settings, histogram = build_settings(settings, None, {}), LevelHistogram()
    with (
        open_progress(progress, Path(path).name) as report,
        open_reader(Path(path), zero_nonfinite=settings.zero_nonfinite, track=track) as reader,
        add_path_to_errors(Path(path)),
    ):
        info = reader.info
        detector = LevelDetector(-1.0, settings, info.sample_rate, info.channels)
        for block, last in report_progress(reader.blocks(), info.samples, report):
            histogram.add(detector.process(block, last)[1])
    return histogram


def gate_file(
    path: str | Path,
    output: str | Path | None = None,
    settings: GateSettings | None = None,
    *,
    residue: str | Path | None = None,
    labels: str | Path | None = None,
    comparison: str | Path | None = None,
    segments: GivenSegments | None = None,
    keep: Sequence[tuple[float, float]] = (),
    cut: Sequence[tuple[float, float]] = (),
    excerpt: Excerpt | None = None,
    options: OutputOptions | None = None,
    raw: "RawFormat | str | None" = None,
    track: int | None = None,
    preset: str | None = None,
    force: bool = False,
    fsync: bool = False,
    with_peak: bool = False,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> GateResult:
    """Gate the recording at `path` into `output`, block by block.

    The output and the residue are written atomically: each appears only when it is complete. They
    have the sample type of the input if their format supports it.

    Parameters
    ----------
    path
        The recording; `"-"` is standard input.
    output
        Path of the output; `"-"` is standard output. If it is a directory or ends in a slash, the
        output is written to this directory. The default is `NAME_gated.EXT` beside the input, see
        `default_output_path`. WAV, AU and raw samples are streamed from standard input to standard
        output if the threshold is given.
    settings
        Settings of the gate; by default the preset `voice`.
    residue
        Path of a file for the removed signal, input − output; None to write none.
    labels
        Path of a file for the open stretches; its ending selects the format, see `write_labels`.
    comparison
        Path of a file for input and output in turns of 4 s, each passage first as it was.
    segments
        All stretches in which the gate is open, instead of a detector: the `segments` of a result,
        an array shaped (n, 2) in seconds, or the path of a label file: `.txt` (Audacity), `.csv`,
        `.json`, `.TextGrid`, `.rttm`, `.srt` or `.edl`.
    keep, cut
        Stretches, from and to in seconds, in which the gate is fully open, or fully closed, in any
        case. The fades lie outside. Where both overlap, `keep` has priority.
    excerpt
        Part of the recording that is written; None for all of it.
    options
        Sample type of the output, its name if `output` has none, and the metadata to preserve.
    raw
        Sample format of an input without a header, as an object or as text: `"44100:1:s16"`.
    track
        Number of the audio track, from 1; None for the main one. An output in the format of a
        video gets the picture and the other tracks of the input unchanged.
    preset
        Name of a preset instead of `settings`.
    force
        Whether to overwrite existing files. The input is never overwritten.
    fsync
        Whether to wait until the output and its name are on the disk, so that they survive a power
        cut.
    with_peak
        Whether to measure the peak of the input, which takes about 10 % longer.
    progress
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
        If the output cannot be written, exists already, or is the input.
    LabelsError
        If the file of `segments` cannot be read, or `labels` has an unknown ending.
    """
    forced = build_forced(segments, keep, cut)
    options = options or OutputOptions()
    return gate_recording(
        path,
        output,
        build_settings(settings, preset, changes),
        residue=residue,
        labels=labels,
        comparison=comparison,
        forced=forced,
        excerpt=excerpt,
        segments_path=segments if isinstance(segments, str | Path) else None,
        options=options if track is None else replace(options, track=track),
        raw=_parse_raw_format(raw),
        force=force,
        fsync=fsync,
        with_peak=with_peak,
        progress=progress,
    )


def gate_recording(
    path: str | Path,
    output: str | Path | None,
    settings: GateSettings,
    *,
    residue: str | Path | None = None,
    labels: str | Path | None = None,
    comparison: str | Path | None = None,
    forced: ForcedStretches = NOT_FORCED,
    excerpt: Excerpt | None = None,
    segments_path: str | Path | None = None,
    options: OutputOptions,
    raw: "RawFormat | None" = None,
    force: bool,
    fsync: bool = False,
    with_peak: bool,
    progress: Progress,
    before_output_appears: Callable[[], None] = lambda: None,
) -> GateResult:
    """Gate a recording as `gate_file` does.

    `before_output_appears` is called when all samples are written. If it raises an exception, no
    output appears.
    """
    started = time.perf_counter()
    noises = measure_noise_file(settings)
    can_stream = excerpt is None and (
        GateDecision.from_settings(settings, noises, forced) is not None
    )
    with (
        open_progress(progress, Path(path).name) as report,
        open_reader(Path(path), raw, can_stream, settings.zero_nonfinite, options.track) as reader,
    ):
        info = reader.info
        hop = settings.timing(info.sample_rate).hop_length
        decision = None
        if excerpt and excerpt.start is None:
            noises = noises or measure_noise_span_of_reader(reader, settings)
            decision, second_pass = _decide(reader, settings, noises, forced, report)
            span = _choose_busiest_span(reader, decision, excerpt)
        else:
            span = choose_span(excerpt, None, info.sample_rate, hop) if excerpt else SampleSpan()
        outputs = plan_outputs(
            reader,
            output,
            options,
            force,
            {"the recording of the noise": settings.noise_file, "the applied file": segments_path},
            samples=span.limit_length(info.samples),
            is_excerpt=excerpt is not None,
            residue=residue,
            comparison=comparison,
            labels=labels,
        )
        if outputs.is_live:
            settings = settings.live
        if decision is None:
            noises = noises or measure_noise_span_of_reader(reader, settings)
            decision, second_pass = _decide(reader, settings, noises, forced, report)
        with add_path_to_errors(info.path):
            stream = Gate(
                decision,
                info.sample_rate,
                info.channels,
                quantization_step=info.quantization_step(info.dtype),
                residue=outputs.residue is not None,
                span=span,
                live=outputs.is_live,
            )
        is_file = info.path != STDIO_PATH
        metadata = InputMetadata(
            reader.path,
            reader.tags,
            reader.chunks,
            reader.chapters,
            info.duration,
            keep_mtime=options.keep_mtime and is_file,
            keep_mode=is_file,
        )
        with ExitStack() as stack:
            write_labels = None
            if outputs.labels:
                from noisegate_cli.files.labels.label_file import open_label_writer

                write_labels = stack.enter_context(open_label_writer(outputs.labels, force, fsync))
            writers = [
                stack.enter_context(open_writer(file, metadata, force, fsync))
                for file in outputs.recordings
            ]
            peak = _run(reader, stream, outputs, writers, span, with_peak, second_pass)
            gated = stream.report
            is_copied = can_copy(reader, outputs, options, gated, excerpt is not None)
            writers[0].copies_input = is_copied
            if write_labels:
                write_labels(build_label_track(gated, info.path, info.channels))
            before_output_appears()
    length = gated.segments.length
    rate = info.sample_rate
    delay_samples = compute_latency(settings, rate) if outputs.is_live else None
    return GateResult(
        **gated.to_fields(),
        source=replace(info, samples=length),
        output=rf64_if_large(replace(outputs.target, samples=length)),
        residue=outputs.residue.path if outputs.residue else None,
        labels=outputs.labels,
        comparison=outputs.comparison.path if outputs.comparison else None,
        excerpt=(span.start / rate, (span.start + length) / rate) if excerpt else None,
        peak_db=float(to_db(peak)) if with_peak else None,
        seconds=time.perf_counter() - started,
        warnings=(
            *reader.warnings,
            *describe_lost_tracks(info, outputs.target),
            *metadata.warnings,
            *_clipping_warnings(writers[0]),
        ),
        is_copied=is_copied,
        delay_ms=None if delay_samples is None else 1000 * delay_samples / rate,
    )


def _parse_raw_format(raw: "RawFormat | str | None") -> "RawFormat | None":
    if raw is None:
        return None
    from noisegate_cli.files.pipes import RawFormat

    return RawFormat.from_value(raw)


def _choose_busiest_span(reader: Reader, decision: GateDecision, excerpt: Excerpt) -> SampleSpan:
    """Return the excerpt in which the gate opens and closes most often."""
    gated = _run_without_output(reader, decision, lambda _: None)
    rate, hop = reader.info.sample_rate, gated.segments.timing.hop_length
    return choose_span(excerpt, gated.segments, rate, hop)


def _run_without_output(
    reader: Reader, decision: GateDecision, progress: ProgressCallback
) -> GateReport:
    """Return the report on a gate, in a pass over the recording of its own."""
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    info = reader.info
    with reader.reopen() as again, add_path_to_errors(info.path):
        stream = Gate(decision, info.sample_rate, info.channels)
        for block, last in report_progress(again.blocks(), info.samples, progress):
            stream.process(block, last)
    return stream.report


def _decide(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    forced: ForcedStretches,
    progress: ProgressCallback,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision, from a first pass if it needs one, and the rest of the progress."""
    decision = GateDecision.from_settings(settings, noises, forced)
    if decision is not None:
        return decision, progress
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    with reader.reopen() as first:
        analyzer = _measure_file(first, settings, noises, first_pass)
    return analyzer.decide().force(forced), scale_progress(progress, FIRST_PASS_SHARE, 1.0)


def _run(
    reader: Reader,
    stream: Gate,
    outputs: Outputs,
    writers: list[AudioWriter],
    span: SampleSpan,
    with_peak: bool,
    progress: ProgressCallback,
) -> float:
    """Gate a recording into the outputs; return the peak of what was read."""
    info, peak, read = reader.info, 0.0, 0
    blocks = OutputBlocks(info, outputs, writers, span)
    with add_path_to_errors(info.path):
        for block, last in report_progress(reader.blocks(), info.samples, progress):
            read += len(block)
            if with_peak:
                peak = max(peak, compute_peak(block))
            if last:
                span.check_start(read, info.sample_rate)
            is_complete = blocks.write(block, *stream.process(block, last), last)
            if is_complete and not last:
                break
    return peak


def _clipping_warnings(writer: AudioWriter) -> list[str]:
    if not writer.clipped_samples:
        return []
    return [
        f"{writer.clipped_samples} samples over full scale are cut off at it: "
        "subtype='FLOAT' in a WAV file keeps them"
    ]


def _measure_file(
    reader: Reader, settings: GateSettings, noises: "NoiseProfiles", progress: ProgressCallback
) -> "Analyzer":
    from noisegate_cli.gating.analysis import measure_blocks

    info = reader.info
    with add_path_to_errors(info.path):
        blocks = report_progress(reader.blocks(), info.samples, progress)
        return measure_blocks(
            blocks, settings, info.sample_rate, info.channels, info.samples, noises
        )

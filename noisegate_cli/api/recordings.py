"""Gate and analyze one recording from file to file."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from noisegate_cli.api.excerpts import Excerpt, SampleSpan, choose_span
from noisegate_cli.api.first_pass import ignored_channels, measure_file
from noisegate_cli.api.key_input import KeyTrack, decide_with_key
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
from noisegate_cli.api.pictures import (
    check_picture,
    draw_analysis_of,
    draw_gate_of,
    save_picture,
)
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    Progress,
    ProgressCallback,
    open_progress,
    report_progress,
    scale_progress,
)
from noisegate_cli.errors import SettingsError
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
    from matplotlib.figure import Figure

    from noisegate_cli.api.other_tracks import OtherTrack, OtherTracks
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.gating.analysis import LevelReport
    from noisegate_cli.plots.overview import Overview, OverviewRecorder


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """Result of `analyze_file`."""

    info: AudioInfo
    settings: GateSettings
    levels: "LevelReport"
    warnings: tuple[str, ...] = ()
    """Problems of the recording, one sentence each."""
    gate: GateReport | None = None
    """What the gate would do in the whole recording; None if it has not run."""
    raw: "RawFormat | None" = None
    """Sample format of an input without a header."""

    def plot(self) -> "Figure":
        """Return a picture of the analysis; the recording is read again.

        It shows the waveform with the closed stretches shaded, the levels with the thresholds,
        their histogram, the scores of the automatic detector and the spectrogram.

        Raises
        ------
        AudioError
            If the recording cannot be read again, as standard input.
        """
        return self._draw(self._record(with_spectrogram=True))

    def _repr_html_(self) -> str:
        """Return the picture and players of an excerpt for a notebook."""
        from noisegate_cli.api.notebook import show

        return show(self._record, self._draw, self.info.sample_rate)

    def _record(self, **options: Any) -> "Overview":
        from noisegate_cli.api.overviews import record_file

        return record_file(self.info.path, self.settings, self.raw, **options)

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_analysis_of(self.info.path, overview, self.levels)

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
    raw: "RawFormat | None" = None
    """Sample format of an input without a header."""
    others: "tuple[OtherTrack, ...]" = ()
    """The other tracks, in the order of `against`."""
    key: KeyTrack | None = None
    """Another recording that opened the gate."""

    def plot(self) -> "Figure":
        """Return a picture of the gate; the recording is read and gated again.

        It shows the waveforms before and after the gate, the gain, and the removed signal.

        Raises
        ------
        AudioError
            If the recording cannot be read again, as standard input.
        """
        return self._draw(self._record(with_spectrogram=self.settings.spectral != "off"))

    def _repr_html_(self) -> str:
        """Return the picture and players of an excerpt for a notebook."""
        from noisegate_cli.api.notebook import show

        if self.others:
            return f"<code>{escape(repr(self))}</code>"
        return show(self._record, self._draw, self.source.sample_rate)

    def _record(self, **options: Any) -> "Overview":
        from noisegate_cli.api.overviews import record_file

        if self.others:
            raise SettingsError("a gate against other tracks is drawn with plot= while it runs")
        key = self.key.path if self.key else None
        return record_file(
            self.source.path, self.settings, self.raw, forced=self.forced, key=key, **options
        )

    def _draw(self, overview: "Overview") -> "Figure":
        return draw_gate_of(self.source.path, overview)

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "cutoffs.count")
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
    plot: str | Path | None = None,
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
    plot
        Path of a picture of the analysis, which ends in .png, .pdf or .svg; None draws none.
    force
        Whether to overwrite existing files.
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
        If the labels or the picture cannot be written or exist already.
    """
    settings = build_settings(settings, preset, changes)
    return analyze_recording(
        path,
        settings,
        progress,
        _parse_raw_format(raw),
        track=track,
        labels=labels,
        plot=plot,
        force=force,
    )[0]


def analyze_recording(
    path: str | Path,
    settings: GateSettings,
    progress: Progress = False,
    raw: "RawFormat | None" = None,
    *,
    track: int | None = None,
    with_overview: bool = False,
    labels: str | Path | None = None,
    plot: str | Path | None = None,
    force: bool = False,
) -> "tuple[AnalysisReport, Overview | None]":
    """Analyze a recording as `analyze_file` does; also return the overview of the gate.

    The overview takes another pass over the recording, in which the gate runs.
    """
    sources = _input_paths(Path(path), settings.noise_file)
    outputs = {"the label file": Path(labels)} if labels else {}
    target = check_picture(plot, sources | outputs, force)
    noises = measure_noise_file(settings)
    with ExitStack() as stack:
        report = stack.enter_context(open_progress(progress, Path(path).name))
        reader = stack.enter_context(
            open_reader(Path(path), raw, zero_nonfinite=settings.zero_nonfinite, track=track)
        )
        write_labels = None
        if labels:
            from noisegate_cli.files.labels.label_file import open_label_writer

            check_paths(outputs, sources, OutputOptions(), force)
            write_labels = stack.enter_context(open_label_writer(Path(labels), force))
        noises = noises or measure_noise_span_of_reader(reader, settings)
        share = FIRST_PASS_SHARE if with_overview or target or write_labels else 1.0
        first = scale_progress(report, 0.0, share)
        analyzer = measure_file(reader, settings, noises, first, compare=True)
        levels, overview = analyzer.report(), None
        info = replace(reader.info, samples=levels.samples)
        if with_overview or target or write_labels:
            from noisegate_cli.api.overviews import record_reader

            assert isinstance(reader, AudioReader)  # standard input is spooled to a file
            rest = scale_progress(report, share, 1.0)
            with reader.reopen() as again:
                overview = record_reader(
                    again, analyzer.decide(), rest, with_spectrogram=target is not None
                )
        gated = overview.report if overview else None
        if write_labels and gated:
            write_labels(build_label_track(gated, info.path, info.channels))
    if target and overview:
        save_picture(draw_analysis_of(info.path, overview, levels), target, force)
    warnings = (*reader.warnings, *ignored_channels(levels.heard_channels, info))
    return AnalysisReport(info, settings, levels, warnings, gated, raw), overview


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
    against: Sequence[str | Path] = (),
    residue: str | Path | None = None,
    labels: str | Path | None = None,
    comparison: str | Path | None = None,
    segments: GivenSegments | None = None,
    keep: Sequence[tuple[float, float]] = (),
    cut: Sequence[tuple[float, float]] = (),
    key: str | Path | None = None,
    excerpt: Excerpt | None = None,
    plot: str | Path | None = None,
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
    against
        Other tracks of the same session, of any format, sample rate and length. The gate stays
        closed where only their bleed is heard. Lag and clock drift are found; a track without a
        common sound is not used.
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
    key
        Path of another recording that opens the gate (sidechain), of any format, sample rate and
        length. Its lag and clock drift are found from common sound; without any, both recordings
        start together. Outside the key the gate is closed, or open with `duck=True`.
    excerpt
        Part of the recording that is written; None for all of it.
    plot
        Path of a picture of the signal before and after the gate, which ends in .png, .pdf or
        .svg; None draws none.
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
        If the output cannot be written, already exists, or is the input.
    LabelsError
        If the file of `segments` cannot be read, or `labels` has an unknown ending.
    """
    forced = build_forced(segments, keep, cut)
    options = options or OutputOptions()
    return gate_recording(
        path,
        output,
        build_settings(settings, preset, changes),
        against=against,
        residue=residue,
        labels=labels,
        comparison=comparison,
        forced=forced,
        key=key,
        excerpt=excerpt,
        segments_path=segments if isinstance(segments, str | Path) else None,
        plot=plot,
        options=(options or OutputOptions())
        if track is None
        else replace(options or OutputOptions(), track=track),
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
    against: Sequence[str | Path] = (),
    residue: str | Path | None = None,
    labels: str | Path | None = None,
    comparison: str | Path | None = None,
    forced: ForcedStretches = NOT_FORCED,
    key: str | Path | None = None,
    excerpt: Excerpt | None = None,
    segments_path: str | Path | None = None,
    plot: str | Path | None = None,
    options: OutputOptions,
    raw: "RawFormat | None" = None,
    force: bool,
    fsync: bool = False,
    with_peak: bool,
    progress: Progress,
    before_output_appears: Callable[[], None] = lambda: None,
    skip_unreadable: bool = False,
) -> GateResult:
    """Gate a recording as `gate_file` does.

    With `skip_unreadable`, other tracks that cannot be read are not used, and cause a warning.
    `before_output_appears` is called when all samples are written. If it raises an exception, no
    output appears.
    """
    if plot and excerpt:
        raise SettingsError("a picture shows the whole recording: omit plot= or the excerpt")
    started = time.perf_counter()
    noises = measure_noise_file(settings)
    can_stream = (
        excerpt is None
        and not against
        and key is None
        and GateDecision.from_settings(settings, noises, forced) is not None
    )
    with (
        open_progress(progress, Path(path).name) as report,
        open_reader(Path(path), raw, can_stream, settings.zero_nonfinite, options.track) as reader,
    ):
        info = reader.info
        others = _open_other_tracks(reader, against, settings, skip_unreadable)
        hop = settings.timing(info.sample_rate).hop_length
        decision = None
        if excerpt and excerpt.start is None:
            noises = noises or measure_noise_span_of_reader(reader, settings)
            decision, second_pass = decide_with_key(
                reader, settings, noises, forced, others, report, key
            )
            span = _choose_busiest_span(reader, decision, others, excerpt)
        else:
            span = choose_span(excerpt, None, info.sample_rate, hop) if excerpt else SampleSpan()
        sources = _input_paths(info.path, settings.noise_file, segments_path, key, against)
        outputs = plan_outputs(
            reader,
            output,
            options,
            force,
            sources,
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
            decision, second_pass = decide_with_key(
                reader, settings, noises, forced, others, report, key
            )
        picture = check_picture(plot, sources | outputs.paths, force)
        recorder = _create_recorder(decision, info) if picture else None
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
            references = stack.enter_context(others.open_references())
            with add_path_to_errors(info.path):
                stream = Gate(
                    decision,
                    info.sample_rate,
                    info.channels,
                    quantization_step=info.quantization_step(info.dtype),
                    residue=outputs.residue is not None or recorder is not None,
                    span=span,
                    references=references,
                    live=outputs.is_live,
                    on_frames=recorder.add_frames if recorder else None,
                    on_gains=recorder.add_gains if recorder else None,
                )
            write_labels = None
            if outputs.labels:
                from noisegate_cli.files.labels.label_file import open_label_writer

                write_labels = stack.enter_context(open_label_writer(outputs.labels, force, fsync))
            writers = [
                stack.enter_context(open_writer(file, metadata, force, fsync))
                for file in outputs.recordings
            ]
            peak = _run(reader, stream, outputs, writers, span, with_peak, second_pass, recorder)
            gated = stream.report
            is_copied = can_copy(reader, outputs, options, gated, excerpt is not None)
            writers[0].copies_input = is_copied
            if write_labels:
                write_labels(build_label_track(gated, info.path, info.channels))
            before_output_appears()
    if picture and recorder:
        figure = draw_gate_of(info.path, recorder.finish(gated))
        save_picture(figure, picture, force, fsync)
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
            *ignored_channels(decision.heard_channels, info),
            *others.warnings,
            *metadata.warnings,
            *_clipping_warnings(writers[0]),
        ),
        is_copied=is_copied,
        delay_ms=None if delay_samples is None else 1000 * delay_samples / rate,
        raw=raw,
        others=others.report(gated.bleed),
        key=KeyTrack(Path(key), decision.key.alignment) if key and decision.key else None,
    )


def _create_recorder(decision: GateDecision, info: AudioInfo) -> "OverviewRecorder":
    """Return what records the picture of a gate."""
    from noisegate_cli.plots.overview import OverviewRecorder

    with_spectrogram = decision.settings.spectral != "off"
    return OverviewRecorder(
        decision, info.sample_rate, info.samples, with_spectrogram=with_spectrogram
    )


def _parse_raw_format(raw: "RawFormat | str | None") -> "RawFormat | None":
    if raw is None:
        return None
    from noisegate_cli.files.pipes import RawFormat

    return RawFormat.from_value(raw)


def _choose_busiest_span(
    reader: Reader, decision: GateDecision, others: "OtherTracks", excerpt: Excerpt
) -> SampleSpan:
    """Return the excerpt in which the gate opens and closes most often."""
    gated = _run_without_output(reader, decision, others)
    rate, hop = reader.info.sample_rate, gated.segments.timing.hop_length
    return choose_span(excerpt, gated.segments, rate, hop)


def _run_without_output(
    reader: Reader, decision: GateDecision, others: "OtherTracks"
) -> GateReport:
    """Return the report on a gate, in a pass over the recording of its own."""
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    info = reader.info
    with (
        reader.reopen() as again,
        others.open_references() as references,
        add_path_to_errors(info.path),
    ):
        stream = Gate(decision, info.sample_rate, info.channels, references=references)
        for block, last in again.blocks():
            stream.process(block, last)
    return stream.report


def _run(
    reader: Reader,
    stream: Gate,
    outputs: Outputs,
    writers: list[AudioWriter],
    span: SampleSpan,
    with_peak: bool,
    progress: ProgressCallback,
    recorder: "OverviewRecorder | None",
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
            kept, removed = stream.process(block, last)
            if recorder and removed is not None:
                recorder.add_samples(block, kept, removed, last)
            if blocks.write(block, kept, removed, last) and not last:
                break
    return peak


def _clipping_warnings(writer: AudioWriter) -> list[str]:
    if not writer.clipped_samples:
        return []
    return [
        f"{writer.clipped_samples} samples above full scale are clipped: "
        "subtype='FLOAT' in a WAV file keeps them"
    ]


def _input_paths(
    path: Path,
    noise_file: str | None,
    segments: str | Path | None = None,
    key: str | Path | None = None,
    against: Sequence[str | Path] = (),
) -> dict[str, Path]:
    """Return the paths of the files that are only read, by their description."""
    named: dict[str, str | Path | None] = {
        "the input": path,
        "the recording of the noise": noise_file,
        "the applied file": segments,
        "the key": key,
    }
    for number, track in enumerate(against, 1):
        named["another track" if number == 1 else f"another track ({number})"] = track
    return {name: Path(source) for name, source in named.items() if source}


def _open_other_tracks(
    reader: Reader,
    against: Sequence[str | Path],
    settings: GateSettings,
    skip_unreadable: bool,
) -> "OtherTracks":
    """Return the other tracks, after checking that they can be read."""
    from noisegate_cli.api.other_tracks import OtherTracks, check_other_paths, open_tracks

    info = reader.info
    check_other_paths(info.path, against)
    sources, warnings = open_tracks(against, settings, skip_unreadable)
    return OtherTracks(sources, settings, info.sample_rate, info.channels, warnings)

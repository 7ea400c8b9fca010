"""Gate one recording from file to file."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from noisegate_cli.api.excerpts import Excerpt, SampleSpan, choose_span
from noisegate_cli.api.file_results import GateResult
from noisegate_cli.api.first_pass import ignored_channels
from noisegate_cli.api.gate_task import GateTask
from noisegate_cli.api.inputs import parse_raw_format
from noisegate_cli.api.key_input import KeyTrack, decide_with_key
from noisegate_cli.api.labels import GivenSegments, build_forced
from noisegate_cli.api.noise_input import measure_noise_file, measure_noise_span_of_reader
from noisegate_cli.api.output_pass import WrittenOutputs, write_outputs
from noisegate_cli.api.outputs import Outputs, describe_lost_tracks, plan_outputs
from noisegate_cli.api.pictures import check_picture, draw_gate_of, save_picture
from noisegate_cli.api.progress import Progress, ProgressCallback, open_progress
from noisegate_cli.files.output_naming import OutputOptions
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors, open_reader
from noisegate_cli.files.riff import rf64_if_large
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate, compute_latency
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.settings import GateSettings, SettingsChanges, build_settings
from noisegate_cli.samples import to_db

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.files.formats import AudioInfo
    from noisegate_cli.files.pipes import RawFormat
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
    options = options or OutputOptions()
    task = GateTask(
        path,
        output,
        build_settings(settings, preset, changes),
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
    started = time.perf_counter()
    settings, excerpt = task.settings, task.excerpt
    noises = measure_noise_file(settings)
    decision = GateDecision.from_settings(settings, noises, task.forced)
    can_stream = decision is not None and task.can_stream
    with (
        open_progress(progress, Path(task.path).name) as report,
        open_reader(
            Path(task.path), task.raw, can_stream, settings.zero_nonfinite, task.options.track
        ) as reader,
    ):
        others = _open_other_tracks(task, reader)
        decide = partial(_decide, task, reader, noises, others, report)
        decided, busy = None, None
        if excerpt and excerpt.start is None:
            decided = decide(settings)
            busy = _find_segments(reader, decided[0], others)
        span = choose_span(excerpt, busy, settings, reader.info.sample_rate)
        outputs = _plan_outputs(task, reader, span)
        picture = check_picture(task.plot, task.inputs | outputs.paths, task.force)
        if outputs.is_live:
            settings = settings.live
        decision, second_pass = decided or decide(settings)
        recorder = _create_recorder(decision, reader.info) if picture else None
        with others.open_references() as references:
            written = write_outputs(
                task,
                reader,
                decision,
                outputs,
                span,
                references,
                second_pass,
                recorder,
                before_output_appears,
            )
    if picture and recorder:
        figure = draw_gate_of(reader.info.path, recorder.finish(written.gated))
        save_picture(figure, picture, task.force, task.fsync)
    return _build_result(
        task, reader, decision, others, outputs, span, written, time.perf_counter() - started
    )


def _open_other_tracks(task: GateTask, reader: Reader) -> "OtherTracks":
    """Return the other tracks, after checking that they can be read."""
    from noisegate_cli.api.other_tracks import OtherTracks, check_other_paths, open_tracks

    info = reader.info
    check_other_paths(info.path, task.against)
    sources, warnings = open_tracks(task.against, task.settings, task.skip_unreadable)
    return OtherTracks(sources, task.settings, info.sample_rate, info.channels, warnings)


def _decide(
    task: GateTask,
    reader: Reader,
    noises: "NoiseProfiles",
    others: "OtherTracks",
    progress: ProgressCallback,
    settings: GateSettings,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision and the rest of the progress."""
    noises = noises or measure_noise_span_of_reader(reader, settings)
    return decide_with_key(reader, settings, noises, task.forced, others, progress, task.key)


def _find_segments(reader: Reader, decision: GateDecision, others: "OtherTracks") -> Segments:
    """Return the open stretches of a gate, in a pass over the recording of its own."""
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
    return stream.report.segments


def _plan_outputs(task: GateTask, reader: Reader, span: SampleSpan) -> Outputs:
    return plan_outputs(
        reader,
        task.output,
        task.options,
        task.force,
        task.inputs,
        samples=span.limit_length(reader.info.samples),
        is_excerpt=task.excerpt is not None,
        residue=task.residue,
        comparison=task.comparison,
        labels=task.labels,
    )


def _create_recorder(decision: GateDecision, info: "AudioInfo") -> "OverviewRecorder":
    """Return what records the picture of a gate."""
    from noisegate_cli.plots.overview import OverviewRecorder

    with_spectrogram = decision.settings.spectral != "off"
    return OverviewRecorder(
        decision, info.sample_rate, info.samples, with_spectrogram=with_spectrogram
    )


def _build_result(
    task: GateTask,
    reader: Reader,
    decision: GateDecision,
    others: "OtherTracks",
    outputs: Outputs,
    span: SampleSpan,
    written: WrittenOutputs,
    seconds: float,
) -> GateResult:
    info, gated, key = reader.info, written.gated, decision.key
    rate, length = info.sample_rate, gated.segments.length
    delay_samples = compute_latency(decision.settings, rate) if outputs.is_live else None
    return GateResult(
        **gated.to_fields(),
        source=replace(info, samples=length),
        output=rf64_if_large(replace(outputs.target, samples=length)),
        residue=outputs.residue.path if outputs.residue else None,
        labels=outputs.labels,
        comparison=outputs.comparison.path if outputs.comparison else None,
        excerpt=(span.start / rate, (span.start + length) / rate) if task.excerpt else None,
        peak_db=float(to_db(written.peak)) if task.with_peak else None,
        seconds=seconds,
        warnings=(
            *reader.warnings,
            *describe_lost_tracks(info, outputs.target),
            *ignored_channels(decision.heard_channels, info),
            *others.warnings,
            *written.warnings,
        ),
        is_copied=written.is_copied,
        delay_ms=None if delay_samples is None else 1000 * delay_samples / rate,
        raw=task.raw,
        others=others.report(gated.bleed),
        key=KeyTrack(Path(task.key), key.alignment) if task.key and key else None,
    )

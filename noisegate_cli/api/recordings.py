"""Gate and analyze one recording from file to file."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack

from noisegate_cli.api.noise_input import measure_noise_file, measure_noise_span_of_reader
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    Progress,
    ProgressCallback,
    open_progress,
    report_progress,
    scale_progress,
)
from noisegate_cli.errors import OutputError
from noisegate_cli.files.formats import STDIO_PATH, AudioInfo
from noisegate_cli.files.output_naming import OutputOptions
from noisegate_cli.files.output_target import (
    check_inside,
    default_output_path,
    is_directory,
    is_same_file,
    output_info,
)
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors, open_reader
from noisegate_cli.files.riff import rf64_if_large
from noisegate_cli.files.writer import AudioWriter, InputMetadata, check_overwrite, open_writer
from noisegate_cli.gating.analysis import Analyzer, LevelReport, measure_blocks
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.gate import Gate, GateReport, compute_latency
from noisegate_cli.gating.settings import GateSettings, SettingsChanges, build_settings
from noisegate_cli.samples import compute_peak, to_db
from noisegate_cli.text import format_repr, quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTrack, OtherTracks
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.noise_profile import NoiseProfiles


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """Result of `analyze_file`."""

    info: AudioInfo
    settings: GateSettings
    levels: LevelReport
    warnings: tuple[str, ...] = ()
    """Problems of the recording, one sentence each."""

    def __repr__(self) -> str:
        names = ("levels.closed_share", "levels.suggestion.threshold", "levels.suggestion.verdict")
        return format_repr(self, "info.path.name", *names)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult(GateReport):
    """Result of `gate_file`."""

    source: AudioInfo
    output: AudioInfo
    residue: Path | None
    peak_db: float | None
    """Peak of the input in dBFS; minus infinity for digital silence, None without `with_peak`."""
    seconds: float
    """Elapsed time in seconds."""
    warnings: tuple[str, ...] = ()
    """Problems of the recording and losses in the output, one sentence each."""
    delay_ms: float | None = None
    """Maximum delay from standard input to standard output; None for files."""
    others: "tuple[OtherTrack, ...]" = ()
    """The other tracks, in the order of `against`."""

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "chops.count")
        return format_repr(self, "output.path.name", *names)


def analyze_file(
    path: str | Path,
    settings: GateSettings | None = None,
    progress: Progress = False,
    *,
    preset: str | None = None,
    raw: "RawFormat | None" = None,
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
        Sample format of an input without a header.
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
    """
    settings = build_settings(settings, preset, changes)
    noises = measure_noise_file(settings)
    with (
        open_progress(progress, Path(path).name) as report,
        open_reader(Path(path), raw, zero_nonfinite=settings.zero_nonfinite) as reader,
    ):
        noises = noises or measure_noise_span_of_reader(reader, settings)
        levels = _measure_file(reader, settings, noises, report).report()
        info = replace(reader.info, samples=levels.samples)
        return AnalysisReport(info, settings, levels, tuple(reader.warnings))


def measure_level_histogram(
    path: str | Path, settings: GateSettings | None = None, progress: Progress = False
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
        open_reader(Path(path), zero_nonfinite=settings.zero_nonfinite) as reader,
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
    options: OutputOptions | None = None,
    raw: "RawFormat | None" = None,
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
    options
        Sample type of the output, its name if `output` has none, and the metadata to preserve.
    raw
        Sample format of an input without a header.
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
    """
    return gate_recording(
        path,
        output,
        build_settings(settings, preset, changes),
        against=against,
        residue=residue,
        options=options or OutputOptions(),
        raw=raw,
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
    started = time.perf_counter()
    noises = measure_noise_file(settings)
    can_stream = not against and GateDecision.from_settings(settings, noises) is not None
    with (
        open_progress(progress, Path(path).name) as report,
        open_reader(Path(path), raw, can_stream, settings.zero_nonfinite) as reader,
    ):
        others = _open_other_tracks(reader, against, settings, skip_unreadable)
        sources = _list_sources(reader.info.path, settings, against)
        outputs = _plan_outputs(reader, output, residue, options, force, sources)
        if outputs.is_live:
            settings = settings.live
        noises = noises or measure_noise_span_of_reader(reader, settings)
        decision, second_pass = _decide(reader, settings, noises, others, report)
        info = reader.info
        is_file = info.path != STDIO_PATH
        metadata = InputMetadata(
            reader.path,
            reader.tags,
            reader.chunks,
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
                    residue=outputs.residue is not None,
                    live=outputs.is_live,
                    references=references,
                )
            writers = [
                stack.enter_context(open_writer(file, metadata, force, fsync))
                for file in (outputs.target, outputs.residue)
                if file
            ]
            peak = _run(reader, stream, outputs, writers, with_peak, second_pass)
            before_output_appears()
    gated = stream.report
    length = gated.segments.length
    delay_samples = compute_latency(settings, info.sample_rate) if outputs.is_live else None
    return GateResult(
        **gated.to_fields(),
        source=replace(info, samples=length),
        output=rf64_if_large(replace(outputs.target, samples=length)),
        residue=outputs.residue.path if outputs.residue else None,
        peak_db=float(to_db(peak)) if with_peak else None,
        seconds=time.perf_counter() - started,
        warnings=(
            *reader.warnings,
            *others.warnings,
            *metadata.warnings,
            *_clipping_warnings(writers[0]),
        ),
        delay_ms=None if delay_samples is None else 1000 * delay_samples / info.sample_rate,
        others=others.report(gated.bleed),
    )


class _Outputs(NamedTuple):
    """Files that a call of `gate_file` writes."""

    target: AudioInfo
    residue: AudioInfo | None
    is_live: bool
    """Whether samples are streamed from standard input to standard output."""


def _plan_outputs(
    reader: Reader,
    output: str | Path | None,
    residue: str | Path | None,
    options: OutputOptions,
    force: bool,
    sources: Mapping[Path, str],
) -> _Outputs:
    """Return the files to write, after checking that they may be written."""
    info = reader.info
    target = output_info(info, _resolve_output_path(info, output, options), options)
    residue_info = output_info(info, Path(residue), options) if residue else None
    _check_outputs(target, residue_info, options, force, sources)
    return _Outputs(
        target, residue_info, info.path == target.path == STDIO_PATH and _is_live(reader, target)
    )


def _decide(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    others: "OtherTracks",
    progress: ProgressCallback,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision, from a first pass if it needs one, and the rest of the progress."""
    decision = GateDecision.from_settings(settings, noises)
    if decision is not None and not others:
        return decision, progress
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    if others:
        with reader.reopen() as first, add_path_to_errors(reader.info.path):
            others.align(first.blocks())
    with reader.reopen() as first, others.open_references() as references:
        decision = _measure_file(first, settings, noises, first_pass, references).decide()
    with add_path_to_errors(reader.info.path):
        others.check_bleed(decision.bleed)
    return decision, scale_progress(progress, FIRST_PASS_SHARE, 1.0)


def _run(
    reader: Reader,
    stream: Gate,
    outputs: _Outputs,
    writers: list[AudioWriter],
    with_peak: bool,
    progress: ProgressCallback,
) -> float:
    """Gate a recording into the output and the residue, if any; return its peak."""
    info, peak = reader.info, 0.0
    step = info.quantization_step(info.dtype)
    output_step = outputs.target.quantization_step(info.dtype)
    with add_path_to_errors(info.path):
        for block, last in report_progress(reader.blocks(), info.samples, progress):
            if with_peak:
                peak = max(peak, compute_peak(block))
            kept, removed = stream.process(block, last)
            writers[0].write(kept)
            if removed is not None:
                if output_step > step:
                    # The output has fewer bits. The residue includes the bits that the output
                    # truncates, so that output + residue = input.
                    removed += kept % output_step
                writers[1].write(removed)
    return peak


def _resolve_output_path(
    info: AudioInfo, output: str | Path | None, options: OutputOptions
) -> Path:
    if output is None:
        return default_output_path(info, options)
    path = Path(output)
    # A trailing slash marks a folder that may not exist yet.
    is_folder = str(output).endswith(("/", os.sep)) or is_directory(path)
    return path / default_output_path(info, options).name if is_folder else path


def _is_live(reader: Reader, target: AudioInfo) -> bool:
    """Return whether samples are streamed from standard input to standard output."""
    from noisegate_cli.files.pipes import StreamReader, can_stream

    return isinstance(reader, StreamReader) and can_stream(target)


def _clipping_warnings(writer: AudioWriter) -> list[str]:
    if not writer.clipped_samples:
        return []
    return [
        f"{writer.clipped_samples} samples over full scale are cut off at it: "
        "subtype='FLOAT' in a WAV file keeps them"
    ]


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


def _list_sources(
    path: Path, settings: GateSettings, against: Sequence[str | Path]
) -> dict[Path, str]:
    """Return the files that must not be overwritten, each with a description."""
    sources = dict.fromkeys(map(Path, against), "another track")
    if settings.noise_file:
        sources[Path(settings.noise_file)] = "the recording of the noise"
    return sources | {path: "the input"}


def _check_outputs(
    target: AudioInfo,
    residue_info: AudioInfo | None,
    options: OutputOptions,
    force: bool,
    sources: Mapping[Path, str],
) -> None:
    for output in (target, residue_info):
        if output is None or output.path == STDIO_PATH:
            continue
        for source, description in sources.items():
            if is_same_file(output.path, source):
                raise OutputError(
                    f"{quote_path(output.path)} is {description}, which is never overwritten: "
                    "give another name"
                )
        if options.inside:
            check_inside(output.path, options.inside)
        check_overwrite(output.path, force)
    if residue_info and is_same_file(target.path, residue_info.path):
        raise OutputError(
            f"{quote_path(residue_info.path)} is the output already: give the residue another name"
        )


def _measure_file(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    progress: ProgressCallback,
    references: "Sequence[ReferencePowers]" = (),
) -> Analyzer:
    info = reader.info
    with add_path_to_errors(info.path):
        blocks = report_progress(reader.blocks(), info.samples, progress)
        return measure_blocks(
            blocks, settings, info.sample_rate, info.channels, info.samples, noises, references
        )

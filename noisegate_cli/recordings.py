"""Gate and analyze one recording from file to file."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

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
from noisegate_cli.gating.chops import ChopReport
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.gain.mask import GateStatistics
from noisegate_cli.gating.gate import Gate, live_delay_ms
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.noise_input import learn_noise_from_file, learn_noise_from_reader
from noisegate_cli.samples import (
    Samples,
    compute_peak,
    to_db,
)
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.gating.noise_profile import NoiseProfile

ProgressCallback = Callable[[float], None]
"""Function that is called at intervals with the finished share of the work, 0 to 1."""

FIRST_PASS_SHARE = 0.3
"""Typical share of the total work that the first of two passes takes."""


def no_progress(share: float) -> None:
    """Ignore the progress; default callback."""


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """Result of `analyze_file`."""

    info: AudioInfo
    settings: GateSettings
    levels: LevelReport
    warnings: tuple[str, ...] = ()
    """Problems of the recording, one sentence each."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """Result of `gate_file`."""

    source: AudioInfo
    output: AudioInfo
    residue: Path | None
    settings: GateSettings
    """Settings that were used, with the range that results from a target floor."""
    threshold: float | None
    """Threshold that was used (linear RMS).

    None if the gate used more features than the level, or found no threshold and stayed open.
    """
    suggestion: ThresholdSuggestion | None
    """Origin of the threshold; None if the threshold was given."""
    noises: "tuple[NoiseProfile | None, ...]"
    """Noise profile of each gate; None if no noise was found and the gate removed nothing."""
    statistics: GateStatistics
    chops: ChopReport
    """Sounds whose attack or decay the gate has cut."""
    peak_db: float | None
    """Peak of the input in dBFS; minus infinity for digital silence, None without `with_peak`."""
    seconds: float
    """Elapsed time in seconds."""
    warnings: tuple[str, ...] = ()
    """Problems of the recording and losses in the output, one sentence each."""
    delay_ms: float | None = None
    """Maximum delay from standard input to standard output; None for files."""


def analyze_file(
    path: str | Path,
    settings: GateSettings | None = None,
    progress: ProgressCallback = no_progress,
    *,
    raw: "RawFormat | None" = None,
) -> AnalysisReport:
    """Measure the recording at `path` in one pass, block by block.

    Parameters
    ----------
    path
        The recording; `"-"` is standard input.
    settings
        Settings of the gate; by default `GateSettings()`.
    progress
        Called with the finished share of the work, 0 to 1.
    raw
        Sample format of an input without a header.

    Returns
    -------
    AnalysisReport
        Properties, levels and warnings of the recording.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated; the message quotes the path.
    """
    settings = settings or GateSettings()
    known = learn_noise_from_file(settings)
    with open_reader(Path(path), raw, zero_nonfinite=settings.zero_nonfinite) as reader:
        known = learn_noise_from_reader(reader, known)
        levels = _measure_file(reader, known, progress).report()
        info = replace(reader.info, samples=levels.samples)
        return AnalysisReport(info, settings, levels, tuple(reader.warnings))


def measure_level_histogram(
    path: str | Path, settings: GateSettings | None = None
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

    Returns
    -------
    LevelHistogram
        Number of frames at each level.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated; the message quotes the path.
    """
    settings, histogram = settings or GateSettings(), LevelHistogram()
    with (
        open_reader(Path(path), zero_nonfinite=settings.zero_nonfinite) as reader,
        add_path_to_errors(Path(path)),
    ):
        info = reader.info
        detector = LevelDetector(-1.0, settings, info.sample_rate, info.channels)
        for block, last in reader.blocks():
            histogram.add(detector.process(block, last)[1])
    return histogram


def gate_file(
    path: str | Path,
    output: str | Path | None = None,
    settings: GateSettings | None = None,
    *,
    residue: str | Path | None = None,
    options: OutputOptions | None = None,
    raw: "RawFormat | None" = None,
    force: bool = False,
    with_peak: bool = False,
    progress: ProgressCallback = no_progress,
    before_output_appears: Callable[[], None] = lambda: None,
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
        Settings of the gate; by default `GateSettings()`.
    residue
        Path of a file for the removed signal, input − output; None to write none.
    options
        Sample type of the output, its name if `output` has none, and the metadata to preserve.
    raw
        Sample format of an input without a header.
    force
        Whether to overwrite existing files. The input is never overwritten.
    with_peak
        Whether to measure the peak of the input, which takes about 10 % longer.
    progress
        Called with the finished share of the work, 0 to 1.
    before_output_appears
        Called when all samples are written and before the output appears. If it raises an
        exception, there is no output.

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
    started = time.perf_counter()
    settings, options = settings or GateSettings(), options or OutputOptions()
    known, delay_ms = learn_noise_from_file(settings), None
    with open_reader(
        Path(path), raw, GateDecision.from_settings(known) is not None, settings.zero_nonfinite
    ) as reader:
        known = learn_noise_from_reader(reader, known)
        decision = GateDecision.from_settings(known)
        info = reader.info
        target = output_info(info, _resolve_output_path(info, output, options), options)
        live = info.path == target.path == STDIO_PATH and _is_live(reader, target)
        if live:
            decision = GateDecision.from_settings(known.live)
            delay_ms = live_delay_ms(known.live, info.sample_rate)
        rest = output_info(info, Path(residue), options) if residue else None
        _check_outputs(info, target, rest, options, force, settings.noise_file)
        done = 0.0
        if decision is None:
            done = FIRST_PASS_SHARE
            assert isinstance(reader, AudioReader)  # because it is not a live stream
            with reader.reopen() as first:
                analyzer = _measure_file(first, known, lambda share: progress(share * done))
            decision = analyzer.decide()
        step, output_step = info.quantization_step(info.dtype), target.quantization_step(info.dtype)
        with add_path_to_errors(info.path):
            stream = Gate(
                decision,
                info.sample_rate,
                info.channels,
                step=step,
                residue=rest is not None,
                live=live,
            )
        blocks = _report_progress(
            reader.blocks(), info, lambda share: progress(done + share * (1 - done))
        )
        samples, peak = 0, 0.0
        is_file = info.path != STDIO_PATH
        kept_of = InputMetadata(
            reader.path,
            reader.tags,
            reader.chunks,
            keep_mtime=options.keep_mtime and is_file,
            keep_mode=is_file,
        )
        with ExitStack() as stack:

            def written(file: AudioInfo) -> AudioWriter:
                return stack.enter_context(open_writer(file, kept_of, force))

            kept_file, removed_file = written(target), written(rest) if rest else None
            with add_path_to_errors(info.path):
                for block, last in blocks:
                    if with_peak:
                        peak = max(peak, compute_peak(block))
                    kept, removed = stream.process(block, last)
                    samples += len(kept)
                    kept_file.write(kept)
                    if removed_file and removed is not None:
                        if output_step > step:
                            # The output has fewer bits. The residue includes the bits that the
                            # output truncates, so that output + residue = input.
                            removed += kept % output_step
                        removed_file.write(removed)
            before_output_appears()
    return GateResult(
        source=replace(info, samples=samples),
        output=rf64_if_large(replace(target, samples=samples)),
        residue=rest.path if rest else None,
        settings=replace(decision.settings, noise=settings.noise),
        threshold=decision.threshold,
        suggestion=decision.suggestion,
        noises=stream.noises,
        statistics=stream.statistics,
        chops=stream.chops,
        peak_db=float(to_db(peak)) if with_peak else None,
        seconds=time.perf_counter() - started,
        warnings=(*reader.warnings, *kept_of.warnings, *_clipping_warnings(kept_file)),
        delay_ms=delay_ms,
    )


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


def _check_outputs(
    info: AudioInfo,
    target: AudioInfo,
    rest: AudioInfo | None,
    options: OutputOptions,
    force: bool,
    noise_file: str | None,
) -> None:
    sources = {"the input": info.path}
    if noise_file:
        sources["the recording of the noise"] = Path(noise_file)
    for output in (target, rest):
        if output is None or output.path == STDIO_PATH:
            continue
        for what, source in sources.items():
            if is_same_file(output.path, source):
                raise OutputError(
                    f"{quote_path(output.path)} is {what}, which is never overwritten: "
                    "give another name"
                )
        if options.inside:
            check_inside(output.path, options.inside)
        check_overwrite(output.path, force)
    if rest and is_same_file(target.path, rest.path):
        raise OutputError(
            f"{quote_path(rest.path)} is the output already: give the residue another name"
        )


def _report_progress(
    blocks: Iterable[tuple[Samples, bool]], info: AudioInfo, progress: ProgressCallback
) -> Iterator[tuple[Samples, bool]]:
    done = 0
    for block, last in blocks:
        yield block, last
        done += len(block)
        if info.samples or last:
            progress(1.0 if last else min(1.0, done / info.samples))


def _measure_file(reader: Reader, settings: GateSettings, progress: ProgressCallback) -> Analyzer:
    info = reader.info
    with add_path_to_errors(info.path):
        blocks = _report_progress(reader.blocks(), info, progress)
        return measure_blocks(blocks, settings, info.sample_rate, info.channels, info.samples)

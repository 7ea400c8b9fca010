"""One recording through, as a file or as an array."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.audio import AudioReader, Reader, block_length, opened
from noisegate_cli.errors import AudioError, OutputError, SettingsError, SignalError
from noisegate_cli.formats import STREAM, AudioInfo
from noisegate_cli.gating.analysis import Analyzer, Decision, LevelReport
from noisegate_cli.gating.audit import ChopReport
from noisegate_cli.gating.detector import LevelDetector
from noisegate_cli.gating.gate import Gate, live_delay_ms
from noisegate_cli.gating.levels import LevelHistogram, Samples, in_slices, peak_of, to_db
from noisegate_cli.gating.mask import GateStatistics
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.threshold import ThresholdSuggestion
from noisegate_cli.naming import OutputOptions
from noisegate_cli.output import (
    check_inside,
    default_output,
    is_directory,
    output_info,
    same_file,
)
from noisegate_cli.units import format_time, parse_threshold, shown
from noisegate_cli.wav import rf64_if_large
from noisegate_cli.writer import AudioWriter, Kept, check_free, writing

if TYPE_CHECKING:
    from noisegate_cli.gating.profile import NoiseProfile
    from noisegate_cli.pipes import RawFormat

Progress = Callable[[float], None]
"""Told now and then which share of the work is done, 0 to 1."""

FIRST_PASS = 0.3
"""Share of the work that the first of two passes is."""

MOST_CHANNELS = 1024
"""As in libsndfile."""

Blocks = Iterable[tuple[Samples, bool]]


def unseen(share: float) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """What `analyze_file` found."""

    info: AudioInfo
    settings: GateSettings
    levels: LevelReport
    warnings: tuple[str, ...] = ()
    """What is wrong with the recording, a sentence each."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What `gate_file` did."""

    source: AudioInfo
    output: AudioInfo
    residue: Path | None
    settings: GateSettings
    """With the range that a target floor came to."""
    threshold: float | None
    """Linear RMS that was used; None where the gate listened to more than the level, or found
    none and stayed open."""
    suggestion: ThresholdSuggestion | None
    """Where that comes from; None when the threshold was given."""
    noises: "tuple[NoiseProfile | None, ...]"
    """The noise that the spectral gate went by in each gate; None where none was found, and
    nothing was taken away."""
    statistics: GateStatistics
    chops: ChopReport
    """Where it cut sounds."""
    peak_db: float | None
    """The largest sample of the input, dBFS; minus infinity in digital silence, None if nobody
    asked."""
    seconds: float
    """Time that it took."""
    warnings: tuple[str, ...] = ()
    """What is wrong with the recording or was lost on the way, a sentence each."""
    delay_ms: float | None = None
    """How much later samples come out of a pipe than they go in, at the most; None for files."""


def gate(
    y: Samples,
    sample_rate: int,
    *,
    threshold: float | str | None = None,
    settings: GateSettings | None = None,
    spectral: bool = False,
    noise: Samples | None = None,
) -> Samples:
    """Gate a recording held in an array.

    Parameters
    ----------
    y
        Samples shaped (samples,) or (samples, channels): int16, int32, or floats with full scale
        1.0. It is left as it is.
    sample_rate
        In Hz.
    threshold
        Linear RMS, or a level such as "-30dB", or a method such as "auto" that finds it in the
        recording. It takes the place of the one in `settings`, which is "auto" by default.
    settings
        How to gate; the default is the preset `voice`.
    spectral
        Whether to turn down the noise in each frequency bin, under the signal too, instead of
        silencing the pauses. Settings that are of a spectral gate already stay as they are.
    noise
        Samples of the noise alone, at the same rate; without them it is learnt from `y`.

    Returns
    -------
    The gated samples, in the shape and the type of `y`.

    Raises
    ------
    SettingsError
        On a setting out of range or an array of another shape or type.
    AudioError
        When `y` holds NaN or infinite samples.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(16000) / 5) * np.repeat([0.5, 0.001], 8000)
    >>> out = gate(y, 16000, threshold="-40dB")
    >>> np.array_equal(out[:8000], y[:8000]), float(np.abs(out[14000:]).max())
    (True, 0.0)

    Hiss under a tone, as it is known from elsewhere:

    >>> rng = np.random.default_rng(0)
    >>> room, hiss = rng.normal(0, 0.01, (2, 16000))
    >>> tone = np.sin(np.arange(16000) / 5)
    >>> out = gate(tone + hiss, 16000, threshold=0.1, spectral=True, noise=room)
    >>> float((out - tone).std() / hiss.std()) < 0.4
    True
    """
    y = np.asarray(y)
    settings = settings or GateSettings()
    samples = _as_samples(y, settings)
    if threshold is not None:
        level = parse_threshold(threshold) if isinstance(threshold, str) else threshold
        settings = replace(settings, threshold=level)
    if spectral and settings.spectral == "off":
        settings = replace(settings, spectral="soft", range_db=0.0)
    if noise is not None:
        if settings.spectral == "off":
            raise SettingsError("noise is for the spectral gate: give spectral=True too")
        room = _slices(_as_samples(np.asarray(noise), settings))
        settings = replace(settings, noise=_profiles(room, settings, sample_rate))
    settings = _with_noise_of_stretch(_with_noise_of_file(settings), _slices(samples), sample_rate)
    decision = Decision.given(settings)
    if decision is None:
        decision = _measured_array(samples, settings, sample_rate).decide()
    stream = Gate(decision, sample_rate, samples.shape[1])
    out = np.empty_like(samples, order="C")
    done = 0
    for block, last in _slices(samples):
        kept, _ = stream.process(block, last)
        out[done : done + len(kept)] = kept
        done += len(kept)
    return out.reshape(y.shape)


def analyze(y: Samples, sample_rate: int, *, settings: GateSettings | None = None) -> LevelReport:
    """Measure a recording held in an array; see `gate` for the parameters and the errors.

    Examples
    --------
    >>> import numpy as np
    >>> report = analyze(np.full(8000, 0.5), 8000)
    >>> round(report.peak_db, 2), report.suggestion.threshold is None
    (-6.02, True)
    """
    settings = _with_noise_of_file(settings or GateSettings())
    samples = _as_samples(np.asarray(y), settings)
    settings = _with_noise_of_stretch(settings, _slices(samples), sample_rate)
    return _measured_array(samples, settings, sample_rate).report()


def analyze_file(
    path: str | Path,
    settings: GateSettings | None = None,
    progress: Progress = unseen,
    *,
    raw: "RawFormat | None" = None,
) -> AnalysisReport:
    """Measure the recording at `path`, in one pass, block by block; see `gate_file` for `raw`.

    Raises
    ------
    AudioError
        When it can't be read or gated; the message quotes the path.
    """
    settings = settings or GateSettings()
    known = _with_noise_of_file(settings)
    with opened(Path(path), raw, nonfinite=settings.nonfinite) as reader:
        known = _with_noise_in(reader, known)
        levels = _measured_file(reader, known, progress).report()
        info = replace(reader.info, samples=levels.samples)
        return AnalysisReport(info, settings, levels, tuple(reader.warnings))


def levels_of_file(path: str | Path, settings: GateSettings | None = None) -> LevelHistogram:
    """Return how often each level occurs in the recording at `path`.

    These are what a threshold is compared with: with `separate` channels those of each, with a key
    filter those of what it lets through. Histograms of many recordings add up to one.

    Raises
    ------
    AudioError
        When it can't be read or gated; the message quotes the path.
    """
    settings, histogram = settings or GateSettings(), LevelHistogram()
    with (
        opened(Path(path), nonfinite=settings.nonfinite) as reader,
        _naming(Path(path)),
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
    progress: Progress = unseen,
) -> GateResult:
    """Gate the recording at `path` into `output`, block by block.

    The output, and the residue, each appear when they are complete, or not at all. They keep the
    sample type of the input where their format can.

    Parameters
    ----------
    path, output
        `"-"` is standard input, and standard output. With a threshold that is given, what comes in
        as WAV, AU or raw goes out as it comes. The output is by default `NAME_gated.EXT` beside
        the input, see `default_output`; or in this directory, where it is one or ends in a slash.
    residue
        Where to write what the gate removed: input − output.
    options
        In which sample type to write, how to name the output where it has no name, and what to
        keep of the input.
    raw
        What the samples are, where the input is nothing but samples.
    force
        Whether to overwrite files that exist. The input is never overwritten.
    with_peak
        Whether to look for the largest sample, which takes a tenth as long again.

    Raises
    ------
    AudioError
        When the input can't be read or gated; the message quotes the path.
    OutputError
        When the output can't be written, exists, or is the input.
    """
    started = time.perf_counter()
    settings, options = settings or GateSettings(), options or OutputOptions()
    known, delay_ms = _with_noise_of_file(settings), None
    with opened(Path(path), raw, Decision.given(known) is not None, settings.nonfinite) as reader:
        known = _with_noise_in(reader, known)
        decision = Decision.given(known)
        info = reader.info
        target = output_info(info, _output_path(info, output, options), options)
        live = info.path == target.path == STREAM and _is_live(reader, target)
        if live:
            decision = Decision.given(known.live)
            delay_ms = live_delay_ms(known.live, info.sample_rate)
        rest = output_info(info, Path(residue), options) if residue else None
        _check_outputs(info, target, rest, options, force, settings.noise_file)
        done = 0.0
        if decision is None:
            done = FIRST_PASS
            assert isinstance(reader, AudioReader)  # as it isn't live
            with reader.again() as first:
                analyzer = _measured_file(first, known, lambda share: progress(share * done))
            decision = analyzer.decide()
        step, output_step = info.step_in(info.dtype), target.step_in(info.dtype)
        with _naming(info.path):
            stream = Gate(
                decision,
                info.sample_rate,
                info.channels,
                step=step,
                residue=rest is not None,
                live=live,
            )
        blocks = _watched(reader.blocks(), info, lambda share: progress(done + share * (1 - done)))
        samples, peak = 0, 0.0
        kept_of = Kept(
            reader.path, reader.tags, reader.chunks, options.keep_mtime and info.path != STREAM
        )
        with ExitStack() as stack:

            def written(file: AudioInfo) -> AudioWriter:
                return stack.enter_context(writing(file, kept_of, force))

            kept_file, removed_file = written(target), written(rest) if rest else None
            with _naming(info.path):
                for block, last in blocks:
                    if with_peak:
                        peak = max(peak, peak_of(block))
                    kept, removed = stream.process(block, last)
                    samples += len(kept)
                    kept_file.write(kept)
                    if removed_file and removed is not None:
                        if output_step > step:
                            # The output has fewer bits: the rest of them are cut off there.
                            removed += kept % output_step
                        removed_file.write(removed)
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
        warnings=(*reader.warnings, *kept_of.warnings, *_clipped(kept_file)),
        delay_ms=delay_ms,
    )


def _output_path(info: AudioInfo, output: str | Path | None, options: OutputOptions) -> Path:
    if output is None:
        return default_output(info, options)
    path = Path(output)
    # A slash at the end says that it is a folder, which may have to be made.
    is_folder = str(output).endswith(("/", os.sep)) or is_directory(path)
    return path / default_output(info, options).name if is_folder else path


def _is_live(reader: Reader, target: AudioInfo) -> bool:
    """Whether samples go out as they come in."""
    from noisegate_cli.pipes import StreamReader, can_stream

    return isinstance(reader, StreamReader) and can_stream(target)


def _clipped(writer: AudioWriter) -> list[str]:
    if not writer.clipped:
        return []
    return [
        f"{writer.clipped} samples over full scale are cut off at it: "
        "--subtype FLOAT in a WAV file keeps them"
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
        if output is None or output.path == STREAM:
            continue
        for what, source in sources.items():
            if same_file(output.path, source):
                raise OutputError(
                    f"{shown(output.path)} is {what}, which is never overwritten: give another name"
                )
        if options.inside:
            check_inside(output.path, options.inside)
        check_free(output.path, force)
    if rest and same_file(target.path, rest.path):
        raise OutputError(
            f"{shown(rest.path)} is the output already: give the residue another name"
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in which file the samples are that can't be gated."""
    try:
        yield
    except SignalError as error:
        raise AudioError(f"{shown(path)}: {error}") from error


def _watched(
    blocks: Iterable[tuple[Samples, bool]], info: AudioInfo, progress: Progress
) -> Iterator[tuple[Samples, bool]]:
    done = 0
    for block, last in blocks:
        yield block, last
        done += len(block)
        if info.samples or last:
            progress(1.0 if last else min(1.0, done / info.samples))


def _measured(
    blocks: Blocks, settings: GateSettings, sample_rate: int, channels: int, samples: int
) -> Analyzer:
    analyzer = Analyzer(settings, sample_rate, channels, samples)
    for block, last in blocks:
        analyzer.process(block, last)
    return analyzer


def _measured_array(samples: Samples, settings: GateSettings, sample_rate: int) -> Analyzer:
    length, channels = samples.shape
    return _measured(_slices(samples), settings, sample_rate, channels, length)


def _measured_file(reader: Reader, settings: GateSettings, progress: Progress) -> Analyzer:
    info = reader.info
    with _naming(info.path):
        blocks = _watched(reader.blocks(), info, progress)
        return _measured(blocks, settings, info.sample_rate, info.channels, info.samples)


def with_noise_found(settings: GateSettings) -> GateSettings:
    """Return settings whose noise can be read, from anywhere: for many recordings.

    Raises
    ------
    AudioError
        When the recording of the noise can't be read, or tells too little.
    """
    if settings.noise_file is None:
        return settings
    _with_noise_of_file(settings)
    return replace(settings, noise=str(Path(settings.noise_file).absolute()))


def _with_noise_of_file(settings: GateSettings) -> GateSettings:
    """Put the noise itself in the place of the name of a recording of it."""
    if settings.noise_file is None:
        return settings
    path = Path(settings.noise_file)
    with AudioReader(path, nonfinite=settings.nonfinite) as reader, _naming(path):
        profiles = _profiles(reader.blocks(), settings, reader.info.sample_rate)
    return replace(settings, noise=profiles)


def _with_noise_in(reader: Reader, settings: GateSettings) -> GateSettings:
    """Put the noise itself in the place of a stretch of a recording."""
    if settings.noise_stretch is None:
        return settings
    assert isinstance(reader, AudioReader)  # as it isn't live
    with reader.again() as first, _naming(reader.info.path):
        return _with_noise_of_stretch(settings, first.blocks(), reader.info.sample_rate)


def _with_noise_of_stretch(
    settings: GateSettings, blocks: Blocks, sample_rate: int
) -> GateSettings:
    if settings.noise_stretch is None:
        return settings
    stretch = _stretch(blocks, sample_rate, *settings.noise_stretch)
    return replace(settings, noise=_profiles(stretch, settings, sample_rate))


def _profiles(
    blocks: Blocks, settings: GateSettings, sample_rate: int
) -> "tuple[NoiseProfile, ...]":
    from noisegate_cli.gating.noise import NoiseMeter

    meter = NoiseMeter(settings, sample_rate)
    for block, _ in blocks:
        meter.process(block)
    return meter.profiles()


def _stretch(blocks: Blocks, sample_rate: int, start_s: float, end_s: float) -> Blocks:
    """Yield what of `blocks` lies in a stretch of time."""
    start, end, at = round(start_s * sample_rate), round(end_s * sample_rate), 0
    for block, last in blocks:
        yield block[max(0, start - at) : max(0, end - at)], last
        at += len(block)
        if at >= end:
            return
    raise SignalError(
        f"it ends at {format_time(at / sample_rate)}, before the noise does that is to be "
        f"learnt from it, at {format_time(end_s)}"
    )


def _as_samples(y: Samples, settings: GateSettings) -> Samples:
    """Return `y` shaped (samples, channels), fit to be gated."""
    if y.dtype.name not in ("int16", "int32", "float32", "float64"):
        raise SettingsError(f"samples of type {y.dtype} can't be gated: use int16, int32 or floats")
    if y.ndim not in (1, 2) or (y.ndim == 2 and not 1 <= y.shape[1] <= MOST_CHANNELS):
        raise SettingsError(
            f"an array shaped {y.shape} is neither (samples,) nor (samples, channels): "
            "if the channels come first, transpose it"
        )
    if settings.nonfinite == "zero" and y.dtype.kind == "f":
        y = np.where(np.isfinite(y), y, y.dtype.type(0))
    return y.reshape(len(y), -1) if y.size else y.reshape(0, y.shape[1] if y.ndim == 2 else 1)


def _slices(samples: Samples) -> Blocks:
    return in_slices(samples, block_length(samples.shape[1], samples.dtype))

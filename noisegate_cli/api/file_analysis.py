"""Analyze one recording in a file."""

# Otherwise `help(analyze_file)` expands the types over several lines.
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from noisegate_cli.api.analysis_report import AnalysisReport
from noisegate_cli.api.arguments import check_path, check_paths, check_tracks
from noisegate_cli.api.first_pass import measure
from noisegate_cli.api.inputs import choose_settings, list_inputs, parse_raw_format
from noisegate_cli.api.labels import build_label_track
from noisegate_cli.api.noise_input import measure_noise_file, measure_noise_span
from noisegate_cli.api.outputs import check_output_paths, warn_ignored_channels
from noisegate_cli.api.pictures import check_picture, draw_analysis_of, save_picture
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    Progress,
    ProgressCallback,
    open_progress,
    report_progress,
    scale_progress,
)
from noisegate_cli.api.sources import FileSource
from noisegate_cli.files.inputs.reader import add_path_to_errors, open_reader
from noisegate_cli.files.outputs.naming import OutputOptions, check_track_number
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.rule import STAYS_OPEN
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.setting_values import SettingsChanges
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.files.labels.track import LabelTrack
    from noisegate_cli.files.raw_format import RawFormat
    from noisegate_cli.plots.overview import Overview, Timeline


def analyze_file(
    path: str | Path,
    settings: GateSettings | None = None,
    progress: Progress = False,
    *,
    against: Sequence[str | Path] = (),
    preset: str | Path | None = None,
    raw: RawFormat | str | None = None,
    track: int | None = None,
    labels: str | Path | None = None,
    plot: str | Path | None = None,
    force: bool = False,
    **changes: Unpack[SettingsChanges],
) -> AnalysisReport:
    """Measure the recording at `path` in one pass, block by block.

    Parameters
    ----------
    path : str or Path
        The recording; `"-"` is standard input.
    settings : GateSettings, optional
        Settings of the gate; by default the preset `voice`.
    progress : bool or callable, default False
        True shows a bar; a function is called with the finished share of the work, 0 to 1.
    against : sequence of str or Path, optional
        Other tracks of the same session, see `gate_file`. The gate runs in a second pass over the
        recording, and the report describes their bleed.
    preset : str or Path, optional
        Preset instead of `settings`: its name, or the path of a TOML file, whose keys and values
        are those of `ngate --preset FILE.toml`.
    raw : RawFormat or str, optional
        Sample format of an input without a header, as an object or as text: `"44100:1:s16"`.
    track : int, optional
        Number of the audio track, from 1; None for the main one.
    labels : str or Path, optional
        File for the segments in which the gate would be open; see `write_labels`. It takes a
        second pass over the recording.
    plot : str or Path, optional
        Path of a plot of the analysis: .png, .pdf or .svg. None draws no plot.
    force : bool, default False
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
        If the labels or the plot cannot be written or already exist.
    SettingsError
        If the settings are invalid, or another track is the recording itself.

    Examples
    --------
    >>> report = analyze_file("tests/data/jfk_1961.wav")
    >>> round(report.levels.peak_db, 1), round(report.levels.rms_db, 1)
    (-2.1, -16.9)
    >>> report.info.sample_rate, report.info.subtype
    (16000, 'PCM_16')
    """
    check_path("path", path, "analyze")
    check_paths(labels=labels, plot=plot)
    check_tracks(against)
    check_track_number(track)
    settings = choose_settings(settings, preset, changes)
    return analyze_recording(
        path,
        settings,
        progress,
        parse_raw_format(raw),
        against=against,
        track=track,
        labels=labels,
        plot=plot,
        force=force,
    )[0]


def analyze_recording(
    path: str | Path,
    settings: GateSettings,
    progress: Progress = False,
    raw: RawFormat | None = None,
    *,
    against: Sequence[str | Path] = (),
    track: int | None = None,
    with_timeline: bool = False,
    labels: str | Path | None = None,
    plot: str | Path | None = None,
    force: bool = False,
) -> tuple[AnalysisReport, Timeline | None]:
    """Analyze a recording as `analyze_file` does; also return the timeline of the gate.

    The timeline takes another pass over the recording.
    """
    sources = list_inputs(Path(path), settings.noise_file, against=against)
    outputs = {"the label file": Path(labels)} if labels else {}
    target = check_picture(plot, sources | outputs, force)
    noises = measure_noise_file(settings)
    with ExitStack() as stack:
        report = stack.enter_context(open_progress(progress, Path(path).name))
        reader = stack.enter_context(
            open_reader(Path(path), raw, zero_nonfinite=settings.zero_nonfinite, track=track)
        )
        write_labels = stack.enter_context(_open_labels(outputs, sources, force))
        source = FileSource(reader)
        others = _open_other_tracks(path, against, settings, source)
        noises = noises or measure_noise_span(source, settings)
        has_second_pass = with_timeline or bool(target or labels or others)
        share = FIRST_PASS_SHARE if has_second_pass else 1.0
        first = scale_progress(report, 0.0, share)
        blocks = reader.blocks()
        analyzer = measure(
            source, settings, first, blocks=blocks, noises=noises, compare=True, others=others
        )
        levels, timeline = analyzer.report(), None
        info = reader.info.with_samples(levels.samples)
        if has_second_pass:
            rest = scale_progress(report, share, 1.0)
            timeline = _run_gate(
                source, analyzer.decide(), rest, others, with_overview=bool(target)
            )
        gated = timeline.report if timeline else None
        if write_labels and gated:
            write_labels(
                build_label_track(gated, info.path, info.channels, info.offset_s, info.frame_rate)
            )
    if target:
        overview = cast("Overview", timeline)
        save_picture(draw_analysis_of(info.path, overview, levels), target, force)
    warnings = (
        *reader.warnings,
        *warn_ignored_channels(levels.active_channels, info),
        *(others.warnings if others else ()),
    )
    tracks = others.report(gated.bleed) if others and gated else ()
    return AnalysisReport(info, settings, levels, warnings, gated, raw, tracks), timeline


def _open_labels(
    outputs: dict[str, Path], sources: dict[str, Path], force: bool
) -> AbstractContextManager[Callable[[LabelTrack], None] | None]:
    """Return a context with the function that writes the labels; None without a label file."""
    if not outputs:
        return nullcontext()
    from noisegate_cli.files.labels.label_file import open_label_writer

    check_output_paths(outputs, sources, OutputOptions(), force)
    (path,) = outputs.values()
    return open_label_writer(path, force)


def _open_other_tracks(
    path: str | Path, against: Sequence[str | Path], settings: GateSettings, source: FileSource
) -> OtherTracks | None:
    """Return the other tracks; None without any."""
    if not against:
        return None
    from noisegate_cli.api.other_tracks import open_other_tracks

    return open_other_tracks(path, against, settings, source)


def _run_gate(
    source: FileSource,
    decision: GateDecision,
    progress: ProgressCallback,
    others: OtherTracks | None,
    with_overview: bool,
) -> Timeline:
    """Run the gate over the recording; return its timeline, or the whole overview for a plot."""
    from noisegate_cli.api.overviews import record, record_timeline

    _check_bleed(source, decision, others)
    with others.open_references() if others else nullcontext(()) as references:
        if with_overview:
            return record(
                source,
                decision,
                progress,
                with_spectrogram=True,
                with_output=False,
                references=references,
            )
        return record_timeline(source, decision, progress, references=references)


def _check_bleed(source: FileSource, decision: GateDecision, others: OtherTracks | None) -> None:
    """Raise SignalError if another track or channel contains the same sound."""
    if decision.bleed:
        from noisegate_cli.api.other_tracks import check_bleed

        with source.name_in_errors():
            check_bleed(decision.bleed, others)


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
    path : str or Path
        The recording.
    settings : GateSettings, optional
        Settings of the gate; by default `GateSettings()`.
    progress : bool or callable, default False
        True shows a bar; a function is called with the finished share of the work, 0 to 1.
    track : int, optional
        Number of the audio track, from 1; None for the main one.

    Returns
    -------
    LevelHistogram
        Number of frames at each level.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated; the message quotes the path.

    Examples
    --------
    >>> from noisegate_cli import suggest_threshold
    >>> names = ("jfk_1961.wav", "speech_easy.flac")
    >>> one, other = (measure_level_histogram(f"tests/data/{name}") for name in names)
    >>> round(suggest_threshold(one + other).threshold, 3)
    0.027
    """
    check_path("path", path)
    check_track_number(track)
    settings, histogram = choose_settings(settings, None, {}), LevelHistogram()
    with (
        open_progress(progress, Path(path).name) as report,
        open_reader(Path(path), zero_nonfinite=settings.zero_nonfinite, track=track) as reader,
        add_path_to_errors(Path(path)),
    ):
        info = reader.info
        detector = LevelDetector(STAYS_OPEN, settings, info.sample_rate, info.channels)
        for block, last in report_progress(reader.blocks(), info.samples, report):
            histogram.add(detector.process(block, last)[1])
    return histogram

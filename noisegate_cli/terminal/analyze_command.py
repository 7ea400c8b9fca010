"""`ngate analyze`: measure recordings and suggest a threshold."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.terminal.console import (
    StandardOutputConflictError,
    console,
    is_ascii_only,
    print_data,
    print_message,
    print_renderable,
    wrap_stdout_errors,
)
from noisegate_cli.terminal.display.progress_display import show_recording_progress
from noisegate_cli.terminal.interrupts import EXIT_FAILURE
from noisegate_cli.terminal.options.gate_settings import TypedSettings, add_gate_options
from noisegate_cli.terminal.options.groups import OptionGroup, expand_option_groups
from noisegate_cli.terminal.options.key import AnalysisKeyOption, add_key_band
from noisegate_cli.terminal.options.page import PageOption, build_command_words
from noisegate_cli.terminal.options.segments import AnalysisLabelsOption
from noisegate_cli.terminal.options.shared import (
    AgainstOption,
    ForceOption,
    JsonOption,
    PlotOption,
    QuietOption,
    RawOption,
    TrackOption,
    expand_patterns,
    parse_raw_format,
)
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.analysis_report import AnalysisReport
    from noisegate_cli.gating.settings import GateSettings
    from noisegate_cli.page.command import CommandWords
    from noisegate_cli.plots.overview import Timeline
    from noisegate_cli.terminal.display.advice import GivenOptions


@dataclass(eq=False, repr=False)
class AnalysisGroup(OptionGroup):
    """Options of what is read and what is shown."""

    against: AgainstOption = None
    labels: AnalysisLabelsOption = None
    track: TrackOption = None
    raw: RawOption = None
    plot: PlotOption = None
    page: PageOption = None
    force: ForceOption = False
    quiet: QuietOption = False
    json: JsonOption = False
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a line of CSV for each recording on stdout.")
    ] = False

    def check(self, is_single: bool) -> None:
        """Raise SettingsError if options exclude each other or several recordings."""
        if self.json and self.csv:
            raise SettingsError("--json and --csv both write to standard output: give one of them")
        for flag, value in {
            "--page": self.page,
            "--plot": self.plot,
            "--labels": self.labels,
            "--against": self.against,
        }.items():
            if value and not is_single and flag != "--labels":
                raise SettingsError(f"{flag} requires a single recording: analyze them one by one")
            if value and is_single and self.csv:
                raise SettingsError(f"use either {flag} or --csv, not both")
            if value and self.page and flag != "--page":
                raise SettingsError(f"use either {flag} or --page, not both")
        if self.json and self.labels == "-":
            raise StandardOutputConflictError(
                "--json and --labels - both write to standard output: give --labels a file name"
            )


@add_gate_options("key_hz")
@expand_option_groups
def analyze(
    *,
    typed: TypedSettings,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Recordings to analyze, or folders; - reads standard input. "
            "Several recordings get one line each.",
        ),
    ],
    key: AnalysisKeyOption = None,
    options: AnalysisGroup,
) -> None:
    """Print the levels of recordings and suggest a threshold.

    With -t, also show what this threshold would do.
    """
    from noisegate_cli.files.outputs.naming import parse_path

    typed = add_key_band(key, typed)
    files = expand_patterns(files)
    paths = list(map(parse_path, files))
    is_single = len(paths) == 1 and not _is_folder(paths[0])
    options.check(is_single)
    if is_single and not options.csv:
        _analyze_one(paths[0], typed, options)
    else:
        _analyze_several(paths, typed, options)


def _is_folder(path: Path | str) -> bool:
    with suppress(OSError):
        return Path(path).is_dir()
    return False


def _analyze_one(path: Path | str, typed: TypedSettings, options: AnalysisGroup) -> None:
    """Print an analysis in full."""
    from noisegate_cli.terminal.display.advice import GivenOptions
    from noisegate_cli.terminal.display.json_data import build_analysis_data, to_json

    given = GivenOptions.from_command(typed, options.raw, options.track, options.against or ())
    words = None
    if options.page:
        words = build_command_words(path, typed.settings, options.raw, options.track)
    report, timeline = _run_analysis(path, typed.settings, options, words)
    if options.json:
        print_data(to_json(build_analysis_data(report, given)))
    else:
        _print_analysis(report, timeline, given)
    if options.plot and not options.quiet:
        print_message(f"plot       {quote_path(options.plot)}")
    if options.labels not in (None, "-") and not options.quiet:
        print_message(f"labels     {quote_path(options.labels)}")
    if options.page and words and not options.quiet:
        print_message(f"page       {quote_path(options.page)}")
        if words.not_previewed:
            print_message(f"note       The page does not preview {words.not_previewed}.")


def _run_analysis(
    path: Path | str, settings: "GateSettings", options: AnalysisGroup, words: "CommandWords | None"
) -> "tuple[AnalysisReport, Timeline | None]":
    """Analyze a recording, and write the files that the options name."""
    from noisegate_cli.api.file_analysis import analyze_recording
    from noisegate_cli.files.outputs.naming import parse_path

    raw_format = parse_raw_format(options.raw)
    with show_recording_progress(path, raw_format, options.quiet) as progress:
        if options.page and words:
            from noisegate_cli.page.document import write_page

            report = write_page(
                Path(path),
                Path(options.page),
                settings,
                words,
                raw=raw_format,
                track=options.track,
                force=options.force,
                progress=progress,
            )
            return report, None
        return analyze_recording(
            path,
            settings,
            progress,
            raw_format,
            against=[parse_path(track) for track in options.against or ()],
            track=options.track,
            with_timeline=not options.json,
            labels=options.labels,
            plot=options.plot,
            force=options.force,
        )


def _print_analysis(
    report: "AnalysisReport", timeline: "Timeline | None", given: "GivenOptions"
) -> None:
    """Print the tables, the timeline and the suggested command."""
    from noisegate_cli.terminal.display.advice import suggest_gate_command, suggest_threshold_trial
    from noisegate_cli.terminal.display.tables import build_analysis_table

    target = console()
    with wrap_stdout_errors():
        ascii_only = is_ascii_only(target.encoding)
        print_renderable(target, build_analysis_table(report, ascii_only, timeline, target.width))
    if line := suggest_gate_command(report, given):
        print_data(f"  command      {line}")
    elif line := suggest_threshold_trial(report, given):
        print_data("  next step    choose a LEVEL from the table")
        print_data(f"  command      {line}")


def _analyze_several(
    paths: Sequence[Path | str], typed: TypedSettings, options: AnalysisGroup
) -> None:
    """Print a line for each recording; one that fails does not stop the others."""
    from noisegate_cli.api.file_analysis import analyze_file
    from noisegate_cli.terminal.display.advice import GivenOptions
    from noisegate_cli.terminal.display.analysis_lines import find_recordings
    from noisegate_cli.terminal.display.json_data import report_recording_failure

    settings, raw_format = typed.settings, parse_raw_format(options.raw)
    given = GivenOptions.from_command(typed, options.raw, options.track)
    format_line, header = _choose_line_format(options.json, options.csv, given)
    extension = _parse_label_extension(options.labels)
    failed = found = 0

    def fail(path: Path | str, error: Exception) -> None:
        nonlocal failed
        report_recording_failure("analyze", path, error, options.json)
        failed += 1

    warn: Callable[[str], None] = (lambda _: None) if options.quiet else print_message
    for path in find_recordings(paths, warn, fail):
        found += 1
        try:
            with show_recording_progress(path, raw_format, options.quiet) as progress:
                report = analyze_file(
                    path,
                    settings,
                    progress,
                    raw=raw_format,
                    track=options.track,
                    labels=Path(path).with_suffix(f".{extension}") if extension else None,
                    force=options.force,
                )
        except Exception as error:
            fail(path, error)
            continue
        if header:
            print_data(header)
            header = ""
        print_data(format_line(report))
    if not (found or failed):
        print_message(f"no recordings in {quote_path(paths[0])}")
    if failed:
        raise typer.Exit(EXIT_FAILURE)


def _parse_label_extension(labels: str | None) -> str | None:
    """Return the extension of the label files next to several recordings; None without labels."""
    if labels is None:
        return None
    from noisegate_cli.files.labels.registry import check_label_extension

    return check_label_extension(labels)


def _choose_line_format(
    json: bool, csv: bool, given: "GivenOptions"
) -> "tuple[Callable[[AnalysisReport], str], str]":
    """Return the function that formats a line, and the header, empty if there is none."""
    from noisegate_cli.terminal.display import analysis_lines
    from noisegate_cli.terminal.display.json_data import build_analysis_data, to_json

    if json:
        return lambda report: to_json(build_analysis_data(report, given)), ""
    if csv:
        return analysis_lines.format_csv_line, analysis_lines.format_csv_header()
    titles = analysis_lines.choose_columns(console().width)
    return (
        lambda report: analysis_lines.format_line(report, titles),
        analysis_lines.format_header(titles),
    )

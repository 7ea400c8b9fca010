"""`ngate analyze`: measure recordings and suggest a threshold."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.errors import AudioError, SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.console import (
    console,
    print_data,
    print_error,
    print_message,
    print_renderable,
    wrap_stdout_errors,
)
from noisegate_cli.terminal.interrupts import EXIT_FAILURE
from noisegate_cli.terminal.options import add_gate_options
from noisegate_cli.terminal.page_option import (
    PageOption,
    analyze_and_write_page,
    build_command_words,
    check_page,
)
from noisegate_cli.terminal.shared_options import (
    ForceOption,
    JsonOption,
    PlotOption,
    QuietOption,
    RawOption,
    TrackOption,
    parse_raw_format,
    show_recording_progress,
)
from noisegate_cli.terminal.stretch_options import LabelsOption
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.file_analysis import AnalysisReport
    from noisegate_cli.files.pipes import RawFormat


@add_gate_options()
def analyze(
    settings: GateSettings,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Recordings to analyze, or folders; - is standard input. "
            "Several recordings get one line each.",
        ),
    ],
    labels: LabelsOption = None,
    track: TrackOption = None,
    raw: RawOption = None,
    plot: PlotOption = None,
    page: PageOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a line of CSV for each recording on stdout.")
    ] = False,
) -> None:
    """Print the levels of recordings and suggest a threshold.

    With -t it also shows what this threshold would do.
    """
    from noisegate_cli.files.output_naming import parse_path

    if json and csv:
        raise SettingsError("--json and --csv both write to standard output: give one of them")
    paths, raw_format = list(map(parse_path, files)), parse_raw_format(raw)
    is_single = len(paths) == 1 and not _is_folder(paths[0])
    if page:
        check_page(page, files)
    for flag, value in {"--page": page, "--plot": plot, "--labels": labels}.items():
        if value and not is_single:
            raise SettingsError(f"{flag} requires a single recording: analyze them one by one")
        if value and csv:
            raise SettingsError(f"{flag} and --csv exclude each other: give one of them")
        if value and page and flag != "--page":
            raise SettingsError(f"{flag} and --page exclude each other: give one of them")
    if json and labels == "-":
        raise SettingsError(
            "--json and --labels - both write to standard output: give --labels a file name"
        )
    if is_single and not csv:
        _analyze_one(paths[0], settings, raw, track, labels, plot, page, force, quiet, json)
        return
    _analyze_several(paths, settings, raw_format, track, quiet, json, csv)


def _is_folder(path: Path | str) -> bool:
    with suppress(OSError):
        return Path(path).is_dir()
    return False


def _analyze_one(
    path: Path | str,
    settings: GateSettings,
    raw: str | None,
    track: int | None,
    labels: str | None,
    plot: str | None,
    page: str | None,
    force: bool,
    quiet: bool,
    json: bool,
) -> None:
    """Print an analysis in full."""
    from noisegate_cli.api.file_analysis import analyze_recording
    from noisegate_cli.terminal.advice import suggest_gate_command
    from noisegate_cli.terminal.json_data import build_analysis_data, to_json
    from noisegate_cli.terminal.tables import build_analysis_table

    raw_format = parse_raw_format(raw)
    with show_recording_progress(path, raw_format, quiet) as progress:
        if page:
            words = build_command_words(path, settings, raw)
            report = analyze_and_write_page(
                path, page, settings, words, raw_format, force, progress
            )
            overview = None
        else:
            report, overview = analyze_recording(
                path,
                settings,
                progress,
                raw_format,
                track=track,
                with_overview=not json,
                labels=labels,
                plot=plot,
                force=force,
            )
    if json:
        print_data(to_json(build_analysis_data(report)))
    else:
        target = console()
        ascii_only = not target.encoding.startswith("utf")
        with wrap_stdout_errors():
            table = build_analysis_table(report, ascii_only, overview, target.width)
            print_renderable(target, table)
        if line := suggest_gate_command(report):
            print_data(f"  command      {line}")
    if plot and not quiet:
        print_message(f"picture    {quote_path(plot)}")
    if page and not quiet:
        print_message(f"page       {quote_path(page)}")


def _analyze_several(
    paths: Sequence[Path | str],
    settings: GateSettings,
    raw: "RawFormat | None",
    track: int | None,
    quiet: bool,
    json: bool,
    csv: bool,
) -> None:
    """Print a line for each recording; one that fails does not stop the others."""
    from noisegate_cli.api.file_analysis import analyze_file
    from noisegate_cli.terminal.analysis_lines import find_recordings
    from noisegate_cli.terminal.json_data import build_failure_data, to_json

    format_line, header = _choose_line_format(json, csv)
    failed = found = 0
    for path in find_recordings(paths, (lambda _: None) if quiet else print_message):
        found += 1
        try:
            with show_recording_progress(path, raw, quiet) as progress:
                report = analyze_file(path, settings, progress, raw=raw, track=track)
        except AudioError as error:
            if json:
                print_data(to_json(build_failure_data("analyze", path, error)))
            print_error(error)
            failed += 1
            continue
        if header:
            print_data(header)
            header = ""
        print_data(format_line(report))
    if not found:
        print_message(f"no recordings in {quote_path(paths[0])}")
    if failed:
        raise typer.Exit(EXIT_FAILURE)


def _choose_line_format(json: bool, csv: bool) -> "tuple[Callable[[AnalysisReport], str], str]":
    """Return the function that formats a line, and the header, empty if there is none."""
    from noisegate_cli.terminal import analysis_lines
    from noisegate_cli.terminal.json_data import build_analysis_data, to_json

    if json:
        return lambda report: to_json(build_analysis_data(report)), ""
    if csv:
        return analysis_lines.format_csv_line, analysis_lines.format_csv_header()
    titles = analysis_lines.choose_columns(console().width)
    return (
        lambda report: analysis_lines.format_line(report, titles),
        analysis_lines.format_header(titles),
    )

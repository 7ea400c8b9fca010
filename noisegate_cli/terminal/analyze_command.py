"""`ngate analyze`: measure recordings and suggest a threshold."""

from typing import Annotated

import typer

from noisegate_cli.errors import AudioError, SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.console import (
    console,
    print_data,
    print_error,
    wrap_stdout_errors,
)
from noisegate_cli.terminal.options import add_gate_options
from noisegate_cli.terminal.shared_options import (
    EXIT_FAILURE,
    ForceOption,
    JsonOption,
    QuietOption,
    RawOption,
    TrackOption,
    parse_raw_format,
    show_recording_progress,
)
from noisegate_cli.terminal.stretch_options import LabelsOption


@add_gate_options("threshold", "adaptive")
def analyze(
    settings: GateSettings,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Recordings to analyze; - is standard input."),
    ],
    labels: LabelsOption = None,
    force: ForceOption = False,
    track: TrackOption = None,
    raw: RawOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Print the levels of recordings and suggest a threshold."""
    from noisegate_cli.api.recordings import analyze_file
    from noisegate_cli.files.output_naming import parse_path
    from noisegate_cli.terminal.advice import suggest_gate_command
    from noisegate_cli.terminal.json_data import build_analysis_data, to_json
    from noisegate_cli.terminal.tables import build_analysis_table

    if labels and len(files) > 1:
        raise SettingsError("--labels is for one recording: analyze them one by one")
    if json and labels == "-":
        raise SettingsError("--json and --labels - both write to standard output: name a file")
    failed = False
    raw_format = parse_raw_format(raw)
    for file in map(parse_path, files):
        try:
            with show_recording_progress(file, raw_format, quiet) as progress:
                report = analyze_file(
                    file,
                    settings,
                    progress,
                    raw=raw_format,
                    track=track,
                    labels=labels,
                    force=force,
                )
        except AudioError as error:
            print_error(error)
            failed = True
            continue
        if json:
            print_data(to_json(build_analysis_data(report)))
        else:
            target = console()
            with wrap_stdout_errors():
                target.print(
                    build_analysis_table(report, ascii_only=not target.encoding.startswith("utf"))
                )
            if line := suggest_gate_command(report):
                print_data(f"  type         {line}")
    if failed:
        raise typer.Exit(EXIT_FAILURE)

"""`ngate analyze`: measure recordings and suggest a threshold."""

from typing import Annotated

import typer

from noisegate_cli.errors import AudioError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_what_is_freed
from noisegate_cli.terminal.console import complain, console, put
from noisegate_cli.terminal.options import with_settings
from noisegate_cli.terminal.shared_options import (
    FAILED,
    Json,
    Quiet,
    Raw,
    _one_bar,
    _raw_format,
)


@with_settings("threshold", "adaptive")
def analyze(
    settings: GateSettings,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="The recordings; - is standard input.")
    ],
    raw: Raw = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Print the levels of recordings and suggest a threshold, with why."""
    from noisegate_cli.files.names import named
    from noisegate_cli.recordings import analyze_file
    from noisegate_cli.terminal.advice import gate_command
    from noisegate_cli.terminal.json_data import analysis_data, to_json
    from noisegate_cli.terminal.tables import analysis_table

    keep_what_is_freed()
    failed = False
    kind = _raw_format(raw)
    for file in map(named, files):
        try:
            with _one_bar(file, quiet) as progress:
                report = analyze_file(file, settings, progress, raw=kind)
        except AudioError as error:
            complain(error)
            failed = True
            continue
        if json:
            put(to_json(analysis_data(report)))
        else:
            target = console()
            target.print(analysis_table(report, ascii_only=not target.encoding.startswith("utf")))
            if line := gate_command(report):
                put(f"  type         {line}")
    if failed:
        raise typer.Exit(FAILED)

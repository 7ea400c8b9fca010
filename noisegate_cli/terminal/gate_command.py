"""`ngate gate`: gate one recording."""

from typing import Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_what_is_freed
from noisegate_cli.terminal.console import complain, put, say
from noisegate_cli.terminal.options import with_settings
from noisegate_cli.terminal.shared_options import (
    FAILED,
    Force,
    Json,
    KeepMtime,
    Quiet,
    Raw,
    Subtype,
    _one_bar,
    _raw_format,
)
from noisegate_cli.text import shown


@with_settings()
def gate(
    settings: GateSettings,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The recording; it is only read. - is standard input."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write: a file, a folder, or - for standard output.",
            show_default="FILE_gated.EXT, beside it",
        ),
    ] = None,
    residue: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write what was removed (input - output) here too."),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            metavar="EXT", help="The format where -o names none: flac.", show_default="as the input"
        ),
    ] = None,
    subtype: Subtype = None,
    keep_mtime: KeepMtime = False,
    raw: Raw = None,
    fail_on_chop: Annotated[
        bool,
        typer.Option(
            "--fail-on-chop",
            help="Exit with 1 if a decay or an attack was cut, or all of it; for scripts.",
        ),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Gate one recording: silent in the pauses, untouched elsewhere."""
    from noisegate_cli.files.names import OutputOptions, named
    from noisegate_cli.recordings import gate_file
    from noisegate_cli.terminal.json_data import gate_data, to_json
    from noisegate_cli.terminal.summary import chops_counted, gate_summary, nothing_opened

    keep_what_is_freed()
    if json and "-" in (output, residue):
        raise SettingsError("--json and -o - both write to standard output: give -o a file")
    source, kind = named(file), _raw_format(raw)
    with _one_bar(source, quiet) as progress:
        result = gate_file(
            source,
            named(output) if output else None,
            settings,
            residue=named(residue) if residue else None,
            options=OutputOptions(format=format, subtype=subtype, keep_mtime=keep_mtime),
            raw=kind,
            force=force,
            progress=progress,
        )
    if json:
        put(to_json(gate_data(result)))
    elif not quiet:
        for line in gate_summary(result):
            say(line)
    if fail_on_chop and (result.chops.count or nothing_opened(result)):
        cut = chops_counted(result.chops) if result.chops.count else "all of it was turned down"
        complain(f"{shown(result.output.path)}: {cut}")
        raise typer.Exit(FAILED)

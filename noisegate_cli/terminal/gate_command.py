"""`ngate gate`: gate one recording."""

from typing import Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_freed_memory
from noisegate_cli.terminal.console import print_data, print_error, print_message
from noisegate_cli.terminal.option_groups import expand_option_groups
from noisegate_cli.terminal.options import OUTPUT_PANEL, add_gate_options
from noisegate_cli.terminal.shared_options import (
    EXIT_FAILURE,
    ForceOption,
    FsyncOption,
    JsonOption,
    KeepMtimeOption,
    PlotOption,
    QuietOption,
    RawOption,
    SubtypeOption,
    parse_raw_format,
    show_recording_progress,
)
from noisegate_cli.terminal.stretch_options import StretchGroup
from noisegate_cli.text import quote_path


@add_gate_options()
@expand_option_groups
def gate(
    settings: GateSettings,
    stretches: StretchGroup,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Recording to gate, which is never changed; - is standard input."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output: a file, a folder, or - for standard output.",
            show_default="FILE_gated.EXT, next to FILE",
        ),
    ] = None,
    residue: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the removed signal (input minus output) to this file.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    plot: PlotOption = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            metavar="EXT",
            help="Output format, such as flac, if -o does not name one.",
            show_default="as the input",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    subtype: SubtypeOption = None,
    keep_mtime: KeepMtimeOption = False,
    fsync: FsyncOption = False,
    raw: RawOption = None,
    fail_on_chop: Annotated[
        bool,
        typer.Option(
            "--fail-on-chop",
            help="Exit with status 1 if an attack or a decay was cut off, or nothing was left.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Gate one recording: silence the pauses, leave the signal unchanged."""
    from noisegate_cli.api.recordings import gate_file
    from noisegate_cli.files.output_naming import OutputOptions, parse_path
    from noisegate_cli.terminal.summary import (
        format_chop_counts,
        format_gate_summary,
        is_never_open,
    )

    keep_freed_memory()
    if json and "-" in (output, residue, *stretches.outputs):
        raise SettingsError("--json and -o - both write to standard output: give -o a file")
    source, raw_format = parse_path(file), parse_raw_format(raw)
    with show_recording_progress(source, raw_format, quiet) as progress:
        result = gate_file(
            source,
            parse_path(output) if output else None,
            settings,
            residue=parse_path(residue) if residue else None,
            plot=plot,
            options=OutputOptions(format=format, subtype=subtype, keep_mtime=keep_mtime),
            raw=raw_format,
            force=force,
            fsync=fsync,
            **stretches.build_arguments(),
            progress=progress,
        )
    if json:
        from noisegate_cli.terminal.json_data import build_gate_data, to_json

        print_data(to_json(build_gate_data(result)))
    elif not quiet:
        for line in format_gate_summary(result):
            print_message(line)
        if plot:
            print_message(f"picture    {quote_path(plot)}")
    if fail_on_chop and (result.chops.count or is_never_open(result)):
        cut = (
            format_chop_counts(result.chops) if result.chops.count else "all of it was turned down"
        )
        print_error(f"{quote_path(result.output.path)}: {cut}")
        raise typer.Exit(EXIT_FAILURE)

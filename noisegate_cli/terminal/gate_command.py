"""`ngate gate`: gate one or several recordings."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.memory import keep_freed_memory
from noisegate_cli.terminal.completion import complete_formats
from noisegate_cli.terminal.console import print_data, print_message
from noisegate_cli.terminal.gate_several import check_several, gate_several, print_cut_sounds
from noisegate_cli.terminal.interrupts import EXIT_FAILURE
from noisegate_cli.terminal.key_option import KeyOption, parse_key_option
from noisegate_cli.terminal.option_groups import expand_option_groups
from noisegate_cli.terminal.options import OUTPUT_PANEL, add_gate_options
from noisegate_cli.terminal.shared_options import (
    ForceOption,
    FsyncOption,
    JsonOption,
    KeepMtimeOption,
    PlotOption,
    QuietOption,
    RateGroup,
    RawOption,
    SubtypeOption,
    TrackOption,
    parse_raw_format,
    show_recording_progress,
)
from noisegate_cli.terminal.stretch_options import StretchGroup
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult


@add_gate_options("key_hz")
@expand_option_groups
def gate(
    settings: GateSettings,
    stretches: StretchGroup,
    rate: RateGroup,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Recordings to gate, which are never changed; - is standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output: a file, or - for standard output. For several recordings, a folder.",
            show_default="FILE_gated.EXT, next to FILE",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Another track of the session: close where only it has sound. Can be repeated.",
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
    key: KeyOption = None,
    plot: PlotOption = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            metavar="EXT",
            help="Output format, such as flac, if -o does not name one.",
            show_default="as the input",
            rich_help_panel=OUTPUT_PANEL,
            autocompletion=complete_formats,
        ),
    ] = None,
    subtype: SubtypeOption = None,
    keep_mtime: KeepMtimeOption = False,
    fsync: FsyncOption = False,
    track: TrackOption = None,
    raw: RawOption = None,
    fail_on_cutoff: Annotated[
        bool,
        typer.Option(
            "--fail-on-cutoff",
            help="Exit with status 1 if the gate truncates an attack or a decay, or never opens.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    fail_on_chop: Annotated[
        bool, typer.Option("--fail-on-chop", hidden=True, help="The name in version 0.1.")
    ] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Gate recordings: silence the pauses, leave the signal unchanged."""
    from noisegate_cli.api.file_gate import gate_file
    from noisegate_cli.files.output_naming import OutputOptions, parse_path
    from noisegate_cli.terminal.json_data import build_gate_data, to_json
    from noisegate_cli.terminal.summary import format_gate_summary

    keep_freed_memory()
    key_file, settings = parse_key_option(key, settings)
    if json and "-" in (output, residue, *stretches.outputs):
        raise SettingsError("--json and -o - both write to standard output: give -o a file name")
    raw_format = parse_raw_format(raw)
    options = OutputOptions(
        format=format,
        subtype=subtype,
        keep_mtime=keep_mtime,
        bit_rate=rate.bitrate,
        quality=rate.quality,
    )
    run: Callable[..., GateResult] = partial(
        gate_file,
        settings=settings,
        against=[parse_path(path) for path in against or ()],
        residue=parse_path(residue) if residue else None,
        key=key_file,
        plot=plot,
        options=options,
        raw=raw_format,
        track=track,
        force=force,
        fsync=fsync,
        **stretches.build_arguments(),
    )
    if len(files) > 1:
        single = {
            "--against": against[0] if against else None,
            "--key": str(key_file) if key_file else None,
            "--residue": residue,
            "--plot": plot,
            **stretches.single_files,
        }
        check_several(files, output, single)
        gate_several(
            files,
            output,
            options,
            run,
            raw_format,
            fail_on_cutoff=fail_on_cutoff or fail_on_chop,
            quiet=quiet,
            json=json,
        )
        return
    source = parse_path(files[0])
    with show_recording_progress(source, raw_format, quiet) as progress:
        result = run(source, output=parse_path(output) if output else None, progress=progress)
    if json:
        print_data(to_json(build_gate_data(result)))
    elif not quiet:
        for line in format_gate_summary(result):
            print_message(line)
        if plot:
            print_message(f"picture    {quote_path(plot)}")
    if (fail_on_cutoff or fail_on_chop) and print_cut_sounds(result):
        raise typer.Exit(EXIT_FAILURE)

"""`ngate gate`: gate one or several recordings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.memory import keep_freed_memory
from noisegate_cli.terminal.console import StandardOutputConflictError, print_data, print_summary
from noisegate_cli.terminal.display.progress_display import show_recording_progress
from noisegate_cli.terminal.interrupts import EXIT_FAILURE
from noisegate_cli.terminal.options.completion import complete_formats
from noisegate_cli.terminal.options.gate_settings import (
    OUTPUT_PANEL,
    TypedSettings,
    add_gate_options,
)
from noisegate_cli.terminal.options.groups import OptionGroup, expand_option_groups
from noisegate_cli.terminal.options.key import KeyOption, parse_key_option
from noisegate_cli.terminal.options.segments import SegmentGroup
from noisegate_cli.terminal.options.shared import (
    AgainstOption,
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
    expand_patterns,
    parse_raw_format,
)
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from pathlib import Path

    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.files.outputs.naming import OutputOptions


@dataclass(eq=False, repr=False)
class InputGroup(OptionGroup):
    """Options of the recordings that are read."""

    against: AgainstOption = None
    key: KeyOption = None
    track: TrackOption = None
    raw: RawOption = None

    def single_files(self, key_file: "str | Path | None") -> dict[str, str | None]:
        """Return the files that belong to a single recording, by flag."""
        return {
            "--against": self.against[0] if self.against else None,
            "--key": str(key_file) if key_file else None,
        }


@dataclass(eq=False, repr=False)
class OutputGroup(OptionGroup):
    """Options of the files that are written."""

    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output: a file, or - for standard output. For several recordings, a folder.",
            show_default="FILE_gated.EXT, next to FILE",
        ),
    ] = None
    residue: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the removed signal (input minus output) to this file.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    plot: PlotOption = None
    format: Annotated[
        str | None,
        typer.Option(
            metavar="EXT",
            help="Output format, such as flac, if -o does not name one.",
            show_default="same as the input",
            rich_help_panel=OUTPUT_PANEL,
            autocompletion=complete_formats,
        ),
    ] = None
    subtype: SubtypeOption = None
    keep_mtime: KeepMtimeOption = False
    fsync: FsyncOption = False

    @property
    def single_files(self) -> dict[str, str | None]:
        """The files of a single recording, by flag."""
        return {"--residue": self.residue, "--plot": self.plot}

    def build_options(self, rate: RateGroup) -> "OutputOptions":
        """Return the format of an output."""
        from noisegate_cli.files.outputs.naming import OutputOptions

        return OutputOptions(
            format=self.format,
            subtype=self.subtype,
            keep_mtime=self.keep_mtime,
            bit_rate=rate.bitrate,
            quality=rate.quality,
        )


@add_gate_options("key_hz")
@expand_option_groups
def gate(
    *,
    typed: TypedSettings,
    segments: SegmentGroup,
    rate: RateGroup,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Recordings to gate (never modified); - reads standard input.",
        ),
    ],
    outputs: OutputGroup,
    inputs: InputGroup,
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
    from noisegate_cli.files.outputs.naming import parse_path

    keep_freed_memory()
    files = expand_patterns(files)
    key_file, settings = parse_key_option(inputs.key, typed.settings)
    output, residue = outputs.output, outputs.residue
    if json and "-" in (output, residue, *segments.outputs):
        raise StandardOutputConflictError(
            "--json and -o - both write to standard output: give -o a file name"
        )
    raw = parse_raw_format(inputs.raw)
    options = outputs.build_options(rate)
    run: Callable[..., GateResult] = partial(
        gate_file,
        settings=settings,
        against=[parse_path(path) for path in inputs.against or ()],
        residue=parse_path(residue) if residue else None,
        key=key_file,
        plot=outputs.plot,
        options=options,
        raw=raw,
        track=inputs.track,
        force=force,
        fsync=outputs.fsync,
        **segments.build_arguments(),
    )
    fails_on_cutoff = fail_on_cutoff or fail_on_chop
    if len(files) > 1:
        from noisegate_cli.terminal.gate_several import check_several, gate_several

        single = inputs.single_files(key_file) | outputs.single_files | segments.single_files
        check_several(files, output, single)
        gate_several(
            files, output, options, run, raw, fail_on_cutoff=fails_on_cutoff, quiet=quiet, json=json
        )
        return
    source = parse_path(files[0])
    with show_recording_progress(source, raw, quiet) as progress:
        result = run(source, output=parse_path(output) if output else None, progress=progress)
    if json:
        _print_json(result)
    elif not quiet:
        _print_summary(result, typed.preset, outputs.plot)
    if fails_on_cutoff:
        from noisegate_cli.terminal.gate_several import print_cut_sounds

        if print_cut_sounds(result):
            raise typer.Exit(EXIT_FAILURE)


def _print_json(result: "GateResult") -> None:
    from noisegate_cli.terminal.display.json_data import build_gate_data, to_json

    print_data(to_json(build_gate_data(result)))


def _print_summary(result: "GateResult", preset: str, picture: str | None) -> None:
    from noisegate_cli.terminal.display.summary import format_gate_summary

    print_summary(format_gate_summary(result, preset))
    if picture:
        print_summary([f"plot       {quote_path(picture)}"])

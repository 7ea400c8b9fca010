"""Gate several recordings with `ngate gate`, each on its own."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.terminal.console import print_data, print_error, print_message
from noisegate_cli.terminal.display.progress_display import show_recording_progress
from noisegate_cli.terminal.interrupts import EXIT_FAILURE
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.files.outputs.naming import OutputOptions
    from noisegate_cli.files.raw_format import RawFormat


def check_several(files: Sequence[str], output: str | None, single: dict[str, str | None]) -> None:
    """Check that the options suit several recordings.

    Parameters
    ----------
    files
        Recordings as typed.
    output
        Value of -o.
    single
        Values of options that name the file of a single recording, by flag.

    Raises
    ------
    SettingsError
        If an option is for a single recording.
    """
    if "-" in files:
        raise SettingsError(
            "standard input cannot be gated with other recordings: gate it on its own"
        )
    for flag, value in single.items():
        if value:
            raise SettingsError(f"{flag} {value!r} is for one recording: gate them one by one")
    if output and not _is_folder(output):
        folder = "clean/" if output == "-" else f"{Path(output).with_suffix('')}/"
        raise SettingsError(
            f"-o {output!r} is for one recording, not for {len(files)}: give a folder, -o {folder}"
        )


def gate_several(
    files: Sequence[str],
    output: str | None,
    options: "OutputOptions",
    gate: "Callable[..., GateResult]",
    raw: "RawFormat | None",
    *,
    fail_on_cutoff: bool,
    quiet: bool,
    json: bool,
) -> None:
    """Gate recordings one after the other; one that fails does not stop the others.

    Parameters
    ----------
    files
        Recordings as typed.
    output
        Folder of the outputs; None writes each next to its recording.
    options
        Options of the outputs, to find names that clash.
    gate
        `gate_file` with all arguments except for the recording, its output and the progress.
    raw
        Format of recordings without a header.
    fail_on_cutoff, quiet, json
        Options of the command.

    Raises
    ------
    typer.Exit
        With status 1 if a recording failed.
    """
    from noisegate_cli.files.outputs.naming import parse_path
    from noisegate_cli.terminal.display.json_data import report_recording_failure

    paths = _omit_outputs([Path(parse_path(file)) for file in dict.fromkeys(files)])
    _check_names(paths, output, options)
    failed = 0
    for number, path in enumerate(paths, start=1):
        try:
            prefix = f"{number} of {len(paths)} "
            with show_recording_progress(path, raw, quiet, prefix) as progress:
                result = gate(path, output and parse_path(output), progress=progress)
        except Exception as error:
            report_recording_failure("gate", path, error, json)
            failed += 1
            continue
        _print_result(path, result, quiet, json)
        failed += fail_on_cutoff and print_cut_sounds(result)
    if not (quiet or json):
        print_message(f"gated {len(paths) - failed} of {len(paths)} recordings")
    if failed:
        raise typer.Exit(EXIT_FAILURE)


def print_cut_sounds(result: "GateResult") -> bool:
    """Print an error if the gate cut sounds, or left nothing; return whether it did."""
    from noisegate_cli.terminal.display.summary import format_cutoff_counts, is_never_open

    if not result.cutoffs.count and not is_never_open(result):
        return False
    cut = format_cutoff_counts(result.cutoffs) if result.cutoffs.count else "the gate never opens"
    print_error(f"{quote_path(result.output.path)}: {cut}")
    return True


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)  # noqa: PTH112  # takes any text


def _omit_outputs(paths: list[Path]) -> list[Path]:
    """Return the recordings without the outputs of an earlier call, such as in `*.wav`."""
    from noisegate_cli.files.outputs.naming import source_stem

    stems = {(path.parent, path.stem) for path in paths}
    kept = []
    for path in paths:
        stem = source_stem(path.name)
        if stem is not None and (path.parent, stem) in stems:
            print_message(f"skipped {quote_path(path)}: it is an output of ngate")
        else:
            kept.append(path)
    return kept


def _check_names(paths: Sequence[Path], output: str | None, options: "OutputOptions") -> None:
    """Raise SettingsError if two recordings have the same output."""
    from noisegate_cli.files.outputs.naming import output_name

    sources: dict[Path, Path] = {}
    for path in paths:
        folder = path.parent if output is None else Path(output)
        target = folder / output_name(path.name, options)
        if target in sources:
            raise SettingsError(
                f"{quote_path(sources[target])} and {quote_path(path)} have the same output "
                f"{quote_path(target)}: gate them one by one"
            )
        sources[target] = path


def _print_result(path: Path, result: "GateResult", quiet: bool, json: bool) -> None:
    """Print a line for a recording, as text or as JSON."""
    from noisegate_cli.terminal.display.summary import format_short_summary

    if json:
        from noisegate_cli.terminal.display.json_data import build_gate_data, to_json

        print_data(to_json(build_gate_data(result)))
    elif not quiet:
        for line in format_short_summary(result):
            print_message(f"{quote_path(path)}: {line}")

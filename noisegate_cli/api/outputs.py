"""The files that a call of `gate_file` writes, and checks that it may write them."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from noisegate_cli.api.gate_task import GateTask
from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS, find_format
from noisegate_cli.files.inputs.reader import Reader
from noisegate_cli.files.outputs.atomic import check_overwrite, is_stream
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.files.outputs.target import (
    check_inside,
    default_output_path,
    is_directory,
    is_same_file,
    output_info,
)
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.excerpts import SampleSpan

MIN_DELAY_S = 0.002
"""Delay between audio and video from which a warning reports it; containers round to 1 ms."""


class Outputs(NamedTuple):
    """Files that a call of `gate_file` writes."""

    target: AudioInfo
    residue: AudioInfo | None
    comparison: AudioInfo | None
    """Input and output alternating."""
    labels: Path | None
    is_live: bool
    """Whether samples are streamed from standard input to standard output."""

    @property
    def recordings(self) -> list[AudioInfo]:
        """The files with samples."""
        return [info for info in (self.target, self.residue, self.comparison) if info]

    @property
    def paths(self) -> dict[str, Path]:
        """Paths of the files, by their description."""
        recordings = {
            "the output": self.target,
            "the residue": self.residue,
            "the comparison": self.comparison,
        }
        named = {name: info.path for name, info in recordings.items() if info}
        return named | ({"the label file": self.labels} if self.labels else {})


def plan_outputs(task: GateTask, reader: Reader, span: "SampleSpan | None") -> Outputs:
    """Return the files to write, after checking that they may be written.

    Parameters
    ----------
    task
        The names and the format of the outputs, and the files that are read.
    reader
        The recording.
    span
        Part of the recording that is written; None for all of it.

    Raises
    ------
    OutputError
        If a file exists, is one of the inputs or another output, or cannot be written.
    SettingsError
        If the name of the output and the options name different formats.
    LabelsError
        If no format has the extension of the labels.
    """
    options = task.options
    info = reader.info
    path = _resolve_output_path(info, task.output, options)
    _check_format(path, options)
    if span:
        samples = span.limit_length(info.samples)
        info = replace(info, samples=samples, has_other_tracks=False)
    target = output_info(info, path, options)
    residue, comparison = task.residue, task.comparison
    labels = Path(task.labels) if task.labels else None
    if options.labels and labels is None:
        labels = target.path.with_suffix(f".{options.labels}")
    if labels:
        from noisegate_cli.files.labels.label_file import find_output_format

        find_output_format(labels)
    outputs = Outputs(
        target,
        _other_output_info(info, residue, options) if residue else None,
        _other_output_info(info, comparison, options, turns=2) if comparison else None,
        labels,
        reader.info.path == target.path == STDIO_PATH and _is_live(reader, target),
    )
    check_output_paths(outputs.paths, task.inputs, options, task.force)
    return outputs


def _check_format(path: Path, options: OutputOptions) -> None:
    """Raise SettingsError if the name of an output has the extension of another format."""
    named, given = path.suffix.lower(), f".{options.format}"
    if options.format is None or named not in WRITABLE_EXTENSIONS:
        return
    if _identify_format(named) != _identify_format(given):
        raise SettingsError(
            f"format={options.format!r} contradicts the name of the output, {quote_path(path)}: "
            f"omit format=, or give output= a name that ends in {given}"
        )


def _identify_format(extension: str) -> tuple[str, str | None]:
    """Return the container of an extension, and its codec if the extension names one."""
    container = WRITABLE_EXTENSIONS[extension]
    return container, find_format(container).extension_codecs.get(extension)


def _other_output_info(
    source: AudioInfo, path: str | Path, options: OutputOptions, turns: int = 1
) -> AudioInfo:
    """Return the properties of a residue or a comparison, `turns` times as long as the source."""
    audio = replace(source, has_other_tracks=False, samples=turns * source.samples)
    return output_info(audio, Path(path), replace(options, bit_rate=None, quality=None))


def describe_lost_tracks(source: AudioInfo, target: AudioInfo) -> list[str]:
    """Return warnings about what an audio output does not keep of a video."""
    if target.keeps_tracks:
        return []
    if target.container.holds_video and source.has_other_tracks:
        return ["an excerpt has no video: the output contains only the audio"]
    if abs(source.delay) < MIN_DELAY_S:
        return []
    side = "after" if source.delay > 0 else "before"
    return [
        f"its audio starts {abs(source.delay):.3f} s {side} the video: "
        "the output begins with the audio"
    ]


def warn_ignored_channels(active: tuple[int, ...] | None, info: AudioInfo) -> list[str]:
    """Return a warning about the channels that do not open the gate, if there are any."""
    ignored = [str(i + 1) for i in range(info.channels) if active is not None and i not in active]
    if not ignored:
        return []
    subject = "channel {} contains" if len(ignored) == 1 else "channels {} contain"
    return [f"{subject.format(', '.join(ignored))} only steady noise and cannot open the gate"]


def can_copy(task: GateTask, reader: Reader, outputs: Outputs, gated: GateReport) -> bool:
    """Return whether the input file can be copied instead of re-encoded.

    It can if the output is lossy, has the container and the codec of the input, and the gate has
    changed nothing. A copy keeps the samples; re-encoding would not.
    """
    source, target = reader.info, outputs.target
    is_same = (source.format, source.subtype) == (target.format, target.subtype)
    return (
        is_same
        and target.is_lossy
        and gated.statistics.closed_share == 0
        and gated.settings.spectral == "off"
        and source.has_other_tracks == target.keeps_tracks
        and task.options.bit_rate is None
        and task.options.quality is None
        and not task.excerpt
        and not reader.warnings  # A damaged file is repaired.
        and STDIO_PATH not in (source.path, target.path)
        and not is_stream(target.path)
    )


def check_output_paths(
    outputs: Mapping[str, Path], sources: Mapping[str, Path], options: OutputOptions, force: bool
) -> None:
    """Check that outputs are not sources, differ from each other, and may be written."""
    earlier: dict[str, Path] = {}
    for name, path in outputs.items():
        for other_name, other in earlier.items():
            if is_same_file(path, other):
                raise OutputError(
                    f"{quote_path(path)} is already {other_name}: give {name} another name"
                )
        earlier[name] = path
        if path == STDIO_PATH:
            continue
        for description, source in sources.items():
            if is_same_file(path, source):
                raise OutputError(
                    f"{quote_path(path)} is {description}, which is never overwritten: "
                    "give another name"
                )
        if options.inside:
            check_inside(path, options.inside)
        check_overwrite(path, force)


def _resolve_output_path(
    info: AudioInfo, output: str | Path | None, options: OutputOptions
) -> Path:
    if output is None:
        return default_output_path(info, options)
    path = Path(output)
    # A trailing slash marks a folder that may not exist yet.
    is_folder = str(output).endswith(("/", os.sep)) or is_directory(path)
    return path / default_output_path(info, options).name if is_folder else path


def _is_live(reader: Reader, target: AudioInfo) -> bool:
    """Return whether samples are streamed from standard input to standard output."""
    from noisegate_cli.files.inputs.stream import StreamReader
    from noisegate_cli.files.outputs.stream import can_stream

    return isinstance(reader, StreamReader) and can_stream(target)

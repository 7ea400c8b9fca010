"""The pass over one recording that gates it into its outputs."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from noisegate_cli.api.gate_task import GateTask
from noisegate_cli.api.labels import build_label_track
from noisegate_cli.api.outputs import Outputs, can_copy
from noisegate_cli.api.progress import ProgressCallback, report_progress
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.inputs.reader import Reader, add_path_to_errors
from noisegate_cli.files.outputs.atomic import open_partial_files
from noisegate_cli.files.outputs.metadata import InputMetadata
from noisegate_cli.files.outputs.writer import AudioWriter, open_writer_among
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.samples import Samples, compute_peak

if TYPE_CHECKING:
    from noisegate_cli.api.excerpts import SampleSpan
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.plots.overview import OverviewRecorder


class WrittenOutputs(NamedTuple):
    """What the pass has measured and written."""

    gated: GateReport
    peak: float
    """Peak of the input, full scale 1.0; 0 if it was not measured."""
    is_copied: bool
    """Whether the output is a copy of the input file."""
    warnings: list[str]
    """Losses in the output, one sentence each."""


def write_outputs(
    task: GateTask,
    reader: Reader,
    decision: GateDecision,
    outputs: Outputs,
    span: "SampleSpan | None",
    references: "Sequence[ReferencePowers]",
    progress: ProgressCallback,
    recorder: "OverviewRecorder | None",
    before_output_appears: Callable[[], None],
) -> WrittenOutputs:
    """Gate a recording into its outputs, which appear when all of them are complete.

    Parameters
    ----------
    task
        Options of the outputs.
    reader
        The recording, at its beginning.
    decision
        Rule and settings of the gate.
    outputs
        The files.
    span
        Part of the recording that is written; None for all of it.
    references
        The other tracks of the decision, each at its beginning.
    progress
        Called with the finished share of the pass.
    recorder
        Records the plot of the gate, if there is one.
    before_output_appears
        Called when all samples are written.
    """
    info = reader.info
    metadata = _collect_metadata(reader, task)
    with open_partial_files(task.force, task.fsync) as files, ExitStack() as stack:
        with add_path_to_errors(info.path):
            gate = Gate(
                decision,
                info.sample_rate,
                info.channels,
                quantization_step=info.quantization_step(info.dtype),
                residue=outputs.residue is not None or recorder is not None,
                span=span or (0, math.inf),
                references=references,
                live=outputs.is_live,
                on_frames=recorder.add_frames if recorder else None,
                on_gains=recorder.add_gains if recorder else None,
            )
        write_labels = None
        if outputs.labels:
            from noisegate_cli.files.labels.label_file import create_label_writer

            write_labels = create_label_writer(outputs.labels, files)
        writers = [
            stack.enter_context(open_writer_among(files, file, metadata))
            for file in outputs.recordings
        ]
        blocks = OutputBlocks(info, outputs, writers, span)
        peak = _gate_blocks(reader, gate, blocks, span, task.with_peak, progress, recorder)
        gated = gate.report
        is_copied = can_copy(task, reader, outputs, gated)
        writers[0].copies_input = is_copied
        if write_labels:
            offset_s = 0.0 if task.excerpt else info.offset_s
            write_labels(
                build_label_track(gated, info.path, info.channels, offset_s, info.frame_rate)
            )
        before_output_appears()
    warnings = [*metadata.warnings, *_clipping_warnings(writers[0])]
    return WrittenOutputs(gated, peak, is_copied, warnings)


def _collect_metadata(reader: Reader, task: GateTask) -> InputMetadata:
    is_file = reader.info.path != STDIO_PATH
    return InputMetadata(
        reader.path,
        reader.tags,
        reader.chunks,
        reader.chapters,
        reader.info.duration,
        keep_mtime=task.options.keep_mtime and is_file,
        keep_mode=is_file,
    )


def _gate_blocks(
    reader: Reader,
    gate: Gate,
    outputs: "OutputBlocks",
    span: "SampleSpan | None",
    with_peak: bool,
    progress: ProgressCallback,
    recorder: "OverviewRecorder | None",
) -> float:
    """Gate the blocks of a recording; return the peak of those that were read."""
    info, peak, read = reader.info, 0.0, 0
    with add_path_to_errors(info.path):
        for block, last in report_progress(reader.blocks(), info.samples, progress):
            read += len(block)
            if with_peak:
                peak = max(peak, compute_peak(block))
            if last and span:
                span.check_start(read, info.sample_rate, info.offset_s)
            kept, removed = gate.process(block, last)
            if recorder and removed is not None:
                recorder.add_samples(block, kept, removed, last)
            if outputs.write(block, kept, removed, last) and not last:
                break
    return peak


def _clipping_warnings(writer: AudioWriter) -> list[str]:
    if not writer.clipped_samples:
        return []
    return [
        f"{writer.clipped_samples} samples above full scale are clipped: "
        "subtype='FLOAT' in a WAV file keeps them"
    ]


class OutputBlocks:
    """Writes each block to the output, the residue and the comparison, as far as requested.

    Parameters
    ----------
    source
        Properties of the recording.
    outputs
        The files.
    writers
        Writers of `outputs.recordings`.
    span
        Part of the recording that is written; None for all of it.
    """

    def __init__(
        self,
        source: AudioInfo,
        outputs: Outputs,
        writers: list[AudioWriter],
        span: "SampleSpan | None",
    ) -> None:
        remaining = iter(writers)
        self._target = next(remaining)
        self._residue = next(remaining) if outputs.residue else None
        self._comparison = next(remaining) if outputs.comparison else None
        if self._residue:
            self._step = source.quantization_step(source.dtype)
            self._output_step = outputs.target.quantization_step(source.dtype)
        self._cropper = span.create_cropper() if span else None
        if self._comparison:
            from noisegate_cli.gating.turns import TURN_S, Turns

            self._inputs = AlignedInput()
            self._turns = Turns(round(TURN_S * source.sample_rate))

    def write(self, block: Samples, kept: Samples, removed: Samples | None, last: bool) -> bool:
        """Write what the gate has returned for a block.

        Parameters
        ----------
        block
            Input of the gate, which may be ahead of its output.
        kept, removed
            Output of the gate, see `Gate.process`.
        last
            Whether the recording ends with this block.

        Returns
        -------
        bool
            Whether the outputs are complete.
        """
        before = self._inputs.process(block, len(kept)) if self._comparison else kept
        is_complete = last
        if self._cropper:
            kept, before, removed = self._cropper.process(
                kept, before, kept if removed is None else removed
            )
            is_complete = last or self._cropper.is_complete
        self._target.write(kept)
        if self._residue and removed is not None:
            if self._output_step > self._step:
                # The output has fewer bits. The residue includes the bits that the output
                # truncates, so that output + residue = input.
                removed += kept % self._output_step
            self._residue.write(removed)
        if self._comparison:
            self._comparison.write(self._turns.process(before, kept, is_complete))
        return is_complete


class AlignedInput:
    """Buffers the input until the gate has returned the same samples."""

    def __init__(self) -> None:
        self._pending: list[Samples] = []

    def process(self, block: Samples, length: int) -> Samples:
        """Add a block, which is copied, and return the next `length` samples."""
        samples = np.concatenate([*self._pending, block])
        self._pending = [samples[length:].copy()]
        return samples[:length]

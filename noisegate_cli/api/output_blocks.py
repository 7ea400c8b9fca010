"""Write the blocks of a gate to the outputs of one recording."""

from noisegate_cli.api.excerpts import AlignedInput, Cropper, SampleSpan
from noisegate_cli.api.outputs import Outputs
from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.writer import AudioWriter
from noisegate_cli.gating.turns import TURN_S, Turns
from noisegate_cli.samples import Samples


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
        Part of the recording that is written.
    """

    def __init__(
        self, source: AudioInfo, outputs: Outputs, writers: list[AudioWriter], span: SampleSpan
    ) -> None:
        remaining = iter(writers)
        self._target = next(remaining)
        self._residue = next(remaining) if outputs.residue else None
        self._comparison = next(remaining) if outputs.comparison else None
        self._step = source.quantization_step(source.dtype)
        self._output_step = outputs.target.quantization_step(source.dtype)
        self._cropper = Cropper(span)
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
        kept, before, removed = self._cropper.process(
            kept, before, kept if removed is None else removed
        )
        is_complete = last or self._cropper.is_complete
        self._target.write(kept)
        if self._residue:
            if self._output_step > self._step:
                # The output has fewer bits. The residue includes the bits that the output
                # truncates, so that output + residue = input.
                removed += kept % self._output_step
            self._residue.write(removed)
        if self._comparison:
            self._comparison.write(self._turns.process(before, kept, is_complete))
        return is_complete

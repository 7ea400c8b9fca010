"""Protocols of the classes that process a stream block by block."""

from typing import Protocol, TypeVar

from noisegate_cli.samples import Blocks, Samples

Input_contra = TypeVar("Input_contra", contravariant=True)
Second_contra = TypeVar("Second_contra", contravariant=True)
Output_co = TypeVar("Output_co", covariant=True)


class BlockProcessor(Protocol[Input_contra, Output_co]):
    """Process a stream of samples, frames or spectra that arrives in blocks.

    Every class that implements it keeps this contract:

    - The block boundaries do not matter: the concatenated outputs, or the result that is read
      afterwards, are the same, bit for bit. A block may be empty.
    - The output may lag behind the input. The block with `last=True` returns all that remains.
    - No block follows the last one.
    - The blocks are not modified. After the call the caller may overwrite them; an output that is a
      view of a block is then no longer valid.
    """

    def process(self, block: Input_contra, /, last: bool = False) -> Output_co:
        """Process the next block and return what is final.

        Parameters
        ----------
        block
            The next part of the stream; its first axis is time.
        last
            Whether the stream ends with this block.
        """


class PairedBlockProcessor(Protocol[Input_contra, Second_contra, Output_co]):
    """Process two streams in parallel, with the contract of `BlockProcessor`.

    Each stream may lag behind the other, unless the class says otherwise.
    """

    def process(
        self, block: Input_contra, second: Second_contra, /, last: bool = False
    ) -> Output_co:
        """Process the next block of each stream and return what is final."""


Meter = TypeVar("Meter", bound=BlockProcessor[Samples, None])


def process_all(meter: Meter, blocks: Blocks) -> Meter:
    """Return `meter` after it has processed all blocks of a recording."""
    for block, last in blocks:
        meter.process(block, last)
    return meter

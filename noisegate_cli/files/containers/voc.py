"""Walk the blocks of a VOC file; libsndfile reads only files with one block of samples exactly."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from noisegate_cli.files.containers.chunks import ReadBytes, make_reader

VOC_MAGIC = b"Creative Voice File\x1a"
SAMPLE_BLOCK_TYPES, MAX_BLOCK_TYPE = (1, 2, 9), 9
MAX_BLOCKS = 1_000_000


class VocBlock(NamedTuple):
    """Type of a block, and the offset after it."""

    type: int
    end: int


def walk_blocks(read: ReadBytes, start: int) -> Iterator[VocBlock]:
    """Yield the blocks of the file that begins at `start`; the last one has the type 0."""
    position = start + int.from_bytes(read(start + 20, 2), "little")
    for _ in range(MAX_BLOCKS):
        header = read(position, 4)
        if not header or header[0] > MAX_BLOCK_TYPE:  # The last block is missing.
            return
        position += 4 + int.from_bytes(header[1:], "little") if header[0] else 1
        yield VocBlock(header[0], position)
        if not header[0]:
            return


def has_several_sample_blocks(path: Path, start: int = 0) -> bool:
    """Return whether libsndfile would read the headers between blocks as samples."""
    with path.open("rb") as file:
        blocks = walk_blocks(make_reader(file), start)
        return sum(block.type in SAMPLE_BLOCK_TYPES for block in blocks) > 1

"""Interfaces of the objects that decode and encode samples, one of each for each library."""

from collections.abc import Iterator
from typing import Protocol

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.chapters import Chapter
from noisegate_cli.files.holes import Hole
from noisegate_cli.samples import Samples


class Decoder(Protocol):
    """A recording open for reading."""

    @property
    def info(self) -> AudioInfo:
        """Properties of the recording."""

    @property
    def tags(self) -> dict[str, str]:
        """Tags, such as title and artist, under the names that the library uses."""

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        """Chapters of the container; those in tags are read with the tags."""

    @property
    def declared_length(self) -> float:
        """Number of samples per channel that the file declares.

        0 if it is unknown; infinite if samples are missing but their number is unknown.
        """

    @property
    def tolerance_samples(self) -> int:
        """Number of samples per channel that may be missing without a warning."""

    @property
    def damaged(self) -> int:
        """Number of errors while decoding so far."""

    @property
    def holes(self) -> list[Hole]:
        """Samples so far that could not be decoded, and that are replaced by silence."""

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks.

        Parameters
        ----------
        length : int
            Approximate length of a block in samples per channel.

        Yields
        ------
        block : ndarray of shape (samples, channels)
            Samples of type `info.dtype`. The array is reused for the next block.
        last : bool
            Whether this block is the last one. A recording without samples yields an empty block.

        Raises
        ------
        DamageError
            If decoding fails and cannot continue.
        """

    def close(self) -> None:
        """Close the file."""


class ResumingDecoder(Protocol):
    """A decoder that continues where another one has stopped."""

    @property
    def holes(self) -> list[Hole]:
        """Samples that are replaced by silence; see `Decoder.holes`."""

    def __enter__(self) -> "ResumingDecoder":
        """Return the decoder, which is closed on exit."""

    def __exit__(self, *_: object) -> None: ...

    def blocks_from(self, start: int, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of about `length` samples, starting at sample `start`."""


class Encoder(Protocol):
    """A file or a stream open for writing."""

    def write(self, block: Samples) -> None:
        """Append samples.

        Parameters
        ----------
        block : ndarray of shape (samples, channels)
            Samples in the type of the output's subtype.

        Raises
        ------
        OSError, ValueError, AssertionError, soundfile.SoundFileError
            If the samples cannot be written; `AudioWriter` converts these errors.
        """

    def close(self) -> None:
        """Complete the file and close it; has no effect on a closed file."""

    def abandon(self) -> None:
        """Close the file after an error without completing it; has no effect on a closed file."""

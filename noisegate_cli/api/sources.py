"""A recording that can be read several times: a file or an array."""

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

from noisegate_cli.errors import AudioError, SignalError
from noisegate_cli.files.audio_info import quote_input
from noisegate_cli.files.inputs.reader import AudioReader, Reader, add_path_to_errors
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples, block_length, iterate_slices

BlockGenerator: TypeAlias = Generator[tuple[Samples, bool], None, None]


class Source(Protocol):
    """A recording that can be read several times."""

    path: Path | None
    """None for an array."""
    sample_rate: int
    """In Hz."""
    channels: int
    samples: int
    """Length in samples; 0 if unknown."""
    quantization_step: int
    """Smallest difference between two integer samples, see `OverlapAddGain`."""
    offset_s: float
    """Time of the first sample in seconds from the start of the file; 0 for an array."""

    @property
    def name(self) -> str:
        """Name for messages."""
        ...

    def blocks(self) -> BlockGenerator:
        """Yield all blocks from the beginning; see `AudioReader.blocks`."""
        ...

    def name_in_errors(self) -> AbstractContextManager[None]:
        """Add the name of the recording to the message of a SignalError."""
        ...


class FileSource:
    """A recording in a file, opened again for each pass unless it is short.

    A stream has only its properties.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader, info = reader, reader.info
        self.path: Path | None = info.path
        self.sample_rate, self.channels = info.sample_rate, info.channels
        self.samples = info.samples
        self.quantization_step = info.quantization_step(info.dtype)
        self.offset_s = info.offset_s

    @classmethod
    def open(cls, path: Path, settings: GateSettings) -> "FileSource":
        """Return the recording at `path`, after a check that it can be read.

        Raises
        ------
        AudioError
            If it cannot be read; the message quotes the path.
        """
        with AudioReader(path, zero_nonfinite=settings.zero_nonfinite) as reader:
            return cls(reader)

    @property
    def name(self) -> str:
        """Path for messages."""
        return quote_input(self._reader.info.path)

    def blocks(self) -> BlockGenerator:
        """Yield all blocks from the beginning; the file is closed with the generator."""
        assert isinstance(self._reader, AudioReader)  # because it is not a live stream
        block = self._reader.read_ahead()
        if block is not None:
            yield block, True
            return
        with self._reader.reopen() as again:
            yield from again.blocks()

    def name_in_errors(self) -> AbstractContextManager[None]:
        """Add the path of the recording to the message of a SignalError."""
        return add_path_to_errors(self._reader.info.path)


class ArraySource:
    """A recording in an array, shaped (samples, channels)."""

    def __init__(self, y: Samples, sample_rate: int, name: str = "") -> None:
        self._y = y
        self.path: Path | None = None
        self.name, self.sample_rate = name, sample_rate
        self.samples, self.channels = y.shape
        self.quantization_step, self.offset_s = 1, 0.0

    def blocks(self) -> BlockGenerator:
        """Yield all blocks from the beginning."""
        yield from iterate_slices(self._y, block_length(self.channels, self._y.dtype))

    @contextmanager
    def name_in_errors(self) -> Iterator[None]:
        """Add the name of the array to the message of a SignalError, if it has one."""
        try:
            yield
        except SignalError as error:
            raise AudioError(f"{self.name}: {error}" if self.name else str(error)) from error

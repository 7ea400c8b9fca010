"""Open recordings through PyAV; an MP3 file is a series of parts with a decoder each."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from noisegate_cli.errors import AudioError
from noisegate_cli.files.chapters import Chapter
from noisegate_cli.files.ffmpeg import PyavDecoder
from noisegate_cli.files.holes import Hole
from noisegate_cli.files.mpeg import FilePart, find_parts
from noisegate_cli.files.protocols import Decoder
from noisegate_cli.samples import Samples

MPEG_TOLERANCE_SAMPLES = 2 * 1152
"""Samples that may be missing from an MP3 file, since some encoders count the length header as a
frame, and since the first frame may need bits of a frame that is not there."""


def open_decoder(path: Path, expects_mpeg: bool = False) -> Decoder:
    """Open the recording at `path`; see `PyavDecoder` for the errors.

    If `expects_mpeg` is true and FFmpeg doesn't recognize the format, for example since the file
    is damaged, it is read as MPEG audio.
    """
    try:
        decoder = PyavDecoder(path)
        if decoder.demuxer != "mp3":
            return decoder
        decoder.close()
    except AudioError as error:
        if expects_mpeg:
            with suppress(AudioError):
                return JoinedDecoder(path, find_parts(path))
        raise error
    return JoinedDecoder(path, find_parts(path))


class JoinedDecoder:
    """An MP3 file open for reading through PyAV; it can be several files joined end to end.

    Raises
    ------
    AudioError
        If no part contains audio that can be decoded. The message contains no path.
    """

    other_streams = 0
    chapters: tuple[Chapter, ...] = ()  # They are in the ID3 tag.

    def __init__(self, path: Path, parts: list[FilePart]) -> None:
        self._path = path
        self._decoder, parts = _open_first_part(path, parts)
        self._parts = parts
        self.damaged = 0
        """Number of errors while decoding; see `PyavDecoder`."""
        self.holes: list[Hole] = []
        """Holes that are filled with silence; see `Decoder.holes`."""
        duration = self._decoder.info.duration
        for part in parts[1:]:
            with suppress(AudioError), PyavDecoder(path, part) as decoder:
                duration += decoder.info.duration
        samples = round(duration * self._decoder.info.sample_rate)
        self.info = replace(self._decoder.info, samples=samples)
        is_declared = all(part.declares_length for part in parts)
        self.declared_length = float(self.info.samples if is_declared else 0)
        """Expected number of samples; 0 if it is unknown."""

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the first part."""
        return self._decoder.tags

    @property
    def tolerance_samples(self) -> int:
        """Number of samples that may be missing without a warning."""
        return MPEG_TOLERANCE_SAMPLES * len(self._parts)

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of about `length` samples; see `AudioReader.blocks`."""
        expected = self.info.channels, self.info.sample_rate
        position = 0
        for index, part in enumerate(self._parts):
            if index:
                self._decoder.close()
                try:
                    self._decoder = PyavDecoder(self._path, part)
                except AudioError:
                    self.damaged += 1
                    continue
            info = self._decoder.info
            if (info.channels, info.sample_rate) != expected:
                self.damaged += 1
                continue
            start = position
            for block, _ in self._decoder.blocks(length):
                position += len(block)
                yield block, False
            self.damaged += self._decoder.damaged
            self.holes += [Hole(start + hole.start, hole.length) for hole in self._decoder.holes]
        yield np.zeros((0, self.info.channels), self.info.dtype), True


def _open_first_part(path: Path, parts: list[FilePart]) -> tuple[PyavDecoder, list[FilePart]]:
    """Open the first part that can be decoded; return it, and the parts from it on."""
    errors = []
    for index, part in enumerate(parts):
        try:
            return PyavDecoder(path, part), parts[index:]
        except AudioError as error:  # other bytes before the first frame
            errors.append(error)
    raise errors[0]

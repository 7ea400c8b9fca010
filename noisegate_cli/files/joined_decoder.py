"""Read the recordings of a file of several recordings, one after the other."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace

import numpy as np

from noisegate_cli.errors import AudioError, DamageError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.chapters import Chapter
from noisegate_cli.files.file_parts import FilePart
from noisegate_cli.files.holes import Hole
from noisegate_cli.files.pcm import convert_to_subtype
from noisegate_cli.files.protocols import Decoder, ResumingDecoder
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_duration, pluralize


class JoinedDecoder:
    """A file of several recordings, open for reading.

    Parameters
    ----------
    parts
        Parts of the file.
    open_part
        Function that opens a part.
    tolerance_samples
        Number of samples that may be missing from each part without a warning; None for the
        tolerance of its decoder.
    open_rest
        Function that opens a damaged part with another decoder, if that yields samples of the kind
        of the properties it is given; it returns None otherwise.
    warn
        Function that receives a warning about parts that are omitted.

    Raises
    ------
    AudioError
        If no part contains audio that can be decoded. The message contains no path.
    """

    def __init__(
        self,
        parts: Sequence[FilePart],
        open_part: Callable[[FilePart], Decoder],
        tolerance_samples: int | None = None,
        open_rest: Callable[[AudioInfo, FilePart], ResumingDecoder | None] = lambda *_: None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._open_part, self._open_rest, self._warn = open_part, open_rest, warn
        self._decoder, self._parts = self._open_first_part(parts)
        self.damaged = 0
        """Number of errors while decoding."""
        self.holes: list[Hole] = []
        """Holes that are filled with silence; see `Decoder.holes`."""
        infos, tolerances = [self._decoder.info], [self._decoder.tolerance_samples]
        for part in self._parts[1:]:
            with suppress(AudioError), closing(open_part(part)) as decoder:
                infos.append(decoder.info)
                tolerances.append(decoder.tolerance_samples)
        if tolerance_samples is not None:
            tolerances = [tolerance_samples] * len(self._parts)
        self.tolerance_samples = sum(tolerances)
        first = infos[0]
        fitting = [info for info in infos if _can_follow(info, first)]
        samples = sum(info.samples for info in fitting)
        widest = max(fitting, key=lambda info: (info.dtype.kind == "f", info.bit_depth))
        self.info = replace(first, samples=samples, subtype=widest.subtype)
        is_declared = all(part.declares_length for part in self._parts)
        self.declared_length = float(samples if is_declared else 0)
        """Expected number of samples; 0 if it is unknown.

        Decoders may find only at the end of a part what it lacks.
        """

    def _open_first_part(self, parts: Sequence[FilePart]) -> tuple[Decoder, Sequence[FilePart]]:
        """Open the first part that can be decoded; return it, and the parts from it on."""
        errors = []
        for index, part in enumerate(parts):
            try:
                return self._open_part(part), parts[index:]
            except AudioError as error:  # other bytes before the first recording
                errors.append(error)
        raise errors[0]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the first part."""
        return self._decoder.tags

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        """Chapters of the first part."""
        return self._decoder.chapters

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of about `length` samples; see `AudioReader.blocks`."""
        position, expected, is_known = 0, 0.0, self.declared_length > 0
        for index, part in enumerate(self._parts):
            if index:
                self._decoder.close()
                try:
                    self._decoder = self._open_part(part)
                except AudioError:
                    self.damaged += 1
                    is_known = False
                    continue
            decoder, start = self._decoder, position
            if not _can_follow(decoder.info, self.info):
                self._warn_of_other_kind(decoder.info)
                continue
            for block in self._blocks_of_part(part, start, length):
                position += len(block)
                yield convert_to_subtype(block, self.info.subtype)[0], False
            self.damaged += decoder.damaged
            self._note_holes(decoder.holes, start)
            declared = decoder.declared_length
            expected += max(position - start, declared if declared < math.inf else 0)
        self.declared_length = expected if is_known else 0.0
        yield np.zeros((0, self.info.channels), self.info.dtype), True

    def _blocks_of_part(self, part: FilePart, start: int, length: int) -> Iterator[Samples]:
        """Yield the samples of the open part, which begins at sample `start`."""
        read = 0
        try:
            for block, _ in self._decoder.blocks(length):
                read += len(block)
                yield block
        except DamageError:
            is_whole = 0 < self._decoder.declared_length <= read
            if is_whole:  # Other bytes follow the last frame.
                return
            self.damaged += 1
            rest = self._open_rest(self.info, part)
            if rest is None:
                return
            with rest:
                for block, _ in rest.blocks_from(read, length):
                    yield block
                self._note_holes(rest.holes, start)

    def _warn_of_other_kind(self, info: AudioInfo) -> None:
        channels = pluralize(info.channels, "channel")
        length = f" of {format_duration(info.duration)}" if info.samples else ""
        self._warn(
            f"another recording{length} in the same file is omitted, because it has {channels} "
            f"at {info.sample_rate} Hz"
        )

    def _note_holes(self, holes: list[Hole], start: int) -> None:
        self.holes += [Hole(start + hole.start, hole.length) for hole in holes]


def _can_follow(info: AudioInfo, first: AudioInfo) -> bool:
    """Return whether the samples of a recording can follow those of another one."""
    return (info.channels, info.sample_rate) == (first.channels, first.sample_rate)

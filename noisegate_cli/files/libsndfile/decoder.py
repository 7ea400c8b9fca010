"""Decode recordings with libsndfile."""

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from noisegate_cli.errors import DamageError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.containers.riff import MIN_STREAMED_SIZE_BYTES
from noisegate_cli.files.libsndfile.conventions import VORBIS_CHANNEL_ORDER, encode_path, error_text
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.files.chapters import Chapter
    from noisegate_cli.files.file_parts import FilePart
    from noisegate_cli.files.holes import Hole
    from noisegate_cli.files.raw_format import RawFormat


TRUNCATION_LOG_MESSAGES = ("Last page lacks an end-of-stream bit", "Seems to be a truncated file")
"""Messages in libsndfile's log that reveal truncated Ogg and VOC files."""

OGG_HOLE_LOG_MESSAGE = "libogg reports a hole"
"""Message in libsndfile's log that reveals a damaged part of an Ogg file."""

UNKNOWN_LENGTH_SAMPLES = 1 << 62
"""libsndfile reports at least this many samples if a file does not declare its length."""


class SndfileDecoder:
    """A recording open for reading through libsndfile.

    Raises
    ------
    soundfile.SoundFileError, OSError
        If libsndfile cannot read the file.
    """

    def __init__(
        self, path: Path, raw: "RawFormat | None" = None, part: "FilePart | None" = None
    ) -> None:
        self._open(path, raw, part)
        file, start = self._file, part.start if part else 0
        container = file.format
        is_length_known = file.frames < UNKNOWN_LENGTH_SAMPLES
        self.info = AudioInfo(
            path=path,
            sample_rate=file.samplerate,
            channels=file.channels,
            samples=file.frames if is_length_known else 0,
            format=container,
            subtype=file.subtype,
            endian=file.endian,
            is_length_exact=is_length_known and container != "MP3",
        )
        if self.info.is_lossy and self.info.samples:
            size = part.end - part.start if part else path.stat().st_size
            rate = round(8 * size / self.info.duration)
            self.info = replace(self.info, bit_rate=rate)
        # The decoder of MP3 files stops early in some and writes messages to stderr.
        self.can_read_all = self.info.is_length_exact
        """Whether libsndfile can read the file to the end, and exactly."""
        if container == "VOC":
            from noisegate_cli.files.containers.voc import has_several_sample_blocks

            self.can_read_all = not has_several_sample_blocks(path, start)
        is_estimated = container == "MP3"
        self.declared_length = 0.0 if is_estimated else _declared_length(self.info, file.extra_info)
        """Expected number of samples; 0 if it is unknown, infinite if some are missing but their
        number is unknown."""
        self.damaged = 0
        self.holes: list[Hole] = []
        self._channel_order: NDArray[np.intp] | None = None
        if container == "OGG" and file.channels > 2:
            self._find_channel_order(start)

    def _open(self, path: Path, raw: "RawFormat | None", part: "FilePart | None") -> None:
        with ExitStack() as stack:
            source: object = encode_path(path)
            if part:
                from noisegate_cli.files.file_parts import PartOfFile

                source = PartOfFile(stack.enter_context(path.open("rb")), part)
            self._file = sf.SoundFile(source, **(_raw_parameters(raw) if raw else {}))
            self._files = stack.pop_all()

    def _find_channel_order(self, start: int) -> None:
        """Set the order and the mapping family of the channels of an Ogg file from byte `start`."""
        from noisegate_cli.files.containers.opus import (
            POSITIONED_FAMILY,
            read_mapping_family,
            unpositioned_family,
        )

        is_opus = self.info.subtype == "OPUS"
        family = read_mapping_family(self.info.path, start) if is_opus else POSITIONED_FAMILY
        self.info = replace(self.info, opus_mapping_family=unpositioned_family(family))
        order = VORBIS_CHANNEL_ORDER.get(self.info.channels)
        if family == POSITIONED_FAMILY and order is not None:
            self._channel_order = np.array(order)

    tolerance_samples = 0
    chapters: "tuple[Chapter, ...]" = ()  # They are in the tags.

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._files.close()

    @property
    def tags(self) -> dict[str, str]:
        """Tags that libsndfile supports, such as title and artist."""
        return dict(self._file.copy_metadata())

    def blocks(self, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end in blocks of `length` samples; see `AudioReader.blocks`.

        Raises
        ------
        DamageError
            If decoding fails.
        """
        info = self.info
        last, left = False, self._file.frames
        buffer = np.empty((min(length, left), info.channels), info.dtype)
        is_ogg = info.format == "OGG"
        while not last:
            # Other bytes can follow the last FLAC frame, such as tags, which are not damage.
            part = buffer[: min(length, left)]
            try:
                block = self._file.read(out=part) if len(part) else part
            except sf.SoundFileError as error:
                raise DamageError(error_text(error)) from error
            if is_ogg and OGG_HOLE_LOG_MESSAGE in self._file.extra_info and not self.damaged:
                self.damaged += 1
                raise DamageError("a part of the stream is missing")  # FFmpeg can fill the hole.
            last, left = len(block) < length, left - len(block)
            yield block if self._channel_order is None else block[:, self._channel_order], last


def _raw_parameters(raw: "RawFormat") -> dict[str, object]:
    return {
        "samplerate": raw.sample_rate,
        "channels": raw.channels,
        "format": "RAW",
        "subtype": raw.subtype,
        "endian": "BIG" if raw.big_endian else "LITTLE",
    }


def _declared_length(info: AudioInfo, log: str) -> float:
    """Return the number of samples that a recording should have; infinite if it is unknown.

    libsndfile reads the samples that exist and logs the declared and the actual size in bytes.
    """
    if any(words in log for words in TRUNCATION_LOG_MESSAGES):
        return math.inf
    for declared_length, actual in _parse_logged_sizes(log):
        if actual < declared_length < MIN_STREAMED_SIZE_BYTES:
            expected = info.samples * declared_length / actual if info.samples else math.inf
            # A difference of less than one sample is padding that was not written.
            if expected - info.samples >= 1:
                return expected
    return info.samples


def _parse_logged_sizes(log: str) -> Iterator[tuple[int, int]]:
    """Yield the declared and the actual size of each chunk that the log reports as wrong."""
    if "(should be " not in log:
        return
    for declared_length, actual in re.findall(
        r"^ *(?:data|SSND|riff|Riff size|Data Size) *: (\d+) \(should be (\d+)\)", log, re.MULTILINE
    ):
        yield int(declared_length), int(actual)

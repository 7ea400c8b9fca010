"""Recordings to be read: what they hold, block by block, in their own sample type.

libsndfile's integers come and go unchanged, while a way through floats costs four times as much
and isn't lossless (it reads with 1/32768 and writes with 32767). So samples stay int16, int32,
float32 or float64, whichever holds the file's own.

libsndfile reads first. PyAV reads what it can't, and what it would lose. What is damaged is read
as far as it goes, with a warning.
"""

import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import soundfile as sf

from noisegate_cli.errors import AudioError, DamageError, SignalError
from noisegate_cli.files.formats import STREAM, AudioInfo
from noisegate_cli.files.libsndfile import SndfileDecoder, why_unreadable
from noisegate_cli.files.pcm import converted
from noisegate_cli.files.riff import KeptChunks, WavLayout, read_layout
from noisegate_cli.samples import Samples, block_length, silenced
from noisegate_cli.text import format_duration, shown

if TYPE_CHECKING:
    from noisegate_cli.files.ffmpeg import PyavDecoder
    from noisegate_cli.files.pipes import RawFormat, StreamReader


WAV_MAGIC = (b"RIFF", b"RIFX", b"RF64")

ITS_OWN = (*WAV_MAGIC, b"riff", b"FORM", b".snd")
"""How files begin that libsndfile knows best."""

FRAMED = ("FLAC", "MP3", "OGG")
"""Containers in which something may follow on what libsndfile can't decode."""

MOST_CHANNELS = 1024
"""As in libsndfile."""

MOST_SAMPLE_RATE = 3_072_000
"""Hz. Nothing but one-bit audio has more, and that isn't PCM."""

MOST_VALUES = 1 << 24
"""Samples of all channels in a second: 1024 channels at 16 kHz, 32 at 384 kHz."""


class AudioReader:
    """A recording open for reading.

    Parameters
    ----------
    raw
        What the samples are, if the file is nothing but samples.
    name
        The path to speak of, where that is another.
    zero_nonfinite
        Whether to replace samples that are NaN or infinite by silence.

    Raises
    ------
    AudioError
        When there is nothing there that can be read; the message quotes the path.
    """

    def __init__(
        self,
        path: Path,
        raw: "RawFormat | None" = None,
        name: Path | None = None,
        zero_nonfinite: bool = False,
    ) -> None:
        self.path = path
        self._raw = raw
        self._name = name or path
        self._zero_nonfinite = zero_nonfinite
        self.warnings: list[str] = []
        """What the user should know of its state; complete when it has been read to the end."""
        magic = _first_bytes(path, self._name)
        self._layout: WavLayout | None = None
        if magic in WAV_MAGIC and not raw:
            self._layout = read_layout(path)
        self._decoder = self._opened(magic)
        try:
            self.info = self._described()
        except AudioError:
            self._decoder.close()
            raise

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    def again(self) -> "AudioReader":
        """Return the same recording open once more, from its beginning."""
        return AudioReader(self.path, self._raw, self._name, self._zero_nonfinite)

    @property
    def tags(self) -> dict[str, str]:
        """Title, artist and the like."""
        return self._decoder.tags

    @property
    def chunks(self) -> KeptChunks | None:
        """The chunks of a WAV file, but for its samples; None for other files."""
        return self._layout.kept if self._layout else None

    def blocks(self) -> Iterator[tuple[Samples, bool]]:
        """Read to the end: blocks shaped (samples, channels), each with whether it is the last.

        There is one at least, if only an empty one. The array is used again: what is to be kept
        must be copied.

        Raises
        ------
        AudioError
            When nothing is there of what the recording announces.
        """
        if self._zero_nonfinite and self.info.dtype.kind == "f":
            return silenced(self._blocks(), self.warnings)
        return self._blocks()

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        length = block_length(self.info.channels, self.info.dtype)
        nothing = np.zeros((0, self.info.channels), self.info.dtype)
        blocks = self._decoder.blocks(length)
        read, damage = 0, ""
        last = False
        while not last:
            try:
                block, last = next(blocks)
            except DamageError as error:
                block, last, damage = nothing, True, str(error)
            read += len(block)
            rest = self._rest(read, damage) if last else None
            if last and rest is None:
                self._tell_what_is_missing(read, damage)
            yield block, last and rest is None
        if rest is None:
            return
        with rest:
            for block, last in rest.after(read, length):
                read += len(block)
                if len(block):
                    damage = damage or "libsndfile stopped before the end"
                if last:
                    self._tell_what_is_missing(read, damage)
                yield converted(block, self.info.subtype)[0], last

    def _opened(self, magic: bytes) -> "SndfileDecoder | PyavDecoder":
        why: Exception | None = None
        if not (self._layout and self._layout.lost):
            try:
                decoder = SndfileDecoder(self.path, magic, self._raw)
                if decoder.reads_all:
                    return decoder
                decoder.close()
            except (sf.SoundFileError, OSError, TypeError, ValueError) as error:
                # FFmpeg would believe a chunk that says it is larger than its file.
                if self._raw or (self._layout and not self._layout.is_sound):
                    raise why_unreadable(self._name, error) from error
                why = error
        from noisegate_cli.files.ffmpeg import PyavDecoder

        try:
            return PyavDecoder(self.path)
        except AudioError as error:
            # Of what only libsndfile knows its words say more.
            told = why if why and magic in ITS_OWN else error
            raise why_unreadable(self._name, told) from error

    def _described(self) -> AudioInfo:
        """Return what the recording is, once it is plausible."""
        info = replace(self._decoder.info, path=self._name)
        if not (
            1 <= info.channels <= MOST_CHANNELS
            and 1 <= info.sample_rate <= MOST_SAMPLE_RATE
            and info.channels * info.sample_rate <= MOST_VALUES
        ):
            raise AudioError(
                f"{shown(self._name)} announces {info.channels} channels at {info.sample_rate} Hz, "
                "which can't be: its header is damaged"
            )
        if others := self._decoder.other_streams:
            self.warnings.append(f"it has {others + 1} sound tracks: the main one is taken")
        layout = self._layout
        if layout is None:
            return info
        if layout.lost:
            self.warnings.append(
                "its header says that it is empty, as when a recorder was cut off: "
                "all that follows is taken for its sound"
            )
        if layout.more and layout.block_align:
            seconds = layout.more / layout.block_align / info.sample_rate
            self.warnings.append(
                f"it holds a second recording of {format_duration(seconds)}, which is left out"
            )
        return replace(info, channel_mask=layout.channel_mask)

    def _rest(self, read: int, damage: str) -> "PyavDecoder | None":
        """Return what reads on where libsndfile stopped, if there is more than that."""
        decoder = self._decoder
        if not isinstance(decoder, SndfileDecoder) or decoder.info.format not in FRAMED:
            return None
        short = read < decoder.announced - self._decoder.tolerance / 10
        if not (damage or (short and math.isfinite(decoder.announced))):
            return None
        from noisegate_cli.files.ffmpeg import PyavDecoder

        try:
            rest = PyavDecoder(self.path)
        except AudioError:
            return None
        same = (rest.info.channels, rest.info.sample_rate)
        if same != (self.info.channels, self.info.sample_rate):
            rest.close()
            return None
        return rest

    def _tell_what_is_missing(self, read: int, damage: str) -> None:
        rate, announced = self.info.sample_rate, self._decoder.announced
        if not read and (announced or damage):
            of = f" of {format_duration(announced / rate)}" if 0 < announced < math.inf else ""
            raise AudioError(
                f"{shown(self._name)} is cut short: it holds nothing{of}; copy it again"
            )
        if announced == math.inf:
            self.warnings.append(
                f"its end is missing: it holds {format_duration(read / rate)}, "
                "how long it was can't be told"
            )
        elif read < announced - self._decoder.tolerance:
            self.warnings.append(
                f"it is {'damaged' if damage else 'cut short'}: it holds "
                f"{format_duration(read / rate)} of {format_duration(announced / rate)}, "
                f"{format_duration((announced - read) / rate)} are missing"
            )
        elif damage or self._decoder.damaged:
            self.warnings.append("it is damaged: what could not be decoded is left out")


def probe(path: Path) -> AudioInfo:
    """Return what the recording at `path` is; see `AudioReader` for the errors."""
    with AudioReader(path) as reader:
        return reader.info


Reader: TypeAlias = "AudioReader | StreamReader"


@contextmanager
def opened(
    path: Path,
    raw: "RawFormat | None" = None,
    live: bool = False,
    zero_nonfinite: bool = False,
) -> Iterator[Reader]:
    """Open a recording, or standard input where `path` is `STREAM`.

    Parameters
    ----------
    live
        Whether standard input may be read as it comes, and so only once. What can't, and what
        must be heard twice, is kept in a private file meanwhile.
    """
    if path != STREAM:
        with AudioReader(path, raw, zero_nonfinite=zero_nonfinite) as reader:
            yield reader
        return
    from noisegate_cli.files.pipes import StandardInput, StreamReader, spooled

    source = StandardInput()
    if live and (stream := StreamReader.of(source, raw, zero_nonfinite)):
        yield stream
        return
    with spooled(source) as file, AudioReader(file, raw, path, zero_nonfinite) as reader:
        yield reader


def _first_bytes(path: Path, name: Path) -> bytes:
    """Return the first four bytes of a file, or say why there are none to read."""
    first = b""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                first = file.read(4)
    except FileNotFoundError as error:
        raise AudioError(f"{shown(name)} doesn't exist: check the name") from error
    except OSError as error:
        raise AudioError(f"{shown(name)} can't be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise AudioError(f"{shown(name)} is a directory: use ngate batch for a tree of recordings")
    if not stat.S_ISREG(mode):
        raise AudioError(
            f"{shown(name)} is no file on a disk: write it to one first, or pipe it to ngate gate -"
        )
    if not first:
        raise AudioError(f"{shown(name)} is empty (0 bytes): record or copy it again")
    return first


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in which file the samples are that can't be gated."""
    try:
        yield
    except SignalError as error:
        raise AudioError(f"{shown(path)}: {error}") from error

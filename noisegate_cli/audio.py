"""Recordings on disk: what they hold, block by block in and out, in their own sample type.

libsndfile's integers come and go unchanged, while a way through floats costs four times as much
and isn't lossless (it reads with 1/32768 and writes with 32767). So samples stay int16, int32,
float32 or float64, whichever holds the file's own.
"""

import math
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from noisegate_cli.errors import AudioError
from noisegate_cli.gating.levels import Samples
from noisegate_cli.units import format_duration, shown

BLOCK_BYTES = 1 << 21
"""Read at once: few enough to stay in the cache, enough for numpy's overhead not to count."""

SAMPLE_TYPES: dict[str, tuple[str, int]] = {
    "PCM_S8": ("int16", 8),
    "PCM_U8": ("int16", 8),
    "PCM_16": ("int16", 16),
    "PCM_24": ("int32", 24),
    "PCM_32": ("int32", 32),
    "ALAC_16": ("int16", 16),
    "ALAC_20": ("int32", 20),
    "ALAC_24": ("int32", 24),
    "ALAC_32": ("int32", 32),
    "ULAW": ("int16", 16),
    "ALAW": ("int16", 16),
    "FLOAT": ("float32", 32),
    "DOUBLE": ("float64", 64),
}
"""numpy's type for a libsndfile subtype, and how many of its bits are used, from the top.

What isn't here is coded with loss, and decodes to float32.
"""
CODED_TYPE = ("float32", 32)

EXTENSIONS = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".aiff": "AIFF",
    ".aif": "AIFF",
    ".aifc": "AIFF",
    ".au": "AU",
    ".snd": "AU",
    ".caf": "CAF",
    ".w64": "W64",
    ".rf64": "RF64",
    ".voc": "VOC",
    ".sph": "NIST",
    ".nist": "NIST",
}
"""File name extensions that ngate takes for recordings, and what it writes under them."""

MAGIC = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b".snd", b"caff")
"""How files begin that are no MPEG, whose decoder talks to stderr."""

CUT_SHORT = ("Last page lacks an end-of-stream bit", "Seems to be a truncated file")
"""What libsndfile's log says where no size tells: of Ogg, and of VOC."""

STREAMED_SIZE = 0x7FFF0000
"""Programs that write to a pipe announce this size or more, as they can't know it yet."""

NO_LENGTH = 1 << 62
"""Samples that libsndfile reports, or more, where a file doesn't say."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording is."""

    path: Path
    sample_rate: int
    """Hz."""
    channels: int
    samples: int
    """Instants of all channels; an estimate in MPEG files without a length."""
    format: str
    """libsndfile's name of the container, such as WAV."""
    subtype: str
    """libsndfile's name of the sample type, such as PCM_16."""
    endian: str = "FILE"

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.sample_rate

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which samples are read, changed and written."""
        return np.dtype(SAMPLE_TYPES.get(self.subtype, CODED_TYPE)[0])

    def step_in(self, dtype: np.dtype[Any]) -> int:
        """Return the smallest difference that two samples of this have in an integer `dtype`.

        256 for 24 bits held in int32, and 65536 for 16.
        """
        bits = SAMPLE_TYPES.get(self.subtype, CODED_TYPE)[1]
        return 1 << max(0, dtype.itemsize * 8 - bits) if dtype.kind == "i" else 1


class AudioReader:
    """A recording open for reading.

    Raises
    ------
    AudioError
        When there is nothing there that can be read; the message quotes the path.
    """

    def __init__(self, path: Path) -> None:
        magic = _first_bytes(path)
        try:
            with nullcontext() if magic in MAGIC else _silent_decoder():
                self._file = sf.SoundFile(file_name(path))
        except (sf.SoundFileError, OSError, TypeError) as error:
            raise AudioError(_why_unreadable(path, error)) from error
        self.info = AudioInfo(
            path=path,
            sample_rate=self._file.samplerate,
            channels=self._file.channels,
            samples=self._file.frames,
            format=self._file.format,
            subtype=self._file.subtype,
            endian=self._file.endian,
        )
        try:
            _check_whole(self.info, self._file.extra_info)
        except AudioError:
            self._file.close()
            raise

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def tags(self) -> dict[str, str]:
        """Title, artist and the like."""
        return dict(self._file.copy_metadata())

    def blocks(self) -> Iterator[tuple[Samples, bool]]:
        """Read to the end: blocks shaped (samples, channels), each with whether it is the last.

        There is one at least, if only an empty one. The array is used again: what is to be kept
        must be copied.

        Raises
        ------
        AudioError
            When decoding fails, or the recording ends before its announced length.
        """
        info = self.info
        length = block_length(info.channels, info.dtype)
        buffer = np.empty((length, info.channels), info.dtype)
        read = 0
        while True:
            try:
                with _silent_decoder() if info.format == "MP3" else nullcontext():
                    block = self._file.read(out=buffer)
            except sf.SoundFileError as error:
                raise AudioError(
                    f"{shown(info.path)} is damaged somewhere after "
                    f"{format_duration(read / info.sample_rate)} ({reason(error)}): "
                    "repair it first"
                ) from error
            read += len(block)
            last = len(block) < length
            if last:
                self._check_length(read)
            yield block, last
            if last:
                return

    def _check_length(self, read: int) -> None:
        # An MPEG file without a length in it announces an estimate from its bit rate.
        tolerance = self.info.samples // 10 if self.info.format == "MP3" else 0
        if read < self.info.samples - tolerance:
            raise AudioError(
                _cut_short(self.info, read / self.info.sample_rate, self.info.duration)
            )


def block_length(channels: int, dtype: np.dtype[Any]) -> int:
    """Return how many samples of so many channels to process at once."""
    return max(1, BLOCK_BYTES // (channels * dtype.itemsize))


def probe(path: Path) -> AudioInfo:
    """Return what the recording at `path` is; see `AudioReader` for the errors."""
    with AudioReader(path) as reader:
        return reader.info


_DECODER_LOCK = threading.Lock()


@contextmanager
def _silent_decoder() -> Iterator[None]:
    """Keep what the MP3 decoder, in C, has to say of damaged frames off stderr."""
    with _DECODER_LOCK:
        try:
            kept = os.dup(2)
        except OSError:  # stderr is closed: there is nothing to keep clean
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def file_name(path: Path) -> str | bytes:
    """Return a path for libsndfile: as bytes, for names that are no text, but on Windows."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _first_bytes(path: Path) -> bytes:
    """Return the first four bytes of a file, or say why there are none to read."""
    first = b""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                first = file.read(4)
    except FileNotFoundError as error:
        raise AudioError(f"{shown(path)} doesn't exist: check the name") from error
    except OSError as error:
        raise AudioError(f"{shown(path)} can't be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise AudioError(f"{shown(path)} is a directory: use ngate batch for a tree of recordings")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{shown(path)} is no file on a disk: write it to one first")
    if not first:
        raise AudioError(f"{shown(path)} is empty (0 bytes): record or copy it again")
    return first


def _check_whole(info: AudioInfo, log: str) -> None:
    """Refuse a recording whose header announces more than follows.

    libsndfile takes what there is, but notes both sizes, in bytes, in its log.
    """
    if info.samples >= NO_LENGTH:
        raise AudioError(
            f"{shown(info.path)} announces no length, as when it was written to a pipe: "
            "convert it once more, from this file to another"
        )
    if any(words in log for words in CUT_SHORT):
        raise AudioError(_cut_short(info, info.duration))
    for announced, actual in _sizes(log):
        if actual < announced < STREAMED_SIZE:
            whole = info.samples * announced / actual if actual else math.inf
            # Less than a sample is padding that was not written.
            if whole - info.samples >= 1:
                raise AudioError(_cut_short(info, info.duration, whole / info.sample_rate))


def _sizes(log: str) -> Iterator[tuple[int, int]]:
    """Yield the sizes of the samples that a log speaks of, as announced and as found."""
    for announced, actual in re.findall(
        r"^ *(?:data|SSND|riff|Riff size|Data Size) *: (\d+) \(should be (\d+)\)", log, re.MULTILINE
    ):
        yield int(announced), int(actual)


def _cut_short(info: AudioInfo, actual: float, announced: float = math.inf) -> str:
    of = f" of {format_duration(announced)}" if math.isfinite(announced) else ""
    return (
        f"{shown(info.path)} is cut short: it holds {format_duration(actual)}{of}; "
        "copy it again, or save what there is under another name with an audio editor"
    )


def _why_unreadable(path: Path, error: Exception) -> str:
    return (
        f"{shown(path)} is not a recording that libsndfile can read ({reason(error)}): "
        "convert it to WAV or FLAC first"
    )


def reason(error: Exception) -> str:
    """Return libsndfile's own words, without the path that it puts before them."""
    words = getattr(error, "error_string", None) or str(error)
    return words.rstrip(".").removeprefix("Error : ").strip()

"""What a recording is: containers, the sample types in them, and the endings of their names."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

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
"""numpy's type for a subtype, and how many of its bits are used, from the top.

What isn't here is coded with loss, and decodes to float32.
"""
LOSSY_SAMPLE_TYPE = ("float32", 32)

WRITABLE_EXTENSIONS = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".m4a": "M4A",
    ".m4b": "M4A",
    ".mka": "MKA",
    ".webm": "WEBM",
    ".wv": "WV",
    ".tta": "TTA",
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
    ".raw": "RAW",
}
"""File name extensions that ngate writes, and the container that it writes under them."""

READ_ONLY_EXTENSIONS = {
    ".3gp": ".m4a",
    ".aac": ".m4a",
    ".ac3": ".flac",
    ".amr": ".flac",
    ".ape": ".flac",
    ".avi": ".flac",
    ".dsf": ".flac",
    ".dts": ".flac",
    ".eac3": ".flac",
    ".flv": ".flac",
    ".g722": ".flac",
    ".mkv": ".mka",
    ".mov": ".m4a",
    ".mp2": ".flac",
    ".mp4": ".m4a",
    ".mpc": ".flac",
    ".shn": ".flac",
    ".tak": ".flac",
    ".wma": ".flac",
}
"""Further extensions of recordings, and of films with sound; and an extension that can hold what
they mostly hold."""

STDIO_PATH = Path("-")
"""Stands for standard input where something is read, for standard output where it is written."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording is."""

    path: Path
    sample_rate: int
    """Hz."""
    channels: int
    samples: int
    """Instants of all channels; an estimate in MPEG files without a length, 0 where a stream
    doesn't tell."""
    format: str
    """libsndfile's name of the container, such as WAV; for others the usual ending, such as M4A."""
    subtype: str
    """libsndfile's name of the sample type, such as PCM_16; for others the codec, such as AAC."""
    endian: str = "FILE"
    channel_mask: int = 0
    """Which loudspeakers the channels are for, a bit each as in WAV; 0 where that isn't said."""
    bit_rate: int = 0
    """Of what is coded with loss, bits per second; 0 where that isn't known."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.sample_rate

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type in which samples are read, changed and written."""
        import numpy as np

        return np.dtype(SAMPLE_TYPES.get(self.subtype, LOSSY_SAMPLE_TYPE)[0])

    @property
    def bit_depth(self) -> int:
        """How many bits of a sample are used."""
        return SAMPLE_TYPES.get(self.subtype, LOSSY_SAMPLE_TYPE)[1]

    @property
    def is_lossy(self) -> bool:
        """Whether it is coded with loss."""
        return self.subtype not in SAMPLE_TYPES

    @property
    def needs_channel_mask(self) -> bool:
        """Whether it must be said which loudspeakers its channels are for."""
        return self.channels > 2 and self.channel_mask != 0

    def quantization_step(self, dtype: "np.dtype[Any]") -> int:
        """Return the smallest difference that two samples of this have in an integer `dtype`.

        256 for 24 bits held in int32, and 65536 for 16.
        """
        return 1 << max(0, dtype.itemsize * 8 - self.bit_depth) if dtype.kind == "i" else 1

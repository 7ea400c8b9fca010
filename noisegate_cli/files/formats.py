"""Containers, sample types and file name extensions of recordings."""

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
"""numpy type and bit depth of each lossless subtype; integer samples use the highest bits.

Subtypes that are not listed are lossy and decode to float32.
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
"""File name extensions that ngate writes, and the container for each."""

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
"""Extensions of audio and video files that ngate can only read, and the extension of an output.

The output format can hold the codec that is most common in files with that extension."""

STDIO_PATH = Path("-")
"""Path that means standard input for reading and standard output for writing."""


MAX_SAMPLE_RATE_HZ = 3_072_000
"""Maximum plausible sample rate; only one-bit audio, which is not PCM, has higher rates."""

MAX_TOTAL_SAMPLE_RATE_HZ = 1 << 24
"""Maximum samples per second over all channels: 1024 channels at 16 kHz, 43 at 384 kHz."""


def is_plausible(channels: int, sample_rate: int) -> bool:
    """Return whether a recording can have that number of channels at that rate in Hz."""
    from noisegate_cli.samples import MAX_CHANNELS

    return (
        1 <= channels <= MAX_CHANNELS
        and 1 <= sample_rate <= MAX_SAMPLE_RATE_HZ
        and channels * sample_rate <= MAX_TOTAL_SAMPLE_RATE_HZ
    )


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Format and length of a recording."""

    path: Path
    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    samples: int
    """Samples per channel; an estimate for MPEG files without a length, 0 for a stream whose
    length is unknown."""
    format: str
    """libsndfile's name of the container, such as WAV, or another usual name, such as M4A."""
    subtype: str
    """libsndfile's name of the sample type, such as PCM_16, or the codec, such as AAC."""
    endian: str = "FILE"
    channel_mask: int = 0
    """Speaker positions of the channels, one bit each as in WAV; 0 if unknown."""
    bit_rate: int = 0
    """Bits per second of lossy audio; 0 if unknown."""

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Type of numpy in which samples are read, processed and written."""
        import numpy as np

        return np.dtype(SAMPLE_TYPES.get(self.subtype, LOSSY_SAMPLE_TYPE)[0])

    @property
    def bit_depth(self) -> int:
        """Number of bits used in each sample."""
        return SAMPLE_TYPES.get(self.subtype, LOSSY_SAMPLE_TYPE)[1]

    @property
    def is_lossy(self) -> bool:
        """Whether the codec is lossy."""
        return self.subtype not in SAMPLE_TYPES

    @property
    def needs_channel_mask(self) -> bool:
        """Whether an output must store the channel mask."""
        return self.channels > 2 and self.channel_mask != 0

    def quantization_step(self, dtype: "np.dtype[Any]") -> int:
        """Return the difference between adjacent sample values in an integer `dtype`.

        In int32, it is 256 for 24-bit samples and 65536 for 16-bit samples.
        """
        return 1 << max(0, dtype.itemsize * 8 - self.bit_depth) if dtype.kind == "i" else 1

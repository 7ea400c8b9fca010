"""Format and length of a recording."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.files.audio_tracks import AudioTrack
from noisegate_cli.files.formats import Format, find_format, find_subtype
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np

AMBISONIC_OPUS_FAMILY = 2
"""Channel mapping family of ambisonic Opus (RFC 8486)."""

STDIO_PATH = Path("-")
"""Path that means standard input for reading and standard output for writing."""

MAX_SAMPLE_RATE_HZ = 3_072_000
"""Maximum plausible sample rate; only one-bit audio, which is not PCM, has higher rates."""

MAX_TOTAL_SAMPLE_RATE_HZ = 1 << 24
"""Maximum samples per second over all channels: 1024 channels at 16 kHz, 43 at 384 kHz."""


def quote_input(path: Path) -> str:
    """Return the path of a recording in quotes for a message; standard input has no quotes.

    Examples
    --------
    >>> quote_input(Path("take.wav")), quote_input(STDIO_PATH)
    ("'take.wav'", 'standard input')
    """
    return "standard input" if path == STDIO_PATH else quote_path(path)


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
    """Format and length of a recording.

    Attributes
    ----------
    path : Path
        Path of the recording; `-` is standard input or standard output.
    sample_rate : int
        Sample rate in Hz.
    channels : int
        Number of channels.
    samples : int
        Samples per channel; 0 for a stream whose length is unknown.
    format : str
        libsndfile's name of the container, such as WAV, or another usual name, such as M4A.
    subtype : str
        libsndfile's name of the sample type, such as PCM_16, or the codec, such as AAC.
    endian : str
        libsndfile's name of the byte order: FILE is the one of the format.
    channel_mask : int
        Speaker positions of the channels, one bit each as in WAV; 0 if unknown.
    bit_rate : int
        Bits per second of lossy audio; 0 if unknown.
    quality : float or None
        Quality of a lossy output on the scale of its codec; None if `bit_rate` decides.
    valid_bits : int
        Bits of each integer sample that are used, if a WAV file declares them; 0 if unknown.
    is_ambisonic : bool
        Whether a WAV file declares that its channels are in ambisonic B-format.
    opus_mapping_family : int
        Family of Opus channels without speaker positions; 0 for other recordings.
    tracks : tuple of AudioTrack
        Audio tracks of a container that can hold several.
    track : int
        Number of the audio track.
    start : float
        Time in seconds at which the container plays the first sample.
    delay : float
        Seconds from the start of the video to the start of the audio track.
    frame_rate : Fraction or None
        Frames per second of the video; None without video, or if it is unknown.
    has_other_tracks : bool
        Whether the file holds other tracks than this one, such as video.
    keeps_tracks : bool
        Whether an output gets the other tracks of the input.
    is_length_exact : bool
        Whether `samples` is not an estimate, as it is for MPEG files without a length.
    is_plain_pcm : bool
        Whether a container that FFmpeg reads stores plain samples.
    """

    path: Path
    sample_rate: int
    channels: int
    samples: int
    format: str
    subtype: str
    endian: str = "FILE"
    channel_mask: int = 0
    bit_rate: int = 0
    quality: float | None = None
    valid_bits: int = 0
    is_ambisonic: bool = False
    opus_mapping_family: int = 0
    tracks: tuple[AudioTrack, ...] = ()
    track: int = 1
    start: float = 0.0
    delay: float = 0.0
    frame_rate: "Fraction | None" = None
    has_other_tracks: bool = False
    keeps_tracks: bool = False
    is_length_exact: bool = False
    is_plain_pcm: bool = False

    def with_samples(self, samples: int) -> "AudioInfo":
        """Return the same properties for another number of samples."""
        return self if samples == self.samples else replace(self, samples=samples)

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate

    @property
    def offset_s(self) -> float:
        """Time of the first sample in seconds from the start of the file, as a player shows it.

        It is 0 unless the audio starts later than the video.
        """
        return max(0.0, self.delay)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """NumPy type in which samples are read, processed and written."""
        import numpy as np

        return np.dtype(find_subtype(self.subtype).dtype)

    @property
    def bit_depth(self) -> int:
        """Number of bits used in each sample."""
        subtype = find_subtype(self.subtype)
        is_integer = subtype.dtype.startswith("int")
        return min(subtype.bit_depth, self.valid_bits or 32) if is_integer else subtype.bit_depth

    @property
    def is_lossy(self) -> bool:
        """Whether the codec is lossy."""
        return find_subtype(self.subtype).is_lossy

    @property
    def container(self) -> Format:
        """Properties of the container."""
        return find_format(self.format)

    @property
    def is_ambisonic_opus(self) -> bool:
        """Whether the channels are ambisonic components of Opus."""
        return self.opus_mapping_family == AMBISONIC_OPUS_FAMILY

    @property
    def ffmpeg_encoder(self) -> str:
        """FFmpeg's name of the encoder that writes the recording; empty if libsndfile does."""
        container, subtype = self.container, self.subtype
        special: Mapping[str, str] = {}
        if self.opus_mapping_family:
            special = container.unpositioned_encoders
        elif self.is_plain_pcm:
            special = container.pcm_encoders
        elif self.bit_rate and self.quality is None:
            special = container.bit_rate_encoders
        return special.get(subtype) or container.encoders.get(subtype, "")

    @property
    def needs_channel_mask(self) -> bool:
        """Whether an output must store the channel mask."""
        return self.channels > 2 and self.channel_mask != 0

    def quantization_step(self, dtype: "np.dtype[Any]") -> int:
        """Return the difference between adjacent sample values in an integer `dtype`.

        In int32, it is 256 for 24-bit samples and 65536 for 16-bit samples.
        """
        return 1 << max(0, dtype.itemsize * 8 - self.bit_depth) if dtype.kind == "i" else 1

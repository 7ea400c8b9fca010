"""The registry of containers and sample types, from which all other modules derive.

A new container is one entry in `FORMATS`.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

DEFAULT_CHANNEL_MASKS = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Channel mask of FLAC, Vorbis and Opus recordings that declare none, by number of channels.

See RFC 9639, 9.1.3, Vorbis I, 4.3.9, and RFC 7845, 5.1.1.2.
"""

MAX_32_BIT_DATA_BYTES = 0xFFFFFFFF - (1 << 26)
"""Maximum size of the samples in a container whose total size is a 32-bit number.

The rest is for the metadata.
"""


class Subtype(NamedTuple):
    """A sample type or a codec, which can be in several containers."""

    name: str
    """libsndfile's name, such as PCM_16, or the usual name of a codec, such as AAC."""
    dtype: str = "float32"
    """NumPy type that holds the samples; integer samples use the highest bits."""
    bit_depth: int = 32
    """Number of bits used in each sample."""
    is_lossy: bool = True
    width_bytes: int = 0
    """Bytes per stored sample; 0 if the samples are compressed."""
    is_pcm: bool = False
    """Whether a file stores the samples as plain integers or floats."""
    is_block_coded: bool = False
    """Whether a file stores only whole blocks, so that an output would be longer than its input."""
    extension: str = ""
    """File name extension for outputs if the container of the input cannot be written."""
    transparent_bit_rate: int = 96_000
    """Bits per second and channel for which lossy audio at 44.1 kHz sounds like the original."""
    max_encoder_rate_hz: int = 0
    """Maximum sample rate of the encoder, if it crashes beyond it; 0 if it reports an error."""
    max_encoder_channels: int = 0
    """Maximum number of channels of the encoder, if it crashes beyond it."""
    max_stored_bits: float = 8.0
    """Upper bound of the bits per sample of compressed samples, with the headers of blocks.

    It matters only in containers of limited size."""


def _pcm(name: str, dtype: str, bit_depth: int, width_bytes: int) -> Subtype:
    return Subtype(
        name=name, dtype=dtype, bit_depth=bit_depth, width_bytes=width_bytes,
        is_lossy=False, is_pcm=True,
    )  # fmt: skip


def _lossless(name: str, dtype: str, bit_depth: int, width_bytes: int = 0) -> Subtype:
    return Subtype(
        name=name, dtype=dtype, bit_depth=bit_depth, width_bytes=width_bytes, is_lossy=False
    )


SUBTYPES = {
    subtype.name: subtype
    for subtype in (
        _pcm("PCM_S8", "int16", 8, 1),
        _pcm("PCM_U8", "int16", 8, 1),
        _pcm("PCM_16", "int16", 16, 2),
        _pcm("PCM_24", "int32", 24, 3),
        _pcm("PCM_32", "int32", 32, 4),
        _pcm("FLOAT", "float32", 32, 4),
        _pcm("DOUBLE", "float64", 64, 8),
        _lossless("ALAC_16", "int16", 16),
        _lossless("ALAC_20", "int32", 20),
        _lossless("ALAC_24", "int32", 24),
        _lossless("ALAC_32", "int32", 32),
        # Companded samples are preserved, because they decode to exact integers.
        _lossless("ULAW", "int16", 16, 1),
        _lossless("ALAW", "int16", 16, 1),
        Subtype(name="AAC", extension=".m4a"),
        Subtype(name="OPUS", extension=".opus", transparent_bit_rate=64_000),
        Subtype(
            name="VORBIS",
            extension=".ogg",
            max_encoder_rate_hz=200_000,
            max_encoder_channels=255,
        ),
        Subtype(name="MPEG_LAYER_III", extension=".mp3"),
        Subtype(name="AC3"),
        Subtype(name="EAC3"),
        Subtype(name="IMA_ADPCM", is_block_coded=True, max_stored_bits=4.25),
        Subtype(name="MS_ADPCM", is_block_coded=True, max_stored_bits=4.25),
        Subtype(name="GSM610", is_block_coded=True, max_stored_bits=1.65),
        Subtype(name="NMS_ADPCM_16", is_block_coded=True, max_stored_bits=2.1),
        Subtype(name="NMS_ADPCM_24", is_block_coded=True, max_stored_bits=3.1),
        Subtype(name="NMS_ADPCM_32", is_block_coded=True, max_stored_bits=4.1),
        Subtype(name="DWVW_16", max_stored_bits=24.0),
        Subtype(name="DWVW_24", max_stored_bits=32.0),
    )
}
"""Subtypes by name. Subtypes that are not listed are lossy."""


USUAL_NAMES = {
    "AAC": "AAC",
    "AC3": "AC-3",
    "ALAC": "ALAC",
    "EAC3": "E-AC-3",
    "FLAC": "FLAC",
    "MP3": "MP3",
    "MPEG_LAYER_III": "MP3",
    "OGG": "Ogg",
    "OPUS": "Opus",
    "VORBIS": "Vorbis",
    "WEBM": "WebM",
    "WV": "WavPack",
}


def usual_name(name: str) -> str:
    """Return the usual spelling of a container or a codec that a library names differently.

    Examples
    --------
    >>> usual_name("VORBIS"), usual_name("opus"), usual_name("PCM_16"), usual_name("mov_text")
    ('Vorbis', 'Opus', 'PCM_16', 'mov_text')
    """
    return USUAL_NAMES.get(name.upper(), name)


def find_subtype(name: str) -> Subtype:
    """Return the subtype called `name`; one with default properties if it is not listed."""
    return SUBTYPES.get(name) or Subtype(name=name)


TagWriter = Literal[
    "", "libsndfile", "ffmpeg", "riff", "mp3", "aiff", "tta", "flac", "ogg", "mp4", "ape"
]
"""Writer of the tags: none, the encoder of a library, or a function in `files/tags/writing.py`."""


class Format(NamedTuple):
    """A container: how to recognize, read and write it."""

    name: str
    """libsndfile's name, such as WAV, or another usual name, such as M4A."""
    extensions: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    """First four bytes of files that libsndfile reads."""
    is_compressed: bool = True
    """Whether files are usually compressed; otherwise WAV replaces the format for outputs."""

    demuxer: str = ""
    """FFmpeg's name of the reader; empty if FFmpeg does not read the format.

    If several formats have the same demuxer, the extension decides, and the first is the default.
    """
    needs_extension: bool = False
    """Whether FFmpeg recognizes the format only by its file name extension."""
    length: Literal["exact", "rounded", "estimated"] = "exact"
    """Accuracy of the length that FFmpeg reports.

    It can be rounded to milliseconds or to whole packets, or estimated from the bit rate."""
    is_resumable: bool = False
    """Whether FFmpeg may be able to read on at a position where libsndfile fails."""

    writer: Literal["", "libsndfile", "ffmpeg"] = ""
    """Library that writes the format; empty if it is only read."""
    output_extension: str = ""
    """Extension of an output if the format is only read.

    Its format can hold the codec that is most common in the input."""
    family: str = ""
    """Format with the same extensions, which replaces this one if they cannot be distinguished."""
    muxer: str = ""
    """FFmpeg's name of the writer."""
    encoders: Mapping[str, str] = {}
    """FFmpeg's encoder for each subtype; libsndfile writes the other subtypes if it can."""
    codec: str = ""
    """Subtype of lossy outputs, and of all outputs if `lossless_subtypes` is empty."""
    extension_codecs: Mapping[str, str] = {}
    """Subtype of outputs with a certain extension."""
    lossless_subtypes: tuple[str, ...] = ()
    """Subtypes of lossless outputs, if they are not PCM; the smallest one comes first."""
    tag_writer: TagWriter = ""
    max_bytes: int | None = None
    """Maximum size of the samples in a file; None if there is no limit in practice."""
    max_samples: int | None = None
    """Maximum number of samples per channel in a file; None if there is no limit in practice."""
    max_channels: int | None = None
    """Maximum number of channels in an output, if the error of the encoder names no cause."""
    is_streamable: bool = False
    """Whether the format can be written to a pipe, without seeking."""
    holds_video: bool = False
    """Whether an output holds the video and the other tracks of a video."""
    pcm_encoders: Mapping[str, str] = {}
    """FFmpeg's encoders that replace those in `encoders` if the input is not compressed."""
    unpositioned_encoders: Mapping[str, str] = {}
    """FFmpeg's encoders for channels that are declared to have no speaker positions."""
    bit_rate_encoders: Mapping[str, str] = {}
    """FFmpeg's encoders for outputs with a bit rate, not a quality."""

    @property
    def is_wav(self) -> bool:
        """Whether the format is WAV or one of its variants."""
        return "WAV" in (self.name, self.family)


def _sndfile(name: str, *extensions: str, **properties: Any) -> Format:
    """Return a format that libsndfile reads and writes."""
    return Format(name=name, extensions=extensions, writer="libsndfile", **properties)


def _ffmpeg(name: str, *extensions: str, **properties: Any) -> Format:
    """Return a format that FFmpeg reads and writes."""
    return Format(name=name, extensions=extensions, writer="ffmpeg", **properties)


def _read_only(name: str, *extensions: str, **properties: Any) -> Format:
    """Return a format that FFmpeg reads, with a demuxer of the same name."""
    properties = {"demuxer": name.lower(), "output_extension": ".flac"} | properties
    return Format(name=name, extensions=extensions, **properties)


FLAC_ENCODERS = {"PCM_16": "flac", "PCM_24": "flac"}
ALAC_ENCODERS = {"ALAC_16": "alac", "ALAC_24": "alac"}
PCM_ENCODERS = {
    "PCM_16": "pcm_s16le",
    "PCM_24": "pcm_s24le",
    "PCM_32": "pcm_s32le",
    "FLOAT": "pcm_f32le",
    "DOUBLE": "pcm_f64le",
}
LOSSY_VIDEO_ENCODERS = {
    "AAC": "aac",
    "AC3": "ac3",
    "EAC3": "eac3",
    "MPEG_LAYER_III": "libmp3lame",
}
"""Encoders of the lossy codecs that are common in videos."""

FORMATS = {
    container.name: container
    for container in (
        _sndfile(
            "WAV", ".wav", ".wave",
            magic=(b"RIFF", b"RIFX", b"RF64"), demuxer="wav", is_compressed=False,
            tag_writer="riff", max_bytes=MAX_32_BIT_DATA_BYTES, is_streamable=True,
        ),
        _sndfile(
            "WAVEX",
            family="WAV", is_compressed=False, tag_writer="riff", max_bytes=MAX_32_BIT_DATA_BYTES,
            is_streamable=True,
        ),
        _sndfile(
            "FLAC", ".flac",
            magic=(b"fLaC",), demuxer="flac", is_resumable=True, max_channels=8, tag_writer="flac",
        ),
        _sndfile(
            "OGG", ".ogg", ".oga", ".opus",
            magic=(b"OggS",), demuxer="ogg", length="rounded", is_resumable=True,
            codec="VORBIS", extension_codecs={".opus": "OPUS"},
            muxer="ogg", encoders=FLAC_ENCODERS, unpositioned_encoders={"OPUS": "libopus"},
            tag_writer="ogg",
        ),
        _sndfile(
            "MP3", ".mp3",
            demuxer="mp3", length="estimated", extension_codecs={".mp3": "MPEG_LAYER_III"},
            # With a constant bit rate, libsndfile would not declare the padding of the encoder.
            muxer="mp3", bit_rate_encoders={"MPEG_LAYER_III": "libmp3lame"}, tag_writer="mp3",
        ),
        _ffmpeg(
            "MP4", ".mp4", ".m4v",
            demuxer="mov", length="rounded", muxer="mp4", holds_video=True,
            encoders=ALAC_ENCODERS
            | {"AAC": "aac", "AC3": "ac3", "EAC3": "eac3", "OPUS": "libopus"},
            codec="AAC", lossless_subtypes=("ALAC_16", "ALAC_24"), tag_writer="mp4",
        ),
        _ffmpeg(
            "MOV", ".mov",
            demuxer="mov", length="rounded", muxer="mov", holds_video=True,
            encoders=ALAC_ENCODERS | LOSSY_VIDEO_ENCODERS | PCM_ENCODERS,
            codec="AAC", lossless_subtypes=("PCM_16", "PCM_24", "PCM_32"), tag_writer="ffmpeg",
        ),
        _read_only(
            "3GP", ".3gp",
            demuxer="mov", length="rounded", is_compressed=False, output_extension=".m4a",
        ),
        _ffmpeg(
            "M4A", ".m4a", ".m4b",
            demuxer="mov", length="rounded", muxer="ipod",
            encoders=ALAC_ENCODERS | {"AAC": "aac"},
            codec="AAC", lossless_subtypes=("ALAC_16", "ALAC_24"), tag_writer="mp4",
        ),
        _ffmpeg(
            "MKA", ".mka",
            demuxer="matroska", length="rounded", muxer="matroska",
            encoders=FLAC_ENCODERS | {"OPUS": "libopus"}, tag_writer="ffmpeg",
        ),
        _ffmpeg(
            "MKV", ".mkv",
            demuxer="matroska", length="rounded", muxer="matroska", holds_video=True,
            encoders=PCM_ENCODERS | FLAC_ENCODERS | LOSSY_VIDEO_ENCODERS | {"OPUS": "libopus"},
            pcm_encoders=PCM_ENCODERS,
            codec="AAC", lossless_subtypes=("PCM_16", "PCM_24", "PCM_32"), tag_writer="ffmpeg",
        ),
        _ffmpeg(
            "WEBM", ".webm",
            demuxer="matroska", length="rounded", muxer="webm", holds_video=True,
            encoders={"OPUS": "libopus"}, codec="OPUS", extension_codecs={".webm": "OPUS"},
            tag_writer="ffmpeg",
        ),
        _ffmpeg(
            "WV", ".wv",
            demuxer="wv", muxer="wv",
            encoders=dict.fromkeys(("PCM_16", "PCM_24", "PCM_32", "FLOAT"), "wavpack"),
            max_channels=64, tag_writer="ape",
        ),
        _ffmpeg(
            "TTA", ".tta",
            demuxer="tta", muxer="tta", encoders={"PCM_16": "tta", "PCM_24": "tta"},
            max_channels=16, tag_writer="tta",
        ),
        _sndfile(
            "AIFF", ".aiff", ".aif", ".aifc",
            magic=(b"FORM",), is_compressed=False, tag_writer="aiff",
            max_bytes=MAX_32_BIT_DATA_BYTES,
        ),
        _sndfile(
            "AU", ".au", ".snd",
            magic=(b".snd",), is_compressed=False, is_streamable=True,
        ),
        _sndfile(
            "CAF", ".caf",
            magic=(b"caff",), demuxer="caf", length="rounded", is_compressed=False,
            tag_writer="libsndfile",
        ),
        _sndfile("W64", ".w64", magic=(b"riff",), is_compressed=False),
        _sndfile(
            "RF64", ".rf64",
            family="WAV", is_compressed=False, tag_writer="riff", is_streamable=True,
        ),
        # A block has a size of 24 bits, which includes 12 bytes of format.
        _sndfile(
            "VOC", ".voc",
            demuxer="voc", length="estimated", is_compressed=False, max_bytes=0xFFFFFF - 12,
        ),
        _sndfile("NIST", ".sph", ".nist", is_compressed=False),
        _sndfile("RAW", ".raw", is_compressed=False, is_streamable=True),
        _sndfile("SVX", is_compressed=False, max_bytes=MAX_32_BIT_DATA_BYTES),
        _sndfile("MAT5", max_bytes=MAX_32_BIT_DATA_BYTES),
        _sndfile("WVE", max_bytes=MAX_32_BIT_DATA_BYTES),
        _sndfile("AVR", max_samples=(1 << 32) - 1),
        _sndfile("HTK", max_samples=(1 << 30) - 1),
        _sndfile("MAT4", max_samples=(1 << 31) - 1),
        _sndfile("MPC2K", max_samples=(1 << 32) - 1),
        _sndfile("SDS", max_samples=(1 << 21) - 1),
        _read_only("AAC", ".aac", length="estimated", output_extension=".m4a"),
        _read_only("AC3", ".ac3", length="estimated"),
        _read_only("AMR", ".amr", length="estimated"),
        _read_only("APE", ".ape"),
        _read_only("AVI", ".avi", length="estimated"),
        _read_only("DSF", ".dsf"),
        _read_only("DTS", ".dts", length="estimated"),
        _read_only("DTSHD"),
        _read_only("EAC3", ".eac3", length="estimated"),
        _read_only("FLV", ".flv", length="estimated"),
        _read_only("G722", ".g722", needs_extension=True),
        _read_only("IFF"),
        _read_only("LOAS", length="estimated"),
        _read_only("MLP"),
        # Recognized as MP3.
        _read_only("MP2", ".mp2", ".mp1", ".mpa", demuxer=""),
        _read_only("MPC", ".mpc"),
        _read_only("MPC8"),
        _read_only("MPEG", length="estimated"),
        _read_only("MPEGTS", length="estimated"),
        _read_only("NUT"),
        _read_only("OMA"),
        _read_only("RM"),
        _read_only("SHN", ".shn"),
        _read_only("TAK", ".tak"),
        _read_only("TRUEHD"),
        _read_only("WMA", ".wma", demuxer="asf", length="estimated"),
        _read_only("XWMA"),
    )
}  # fmt: skip
"""Formats by name. No other list of formats exists; messages list them in this order.

libsndfile reads and writes further formats, which have no entry and no properties here.
"""

WRITABLE_EXTENSIONS = {
    extension: container.name
    for container in FORMATS.values()
    if container.writer
    for extension in container.extensions
}
"""File name extensions that ngate writes, and the format for each."""

READ_ONLY_EXTENSIONS = {
    extension: container.output_extension
    for container in FORMATS.values()
    if not container.writer
    for extension in container.extensions
}
"""Extensions of audio and video files that ngate can only read, and the extension of an output."""

DEMUXERS = frozenset(container.demuxer for container in FORMATS.values()) - {""}
"""FFmpeg demuxers that may read a file.

FFmpeg's other demuxers include those for playlists, which can refer to any other file."""


EXTENSION_DEMUXERS = {
    extension: container.demuxer
    for container in FORMATS.values()
    if container.needs_extension
    for extension in container.extensions
}
"""Demuxers of formats that FFmpeg recognizes only by their file name extension."""


def find_format(name: str) -> Format:
    """Return the format called `name`; one that only libsndfile knows if it is not listed."""
    return FORMATS.get(name) or Format(name=name, writer="libsndfile")


def find_format_by_magic(magic: bytes) -> Format | None:
    """Return the format of files that libsndfile reads and that begin with `magic`, or None."""
    return next((container for container in FORMATS.values() if magic in container.magic), None)


def find_format_by_demuxer(demuxer: str, extension: str) -> Format:
    """Return the format of a file that FFmpeg reads with `demuxer`."""
    containers = [container for container in FORMATS.values() if container.demuxer == demuxer]
    by_extension = [container for container in containers if extension in container.extensions]
    return (by_extension or containers)[0]

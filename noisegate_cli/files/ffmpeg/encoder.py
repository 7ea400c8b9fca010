"""Write formats that libsndfile does not support, through PyAV (FFmpeg's libraries)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.chapters import Chapter, convert_to_ffmpeg
from noisegate_cli.files.containers.opus import ambisonic_layout
from noisegate_cli.files.ffmpeg.frames import SPEAKERS
from noisegate_cli.files.formats import usual_name
from noisegate_cli.files.output_file import OutputFile
from noisegate_cli.samples import Samples

MP4_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
CODEC_LAYOUTS = {"AAC": MP4_LAYOUTS, "ALAC_16": MP4_LAYOUTS, "ALAC_24": MP4_LAYOUTS}
"""Channel layouts that a codec supports, by number of channels."""

ENCODER_SAMPLE_FORMATS = {
    ("alac", "int16"): "s16p",
    ("alac", "int32"): "s32p",
    ("flac", "int16"): "s16",
    ("flac", "int32"): "s32",
    ("wavpack", "int16"): "s16p",
    ("wavpack", "int32"): "s32p",
    ("wavpack", "float32"): "fltp",
    ("tta", "int16"): "s16",
    ("tta", "int32"): "s32",
    ("libopus", "float32"): "flt",
    ("aac", "float32"): "fltp",
    ("ac3", "float32"): "fltp",
    ("eac3", "float32"): "fltp",
    ("libmp3lame", "float32"): "fltp",
    ("pcm_s16le", "int16"): "s16",
    ("pcm_s24le", "int32"): "s32",
    ("pcm_s32le", "int32"): "s32",
    ("pcm_f32le", "float32"): "flt",
    ("pcm_f64le", "float64"): "dbl",
}
"""FFmpeg sample format that each encoder expects, by codec and numpy type."""

LAME_BIT_RATES_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)

LAME_DEFAULT_BIT_RATE = 128_000
"""Bits per second if none are requested."""

LAME_SCALES = {192: 0.97, 224: 0.98, 256: 1.0, 320: 1.0}
"""Factor by which LAME turns its input down at a constant bit rate in kbit/s; 0.95 at others."""


@contextmanager
def convert_errors() -> Iterator[None]:
    """Convert FFmpeg errors to ValueError, except system errors."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise ValueError(error.strerror) from error


class PyavEncoder:
    """A recording open for writing through PyAV.

    Raises
    ------
    OSError, ValueError
        If the file cannot be created.
    """

    @convert_errors()
    def __init__(
        self,
        path: Path,
        info: AudioInfo,
        tags: dict[str, str],
        chapters: tuple[Chapter, ...] = (),
    ) -> None:
        self._info = info
        self._file = OutputFile(path)
        self._container: Any = av.open(
            self._file, "w", format=info.container.muxer, options=self._build_options(info)
        )
        self._container.metadata.update(tags)
        if chapters:
            self._container.set_chapters(convert_to_ffmpeg(chapters))
        self._layout = channel_layout(info)
        self._stream = self._add_streams()
        coder = self._stream.codec_context
        is_mp3 = info.ffmpeg_encoder == "libmp3lame"
        self._gain = 1 / find_lame_scale(coder.bit_rate or LAME_DEFAULT_BIT_RATE) if is_mp3 else 1.0
        self._next_pts = 0
        """Time of the next sample in samples."""
        self._frame_samples = 0
        """Length of the frames to encode; 0 if the encoder divides blocks into frames itself."""
        if _find_min_frame_samples(info):
            coder.open()
            self._frame_samples = coder.frame_size
        self._rest = np.zeros((0, info.channels), info.dtype)
        """Samples that do not fill a frame yet."""

    def _build_options(self, info: AudioInfo) -> dict[str, str]:
        """Return the options of the muxer."""
        if info.container.muxer in ("matroska", "webm"):
            return {"fflags": "+bitexact"}  # Otherwise the file contains random identifiers.
        if info.container.muxer == "mp3":
            # Without the version of FFmpeg, and without tags, which `tag_writers` writes.
            return {"fflags": "+bitexact", "id3v2_version": "0"}
        # MP4 rounds the length in its edit list to units of this time scale.
        has_edit_list = info.container.demuxer == "mov"
        return {"movie_timescale": str(info.sample_rate)} if has_edit_list else {}

    def _add_streams(self) -> Any:
        """Add the streams of the file; return the one with the samples."""
        return self._add_audio_stream()

    def _add_audio_stream(self) -> Any:
        info, codec = self._info, self._info.ffmpeg_encoder
        stream = self._container.add_stream(
            codec, rate=info.sample_rate, layout=self._layout, options=_build_coder_options(info)
        )
        coder = stream.codec_context
        if info.is_lossy and info.bit_rate:
            coder.bit_rate = info.bit_rate
        coder.format = av.AudioFormat(ENCODER_SAMPLE_FORMATS[codec, info.dtype.name])
        return stream

    def _finish(self) -> None:
        """Write what remains when all samples are written."""

    @convert_errors()
    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        if self._frame_samples:
            block = np.concatenate([self._rest, block])
            end = len(block) // self._frame_samples * self._frame_samples
            block, self._rest = block[:end], block[end:]
        if len(block):
            self._container.mux(self._stream.encode(self._build_frame(block)))
            self._file.check()

    def _build_frame(self, block: Samples) -> Any:
        """Return the next frame of samples."""
        names = {"int16": "s16", "int32": "s32", "float32": "flt", "float64": "dbl"}
        block = block if self._gain == 1 else block * block.dtype.type(self._gain)
        packed = np.ascontiguousarray(block).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, names[block.dtype.name], self._layout)
        frame.sample_rate = self._info.sample_rate
        frame.time_base = Fraction(1, self._info.sample_rate)
        frame.pts = self._next_pts
        self._next_pts += len(block)
        return frame

    @convert_errors()
    def close(self) -> None:
        """Flush the encoder, write the index and close the file."""
        if not self._file.closed:
            try:
                is_short = 0 < len(self._rest) < _find_min_frame_samples(self._info)
                if len(self._rest) and not is_short:
                    self._container.mux(self._stream.encode(self._build_frame(self._rest)))
                self._container.mux(self._stream.encode(None))
                if is_short:
                    self._container.mux(self._encode_short_frame(self._rest))
                self._finish()
                self._container.close()
            finally:
                self._file.close()

    def _encode_short_frame(self, samples: Samples) -> Iterator[Any]:
        """Yield the packet of a last frame for which the encoder allocates too little memory."""
        coder = _create_coder(self._info)
        if coder.name == "tta":
            # The encoder has the same result for 24 bits, as there are no samples to predict from,
            # but it allocates more memory.
            coder.format = av.AudioFormat("s32")
            samples = samples.astype(np.int32) << 8
        else:
            coder.options = {"compression_level": "0"}
        for packet in (*coder.encode(self._build_frame(samples)), *coder.encode(None)):
            packet.stream = self._stream
            yield packet

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._file.discard()
        with suppress(OSError):
            self._file.close()


def find_lame_scale(bit_rate: int) -> float:
    """Return the factor by which LAME scales its input at a constant bit rate in bit/s.

    LAME leaves headroom for the coding noise, up to 0.45 dB. An MP3 file that is gated several
    times would get quieter each time.
    """
    nearest = min(LAME_BIT_RATES_KBPS, key=lambda kbps: abs(kbps - bit_rate / 1000))
    return LAME_SCALES.get(nearest, 0.95)


@cache
def unsupported_reason(info: AudioInfo) -> str:
    """Return why PyAV cannot write such a recording, or an empty string if it can."""
    if not info.ffmpeg_encoder:
        return f"{usual_name(info.format)} cannot store {usual_name(info.subtype)}"
    try:
        coder = _create_coder(info)
        coder.open()
        is_supported = coder.frame_size == 0 or coder.frame_size >= _find_min_frame_samples(info)
    except (av.FFmpegError, ValueError, OSError):
        is_supported = False
    if is_supported:
        return ""
    return f"{info.ffmpeg_encoder} cannot encode {info.channels} channels at {info.sample_rate} Hz"


def _create_coder(info: AudioInfo) -> Any:
    """Return an encoder that is not open yet."""
    codec = info.ffmpeg_encoder
    coder: Any = av.CodecContext.create(codec, "w")
    coder.options = _build_coder_options(info)
    coder.sample_rate = info.sample_rate
    coder.layout = channel_layout(info)
    coder.format = av.AudioFormat(ENCODER_SAMPLE_FORMATS[codec, info.dtype.name])
    coder.time_base = Fraction(1, info.sample_rate)
    return coder


def _build_coder_options(info: AudioInfo) -> dict[str, str]:
    """Return the options of the encoder."""
    is_opus = info.subtype == "OPUS" and info.opus_mapping_family
    return {"mapping_family": str(info.opus_mapping_family)} if is_opus else {}


def _find_min_frame_samples(info: AudioInfo) -> int:
    """Return the length of the shortest frame that the encoder can encode; 0 if any length.

    For shorter frames, FFmpeg's encoder allocates too little memory, and ends the process.
    """
    codec = info.ffmpeg_encoder
    if codec == "alac" and info.channels > 2:
        return 8
    return 2 if codec == "tta" and info.channels == 1 and info.subtype == "PCM_16" else 0


def channel_layout(info: AudioInfo) -> str:
    """Return FFmpeg's name for the channel layout of a recording."""
    names = [name for bit, name in enumerate(SPEAKERS) if info.channel_mask >> bit & 1]
    if info.is_ambisonic_opus and info.subtype == "OPUS":
        return ambisonic_layout(info.channels)
    if info.subtype in CODEC_LAYOUTS:
        return CODEC_LAYOUTS[info.subtype].get(info.channels, f"{info.channels} channels")
    if len(names) == info.channels and info.channel_mask < 1 << len(SPEAKERS):
        return "+".join(names)
    default_layouts = {
        1: "mono",
        2: "stereo",
        3: "2.1",
        4: "quad",
        5: "5.0",
        6: "5.1",
        7: "6.1",
        8: "7.1",
    }
    return default_layouts.get(info.channels, f"{info.channels} channels")

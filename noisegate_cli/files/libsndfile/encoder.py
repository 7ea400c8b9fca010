"""Encode recordings with libsndfile."""

import io
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import find_subtype, usual_name
from noisegate_cli.files.libsndfile.conventions import VORBIS_CHANNEL_ORDER, error_text
from noisegate_cli.files.libsndfile.soundfile_private import close_without_fsync
from noisegate_cli.files.output_file import OutputFile
from noisegate_cli.samples import Samples

MAX_RATE_ERROR = 1e-4
"""Maximum relative error of the sample rate in a file; SDS stores a period in nanoseconds."""

VORBIS_BIT_RATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
"""Bit rate per channel at 44.1 kHz for the Vorbis qualities 0, 0.1 … 1."""


class SndfileEncoder:
    """A recording open for writing through libsndfile."""

    def __init__(self, path: Path, info: AudioInfo, tags: dict[str, str]) -> None:
        self._output = OutputFile(path)
        try:
            self._file = sf.SoundFile(
                self._output, "w", **_sndfile_parameters(info), **_compression_parameters(info)
            )
        except BaseException:
            self._output.close()
            raise
        order = VORBIS_CHANNEL_ORDER.get(info.channels) if info.format == "OGG" else None
        self._channel_order = None if order is None else np.argsort(order)
        for name, text in tags.items():
            # Not every format supports every tag.
            with suppress(sf.SoundFileError, AttributeError):
                setattr(self._file, name, text)

    def write(self, block: Samples) -> None:
        """Append samples in the sample type of the file."""
        if self._channel_order is not None:
            block = np.ascontiguousarray(block[:, self._channel_order])
        self._file.write(block)
        self._output.check()

    def close(self) -> None:
        """Write the rest of the file and close it."""
        if not self._output.closed:
            try:
                close_without_fsync(self._file)
            finally:
                self._output.close()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._output.discard()
        with suppress(OSError, sf.SoundFileError):
            self.close()


@cache
def unsupported_reason(info: AudioInfo) -> str:
    """Return why libsndfile cannot write such a recording, or an empty string if it can.

    A trial is necessary because libsndfile's table of formats is wrong.
    """
    if info.format == "SD2":
        return "an SD2 file consists of two files"
    adds_sample = info.format == "VOC" and info.subtype in ("ULAW", "ALAW")
    # ALAC goes through a temporary file. If that cannot be written, libsndfile drops the samples
    # or frees memory twice. libsndfile cannot read the DWVW files that it writes.
    if adds_sample or info.subtype.startswith(("ALAC", "DWVW")):
        return f"libsndfile cannot write {info.subtype} in {info.format} exactly"
    if limit := _exceeded_limit(info):
        return f"{usual_name(info.subtype)} is limited to {limit}"
    file = io.BytesIO()
    try:
        with sf.SoundFile(file, "w", **_sndfile_parameters(info)) as trial:
            # FLAC checks its parameters only now. VOX ADPCM cannot write a single sample.
            trial.write(np.zeros((2, info.channels), info.dtype))
    except (sf.SoundFileError, ValueError) as error:
        return error_text(error)
    rate = _read_sample_rate(file)
    if rate is None or abs(rate - info.sample_rate) <= MAX_RATE_ERROR * info.sample_rate:
        return ""
    return f"its sample rate would become {rate} Hz"


def _exceeded_limit(info: AudioInfo) -> str:
    """Return the limit of the encoder that a recording exceeds; empty if it exceeds none."""
    subtype = find_subtype(info.subtype)
    if 0 < subtype.max_encoder_rate_hz < info.sample_rate:
        return f"{subtype.max_encoder_rate_hz} Hz"
    if 0 < subtype.max_encoder_channels < info.channels:
        return f"{subtype.max_encoder_channels} channels"
    return ""


def _read_sample_rate(file: io.BytesIO) -> int | None:
    """Return the sample rate of a new file; None if it cannot be read."""
    file.seek(0)
    try:
        with sf.SoundFile(file) as reopened:
            return int(reopened.samplerate)
    except (sf.SoundFileError, ValueError, TypeError):
        return None


def _compression_parameters(info: AudioInfo) -> dict[str, Any]:
    """Return libsndfile parameters that approximate the bit rate of `info`.

    libsndfile expects a compression level from 0 to 1, whose meaning depends on the codec.
    """
    if info.quality is not None:
        is_mp3 = info.subtype == "MPEG_LAYER_III"
        level = info.quality / 10 if is_mp3 else 1 - info.quality / 10
        return {"compression_level": level} | ({"bitrate_mode": "VARIABLE"} if is_mp3 else {})
    if not info.bit_rate:
        return {}
    kbps = info.bit_rate / 1000
    if info.subtype == "OPUS":
        return {"compression_level": min(1.0, max(0.0, 1 - (kbps / info.channels - 6) / 250))}
    if info.subtype == "VORBIS":
        rate_factor = max(1.0, 44100 / info.sample_rate) ** 0.7
        quality = np.interp(
            kbps / info.channels * rate_factor, VORBIS_BIT_RATES_KBPS, np.linspace(0, 1, 11)
        )
        return {"compression_level": 1 - float(quality)}
    return {}


def _sndfile_parameters(info: AudioInfo) -> dict[str, Any]:
    return {
        "samplerate": info.sample_rate,
        "channels": info.channels,
        "format": info.format,
        "subtype": info.subtype,
        "endian": info.endian,
    }

"""Sample types, channel layouts and samples of PyAV frames."""

from pathlib import Path
from typing import Any

import numpy as np

from noisegate_cli.samples import Samples

INTEGER_FORMAT_BITS = {"u8": 8, "s16": 16, "s32": 32}
"""FFmpeg's integer sample formats and their bit depths."""

FRAME_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
"""numpy type of each of FFmpeg's packed sample formats."""

EXACT_FLOAT_CODECS = ("pcm", "wavpack")
"""Prefixes of codecs that store float samples without loss."""

SPEAKERS = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()
"""FFmpeg's names of the speakers in a channel mask, starting with the lowest bit."""


def channel_mask(layout: Any) -> int:
    """Return the channel mask of a layout; 0 if a position is unknown."""
    return sum(1 << bit for bit in speaker_bits(layout))


def speaker_bits(layout: Any) -> list[int]:
    """Return the bit of each channel in a channel mask; no bits if a position is unknown."""
    names = [channel.name for channel in layout.channels]
    bits = [SPEAKERS.index(name) for name in names if name in SPEAKERS]
    return bits if len(set(bits)) == len(names) else []


def frame_format(frame: Any) -> tuple[int, int, str]:
    """Return the sample rate, the number of channels and the sample format of a frame."""
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name


def copy_frame(frame: Any, target: Samples) -> None:
    """Copy the first samples of a frame to `target`, an array of shape (samples, channels)."""
    count, channels = target.shape
    if frame.format.is_planar:
        for channel, plane in enumerate(frame.planes):
            target[:, channel] = np.frombuffer(plane, target.dtype, count)
    else:
        values = np.frombuffer(frame.planes[0], target.dtype, count * channels)
        target[:] = values.reshape(count, channels)


def frame_dtype(frame: Any) -> np.dtype[Any]:
    """Return the numpy type of the samples of a frame."""
    return np.dtype(FRAME_DTYPES[frame.format.packed.name])


def subtype_name(coder: Any, sample_format: Any, path: Path) -> str:
    """Return libsndfile's subtype name for a lossless codec, or the name of a lossy codec."""
    name, packed_format = coder.codec.canonical_name, sample_format.packed.name
    name = {"mp3": "mpeg_layer_iii", "mp2": "mpeg_layer_ii", "mp1": "mpeg_layer_i"}.get(name, name)
    if not coder.codec.lossless or (
        packed_format in ("flt", "dbl") and not name.startswith(EXACT_FLOAT_CODECS)
    ):
        return str(name.upper())
    if packed_format in ("flt", "dbl"):
        return "FLOAT" if packed_format == "flt" else "DOUBLE"
    bits = INTEGER_FORMAT_BITS.get(packed_format, 32)
    if bits == 32 and not name.startswith(("pcm_s32", "pcm_u32")):
        bits = _stored_bit_depth(name, coder.extradata, path)
    if name == "alac":
        return f"ALAC_{bits}"
    return "PCM_U8" if bits == 8 else f"PCM_{bits}"


def _stored_bit_depth(codec: str, header: bytes | None, path: Path) -> int:
    """Return the bit depth of samples that decode to 32 bits, which PyAV does not report."""
    if codec == "flac" and header and len(header) >= 18:
        # Sample rate, channels and bits precede the number of samples (RFC 9639, 8.2).
        bits = (int.from_bytes(header[12:14], "big") >> 4 & 31) + 1
        return 32 if bits > 24 else 24
    if codec == "wavpack":
        with path.open("rb") as file:
            # The lowest two bits of the block flags are the bytes per sample minus one.
            start = file.read(28)
        return 32 if start[:4] == b"wvpk" and start[24] & 3 == 3 else 24
    return 24

"""Convert samples to and from the bytes of uncompressed PCM, and between sample types."""

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.files.formats import SUBTYPES, find_subtype
from noisegate_cli.samples import Samples, full_scale

SAMPLE_WIDTH_BYTES = {
    subtype.name: subtype.width_bytes for subtype in SUBTYPES.values() if subtype.is_pcm
}
"""Bytes per sample of each subtype that is plain PCM."""

AU_SUBTYPES = {2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE"}
"""Encoding numbers of AU, and libsndfile's name for each."""

MAX_CODEC_AMPLITUDE = 100.0
"""Maximum amplitude of the samples that a lossy codec gets; full scale is 1.0.

LAME ends the process for amplitudes of a million."""


def encode_pcm(samples: Samples, subtype: str, big_endian: bool = False) -> NDArray[np.uint8]:
    """Encode samples, which have the numpy type of `subtype`, as PCM bytes.

    Examples
    --------
    >>> encode_pcm(np.array([[0x010203 << 8]], np.int32), "PCM_24").tolist()
    [3, 2, 1]
    """
    if SAMPLE_WIDTH_BYTES[subtype] == 1:
        octets = (samples >> 8) + (128 if subtype == "PCM_U8" else 0)
        return octets.astype(np.uint8).reshape(-1)
    ordered = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">" if big_endian else "<"))
    bytes_of = ordered.reshape(-1).view(np.uint8)
    if subtype == "PCM_24":
        words = bytes_of.reshape(-1, 4)
        return np.ascontiguousarray(words[:, :3] if big_endian else words[:, 1:]).reshape(-1)
    return bytes_of


def decode_pcm(octets: bytes, subtype: str, channels: int, big_endian: bool = False) -> Samples:
    """Decode PCM bytes, which hold whole samples, to an array of shape (samples, channels).

    Examples
    --------
    >>> decode_pcm(bytes([3, 2, 1]), "PCM_24", 1) == 0x010203 << 8
    array([[ True]])
    """
    dtype = np.dtype(SUBTYPES[subtype].dtype)
    stored = np.frombuffer(octets, np.uint8)
    if SAMPLE_WIDTH_BYTES[subtype] == 1:
        samples = stored.view(np.int8) if subtype == "PCM_S8" else (stored ^ 128).view(np.int8)
        return (samples.astype(dtype) << 8).reshape(-1, channels)
    if subtype == "PCM_24":
        words = np.zeros((len(stored) // 3, 4), np.uint8)
        words[:, 1:] = stored.reshape(-1, 3)[:, ::-1] if big_endian else stored.reshape(-1, 3)
        return words.reshape(-1).view("<i4").astype(dtype).reshape(-1, channels)
    ordered = stored.view(dtype.newbyteorder(">" if big_endian else "<"))
    return ordered.astype(dtype).reshape(-1, channels)


def limit_for_codec(samples: Samples) -> tuple[Samples, int]:
    """Return samples that a lossy codec can encode, and the number of samples that were limited.

    Examples
    --------
    >>> limit_for_codec(np.array([[0.5], [-1e30]]))
    (array([[   0.5],
           [-100. ]]), 1)
    """
    limited = int(np.count_nonzero(np.abs(samples) > MAX_CODEC_AMPLITUDE))
    if not limited:
        return samples, 0
    return np.clip(samples, -MAX_CODEC_AMPLITUDE, MAX_CODEC_AMPLITUDE), limited


def convert_to_subtype(samples: Samples, subtype: str) -> tuple[Samples, int]:
    """Return samples in the numpy type of `subtype`, and the number of clipped samples.

    Floats are rounded to the nearest integer. Integers are truncated to a smaller bit depth.

    Examples
    --------
    >>> convert_to_subtype(np.array([[0.5], [1.5]]), "PCM_16")
    (array([[16384],
           [32767]], dtype=int16), 1)
    """
    properties = find_subtype(subtype)
    dtype, bits = np.dtype(properties.dtype), properties.bit_depth
    if samples.dtype == dtype:
        return samples, 0
    if dtype.kind == "f":
        if samples.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return samples.astype(dtype), 0
        return (samples / full_scale(samples.dtype)).astype(dtype), 0
    container_bits = dtype.itemsize * 8
    if samples.dtype.kind == "i":
        extra_bits = container_bits - samples.dtype.itemsize * 8
        if extra_bits > 0:
            return samples.astype(dtype) << extra_bits, 0
        return (samples >> -extra_bits).astype(dtype), 0
    limit = 2.0 ** (bits - 1)
    steps = np.rint(samples.astype(np.float64) * limit)
    clipped = int(np.count_nonzero((steps < -limit) | (steps > limit - 1)))
    # Clipping a sample of exactly 1.0 changes it by one quantization step, which is inaudible.
    clipped_samples = int(np.count_nonzero(np.abs(samples) > 1)) if clipped else 0
    np.clip(steps, -limit, limit - 1, out=steps)
    return steps.astype(dtype) << (container_bits - bits), clipped_samples

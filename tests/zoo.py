"""Generate the same second of sound in every format that ngate reads."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile as sf

from noisegate_cli.files.containers.chunks import build_chunk
from noisegate_cli.samples import Samples

RATE = 16000

LIBSNDFILE_FORMATS = {
    "u8.wav": ("WAV", "PCM_U8"),
    "s16.wav": ("WAV", "PCM_16"),
    "s24.wav": ("WAVEX", "PCM_24"),
    "s32.wav": ("WAV", "PCM_32"),
    "f32.wav": ("WAV", "FLOAT"),
    "f64.wav": ("WAV", "DOUBLE"),
    "ulaw.wav": ("WAV", "ULAW"),
    "alaw.wav": ("WAV", "ALAW"),
    "ima.wav": ("WAV", "IMA_ADPCM"),
    "ms.wav": ("WAV", "MS_ADPCM"),
    "gsm.wav": ("WAV", "GSM610"),
    "rf64.wav": ("RF64", "PCM_16"),
    "w64.w64": ("W64", "PCM_24"),
    "s16.flac": ("FLAC", "PCM_16"),
    "s24.flac": ("FLAC", "PCM_24"),
    "s24.aiff": ("AIFF", "PCM_24"),
    "s16.au": ("AU", "PCM_16"),
    "s16.caf": ("CAF", "PCM_16"),
    "alac.caf": ("CAF", "ALAC_24"),
    "s16.voc": ("VOC", "PCM_16"),
    "s16.sph": ("NIST", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.opus": ("OGG", "OPUS"),
    "layer3.mp3": ("MP3", "MPEG_LAYER_III"),
}
"""File names with libsndfile's format and subtype."""

PYAV_FORMATS = {
    "aac.m4a": ("ipod", "aac", "fltp", 16000),
    "alac16.m4a": ("ipod", "alac", "s16p", 16000),
    "alac24.m4a": ("ipod", "alac", "s32p", 16000),
    "aac.aac": ("adts", "aac", "fltp", 16000),
    "aac.mp4": ("mp4", "aac", "fltp", 16000),
    "pcm.mov": ("mov", "pcm_s24le", "s32", 16000),
    "opus.mka": ("matroska", "libopus", "flt", 16000),
    "opus.webm": ("webm", "libopus", "flt", 16000),
    "flac.mkv": ("matroska", "flac", "s16", 16000),
    "flac.oga": ("ogg", "flac", "s16", 16000),
    "wavpack.wv": ("wv", "wavpack", "s16p", 16000),
    "float.wv": ("wv", "wavpack", "fltp", 16000),
    "tta.tta": ("tta", "tta", "s16", 16000),
    "wma.wma": ("asf", "wmav2", "fltp", 44100),
    "ac3.ac3": ("ac3", "ac3", "fltp", 48000),
    "layer2.mp2": ("mp2", "mp2", "s16", 16000),
}
"""File names with FFmpeg's container, codec and sample format, and the sample rate."""


LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's layouts by number of channels."""

MULTICHANNEL_FORMATS = {
    "aac8.m4a": ("ipod", "aac", "fltp", 48000, 8),
    "opus8.mka": ("matroska", "libopus", "flt", 48000, 8),
    "wavpack16.mka": ("matroska", "wavpack", "s16p", 16000, 16),
    "wavpack9.wv": ("wv", "wavpack", "fltp", 16000, 9),
    "flac8.oga": ("ogg", "flac", "s16", 16000, 8),
    "pcm8.mov": ("mov", "pcm_s16le", "s16", 16000, 8),
}
"""As `PYAV_FORMATS`, with the number of channels."""


def sound(rate: int = RATE, seconds: float = 1.0) -> Samples:
    """Return a tone, a noisy pause and the tone again, as floats shaped (samples,)."""
    n = round(rate * seconds)
    rng = np.random.default_rng(0)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(n) / rate)
    loud = np.abs(np.arange(n) / n - 0.5) > 0.2
    return np.asarray(tone * loud + rng.normal(0, 0.001, n))


def encode(
    path: Path,
    y: Samples,
    container: str,
    codec: str,
    sample_format: str,
    rate: int,
    **metadata: str,
) -> Path:
    """Write floats shaped (samples,) or (samples, channels) through PyAV."""
    y = y.reshape(len(y), -1)
    options = {"movie_timescale": str(rate)} if container in ("ipod", "mp4", "mov") else {}
    with av.open(str(path), "w", format=container, options=options) as file:
        file.metadata.update(metadata)
        layout = LAYOUTS.get(y.shape[1], f"{y.shape[1]} channels")
        if (codec, y.shape[1]) in (("aac", 4), ("alac", 4)):
            layout = "4.0"
        elif codec in ("aac", "alac", "libopus") and y.shape[1] == 3:
            layout = "3.0"
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        if codec in ("wmav2", "ac3", "mp2"):
            stream.codec_context.bit_rate = 96000
        stream.codec_context.format = av.AudioFormat(sample_format)
        packed = sample_format.rstrip("p")
        dtype = {"s16": "int16", "s32": "int32", "flt": "float32"}[packed]
        scale = {"s16": 2**15, "s32": 2**31, "flt": 1}[packed]
        samples = y * scale if scale == 1 else np.rint(y * 2**15) * (scale // 2**15)
        frame: Any = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.astype(dtype)).reshape(1, -1), packed, layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_with_chunks(path: Path, y: Samples, rate: int = RATE) -> dict[bytes, bytes]:
    """Write a 16-bit WAV file with the chunks of field recorders and editors; return the chunks."""
    chunks_before_data = {
        b"bext": bytes(602) + b"A=PCM\r\n",
        b"iXML": b"<BWFXML><TAPE>1</TAPE></BWFXML>",
    }
    chunks_after_data = {
        b"cue ": (1).to_bytes(4, "little") + bytes(24),
        b"LIST": b"INFO" + build_chunk(b"INAM", b"Inaugural\0") + build_chunk(b"IART", b"J.\0"),
        b"smpl": bytes(range(36)),
        b"odd ": b"abc",
    }
    data = np.rint(y * 2**15).astype("<i2").tobytes()
    fmt = (
        b"\1\0\1\0" + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little") + b"\2\0\x10\0"
    )
    parts = [build_chunk(name, content) for name, content in chunks_before_data.items()]
    parts += [build_chunk(b"fmt ", fmt), build_chunk(b"data", data)]
    parts += [build_chunk(name, content) for name, content in chunks_after_data.items()]
    path.write_bytes(build_chunk(b"RIFF", b"WAVE" + b"".join(parts)))
    return chunks_before_data | chunks_after_data


def make_zoo(folder: Path) -> Iterator[Path]:
    """Write a file of each format into `folder`."""
    for name, (container, subtype) in LIBSNDFILE_FORMATS.items():
        with sf.SoundFile(folder / name, "w", RATE, 1, subtype, format=container) as file:
            file.write(sound())
        yield folder / name
    for name, (kind, codec, stored, rate) in PYAV_FORMATS.items():
        yield encode(folder / name, sound(rate), kind, codec, stored, rate, title="A title")
    for name, (kind, codec, stored, rate, channels) in MULTICHANNEL_FORMATS.items():
        y = np.repeat(sound(rate)[:, None], channels, axis=1)
        yield encode(folder / name, y, kind, codec, stored, rate)
    write_with_chunks(folder / "chunks.wav", sound())
    yield folder / "chunks.wav"

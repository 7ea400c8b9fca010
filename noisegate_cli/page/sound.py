"""Encode segments of a recording for the page: FLAC, or Opus in WebM if they are long.

Browsers decode a file as a whole, so a long segment is several files.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.inputs.spool import spool_output
from noisegate_cli.files.outputs.writer import open_writer
from noisegate_cli.page.moments import Segment
from noisegate_cli.samples import Blocks, Samples, full_scale

MAX_WHOLE_S = 600.0
"""The page contains all the audio of a recording up to this length, or half of it for stereo."""

MAX_FLAC_SAMPLES = 1_500_000
"""Half a minute at 48 kHz in FLAC, at most 3 MB; browsers decode it exactly."""

MAX_SOUND_S = 30.0
"""Length of the files of a long segment: a browser decodes one in a fraction of a second."""

MAX_FLAC_RATE_HZ = 655_350
"""Maximum sample rate of FLAC; a recording with a higher one is resampled for Opus."""

OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
OPUS_BITS_PER_S = 64_000
"""Bit rate of a channel. Its artifacts are inaudible in speech, and far below what a gate does."""

LEAD_IN_SAMPLES = 1024
"""Samples of the previous part that a part begins with. Browsers remove the delay of Opus from the
beginning to different precision: the page finds the samples from the end of a part."""

MAX_SOUND_CHANNELS = 2

PART_SAMPLES = 1 << 16
"""Number of samples that are encoded at once."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Encoded sound of a segment, or of a part of it."""

    start_s: float
    """Start within the recording in seconds."""
    end_s: float
    channels: int
    sample_rate: int
    """Sample rate of the encoded sound in Hz."""
    data: str
    """File in base64."""


def choose_max_whole_s(channels: int) -> float:
    """Return the length up to which a recording is on the page as a whole, in seconds."""
    return MAX_WHOLE_S / _count_sound_channels(channels)


def encode_segments(
    blocks: Blocks,
    info: AudioInfo,
    segments: Sequence[Segment],
    watch: Callable[[Iterator[Samples]], Iterator[Samples]] = iter,
) -> Iterator[Sound]:
    """Yield the sound of segments, in one pass over `blocks`.

    More than two channels are mixed to one.

    Parameters
    ----------
    blocks, info
        Samples and properties of the recording.
    segments
        Sorted segments that do not overlap.
    watch
        Function that receives the samples of each sound, and yields them unchanged.
    """
    rate, channels = info.sample_rate, _count_sound_channels(info.channels)
    length_s = sum(end - start for start, end in segments)
    is_short = length_s * rate * channels <= MAX_FLAC_SAMPLES
    is_lossless = is_short and rate <= MAX_FLAC_RATE_HZ
    spans = [span for segment in segments for span in _split_segment(segment, rate)]
    lead_in: list[Samples] = []
    previous_end = 0
    for (start, end), parts in _cut_spans(blocks, spans):
        if start != previous_end:
            lead_in.clear()
        previous_end = end
        encoder = _encode_flac if is_lossless else _encode_opus
        extended = watch(parts) if is_lossless else _extend_part(watch(parts), lead_in)
        encoded_rate, octets = encoder(map(_mix_channels, extended), rate, channels)
        yield Sound(
            start / rate, end / rate, channels, encoded_rate, base64.b64encode(octets).decode()
        )


def _count_sound_channels(channels: int) -> int:
    return channels if channels <= MAX_SOUND_CHANNELS else 1


def _split_segment(segment: Segment, rate: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a segment, in samples."""
    start, end = (round(time * rate) for time in segment)
    length = round(MAX_SOUND_S * rate)
    for first in range(start, end, length):
        yield first, min(end, first + length)


def _cut_spans(
    blocks: Blocks, spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], Iterator[Samples]]]:
    """Yield each span and an iterator over its samples, which must be used up before the next."""
    source = _split_at(blocks, sorted({edge for span in spans for edge in span}))
    position, pending = 0, next(source, None)

    def take(start: int, end: int) -> Iterator[Samples]:
        nonlocal position, pending
        while pending is not None and position < end:
            if position >= start:
                yield pending
            # Only now, because the reader reuses the memory of a block.
            position, pending = position + len(pending), next(source, None)

    for start, end in spans:
        yield (start, end), take(start, end)


def _split_at(blocks: Blocks, edges: Sequence[int]) -> Iterator[Samples]:
    """Yield blocks that are split at the given positions, and into short parts for the encoder."""
    position = 0
    for block, _ in blocks:
        cuts = {edge - position for edge in edges if position < edge < position + len(block)}
        cuts |= set(range(PART_SAMPLES, len(block), PART_SAMPLES))
        yield from filter(len, np.split(block, sorted(cuts)))
        position += len(block)


def _extend_part(samples: Iterator[Samples], lead_in: list[Samples]) -> Iterator[Samples]:
    """Yield `lead_in` and the samples of a part, and replace `lead_in` with the end of the part."""
    yield from lead_in
    lead_in.clear()
    for block in samples:
        yield block
        lead_in[:] = [block[-LEAD_IN_SAMPLES:].copy()]


def _mix_channels(samples: Samples) -> NDArray[np.float32]:
    """Return samples relative to full scale; more than two channels are mixed to one."""
    scaled = samples.astype(np.float32) / np.float32(full_scale(samples.dtype))
    if scaled.shape[1] > MAX_SOUND_CHANNELS:
        scaled = scaled.mean(axis=1, keepdims=True)
    return np.asarray(np.clip(scaled, -1, 1))


def _encode_flac(
    parts: Iterator[NDArray[np.float32]], rate: int, channels: int
) -> tuple[int, bytes]:
    info = AudioInfo(Path(), rate, channels, 0, "FLAC", "PCM_16")
    # Samples of 16 bits are preserved.
    quantized = (np.clip(np.rint(part * 32768), -32768, 32767).astype(np.int16) for part in parts)
    return rate, _encode(quantized, info)


def _encode_opus(
    parts: Iterator[NDArray[np.float32]], rate: int, channels: int
) -> tuple[int, bytes]:
    opus_rate = next((r for r in OPUS_RATES_HZ if r >= rate), OPUS_RATES_HZ[-1])
    info = AudioInfo(
        Path(), opus_rate, channels, 0, "WEBM", "OPUS", bit_rate=OPUS_BITS_PER_S * channels
    )
    return opus_rate, _encode(_resample(parts, rate, opus_rate, channels), info)


def _resample(
    parts: Iterator[NDArray[np.float32]], rate: int, new_rate: int, channels: int
) -> Iterator[NDArray[np.float32]]:
    if rate == new_rate:
        yield from parts
        return
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, channels, dtype="float32")
    for part in parts:
        yield stream.resample_chunk(part)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _encode(parts: Iterator[Samples], info: AudioInfo) -> bytes:
    with spool_output() as path:
        with open_writer(replace(info, path=path)) as writer:
            for part in parts:
                writer.write(part)
        return path.read_bytes()

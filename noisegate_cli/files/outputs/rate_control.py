"""Bit rates and qualities of lossy outputs.

The main process of a batch imports this module, so it must not load numpy.
"""

import re
from typing import NamedTuple

from noisegate_cli.errors import OutputError, SettingsError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import usual_name
from noisegate_cli.text import normalize_number, pluralize, quote_path

MIN_BITS_PER_S = 1000
"""Smaller numbers without a unit are in kbit/s, because no codec has such a low bit rate."""

_BIT_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(k?)(?:b|bit|bps|bit/s|b/s)?", re.IGNORECASE)


class RateLimits(NamedTuple):
    """Bit rates in bit/s that a codec can have."""

    minimum: int
    maximum: int
    per_channel: bool
    """Whether the limits are those of one channel."""
    max_bits_per_sample: float = float("inf")
    """Maximum bits for each sample of a channel."""


RATE_LIMITS = {
    "AAC": RateLimits(8_000, 256_000, per_channel=True, max_bits_per_sample=6),
    "AC3": RateLimits(32_000, 640_000, per_channel=False),
    "EAC3": RateLimits(32_000, 640_000, per_channel=False),
    "MPEG_LAYER_III": RateLimits(16_000, 320_000, per_channel=False),
    "OPUS": RateLimits(6_000, 256_000, per_channel=True),
    "VORBIS": RateLimits(32_000, 250_000, per_channel=True),
}
"""Bit rates by subtype."""

QUALITY_RANGES = {"MPEG_LAYER_III": (0.0, 9.0, "0 is"), "VORBIS": (0.0, 10.0, "10 is")}
"""Lowest and highest value of the quality scale of a codec, and which end is the best."""


def parse_bit_rate(value: str | float) -> int:
    """Return a bit rate in bit/s.

    Raises
    ------
    SettingsError
        If it is not a bit rate.

    Examples
    --------
    >>> parse_bit_rate("128k"), parse_bit_rate("96"), parse_bit_rate(64_000)
    (128000, 96000, 64000)
    """
    match = _BIT_RATE.fullmatch(normalize_number(str(value)))
    number = float(match[1]) if match else 0.0
    if match is None or not 0 < number < 1e9:
        raise SettingsError(f"bit rate {value!r} is not a bit rate: give one such as 128k")
    return round(number * (1000 if match[2] or number < MIN_BITS_PER_S else 1))


def check_rate_control(info: AudioInfo, bit_rate: int | None, quality: float | None) -> None:
    """Check that an output can have a bit rate or a quality.

    Raises
    ------
    OutputError
        If it is lossless, or if the value is out of the range of its codec.
    """
    if bit_rate is None and quality is None:
        return
    name = "quality=" if bit_rate is None else "bit_rate="
    if not info.is_lossy:
        raise OutputError(
            f"{quote_path(info.path)} is lossless ({usual_name(info.format)} {info.subtype}): "
            f"omit {name}"
        )
    if bit_rate is not None:
        _check_bit_rate(info, bit_rate)
    else:
        _check_quality(info, quality or 0.0)


def _check_bit_rate(info: AudioInfo, bit_rate: int) -> None:
    limits = RATE_LIMITS.get(info.subtype)
    if limits is None:
        raise OutputError(
            f"{quote_path(info.path)}: {usual_name(info.subtype)} has a fixed bit rate: "
            "omit bit_rate="
        )
    channels = info.channels if limits.per_channel else 1
    densest = limits.max_bits_per_sample * info.sample_rate
    lowest, highest = limits.minimum * channels, int(min(limits.maximum, densest) * channels)
    if not lowest <= bit_rate <= highest:
        raise OutputError(
            f"{quote_path(info.path)}: bit rate {bit_rate / 1000:g}k is out of range for "
            f"{usual_name(info.subtype)} with {pluralize(info.channels, 'channel')} at "
            f"{info.sample_rate} Hz: "
            f"give bit_rate= {lowest / 1000:g}k to {highest / 1000:g}k"
        )


def _check_quality(info: AudioInfo, quality: float) -> None:
    scale = QUALITY_RANGES.get(info.subtype)
    if scale is None or info.container.writer != "libsndfile":
        raise OutputError(
            f"{quote_path(info.path)}: {usual_name(info.subtype)} in {usual_name(info.format)} "
            "has no quality scale: give bit_rate="
        )
    lowest, highest, best = scale
    if not lowest <= quality <= highest:
        raise OutputError(
            f"{quote_path(info.path)}: quality {quality:g} is out of range for "
            f"{usual_name(info.subtype)}: give quality= {lowest:g} to {highest:g} ({best} the best)"
        )

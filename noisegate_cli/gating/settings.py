"""What the user chooses, in dB and ms, and what that means in frames at a sample rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from noisegate_cli.errors import SettingsError

Channels = Literal["linked", "separate"]

MUTE = -math.inf
"""The range, in dB, of a gate that closes to digital silence."""

FRAME_MS = 30.0
"""A frame must span two periods of the lowest voice, 70 Hz, for its RMS to stand still."""

OVERLAP, MOST_OVERLAP = 4, 64
"""Hops a frame: squared Hann windows add up to a constant from three on, and nothing is gained by
many more."""

LONGEST_MS = 60_000.0
"""No sound is held, faded or looked ahead for longer."""

SHORTEST_FRAME, LONGEST_FRAME = 16, 1 << 20
"""Samples."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Settings converted to the sample rate: the one place where ms become samples and frames."""

    frame_length: int
    """Samples in one analysis window."""
    hop_length: int
    """Samples from one frame to the next."""
    hold: int
    """Frames that the gate stays open after the last frame that asked for it."""
    lookahead: int
    """Frames that the gate is fully open before the first frame that asks for it."""
    attack: float
    """Length of the fade-in, in frames; not rounded, so that its shape keeps its time."""
    release: float
    """Length of the fade-out, in frames; not rounded either."""

    @property
    def overlap(self) -> int:
        """Frames that cover each sample."""
        return self.frame_length // self.hop_length


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Everything a gate can be told; the defaults are the preset `voice`.

    Raises
    ------
    SettingsError
        On any value out of its range.

    Examples
    --------
    >>> GateSettings(threshold=0.03).timing(44100)
    Timing(frame_length=2048, hop_length=512, hold=13, lookahead=2, attack=0.43..., release=8.6...)
    """

    threshold: float | None = None
    """Frame RMS above which the gate opens, full scale 1.0; None finds it in the recording."""
    hysteresis_db: float = 3.0
    """The gate closes only this far below the threshold, dB."""
    attack_ms: float = 5.0
    """Fade-in. It ends where the lookahead begins, so an onset is never faded."""
    hold_ms: float = 150.0
    """The gate stays fully open this long after the level fell."""
    release_ms: float = 100.0
    """Fade-out after the hold."""
    lookahead_ms: float = 20.0
    """The gate is fully open this long before the level rises."""
    range_db: float = MUTE
    """Gain of the closed gate, dB: 0 does nothing, minus infinity is silence."""
    frame_length: int | None = None
    """Samples in a frame; None is the power of two at or above 30 ms."""
    hop_length: int | None = None
    """Samples from frame to frame; None is a quarter of the frame."""
    channels: Channels = "linked"
    """`linked`: the loudest channel decides for all. `separate`: each has a gate of its own."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise SettingsError(
                f"threshold {self.threshold:g} is not a linear RMS between 0 and full scale, 1.0"
            )
        for name in ("hysteresis_db", "attack_ms", "hold_ms", "release_ms", "lookahead_ms"):
            value = getattr(self, name)
            if not 0 <= value <= LONGEST_MS:
                raise SettingsError(
                    f"{_spoken(name)} {value:g} must be 0 or more, and {LONGEST_MS:g} at the most"
                )
        if not self.range_db <= 0:
            raise SettingsError(
                f"range {self.range_db:g} dB must be 0 or below: it is the gain of the closed gate"
            )
        if self.channels not in get_args(Channels):
            raise SettingsError(f"channels {self.channels!r} must be 'linked' or 'separate'")
        frame, hop = self.frame_length, self.hop_length
        if frame is not None and not SHORTEST_FRAME <= frame <= LONGEST_FRAME:
            raise SettingsError(
                f"frame length {frame} must be {SHORTEST_FRAME} to {LONGEST_FRAME} samples"
            )
        if hop is not None and hop < 1:
            raise SettingsError(f"hop length {hop} must be 1 or more samples")
        if frame is not None:
            _check_hop(frame, default_hop(frame) if hop is None else hop)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "GateSettings":
        """Return the preset called `name`, with single settings overridden.

        Raises
        ------
        SettingsError
            When there is no such preset.
        """
        if name not in PRESETS:
            raise SettingsError(f"preset {name!r} is not one of {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)

    def changes_from(self, other: "GateSettings") -> dict[str, Any]:
        """Return the settings in which this differs from `other`."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value != getattr(other, name)}

    @property
    def closed_gain(self) -> float:
        """Linear gain of the closed gate."""
        return float(10 ** (self.range_db / 20))

    def timing(self, sample_rate: int) -> Timing:
        """Convert to samples and frames at `sample_rate`, in Hz.

        Raises
        ------
        SettingsError
            When the hop doesn't divide half the frame, or `sample_rate` is none.
        """
        if sample_rate < 1:
            raise SettingsError(f"sample rate {sample_rate} must be 1 Hz or more")
        frame = self.frame_length or default_frame(sample_rate)
        hop = self.hop_length or default_hop(frame)
        _check_hop(frame, hop)
        frames_per_ms = sample_rate / hop / 1000
        return Timing(
            frame_length=frame,
            hop_length=hop,
            hold=round(self.hold_ms * frames_per_ms),
            # Rounded up: what the lookahead promises is the least that it gives.
            lookahead=math.ceil(self.lookahead_ms * frames_per_ms - 1e-9),
            attack=self.attack_ms * frames_per_ms,
            release=self.release_ms * frames_per_ms,
        )


def default_frame(sample_rate: int) -> int:
    """Return the power of two at or above 30 ms, in samples."""
    samples = FRAME_MS / 1000 * sample_rate
    power = 1 << math.ceil(math.log2(max(1.0, samples)))
    return min(max(power, SHORTEST_FRAME), LONGEST_FRAME)


def default_hop(frame_length: int) -> int:
    """Return a quarter of the frame, or the next shorter part of it that divides its half."""
    overlaps = range(OVERLAP, MOST_OVERLAP + 1, 2)
    return frame_length // next((n for n in overlaps if frame_length % n == 0), 2)


def _check_hop(frame: int, hop: int) -> None:
    if frame % 2:
        raise SettingsError(f"frame length {frame} must be even: try --frame-length {frame + 1}")
    if frame % (2 * hop):
        raise SettingsError(
            f"hop length {hop} must divide half the frame length {frame}: "
            f"try --hop-length {default_hop(frame)}"
        )
    if frame > MOST_OVERLAP * hop:
        raise SettingsError(
            f"hop length {hop} is less than a {MOST_OVERLAP}th of the frame length {frame}: "
            f"try --hop-length {default_hop(frame)}"
        )


def _spoken(name: str) -> str:
    return name.replace("_db", " (dB)").replace("_ms", " (ms)").replace("_", " ")


PRESETS: Mapping[str, GateSettings] = MappingProxyType(
    {
        "voice": GateSettings(),
        "music": GateSettings(
            hysteresis_db=6, attack_ms=2, hold_ms=300, release_ms=600, lookahead_ms=20, range_db=-30
        ),
        "field": GateSettings(
            hysteresis_db=4,
            attack_ms=20,
            hold_ms=400,
            release_ms=400,
            lookahead_ms=80,
            range_db=-24,
        ),
        "hard": GateSettings(hysteresis_db=0, attack_ms=0, hold_ms=0, release_ms=0, lookahead_ms=0),
    }
)
"""The presets by name. `hard` is the plain binary mask, equal to masking librosa's STFT."""

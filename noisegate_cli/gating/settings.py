"""What the user chooses, in dB and ms, and what that means in frames at a sample rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from noisegate_cli.errors import SettingsError, SignalError
from noisegate_cli.gating.parsing import AUTO, MUTE, parse_threshold
from noisegate_cli.gating.timing import (
    MAX_FRAME_LENGTH,
    MIN_FRAME_LENGTH,
    Timing,
    check_hop_length,
    default_frame_length,
    default_hop_length,
)

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile

Channels = Literal["linked", "separate"]
Spectral = Literal["off", "soft", "mask"]
NonFinite = Literal["refuse", "zero"]

FIELD_CHOICES = {"channels": Channels, "spectral": Spectral, "nonfinite": NonFinite}


MAX_TIME_MS = 60_000.0
"""No sound is held, faded or looked ahead for longer."""

MIN_KEY_BINS = 4
"""Of a frame's spectrum in a key: a Hann window spreads a tone over that many."""

NON_NEGATIVE_FIELDS = (
    "hysteresis_db",
    "min_closed_ms",
    "min_open_ms",
    "lookahead_ms",
    "attack_ms",
    "hold_ms",
    "release_ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Everything a gate can be told; the defaults are the preset `voice`.

    Raises
    ------
    SettingsError
        On any value out of its range.

    Examples
    --------
    >>> GateSettings(threshold="-20dB").threshold
    0.1
    >>> GateSettings(threshold=0.03).timing(44100)
    Timing(frame_length=2048, hop_length=512, min_closed=17, min_open=7, hold=3, lookahead=3, ...)
    """

    threshold: float | str = AUTO
    """Frame RMS above which the gate opens: linear with full scale 1.0, or text such as "-30dB",
    "floor+6dB" or one of `METHODS`. Text that is a level is stored as linear RMS."""
    adaptive: bool = False
    """Whether the threshold moves with the noise floor; "auto" does that anyway."""
    key_hz: tuple[float, float] | None = None
    """The key filter: the detector hears only what lies between these frequencies, Hz."""
    hysteresis_db: float = 3.0
    """The gate closes only this far below the threshold, dB."""
    min_closed_ms: float = 200.0
    """Shorter pauses are left open."""
    min_open_ms: float = 80.0
    """Shorter sounds don't open the gate."""
    lookahead_ms: float = 30.0
    """The gate is fully open this long before the sound."""
    attack_ms: float = 10.0
    """Fade-in. It ends where the lookahead begins, so an onset is never faded."""
    hold_ms: float = 30.0
    """The gate stays fully open this long after the sound."""
    release_ms: float = 60.0
    """Fade-out after the hold."""
    range_db: float = MUTE
    """Gain of the closed gate, dB: 0 does nothing, minus infinity is silence."""
    frame_length: int | None = None
    """Samples in a frame; None is the power of two at or above 30 ms."""
    hop_length: int | None = None
    """Samples from frame to frame; None is a quarter of the frame."""
    target_floor_db: float | None = None
    """Where closed parts shall land, dBFS: it takes the place of `range_db`, by the noise that the
    recording has."""
    channels: Channels = "linked"
    """`linked`: the loudest channel decides for all. `separate`: each has a gate of its own."""
    spectral: Spectral = "off"
    """Whether the noise goes down in each frequency bin too, before the gate: by `soft` gains, or
    by the plain binary `mask` of the magnitude spectrogram."""
    reduction_db: float = 24.0
    """How far a bin goes down at the most, dB; infinity is silence."""
    noise: "tuple[float, float] | str | tuple[NoiseProfile, ...] | None" = None
    """Where the noise is alone: from and to in seconds, or the name of a recording of it; or the
    noise itself, one for all or one for each channel. None learns it from where the gate is
    closed, and follows it."""
    nonfinite: NonFinite = "refuse"
    """What becomes of samples that are NaN or infinite: `zero` silences them."""

    def __post_init__(self) -> None:
        if isinstance(self.threshold, str):
            object.__setattr__(self, "threshold", parse_threshold(self.threshold))
        elif not 0 <= self.threshold <= 1:
            raise SettingsError(
                f"threshold {self.threshold:g} is not a linear RMS between 0 and full scale, 1.0"
            )
        if self.key_hz and not 0 <= self.key_hz[0] < self.key_hz[1] < math.inf:
            raise SettingsError(
                f"key {self.key_hz[0]:g}-{self.key_hz[1]:g} Hz must be two frequencies, low to high"
            )
        if self.target_floor_db is not None and not self.target_floor_db < 0:
            raise SettingsError(f"target floor {self.target_floor_db:g} dBFS must be below 0")
        for name in NON_NEGATIVE_FIELDS:
            value = getattr(self, name)
            if not 0 <= value <= MAX_TIME_MS:
                raise SettingsError(
                    f"{_field_label(name)} {value:g} must be 0 or more, "
                    f"and {MAX_TIME_MS:g} at the most"
                )
        if not self.range_db <= 0:
            raise SettingsError(
                f"range {self.range_db:g} dB must be 0 or below: it is the gain of the closed gate"
            )
        for name, choices in FIELD_CHOICES.items():
            value = getattr(self, name)
            if value not in get_args(choices):
                known = " or ".join(map(repr, get_args(choices)))
                raise SettingsError(f"{name} {value!r} must be {known}")
        if not self.reduction_db >= 0:
            raise SettingsError(f"reduction {self.reduction_db:g} dB must be 0 or more")
        self._check_noise()
        self._check_frames()

    def _check_noise(self) -> None:
        noise = cast(Any, self.noise)
        if noise == () or not (noise is None or isinstance(noise, str | tuple)):
            raise SettingsError(
                f"noise of type {type(self.noise).__name__} is neither a stretch of time, "
                "(from, to) in seconds, nor the name of a recording"
            )
        if isinstance(noise, tuple) and not self.known_noises and not _is_time_span(noise):
            raise SettingsError(f"noise {noise} is no stretch: give (from, to) in seconds")
        if self.masks_by_level and self.noise is not None:
            raise SettingsError(
                "a mask by a threshold goes by no noise: leave out the one or the other"
            )

    def _check_frames(self) -> None:
        frame, hop = self.frame_length, self.hop_length
        if frame is not None and not MIN_FRAME_LENGTH <= frame <= MAX_FRAME_LENGTH:
            raise SettingsError(
                f"frame length {frame} must be {MIN_FRAME_LENGTH} to {MAX_FRAME_LENGTH} samples"
            )
        if hop is not None and hop < 1:
            raise SettingsError(f"hop length {hop} must be 1 or more samples")
        if frame is not None:
            check_hop_length(frame, default_hop_length(frame) if hop is None else hop)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "GateSettings":
        """Return the preset called `name`, with single settings overridden.

        After a spectral gate the range is 0 dB, unless it is given: pauses are quiet already. That
        of the preset `hard` is a mask.

        Raises
        ------
        SettingsError
            When there is no such preset.
        """
        if name not in PRESETS:
            raise SettingsError(f"preset {name!r} is not one of {', '.join(PRESETS)}")
        if changes.get("spectral", "off") != "off":
            changes = {"range_db": 0.0} | changes
        return replace(PRESETS[name], **changes)

    def changes_from(self, other: "GateSettings") -> dict[str, Any]:
        """Return the settings in which this differs from `other`."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value != getattr(other, name)}

    @property
    def live(self) -> "GateSettings":
        """The same for a stream that can't wait to see how long a pause or a sound will be.

        The hold bridges short pauses instead, short sounds open the gate, and the fade-in takes
        its time from the lookahead. Samples then come out at most a frame, a hop and the lookahead
        after they went in, or the attack where that is longer.
        """
        hold = max(self.hold_ms, self.min_closed_ms)
        lookahead = max(0.0, self.lookahead_ms - self.attack_ms)
        return replace(
            self, hold_ms=hold, lookahead_ms=lookahead, min_closed_ms=0.0, min_open_ms=0.0
        )

    def delay_ms(self, sample_rate: int) -> float:
        """Return how much later a live gate tells samples than it gets them, at the most."""
        timing = self.timing(sample_rate)
        samples = timing.frame_length + timing.hop_length
        return 1000 * samples / sample_rate + self.lookahead_ms + self.attack_ms

    @property
    def closed_gain(self) -> float:
        """Linear gain of the closed gate."""
        return float(10 ** (self.range_db / 20))

    @property
    def bin_floor(self) -> float:
        """The least linear gain of a bin in the spectral gate."""
        return float(10 ** (-self.reduction_db / 20))

    @property
    def window_power(self) -> float:
        """Which power of Hann's window the spectral gate takes: librosa's mask takes the first."""
        return 0.5 if self.spectral == "soft" else 1.0

    @property
    def pause_reduction_db(self) -> float:
        """How far the spectral gate alone turns down all where the gate is closed, dB."""
        return self.reduction_db if self.spectral == "soft" else 0.0

    @property
    def zero_nonfinite(self) -> bool:
        """Whether samples that are NaN or infinite become silence instead of an error."""
        return self.nonfinite == "zero"

    @property
    def masks_by_level(self) -> bool:
        """Whether bins are held against the threshold, whatever the noise is."""
        return self.spectral == "mask" and not isinstance(self.threshold, str)

    @property
    def noise_file(self) -> str | None:
        """The name of a recording of the noise, if the spectral gate has to read one."""
        return self.noise if self.spectral != "off" and isinstance(self.noise, str) else None

    @property
    def noise_stretch(self) -> tuple[float, float] | None:
        """From and to, in seconds, if the spectral gate has to learn the noise there."""
        if self.spectral == "off" or not isinstance(self.noise, tuple) or self.known_noises:
            return None
        return cast(tuple[float, float], self.noise)

    @property
    def known_noises(self) -> "tuple[NoiseProfile, ...]":
        """The noise in each bin, if it is given and not only where it is."""
        noise = cast(Any, self.noise)
        is_known = isinstance(noise, tuple) and not isinstance(noise[0], int | float)
        return noise if is_known else ()

    def noise_of(self, gates: int) -> "tuple[NoiseProfile | None, ...]":
        """Return the noise that is given for each gate.

        Raises
        ------
        SignalError
            When there are others than one for all or one for each.
        """
        known = self.known_noises or (None,)
        if len(known) not in (1, gates):
            raise SignalError(
                f"the noise has {len(known)} channels, for {gates}: give one of as many, or of one"
            )
        return known if len(known) == gates else known * gates

    @property
    def learns_noise(self) -> bool:
        """Whether the noise in each bin has to be found in the recording."""
        return self.spectral != "off" and self.noise is None and not self.masks_by_level

    def key_band(self, sample_rate: int) -> tuple[float, float]:
        """Return what the key filter lets through at `sample_rate`, in Hz: all without one.

        Raises
        ------
        SignalError
            When a recording of that rate has nothing there, or a frame is too short to tell it.
        """
        low, wanted = self.key_hz or (0.0, math.inf)
        # Bins near half the rate carry little but the anti-aliasing filter: only a key that lies
        # wholly there goes beyond 0.49.
        limit = (0.49 if low < 0.49 * sample_rate else 0.5) * sample_rate
        high = min(wanted, limit)
        if low >= high:
            raise SignalError(
                f"key {low:g}-{wanted:g} Hz is above all that {sample_rate} samples a second hold"
            )
        resolved = MIN_KEY_BINS * sample_rate / self.timing(sample_rate).frame_length
        if self.key_hz and high - low < resolved:
            needed = 1 << math.ceil(math.log2(MIN_KEY_BINS * sample_rate / (high - low)))
            raise SignalError(
                f"key {low:g}-{wanted:g} Hz is narrower than the {resolved:.0f} Hz that a frame "
                f"can tell: give a wider one, or frame_length={needed}"
            )
        return low, high

    def timing(self, sample_rate: int) -> Timing:
        """Convert to samples and frames at `sample_rate`, in Hz.

        Raises
        ------
        SettingsError
            When the hop doesn't divide half the frame, or `sample_rate` is none.
        """
        if sample_rate < 1:
            raise SettingsError(f"sample rate {sample_rate} must be 1 Hz or more")
        frame = self.frame_length or default_frame_length(sample_rate)
        hop = self.hop_length or default_hop_length(frame)
        check_hop_length(frame, hop)
        frames_per_ms = sample_rate / hop / 1000
        return Timing(
            frame_length=frame,
            hop_length=hop,
            min_closed=round(self.min_closed_ms * frames_per_ms),
            min_open=round(self.min_open_ms * frames_per_ms),
            hold=round(self.hold_ms * frames_per_ms),
            # Rounded up: what the lookahead promises is the least that it gives.
            lookahead=math.ceil(self.lookahead_ms * frames_per_ms - 1e-9),
            attack=self.attack_ms * frames_per_ms,
            release=self.release_ms * frames_per_ms,
        )


def _is_time_span(noise: tuple[Any, ...]) -> bool:
    return len(noise) == 2 and 0 <= noise[0] < noise[1] < math.inf


def _field_label(name: str) -> str:
    return name.replace("_db", " (dB)").replace("_ms", " (ms)").replace("_", " ")


PRESETS: Mapping[str, GateSettings] = MappingProxyType(
    {
        "voice": GateSettings(),
        "music": GateSettings(
            hysteresis_db=6,
            attack_ms=2,
            hold_ms=300,
            release_ms=600,
            lookahead_ms=20,
            range_db=-30,
            reduction_db=12,
        ),
        "field": GateSettings(
            hysteresis_db=4,
            attack_ms=20,
            hold_ms=400,
            release_ms=400,
            lookahead_ms=80,
            range_db=-24,
            reduction_db=18,
        ),
        "hard": GateSettings(
            hysteresis_db=0,
            min_closed_ms=0,
            min_open_ms=0,
            lookahead_ms=0,
            attack_ms=0,
            hold_ms=0,
            release_ms=0,
            reduction_db=math.inf,
        ),
    }
)
"""The presets by name. `hard` is the plain binary mask, equal to masking librosa's STFT."""

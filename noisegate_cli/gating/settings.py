"""Settings of the gate, in dB and ms, and their conversion to frames at a sample rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

from noisegate_cli.errors import SettingsError, SignalError
from noisegate_cli.gating.parsing import AUTO, MUTE
from noisegate_cli.gating.setting_values import (
    Channels,
    Listen,
    NonFinite,
    SettingsChanges,
    Spectral,
    check_value,
    convert_value,
)
from noisegate_cli.gating.timing import (
    Timing,
    check_hop_length,
    default_frame_length,
    default_hop_length,
)
from noisegate_cli.text import suggest_nearest

MIN_KEY_BINS = 4
"""Minimum width of a key band in bins of the spectrum: a Hann window spreads a tone over them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Settings of a gate; the defaults are the preset `voice`.

    Parameters
    ----------
    threshold : float or str
        Frame RMS above which the gate opens: linear with full scale 1.0, or text: a level such as
        "-30dB", a distance from the noise such as "floor+6dB", or a method: "auto", "auto:otsu",
        "auto:gmm" or "auto:p56". A level is stored as linear RMS.
    adaptive : bool
        Whether the threshold follows the noise floor; "auto" always follows it.
    key_hz : (float, float), optional
        Band of the key filter in Hz: the detector ignores other frequencies. None is all.
    hysteresis_db : float
        Distance in dB between the opening threshold and the lower closing threshold.
    min_closed_ms : float
        The gate stays open in shorter pauses.
    min_open_ms : float
        Shorter sounds do not open the gate.
    lookahead_ms : float
        The gate is fully open this long before the sound.
    attack_ms : float
        Length of the fade-in. It ends where the lookahead begins, so it does not affect onsets.
    hold_ms : float
        The gate stays fully open this long after the sound.
    release_ms : float
        Length of the fade-out after the hold.
    range_db : float or str, optional
        Gain of the closed gate in dB: 0 does nothing, minus infinity or "mute" is silence. None is
        silence without a spectral gate, and 0 dB with one, because the pauses are quiet already.
    ratio : float
        Above 1: for each decibel below the threshold, the output is this many decibels below it,
        down to the range. This is a downward expander; infinity, the default, is a gate.
    knee_db : float
        Width in dB of the soft knee of an expander, around the threshold.
    duck : bool
        Whether the gate is closed where it would be open, and open elsewhere, with the same times.
    frame_length : int, optional
        Samples per frame; None is the smallest power of two that spans at least 30 ms.
    hop_length : int, optional
        Samples from frame to frame; None is a quarter of the frame.
    target_floor_db : float, optional
        Level of the pauses in the output, in dBFS. The range results from the noise in the
        recording; `range_db` must then be None.
    channels : {"linked", "separate", "exclusive"}
        `linked`: the loudest channel opens the gate of all. `separate`: each channel has a gate.
        `exclusive`: each channel has a gate that stays closed for the bleed of the other channels.
    spectral : {"off", "soft", "mask"} or bool
        Whether the noise is also reduced in each frequency bin, before the gate: with `soft` gains,
        or with the binary `mask` of the magnitude spectrogram. True is `soft`.
    reduction_db : float or str
        Maximum attenuation of a bin in dB; infinity or "mute" is silence. With `soft` gains, it is
        at most 16 dB where the gate is open, or 8 dB less than this value if that is more.
    noise : str, Path or (float, float), optional
        Where the noise is alone: the path of a recording of it, or a span of the recording itself,
        from and to in seconds. None learns it from the pauses and tracks it. Paths are stored as
        text.
    nonfinite : {"refuse", "zero"}
        NaN and infinite samples: `refuse` raises an error, `zero` replaces them with zero.
    listen : {"voice", "all"}
        What the threshold "auto" detects: with `all`, every sound that differs from the noise. With
        `voice`, the gate closes on sounds without a voice nearby, such as keys and doors between
        words, unless the recording has few voices.
    speech : bool
        Whether the threshold "auto" also uses a neural speech detector. It requires the extra
        `noisegate-cli[speech]`.

    Raises
    ------
    SettingsError
        If a value is out of its range, or values contradict each other.

    Examples
    --------
    >>> GateSettings(threshold="-20dB").threshold
    0.1
    >>> GateSettings(threshold=0.03).timing(44100)
    Timing(frame_length=2048, hop_length=512, min_closed=17, min_open=7, hold=3, lookahead=3, ...)
    """

    threshold: float | str = AUTO
    adaptive: bool = False
    key_hz: tuple[float, float] | None = None
    hysteresis_db: float = 3.0
    min_closed_ms: float = 200.0
    min_open_ms: float = 80.0
    lookahead_ms: float = 30.0
    attack_ms: float = 10.0
    hold_ms: float = 30.0
    release_ms: float = 60.0
    range_db: float | None = None
    ratio: float = math.inf
    knee_db: float = 0.0
    duck: bool = False
    frame_length: int | None = None
    hop_length: int | None = None
    target_floor_db: float | None = None
    channels: Channels = "linked"
    spectral: Spectral = "off"
    reduction_db: float = 24.0
    noise: str | tuple[float, float] | None = None
    nonfinite: NonFinite = "refuse"
    listen: Listen = "voice"
    speech: bool = False

    if TYPE_CHECKING:
        # A value may be given in other types than the one in which it is stored.
        def __init__(self, **settings: Unpack[SettingsChanges]) -> None: ...

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            value = convert_value(field.name, given)
            check_value(field.name, value)
            if value is not given:
                object.__setattr__(self, field.name, value)
        if self.range_db is not None and self.target_floor_db is not None:
            raise SettingsError(
                "range_db= and target_floor_db= both set the gain of the closed "
                "gate: give one of them"
            )
        if self.speech and self.threshold != AUTO:
            raise SettingsError('speech=True requires the threshold "auto"')
        if self.frame_length is not None:
            hop_length = self.hop_length or default_hop_length(self.frame_length)
            check_hop_length(self.frame_length, hop_length)
        if self.expands:
            self._check_expander()
        elif self.knee_db:
            raise SettingsError("knee_db= is for an expander: give ratio=4 too")
        if self.duck:
            self._check_duck()
        if self.noise is not None:
            self._check_noise()

    def _check_expander(self) -> None:
        if self.threshold == AUTO:
            raise SettingsError(
                f"ratio {self.ratio:g} needs the level below which it expands, and the automatic "
                "detector has none: give threshold='-40dB', or threshold='floor+6dB'"
            )
        if self.target_floor_db is not None:
            raise SettingsError(
                "ratio= and target_floor_db= both say how quiet the pauses become: give one of them"
            )
        if self.closed_range_db == 0:
            raise SettingsError(
                f"ratio {self.ratio:g} changes nothing at a range of 0 dB, the default with "
                "spectral=True: give range_db=-24"
                if self.range_db is None
                else f"ratio {self.ratio:g} changes nothing at a range of 0 dB: give range_db=-24"
            )

    def _check_duck(self) -> None:
        if self.expands:
            raise SettingsError(
                f"duck=True attenuates above the threshold, and ratio={self.ratio:g} below it: "
                "omit one of them"
            )
        if self.spectral != "off":
            raise SettingsError(
                "duck=True attenuates the signal, and spectral=True the noise: omit one of them"
            )
        if self.target_floor_db is not None:
            raise SettingsError(
                "target_floor_db= is the level of pauses, and duck=True does not attenuate them: "
                "give range_db="
            )

    def _check_noise(self) -> None:
        if self.spectral == "off":
            raise SettingsError("noise= requires spectral=True")
        if self.masks_by_level:
            raise SettingsError(
                "a spectral mask with a threshold does not use noise: omit one of them"
            )

    @classmethod
    def preset(cls, name: str, **changes: Unpack[SettingsChanges]) -> "GateSettings":
        """Return the preset called `name`, with single settings overridden.

        The range of a preset is for a gate that is not spectral and has no target floor.

        Raises
        ------
        SettingsError
            If there is no such preset, or a value is out of its range.

        Examples
        --------
        >>> GateSettings.preset("music", hold_ms=100).range_db
        -30
        >>> GateSettings.preset("music", spectral=True).closed_range_db
        0.0
        """
        if name not in PRESETS:
            hint = suggest_nearest(str(name), PRESETS)
            raise SettingsError(f"preset {name!r} is not one of {', '.join(PRESETS)}{hint}")
        values = _choose_spectral_mode(changes, "mask" if name == "hard" else "soft")
        if values.get("spectral", "off") != "off" or values.get("target_floor_db") is not None:
            values.setdefault("range_db", None)
        return replace(PRESETS[name], **values)

    def changes_from(self, other: "GateSettings") -> dict[str, Any]:
        """Return the settings in which this differs from `other`."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value != getattr(other, name)}

    @property
    def live(self) -> "GateSettings":
        """Equivalent settings for a stream with a short latency.

        A stream cannot wait for the end of a pause or a sound. The hold bridges short pauses, short
        sounds open the gate, and the fade-in is part of the lookahead. The latency is at most a
        frame, a hop and the longer of lookahead and attack; see `GateStream.latency`.
        """
        hold = max(self.hold_ms, self.min_closed_ms)
        lookahead = max(0.0, self.lookahead_ms - self.attack_ms)
        return replace(
            self, hold_ms=hold, lookahead_ms=lookahead, min_closed_ms=0.0, min_open_ms=0.0
        )

    @property
    def closed_range_db(self) -> float:
        """Gain of the closed gate in dB: `range_db`, or its default."""
        if self.range_db is not None:
            return self.range_db
        return MUTE if self.spectral == "off" else 0.0

    @property
    def softens_range(self) -> bool:
        """Whether the automatic gate attenuates less where signal and noise are hard to separate.

        It does, unless the settings or the preset give a range or a target floor.
        """
        is_given = self.range_db is not None or self.target_floor_db is not None
        is_default = not is_given and self.spectral == "off" and not self.duck
        return self.threshold == AUTO and is_default

    @property
    def expands(self) -> bool:
        """Whether the gain falls with the level below the threshold, as in an expander."""
        return self.ratio < math.inf

    @property
    def resolved(self) -> "GateSettings":
        """The same settings with the default of `range_db` filled in."""
        if self.target_floor_db is not None:
            return self
        return replace(self, range_db=self.closed_range_db)

    @property
    def bin_floor(self) -> float:
        """Minimum linear gain of a bin in the spectral gate."""
        return float(10 ** (-self.reduction_db / 20))

    @property
    def window_exponent(self) -> float:
        """Exponent of the Hann window of the spectral gate: 1 for the mask, as in librosa."""
        return 0.5 if self.spectral == "soft" else 1.0

    @property
    def pause_reduction_db(self) -> float:
        """Attenuation by the spectral gate alone where the gate is closed, in dB."""
        return self.reduction_db if self.spectral == "soft" else 0.0

    @property
    def closes_on_events(self) -> bool:
        """Whether the automatic gate closes on sounds without a voice nearby.

        A key band already defines what counts.
        """
        return self.speech or (self.listen == "voice" and self.key_hz is None)

    @property
    def zero_nonfinite(self) -> bool:
        """Whether NaN and infinite samples become zero instead of an error."""
        return self.nonfinite == "zero"

    @property
    def masks_by_level(self) -> bool:
        """Whether bins are compared with the threshold instead of the noise."""
        return self.spectral == "mask" and not isinstance(self.threshold, str)

    @property
    def noise_file(self) -> str | None:
        """Path of the recording of the noise, if there is one."""
        return self.noise if isinstance(self.noise, str) else None

    @property
    def noise_span(self) -> tuple[float, float] | None:
        """Span of the recording that contains only noise, from and to in seconds."""
        return self.noise if isinstance(self.noise, tuple) else None

    @property
    def needs_noise(self) -> bool:
        """Whether the spectral gate needs the noise in each bin."""
        return self.spectral != "off" and not self.masks_by_level

    def key_band(self, sample_rate: int) -> tuple[float, float]:
        """Return the passband of the key filter at a sample rate, in Hz; all without one.

        Raises
        ------
        SignalError
            If the band is above half the sample rate, or narrower than a frame can resolve.
        """
        low, key_high = self.key_hz or (0.0, math.inf)
        # Bins near half the rate contain only the edge of the anti-aliasing filter. Only a key
        # that lies entirely there extends beyond 0.49.
        limit = (0.49 if low < 0.49 * sample_rate else 0.5) * sample_rate
        high = min(key_high, limit)
        if low >= high:
            raise SignalError(
                f"key {low:g}-{key_high:g} Hz is above half the sample rate of {sample_rate} Hz"
            )
        if self.key_hz is None:
            return low, high
        resolved = MIN_KEY_BINS * sample_rate / self.timing(sample_rate).frame_length
        if high - low < resolved:
            needed = 1 << math.ceil(math.log2(MIN_KEY_BINS * sample_rate / (high - low)))
            raise SignalError(
                f"key {low:g}-{key_high:g} Hz is narrower than the {resolved:.0f} Hz that a frame "
                f"can resolve: give a wider band, or frame_length={needed}"
            )
        return low, high

    def timing(self, sample_rate: int) -> Timing:
        """Return the durations in samples and frames at a sample rate in Hz.

        Raises
        ------
        SettingsError
            If the hop does not divide half the frame, or the sample rate is below 1 Hz.
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
            # Rounded up, because the lookahead is a minimum.
            lookahead=math.ceil(self.lookahead_ms * frames_per_ms - 1e-9),
            attack=self.attack_ms * frames_per_ms,
            release=self.release_ms * frames_per_ms,
        )


def check_settings_type(settings: object) -> None:
    """Raise `SettingsError` if `settings` is another object, such as the name of a preset."""
    if not isinstance(settings, GateSettings):
        hint = f"preset={settings!r}" if isinstance(settings, str) else "GateSettings(...)"
        raise SettingsError(f"settings {settings!r} must be GateSettings: give {hint}")


def build_settings(
    settings: GateSettings | None, preset: str | None, changes: SettingsChanges
) -> GateSettings:
    """Return `settings` or a preset, with single settings overridden.

    Raises
    ------
    SettingsError
        If both are given, the preset does not exist, or a value is out of its range.
    TypeError
        If a change is not a setting.
    """
    names = [field.name for field in fields(GateSettings)]
    for name in changes:
        if name not in names:
            raise TypeError(f"{name!r} is not a setting{suggest_nearest(name, names)}")
    if settings is None:
        return GateSettings.preset(preset or "voice", **changes)
    check_settings_type(settings)
    if preset is not None:
        raise SettingsError(
            f"use either settings= or preset={preset!r}, not both: give the other settings by "
            "name, such as hold_ms=100"
        )
    mode: Spectral = "soft" if settings.spectral == "off" else settings.spectral
    return replace(settings, **_choose_spectral_mode(changes, mode))


def _choose_spectral_mode(changes: SettingsChanges, mode: Spectral) -> dict[str, Any]:
    """Return `changes` with `mode` in place of spectral=True."""
    values: dict[str, Any] = {**changes}
    if isinstance(values.get("spectral"), bool):
        values["spectral"] = mode if values["spectral"] else "off"
    return values


PRESETS: Mapping[str, GateSettings] = MappingProxyType(
    {
        "voice": GateSettings(),
        "music": GateSettings(
            listen="all",
            hysteresis_db=6,
            attack_ms=2,
            hold_ms=300,
            release_ms=600,
            lookahead_ms=20,
            range_db=-30,
            reduction_db=12,
        ),
        "field": GateSettings(
            listen="all",
            hysteresis_db=4,
            attack_ms=20,
            hold_ms=400,
            release_ms=400,
            lookahead_ms=80,
            range_db=-24,
            reduction_db=18,
        ),
        "hard": GateSettings(
            listen="all",
            hysteresis_db=0,
            min_closed_ms=0,
            min_open_ms=0,
            lookahead_ms=0,
            attack_ms=0,
            hold_ms=0,
            release_ms=0,
            range_db=MUTE,
            reduction_db=math.inf,
        ),
    }
)
"""The presets by name. `hard` is the plain binary mask, equal to masking librosa's STFT."""

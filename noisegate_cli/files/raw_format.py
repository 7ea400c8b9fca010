"""Format of raw PCM samples, which have no header."""

from dataclasses import dataclass
from numbers import Integral

from noisegate_cli.errors import SettingsError
from noisegate_cli.files.audio_info import is_plausible

RAW_SUBTYPES = {
    "s8": "PCM_S8",
    "u8": "PCM_U8",
    "s16": "PCM_16",
    "s24": "PCM_24",
    "s32": "PCM_32",
    "f32": "FLOAT",
    "f64": "DOUBLE",
}
"""Sample types of raw PCM, and libsndfile's name for each."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Format of raw PCM samples, which have no header.

    Parameters
    ----------
    sample_rate : int
        Sample rate in Hz.
    channels : int
        Number of channels.
    subtype : str
        libsndfile's name of the sample type: PCM_S8, PCM_U8, PCM_16, PCM_24, PCM_32, FLOAT or
        DOUBLE.
    big_endian : bool, default False
        Whether the most significant byte comes first.

    Raises
    ------
    SettingsError
        If no recording has that sample rate or number of channels, or there is no such sample type.

    Examples
    --------
    >>> RawFormat.parse("44100:1:s16")
    RawFormat(sample_rate=44100, channels=1, subtype='PCM_16', big_endian=False)
    >>> RawFormat.parse("48000:2:f32be").big_endian
    True
    """

    sample_rate: int
    channels: int = 0
    subtype: str = ""
    big_endian: bool = False

    def __post_init__(self) -> None:
        numbers = self.sample_rate, self.channels
        are_integers = all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers)
        is_possible = are_integers and is_plausible(self.channels, self.sample_rate)
        if not is_possible or self.subtype not in RAW_SUBTYPES.values():
            raise SettingsError(
                f"{self!r} is not a sample format: "
                "give for example RawFormat(44100, 1, 'PCM_16') or RawFormat.parse('44100:1:s16'), "
                f"where the subtype is one of {' '.join(RAW_SUBTYPES.values())}"
            )

    @classmethod
    def from_value(cls, raw: "RawFormat | str | None") -> "RawFormat | None":
        """Return a format that is given as an object or as text; None if there is none.

        Raises
        ------
        SettingsError
            If the text or the type is invalid.
        """
        if raw is None or isinstance(raw, RawFormat):
            return raw
        if not isinstance(raw, str):
            raise SettingsError(f"raw {raw!r} is not a RawFormat: give for example '44100:1:s16'")
        return cls.parse(raw)

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """Parse `RATE:CHANNELS:TYPE`.

        Raises
        ------
        SettingsError
            If `text` is invalid; the message quotes it.
        """
        if not isinstance(text, str):
            raise SettingsError(f"raw {text!r} is not text: give for example '44100:1:s16'")
        parts = text.strip().lower().split(":")
        sample_type = parts[-1]
        big_endian = sample_type.endswith("be")
        sample_type = sample_type.removesuffix("be").removesuffix("le")
        try:
            rate, channels = int(parts[0]), int(parts[1])
            if len(parts) != 3 or sample_type not in RAW_SUBTYPES or rate < 1 or channels < 1:
                raise ValueError
        except (ValueError, IndexError):
            raise SettingsError(
                f"raw {text!r} is not RATE:CHANNELS:TYPE: give for example 44100:1:s16, "
                f"the type is one of {' '.join(RAW_SUBTYPES)}, "
                "with be at the end if it is big-endian"
            ) from None
        if not is_plausible(channels, rate):
            raise SettingsError(
                f"raw {text!r} means {channels} channels at {rate} Hz, which is impossible: "
                "give for example 44100:1:s16"
            )
        return cls(rate, channels, RAW_SUBTYPES[sample_type], big_endian)

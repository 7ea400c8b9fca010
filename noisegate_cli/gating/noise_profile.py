"""Power spectrum of a noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.frames.stft import BinPowers, Stft
from noisegate_cli.samples import to_db
from noisegate_cli.text import format_repr

FULL_SIGNAL_SHARES = np.ones(2, np.float32)
"""Share of signal if it is unknown: everything above the noise counts as signal."""

NoiseSource = Literal["pauses", "quietest", "given"]


@dataclass(frozen=True, repr=False)
class NoiseProfile:
    """Power spectral density of a noise.

    Attributes
    ----------
    power_densities : tuple of float
        Mean square per Hz, full scale 1.0, at evenly spaced frequencies from 0 to `highest_hz`.
    highest_hz : float
        Highest frequency in Hz.
    source : {"pauses", "quietest", "given"}
        Origin: the `pauses`, the `quietest` frames of each bin, or `given` by the caller.
    signal_shares : tuple of float
        Share of the power above the noise that is signal, 0 to 1, at evenly spaced frequencies.
    """

    power_densities: tuple[float, ...] = field(repr=False)
    highest_hz: float
    source: NoiseSource
    signal_shares: tuple[float, ...] = field(default=(1.0, 1.0), repr=False)

    @classmethod
    def from_mean_powers(
        cls,
        mean: NDArray[Any],
        transform: Stft,
        sample_rate: int,
        source: NoiseSource,
        signal_shares: BinPowers = FULL_SIGNAL_SHARES,
    ) -> "NoiseProfile":
        """Create a profile from the mean |X|² in the bins of a transform."""
        power_densities = np.asarray(mean, np.float64) * density_per_power(transform, sample_rate)
        return cls(
            tuple(power_densities.tolist()), sample_rate / 2, source, tuple(signal_shares.tolist())
        )

    def __repr__(self) -> str:
        return format_repr(self, "source", "highest_hz")

    def interpolate_to_bins(
        self, transform: Stft, sample_rate: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean |X|² and the share of signal in each bin of a transform.

        Above `highest_hz` the noise is 0.
        """
        hz = np.linspace(0, sample_rate / 2, transform.bins)
        noise = np.interp(
            hz, self._frequencies_hz(self.power_densities), self.power_densities, right=0.0
        )
        share = np.interp(hz, self._frequencies_hz(self.signal_shares), self.signal_shares)
        return noise / density_per_power(transform, sample_rate), share

    def _frequencies_hz(self, values: Sequence[float]) -> NDArray[np.float64]:
        return np.linspace(0, self.highest_hz, len(values))

    def level_db(self, low_hz: float = 0.0, high_hz: float = math.inf) -> float:
        """Return the level between two frequencies, in dBFS."""
        step = self.highest_hz / (len(self.power_densities) - 1)
        centers = step * np.arange(len(self.power_densities))
        # The first and the last bin are half as wide as the others.
        upper = np.clip(centers + step / 2, low_hz, min(high_hz, self.highest_hz))
        lower = np.clip(centers - step / 2, max(low_hz, 0.0), min(high_hz, self.highest_hz))
        return float(
            to_db(math.sqrt(np.maximum(upper - lower, 0) @ np.array(self.power_densities)))
        )

    def compute_band_levels(self, per_octave: int) -> list[tuple[float, float, float]]:
        """Return (low Hz, high Hz, level in dBFS) of fractional-octave bands from 22 Hz upwards."""
        bands = []
        edge = 2.0 ** (-5.5)
        while 1000 * edge < self.highest_hz:
            low, high = 1000 * edge, min(self.highest_hz, 1000 * edge * 2 ** (1 / per_octave))
            bands.append((low, high, self.level_db(low, high)))
            edge *= 2 ** (1 / per_octave)
        return bands


NoiseProfiles: TypeAlias = tuple[NoiseProfile, ...]
"""Noise profiles that the caller gave: one for all gates or one for each; empty if none."""


def match_noise_profiles(
    profiles: "Sequence[NoiseProfile | None]", gates: int
) -> tuple[NoiseProfile | None, ...]:
    """Return one profile for each gate, from one for each or one for all.

    Raises
    ------
    SignalError
        If the number of profiles is different.
    """
    if len(profiles) not in (1, gates):
        raise SignalError(
            f"the noise has {len(profiles)} channels, for {gates}: give noise with as "
            "many channels, or with one"
        )
    return tuple(profiles) * (gates // len(profiles))


def density_per_power(transform: Stft, sample_rate: int) -> float:
    """Return the mean square per Hz that corresponds to a mean |X|² of 1 in all bins."""
    return transform.mean_square_per_power * 2 * (transform.bins - 1) / sample_rate

"""What is known of a noise: its power at each frequency."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.stft import BinPowers, Stft
from noisegate_cli.samples import to_db

FULL_SIGNAL_SHARES = np.ones(2, np.float32)
"""The share of signal where nothing is known of it."""

NoiseSource = Literal["pauses", "quietest", "given"]


@dataclass(frozen=True)
class NoiseProfile:
    """The power spectrum of a noise."""

    power_densities: tuple[float, ...]
    """Mean square for each Hz, full scale 1.0, at frequencies evenly from 0 to `highest_hz`."""
    highest_hz: float
    source: NoiseSource
    """Where it was found: in the `pauses`, in what is `quietest` in each bin, or as `given`."""
    signal_shares: tuple[float, ...] = (1.0, 1.0)
    """At the like frequencies, how much of what stands out of the noise is signal, 0 to 1."""

    @classmethod
    def from_mean_powers(
        cls,
        mean: NDArray[Any],
        transform: Stft,
        sample_rate: int,
        source: NoiseSource,
        signal_shares: BinPowers = FULL_SIGNAL_SHARES,
    ) -> "NoiseProfile":
        """Return the profile of a noise that has these mean |X|² in the bins of a transform."""
        power_densities = np.asarray(mean, np.float64) * _density_per_power(transform, sample_rate)
        return cls(
            tuple(power_densities.tolist()), sample_rate / 2, source, tuple(signal_shares.tolist())
        )

    def interpolate_to_bins(
        self, transform: Stft, sample_rate: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean |X|² in the bins of a transform, and the share of signal.

        Above `highest_hz` there is no noise.
        """
        hz = np.linspace(0, sample_rate / 2, transform.bins)
        noise = np.interp(
            hz, self._frequencies_hz(self.power_densities), self.power_densities, right=0.0
        )
        share = np.interp(hz, self._frequencies_hz(self.signal_shares), self.signal_shares)
        return noise / _density_per_power(transform, sample_rate), share

    def _frequencies_hz(self, values: Sequence[float]) -> NDArray[np.float64]:
        return np.linspace(0, self.highest_hz, len(values))

    def level_db(self, low_hz: float = 0.0, high_hz: float = math.inf) -> float:
        """Return the level, in dBFS, between two frequencies."""
        step = self.highest_hz / (len(self.power_densities) - 1)
        centres = step * np.arange(len(self.power_densities))
        # The bins at both ends are half as wide.
        upper = np.clip(centres + step / 2, low_hz, min(high_hz, self.highest_hz))
        lower = np.clip(centres - step / 2, max(low_hz, 0.0), min(high_hz, self.highest_hz))
        return float(
            to_db(math.sqrt(np.maximum(upper - lower, 0) @ np.array(self.power_densities)))
        )

    def compute_band_levels(self, per_octave: int) -> list[tuple[float, float, float]]:
        """Return (from Hz, to Hz, level in dBFS) of bands that divide octaves, from 22 Hz on."""
        bands = []
        edge = 2.0 ** (-5.5)
        while 1000 * edge < self.highest_hz:
            low, high = 1000 * edge, min(self.highest_hz, 1000 * edge * 2 ** (1 / per_octave))
            bands.append((low, high, self.level_db(low, high)))
            edge *= 2 ** (1 / per_octave)
        return bands


def _density_per_power(transform: Stft, sample_rate: int) -> float:
    """Return the mean square for each Hz that a mean |X|² of 1 in all bins stands for."""
    return transform.mean_square_per_power * 2 * (transform.bins - 1) / sample_rate

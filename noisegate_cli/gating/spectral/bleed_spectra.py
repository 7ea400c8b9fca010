"""Spectra of the bleed, from its power in bands."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.stft import BinPowers, Stft
from noisegate_cli.gating.frames.subsampling import SUBSAMPLE_STRIDE_FRAMES
from noisegate_cli.gating.noise_profile import density_per_power
from noisegate_cli.gating.spectral.bin_groups import BinGrouping


class BleedSpectra:
    """Queue of the bleed in the frames of a spectral gate.

    Parameters
    ----------
    edges
        Edges of the bands in Hz.
    transform
        Transform of the spectral gate.
    sample_rate
        In Hz.
    gates
        Number of gates.
    """

    def __init__(
        self, edges: NDArray[np.float64], transform: Stft, sample_rate: int, gates: int
    ) -> None:
        hz = np.linspace(0, sample_rate / 2, transform.bins, dtype=np.float32)
        groups_hz = BinGrouping(transform.bins, sample_rate).mean(hz[None])[0]
        centres = (edges[:-1] + edges[1:]) / 2
        # Above the bands nothing is known about the bleed.
        weights = [
            np.where(groups_hz <= edges[-1], np.interp(groups_hz, centres, band), 0)
            for band in np.eye(len(centres))
        ]
        scale = density_per_power(transform, sample_rate)
        self._weights = (np.array(weights) / scale).astype(np.float32)
        self._powers = np.zeros((0, gates, len(centres)), np.float32)

    @property
    def frames(self) -> int:
        """Number of frames, of the hop of the gate, whose bleed is known."""
        return len(self._powers)

    def append(self, powers: Sequence[BandPowerArray]) -> None:
        """Append the power per Hz of every second frame, each shaped (frames, gates, bands)."""
        parts = [np.repeat(batch, SUBSAMPLE_STRIDE_FRAMES, axis=0) for batch in powers]
        self._powers = np.concatenate([self._powers, *parts])

    def take(self, frames: int, stride: int) -> BinPowers:
        """Remove and return the |X|² of the next frames, `stride` hops apart.

        Beyond the end there is no bleed.

        Returns
        -------
        numpy.ndarray
            Shaped (frames, gates, groups), with the groups of bins that share a gain.
        """
        end = frames * stride
        powers, self._powers = self._powers[:end:stride], self._powers[end:]
        missing = frames - len(powers)
        return np.pad(powers @ self._weights, ((0, missing), (0, 0), (0, 0)))

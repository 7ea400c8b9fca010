"""Band powers and smoothing times that learning and scoring share."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.band_power import BandPowerArray, BandPowerExtractor
from noisegate_cli.gating.frames.subsampling import SUBSAMPLE_STRIDE_FRAMES
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples

MIN_BAND_HZ, MAX_BAND_HZ = 40.0, 10000.0
"""The range covers speech and most of the energy of animal calls and instruments."""

MIN_ULTRASOUND_RATE_HZ = 200000
"""From this sample rate on a recording is made for ultrasound, and the bands reach up to half the
rate."""

BAND_COUNT = 44
"""Number of bands between `MIN_BAND_HZ` and `MAX_BAND_HZ`, equally wide on the mel scale."""

LEVEL_SMOOTHING_MS, SCORE_SMOOTHING_MS = 50.0, 30.0
"""Lengths of the running means over the band levels and over the scores."""


class BandLevelExtractor:
    """Computes the band powers of every second frame for each gate; see `subsampling`.

    Parameters
    ----------
    settings
        Only the key filter, the frame and hop lengths and the channel mode are used.
    sample_rate
        In Hz.
    channels
        Number of channels of the samples.
    """

    def __init__(self, settings: GateSettings, sample_rate: int, channels: int = 1) -> None:
        timing = settings.timing(sample_rate)
        hop = SUBSAMPLE_STRIDE_FRAMES * timing.hop_length
        has_ultrasound = sample_rate >= MIN_ULTRASOUND_RATE_HZ
        low, high = settings.key_band(sample_rate)
        if settings.key_hz is None:
            if not has_ultrasound:
                high = min(high, MAX_BAND_HZ)
            low = min(MIN_BAND_HZ, high / 2)
        self.edges = edges = mel_band_edges(low, high)
        """Edges of the bands in Hz."""
        self.bands = len(edges) - 1
        self.band_widths_hz = np.diff(edges)
        self._per_hz = (1 / self.band_widths_hz).astype(np.float32)
        self.powers = BandPowerExtractor(
            edges, sample_rate, timing.frame_length, hop, oversampling=2
        )
        self.disjoint_distance = max(1, timing.frame_length // hop)
        """Distance in frames at which two frames share no sample."""
        self.frame_s = timing.frame_length / sample_rate
        self.frames_per_s = sample_rate / hop
        self.level_smoothing_frames = 1 if has_ultrasound else self.frames(LEVEL_SMOOTHING_MS)
        """Length of the running mean over the band levels; calls of bats take a few milliseconds,
        and the frame is longer than that already."""
        self.linked = settings.channels == "linked"
        self.gates = 1 if self.linked else channels

    def densities(self, frames: int, samples: Samples) -> BandPowerArray:
        """Return powers per Hz, shaped (frames, gates, bands); the maximum of linked channels."""
        powers = self.powers.compute(frames, samples)
        if self.linked and powers.shape[1] > 1:
            powers = powers.max(axis=1, keepdims=True)
        powers *= self._per_hz
        return powers

    def frames(self, ms: float) -> int:
        """Convert a duration in ms to frames, at least 1."""
        return max(1, round(ms / 1000 * self.frames_per_s))


@lru_cache(maxsize=8)  # They are the same for the recordings of a batch.
def mel_band_edges(low: float, high: float) -> NDArray[np.float64]:
    """Return the edges, in Hz, of bands that are equally wide on the mel scale."""
    mel_low, mel_high = np.log1p(low / 700), np.log1p(high / 700)
    width = (np.log1p(MAX_BAND_HZ / 700) - np.log1p(MIN_BAND_HZ / 700)) / BAND_COUNT
    bands = max(4, round((mel_high - mel_low) / width))
    edges = np.asarray(700 * np.expm1(np.linspace(mel_low, mel_high, bands + 1)))
    edges.flags.writeable = False  # because the cache shares it
    return edges

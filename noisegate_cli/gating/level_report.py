"""What an analysis reports about the levels of a recording."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.detection.threshold import MIN_HISTOGRAM_FRAMES, ThresholdSuggestion
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.report import Report
from noisegate_cli.samples import to_db
from noisegate_cli.text import format_repr

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.gating.simulation import SimulatedGate
    from noisegate_cli.gating.trials import Trial

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)

DRIFT_WINDOW_S = 5.0
"""Length of the windows in which the noise level is measured to find its drift."""

MIN_END_SHARE = 0.25
"""A last window that is shorter than this share of the others belongs to the one before it."""


@dataclass(frozen=True, slots=True, repr=False)
class LevelReport(Report):
    """The levels of a recording, in dBFS; digital silence is −∞.

    Attributes
    ----------
    samples : int
        Number of samples per channel.
    frames : int
        Number of frames.
    peak_db : float
        Peak of all samples.
    rms_db : float
        RMS of all samples of all channels, without dead ones.
    percentiles_db : dict from int to float
        Percentiles of the frame levels, by percentage, without digital silence.
    silent_share : float
        Share of the frames that are digital silence, 0 to 1.
    drift_db : float
        Range of the noise level within the recording, in dB.
    dc_offset_db : float
        Level of the mean of the samples in dBFS, in the channel where it is greatest; minus
        infinity without an offset.
    suggestion : ThresholdSuggestion
        Suggested threshold, or the reason why there is none.
    closed_share : float
        Share of the time during which the gate would be closed, 0 to 1.
    openings_per_minute : float
        Number of openings per minute.
    range_db : float
        Gain of the closed gate in dB.
    trials : tuple of Trial
        Simulations of the gate by ascending threshold; empty for digital silence, and if the
        threshold of the settings is the name of a method.
    given_trial : Trial or None
        Simulation of the gate with the threshold of the settings; None without one.
    noises : tuple of NoiseProfile or None
        Noise profile of each gate for a spectral gate, None where no noise was found.
    histogram : LevelHistogram
        Number of frames at each level.
    active_channels : tuple of int or None
        Channels whose levels count, without dead ones; None for all.
    """

    samples: int
    frames: int
    peak_db: float
    rms_db: float
    percentiles_db: dict[int, float]
    silent_share: float
    drift_db: float
    dc_offset_db: float
    suggestion: ThresholdSuggestion
    closed_share: float
    openings_per_minute: float
    range_db: float
    trials: "tuple[Trial, ...]"
    given_trial: "Trial | None"
    noises: "tuple[NoiseProfile | None, ...]"
    histogram: LevelHistogram
    active_channels: tuple[int, ...] | None

    def __repr__(self) -> str:
        names = ("peak_db", "rms_db", "closed_share", "openings_per_minute")
        return format_repr(self, *names, "suggestion.threshold", "suggestion.verdict")


def compute_drift_db(simulated: "SimulatedGate", frames_per_s: float) -> float:
    """Return the range of the median noise level over windows of the recording, in dB."""
    window_frames = max(1, round(DRIFT_WINDOW_S * frames_per_s))
    windows = simulated.frame_indices // window_frames
    # A short window at the end can consist of a single sound on which the gate is closed.
    frames = int(simulated.frame_indices.max(initial=0)) + 1
    windows = np.minimum(windows, max(0, math.ceil(frames / window_frames - MIN_END_SHARE) - 1))
    medians = []
    for window in range(int(windows.max(initial=-1)) + 1):
        in_window = windows == window
        noise = simulated.levels[in_window][simulated.closed[in_window]]
        if noise.size >= MIN_HISTOGRAM_FRAMES:
            medians.append(float(to_db(median(noise))))
    if not medians:
        return 0.0
    low, high = quantile(np.array(medians), [0.05, 0.95])
    return float(high - low)

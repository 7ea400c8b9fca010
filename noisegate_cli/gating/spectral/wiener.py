"""Wiener gains for each frequency bin, from the a-priori signal-to-noise ratio (SNR).

The module `spectral_gate` derives the formulas.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.framing import frames_per_batch
from noisegate_cli.gating.frames.stft import BinPowers, Spectra
from noisegate_cli.gating.spectral.bin_groups import BinGrouping
from noisegate_cli.gating.spectral.harmonics import HarmonicRegenerator
from noisegate_cli.gating.spectral.level_compensation import LevelCompensator
from noisegate_cli.gating.spectral.noise_frames import SILENT_BIN_POWER
from noisegate_cli.gating.spectral.noise_level import estimate_noise_levels
from noisegate_cli.gating.spectral.noise_tracking import NoiseTracker

SNR_TIME_CONSTANT_S = 0.17
"""Time constant of the recursion where the gain is 1: α = 0.91 at a hop of 16 ms."""

MAX_SMOOTHING_FACTOR = 0.98
"""Maximum α, which very short frames reach: the usual value in the literature."""

CERTAIN_SIGNAL_RATIO = 100.0
"""An a-priori SNR of 20 dB counts as signal in any bin, whatever the share of signal there."""

PRESENCE_GROUPS, PRESENCE_SNR = 16, 0.05
"""Number of groups of bins, a power of two, in the neighborhood of a bin, and their mean a-priori
SNR at which the presence and the absence of signal are equally likely: −13 dB."""

ABSENT_GAIN_DB = -24.0
"""Gain where signal is absent; the minimum gain may be lower or higher."""

MAX_OPEN_REDUCTION_DB, MAX_OPEN_RISE_DB = 16.0, 8.0
"""Noise under a signal warbles less if it is reduced less. Where the gate is open, the reduction of
a bin is limited to the first value, or to the reduction in the pauses minus the second value if
that is more."""

HARMONIC_WEIGHT = 0.4
"""Factor of the SNR of the regenerated harmonics, which is added to the a-priori SNR: −4 dB."""

MAX_SEGMENT_FRAMES, RUN_IN_DIVISOR = 16, 2
"""Maximum number of frames in a segment, and the divisor of it that gives the run-in frames."""

BinGains = NDArray[np.float32]
"""Linear gains of frames, shaped (frames, bins) or (frames, groups of bins)."""

FrameGains = NDArray[np.float64]
"""One value for each frame, shaped (frames,)."""


class WienerGainEstimator:
    """Compute the Wiener gains of one gate from its bin powers, batch by batch.

    Parameters
    ----------
    mean
        Mean |X|² of the noise, shaped (bins,).
    signal_shares
        Share of signal in the excess over the noise, 0 to 1, shaped (bins,).
    should_track_noise
        Whether to track the noise over time; otherwise `mean` applies to all frames.
    frames_per_s
        Frames per second.
    segment
        Number of frames in a segment. All batches except the last one consist of whole segments.
    min_gain
        Minimum gain, linear.
    grouping
        Groups of bins that share a gain.
    regenerator
        Regenerates the harmonics of a signal.
    """

    def __init__(
        self,
        mean: NDArray[np.float64],
        signal_shares: NDArray[np.float64],
        should_track_noise: bool,
        frames_per_s: float,
        segment: int,
        min_gain: float,
        grouping: BinGrouping,
        regenerator: HarmonicRegenerator,
    ) -> None:
        self._grouping = grouping
        self._noise = grouping.mean(mean[None].astype(np.float32))
        self._signal_shares = grouping.mean(signal_shares[None].astype(np.float32))
        self._noise_tracker = (
            NoiseTracker(self._noise[0], frames_per_s, segment) if should_track_noise else None
        )
        self._smoothing_factor = min(
            MAX_SMOOTHING_FACTOR, math.exp(-1 / (SNR_TIME_CONSTANT_S * frames_per_s))
        )
        self._segment, self._run_in_frames = segment, segment // RUN_IN_DIVISOR
        self._min_gain = min_gain
        self._run_in_snr = np.zeros((self._run_in_frames, self._noise.shape[1]), np.float32)
        self._regenerator = regenerator
        self._level_compensator = LevelCompensator(
            grouping.group_widths_bins, frames_per_s, segment
        )
        self._pending_batch: _Batch | None = None

    def estimate_gains(
        self,
        spectra: Sequence[Spectra],
        powers: BinPowers,
        openness: FrameGains,
        is_noise: NDArray[np.bool_],
        last: bool,
        bleed: BinPowers | None = None,
    ) -> "list[BatchGains]":
        """Return the gains of the previous batch, if any, and of this one if it is the last.

        The noise and the segments depend on the batches, which therefore must not depend on the
        blocks of the stream.

        Parameters
        ----------
        spectra
            Spectra of the channels of the gate, each shaped (frames, bins).
        powers
            Mean |X|² of each group of bins, shaped (frames, groups).
        openness
            How far the gate is open in each frame, 0 to 1.
        is_noise
            Which frames contain only noise, shaped (frames,).
        last
            Whether the recording ends with this batch.
        bleed
            |X|² of the bleed of other tracks, which adds to the noise; shaped (frames, groups).
        """
        noise = self._estimate_noise(powers, is_noise, bleed)
        snr = self._compute_a_posteriori_snr(powers, noise)
        run_in = self._run_in_frames
        gains = self._compute_pending_gains(next_snr=snr[run_in:])
        has_bleed = bleed is not None
        self._pending_batch = _Batch(spectra, openness, powers, noise, snr, has_bleed)
        self._run_in_snr = snr[-2 * run_in : -run_in].copy()
        if last:
            gains += self._compute_pending_gains(next_snr=np.zeros_like(self._run_in_snr))
        return gains

    def _estimate_noise(
        self, powers: BinPowers, is_noise: NDArray[np.bool_], bleed: BinPowers | None
    ) -> BinPowers:
        """Return the noise D of whole segments, with the bleed.

        Parameters
        ----------
        powers
            Mean |X|² of each group, shaped (frames, groups).
        is_noise, bleed
            As in `estimate_gains`.

        Returns
        -------
        ndarray
            Shaped (segments, frames, groups), with one frame where a segment has constant noise.
        """
        padding = -len(powers) % self._segment
        segments = (len(powers) + padding) // self._segment
        noise = self._noise
        if self._noise_tracker:
            if padding:
                powers = np.pad(powers, ((0, padding), (0, 0)))
                is_noise = np.pad(is_noise, (0, padding))
            noise = self._noise_tracker.track(powers, is_noise)
        total: BinPowers = noise[:, None] + np.float32(SILENT_BIN_POWER)
        if bleed is not None:
            bleed = np.pad(bleed, ((0, padding), (0, 0)))
            total = total + bleed.reshape(-1, self._segment, bleed.shape[1])
        return np.broadcast_to(total, (segments, *total.shape[1:]))

    def _compute_a_posteriori_snr(self, powers: BinPowers, noise: BinPowers) -> BinPowers:
        """Return γ of whole segments, with the run-in frames before them and room for those after.

        Parameters
        ----------
        powers
            Mean |X|² of each group, shaped (frames, groups).
        noise
            As `_estimate_noise` returns it.
        """
        run_in, padding = self._run_in_frames, -len(powers) % self._segment
        snr = np.empty((run_in + len(powers) + padding + run_in, powers.shape[1]), np.float32)
        snr[:run_in] = self._run_in_snr
        batch_snr = snr[run_in:-run_in]
        batch_snr[: len(powers)] = powers
        batch_snr[len(powers) :] = 0
        by_segment = batch_snr.reshape(-1, self._segment, powers.shape[1])
        np.multiply(by_segment, 1 / noise, out=by_segment)
        return snr

    def _compute_pending_gains(self, next_snr: BinPowers) -> "list[BatchGains]":
        """Return the gains of the pending batch, given the SNR of the frames after it."""
        if self._pending_batch is None:
            return []
        batch = self._pending_batch
        batch.snr[-self._run_in_frames :] = next_snr[: self._run_in_frames]
        # Where the gate is closed, the gain does not depend on the SNR.
        open_frames = np.flatnonzero(batch.openness > 0)
        if self._noise_tracker and not batch.has_bleed and len(open_frames):
            levels = estimate_noise_levels(batch.snr)
        else:
            levels = np.ones(len(batch.snr), np.float32)
        ratio = self._compute_open_snr(batch.snr, levels, open_frames)
        self._add_harmonics(ratio, batch, levels[self._run_in_frames :], open_frames)
        gains = self._compute_wiener_gains(ratio)
        np.maximum(gains, self._open_min_gain(batch), out=gains)
        self._level_compensator.increase(gains, batch.powers, batch.noise, open_frames)
        share = batch.openness[open_frames, None].astype(np.float32)
        closing = np.flatnonzero(share < 1)
        gains[closing] -= np.float32(self._min_gain)
        gains[closing] *= share[closing]
        gains[closing] += np.float32(self._min_gain)
        return [BatchGains(open_frames, gains, self._min_gain)]

    def _open_min_gain(self, batch: "_Batch") -> float:
        """Return the minimum gain where the gate is open. Bleed does not warble as noise does."""
        if batch.has_bleed:
            return self._min_gain
        return limit_min_gain(self._min_gain)

    def _compute_open_snr(
        self, snr: BinPowers, levels: NDArray[np.float32], open_frames: NDArray[np.intp]
    ) -> BinPowers:
        """Return ξ of the open frames of a batch, from γ and the levels of the noise in it."""
        if not len(open_frames):
            return np.zeros((0, snr.shape[1]), np.float32)
        # Nothing is computed for the segments before the first open frame and after the last one.
        start = int(open_frames[0]) // self._segment * self._segment
        end = (int(open_frames[-1]) // self._segment + 1) * self._segment
        needed = slice(start, end + 2 * self._run_in_frames)
        ratio = compute_a_priori_snr(
            snr[needed] / levels[needed, None], self._smoothing_factor, self._segment
        )
        return ratio[open_frames - start]

    def _add_harmonics(
        self,
        ratio: BinPowers,
        batch: "_Batch",
        levels: NDArray[np.float32],
        open_frames: NDArray[np.intp],
    ) -> None:
        """Add the SNR of the harmonics, regenerated from what is above the noise, to ξ."""
        groups = self._regenerator.groups
        gains = wiener_gain(ratio[:, :groups])
        harmonics = self._regenerator.regenerate(batch.spectra, open_frames, gains)
        harmonics *= np.float32(HARMONIC_WEIGHT) / levels[open_frames, None]
        harmonics /= self._select_frames(batch.noise[:, :, :groups], open_frames)
        ratio[:, :groups] += harmonics

    def _select_frames(self, values: BinPowers, frames: NDArray[np.intp]) -> BinPowers:
        """Return the values, shaped (segments, frames or 1, …), of some frames."""
        shape = len(values), self._segment, *values.shape[2:]
        segments, offsets = np.divmod(frames, self._segment)
        return np.broadcast_to(values, shape)[segments, offsets]

    def _compute_wiener_gains(self, ratio: BinPowers) -> BinGains:
        """Return the gains of the groups from their ξ, without a minimum."""
        gains = wiener_gain(ratio)
        gains *= self._signal_shares
        np.maximum(gains, wiener_gain(ratio * np.float32(1 / CERTAIN_SIGNAL_RATIO)), out=gains)
        reduce_where_absent(gains, estimate_presence(ratio))
        return gains


@dataclass(frozen=True, slots=True)
class BatchGains:
    """Gains of the frames of a batch."""

    frames: NDArray[np.intp]
    """Indices of the frames in which the gate is not closed, ascending."""
    gains: BinGains
    """Linear gains of these frames, shaped (frames, groups)."""
    closed_gain: float
    """Linear gain of all bins in the other frames."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Frames whose gains wait for the next batch."""

    spectra: Sequence[Spectra]
    openness: FrameGains
    powers: BinPowers
    """Mean |X|² of each group, shaped (frames, groups)."""
    noise: BinPowers
    """D, shaped (segments, frames, groups) or (segments, 1, groups)."""
    snr: BinPowers
    """γ of whole segments, with run-in frames before and after them."""
    has_bleed: bool
    """Whether D contains the bleed of other tracks."""


def compute_a_priori_snr(
    a_posteriori_snr: BinPowers, smoothing_factor: float, segment: int
) -> BinPowers:
    """Compute the a-priori SNR ξ of frames from γ; the module `spectral_gate` derives it.

    Parameters
    ----------
    a_posteriori_snr
        γ, shaped (frames, bins): whole segments, with run-in frames before and after them.
    smoothing_factor
        α, 0 to 1.
    segment
        Length of a segment in frames.

    Returns
    -------
    ndarray
        ξ of the whole segments, without the run-in frames, shaped (frames, bins).
    """
    run_in = segment // RUN_IN_DIVISOR
    previous_terms = a_posteriori_snr * np.float32(smoothing_factor)
    current_terms = a_posteriori_snr - np.float32(1)
    np.maximum(current_terms, 0, out=current_terms)
    current_terms *= np.float32(1 - smoothing_factor)
    forward, reversed_ = _run_decision_directed(
        np.stack([previous_terms, previous_terms[::-1]]),
        np.stack([current_terms, current_terms[::-1]]),
        segment,
    )
    backward = reversed_[::-1]
    two_step = wiener_gain(np.maximum(forward, backward))
    np.square(two_step, out=two_step)
    two_step *= a_posteriori_snr[run_in:-run_in]
    # √(√(f·b)·s) combines both directions and the two-step estimate.
    forward *= backward
    np.sqrt(forward, out=forward)
    forward *= two_step
    return np.asarray(np.sqrt(forward, out=forward))


def wiener_gain(ratio: BinPowers) -> BinGains:
    """Return ξ/(1 + ξ)."""
    total = ratio + np.float32(1)
    return np.asarray(np.divide(ratio, total, out=total))


def limit_min_gain(min_gain: float) -> float:
    """Return the minimum gain where the gate is open, given the one of the settings.

    Examples
    --------
    >>> [round(limit_min_gain(gain), 3) for gain in (0.0, 0.01, 0.1, 0.5)]
    [0.0, 0.025, 0.158, 0.5]
    """
    raised = min_gain * 10 ** (MAX_OPEN_RISE_DB / 20)
    return max(min_gain, min(raised, 10 ** (-MAX_OPEN_REDUCTION_DB / 20)))


def estimate_presence(ratio: BinPowers) -> BinGains:
    """Return the probability that there is signal near each bin, from the mean ξ of its neighbors.

    A peak of noise has neighbors of noise. The spectrum of speech is wide, so that a bin of speech
    has neighbors with speech.

    Parameters
    ----------
    ratio
        ξ, shaped (frames, groups).

    Returns
    -------
    ndarray
        0 to 1, shaped as `ratio`.
    """
    half = PRESENCE_GROUPS // 2
    # `np.pad` takes several times as long.
    total = np.empty((len(ratio), ratio.shape[1] + PRESENCE_GROUPS - 1), np.float32)
    total[:, :half], total[:, half : 1 - half] = ratio[:, :1], ratio
    total[:, 1 - half :] = ratio[:, -1:]
    shift = 1
    while shift < PRESENCE_GROUPS:
        total = total[:, :-shift] + total[:, shift:]
        shift *= 2
    presence = total + np.float32(PRESENCE_GROUPS * PRESENCE_SNR)
    return np.asarray(np.divide(total, presence, out=presence))


def reduce_where_absent(gains: BinGains, presence: BinGains) -> None:
    """Change gains G above a gain A to G^p·A^(1 − p), with the probability p of presence.

    This is the gain of Cohen and Berdugo (Speech enhancement for non-stationary noise environments,
    2001).
    """
    absent = np.float32(10 ** (ABSENT_GAIN_DB / 20))
    ratio = absent / np.maximum(gains, absent)
    gains *= np.power(ratio, 1 - presence, out=ratio)


def _run_decision_directed(
    previous_terms: BinPowers, current_terms: BinPowers, segment: int
) -> BinPowers:
    """Compute ξ by the decision-directed recursion, for all segments and both directions at once.

    Parameters
    ----------
    previous_terms, current_terms
        α·γ and (1 − α)·max(γ − 1, 0), shaped (directions, frames, bins).
    segment
        Length of a segment in frames.
    """
    run_in = segment // RUN_IN_DIVISOR
    ratio = np.empty_like(current_terms[:, 2 * run_in :])
    frames = ratio.shape[1]
    current = current_terms[:, 0:frames:segment].copy()
    gain = np.empty_like(current)
    for i in range(1, run_in + segment):
        np.add(current, 1, out=gain)
        np.divide(current, gain, out=gain)
        np.multiply(gain, gain, out=gain)
        np.multiply(gain, previous_terms[:, i - 1 : i - 1 + frames : segment], out=gain)
        np.add(gain, current_terms[:, i : i + frames : segment], out=current)
        if i >= run_in:
            ratio[:, i - run_in :: segment] = current
    return ratio


def frames_per_segment(hop_length: int) -> int:
    """Return the number of frames in a segment."""
    return min(MAX_SEGMENT_FRAMES, frames_per_batch(hop_length))

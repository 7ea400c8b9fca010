"""The noise in each frequency bin: learnt from the pauses, followed through them, or given."""

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.frames.framing import Batches, batch_frames
from noisegate_cli.gating.frames.quantile import median, quantile
from noisegate_cli.gating.frames.stft import Powers, Signal, Spectra, Transform, powers
from noisegate_cli.gating.frames.subsampling import HEARD_EVERY, EvenlyKept, stride
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.mask import Frames, Mask
from noisegate_cli.gating.noise_profile import EVERYWHERE, NoiseProfile, Source
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.bin_groups import Grouping
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import Samples, full_scale

SHORTEST_S = 0.1
"""Of noise that is given: a frame or two say little of its mean."""

FOLLOWED_S, PRIOR_S = 2.0, 0.2
"""The noise of a moment is the mean of that before and after it, with this time constant; that of
the whole recording counts in it for so long."""

MOST_BINS = 1 << 21
"""Of all frames that are heard to learn the noise of a recording, at the most: 2000 frames of
44.1 kHz, in 8 MB."""

STANDS_OUT = 4.0
"""What is so many times the mean noise stands out: noise itself does in one bin of fifty."""

SELDOM = 0.03
"""What stands out of a noise by itself, on the mean, in units of that: little that is heard in a
bin where next to nothing is heard is no signal. e⁻⁴, 0.02, in a single bin."""

FEWEST, QUIETEST = 5, 0.1
"""Frames that a noise is learnt from, at the least, and the share of all that are the quietest."""

LOUDEST = 1e6
"""Samples above that, with full scale 1.0, have powers that float32 can't hold over the noise."""

TINY = 1e-12
"""|X|² that stands for nothing: the quantisation noise of 16 bits has 10⁴ times as much."""


DISTURBED = 20.0
"""A frame so many times as loud as the median of the noise around it holds more than noise."""

STEADY = 0.3
"""Of its median in a bin, a tenth of a noise lies below 0.15; a tone has all its frames above."""


def as_signal(samples: Samples) -> Signal:
    """Return samples shaped (samples, channels) as (channels, samples) with full scale 1.0."""
    signal: Signal = np.ascontiguousarray(samples.T, np.float32)
    if samples.dtype.kind == "i":
        return signal * np.float32(1 / full_scale(samples.dtype))
    loudest = np.abs(signal).max(initial=0.0)
    if not np.isfinite(loudest):
        raise SignalError("some samples are NaN or infinite: repair the recording first")
    if loudest > LOUDEST:
        raise SignalError(
            f"samples above {LOUDEST:g} are beyond the spectral gate: scale them first"
        )
    return signal


def gate_powers(spectra: Sequence[Spectra], linked: bool) -> Powers:
    """Return |X|² of each gate, shaped (frames, gates, bins): the mean of linked channels."""
    if not linked:
        return np.stack([powers(x) for x in spectra], axis=1)
    total = powers(spectra[0])
    for x in spectra[1:]:
        total += powers(x)
    if len(spectra) > 1:
        total /= np.float32(len(spectra))
    return total[:, None]


class NoiseMeter:
    """Measures samples that are nothing but noise, in blocks: the mean |X|² of frames.

    It is the mean of linked channels, too. That is the estimate of Welch (The use of the fast
    Fourier transform for the estimation of power spectra, 1967). Digital silence is left out.
    """

    def __init__(self, settings: GateSettings, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        length = settings.timing(sample_rate).frame_length
        self._transform = Transform(length, length // 2, settings.window_power)
        self._linked = settings.channels == "linked"
        self._rest: Samples | None = None
        self._sum = np.zeros((1, self._transform.bins))
        self._frames = self._samples = 0

    def process(self, block: Samples) -> None:
        """Take in `block`, shaped (samples, channels)."""
        length, hop = self._transform.frame_length, self._transform.hop_length
        self._samples += len(block)
        samples = block if self._rest is None else np.concatenate([self._rest, block])
        frames = max(0, (len(samples) - length) // hop + 1)
        self._rest = samples[frames * hop :].copy()
        if frames:
            spectra = [self._transform.spectra(x, frames) for x in as_signal(samples)]
            heard = gate_powers(spectra, self._linked)
            heard = heard[heard.max(axis=(1, 2)) > TINY]
            self._sum = self._sum + heard.sum(axis=0, dtype=np.float64)
            self._frames += len(heard)

    def profiles(self) -> tuple[NoiseProfile, ...]:
        """Return the profile of linked channels, or of each channel.

        Raises
        ------
        SignalError
            When there was too little of it, or only digital silence.
        """
        seconds = self._samples / self._sample_rate
        if seconds < SHORTEST_S or self._samples < self._transform.frame_length:
            raise SignalError(
                f"{seconds:.2g} s of noise tell too little: give half a second or more"
            )
        if not self._frames:
            raise SignalError("the noise is digital silence: give some that can be heard")
        return tuple(
            NoiseProfile.of(mean, self._transform, self._sample_rate, "given")
            for mean in self._sum / self._frames
        )


class NoiseLearner:
    """Learns the noise of a recording that comes in blocks, in flat memory.

    It hears some of the frames that the recording is judged by, see `kept_frames`. Which of them
    are noise is known when all are heard.

    Parameters
    ----------
    samples
        How many there will be, if that is known.
    """

    def __init__(
        self, settings: GateSettings, sample_rate: int, channels: int = 1, samples: int = 0
    ) -> None:
        timing = settings.timing(sample_rate)
        hop = HEARD_EVERY * timing.hop_length
        self._sample_rate = sample_rate
        self._linked = settings.channels == "linked"
        self._transform = Transform(timing.frame_length, hop, settings.window_power)
        self._batches = Batches(timing.frame_length, hop)
        self._grouping = Grouping(self._transform.bins, sample_rate)
        gates = 1 if self._linked else channels
        self._kept = EvenlyKept(timing.hop_length, gates, samples)
        spectra = max(FEWEST, MOST_BINS // (self._transform.bins * gates))
        self._every = min(batch_frames(hop), stride(self._kept.most_heard, spectra))
        self._thread = ThreadPoolExecutor(1)

    def begin(self, block: Samples, last: bool = False) -> "Future[None]":
        """Take in `block` in another thread; it has to stay as it is until that is done."""
        return self._thread.submit(self.process, block, last)

    def process(self, block: Samples, last: bool = False) -> None:
        """Take in `block`, shaped (samples, channels)."""
        for index, frames, samples in self._batches.process(block, last):
            if self._kept.wants(index):
                number = -(-frames // self._every)
                signal = as_signal(samples)
                spectra = [self._transform.spectra(x, number, self._every) for x in signal]
                self._kept.keep(index, gate_powers(spectra, self._linked))

    def profiles(
        self, numbers: Frames, is_open: Mask, is_noise: Mask, may_guess: Sequence[bool]
    ) -> tuple[NoiseProfile | None, ...]:
        """Return the profile of each gate.

        Where there is no pause it is guessed: the powers of noise in a bin are distributed
        exponentially, so that a tenth of them lie below −log(1 − 0.1) of their mean; and a signal
        is in no bin all the time. That is the idea of minimum statistics (Martin, Noise power
        spectral density estimation, 2001), for a noise that stands still.

        Parameters
        ----------
        numbers
            Of the frames that are kept.
        is_open, is_noise
            In which of them the gate is open, and which are noise and nothing else, both shaped
            (frames, gates).
        may_guess
            Of each gate.

        Returns
        -------
        None for a gate that has none.
        """
        heard = self._kept.values()
        numbers_heard = self._kept.numbers(self._every)
        heard = heard[np.isin(numbers_heard, numbers)]
        sounding = heard.max(axis=2) > TINY
        is_among_them = np.isin(numbers, numbers_heard)
        is_noise = is_noise[is_among_them] & sounding
        is_open = is_open[is_among_them] & sounding
        profiles: list[NoiseProfile | None] = []
        for gate, guess in enumerate(may_guess):
            pauses = heard[is_noise[:, gate], gate]
            if len(pauses) >= FEWEST:
                pauses = pauses[undisturbed(pauses, median(pauses))]
                mean = pauses.mean(axis=0)
                opens = self._grouping.mean(heard[is_open[:, gate], gate])
                share = signal_share(opens, self._grouping.mean(pauses))
                profiles.append(self._profile(mean, "pauses", self._grouping.spread(share)[0]))
            elif guess:
                profiles.append(self._guessed(heard[:, gate]))
            else:
                profiles.append(None)
        return tuple(profiles)

    def _guessed(self, heard: Powers) -> NoiseProfile | None:
        """Return what is quietest in each bin that no tone fills; None if that is silence."""
        if len(heard) < FEWEST / QUIETEST:
            return None
        quiet, middle = quantile(heard, [QUIETEST, 0.5])
        varies = quiet < STEADY * middle
        if not varies.any() or not quiet.max() > TINY:
            return None
        bins = np.arange(len(quiet))
        quiet = np.interp(bins, bins[varies], quiet[varies])
        return self._profile(quiet / -math.log1p(-QUIETEST), "quietest")

    def _profile(self, mean: Powers, source: Source, signal: Powers = EVERYWHERE) -> NoiseProfile:
        return NoiseProfile.of(mean, self._transform, self._sample_rate, source, signal)


def signal_share(opens: Powers, pauses: Powers) -> Powers:
    """Return how much of what stands out of the noise in each bin is signal, 0 to 1: a row.

    Noise has its peaks, too. Let E be the mean of what exceeds four times the mean noise, in
    pauses and where the gate is open: in the open frames E_open − E_pauses of E_open are signal,
    as in Wiener's gain. In a bin where no signal ever is, next to nothing is.

    Parameters
    ----------
    opens, pauses
        |X|² of open frames and of noise, shaped (frames, bins).
    """
    mean = pauses.mean(axis=0, keepdims=True)
    if len(opens) < FEWEST:
        return np.ones_like(mean)
    in_opens, in_pauses = (
        np.maximum(_smoothed(heard / (mean + np.float32(TINY))) - np.float32(STANDS_OUT), 0).mean(
            axis=0, keepdims=True
        )
        for heard in (opens, pauses)
    )
    few = np.float32(SELDOM)
    return np.asarray(np.clip(1 - (in_pauses + few) / (in_opens + few), 0, 1))


def undisturbed(heard: Powers, noise: Powers) -> NDArray[np.bool_]:
    """Return which frames of noise are nothing else: a click or a knock is louder by far.

    Parameters
    ----------
    heard
        |X|², shaped (frames, bins).
    noise
        What it is in each bin, about.
    """
    level = heard @ (1 / (noise + np.float32(TINY)))
    return np.asarray(level <= DISTURBED * median(level) if len(level) else level > 0)


def _smoothed(heard: Powers) -> Powers:
    """Return what is heard in each bin with a little of its neighbours: ¼, ½, ¼."""
    padded = np.pad(heard, ((0, 0), (1, 1)), mode="edge")
    sides = padded[:, :-2] + padded[:, 2:]
    sides *= 0.25
    sides += np.float32(0.5) * heard
    return np.asarray(sides)


class NoiseFollower:
    """The noise around each moment, from the frames in pauses, which come in batches.

    Parameters
    ----------
    mean
        |X|² in each bin of the noise of the whole recording.
    frames_per_s
        How many frames of a batch are a second.
    segment
        Frames that have one estimate.
    """

    def __init__(self, mean: Powers, frames_per_s: float, segment: int) -> None:
        self._segment = segment
        self._forget = math.exp(-segment / (FOLLOWED_S * frames_per_s))
        self._mean = mean
        self._prior = PRIOR_S * frames_per_s * mean
        self._prior_count = PRIOR_S * frames_per_s
        self._sum = np.zeros(len(mean))
        self._count = 0.0

    def process(self, heard: Powers, is_noise: NDArray[np.bool_]) -> Powers:
        """Return the noise of each segment of `heard`, shaped (segments, bins).

        Parameters
        ----------
        heard
            |X|², shaped (frames, bins); whole segments of frames.
        is_noise
            Which frames are noise and nothing else, shaped (frames,).
        """
        is_noise = is_noise & (heard.max(axis=1) > TINY)
        is_noise[is_noise] = undisturbed(heard[is_noise], self._mean)
        flags = is_noise.reshape(-1, 1, self._segment)
        segments = heard.reshape(-1, self._segment, heard.shape[1])
        sums = (flags.astype(heard.dtype) @ segments)[:, 0].astype(np.float64)
        counts = flags.sum(axis=(1, 2)).astype(np.float64)
        # What a segment heard counts the less, the further off it is, before or after; of later
        # batches nothing is known yet.
        number = np.arange(len(sums))
        nearness = self._forget ** np.abs(number[:, None] - number)
        since = (self._forget ** (number + 1))[:, None]
        total = self._prior + since * self._sum + nearness @ sums
        count = self._prior_count + since[:, 0] * self._count + nearness @ counts
        self._sum = since[-1] * self._sum + nearness[-1] @ sums
        self._count = float(since[-1, 0] * self._count + nearness[-1] @ counts)
        return np.asarray(total / count[:, None], heard.dtype)


APART_MS = 30.0
"""Noise is learnt so far away from where the gate is open."""


def noise_envelope(settings: GateSettings, sample_rate: int, gates: int) -> Envelope:
    """Return what tells from a mask where the noise can be learnt: where its gain is 0."""
    apart = _apart(settings.timing(sample_rate), sample_rate)
    return Envelope(apart, 0, apart, 0.0, gates)


def _apart(timing: Timing, sample_rate: int) -> int:
    """Return in how many frames from an open one there may still be some of its sound."""
    return max(1, round(APART_MS / 1000 * sample_rate / timing.hop_length))

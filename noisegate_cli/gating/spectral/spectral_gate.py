"""The spectral gate: the noise goes down in each frequency bin, under the signal too.

X is the spectrum of a frame and D the mean of |X|² in the noise, bin by bin. γ = |X|²/D is the
a-posteriori signal-to-noise ratio. Were the a-priori ratio ξ = E|S|²/D of the signal S known,
the estimate of S with the least mean square error would be Wiener's, G·X with G = ξ/(1 + ξ).

ξ is not known. Taken from γ − 1 alone it fluctuates as the noise does, and leaves tones that come
and go: musical noise. Ephraim and Malah (Speech enhancement using a minimum mean-square error
short-time spectral amplitude estimator, 1984) direct it by what was decided a frame before,

    ξ_k = α·G²_{k−1}·γ_{k−1} + (1 − α)·max(γ_k − 1, 0),

which is a long mean where there is noise and follows where there is signal, but a frame late. A
file knows its future: the recursion runs backwards too, where it is late for the decays instead
of the onsets. And it can be had once more without the delay, as G²·γ of the frame itself with the
gain found so far (the two-step noise reduction of Plapous, Marro and Scalart, Improved
signal-to-noise ratio estimation for speech enhancement, 2006). The geometric mean of the first
two and the third is what counts.

Both recursions forget. They run over segments of the recording side by side, each from frames
before it in which it forgets where it began: numpy then does many frames at once.

In a bin where no signal ever is, what stands out of the noise is noise: G is weighed by the share
of signal there, see `signal_share`, unless it stands out by far.

Where the gate is closed nothing is to be estimated. There all bins go down by the same, and what
is left of the noise sounds as it did. Between the two the envelope of the gate fades.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.framing import Batches, batch_frames
from noisegate_cli.gating.frames.stft import Inverse, Powers, Signal, Spectra, Transform
from noisegate_cli.gating.gain.envelope import Envelope, Gains
from noisegate_cli.gating.gain.mask import Mask
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.spectral.bin_groups import Grouping
from noisegate_cli.gating.spectral.noise_estimation import (
    _apart,
    as_signal,
    gate_powers,
    noise_envelope,
)
from noisegate_cli.gating.spectral.wiener import BinGains, SoftGains, segment_frames
from noisegate_cli.gating.timing import Timing
from noisegate_cli.samples import Samples, full_scale, working_type

FEW_CHANNELS = 4
"""With more of them there is enough to do, and memory counts."""


MASK_OPENS = 8.0
"""A bin of the binary mask opens where γ is above that, 9 dB: noise is that in one of 3000."""


class MaskGains:
    """The binary mask: a bin is open where |X|² is above a threshold, and closed elsewhere.

    It needs to know nothing but the threshold of each bin and the gain of a closed one.
    """

    def __init__(self, opens_above: NDArray[np.float64], floor: float) -> None:
        self._opens_above = opens_above
        self._floor = np.float32(floor)

    def process(self, heard: Powers, *_: object) -> list[BinGains]:
        """Return the gains of this batch at once; see `SoftGains`."""
        return [np.where(heard > self._opens_above, np.float32(1), self._floor)]


class SpectralGate:
    """Gates samples that come in blocks, in each frequency bin.

    The Fourier transforms, half of the work, are done in a thread of their own: those of a block
    while a detector finds out where the gate is open, and those back to samples while the gains of
    the next frames are found.

    Parameters
    ----------
    settings
        Of which `spectral`, `reduction_db`, the frames, the channels and the envelope count here.
    noises
        Of each gate; None where none is known, and nothing is taken away.
    sample_rate
        In Hz.
    channels
        Of the blocks to come.
    step
        The smallest difference between two integer samples, see `Overlay`.
    live
        See `Gate`: smaller batches, which cost more.
    """

    def __init__(
        self,
        settings: GateSettings,
        noises: Sequence[NoiseProfile | None],
        sample_rate: int,
        channels: int = 1,
        step: int = 1,
        live: bool = False,
    ) -> None:
        timing = settings.timing(sample_rate)
        self._every = every(settings, timing)
        hop = timing.hop_length * self._every
        self._transform = Transform(timing.frame_length, hop, settings.window_power)
        self._inverse = Inverse(self._transform, channels)
        frames = frames_at_once(hop, channels, live)
        self._batches = Batches(timing.frame_length, hop, frames=frames)
        # One more frame, so that as many cover the end as the rest. librosa has none.
        beyond = hop if settings.spectral == "soft" else 0
        self._beyond = np.zeros((beyond, channels), np.int16)
        self._step, self._linked = step, settings.channels == "linked"
        self._gates = [_bin_gains(n, settings, self._transform, sample_rate) for n in noises]
        self._envelope = Envelope(
            timing.lookahead, timing.attack, timing.release, 0.0, len(self._gates)
        )
        self._around = noise_envelope(settings, sample_rate, len(self._gates))
        self._openness: Gains = np.zeros((0, len(self._gates)))
        self._nearness = self._openness
        self._thread = ThreadPoolExecutor(1)
        self._hearing: deque[tuple[int, Future[list[Spectra]]]] = deque()
        self._waiting: deque[list[Spectra]] = deque()
        self._left = 0

    def hear(self, block: Samples, last: bool = False) -> None:
        """Begin with further samples, shaped (samples, channels); `process` has to follow."""
        self._left += len(block)
        self._nothing = np.empty((0, block.shape[1]), block.dtype)
        if last:
            block = np.concatenate([block, self._beyond.astype(block.dtype)])
        self._hearing += [
            (frames, self._thread.submit(self._listen, frames, samples))
            for _, frames, samples in self._batches.process(block, last)
        ]

    def process(self, mask: Mask, last: bool = False) -> Samples:
        """Return the samples that are settled, in their type.

        Parameters
        ----------
        mask
            Where the gates are open, in further frames, shaped (frames, gates): some frames later
            than they are heard.
        last
            Whether this is all.
        """
        self._openness = np.concatenate([self._openness, self._envelope.process(mask, last)])
        self._nearness = np.concatenate([self._nearness, self._around.process(mask, last)])
        if last:
            # A frame beyond the end is as the last.
            edge = (0, self._every), (0, 0)
            self._openness = np.pad(self._openness, edge, mode="edge")
            self._nearness = np.pad(self._nearness, edge, mode="edge")
        parts: list[Future[Signal]] = []
        while self._hearing and (last or self._is_known(self._hearing[0][0])):
            frames, hearing = self._hearing.popleft()
            spectra = hearing.result()
            self._waiting.append(spectra)
            heard = gate_powers(spectra, self._linked)
            end = last and not self._hearing
            openness, nearness = self._taken(frames)
            gains = [
                gate.process(heard[:, i], openness[:, i], nearness[:, i] == 0, end)
                for i, gate in enumerate(self._gates)
            ]
            for some in zip(*gains, strict=True):
                spectra = self._waiting.popleft()
                is_last = end and not self._waiting
                parts.append(self._thread.submit(self._gained, spectra, some, is_last))
        # These still read the block, which may be another's after this.
        wait([hearing for _, hearing in self._hearing])
        samples = [self._as_samples(part.result()) for part in parts]
        return np.concatenate([self._nothing, *samples])

    def _listen(self, frames: int, samples: Samples) -> list[Spectra]:
        return [self._transform.spectra(x, frames) for x in as_signal(samples)]

    def _is_known(self, frames: int) -> bool:
        return min(len(self._openness), len(self._nearness)) >= frames * self._every

    def _taken(self, frames: int) -> tuple[Gains, Gains]:
        """Take what is known of the gates in so many frames."""
        rows = frames * self._every
        every = self._every
        taken = self._openness[:rows:every], self._nearness[:rows:every]
        self._openness, self._nearness = self._openness[rows:], self._nearness[rows:]
        return taken

    def _gained(self, spectra: list[Spectra], gains: Sequence[BinGains], last: bool) -> Signal:
        """Return the samples that further frames settle, under their gains."""
        for i, x in enumerate(spectra):
            np.multiply(x, gains[0 if self._linked else i], out=x)
        y = self._inverse.process(spectra, last)[: self._left]
        self._left -= len(y)
        return y

    def _as_samples(self, y: Signal) -> Samples:
        """Return `y`, full scale 1.0, in the type of the recording."""
        dtype = self._nothing.dtype
        if dtype.kind == "f":
            return y.astype(dtype)
        scale = full_scale(dtype)
        y = y.astype(working_type(dtype), copy=False)
        y *= scale / self._step
        np.rint(y, out=y)
        if self._step > 1:
            y *= self._step
        return np.clip(y, -scale, scale - self._step, out=y).astype(dtype)


def frames_at_once(hop_length: int, channels: int = 1, live: bool = False) -> int:
    """Return how many frames the spectral gate works on together: whole segments."""
    usual = batch_frames(hop_length)
    if live:
        return max(segment_frames(hop_length), usual // 4)
    # Two threads wait for each other the less, the more each has to do.
    return 2 * usual if channels <= FEW_CHANNELS else usual


def spectral_delay_ms(settings: GateSettings, sample_rate: int) -> float:
    """Return how much later a live spectral gate tells samples than it gets them, at the most.

    A batch has to be complete, for soft gains the one after it too; and what is noise is told by
    what follows.
    """
    timing = settings.timing(sample_rate)
    hop = timing.hop_length * every(settings, timing)
    batches = 2 if settings.spectral == "soft" else 1
    samples = batches * frames_at_once(hop, live=True) * hop
    samples += _apart(timing, sample_rate) * timing.hop_length
    return 1000 * samples / sample_rate


def every(settings: GateSettings, timing: Timing) -> int:
    """Return which frames the spectral gate takes: each that its number is a multiple of."""
    # Frames that overlap by half are enough for gains that are smooth in time.
    return max(1, timing.overlap // 2) if settings.spectral == "soft" else 1


def _bin_gains(
    noise: NoiseProfile | None, settings: GateSettings, transform: Transform, sample_rate: int
) -> SoftGains | MaskGains:
    mean, signal = np.zeros(transform.bins), np.ones(transform.bins)
    if noise:
        mean, signal = noise.in_bins(transform, sample_rate)
    # Where no noise is known, nothing is taken away.
    floor = settings.bin_floor if noise or settings.masks_by_level else 1.0
    if settings.spectral == "soft":
        follows = noise is not None and settings.noise is None
        segment = segment_frames(transform.hop_length)
        grouping = Grouping(transform.bins, sample_rate)
        frames_per_s = sample_rate / transform.hop_length
        return SoftGains(mean, signal, follows, frames_per_s, segment, floor, grouping)
    if isinstance(settings.threshold, str):
        return MaskGains(MASK_OPENS * mean, floor)
    return MaskGains(np.full(transform.bins, settings.threshold**2 * transform.tone_power), floor)

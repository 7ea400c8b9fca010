"""Gate samples as they arrive."""

# Otherwise `help(GateStream.process)` expands ArrayLike over several lines.
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from noisegate_cli.api.array_input import read_array, read_sample_rate
from noisegate_cli.api.noise_input import measure_noise_array, measure_noise_file
from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import ForcedSegments, to_spans
from noisegate_cli.gating.gate import Gate, compute_latency
from noisegate_cli.gating.gate_report import GateReport
from noisegate_cli.gating.settings import GateSettings, check_settings_type
from noisegate_cli.samples import MAX_CHANNELS, Samples
from noisegate_cli.text import format_repr, pluralize


class GateStream:
    """Gate blocks of samples as they arrive.

    The blocks may have any lengths. Together, the returned samples equal the result of `gate` for
    the whole recording with the same settings.

    A stream does not know what follows. Therefore the threshold must be a level, and a spectral
    gate needs a sample of the noise. `GateSettings.live` returns settings with a short latency.

    Parameters
    ----------
    settings : GateSettings
        Settings of the gate. The threshold must be a level.
    sample_rate : int
        In Hz.
    channels : int, default 1
        Number of channels.
    y_noise : array_like, optional
        Samples of the noise alone, shaped as the blocks, for a spectral gate.
    keep, cut : sequence of (float, float), optional
        Time spans (from, to) in seconds since the start of the stream in which the gate is always
        fully open, or always fully closed. The fades lie outside. Where both overlap, `keep` has
        priority.

    Raises
    ------
    SettingsError
        If the settings need the whole recording, or exclude `keep` and `cut`.
    AudioError
        If the recording of the noise cannot be read or is too short.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(0, 0.1, 32000) * np.repeat([1, 0.01], 16000)
    >>> settings = GateSettings(threshold="-30dB").live
    >>> stream = GateStream(settings, sample_rate=16000)
    >>> stream.latency
    1023
    >>> parts = [stream.process(y[i : i + 1000]) for i in range(0, 32000, 1000)]
    >>> out = np.concatenate([*parts, stream.process([], last=True)])
    >>> from noisegate_cli import gate
    >>> np.array_equal(out, gate(y, 16000, settings=settings))
    True
    """

    def __init__(
        self,
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
        *,
        y_noise: ArrayLike | None = None,
        keep: Iterable[tuple[float, float]] = (),
        cut: Iterable[tuple[float, float]] = (),
    ) -> None:
        check_settings_type(settings)
        sample_rate = read_sample_rate(sample_rate)
        is_count = isinstance(channels, int | np.integer) and not isinstance(channels, bool)
        if not is_count or not 1 <= channels <= MAX_CHANNELS:
            raise SettingsError(
                f"channels {channels!r} must be a whole number from 1 to {MAX_CHANNELS}"
            )
        noises = measure_noise_array(y_noise, settings, sample_rate) or measure_noise_file(settings)
        forced = ForcedSegments(keep=to_spans("keep", keep), cut=to_spans("cut", cut))
        decision = GateDecision.from_settings(settings, noises, forced)
        if decision is None:
            raise SettingsError(_describe_missing(settings))
        self._decision = decision
        self.sample_rate = sample_rate
        """In Hz."""
        self.channels = int(channels)
        """Number of channels."""
        self.latency = compute_latency(settings, sample_rate)
        """Maximum number of samples by which the output lags behind the input."""
        self.reset()

    def reset(self) -> None:
        """Start a new recording with the same settings."""
        self._gate = Gate(self._decision, self.sample_rate, self.channels, live=True)
        self._dtype: np.dtype[np.generic] | None = None
        self._axes = 1 if self.channels == 1 else 2
        self._has_ended = False

    def __repr__(self) -> str:
        return format_repr(self, "sample_rate", "channels", "latency")

    @property
    def report(self) -> GateReport:
        """Report on the samples so far: statistics, open segments and cut-offs."""
        return self._gate.report

    def process(self, block: ArrayLike, last: bool = False) -> Samples:
        """Return the samples that are complete after the next block.

        Parameters
        ----------
        block : array_like
            The next samples, shaped (samples,) or (samples, channels), of the same type in all
            blocks: int16, int32, float32 or float64. It may be empty, also `[]`.
        last : bool, default False
            Whether the recording ends here: then all remaining samples are returned.

        Returns
        -------
        numpy.ndarray
            The next gated samples, with as many axes and of the same type as the blocks; their
            number differs from block to block.

        Raises
        ------
        SettingsError
            If the block has another shape or type, or the recording has ended.
        AudioError
            If a sample is NaN or infinite, or the recording ends before a segment of `keep` or
            `cut`. The stream must then be reset.
        """
        if self._has_ended:
            raise SettingsError("the stream has ended: call reset() to start another one")
        samples = self._prepare(block)
        if len(samples) or last:
            # The state of the gate is undefined after an error.
            self._has_ended = True
            samples, _ = self._gate.process(samples, last)
            self._has_ended = last
        return samples[:, 0] if self._axes == 1 else samples

    def _prepare(self, block: ArrayLike) -> Samples:
        """Return a block shaped (samples, channels), in the type of the first block."""
        samples = read_array(block)
        axes = samples.ndim
        if samples.shape == (0,):
            samples, axes = samples.reshape(0, self.channels), self._axes
        channels = 1 if samples.ndim == 1 else samples.shape[-1] if samples.ndim == 2 else 0
        if channels != self.channels:
            raise SettingsError(
                f"a block shaped {samples.shape} does not fit a stream of "
                f"{pluralize(self.channels, 'channel')}: "
                f"give blocks shaped (samples, {self.channels})"
            )
        self._axes = axes
        if self._dtype is None and len(samples):
            self._dtype = samples.dtype
        if not len(samples):
            samples = samples.astype(self._dtype or samples.dtype)
        elif samples.dtype != self._dtype:
            raise SettingsError(
                f"a block of type {samples.dtype} does not fit a stream of {self._dtype}"
            )
        samples = samples.reshape(-1, channels)
        if self._decision.settings.zero_nonfinite and samples.dtype.kind == "f":
            samples = np.where(np.isfinite(samples), samples, samples.dtype.type(0))
        return samples


def _describe_missing(settings: GateSettings) -> str:
    """Return why the settings need the whole recording, and what to give instead."""
    if isinstance(settings.threshold, str):
        return (
            f"threshold {settings.threshold!r} is derived from the whole recording, which a stream "
            "does not have: give a level, such as threshold='-40dB'"
        )
    if settings.adaptive:
        return (
            "an adaptive threshold follows the noise of the whole recording, which a stream does "
            "not have: give adaptive=False"
        )
    if settings.target_floor_db is not None:
        return (
            f"target floor {settings.target_floor_db:g} dBFS depends on the noise of the whole "
            "recording, which a stream does not have: give range_db="
        )
    return (
        "a spectral gate learns the noise from the whole recording, which a stream does not have: "
        "give the path of a recording of it as noise=, or samples as y_noise="
    )

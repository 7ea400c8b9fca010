"""Gate and analyze recordings held in arrays."""

from dataclasses import replace

import numpy as np

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.analysis import Analyzer, LevelReport, measure_blocks
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.noise_input import (
    learn_noise_from_blocks,
    learn_noise_from_file,
    measure_noise_profiles,
)
from noisegate_cli.samples import MAX_CHANNELS, Blocks, Samples, block_length, iterate_slices

MAX_PLAUSIBLE_CHANNELS = 32
"""An array with no more rows than this, and more columns, has its channels first: few recordings
have more channels, and none is that short."""


def gate(
    y: Samples,
    sample_rate: int,
    *,
    threshold: float | str | None = None,
    settings: GateSettings | None = None,
    spectral: bool = False,
    noise: Samples | None = None,
) -> Samples:
    """Gate a recording held in an array.

    Parameters
    ----------
    y
        Samples shaped (samples,) or (samples, channels): int16, int32, or floats with full scale
        1.0. It is left as it is.
    sample_rate
        In Hz.
    threshold
        Linear RMS, or a level such as "-30dB", or a method such as "auto" that finds it in the
        recording. It takes the place of the one in `settings`, which is "auto" by default.
    settings
        How to gate; the default is the preset `voice`.
    spectral
        Whether to turn down the noise in each frequency bin, under the signal too, instead of
        silencing the pauses. Settings that are of a spectral gate already stay as they are.
    noise
        Samples of the noise alone, at the same rate; without them it is learnt from `y`.

    Returns
    -------
    The gated samples, in the shape and the type of `y`.

    Raises
    ------
    SettingsError
        On a setting out of range or an array of another shape or type.
    AudioError
        When `y` holds NaN or infinite samples.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(16000) / 5) * np.repeat([0.5, 0.001], 8000)
    >>> out = gate(y, 16000, threshold="-40dB")
    >>> np.array_equal(out[:8000], y[:8000]), float(np.abs(out[14000:]).max())
    (True, 0.0)

    Hiss under a tone, as it is known from elsewhere:

    >>> rng = np.random.default_rng(0)
    >>> room, hiss = rng.normal(0, 0.01, (2, 16000))
    >>> tone = np.sin(np.arange(16000) / 5)
    >>> out = gate(tone + hiss, 16000, threshold=0.1, spectral=True, noise=room)
    >>> float((out - tone).std() / hiss.std()) < 0.4
    True
    """
    y = np.asarray(y)
    settings = settings or GateSettings()
    samples = _prepare_samples(y, settings)
    if threshold is not None:
        settings = replace(settings, threshold=threshold)
    if spectral and settings.spectral == "off":
        settings = replace(settings, spectral="soft", range_db=0.0)
    if noise is not None:
        if settings.spectral == "off":
            raise SettingsError("noise is for the spectral gate: give spectral=True too")
        room = _split_blocks(_prepare_samples(np.asarray(noise), settings))
        settings = replace(settings, noise=measure_noise_profiles(room, settings, sample_rate))
    settings = learn_noise_from_blocks(
        learn_noise_from_file(settings), _split_blocks(samples), sample_rate
    )
    decision = GateDecision.from_settings(settings)
    if decision is None:
        decision = _measure_array(samples, settings, sample_rate).decide()
    stream = Gate(decision, sample_rate, samples.shape[1])
    out = np.empty_like(samples, order="C")
    done = 0
    for block, last in _split_blocks(samples):
        kept, _ = stream.process(block, last)
        out[done : done + len(kept)] = kept
        done += len(kept)
    return out.reshape(y.shape)


def analyze(y: Samples, sample_rate: int, *, settings: GateSettings | None = None) -> LevelReport:
    """Measure a recording held in an array; see `gate` for the parameters and the errors.

    Examples
    --------
    >>> import numpy as np
    >>> report = analyze(np.full(8000, 0.5), 8000)
    >>> round(report.peak_db, 2), report.suggestion.threshold is None
    (-6.02, True)
    """
    settings = learn_noise_from_file(settings or GateSettings())
    samples = _prepare_samples(np.asarray(y), settings)
    settings = learn_noise_from_blocks(settings, _split_blocks(samples), sample_rate)
    return _measure_array(samples, settings, sample_rate).report()


def _measure_array(samples: Samples, settings: GateSettings, sample_rate: int) -> Analyzer:
    length, channels = samples.shape
    return measure_blocks(_split_blocks(samples), settings, sample_rate, channels, length)


def _prepare_samples(y: Samples, settings: GateSettings) -> Samples:
    """Return `y` shaped (samples, channels), fit to be gated."""
    if y.dtype.name not in ("int16", "int32", "float32", "float64"):
        raise SettingsError(
            f"samples of type {y.dtype} can't be gated: use int16, int32, float32 or float64"
        )
    if y.ndim == 2 and 1 <= y.shape[0] <= MAX_PLAUSIBLE_CHANNELS < y.shape[1]:
        raise SettingsError(
            f"an array shaped {y.shape} has its channels first: transpose it to (samples, channels)"
        )
    if y.ndim not in (1, 2) or (y.ndim == 2 and not 1 <= y.shape[1] <= MAX_CHANNELS):
        raise SettingsError(
            f"an array shaped {y.shape} is neither (samples,) nor (samples, channels): "
            "if the channels come first, transpose it"
        )
    if settings.zero_nonfinite and y.dtype.kind == "f":
        y = np.where(np.isfinite(y), y, y.dtype.type(0))
    return y.reshape(len(y), -1) if y.size else y.reshape(0, y.shape[1] if y.ndim == 2 else 1)


def _split_blocks(samples: Samples) -> Blocks:
    return iterate_slices(samples, block_length(samples.shape[1], samples.dtype))

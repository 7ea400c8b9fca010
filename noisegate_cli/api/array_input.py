"""Check the arrays that a caller passes, and convert them to the shape that the gate processes."""

import math
import operator
import os
import reprlib
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from noisegate_cli.errors import SettingsError
from noisegate_cli.files.audio_info import MAX_SAMPLE_RATE_HZ
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import MAX_CHANNELS, Samples

MAX_PLAUSIBLE_CHANNELS = 32
"""An array with no more samples than this, and more channels, probably has its axes swapped: few
recordings have more channels, and none is that short."""

MAX_PLAUSIBLE_RMS = 10.0
"""Floats may exceed full scale, 1.0, but a louder array holds integers that were not divided."""

MAX_CHECKED_SAMPLES = 100_000
"""Number of samples, spread over an array, whose RMS is checked."""

SAMPLE_TYPES = ("int16", "int32", "float32", "float64")


def read_array(y: ArrayLike) -> Samples:
    """Return `y` as an array of a sample type in native byte order, of any shape.

    Raises
    ------
    SettingsError
        If `y` is not an array, has another type, has masked samples, or is far above full scale.
    """
    if y is None or isinstance(y, str | bytes | os.PathLike):
        shown = reprlib.repr(y) if isinstance(y, bytes) else repr(y)
        raise SettingsError(
            f"{shown} is not an array of samples: for a file call gate_file or analyze_file"
        )
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        masked = np.count_nonzero(np.ma.getmaskarray(y))
        raise SettingsError(
            f"{masked} samples are masked: fill them first, for example with y.filled(0)"
        )
    try:
        samples = np.asarray(y)
    except ValueError as error:
        raise SettingsError(f"the samples are not an array: {error}") from None
    if samples.dtype.name not in SAMPLE_TYPES:
        raise SettingsError(
            f"samples of type {samples.dtype} cannot be gated: use {', '.join(SAMPLE_TYPES[:-1])} "
            f"or {SAMPLE_TYPES[-1]}"
        )
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    _check_scale(samples)
    return samples


def _check_scale(samples: Samples) -> None:
    """Raise `SettingsError` if floats have the scale of integers."""
    if samples.dtype.kind != "f":
        return
    checked = samples.ravel()[:: 1 + samples.size // MAX_CHECKED_SAMPLES].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rms = float(np.sqrt(np.mean(checked**2))) if len(checked) else 0.0
    # Values that are not finite have their own messages.
    if MAX_PLAUSIBLE_RMS < rms < np.inf:
        raise SettingsError(
            f"samples with an RMS of {rms:.4g} are far above full scale, 1.0: divide them by the "
            "largest integer first, such as 32768, or give them as integers"
        )


def read_sample_rate(sample_rate: Any) -> int:
    """Return a sample rate in Hz as an integer.

    Raises
    ------
    SettingsError
        If it is not a whole number from 1 to `MAX_SAMPLE_RATE_HZ`.
    """
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    if is_number and 1 <= sample_rate < math.inf and sample_rate == int(sample_rate):
        if sample_rate > MAX_SAMPLE_RATE_HZ:
            raise SettingsError(
                f"sample rate {int(sample_rate)} must be {MAX_SAMPLE_RATE_HZ} Hz or less"
            )
        return int(sample_rate)
    is_array = hasattr(sample_rate, "shape") and np.ndim(sample_rate)
    shown = f"of type {type(sample_rate).__name__}" if is_array else repr(sample_rate)
    raise SettingsError(
        f"sample rate {shown} must be a whole number of 1 Hz or more, such as 16000"
    )


def prepare_other(name: str, y: ArrayLike, settings: GateSettings, axis: int) -> Samples:
    """Return the samples of another recording, which may have fewer axes than the first one.

    See `prepare_samples`; a message about the samples begins with the name of the parameter.
    """
    try:
        samples = read_array(y)
        return prepare_samples(samples, settings, axis if samples.ndim == 2 else 0)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def prepare_samples(y: ArrayLike, settings: GateSettings, axis: int = 0) -> Samples:
    """Return `y` shaped (samples, channels).

    Parameters
    ----------
    y
        Samples with one or two axes.
    settings
        Settings of the gate; `nonfinite` is used here.
    axis
        Time axis of `y`; the other one, if any, is the channel axis.

    Raises
    ------
    SettingsError
        If `y` is not an array of samples, or `axis` is not the time axis.
    """
    samples = read_array(y)
    if samples.ndim not in (1, 2):
        raise SettingsError(
            f"an array shaped {samples.shape} is neither (samples,) nor (samples, channels)"
        )
    try:
        axis = operator.index(axis)
    except TypeError:
        raise SettingsError(f"axis {axis!r} must be a whole number: give 0 or -1") from None
    if not -samples.ndim <= axis < samples.ndim:
        raise SettingsError(f"an array shaped {samples.shape} has no axis {axis}")
    is_first = axis % samples.ndim == 0
    if samples.ndim == 2:
        samples = np.moveaxis(samples, axis, 0)
        length, channels = samples.shape
        if 1 <= length <= MAX_PLAUSIBLE_CHANNELS < channels or channels > MAX_CHANNELS:
            raise SettingsError(
                f"an array shaped {np.shape(y)} has its channels "
                + ("first: give axis=-1, or transpose it" if is_first else "last: give axis=0")
            )
        if not channels:
            raise SettingsError(f"an array shaped {np.shape(y)} has no channels")
    else:
        samples = samples[:, None]
    if settings.zero_nonfinite and samples.dtype.kind == "f":
        samples = np.where(np.isfinite(samples), samples, samples.dtype.type(0))
    return samples

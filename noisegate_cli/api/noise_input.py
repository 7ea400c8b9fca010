"""Measure noise profiles from a noise recording or from a time span of the recording itself."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from noisegate_cli.api.array_input import prepare_other
from noisegate_cli.api.sources import ArraySource, FileSource, Source
from noisegate_cli.errors import SettingsError, SignalError
from noisegate_cli.gating.block_processor import process_all
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks
from noisegate_cli.text import format_time

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def measure_noise_file(settings: GateSettings) -> "NoiseProfiles":
    """Return the noise profiles of the noise recording; empty if the settings name none."""
    if settings.noise_file is None:
        return ()
    source = FileSource.open(Path(settings.noise_file), settings)
    with source.name_in_errors():
        return measure_noise_profiles(source.blocks(), settings, source.sample_rate)


def measure_noise_span(source: Source, settings: GateSettings) -> "NoiseProfiles":
    """Return the noise profiles of the noise span of a recording; empty without a noise span."""
    if settings.noise_span is None:
        return ()
    with source.name_in_errors(), closing(source.blocks()) as blocks:
        span = _select_span(blocks, source, *settings.noise_span)
        return measure_noise_profiles(span, settings, source.sample_rate)


def measure_noise_array(
    y_noise: ArrayLike | None, settings: GateSettings, sample_rate: int, axis: int = 0
) -> "NoiseProfiles":
    """Return the noise profiles of samples that contain only noise; empty without samples."""
    if y_noise is None:
        return ()
    if settings.spectral == "off":
        raise SettingsError("y_noise= requires spectral=True")
    if settings.noise is not None:
        raise SettingsError("use either noise= or y_noise=, not both")
    if not settings.needs_noise:
        raise SettingsError("a spectral mask with a threshold does not use noise: omit y_noise=")
    samples = prepare_other("y_noise", y_noise, settings, axis)
    source = ArraySource(samples, sample_rate, "y_noise")
    with source.name_in_errors():
        return measure_noise_profiles(source.blocks(), settings, sample_rate)


def measure_noise_profiles(
    blocks: Blocks, settings: GateSettings, sample_rate: int
) -> "NoiseProfiles":
    """Return the noise profiles of a recording that contains only noise."""
    from noisegate_cli.gating.spectral.noise_estimation import NoiseMeter

    return process_all(NoiseMeter(settings, sample_rate), blocks).compute_profiles()


def _select_span(blocks: Blocks, source: Source, start_s: float, end_s: float) -> Blocks:
    """Yield the parts of `blocks` between two times in seconds from the start of the file."""
    rate, offset_s, position = source.sample_rate, source.offset_s, 0
    start, end = (max(0, round((time - offset_s) * rate)) for time in (start_s, end_s))
    for block, last in blocks:
        part = block[max(0, start - position) : max(0, end - position)]
        position += len(block)
        yield part, last or position >= end
        if position >= end:
            return
    raise SignalError(
        f"it ends at {format_time(position / rate + offset_s)}, before the end of the noise to "
        f"learn from, {format_time(end_s)}"
    )


def resolve_noise_file(settings: GateSettings) -> GateSettings:
    """Return settings with an absolute path of the noise recording, for worker processes.

    Raises
    ------
    AudioError
        If the noise recording cannot be read or is too short.
    """
    if settings.noise_file is None:
        return settings
    measure_noise_file(settings)
    return replace(settings, noise=str(Path(settings.noise_file).absolute()))

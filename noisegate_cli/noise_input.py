"""Measure noise profiles from a noise recording or from a time span of the recording itself."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.errors import SignalError
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks
from noisegate_cli.text import format_time

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile


def learn_noise_from_file(settings: GateSettings) -> GateSettings:
    """Return settings with noise profiles in place of the path of a noise recording."""
    if settings.noise_file is None:
        return settings
    path = Path(settings.noise_file)
    with (
        AudioReader(path, zero_nonfinite=settings.zero_nonfinite) as reader,
        add_path_to_errors(path),
    ):
        profiles = measure_noise_profiles(reader.blocks(), settings, reader.info.sample_rate)
    return replace(settings, noise=profiles)


def learn_noise_from_reader(reader: Reader, settings: GateSettings) -> GateSettings:
    """Return settings with noise profiles in place of a time span of the recording in `reader`."""
    if settings.noise_stretch is None:
        return settings
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    with reader.reopen() as first, add_path_to_errors(reader.info.path):
        return learn_noise_from_blocks(settings, first.blocks(), reader.info.sample_rate)


def learn_noise_from_blocks(
    settings: GateSettings, blocks: Blocks, sample_rate: int
) -> GateSettings:
    """Return settings with noise profiles in place of a time span of the recording in `blocks`."""
    if settings.noise_stretch is None:
        return settings
    stretch = _select_stretch(blocks, sample_rate, *settings.noise_stretch)
    return replace(settings, noise=measure_noise_profiles(stretch, settings, sample_rate))


def measure_noise_profiles(
    blocks: Blocks, settings: GateSettings, sample_rate: int
) -> "tuple[NoiseProfile, ...]":
    """Return the noise profiles of a recording that contains only noise."""
    from noisegate_cli.gating.spectral.noise_estimation import NoiseMeter

    meter = NoiseMeter(settings, sample_rate)
    for block, last in blocks:
        meter.process(block, last)
    return meter.compute_profiles()


def _select_stretch(blocks: Blocks, sample_rate: int, start_s: float, end_s: float) -> Blocks:
    """Yield the parts of `blocks` between two times in seconds."""
    start, end, at = round(start_s * sample_rate), round(end_s * sample_rate), 0
    for block, last in blocks:
        part = block[max(0, start - at) : max(0, end - at)]
        at += len(block)
        yield part, last or at >= end
        if at >= end:
            return
    raise SignalError(
        f"it ends at {format_time(at / sample_rate)}, before the noise does that is to be "
        f"learnt from it, at {format_time(end_s)}"
    )


def resolve_noise_file(settings: GateSettings) -> GateSettings:
    """Return settings with an absolute path of the noise recording, for workers elsewhere.

    Raises
    ------
    AudioError
        If the noise recording cannot be read or is too short.
    """
    if settings.noise_file is None:
        return settings
    learn_noise_from_file(settings)
    return replace(settings, noise=str(Path(settings.noise_file).absolute()))

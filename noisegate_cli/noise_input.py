"""Turn a noise that is named (a file, or a stretch of the recording) into noise profiles."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.errors import SignalError
from noisegate_cli.files.reader import AudioReader, Reader, _naming
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks
from noisegate_cli.text import format_time

if TYPE_CHECKING:
    from noisegate_cli.gating.noise_profile import NoiseProfile


def _with_noise_of_file(settings: GateSettings) -> GateSettings:
    """Put the noise itself in the place of the name of a recording of it."""
    if settings.noise_file is None:
        return settings
    path = Path(settings.noise_file)
    with AudioReader(path, zero_nonfinite=settings.zero_nonfinite) as reader, _naming(path):
        profiles = _profiles(reader.blocks(), settings, reader.info.sample_rate)
    return replace(settings, noise=profiles)


def _with_noise_in(reader: Reader, settings: GateSettings) -> GateSettings:
    """Put the noise itself in the place of a stretch of a recording."""
    if settings.noise_stretch is None:
        return settings
    assert isinstance(reader, AudioReader)  # as it isn't live
    with reader.again() as first, _naming(reader.info.path):
        return _with_noise_of_stretch(settings, first.blocks(), reader.info.sample_rate)


def _with_noise_of_stretch(
    settings: GateSettings, blocks: Blocks, sample_rate: int
) -> GateSettings:
    if settings.noise_stretch is None:
        return settings
    stretch = _stretch(blocks, sample_rate, *settings.noise_stretch)
    return replace(settings, noise=_profiles(stretch, settings, sample_rate))


def _profiles(
    blocks: Blocks, settings: GateSettings, sample_rate: int
) -> "tuple[NoiseProfile, ...]":
    from noisegate_cli.gating.spectral.noise_estimation import NoiseMeter

    meter = NoiseMeter(settings, sample_rate)
    for block, _ in blocks:
        meter.process(block)
    return meter.profiles()


def _stretch(blocks: Blocks, sample_rate: int, start_s: float, end_s: float) -> Blocks:
    """Yield what of `blocks` lies in a stretch of time."""
    start, end, at = round(start_s * sample_rate), round(end_s * sample_rate), 0
    for block, last in blocks:
        yield block[max(0, start - at) : max(0, end - at)], last
        at += len(block)
        if at >= end:
            return
    raise SignalError(
        f"it ends at {format_time(at / sample_rate)}, before the noise does that is to be "
        f"learnt from it, at {format_time(end_s)}"
    )

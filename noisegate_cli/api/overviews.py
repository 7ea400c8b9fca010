"""Run a gate over a recording to draw it or to hear it, without writing an output."""

from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.api.array_input import split_blocks
from noisegate_cli.api.first_pass import decide
from noisegate_cli.api.noise_input import (
    measure_noise_file,
    measure_noise_span,
    measure_noise_span_of_reader,
)
from noisegate_cli.api.progress import ProgressCallback, report_progress
from noisegate_cli.errors import AudioError
from noisegate_cli.files.formats import STDIO_PATH
from noisegate_cli.files.reader import Reader, add_path_to_errors, open_reader
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import NOT_FORCED, ForcedStretches
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.heard_channels import measure_heard_channels
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.plots.overview import Overview, OverviewRecorder
from noisegate_cli.samples import Blocks, Samples

if TYPE_CHECKING:
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def record_blocks(
    blocks: Blocks,
    decision: GateDecision,
    sample_rate: int,
    channels: int,
    recorder: OverviewRecorder,
    quantization_step: int = 1,
) -> Overview:
    """Gate blocks of samples, and return the overview that `recorder` has made of it."""
    stream = Gate(
        decision,
        sample_rate,
        channels,
        quantization_step=quantization_step,
        residue=True,
        on_frames=recorder.add_frames,
    )
    for block, last in blocks:
        kept, removed = stream.process(block, last)
        assert removed is not None
        recorder.add_samples(block, kept, removed, last)
    return recorder.finish(stream.report)


def record_reader(
    reader: Reader,
    decision: GateDecision,
    progress: ProgressCallback,
    *,
    with_spectrogram: bool = False,
    excerpt: tuple[int, int] | None = None,
) -> Overview:
    """Gate a recording that is open for reading, and return the overview."""
    info = reader.info
    recorder = OverviewRecorder(
        decision,
        info.sample_rate,
        info.samples,
        with_spectrogram=with_spectrogram,
        excerpt=excerpt,
    )
    with add_path_to_errors(info.path):
        return record_blocks(
            report_progress(reader.blocks(), info.samples, progress),
            decision,
            info.sample_rate,
            info.channels,
            recorder,
            info.quantization_step(info.dtype),
        )


def record_file(
    path: Path,
    settings: GateSettings,
    raw: "RawFormat | None" = None,
    *,
    forced: ForcedStretches = NOT_FORCED,
    with_spectrogram: bool = False,
    excerpt: tuple[int, int] | None = None,
) -> Overview:
    """Gate the recording at `path` as `gate_file` does, and return the overview.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated, or was standard input, which is gone.
    """
    if path == STDIO_PATH:
        raise AudioError(
            "standard input can't be read again: draw it while it is gated, with plot="
        )
    noises = measure_noise_file(settings)
    with open_reader(path, raw, zero_nonfinite=settings.zero_nonfinite) as reader:
        noises = noises or measure_noise_span_of_reader(reader, settings)
        decision, _ = decide(reader, settings, noises, forced, lambda _: None)
        return record_reader(
            reader, decision, lambda _: None, with_spectrogram=with_spectrogram, excerpt=excerpt
        )


def record_array(
    samples: Samples,
    sample_rate: int,
    settings: GateSettings,
    noises: "NoiseProfiles",
    *,
    forced: ForcedStretches = NOT_FORCED,
    with_spectrogram: bool = False,
    excerpt: tuple[int, int] | None = None,
) -> Overview:
    """Gate samples shaped (samples, channels) as `gate` does, and return the overview.

    `noises` are the noise profiles that the caller of `gate` gave, if any.
    """
    length, channels = samples.shape
    noises = noises or measure_noise_file(settings)
    noises = noises or measure_noise_span(split_blocks(samples), settings, sample_rate)
    decision = GateDecision.from_settings(settings, noises, forced)
    if decision is None:
        blocks = split_blocks(samples)
        measured = measure_heard_channels(
            blocks,
            lambda: split_blocks(samples),
            settings,
            sample_rate,
            channels,
            length,
            noises,
        )
        decision = measured.decide().force(forced)
    recorder = OverviewRecorder(
        decision, sample_rate, length, with_spectrogram=with_spectrogram, excerpt=excerpt
    )
    return record_blocks(split_blocks(samples), decision, sample_rate, channels, recorder)

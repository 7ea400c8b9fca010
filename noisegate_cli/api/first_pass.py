"""The first pass over a recording in a file, and the decision that it leads to."""

from typing import TYPE_CHECKING

from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    ProgressCallback,
    report_progress,
    scale_progress,
)
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import ForcedStretches
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.gating.analysis import Analyzer
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def decide(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    forced: ForcedStretches,
    progress: ProgressCallback,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision, from a first pass if it needs one, and the rest of the progress."""
    decision = GateDecision.from_settings(settings, noises, forced)
    if decision is not None:
        return decision, progress
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    with reader.reopen() as first:
        analyzer = measure_file(first, settings, noises, first_pass)
    return analyzer.decide().force(forced), scale_progress(progress, FIRST_PASS_SHARE, 1.0)


def measure_file(
    reader: Reader, settings: GateSettings, noises: "NoiseProfiles", progress: ProgressCallback
) -> "Analyzer":
    """Return an analyzer that has measured a recording."""
    from noisegate_cli.gating.analysis import measure_blocks

    info = reader.info
    with add_path_to_errors(info.path):
        blocks = report_progress(reader.blocks(), info.samples, progress)
        return measure_blocks(
            blocks, settings, info.sample_rate, info.channels, info.samples, noises
        )

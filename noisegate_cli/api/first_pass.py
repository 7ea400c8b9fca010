"""The first pass over a recording in a file, and the decision that it leads to."""

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    ProgressCallback,
    report_progress,
    scale_progress,
)
from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import ForcedStretches
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.gating.analysis import Analyzer
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def decide(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    forced: ForcedStretches,
    others: "OtherTracks | None",
    progress: ProgressCallback,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision, from a first pass if it needs one, and the rest of the progress."""
    decision = GateDecision.from_settings(settings, noises, forced)
    if decision is not None and not others:
        return decision, progress
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    with reader.reopen() as first:
        analyzer = measure_file(first, settings, noises, first_pass, others=others)
        decision = analyzer.decide().force(forced)
    if others:
        with add_path_to_errors(reader.info.path):
            others.check_bleed(decision.bleed)
    return decision, scale_progress(progress, FIRST_PASS_SHARE, 1.0)


def measure_file(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    progress: ProgressCallback,
    compare: bool = False,
    others: "OtherTracks | None" = None,
) -> "Analyzer":
    """Return an analyzer that has measured a recording, and the bleed of other tracks."""
    from noisegate_cli.gating.heard_channels import measure_heard_channels

    info = reader.info
    with add_path_to_errors(info.path), ExitStack() as stack:
        blocks: Blocks = report_progress(reader.blocks(), info.samples, progress)
        open_others = None
        if others:
            blocks = others.probe(blocks)
            open_others = partial(stack.enter_context, others.align())
        return measure_heard_channels(
            blocks,
            partial(_read_again, reader),
            settings,
            info.sample_rate,
            info.channels,
            info.samples,
            noises,
            compare,
            open_others,
        )


def ignored_channels(heard: tuple[int, ...] | None, info: AudioInfo) -> list[str]:
    """Return a warning about the channels that do not open the gate, if there are any."""
    ignored = [str(i + 1) for i in range(info.channels) if heard is not None and i not in heard]
    if not ignored:
        return []
    subject = "channel {} contains" if len(ignored) == 1 else "channels {} contain"
    return [f"{subject.format(', '.join(ignored))} only steady noise and cannot open the gate"]


def _read_again(reader: Reader) -> Blocks:
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    with reader.reopen() as again:
        yield from again.blocks()

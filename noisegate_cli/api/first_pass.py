"""The first pass over a recording."""

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from noisegate_cli.api.progress import ProgressCallback, report_progress
from noisegate_cli.api.sources import Source
from noisegate_cli.gating.active_channels import measure_active_channels
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def measure(
    source: Source,
    settings: GateSettings,
    progress: ProgressCallback,
    *,
    blocks: Blocks | None = None,
    noises: "NoiseProfiles" = (),
    compare: bool = False,
    others: "OtherTracks | None" = None,
    reports: bool = True,
) -> Analyzer:
    """Return an analyzer that has measured a recording; see `Analyzer` for other parameters.

    Parameters
    ----------
    source
        The recording.
    progress
        Called with the finished share of the pass.
    blocks
        Its blocks, if it is open already; None opens it.
    others
        Other tracks, which are aligned with the recording; their bleed is learned.
    """
    blocks = report_progress(blocks or source.blocks(), source.samples, progress)
    with ExitStack() as stack, source.name_in_errors():
        analyzer = Analyzer(
            settings,
            source.sample_rate,
            source.channels,
            source.samples,
            noises=noises,
            compare=compare,
            has_others=others is not None,
            reports=reports,
        )
        open_others = None
        if others:
            blocks = others.probe(blocks)
            open_others = partial(stack.enter_context, others.align())
        return measure_active_channels(analyzer, blocks, source.blocks, open_others)

"""The first pass over a recording."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from noisegate_cli.api.progress import ProgressCallback, report_progress
from noisegate_cli.api.sources import Source
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.heard_channels import measure_heard_channels
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def measure(
    source: Source,
    settings: GateSettings,
    progress: ProgressCallback,
    *,
    blocks: Blocks | None = None,
    noises: "NoiseProfiles" = (),
    compare: bool = False,
    references: "Sequence[ReferencePowers]" = (),
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
    """
    blocks = report_progress(blocks or source.blocks(), source.samples, progress)
    with source.name_in_errors():
        analyzer = Analyzer(
            settings,
            source.sample_rate,
            source.channels,
            source.samples,
            noises=noises,
            compare=compare,
            references=references,
        )
        return measure_heard_channels(analyzer, blocks, source.blocks)

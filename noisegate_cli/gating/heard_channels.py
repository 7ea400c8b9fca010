"""First pass over a recording whose linked channels may include dead ones.

A dead channel contains nothing but steady noise, such as the hiss of an input without a microphone.
The loudest of linked channels counts, so that the noise would hide the other channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.analysis import Analyzer, measure_blocks
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.references import ReferencePowers
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def measure_heard_channels(
    blocks: Blocks,
    read_again: Callable[[], Blocks],
    settings: GateSettings,
    sample_rate: int,
    channels: int,
    samples: int,
    noises: "NoiseProfiles" = (),
    compare: bool = False,
    open_others: "Callable[[], Sequence[ReferencePowers]] | None" = None,
) -> Analyzer:
    """Return an analyzer that has measured a recording without its dead channels.

    The recording is read again only if a channel may be dead. See `Analyzer` for the other
    parameters.

    Parameters
    ----------
    blocks
        The recording.
    read_again
        Returns the same blocks again.
    open_others
        Returns the other tracks whose bleed is excluded, each at its beginning, when all blocks
        have been read. None if there are none.
    """
    has_others = open_others is not None
    analyzer = measure_blocks(
        blocks, settings, sample_rate, channels, samples, noises, compare, has_others
    )
    if open_others and (references := open_others()):
        analyzer.learn_bleed(references)
        return analyzer
    steady = analyzer.find_steady_channels()
    if not steady or settings.channels == "exclusive":
        return analyzer
    heard = tuple(channel for channel in range(channels) if channel not in steady)
    again = Analyzer(settings, sample_rate, channels, samples, noises, compare, heard)
    alone = Analyzer(
        replace(settings, channels="separate", spectral="off", noise=None, target_floor_db=None),
        sample_rate,
        len(steady),
        samples,
    )
    for block, last in read_again():
        again.process(block, last)
        alone.process(np.ascontiguousarray(block[:, steady]), last)
    return again if set(alone.verdicts) == {Verdict.NOISE_ONLY} else analyzer

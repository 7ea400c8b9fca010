"""First pass over a recording whose linked channels may include dead ones.

A dead channel contains only steady noise, such as the hiss of an input without a microphone. Of
linked channels, the loudest one counts, so its noise would mask the other channels.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.block_processor import process_all
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.references import ReferencePowers


def measure_active_channels(
    analyzer: Analyzer,
    blocks: Blocks,
    read_again: Callable[[], Blocks],
    open_others: "Callable[[], Sequence[ReferencePowers]] | None" = None,
) -> Analyzer:
    """Return an analyzer that has measured a recording without its dead channels.

    The recording is read again only if a channel may be dead.

    Parameters
    ----------
    analyzer
        An analyzer that has not measured anything yet.
    blocks
        The recording.
    read_again
        Returns the same blocks again.
    open_others
        Returns the other tracks whose bleed is excluded, each at its beginning, when all blocks
        have been read. None if there are none.
    """
    process_all(analyzer, blocks)
    if open_others and (references := open_others()):
        analyzer.learn_bleed(references)
        return analyzer
    steady = analyzer.find_steady_channels()
    if not steady:
        return analyzer
    again, alone = analyzer.restart_without(steady), analyzer.restart_alone(steady)
    for block, last in read_again():
        again.process(block, last)
        alone.process(np.ascontiguousarray(block[:, steady]), last)
    return again if set(alone.verdicts) == {Verdict.NOISE_ONLY} else analyzer

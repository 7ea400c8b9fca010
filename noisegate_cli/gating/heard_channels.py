"""First pass over a recording whose linked channels may include dead ones.

A dead channel contains nothing but steady noise, such as the hiss of an input without a microphone.
The loudest of linked channels counts, so that the noise would hide the other channels.
"""

from collections.abc import Callable

import numpy as np

from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.block_processor import process_all
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.samples import Blocks


def measure_heard_channels(
    analyzer: Analyzer, blocks: Blocks, read_again: Callable[[], Blocks]
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
    """
    process_all(analyzer, blocks)
    steady = analyzer.find_steady_channels()
    if not steady:
        return analyzer
    again, alone = analyzer.restart_without(steady), analyzer.restart_alone(steady)
    for block, last in read_again():
        again.process(block, last)
        alone.process(np.ascontiguousarray(block[:, steady]), last)
    return again if set(alone.verdicts) == {Verdict.NOISE_ONLY} else analyzer

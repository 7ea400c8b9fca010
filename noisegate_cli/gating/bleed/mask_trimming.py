"""Close a mask at the edges of own sound, where certainly only other speakers are audible.

Hold, lookahead and the closing of short pauses keep a gate open where its detector may be wrong: a
quiet decay, a breath or a soft onset resembles a pause. Sound that equals the predicted bleed is
evidence against own sound, so these times serve no purpose there.
"""

import numpy as np

from noisegate_cli.gating.bleed.model import BLEED_BELOW, CERTAIN_BLEED_SCORE
from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.gating.gain.mask import DetectorValues, FrameIndices, Mask, frames_since


class MaskTrimmer(PairedBlockProcessor[Mask, DetectorValues, Mask]):
    """Closes a mask in frames of certain bleed, and shortens the lookahead in bleed.

    The envelope is fully open for the lookahead before each opening. An opening is delayed by the
    number of these frames that are bleed, but each run keeps its last frame. The output lags one
    frame behind the inputs.

    Parameters
    ----------
    lookahead
        Of the envelope, in frames.
    gates
        Number of gates.

    Examples
    --------
    >>> mask = np.array([[False, False, True, True, True, True, True, False]]).T
    >>> scores = np.array([[-1, -1, 2, 2, 2, 0, -1, -1]]).T
    >>> MaskTrimmer(lookahead=1).process(mask, scores, last=True).ravel().astype(int)
    array([0, 0, 0, 1, 1, 1, 0, 0])
    """

    def __init__(self, lookahead: int, gates: int = 1) -> None:
        self._lookahead = lookahead
        self._mask: Mask = np.zeros((0, gates), np.bool_)
        self._scores: DetectorValues = np.zeros((0, gates))
        self._recent_bleed: Mask = np.zeros((lookahead, gates), np.bool_)
        self._since_closed: FrameIndices = np.zeros(gates, np.int64)
        self._delay: FrameIndices = np.zeros(gates, np.int64)

    def process(self, mask: Mask, scores: DetectorValues, last: bool = False) -> Mask:
        """Return the frames of the mask that are final, shaped (frames, gates).

        Parameters
        ----------
        mask
            Open or closed, shaped (frames, gates).
        scores
            High for own sound, low for bleed; shaped (frames, gates).
        last
            Whether the recording ends here.
        """
        mask = np.concatenate([self._mask, mask])
        scores = np.concatenate([self._scores, scores])
        count = min(len(mask), len(scores))
        trimmed = mask[:count] & (scores[:count] >= CERTAIN_BLEED_SCORE)
        ready = count if last else max(0, count - 1)
        self._mask, self._scores = mask[ready:], scores[ready:]
        ends = ~np.concatenate([trimmed[1:], np.zeros_like(trimmed[:1])])[:ready]
        trimmed, scores = trimmed[:ready], scores[:ready]
        since_closed = frames_since(~trimmed, self._since_closed)
        delay = self._compute_delays(scores <= BLEED_BELOW, since_closed)
        if ready:
            self._since_closed, self._delay = since_closed[-1], delay[-1]
        kept: Mask = trimmed & ((since_closed > delay) | ends)
        return kept

    def _compute_delays(self, is_bleed: Mask, since_closed: FrameIndices) -> FrameIndices:
        """Return, at each frame, by how many frames the opening of its run is delayed."""
        recent = np.concatenate([self._recent_bleed, is_bleed])
        self._recent_bleed = recent[len(is_bleed) :]
        sums = np.cumsum(np.pad(recent, ((1, 0), (0, 0))), axis=0)
        before = sums[self._lookahead : -1] - sums[: len(is_bleed)]
        opening = np.arange(1, len(is_bleed) + 1)[:, None] - since_closed
        inside = np.clip(opening, 0, max(0, len(is_bleed) - 1))
        delays = np.take_along_axis(before, inside, axis=0)
        return np.asarray(np.where(opening < 0, self._delay, delays), np.int64)

"""The two passes of the automatic gate: what is kept to learn from, and the score of each frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.bands import Powers
from noisegate_cli.gating.kept import HEARD_EVERY, EvenlyKept
from noisegate_cli.gating.levels import Levels, Samples
from noisegate_cli.gating.likelihood import SignalModel, learn
from noisegate_cli.gating.listener import LEVEL_MS, SCORE_MS, Listener, Smoother
from noisegate_cli.gating.mask import Values
from noisegate_cli.gating.settings import GateSettings


class Learner:
    """Learns from samples that come in blocks, in flat memory.

    It keeps batches of frames, see `EvenlyKept`. They need not be heard again to be scored.

    Parameters
    ----------
    samples
        How many there will be, if that is known.
    """

    def __init__(
        self, settings: GateSettings, sample_rate: int, channels: int = 1, samples: int = 0
    ) -> None:
        self._listener = Listener(settings, sample_rate, channels)
        self._batches = self._listener.powers.batches()
        hop = settings.timing(sample_rate).hop_length
        self.heard = EvenlyKept(hop, self._listener.gates, samples)
        """Powers per Hz of the frames that are learnt from."""

    def process(self, block: Samples, last: bool = False) -> None:
        """Take in `block`, shaped (samples, channels)."""
        for index, frames, samples in self._batches.process(block, last):
            if self.heard.wants(index):
                self.heard.keep(index, self._listener.densities(frames, samples))

    def models(self, levels: Levels) -> tuple[SignalModel, ...]:
        """Return what each gate learnt, given the levels of the frames in the batches kept."""
        densities, levels = self.heard.values(), levels[::HEARD_EVERY]
        return tuple(
            learn(self._listener, densities[:, gate], levels[:, gate])
            for gate in range(self._listener.gates)
        )

    def scores(self, models: Sequence[SignalModel], count: int) -> Values:
        """Return the scores of the frames in the batches kept, as the gate will find them.

        Parameters
        ----------
        count
            Of these frames.
        """
        scorers = [Scorer(model, self._listener) for model in models]
        return scored(scorers, self.heard.values(), last=True)[:count]


class Scorer:
    """Smoothed scores for one gate, of which every second frame comes, in batches.

    Powers beyond all numbers are no noise: where the score is none, the gate opens.
    """

    def __init__(self, model: SignalModel, listener: Listener) -> None:
        self._model = model
        self._levels = Smoother(listener.frames(LEVEL_MS))
        self._scores = Smoother(listener.frames(SCORE_MS))
        self._known = np.zeros(0)

    def process(self, densities: Powers, last: bool = False) -> NDArray[np.float64]:
        """Return the scores of all frames that powers per Hz, shaped (frames, bands), complete.

        When it is the last there may be one more than there are frames.
        """
        levels = self._levels.process(self._model.levels(densities), last)
        scores = self._scores.process(self._model.score(levels), last)
        scores = np.where(np.isnan(scores), np.inf, scores)
        # The last that is known waits for the next: between two lies their mean.
        known = np.concatenate([self._known, scores])
        if last:
            known = np.concatenate([known, known[-1:]])
        self._known = known[-1:]
        return np.stack([known[:-1], (known[:-1] + known[1:]) / 2], axis=1).ravel()


def scored(scorers: Sequence[Scorer], densities: Powers, last: bool = False) -> Values:
    """Return the scores of gates, shaped (frames, gates), from powers (frames, gates, bands)."""
    return np.stack([s.process(densities[:, g], last) for g, s in enumerate(scorers)], axis=1)

"""The two passes of the automatic gate: what is kept to learn from, and the score of each frame."""

from collections.abc import Sequence

from noisegate_cli.gating.detection.band_levels import Listener
from noisegate_cli.gating.detection.likelihood_detector import Scorer, scored
from noisegate_cli.gating.detection.signal_model import SignalModel, learn
from noisegate_cli.gating.frames.levels import Levels
from noisegate_cli.gating.frames.subsampling import HEARD_EVERY, EvenlyKept
from noisegate_cli.gating.gain.mask import Values
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples


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

"""The gains of an expander in a recording: static curve, forced segments, fades."""

from typing import TYPE_CHECKING

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import ForcedGains
from noisegate_cli.gating.gain.envelope import Gains
from noisegate_cli.gating.gain.expander import Expander, GainFades
from noisegate_cli.gating.gain.mask import DetectorValues
from noisegate_cli.gating.timing import Timing

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.detector import Detector
    from noisegate_cli.gating.key import KeyedDetector


class ExpanderGains(BlockProcessor[DetectorValues, Gains]):
    """Compute the gains of an expander from the levels of a recording.

    Parameters
    ----------
    decision
        Decision with a threshold, and settings with a ratio.
    detector
        Detector whose levels are used.
    timing
        Timing of the gate.
    sample_rate
        In Hz.
    closed_gain
        Lowest linear gain.
    """

    def __init__(
        self,
        decision: GateDecision,
        detector: "Detector | KeyedDetector",
        timing: Timing,
        sample_rate: int,
        closed_gain: float,
    ) -> None:
        settings, gates = decision.settings, detector.gates
        self._expander = Expander(
            detector.open_above,
            detector.close_below,
            timing,
            settings.ratio,
            settings.knee_db,
            closed_gain,
            gates,
        )
        self._forced = ForcedGains(decision.forced, timing, sample_rate, closed_gain)
        self._fades = GainFades(timing.lookahead, timing.attack, timing.release, closed_gain, gates)

    def process(self, values: DetectorValues, last: bool = False) -> Gains:
        """Return the gains that the levels `values`, shaped (frames, gates), complete."""
        gains = self._forced.process(self._expander.process(values, last), last)
        return self._fades.process(gains, last)

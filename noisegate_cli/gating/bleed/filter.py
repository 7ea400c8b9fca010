"""The mask of a gate that stays closed where a recording contains only bleed."""

from collections.abc import Sequence

import numpy as np

from noisegate_cli.gating.bleed.exclusion import BleedExclusion, OtherChannels, OtherTracks
from noisegate_cli.gating.bleed.mask_trimming import MaskTrimmer
from noisegate_cli.gating.bleed.prediction import DelayGroups
from noisegate_cli.gating.bleed.references import ReferencePowers
from noisegate_cli.gating.block_processor import PairedBlockProcessor
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.detector import Detector
from noisegate_cli.gating.detection.likelihood_detector import DensityBatches, LikelihoodDetector
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.gain.mask import DetectorValues, GateMask, Mask
from noisegate_cli.gating.segments import OpenRunCollector
from noisegate_cli.samples import Samples


class BleedFilter(PairedBlockProcessor[DetectorValues, Samples, Mask]):
    """Computes the mask of a gate from the values of its detector, without bleed.

    Parameters
    ----------
    decision
        Decision with bleed models.
    detector
        Detector of the gate; a detector that computes band powers shares them.
    sample_rate
        In Hz.
    channels
        Number of channels.
    references
        The other tracks, each at its beginning; empty for exclusive channels.
    """

    def __init__(
        self,
        decision: GateDecision,
        detector: Detector,
        sample_rate: int,
        channels: int,
        references: Sequence[ReferencePowers] = (),
    ) -> None:
        assert decision.bleed
        settings = decision.settings
        extractor = BandLevelExtractor(settings, sample_rate, channels)
        groups = DelayGroups(extractor.frames_per_s)
        self._detector = detector
        self._batches = DensityBatches(extractor, decision.subsample)
        source = (
            OtherTracks(references, groups, decision.bleed.stored)
            if references
            else OtherChannels(groups)
        )
        self._exclusion = BleedExclusion(decision.bleed.models, extractor, source)
        timing, gates = settings.timing(sample_rate), detector.gates
        self._mask = GateMask(detector.open_above, detector.close_below, timing, gates)
        self._trimmer = MaskTrimmer(timing.lookahead, gates)
        self._runs = OpenRunCollector(detector.gates)
        self.values: DetectorValues = np.zeros((0, detector.gates))
        """Values that the last call has completed, −∞ in bleed; they lag behind the detector."""

    @property
    def explained(self) -> list[BandPowerArray]:
        """Power per Hz of the bleed in every second frame; see `BleedExclusion`."""
        return self._exclusion.explained

    @property
    def closed_share(self) -> float:
        """Share of the time in which the mask is closed."""
        return self._runs.statistics.closed_share

    def process(self, values: DetectorValues, block: Samples, last: bool = False) -> Mask:
        """Return the frames of the mask that are final, shaped (frames, gates).

        Parameters
        ----------
        values
            Values that the detector has returned for `block`.
        block
            Samples shaped (samples, channels).
        last
            Whether the recording ends here.
        """
        if isinstance(self._detector, LikelihoodDetector):
            densities = self._detector.densities
        else:
            densities = self._batches.process(block, last)
        self.values = self._exclusion.process(values, densities, last)
        mask = self._mask.process(self.values, last)
        mask = self._trimmer.process(mask, self._exclusion.scores, last)
        self._runs.process(mask)
        return mask

"""Learning of signal models from a subsample of a recording."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.block_processor import BlockProcessor
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.likelihood_detector import (
    LikelihoodScorer,
    add_evidence,
    compute_scores,
)
from noisegate_cli.gating.detection.relabelling import relabel
from noisegate_cli.gating.detection.signal_model import (
    OPEN_ABOVE,
    SignalModel,
    learn_signal_model,
)
from noisegate_cli.gating.detection.tonal_noise import SparseSpectra
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.levels import RmsLevels, rms_db
from noisegate_cli.gating.frames.quantile import median
from noisegate_cli.gating.frames.subsampling import SUBSAMPLE_STRIDE_FRAMES, BatchSubsampler
from noisegate_cli.gating.frames.tonality import NarrowBandExtractor
from noisegate_cli.gating.gain.mask import DetectorValues, FrameIndices
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples, to_db

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.voice_tracker import VoiceTracker

MIN_VOICE_S = 1.2
"""Minimum duration of voices in a recording of speech: the shares of less sound are not reliable,
and among samples of drums and instruments some resemble speech."""

MIN_BURIED_VOICE_S = 0.3
"""Minimum duration of voices with which voices that noise nearly hides become signal. Less is
enough than for events, because it closes the gate on nothing."""

MIN_KEPT_SHARE, MIN_EVIDENCE_CONTRAST_DB = 0.7, 12.0
"""The evidence counts if this share of the open frames stays open, weighted by the amplitude, or if
these exceed the median closed frame by this level. Speech among events has more of both. Music has
less if its melody resembles a voice and its drums count as events, and so does speech whose voices
count as events."""


class SignalModelLearner(BlockProcessor[Samples, None]):
    """Learns a signal model per gate from blocks of samples, in bounded memory.

    The learner stores the band powers of batches of frames, see `BatchSubsampler`. The second pass
    reuses them, so that they are computed only once.

    Parameters
    ----------
    settings
        Settings of the gate.
    sample_rate
        In Hz.
    channels
        Number of channels of the blocks.
    samples
        Expected length of the recording in samples, 0 if unknown.
    learns_models
        Whether `models` will be called; otherwise only the subsample is used, and voices are not
        tracked.
    """

    def __init__(
        self,
        settings: GateSettings,
        sample_rate: int,
        channels: int = 1,
        samples: int = 0,
        learns_models: bool = True,
    ) -> None:
        self._extractor = BandLevelExtractor(settings, sample_rate, channels)
        self._voices = (
            _create_voice_tracker(settings, sample_rate, channels, self._extractor.linked)
            if learns_models and settings.closes_on_events
            else None
        )
        self._batches = self._extractor.powers.create_batcher()
        timing = settings.timing(sample_rate)
        hop = timing.hop_length
        self.subsample = BatchSubsampler(hop, self._extractor.gates, samples)
        """Powers per Hz of the frames that the models are fitted to."""
        self._narrow_bands = NarrowBandExtractor(sample_rate)
        self._narrow_powers = BatchSubsampler(hop, self._extractor.gates, samples)
        self._frame_length = timing.frame_length
        self._hop_length = hop
        self._stride = SUBSAMPLE_STRIDE_FRAMES * hop
        self._batch_count = 0

    def process(self, block: Samples, last: bool = False) -> None:
        """Process `block`, shaped (samples, channels)."""
        if self._voices:
            self._voices.process(block, last)
        for index, frames, samples in self._batches.process(block, last):
            self._batch_count = index + 1
            if self.subsample.should_store(index):
                self.subsample.store(index, self._extractor.densities(frames, samples))
                self._narrow_powers.store(index, self._compute_narrow_powers(samples))

    def models(self, levels: RmsLevels) -> tuple[SignalModel, ...]:
        """Return the model of each gate, given the levels of the frames in the stored batches."""
        densities, levels = self.subsample.stored_powers(), levels[::SUBSAMPLE_STRIDE_FRAMES]
        frames, powers = self._narrow_frames(), self._narrow_powers.stored_powers()
        models = tuple(
            learn_signal_model(
                self._extractor,
                densities[:, gate],
                levels[:, gate],
                SparseSpectra(frames, powers[:, gate]),
            )
            for gate in range(self._extractor.gates)
        )
        if self._voices:
            models = tuple(
                self._add_evidence(self._voices, model, gate, levels[:, gate])
                for gate, model in enumerate(models)
            )
        return tuple(model._replace(learned=None) for model in models)

    def _add_evidence(
        self, voices: "VoiceTracker", model: SignalModel, gate: int, level: NDArray[np.float64]
    ) -> SignalModel:
        """Return the model with the evidence of voices, if the recording is one of speech.

        The evidence corrects the labels of the frames, and the distributions are fitted again. It
        does not count if it would close on most of the loud sounds.
        """
        if model.learned is None:
            return model
        is_open = model.learned.scores > OPEN_ABOVE
        frames, level = self.subsample.stored_frame_indices()[level > 0], level[level > 0]
        found = voices.at(gate, frames, self._hop_length)
        speech_s = found.measure_speech_s(is_open) if found else 0.0
        if found is None or speech_s < MIN_BURIED_VOICE_S:
            return model
        if speech_s < MIN_VOICE_S or model.learned.is_edited:
            return relabel(model, self._extractor, found, term=None)
        evidence = voices.evidence(gate, model.contrast_db, found.are_confirmed(is_open))
        term = evidence.at(frames, self._hop_length)
        relabeled = relabel(model, self._extractor, found, term)
        assert relabeled.learned is not None
        keeps_open = relabeled.learned.scores + term > OPEN_ABOVE
        if not _keeps_loud_sounds(level, is_open, keeps_open):
            return relabel(model, self._extractor, found, term=None)
        return relabeled._replace(evidence=evidence)

    def _compute_narrow_powers(self, samples: Samples) -> BandPowerArray:
        powers = self._narrow_bands.compute(samples)
        return powers.max(axis=1, keepdims=True) if self._extractor.linked else powers

    def _narrow_frames(self) -> NDArray[np.int64]:
        """Return the index of the stored frame at the center of each narrow-band frame."""
        narrow, first, parts = self._narrow_bands, 0, []
        for index, powers in self.subsample.items():
            stored = self._narrow_powers.get(index)
            count = 0 if stored is None else len(stored)
            centers = narrow.frame_length // 2 + narrow.hop_length * np.arange(count)
            frames = np.rint((centers - self._frame_length // 2) / self._stride).astype(np.int64)
            parts.append(first + np.clip(frames, 0, len(powers) - 1))
            first += len(powers)
        return np.concatenate(parts)

    def scores(self, models: Sequence[SignalModel], frames: FrameIndices) -> DetectorValues:
        """Return the scores of the frames in the stored batches, shaped (frames, gates).

        The gate computes the same scores in the second pass, or recalls them if the stored batches
        are the whole recording.

        Parameters
        ----------
        models
            One model per gate.
        frames
            Indices of the frames in the stored batches.
        """
        scorers = [LikelihoodScorer(model, self._extractor) for model in models]
        batches = [powers for _, powers in self.subsample.items()]
        scores = compute_scores(scorers, batches, self._extractor.bands, last=True)[: len(frames)]
        scores = add_evidence(scores, models, frames, self._hop_length)
        if len(batches) == self._batch_count:
            self.subsample.store_scores(models, scores)
        return scores


def _keeps_loud_sounds(
    level: NDArray[np.float64], was_open: NDArray[np.bool_], is_open: NDArray[np.bool_]
) -> bool:
    """Return whether evidence leaves most of the loud sounds open, or closes only on quieter ones.

    Parameters
    ----------
    level
        RMS level of each frame.
    was_open, is_open
        Whether the gate is open without and with the evidence.
    """
    if level[is_open & was_open].sum() >= MIN_KEPT_SHARE * level[was_open].sum():
        return True
    if not is_open.any():
        return False
    contrast_db = rms_db(level[is_open]) - float(to_db(median(level[~is_open])))
    return contrast_db >= MIN_EVIDENCE_CONTRAST_DB


def _create_voice_tracker(
    settings: GateSettings, sample_rate: int, channels: int, linked: bool
) -> "VoiceTracker":
    from noisegate_cli.gating.detection.voice_tracker import VoiceTracker

    return VoiceTracker(sample_rate, channels, linked, settings.speech)

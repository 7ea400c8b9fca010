"""Learning of bleed models after the first pass, from the frames that the signal models use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from noisegate_cli.errors import SettingsError, SignalError
from noisegate_cli.gating.bleed.exclusion import create_hysteresis, score_frames
from noisegate_cli.gating.bleed.model import (
    BleedModel,
    TrainingFrames,
    are_identical,
    learn_bleed_model,
)
from noisegate_cli.gating.bleed.prediction import DelayGroups, Powers
from noisegate_cli.gating.bleed.references import ReferencePowers, read_around
from noisegate_cli.gating.bleed.report import BleedLevel, BleedReport
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.frames.subsampling import BatchSubsampler
from noisegate_cli.gating.gain.mask import DetectorValues, Mask
from noisegate_cli.gating.settings import GateSettings

MAX_EXCLUSIVE_CHANNELS = 64
"""Each channel is compared with each other one, which would take hours for a thousand."""


@dataclass(frozen=True, eq=False)
class LearnedBleed:
    """What the first pass has learned about the bleed."""

    models: tuple[BleedModel | None, ...]
    """Model of each gate; None if own sound and bleed cannot be distinguished."""
    references: int = 0
    """Number of other tracks; 0 if the other channels take their place."""
    identical: tuple[tuple[int, int], ...] = ()
    """Gates and other tracks that contain the same sound."""
    stored: Mapping[int, Powers] = field(default_factory=dict, repr=False)
    """Powers of the other tracks around the batches of the first pass; empty for channels."""

    def report(self, closed_share: float) -> BleedReport:
        """Return the levels of the bleed, with the share of the time that is closed for it."""
        return BleedReport(
            tuple(
                BleedLevel(gate, reference, model.levels_db[position] if model else None)
                for gate, model in enumerate(self.models)
                for position, reference in enumerate(self.others(gate))
            ),
            closed_share,
        )

    def others(self, gate: int) -> list[int]:
        """Return the indices of the other tracks of a gate."""
        if not self.references:
            return [channel for channel in range(len(self.models)) if channel != gate]
        return list(range(self.references))


class OwnFrames(NamedTuple):
    """Which of some frames are not bleed; both arrays are shaped (frames, gates)."""

    mask: Mask
    scores: DetectorValues
    """High for own sound, low for bleed."""


class BleedLearner:
    """Learns a bleed model per gate.

    Parameters
    ----------
    settings
        Settings of the gate. If the channels are `exclusive`, the other tracks of a channel are the
        other channels.
    sample_rate
        In Hz.
    channels
        Number of channels of this track.
    """

    def __init__(self, settings: GateSettings, sample_rate: int, channels: int) -> None:
        self._extractor = BandLevelExtractor(settings, sample_rate, channels)
        self._groups = DelayGroups(self._extractor.frames_per_s)
        self._batch_frames = self._extractor.powers.create_batcher().frames

    def learn(
        self, subsample: BatchSubsampler, references: Sequence[ReferencePowers] = ()
    ) -> LearnedBleed:
        """Return the models.

        Parameters
        ----------
        subsample
            Powers of this track.
        references
            The other tracks, each at its beginning; empty if the other channels take their place.
        """
        stored: dict[int, Powers] = {}
        if references:
            for index, powers in subsample.items():
                first = index * self._batch_frames
                stored[index] = read_around(references, first, len(powers), self._groups)
        training = [
            self._training_frames(subsample, stored, gate) for gate in range(self._extractor.gates)
        ]
        models = tuple(learn_bleed_model(frames) for frames in training)
        learned = LearnedBleed(models, len(references), stored=stored)
        identical = tuple(
            (gate, reference)
            for gate, frames in enumerate(training)
            for position, reference in enumerate(learned.others(gate))
            if are_identical(frames, position)
        )
        return replace(learned, identical=identical)

    def find_own(self, learned: LearnedBleed, subsample: BatchSubsampler, count: int) -> OwnFrames:
        """Return which of the `count` stored frames are not bleed."""
        scores = [
            score_frames(model, self._training_frames(subsample, learned.stored, gate))[:count]
            for gate, model in enumerate(learned.models)
        ]
        stacked = np.stack(scores, axis=1)
        return OwnFrames(create_hysteresis(len(scores)).process(stacked, last=True), stacked)

    def _training_frames(
        self, subsample: BatchSubsampler, stored: Mapping[int, Powers], gate: int
    ) -> TrainingFrames:
        if stored:
            batches = [powers[:, gate] for _, powers in subsample.items()]
            around = list(stored.values())
        else:
            runs = _contiguous_runs(subsample)
            batches = [run[:, gate] for run in runs]
            padding = (self._groups.past, self._groups.future), (0, 0), (0, 0)
            others = [np.delete(run, gate, axis=1) for run in runs]
            around = [np.pad(other, padding, mode="edge") for other in others]
        bands = around[0].shape[2]
        return TrainingFrames(
            [batch[:, :bands] for batch in batches], around, self._groups, self._extractor
        )


def check_exclusion(settings: GateSettings, channels: int, has_references: bool) -> None:
    """Check that bleed can be excluded with these settings.

    Raises
    ------
    SettingsError, SignalError
        If it cannot.
    """
    if settings.spectral == "mask" and not settings.closed_range_db:
        raise SettingsError(
            "a binary mask does not attenuate bleed: omit spectral=True, or give range_db="
        )
    if settings.duck:
        raise SettingsError(
            "duck=True attenuates the signal and would keep the bleed: omit it, or the other tracks"
        )
    if settings.channels != "exclusive":
        return
    if has_references:
        raise SettingsError("use either against= or channels='exclusive', not both")
    if channels < 2:
        raise SignalError("channels='exclusive' needs two channels or more, and it has one")
    if channels > MAX_EXCLUSIVE_CHANNELS:
        raise SignalError(
            f"channels='exclusive' compares at most {MAX_EXCLUSIVE_CHANNELS} channels, and it has "
            f"{channels}: give channels='linked', or gate fewer channels"
        )


def _contiguous_runs(subsample: BatchSubsampler) -> list[Powers]:
    """Return the stored powers, with batches that follow each other joined."""
    runs: list[list[Powers]] = []
    previous = None
    for index, powers in subsample.items():
        if previous is None or index != previous + 1:
            runs.append([])
        runs[-1].append(powers)
        previous = index
    return [np.concatenate(run) for run in runs]

"""Fit a signal model again, to labels that the evidence of voices corrects.

Events such as snoring or keys are far above the noise, so that they are labelled as signal first.
Those that lack the evidence of a voice become noise. As long as some remain among the signal, their
spectrum has a high density there. Therefore the labels are corrected in rounds: each fit lowers the
scores of the events that remain. The opposite does not happen: what became noise remains noise.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import SCORE_SMOOTHING_MS, BandLevelExtractor
from noisegate_cli.gating.detection.evidence import MIN_CLEAR_CONTRAST_DB, LogOdds, find_buried
from noisegate_cli.gating.detection.signal_model import (
    OPEN_ABOVE,
    SignalModel,
    refit,
    select_noise,
)
from noisegate_cli.gating.frames.running_mean import BandLevelsDb, compute_running_mean

EVENT_ROUNDS = 3
"""Greatest number of rounds in which events are removed from the signal."""

MAX_EVENT_SCORE = 1.0
"""An open frame that lacks evidence is an event up to this score, of which the evidence is a term.
It is above `OPEN_ABOVE`, so that all of an event is labelled as its most obvious parts are."""


@dataclass(frozen=True, eq=False)
class Relabelling:
    """Corrects the labels that a model was fitted to."""

    model: SignalModel
    """A model with distributions and labels."""
    levels: BandLevelsDb
    """Smoothed levels of the frames that are not silent, shaped (frames, bands)."""
    extractor: BandLevelExtractor
    """Extractor of the levels."""
    is_edited: bool
    """Whether the recording was gated or edited before."""

    @cached_property
    def is_open(self) -> NDArray[np.bool_]:
        """In which frames the model opens the gate."""
        return self._scores > OPEN_ABOVE

    @cached_property
    def _scores(self) -> NDArray[np.float64]:
        return self._compute_scores(self.model)

    def fit(self, log_odds: LogOdds, term: NDArray[np.float64] | None) -> SignalModel:
        """Return the model, fitted again.

        Events become noise, and voices that noise nearly hides become signal.

        Parameters
        ----------
        log_odds
            Log odds of a voice in each frame.
        term
            Evidence of voices, a term of the score of each frame; None if it does not count.
        """
        is_signal, scores = self.model.is_signal, self._scores
        assert is_signal is not None
        if term is None:
            return self._refit(is_signal, log_odds)
        lacks_evidence = self.is_open & (term < 0)
        for number in range(EVENT_ROUNDS):
            is_event = is_signal & lacks_evidence & (scores + term <= MAX_EVENT_SCORE)
            if number and not is_event.any():
                break
            is_signal = is_signal & ~is_event
            model = self._refit(is_signal, log_odds)
            scores = self._compute_scores(model)
        return model

    def _refit(self, is_signal: NDArray[np.bool_], log_odds: LogOdds) -> SignalModel:
        """Return the model, fitted to labels to which hidden voices are added."""
        model, extractor = self.model, self.extractor
        if model.contrast_db < MIN_CLEAR_CONTRAST_DB:
            smoothed = compute_running_mean(log_odds, extractor.level_smoothing_frames)
            is_noise = select_noise(is_signal, extractor)
            is_buried = find_buried(np.asarray(smoothed, np.float64), is_noise)
            is_signal = is_signal | (~self.is_open & is_buried)
        return refit(model, self.levels, is_signal, extractor, self.is_edited)

    def _compute_scores(self, model: SignalModel) -> NDArray[np.float64]:
        frames = self.extractor.frames(SCORE_SMOOTHING_MS)
        return np.asarray(compute_running_mean(model.score(self.levels), frames), np.float64)

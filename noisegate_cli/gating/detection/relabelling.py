"""Fit a signal model again, to labels that the evidence of voices corrects.

Events such as snoring or keys are far above the noise, so they are labeled as signal at first.
Those that lack the evidence of a voice become noise. As long as some remain among the signal, their
spectrum has a high density there. Therefore the labels are corrected in rounds: each fit lowers the
scores of the events that remain. The opposite does not happen: what became noise remains noise.
Quiet sounds around voices are in neither class, see `speech_margins.py`.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.evidence import MIN_CLEAR_CONTRAST_DB, find_buried
from noisegate_cli.gating.detection.signal_model import (
    MIN_CLASS_FRAMES,
    OPEN_ABOVE,
    SignalModel,
    compute_offset,
    fit_distributions,
    log_ratio,
    select_noise,
    smooth_ratio,
)
from noisegate_cli.gating.detection.speech_margins import (
    MIN_MARGIN_CONTRAST_DB,
    find_speech_margins,
    select_noise_outside,
)
from noisegate_cli.gating.detection.tonal_noise import Flags
from noisegate_cli.gating.frames.running_mean import compute_running_mean

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.voice_tracker import FrameVoices

EVENT_ROUNDS = 3
"""Maximum number of rounds in which events are removed from the signal."""

MAX_EVENT_SCORE = 1.0
"""An open frame that lacks evidence is an event up to this score, of which the evidence is a term.
It is above `OPEN_ABOVE`, so that all of an event is labeled as its most obvious parts are."""

SURROUNDINGS_MS, MIN_MISSING, MAX_MISSING = 400.0, 1.5, 4.0
"""Frames lack evidence as their surroundings do, if the mean of what is missing there exceeds the
minimum: a snore resembles a voice for a moment. A single frame counts up to the maximum."""


def relabel(
    model: SignalModel,
    extractor: BandLevelExtractor,
    voices: "FrameVoices",
    term: NDArray[np.float64] | None,
) -> SignalModel:
    """Return a model whose distributions are fitted again.

    Events become noise, and voices that noise nearly hides become signal. The model is returned as
    it is if no label changes, or if a class has too few frames. The scores of its frames are those
    of the last fit, without `term`.

    Parameters
    ----------
    model
        A model with the frames that it was learned from.
    extractor
        Extractor of the levels.
    voices
        The voices at these frames.
    term
        Evidence of voices, a term of the score of each frame; None if it does not count.
    """
    frames = model.learned
    assert frames is not None
    is_signal, margins = frames.is_signal, np.zeros(len(frames.is_signal), np.bool_)
    if term is not None:
        margins = _find_margins(model, extractor, voices)
        is_signal = _remove_events(model, extractor, term, margins)
    if model.contrast_db < MIN_CLEAR_CONTRAST_DB:
        smoothed = compute_running_mean(voices.log_odds, extractor.level_smoothing_frames)
        is_noise = select_noise(is_signal, extractor)
        is_buried = find_buried(np.asarray(smoothed, np.float64), is_noise)
        is_signal = is_signal | ((frames.scores <= OPEN_ABOVE) & is_buried)
    is_noise = select_noise_outside(margins, is_signal, extractor)
    if not _is_fitted_again(frames.is_signal, is_signal, is_noise, margins):
        return model
    signal, noise = fit_distributions(frames.levels, is_signal, is_noise)
    score = smooth_ratio(signal, noise, frames.levels, extractor)
    offset = compute_offset(score, extractor, frames.is_edited)
    frames = frames._replace(scores=score + offset)
    return model._replace(signal=signal, noise=noise, offset=offset, learned=frames)


def _find_margins(
    model: SignalModel, extractor: BandLevelExtractor, voices: "FrameVoices"
) -> Flags:
    """Return which frames are quiet sounds around voices; none if noise hides them."""
    frames = model.learned
    assert frames is not None
    is_noise = select_noise(frames.is_signal, extractor)
    if model.contrast_db < MIN_MARGIN_CONTRAST_DB or not is_noise.any():
        return np.zeros_like(is_noise)
    is_voice = frames.is_signal & (voices.log_odds > 0)
    mean_db = frames.levels.mean(axis=1, dtype=np.float64)
    return find_speech_margins(is_voice, is_noise, mean_db, voices.level_db, extractor)


def _remove_events(
    model: SignalModel,
    extractor: BandLevelExtractor,
    term: NDArray[np.float64],
    margins: Flags,
) -> Flags:
    """Return which frames are signal, not events."""
    frames = model.learned
    assert frames is not None
    is_signal = frames.is_signal.copy()
    term = _include_surroundings(term, extractor)
    # Few frames lack evidence, so that only these are scored.
    lacking = np.flatnonzero(is_signal & (frames.scores > OPEN_ABOVE) & (term < 0))
    levels, scores, term = frames.levels[lacking], frames.scores[lacking], term[lacking]
    for number in range(EVENT_ROUNDS):
        if number:
            is_noise = select_noise_outside(margins, is_signal, extractor)
            if not _is_fitted_again(frames.is_signal, is_signal, is_noise, margins):
                break
            scores = log_ratio(*fit_distributions(frames.levels, is_signal, is_noise), levels)
        is_event = is_signal[lacking] & (scores + term <= MAX_EVENT_SCORE)
        if not is_event.any():
            break
        is_signal[lacking[is_event]] = False
    return is_signal


def _include_surroundings(
    term: NDArray[np.float64], extractor: BandLevelExtractor
) -> NDArray[np.float64]:
    """Return the evidence of frames with what is missing around them; see `SURROUNDINGS_MS`."""
    limited = np.maximum(term, -MAX_MISSING)
    mean = compute_running_mean(limited, extractor.frames(SURROUNDINGS_MS))
    return np.where(mean < -MIN_MISSING, np.minimum(term, mean), term)


def _is_fitted_again(before: Flags, is_signal: Flags, is_noise: Flags, margins: Flags) -> bool:
    """Return whether the labels have changed, and there are enough frames of both classes."""
    fewest = min(np.count_nonzero(is_signal), np.count_nonzero(is_noise))
    is_changed = margins.any() or (is_signal != before).any()
    return bool(fewest >= MIN_CLASS_FRAMES and is_changed)

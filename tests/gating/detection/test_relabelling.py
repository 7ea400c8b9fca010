import numpy as np
import pytest

from noisegate_cli import GateSettings
from noisegate_cli.gating.detection import relabelling
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.relabelling import relabel
from noisegate_cli.gating.detection.signal_model import (
    OPEN_ABOVE,
    LearnedFrames,
    SignalModel,
    fit_distributions,
    select_noise,
    smooth_ratio,
)
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.detection.voice_tracker import FrameVoices

EXTRACTOR = BandLevelExtractor(GateSettings(), sample_rate=16000)
FRAMES = 3000
SECOND = round(EXTRACTOR.frames_per_s)
IS_VOICE, IS_EVENT = np.zeros((2, FRAMES), np.bool_)
for start in range(SECOND, FRAMES - 2 * SECOND, 4 * SECOND):
    IS_VOICE[start : start + SECOND] = True
    IS_EVENT[start + 2 * SECOND : start + 3 * SECOND] = True


def create_voices(log_odds=-20.0, level_db=0.0):
    """Return the voices of all frames, by default without any resemblance to one."""
    log_odds, level_db = np.broadcast_to(log_odds, FRAMES), np.broadcast_to(level_db, FRAMES)
    frame_s = 1 / EXTRACTOR.frames_per_s
    return FrameVoices(frame_s, log_odds, log_odds > 0, level_db, is_confirmed=None)


NO_VOICES = create_voices()


def create_levels():
    """Return levels: noise at −70 dB, voices at −30 dB in low bands, events at −50 dB in others."""
    rng = np.random.default_rng(3)
    is_high = np.arange(EXTRACTOR.bands) >= EXTRACTOR.bands // 2
    levels = np.full((FRAMES, EXTRACTOR.bands), -70.0)
    levels[np.ix_(IS_VOICE, ~is_high)] = -30
    levels[np.ix_(IS_EVENT, is_high)] = -50
    loudness = np.repeat(rng.normal(0, 3, FRAMES // 5), 5)[:, None]
    return levels + loudness * (IS_VOICE | IS_EVENT)[:, None] + rng.normal(0, 3, levels.shape)


def label_events_as_signal(contrast_db=30.0, levels=None):
    levels, is_signal = create_levels() if levels is None else levels, IS_VOICE | IS_EVENT
    is_noise = select_noise(is_signal, EXTRACTOR)
    signal, noise = fit_distributions(levels, is_signal, is_noise)
    scores = smooth_ratio(signal, noise, levels, EXTRACTOR)
    frames = LearnedFrames(levels, scores, is_signal, is_edited=False)
    return SignalModel(
        Verdict.SEPARATED, signal=signal, noise=noise, contrast_db=contrast_db, learned=frames
    )


def lack_evidence(weak_term, share=0.5):
    """Return evidence that lacks in the first share of each event, and weakly in the rest."""
    term = np.zeros(FRAMES)
    for start in np.flatnonzero(np.diff(IS_EVENT.astype(int), prepend=0) == 1):
        middle = start + round(share * SECOND)
        term[start:middle], term[middle : start + SECOND] = -8.0, weak_term
    return term


def compute_scores(model, frames):
    return model.score(model.learned.levels)[frames]


def test_events_that_lack_evidence_in_most_frames_are_closed_in_all():
    first = label_events_as_signal()
    assert np.mean(compute_scores(first, IS_EVENT) > OPEN_ABOVE) > 0.99
    model = relabel(first, EXTRACTOR, NO_VOICES, lack_evidence(0.0, share=0.7))
    assert np.mean(compute_scores(model, IS_EVENT) > OPEN_ABOVE) < 0.05
    assert np.mean(compute_scores(model, IS_VOICE) > OPEN_ABOVE) > 0.99


def test_sounds_with_evidence_remain_signal():
    first = label_events_as_signal()
    assert relabel(first, EXTRACTOR, NO_VOICES, np.zeros(FRAMES)) is first
    assert relabel(first, EXTRACTOR, NO_VOICES, None) is first


def test_further_rounds_find_the_parts_of_events_that_lack_less_evidence(monkeypatch):
    first, term = label_events_as_signal(), lack_evidence(-1.0)
    rounds = relabel(first, EXTRACTOR, NO_VOICES, term)
    monkeypatch.setattr(relabelling, "EVENT_ROUNDS", 1)
    once = relabel(first, EXTRACTOR, NO_VOICES, term)
    assert compute_scores(rounds, IS_EVENT).max() < compute_scores(once, IS_EVENT).min()


def test_a_moment_that_resembles_a_voice_is_part_of_the_event_around_it():
    first, term = label_events_as_signal(), lack_evidence(-8.0)
    term[np.flatnonzero(IS_EVENT)[::20]] = 0.0
    model = relabel(first, EXTRACTOR, NO_VOICES, term)
    complete = relabel(first, EXTRACTOR, NO_VOICES, np.where(IS_EVENT, -8.0, 0.0))
    np.testing.assert_array_equal(model.signal.mean, complete.signal.mean)


def test_the_model_stays_if_hardly_any_signal_would_remain():
    first = label_events_as_signal()
    assert relabel(first, EXTRACTOR, NO_VOICES, np.full(FRAMES, -30.0)) is first


@pytest.mark.parametrize(("contrast_db", "is_changed"), [(30.0, False), (10.0, True)])
def test_hidden_voices_become_signal_only_if_the_contrast_is_low(contrast_db, is_changed):
    first = label_events_as_signal(contrast_db)
    quiet = np.flatnonzero(~(IS_VOICE | IS_EVENT))
    log_odds = np.random.default_rng(6).normal(-20, 1, FRAMES)
    log_odds[quiet[: SECOND // 2]] = 3.0
    assert (relabel(first, EXTRACTOR, create_voices(log_odds), None) is not first) == is_changed


VOICE_ENDS = np.flatnonzero(np.diff(IS_VOICE.astype(int)) == -1) + 1
FADE_FRAMES = VOICE_ENDS[:, None] + np.arange(SECOND)


def fade_after_voices():
    """Return levels of voices that fade from 25 dB above the noise within a second."""
    levels = create_levels()
    is_high = np.arange(EXTRACTOR.bands) >= EXTRACTOR.bands // 2
    levels[np.ix_(FADE_FRAMES.ravel(), ~is_high)] += np.tile(
        np.linspace(25, 0, SECOND), len(VOICE_ENDS)
    )[:, None]
    return levels


def test_a_tail_that_fades_into_the_noise_is_not_learned_as_noise():
    first = label_events_as_signal(levels=fade_after_voices())
    voices = create_voices(np.where(IS_VOICE, 3.0, -20.0))
    model = relabel(first, EXTRACTOR, voices, np.zeros(FRAMES))
    tail = FADE_FRAMES[:, SECOND // 3 : 2 * SECOND // 3].ravel()
    assert compute_scores(model, tail).mean() > compute_scores(first, tail).mean() + 0.3
    is_pause = ~(IS_VOICE | IS_EVENT)
    is_pause[FADE_FRAMES] = False
    assert np.mean(compute_scores(model, is_pause) < OPEN_ABOVE) > 0.99


def test_tails_are_learned_as_noise_if_noise_hides_voices():
    first = label_events_as_signal(levels=fade_after_voices(), contrast_db=15.8)
    voices = create_voices(np.where(IS_VOICE, 3.0, -20.0))
    assert relabel(first, EXTRACTOR, voices, np.zeros(FRAMES)) is first

from dataclasses import replace

import numpy as np
import pytest

from noisegate_cli import GateSettings
from noisegate_cli.gating.detection import relabelling
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.relabelling import Relabelling
from noisegate_cli.gating.detection.signal_model import OPEN_ABOVE, SignalModel, refit
from noisegate_cli.gating.detection.verdict import Verdict

EXTRACTOR = BandLevelExtractor(GateSettings(), sample_rate=16000)
FRAMES = 3000
SECOND = round(EXTRACTOR.frames_per_s)
IS_VOICE, IS_EVENT = np.zeros((2, FRAMES), np.bool_)
for start in range(SECOND, FRAMES - 2 * SECOND, 4 * SECOND):
    IS_VOICE[start : start + SECOND] = True
    IS_EVENT[start + 2 * SECOND : start + 3 * SECOND] = True
NO_VOICE_ODDS = np.full(FRAMES, -20.0)


def create_levels():
    """Return levels: noise at −70 dB, voices at −30 dB in low bands, events at −50 dB in others."""
    rng = np.random.default_rng(3)
    is_high = np.arange(EXTRACTOR.bands) >= EXTRACTOR.bands // 2
    levels = np.full((FRAMES, EXTRACTOR.bands), -70.0)
    levels[np.ix_(IS_VOICE, ~is_high)] = -30
    levels[np.ix_(IS_EVENT, is_high)] = -50
    loudness = np.repeat(rng.normal(0, 3, FRAMES // 5), 5)[:, None]
    return levels + loudness * (IS_VOICE | IS_EVENT)[:, None] + rng.normal(0, 3, levels.shape)


def label_events_as_signal(levels, contrast_db=30.0):
    model = SignalModel(Verdict.SEPARATED, contrast_db=contrast_db)
    fitted = refit(model, levels, IS_VOICE | IS_EVENT, EXTRACTOR, is_edited=False)
    return Relabelling(
        replace(fitted, is_signal=IS_VOICE | IS_EVENT), levels, EXTRACTOR, is_edited=False
    )


def lack_evidence(weak_term, share=0.5):
    """Return evidence that lacks in the first share of each event, and weakly in the rest."""
    term = np.zeros(FRAMES)
    for start in np.flatnonzero(np.diff(IS_EVENT.astype(int), prepend=0) == 1):
        middle = start + round(share * SECOND)
        term[start:middle], term[middle : start + SECOND] = -8.0, weak_term
    return term


def open_share(model, levels, frames):
    return (model.score(levels) > OPEN_ABOVE)[frames].mean()


def test_events_that_lack_evidence_in_most_frames_are_closed_in_all():
    levels = create_levels()
    labels = label_events_as_signal(levels)
    assert open_share(labels.model, levels, IS_EVENT) > 0.99
    model = labels.fit(NO_VOICE_ODDS, lack_evidence(0.0, share=0.7))
    assert open_share(model, levels, IS_EVENT) < 0.05
    assert open_share(model, levels, IS_VOICE) > 0.99


def test_sounds_with_evidence_remain_signal():
    levels = create_levels()
    labels = label_events_as_signal(levels)
    assert labels.fit(NO_VOICE_ODDS, np.zeros(FRAMES)) is labels.model
    assert labels.fit(NO_VOICE_ODDS, None) is labels.model


def test_further_rounds_find_the_parts_of_events_that_lack_less_evidence(monkeypatch):
    levels = create_levels()
    labels = label_events_as_signal(levels)
    term = lack_evidence(-1.0)
    rounds = labels.fit(NO_VOICE_ODDS, term)
    monkeypatch.setattr(relabelling, "EVENT_ROUNDS", 1)
    once = labels.fit(NO_VOICE_ODDS, term)
    assert rounds.score(levels)[IS_EVENT].max() < once.score(levels)[IS_EVENT].min()


@pytest.mark.parametrize(("contrast_db", "is_changed"), [(30.0, False), (10.0, True)])
def test_hidden_voices_become_signal_only_if_the_contrast_is_low(contrast_db, is_changed):
    levels = create_levels()
    labels = label_events_as_signal(levels, contrast_db)
    quiet = np.flatnonzero(~(IS_VOICE | IS_EVENT))
    odds = np.random.default_rng(6).normal(-20, 1, FRAMES)
    odds[quiet[: SECOND // 2]] = 3.0
    assert (labels.fit(odds, None) is not labels.model) == is_changed

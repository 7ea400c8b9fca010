"""Tests of the tails of voices."""

import numpy as np

from noisegate_cli.gating.detection.evidence import AFTER_PER_S, TAIL_PER_S, LogOddsSpreader
from noisegate_cli.gating.detection.tails import TailFinder

HOP_S = 0.016
RNG = np.random.default_rng(5)


def spread_after_voice(level_db):
    """Return the log odds at the end of a sound whose first hops are a voice."""
    is_voice = np.arange(len(level_db)) < 5
    log_odds = np.where(is_voice, 3.0, -20.0)
    is_tail = TailFinder().find(is_voice, level_db)
    return LogOddsSpreader(HOP_S, [log_odds]).spread(log_odds, is_tail)[-1]


def test_reverberation_loses_less_after_a_voice_than_a_steady_sound():
    voice, fluctuation = np.zeros(5), RNG.normal(0, 0.5, 25)
    reverberation = -0.8 * np.arange(25) + fluctuation
    tail = spread_after_voice(np.concatenate([voice, reverberation]))
    steady = spread_after_voice(np.concatenate([voice, fluctuation - 10]))
    assert tail - steady > 0.8 * 20 * HOP_S * (AFTER_PER_S - TAIL_PER_S)


def test_an_event_after_a_voice_has_no_tail():
    pause, attack, decay = np.full(10, -50.0), [-30.0, -5.0], -5 - 0.8 * np.arange(1, 20)
    level_db = np.concatenate([np.zeros(5), pause, attack, decay])
    is_tail = TailFinder().find(np.arange(len(level_db)) < 5, level_db)
    assert is_tail[:15].any()
    assert not is_tail[15:].any()


def test_a_decay_without_a_voice_does_not_count_as_tail():
    assert not TailFinder().find(np.zeros(30, np.bool_), -np.arange(30.0)).any()


def test_tails_do_not_depend_on_the_borders_of_chunks():
    is_voice = RNG.random(400) < 0.05
    level_db = np.cumsum(RNG.normal(-0.2, 1.5, 400))
    whole = TailFinder().find(is_voice, level_db)
    assert 0 < whole.sum() < 400
    for borders in ([1, 3, 4, 90, 91, 250], range(1, 400)):
        finder = TailFinder()
        chunks = zip(np.split(is_voice, borders), np.split(level_db, borders), strict=True)
        np.testing.assert_array_equal(np.concatenate([finder.find(*c) for c in chunks]), whole)

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings
from noisegate_cli.gating.chops import MAX_LISTED_CHOPS, ChopAudit
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate
from noisegate_cli.samples import from_db

RATE = 8000
SETTINGS = GateSettings(hysteresis_db=0)
HOP_S = SETTINGS.timing(RATE).hop_length / RATE


def gated(y, threshold, settings=SETTINGS):
    gate = Gate(GateDecision(threshold, settings), RATE)
    gate.process(y[:, None], last=True)
    return gate.report.chops


def burst(decay_db_per_s=0.0, attack_db_per_s=0.0, seconds=4.0):
    """A tone of 0.3 RMS from 1 to 2 s over a floor of -70 dBFS, with slopes before and after it."""
    t = np.arange(round(seconds * RATE)) / RATE
    db = np.full(len(t), -70.0)
    inside = (t >= 1) & (t < 2)
    db[inside] = -10
    if decay_db_per_s:
        db[t >= 2] = np.maximum(db[t >= 2], -10 - decay_db_per_s * (t[t >= 2] - 2))
    if attack_db_per_s:
        db[t < 1] = np.maximum(db[t < 1], -10 - attack_db_per_s * (1 - t[t < 1]))
    return from_db(db) * np.sqrt(2) * np.sin(2 * np.pi * 440 * t)


def test_a_sound_that_stops_is_not_cut():
    chops = gated(burst(), from_db(-40))
    assert chops.count == 0
    assert chops.worst == ()


def test_a_gate_that_closes_on_a_decay_is_told_where():
    chops = gated(burst(decay_db_per_s=60), from_db(-30))
    assert (chops.decays, chops.attacks) == (1, 0)
    # It falls below -30 dBFS a third of a second after the end of the tone.
    assert chops.worst[0].time == pytest.approx(2 + 20 / 60, abs=0.15)
    # Between the middle of the fade and what is there 300 to 500 ms later.
    assert chops.worst[0].above_db == pytest.approx(0.4 * 60, abs=6)


def test_a_lower_threshold_does_not_cut_it():
    assert gated(burst(decay_db_per_s=60), from_db(-62)).count == 0


def test_a_gate_that_opens_into_an_attack_is_told_where():
    chops = gated(burst(attack_db_per_s=100), from_db(-20))
    assert (chops.decays, chops.attacks) == (0, 1)
    assert chops.worst[0].time == pytest.approx(0.85, abs=0.1)


def test_what_nobody_hears_is_not_cut():
    quiet = 0.003 * burst(decay_db_per_s=60)
    assert gated(quiet, from_db(-80)).count == 0


def test_the_worst_are_listed_and_all_are_counted():
    y = np.tile(burst(decay_db_per_s=80), MAX_LISTED_CHOPS + 5)
    chops = gated(y, from_db(-25))
    assert chops.decays == MAX_LISTED_CHOPS + 5
    assert len(chops.worst) == MAX_LISTED_CHOPS
    assert list(chops.worst) == sorted(chops.worst, key=lambda chop: chop.time)


@given(st.lists(st.integers(0, 700), max_size=6), st.integers(0, 60))
def test_does_not_depend_on_blocks_nor_on_how_late_the_mask_comes(cuts, late):
    rng = np.random.default_rng(4)
    levels = from_db(rng.uniform(-70, -10, (700, 2)))
    mask = rng.random((700, 2)) > 0.5
    timing = SETTINGS.timing(RATE)
    whole, parts = (ChopAudit(timing, RATE, 2) for _ in range(2))
    whole.process(levels, mask, last=True)
    at = [0, *sorted(cuts), 700]
    told = 0
    for start, end in pairwise(at):
        last = end == 700 and start != 700
        until = 700 if last else max(told, end - late)
        parts.process(levels[start:end], mask[told:until], last)
        told = until
        if last:
            break
    if told == 700:
        assert parts.report == whole.report

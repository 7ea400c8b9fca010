from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings
from noisegate_cli.gating.cutoff_report import (
    MAX_LISTED_CUTOFFS,
    MAX_MARKED_CUTOFFS,
    Cutoff,
    CutoffReport,
)
from noisegate_cli.gating.cutoffs import CutoffAudit
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate
from noisegate_cli.samples import from_db

RATE = 8000
SETTINGS = GateSettings(hysteresis_db=0)
HOP_S = SETTINGS.timing(RATE).hop_length / RATE


def find_cutoffs(y, threshold, settings=SETTINGS):
    stream = Gate(GateDecision(threshold, settings), RATE)
    stream.process(y[:, None], last=True)
    return stream.report.cutoffs


def burst(decay_db_per_s=0.0, attack_db_per_s=0.0, seconds=4.0):
    """Return a tone of 0.3 RMS from 1 to 2 s above a floor of -70 dBFS, with optional slopes."""
    t = np.arange(round(seconds * RATE)) / RATE
    db = np.full(len(t), -70.0)
    inside = (t >= 1) & (t < 2)
    db[inside] = -10
    if decay_db_per_s:
        db[t >= 2] = np.maximum(db[t >= 2], -10 - decay_db_per_s * (t[t >= 2] - 2))
    if attack_db_per_s:
        db[t < 1] = np.maximum(db[t < 1], -10 - attack_db_per_s * (1 - t[t < 1]))
    return from_db(db) * np.sqrt(2) * np.sin(2 * np.pi * 440 * t)


def test_an_abrupt_end_is_not_a_cutoff():
    cutoffs = find_cutoffs(burst(), from_db(-40))
    assert cutoffs.count == 0
    assert cutoffs.worst == ()


def test_a_truncated_decay_is_reported_with_its_time():
    cutoffs = find_cutoffs(burst(decay_db_per_s=60), from_db(-30))
    assert (cutoffs.decays, cutoffs.attacks) == (1, 0)
    # The level falls below -30 dBFS a third of a second after the end of the tone.
    assert cutoffs.worst[0].time == pytest.approx(2 + 20 / 60, abs=0.15)
    # The drop from the middle of the fade to the end of the decay at -70 dBFS.
    assert cutoffs.worst[0].above_db == pytest.approx(36, abs=6)
    assert cutoffs.worst[0].lasts == pytest.approx(26 / 60, abs=0.1)


def test_a_slow_decay_that_is_cut_far_above_the_pause_is_a_cutoff():
    # It falls by 6 dB within 500 ms, less than an audible step.
    y = burst(decay_db_per_s=12, seconds=8)
    assert find_cutoffs(y, from_db(-20)).decays == 1


@pytest.mark.parametrize("decay_db_per_s", [15, 30])
def test_holes_in_the_decays_of_notes_are_cutoffs(decay_db_per_s):
    """Each of ten notes rings until the next one begins, and the gate closes on every ring."""
    t = np.arange(12 * RATE) / RATE
    db = np.where(t < 10, -10 - decay_db_per_s * (t % 1), -70)
    y = from_db(db) * np.sqrt(2) * np.sin(2 * np.pi * 440 * t)
    cutoffs = find_cutoffs(y, from_db(-10 - 0.4 * decay_db_per_s))
    assert (cutoffs.decays, cutoffs.attacks) == (10, 0)
    assert find_cutoffs(y, from_db(-65)).decays == 0


def test_noise_in_the_pauses_has_no_holes():
    """The noise is far above a quieter part of the recording."""
    t = np.arange(12 * RATE) / RATE
    rng = np.random.default_rng(1)
    noise = rng.normal(0, from_db(np.where(t > 2, -40, -70)))
    tone = 0.3 * np.sin(2 * np.pi * 440 * t) * ((t > 4) & (t % 1 < 0.5))
    assert find_cutoffs(tone + noise, from_db(-30)).count == 0


def test_constant_noise_before_digital_silence_is_not_a_cutoff():
    """Pauses that another gate has silenced, some time after the words."""
    y = burst(seconds=8) + np.random.default_rng(0).normal(0, from_db(-50), 8 * RATE)
    t = np.arange(len(y)) / RATE
    y[(t < 0.7) | (t > 2.3)] = 0
    assert find_cutoffs(y, from_db(-30)).count == 0


def test_a_decay_into_digital_silence_is_a_cutoff():
    y = burst(decay_db_per_s=30)
    y[round(2.9 * RATE) :] = 0
    assert find_cutoffs(y, from_db(-20)).decays == 1


def test_a_lower_threshold_does_not_truncate_the_decay():
    assert find_cutoffs(burst(decay_db_per_s=60), from_db(-62)).count == 0


def test_a_truncated_attack_is_reported_with_its_time():
    cutoffs = find_cutoffs(burst(attack_db_per_s=100), from_db(-20))
    assert (cutoffs.decays, cutoffs.attacks) == (0, 1)
    assert cutoffs.worst[0].time == pytest.approx(0.85, abs=0.1)


@pytest.mark.parametrize(("gap_frames", "count"), [(3, 0), (10, 0), (40, 1)])
def test_a_gap_that_is_too_short_for_the_fades_cuts_nothing(gap_frames, count):
    levels, mask = from_db(np.full((800, 1), -70.0)), np.zeros((800, 1), np.bool_)
    levels[200:400], levels[400:410] = from_db(-10), from_db(-30)
    mask[200:400] = mask[400 + gap_frames : 420 + gap_frames] = True
    audit = CutoffAudit(SETTINGS.timing(RATE), RATE)
    audit.process(levels, mask, last=True)
    assert audit.report.count == count


def test_inaudible_decays_are_not_cutoffs():
    quiet = 0.003 * burst(decay_db_per_s=60)
    assert find_cutoffs(quiet, from_db(-80)).count == 0


def test_all_cutoffs_are_counted_and_the_worst_are_listed():
    y = np.tile(burst(decay_db_per_s=80), MAX_LISTED_CUTOFFS + 5)
    cutoffs = find_cutoffs(y, from_db(-25))
    assert cutoffs.decays == MAX_LISTED_CUTOFFS + 5
    assert len(cutoffs.worst) == MAX_LISTED_CUTOFFS
    assert len(cutoffs.marked) == MAX_LISTED_CUTOFFS + 5
    assert list(cutoffs.worst) == sorted(cutoffs.worst, key=lambda cutoff: cutoff.time)


@pytest.mark.parametrize("is_slow", [False, True])
@given(st.lists(st.integers(0, 700), max_size=6), st.integers(0, 60))
def test_cutoffs_do_not_depend_on_the_blocks_or_the_delay_of_the_mask(is_slow, cuts, delay):
    rng = np.random.default_rng(4)
    levels = from_db(rng.uniform(-70, -10, (700, 2)))
    mask = rng.random((700, 2)) > 0.5
    if is_slow:  # Sounds that last longer than the audit looks.
        levels = from_db(-10 - 0.4 * np.abs(np.arange(700.0)[:, None] % 200 - [100, 60]))
        mask = np.sin(np.arange(700)[:, None] / [3, 7]) > 0
    timing = SETTINGS.timing(RATE)
    whole_audit, block_audit = (CutoffAudit(timing, RATE, 2) for _ in range(2))
    whole_audit.process(levels, mask, last=True)
    edges = [0, *sorted(cuts), 700]
    mask_end = 0
    for start, end in pairwise(edges):
        last = end == 700 and start != 700
        until = 700 if last else max(mask_end, end - delay)
        block_audit.process(levels[start:end], mask[mask_end:until], last)
        mask_end = until
        if last:
            break
    if mask_end == 700:
        assert block_audit.report == whole_audit.report


def test_the_list_has_the_worst_of_the_marked_cutoffs():
    marked = tuple(Cutoff(float(i), "decay", 10 + (7 * i) % 23) for i in range(23))
    report = CutoffReport(decays=23, marked=marked)
    assert len(report.worst) == MAX_LISTED_CUTOFFS < MAX_MARKED_CUTOFFS
    assert {c.above_db for c in report.worst} == set(range(23, 33))
    assert list(report.worst) == sorted(report.worst, key=lambda cutoff: cutoff.time)

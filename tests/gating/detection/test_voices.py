"""How voices are recorded, and what they say about the sounds around them."""

import tracemalloc

import numpy as np
import pytest

from noisegate_cli.gating.detection.evidence import (
    AFTER_PER_S,
    BEFORE_PER_S,
    MIN_CLEAR_CONTRAST_DB,
    LogOddsSpreader,
    add_level,
    compute_penalty,
    find_buried,
    lower_unvoiced,
    weigh_surroundings,
)
from noisegate_cli.gating.detection.voice_tracker import FrameVoices, VoiceTracker
from noisegate_cli.gating.detection.voices import SHARE_FRAMES, VoiceRecord, measure_shares
from noisegate_cli.gating.detection.voicing import Voicing, VoicingDetector
from noisegate_cli.gating.frames.chunked_values import CHUNK_ROWS, ChunkedValues

RATE, HOP_S = 16000, 0.016
RNG = np.random.default_rng(3)


def test_log_odds_are_spread_over_chunks_as_over_the_whole_recording():
    log_odds = RNG.normal(-15, 10, 500).round(3)
    distance_s = HOP_S * (np.arange(500)[:, None] - np.arange(500))
    lost = np.where(distance_s > 0, AFTER_PER_S * distance_s, -BEFORE_PER_S * distance_s)
    expected = (log_odds - lost).max(axis=1)
    whole = LogOddsSpreader(HOP_S, [log_odds]).spread(log_odds)
    np.testing.assert_allclose(whole, expected, atol=1e-9)
    chunks = np.split(log_odds, [1, 7, 300])
    spreader = LogOddsSpreader(HOP_S, chunks)
    np.testing.assert_array_equal(np.concatenate([*map(spreader.spread, chunks)]), whole)


def test_chunked_values_are_the_rows_that_were_appended():
    rows = RNG.integers(0, 255, (2 * CHUNK_ROWS + 5, 2))
    values = ChunkedValues(np.uint8)
    for part in np.split(rows, [0, 3, CHUNK_ROWS, CHUNK_ROWS, 2 * CHUNK_ROWS + 1]):
        values.append(part)
    indices = np.flatnonzero(RNG.random(len(rows)) < 0.1)
    np.testing.assert_array_equal(values.take(indices), rows[indices])
    for kept in (values.chunks(), values.drain()):
        np.testing.assert_array_equal(np.concatenate(list(kept)), rows)


@pytest.mark.parametrize("gates", [1, 2])
def test_the_voices_of_an_hour_take_little_memory(gates, monkeypatch):
    hops = CHUNK_ROWS
    periodicity = np.repeat(RNG.uniform(0, 1, (hops // 16, gates)), 16, axis=0)
    levels = -60 + 40 * periodicity
    voicing = Voicing(periodicity, 0 * periodicity, periodicity, levels, levels)
    monkeypatch.setattr(VoicingDetector, "process", lambda *_: voicing)

    def measure_peak(blocks):
        tracemalloc.start()
        tracker = VoiceTracker(RATE, gates, linked=False)
        for number in range(blocks):
            tracker.process(np.zeros((1, gates)), last=number == blocks - 1)
        frames = np.arange(0, blocks * hops, 64)
        voices = tracker.at(0, frames, 256)
        assert voices
        assert voices.measure_speech_s(np.ones(len(frames), np.bool_))
        evidence = [tracker.evidence(gate, 20.0, False) for gate in range(gates)]
        assert all(len(terms.values) == blocks * hops for terms in evidence)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    bytes_per_hop = (measure_peak(27) - measure_peak(3)) / (24 * hops * gates)
    assert bytes_per_hop < 13


def test_a_distant_voice_does_not_open_the_gate_for_a_louder_sound():
    log_odds, voice_db = np.full(3, 3.0), np.full(3, -30.0)
    level_db = np.array([-30.0, -15.0, 0.0])
    penalty = compute_penalty(log_odds, add_level(log_odds, voice_db), level_db, 20.0)
    assert penalty[0] == 0
    assert penalty[2] < penalty[1] <= 0


def test_a_sound_whose_periodicity_hardly_changes_is_less_like_a_voice():
    syllables = np.where(np.arange(400) % 12 < 7, 0.9, 0.3)
    periodicity = np.concatenate([syllables, np.full(400, 0.9)])
    levels = np.full(800, -20.0)
    record = VoiceRecord(HOP_S)
    record.process(Voicing(periodicity, 0 * periodicity, periodicity, levels, levels), last=True)
    (voices,) = record.voices()
    assert (voices.steady_log_odds[:380] == 0).all()
    assert (voices.steady_log_odds[420:] < -1).all()


def test_the_share_of_voices_does_not_depend_on_the_borders_of_chunks():
    hops = CHUNK_ROWS + 300
    is_voice, values = RNG.random(hops) < 0.4, ChunkedValues(np.bool_)
    values.append(is_voice)
    shares = list(measure_shares(values))
    assert [len(chunk) for chunk in shares] == [CHUNK_ROWS, 300]
    padded = np.pad(is_voice, SHARE_FRAMES // 2, mode="edge")
    expected = np.lib.stride_tricks.sliding_window_view(padded, SHARE_FRAMES).mean(axis=1)
    np.testing.assert_allclose(np.concatenate(shares), expected, atol=1e-12)


def test_a_loud_sound_alone_needs_more_than_one_among_voices():
    share, variation = np.array([0.5, 0.05, 0.05]), np.array([0.2, 0.05, 0.05])
    lost = weigh_surroundings(share, variation, np.array([0.0, 0.0, -35.0]), contrast_db=30)
    assert lost[0] == lost[2] == 0
    assert lost[1] < -1


def test_in_noise_the_surroundings_of_a_sound_do_not_count():
    share, variation, level_db = np.full((3, 5), 0.0)
    assert (weigh_surroundings(share, variation, level_db, MIN_CLEAR_CONTRAST_DB) == 0).all()
    assert (weigh_surroundings(share, variation, level_db, 30) < -1).all()


def test_a_moment_that_resembles_a_voice_counts_less_than_a_run_of_voiced_frames():
    log_odds = lower_unvoiced(np.full(2, 1.1), np.array([False, True]))
    penalty = compute_penalty(log_odds, add_level(log_odds, np.zeros(2)), np.zeros(2), 20.0)
    assert penalty[0] < penalty[1] == 0


def test_noise_that_resembles_voices_hides_none():
    noise, voice = RNG.normal(-14, 1, 400), np.full(20, 0.0)
    is_noise = np.ones(420, np.bool_)
    assert find_buried(np.concatenate([noise, voice]), is_noise)[400:].all()
    babble = RNG.normal(-2, 3, 400)
    assert not find_buried(np.concatenate([babble, voice]), is_noise)[400:].any()


def test_a_detector_that_misses_plain_voices_is_not_trusted():
    log_odds, is_voiced = np.full(100, 3.0), np.ones(100, np.bool_)
    for share, trusted in ((0.5, False), (1.0, True)):
        is_confirmed = np.arange(100) < 100 * share
        voices = FrameVoices(0.1, log_odds, is_voiced, 0 * log_odds, is_confirmed)
        assert voices.are_confirmed(is_voiced) is trusted
    assert not FrameVoices(0.1, log_odds, is_voiced, 0 * log_odds, None).are_confirmed(is_voiced)

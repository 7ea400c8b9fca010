"""The gate closes where only the bleed of other tracks is audible."""

import numpy as np
import pytest

from noisegate_cli import SettingsError, gate
from noisegate_cli.errors import AudioError
from noisegate_cli.gating.bleed.mask_trimming import MaskTrimmer
from noisegate_cli.gating.bleed.prediction import DelayGroups, fit_weights
from noisegate_cli.samples import from_db
from tests.sessions import (
    NOISE_RMS,
    RATE,
    convolve,
    find_active,
    make_drums,
    make_own_tracks,
    make_room,
    make_session,
    mix_bleed,
)

CLOSED = 1e-7
OWN_RMS = 0.01


def closed_shares(y, own, others):
    """Return the closed share of own sound, of both together, and of bleed alone."""
    is_open = find_active(y, CLOSED)
    me, them = find_active(own, OWN_RMS), find_active(sum(others), OWN_RMS)
    return [float(1 - is_open[flags].mean()) for flags in (me & ~them, me & them, them & ~me)]


def level_change_db(y, out):
    """Return how much louder each hop of 10 ms has become."""
    hops = [x[: len(x) // 160 * 160].reshape(-1, 160) for x in (y, out)]
    before, after = (np.mean(x**2, axis=1) for x in hops)
    return 10 * np.log10(after / before)


@pytest.mark.parametrize("bleed_db", [-6, -12])
@pytest.mark.parametrize("track", [0, 1])
def test_bleed_is_closed_and_own_sound_passes(bleed_db, track):
    tracks, own = make_session(bleed_db)
    y = gate(tracks[track], RATE, against=[tracks[1 - track]])
    own_closed, both_closed, bleed_closed = closed_shares(y, own[track], [own[1 - track]])
    assert own_closed <= 0.015
    assert both_closed <= 0.05
    assert bleed_closed >= 0.9


def test_bleed_of_two_others_in_a_reverberant_room_is_closed():
    tracks, own = make_session(-9, talkers=3, decay_s=0.8)
    result = gate(tracks[0], RATE, against=tracks[1:], return_result=True)
    own_closed, both_closed, bleed_closed = closed_shares(result.samples, own[0], own[1:])
    assert own_closed <= 0.015
    assert both_closed <= 0.05
    assert bleed_closed >= 0.85
    assert [track.level_db for track in result.others] == pytest.approx([-9, -9], abs=2.5)


def test_the_plain_gate_passes_bleed():
    tracks, own = make_session(-12)
    assert closed_shares(gate(tracks[0], RATE), own[0], own[1:])[2] < 0.1


def test_gains_and_rates_of_the_other_track_do_not_matter():
    tracks, own = make_session(-12)
    y = gate(tracks[0], RATE, against=[np.repeat(0.1 * tracks[1][:, None], 2, axis=1)])
    own_closed, _, bleed_closed = closed_shares(y, own[0], own[1:])
    assert own_closed <= 0.015
    assert bleed_closed >= 0.9


def test_the_other_track_may_start_later():
    tracks, own = make_session(-4)
    start = 6 * RATE
    y = gate(tracks[0], RATE, against=[tracks[1][start:]])
    after = slice(start + RATE // 2, None)
    own_closed, _, bleed_closed = closed_shares(y[after], own[0][after], [own[1][after]])
    assert own_closed <= 0.015
    assert bleed_closed >= 0.9
    before = slice(0, start - RATE)
    assert np.array_equal(y[before], gate(tracks[0], RATE)[before])


def test_a_given_threshold_is_closed_for_bleed_too():
    tracks, own = make_session(-12)
    y = gate(tracks[0], RATE, against=[tracks[1]], threshold="-50dB")
    own_closed, _, bleed_closed = closed_shares(y, own[0], own[1:])
    assert own_closed <= 0.015
    assert bleed_closed >= 0.9


def test_an_expander_attenuates_bleed_to_its_range():
    tracks, own = make_session(-12)
    settings = {"threshold": "-50dB", "ratio": 2.0, "range_db": -30.0}
    y = gate(tracks[0], RATE, against=[tracks[1]], **settings)
    is_bleed = find_active(own[1], OWN_RMS) & ~find_active(own[0], 1e-4)
    change_db = level_change_db(tracks[0], y)
    assert np.median(change_db[is_bleed]) == pytest.approx(-30, abs=0.1)
    assert np.mean(change_db[find_active(own[0], OWN_RMS)] > -1) > 0.97
    plain_db = level_change_db(tracks[0], gate(tracks[0], RATE, **settings))
    assert np.median(plain_db[is_bleed]) > -10


def test_hold_lookahead_and_short_pauses_do_not_keep_bleed_open():
    tracks, own = make_session(-12)
    times = {"hold_ms": 500, "lookahead_ms": 300, "min_closed_ms": 600}
    y = gate(tracks[0], RATE, against=[tracks[1]], **times)
    own_closed, both_closed, bleed_closed = closed_shares(y, own[0], own[1:])
    assert own_closed <= 0.015
    assert both_closed <= 0.05
    assert bleed_closed >= 0.9


def test_the_hold_remains_where_nobody_talks():
    tracks, own = make_session(-12)
    silence = ~find_active(sum(own), 1e-4)
    ends = np.flatnonzero(np.diff(find_active(own[0], OWN_RMS).astype(int)) == -1)
    after = [silence[end + 3 : end + 20] for end in ends]
    y = gate(tracks[0], RATE, against=[tracks[1]], hold_ms=400)
    is_open = find_active(y, CLOSED)
    assert any(frames.all() for frames in after)
    for end, frames in zip(ends, after, strict=True):
        if frames.all():
            assert is_open[end + 3 : end + 20].all()


def trim(mask, scores, lookahead):
    flags = np.array([[mark == "o" for mark in mask]]).T
    levels = np.array([[{"+": 1.0, "0": -0.1, "-": -1.0}[mark] for mark in scores]]).T
    trimmed = MaskTrimmer(lookahead).process(flags, levels, last=True)
    return "".join("o" if is_open else "." for is_open in trimmed[:, 0])


def test_a_mask_is_trimmed_in_certain_bleed_only():
    assert trim("oooooo..", "+++0--00", lookahead=0) == "oooo...."
    assert trim("oooooooo", "++0--0++", lookahead=0) == "ooo..ooo"


def test_an_opening_is_delayed_by_the_bleed_within_the_lookahead():
    assert trim("...ooooo", "---+++++", lookahead=2) == ".....ooo"
    assert trim("...ooooo", "--0+++++", lookahead=2) == "....oooo"
    assert trim("...ooooo", "000+++++", lookahead=2) == "...ooooo"
    assert trim("...o....", "---+000-", lookahead=2) == "...o...."


def test_unrelated_tracks_give_the_result_of_the_plain_gate():
    tracks, _ = make_session(-200)
    result = gate(tracks[0], RATE, against=[tracks[1]], return_result=True)
    assert np.array_equal(result.samples, gate(tracks[0], RATE))
    assert result.others[0].alignment is None


def test_exclusive_channels_are_gated_against_each_other():
    tracks, own = make_session(-12)
    result = gate(np.stack(tracks, axis=1), RATE, channels="exclusive", return_result=True)
    for channel in (0, 1):
        own_closed, _, bleed_closed = closed_shares(
            result.samples[:, channel], own[channel], [own[1 - channel]]
        )
        assert own_closed <= 0.015
        assert bleed_closed >= 0.9
    assert [(level.gate, level.reference) for level in result.bleed.levels] == [(0, 1), (1, 0)]
    assert 0.2 < result.bleed.closed_share < 0.6


def test_exclusive_channels_without_bleed_are_gated_as_separate_ones():
    tracks, _ = make_session(-200)
    y = np.stack(tracks, axis=1)
    exclusive, separate = (gate(y, RATE, channels=mode) for mode in ("exclusive", "separate"))
    assert np.array_equal(exclusive, separate)


def test_two_talkers_with_electrical_crosstalk_are_not_identical():
    """The crosstalk is an attenuated copy, so that the level difference has only two values."""
    own = make_own_tracks()
    own[1][9 * RATE :] = 0  # one talker speaks most of the time
    noise = np.random.default_rng(1).normal(0, 0.1 * NOISE_RMS, (len(own[0]), 2))
    y = np.stack([own[0] + 0.15 * own[1], own[1] + 0.15 * own[0]], axis=1)
    result = gate(y + noise, RATE, channels="exclusive", return_result=True)
    own_closed, _, bleed_closed = closed_shares(result.samples[:, 0], own[0], [own[1]])
    assert own_closed <= 0.015
    assert bleed_closed >= 0.9


def test_identical_tracks_are_refused():
    tracks, _ = make_session(-12)
    with pytest.raises(AudioError, match="same sound as this recording"):
        gate(tracks[0], RATE, against=[0.5 * tracks[0]])
    with pytest.raises(AudioError, match="channels 1 and 2 contain the same sound"):
        gate(np.stack([tracks[0]] * 2, axis=1), RATE, channels="exclusive")


@pytest.mark.parametrize("decay_s", [0.3, 0.8])
def test_a_single_talker_at_two_microphones_loses_nothing(decay_s):
    own = make_own_tracks()[0]
    rng = np.random.default_rng(5)
    tracks = [own, convolve(own, make_room(rng, -9, decay_s))]
    tracks = [y + rng.normal(0, 3e-4, len(y)) for y in tracks]
    y = gate(tracks[0], RATE, against=[tracks[1]])
    assert np.array_equal(y, gate(tracks[0], RATE))


def test_a_kick_drum_under_snare_drum_and_hi_hat_is_kept():
    own = make_drums()
    tracks = mix_bleed(own, bleed_db=-18)
    y = gate(tracks[0], RATE, against=tracks[1:])
    loud = find_active(own[0], 0.02)
    assert 1 - find_active(y, CLOSED)[loud].mean() < 0.08
    assert closed_shares(y, own[0], own[1:])[2] > 0.4


def test_two_talkers_are_distinguished_although_a_few_seconds_have_another_ratio():
    tracks, own = make_session(-9)
    # A door in the room of one talker alone, far louder than the voices.
    own[0][2 * RATE : 3 * RATE] *= 30
    tracks[0][2 * RATE : 3 * RATE] *= 30
    y = gate(tracks[0], RATE, against=[tracks[1]])
    assert closed_shares(y, own[0], own[1:])[2] >= 0.9


def test_exclusive_channels_need_two_channels():
    with pytest.raises(AudioError, match="two channels or more"):
        gate(make_session(-12)[0][0], RATE, channels="exclusive")


def test_settings_that_would_keep_the_bleed_are_refused():
    tracks, _ = make_session(-12)
    with pytest.raises(SettingsError, match="would keep the bleed"):
        gate(tracks[0], RATE, against=[tracks[1]], duck=True)
    with pytest.raises(SettingsError, match="binary mask"):
        gate(tracks[0], RATE, against=[tracks[1]], preset="hard", spectral=True)


@pytest.mark.parametrize("excess_share", [0.0, 0.1])
def test_the_fit_finds_the_weights_of_a_room(excess_share):
    rng = np.random.default_rng(3)
    frames, bands, weights = 1500, 5, np.array([0.0, 0.3, 0.1, 0.02], np.float32)
    features = rng.exponential(1e-6, (frames, bands, len(weights))).astype(np.float32)
    features *= from_db(20 * rng.normal(0, 1, (frames, 1, 1))).astype(np.float32)
    powers = features @ weights * rng.gamma(4, 1 / 4, (frames, bands)).astype(np.float32)
    powers[: int(excess_share * frames)] *= 100
    fitted = fit_weights(powers, features, np.full(bands, 1e-12, np.float32))
    tolerance = 0.03 if not excess_share else 0.2
    assert np.abs(fitted.mean(axis=0) - weights).max() < tolerance
    assert (fitted >= 0).all()


def test_delay_groups_are_means_of_earlier_frames_and_one_later_frame():
    groups = DelayGroups(62.5)
    count = groups.past + 10 + groups.future
    means = groups.compute_means(np.arange(count, dtype=np.float32)[:, None])
    now = groups.past + np.arange(10)
    assert np.array_equal(means[:, 0, 0], now + 1)
    assert np.array_equal(means[:, 0, 1], now)
    assert np.all(np.diff(means[:, 0], axis=1) < 0)

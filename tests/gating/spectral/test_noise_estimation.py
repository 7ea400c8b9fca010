import numpy as np
import pytest

from noisegate_cli import GateSettings
from noisegate_cli.errors import SignalError
from noisegate_cli.gating.frames.stft import Stft
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.spectral.noise_estimation import (
    NoiseLearner,
    NoiseMeter,
    NoiseTracker,
    compute_signal_share,
)
from tests.conftest import tone

RATE = 16000
SETTINGS = GateSettings(spectral="soft")


def hiss(seconds, rms=0.01, seed=0, channels=1):
    return np.random.default_rng(seed).normal(0, rms, (round(seconds * RATE), channels))


def measured(y, rate=RATE, block=None):
    meter = NoiseMeter(SETTINGS, rate)
    size = block or len(y)
    for start in range(0, len(y), size):
        meter.process(y[start : start + size], last=start + size >= len(y))
    return meter.compute_profiles()[0]


def test_a_profile_knows_the_level_of_white_noise_and_of_its_parts():
    profile = measured(hiss(10))
    assert profile.level_db() == pytest.approx(-40, abs=0.2)
    # A quarter of the band has a quarter of the power.
    assert profile.level_db(2000, 4000) == pytest.approx(-46, abs=0.2)
    assert profile.level_db(8000, 20000) == -np.inf


def test_a_hum_is_where_it_hums():
    y = tone(4, 0.1, hz=1000)[:, None] + hiss(4, 0.001)
    profile = measured(y)
    assert profile.level_db(900, 1100) == pytest.approx(-20, abs=0.1)
    assert profile.level_db(1200, 8000) < -55


@pytest.mark.parametrize("block", [1, 700, 4096])
def test_a_profile_does_not_depend_on_blocks(block):
    y = hiss(0.5)
    assert measured(y, block=block) == measured(y)


def test_the_levels_of_channels_are_averaged_as_powers():
    y = hiss(5, 1.0, channels=2) * [0.02, 0.0]
    assert measured(y).level_db() == pytest.approx(-34 - 3, abs=0.2)


def test_digital_silence_is_no_noise():
    y = np.concatenate([np.zeros((RATE, 1)), hiss(3), np.zeros((RATE, 1))])
    assert measured(y).level_db() == pytest.approx(-40, abs=0.3)
    with pytest.raises(SignalError, match="digital silence"):
        measured(np.zeros((RATE, 1)))


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.09])
def test_too_little_noise_is_refused_in_words(seconds):
    with pytest.raises(SignalError, match="give half a second"):
        measured(hiss(seconds))


def test_a_profile_serves_at_another_rate_as_far_as_it_was_heard():
    profile = measured(hiss(10))
    transform = Stft(2048, 1024)
    bins, _ = profile.interpolate_to_bins(transform, 48000)
    again = NoiseProfile.from_mean_powers(bins, transform, 48000, "given")
    assert again.level_db(0, 7000) == pytest.approx(profile.level_db(0, 7000), abs=0.05)
    assert not bins[8200 * 2048 // 48000 :].any()


def learnt(y, quiet, allow_quietest_fallback=True):
    """Return what is learnt of `y` where `quiet` says of each sample that it is noise."""
    learner = NoiseLearner(SETTINGS, RATE, 1, len(y))
    learner.process(y, last=True)
    hop = SETTINGS.timing(RATE).hop_length
    numbers = np.arange(len(y) // hop + 1)
    flags = quiet[np.minimum(numbers * hop, len(y) - 1)][:, None]
    return learner.compute_profiles(numbers, ~flags, flags, [allow_quietest_fallback])[0]


def test_noise_is_learnt_from_the_pauses():
    y, quiet = hiss(6), np.zeros(6 * RATE, bool)
    y[: 2 * RATE, 0] += tone(2, 0.2)
    y[4 * RATE :, 0] += tone(2, 0.2)
    quiet[2 * RATE + 512 : 4 * RATE - 512] = True
    profile = learnt(y, quiet)
    assert profile.source == "pauses"
    assert profile.level_db() == pytest.approx(-40, abs=0.3)


@pytest.mark.parametrize("seconds", [1, 30])
def test_of_a_short_recording_every_frame_of_a_pause_counts(seconds):
    y, timing = hiss(seconds), SETTINGS.timing(RATE)
    profile = learnt(y, np.ones(len(y), bool))
    hop = timing.frame_length // 2
    transform = Stft(timing.frame_length, hop, SETTINGS.window_exponent)
    padded = np.pad(y[:, 0], timing.frame_length // 2).astype(np.float32)
    bin_powers = np.abs(transform.compute_spectra(padded, len(y) // hop + 1)) ** 2
    expected = NoiseProfile.from_mean_powers(bin_powers.mean(axis=0), transform, RATE, "pauses")
    assert np.allclose(profile.power_densities, expected.power_densities, rtol=1e-4, atol=0)


def test_without_a_pause_it_is_guessed_from_what_is_quietest_in_each_bin():
    y = hiss(20)
    notes = [tone(1, 0.2, hz=hz) for hz in range(300, 6300, 300)]
    y[:, 0] += np.concatenate(notes)
    nowhere = np.zeros(len(y), bool)
    profile = learnt(y, nowhere)
    assert profile.source == "quietest"
    assert profile.level_db() == pytest.approx(-40, abs=1)
    assert learnt(y, nowhere, allow_quietest_fallback=False) is None
    assert learnt(np.zeros((RATE, 1)), nowhere) is None


def test_the_follower_forgets_what_is_far_away_and_begins_with_the_whole():
    rng = np.random.default_rng(0)
    tracker = NoiseTracker(np.full(8, 5.0), frames_per_s=50, segment=32)
    quiet = rng.exponential(1.0, (256, 8)).astype(np.float32)
    loud = rng.exponential(100.0, (256, 8)).astype(np.float32)
    everywhere = np.ones(256, bool)
    assert np.all(tracker.track(quiet, ~everywhere) == 5.0)
    first, second = tracker.track(quiet, everywhere), tracker.track(loud, everywhere)
    assert first[-1].mean() == pytest.approx(1.6, abs=0.4)
    # Of 5 s ago, two and a half time constants, 8 % are left, and the whole counts 0.5 s.
    assert second[-1].mean() == pytest.approx(80, rel=0.1)
    assert second[0].mean() < second[2].mean() < 0.9 * second[-1].mean()


def test_bins_where_no_signal_ever_is_have_no_share_of_it():
    rng = np.random.default_rng(0)
    pauses = rng.exponential(1.0, (20000, 40)).astype(np.float32)
    opens = rng.exponential(1.0, (20000, 40)).astype(np.float32)
    opens[::10, 10:20] += 100
    share = compute_signal_share(opens, pauses)[0]
    assert share[11:19].min() > 0.98
    assert share[25:].mean() < 0.5
    assert np.all(compute_signal_share(opens[:2], pauses) == 1)


def test_bins_where_next_to_nothing_stands_out_have_no_share_either():
    rng = np.random.default_rng(0)
    # The mean of eight bins hardly ever exceeds four times its own.
    pauses, opens = rng.gamma(8, 1 / 8, (2, 300, 200)).astype(np.float32)
    assert compute_signal_share(opens, pauses).max() < 0.1


def test_clicks_in_pauses_are_no_noise():
    y = hiss(8)
    for at in range(4000, len(y), RATE):
        y[at : at + 8] = 0.9
    assert learnt(y, np.ones(len(y), bool)).level_db() == pytest.approx(-40, abs=0.7)
    tracker = NoiseTracker(np.ones(8, np.float32), frames_per_s=50, segment=16)
    bin_powers = np.random.default_rng(0).exponential(1.0, (128, 8)).astype(np.float32)
    bin_powers[[20, 21, 90]] = 1e4
    assert tracker.track(bin_powers, np.ones(128, bool)).max() < 2


def test_a_steady_tone_without_a_pause_is_no_noise():
    y = hiss(20, 0.001)
    y[:, 0] += tone(20, 0.2, hz=440)
    assert learnt(y, np.zeros(len(y), bool)).level_db() < -50


def test_where_pauses_are_digital_silence_there_is_no_noise():
    y = tone(9, 0.2)[:, None] + hiss(9)
    y[3 * RATE : 6 * RATE] = 0
    assert learnt(y, np.zeros(len(y), bool)) is None

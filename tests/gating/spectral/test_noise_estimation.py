import numpy as np
import pytest

from noisegate_cli import GateSettings
from noisegate_cli.errors import SignalError
from noisegate_cli.gating.frames.stft import Stft
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.spectral.noise_estimation import (
    NoiseLearner,
    NoiseMeter,
    compute_signal_share,
)
from tests.conftest import tone

RATE = 16000
SETTINGS = GateSettings(spectral="soft")


def hiss(seconds, rms=0.01, seed=0, channels=1):
    return np.random.default_rng(seed).normal(0, rms, (round(seconds * RATE), channels))


def measure_profile(y, rate=RATE, block=None):
    meter = NoiseMeter(SETTINGS, rate)
    block_length = block or len(y)
    for start in range(0, len(y), block_length):
        meter.process(y[start : start + block_length], last=start + block_length >= len(y))
    return meter.compute_profiles()[0]


def test_a_profile_has_the_level_of_white_noise_and_of_its_bands():
    profile = measure_profile(hiss(10))
    assert profile.level_db() == pytest.approx(-40, abs=0.2)
    # A quarter of the band has a quarter of the power.
    assert profile.level_db(2000, 4000) == pytest.approx(-46, abs=0.2)
    assert profile.level_db(8000, 20000) == -np.inf


def test_the_power_of_a_hum_is_at_its_frequency():
    y = tone(4, 0.1, hz=1000)[:, None] + hiss(4, 0.001)
    profile = measure_profile(y)
    assert profile.level_db(900, 1100) == pytest.approx(-20, abs=0.1)
    assert profile.level_db(1200, 8000) < -55


@pytest.mark.parametrize("block", [1, 700, 4096])
def test_a_profile_does_not_depend_on_the_block_size(block):
    y = hiss(0.5)
    assert measure_profile(y, block=block) == measure_profile(y)


def test_the_levels_of_channels_are_averaged_as_powers():
    y = hiss(5, 1.0, channels=2) * [0.02, 0.0]
    assert measure_profile(y).level_db() == pytest.approx(-34 - 3, abs=0.2)


def test_digital_silence_is_excluded_from_a_profile():
    y = np.concatenate([np.zeros((RATE, 1)), hiss(3), np.zeros((RATE, 1))])
    assert measure_profile(y).level_db() == pytest.approx(-40, abs=0.3)
    with pytest.raises(SignalError, match="digital silence"):
        measure_profile(np.zeros((RATE, 1)))


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.09])
def test_too_little_noise_is_refused_with_a_hint(seconds):
    with pytest.raises(SignalError, match="give at least 0.5 s"):
        measure_profile(hiss(seconds))


def test_a_profile_is_valid_at_another_rate_up_to_its_bandwidth():
    profile = measure_profile(hiss(10))
    transform = Stft(2048, 1024)
    bins, _ = profile.interpolate_to_bins(transform, 48000)
    resampled = NoiseProfile.from_mean_powers(bins, transform, 48000, "given")
    assert resampled.level_db(0, 7000) == pytest.approx(profile.level_db(0, 7000), abs=0.05)
    assert not bins[8200 * 2048 // 48000 :].any()


def learn_profile(y, is_noise, allow_quietest_fallback=True):
    """Return the noise profile learned from `y`; `is_noise` marks the samples in pauses."""
    learner = NoiseLearner(SETTINGS, RATE, 1, len(y))
    learner.process(y, last=True)
    hop = SETTINGS.timing(RATE).hop_length
    frames = np.arange(len(y) // hop + 1)
    frame_is_noise = is_noise[np.minimum(frames * hop, len(y) - 1)][:, None]
    return learner.compute_profiles(
        frames, ~frame_is_noise, frame_is_noise, [allow_quietest_fallback]
    )[0]


def test_noise_is_learned_from_the_pauses():
    y, is_noise = hiss(6), np.zeros(6 * RATE, bool)
    y[: 2 * RATE, 0] += tone(2, 0.2)
    y[4 * RATE :, 0] += tone(2, 0.2)
    is_noise[2 * RATE + 512 : 4 * RATE - 512] = True
    profile = learn_profile(y, is_noise)
    assert profile.source == "pauses"
    assert profile.level_db() == pytest.approx(-40, abs=0.3)


@pytest.mark.parametrize("seconds", [1, 30])
def test_every_frame_of_the_pauses_of_a_short_recording_is_used(seconds):
    y, timing = hiss(seconds), SETTINGS.timing(RATE)
    profile = learn_profile(y, np.ones(len(y), bool))
    hop = timing.frame_length // 2
    transform = Stft(timing.frame_length, hop, SETTINGS.window_exponent)
    padded = np.pad(y[:, 0], timing.frame_length // 2).astype(np.float32)
    bin_powers = np.abs(transform.compute_spectra(padded, len(y) // hop + 1)) ** 2
    expected = NoiseProfile.from_mean_powers(bin_powers.mean(axis=0), transform, RATE, "pauses")
    assert np.allclose(profile.power_densities, expected.power_densities, rtol=1e-4, atol=0)


def test_without_pauses_noise_is_estimated_from_the_quietest_frames_of_each_bin():
    y = hiss(20)
    notes = [tone(1, 0.2, hz=hz) for hz in range(300, 6300, 300)]
    y[:, 0] += np.concatenate(notes)
    no_pauses = np.zeros(len(y), bool)
    profile = learn_profile(y, no_pauses)
    assert profile.source == "quietest"
    assert profile.level_db() == pytest.approx(-40, abs=1)
    assert learn_profile(y, no_pauses, allow_quietest_fallback=False) is None
    assert learn_profile(np.zeros((RATE, 1)), no_pauses) is None


def test_bins_without_signal_have_a_low_signal_share():
    rng = np.random.default_rng(0)
    pauses = rng.exponential(1.0, (20000, 40)).astype(np.float32)
    open_frames = rng.exponential(1.0, (20000, 40)).astype(np.float32)
    open_frames[::10, 10:20] += 100
    share = compute_signal_share(open_frames, pauses)[0]
    assert share[11:19].min() > 0.98
    assert share[25:].mean() < 0.5
    assert np.all(compute_signal_share(open_frames[:2], pauses) == 1)


def test_bins_with_few_outliers_have_a_low_signal_share():
    rng = np.random.default_rng(0)
    # The mean of eight bins rarely exceeds four times its expected value.
    pauses, open_frames = rng.gamma(8, 1 / 8, (2, 300, 200)).astype(np.float32)
    assert compute_signal_share(open_frames, pauses).max() < 0.1


def test_clicks_in_pauses_are_not_treated_as_noise():
    y = hiss(8)
    for start in range(4000, len(y), RATE):
        y[start : start + 8] = 0.9
    assert learn_profile(y, np.ones(len(y), bool)).level_db() == pytest.approx(-40, abs=0.7)


def test_a_steady_tone_without_pauses_is_not_treated_as_noise():
    y = hiss(20, 0.001)
    y[:, 0] += tone(20, 0.2, hz=440)
    assert learn_profile(y, np.zeros(len(y), bool)).level_db() < -50


def test_applause_without_pauses_is_not_treated_as_noise():
    rng = np.random.default_rng(0)
    t = np.arange(RATE // 50) / RATE
    applause = np.zeros((21 * RATE, 1))
    for start in rng.integers(0, 20 * RATE, 20 * 120):
        clap = rng.uniform(0.02, 0.1) * rng.normal(0, 1, len(t)) * np.exp(-t / 0.004)
        applause[start : start + len(t), 0] += clap
    no_pauses = np.zeros(len(applause), bool)
    assert learn_profile(applause[: 20 * RATE], no_pauses[: 20 * RATE]) is None
    # The noise of a room below the applause is found again.
    assert learn_profile(hiss(20, 0.02) + 0.05 * applause[: 20 * RATE], no_pauses[: 20 * RATE])


def test_pauses_of_digital_silence_give_no_noise():
    y = tone(9, 0.2)[:, None] + hiss(9)
    y[3 * RATE : 6 * RATE] = 0
    assert learn_profile(y, np.zeros(len(y), bool)) is None

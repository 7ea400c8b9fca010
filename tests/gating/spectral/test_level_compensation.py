"""The level of the signal after the gains."""

import numpy as np
import pytest

from noisegate_cli.gating.spectral.level_compensation import MAX_LEVEL_GAIN_DB, LevelCompensator

SEGMENT, GROUPS = 16, 8
NOISE = np.full((4, 1, GROUPS), 0.2, np.float32)
FRAMES = np.arange(4 * SEGMENT)


def increase(gain, noise=NOISE, frames=FRAMES, powers=1.0):
    """Return the gains of frames with equal powers, after they were increased."""
    compensator = LevelCompensator(np.ones(GROUPS, np.int64), frames_per_s=62.5, segment=SEGMENT)
    gains = np.full((len(frames), GROUPS), gain, np.float32)
    compensator.increase(gains, np.full((len(FRAMES), GROUPS), powers, np.float32), noise, frames)
    return gains


def test_the_gains_restore_the_power_of_the_signal():
    np.testing.assert_allclose(increase(0.85) ** 2, 1 - 0.2, rtol=1e-5)


@pytest.mark.parametrize("gain", [0.9, 0.95, 1.0])
def test_gains_that_keep_the_level_stay_as_they_are(gain):
    np.testing.assert_allclose(increase(gain), gain, rtol=1e-6)


def test_the_increase_is_limited():
    expected = 0.1 * 10 ** (MAX_LEVEL_GAIN_DB / 20)
    np.testing.assert_allclose(increase(0.1), expected, rtol=1e-5)


def test_no_gain_exceeds_1():
    gains = np.full((SEGMENT, GROUPS), 0.5, np.float32)
    gains[:, 0] = 0.99
    compensator = LevelCompensator(np.ones(GROUPS, np.int64), frames_per_s=62.5, segment=SEGMENT)
    compensator.increase(gains, np.ones_like(gains), NOISE[:1], FRAMES[:SEGMENT])
    assert gains.max() == 1
    assert gains[:, 1:].min() > 0.5


def test_digital_silence_keeps_its_gains():
    np.testing.assert_allclose(increase(0.1, noise=0 * NOISE, powers=0.0), 0.1)


def test_gains_of_open_frames_do_not_depend_on_the_batches():
    rng = np.random.default_rng(0)
    powers = rng.exponential(1, (len(FRAMES), GROUPS)).astype(np.float32)
    gains = rng.random((len(FRAMES), GROUPS)).astype(np.float32)
    frames = FRAMES[rng.random(len(FRAMES)) > 0.4]
    whole, parts = (LevelCompensator(np.ones(GROUPS, np.int64), 62.5, SEGMENT) for _ in range(2))
    expected = gains[frames]
    whole.increase(expected, powers, NOISE, frames)
    half = 2 * SEGMENT
    first, second = frames[frames < half], frames[frames >= half] - half
    outputs = gains[first], gains[second + half]
    parts.increase(outputs[0], powers[:half], NOISE[:2], first)
    parts.increase(outputs[1], powers[half:], NOISE[2:], second)
    assert np.array_equal(np.concatenate(outputs), expected)
    assert not np.array_equal(expected, gains[frames])

import numpy as np
import pytest

from noisegate_cli.gating.detection.drift import drift_to_jump_ratio

RNG = np.random.default_rng(7)


def test_a_melody_has_a_higher_drift_to_jump_ratio_than_noise():
    frames = np.arange(2000)
    noise_levels = RNG.normal(-40, 4, (2000, 8))
    melody_levels = -40 + 10 * np.sin(frames[:, None] / 60 + np.arange(8))
    all_frames, floor = np.ones(2000, bool), np.full((2000, 8), -40.0)
    assert drift_to_jump_ratio(
        noise_levels, floor, all_frames, disjoint_distance=4, lag=40
    ) == pytest.approx(1, abs=0.2)
    assert drift_to_jump_ratio(melody_levels, floor, all_frames, disjoint_distance=4, lag=40) > 4

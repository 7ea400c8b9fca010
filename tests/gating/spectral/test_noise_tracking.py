import numpy as np
import pytest

from noisegate_cli.gating.spectral.noise_tracking import NoiseTracker


def test_the_tracker_starts_with_the_mean_noise_and_forgets_distant_noise():
    rng = np.random.default_rng(0)
    tracker = NoiseTracker(np.full(8, 5.0), frames_per_s=50, segment=32)
    quiet = rng.exponential(1.0, (256, 8)).astype(np.float32)
    loud = rng.exponential(100.0, (256, 8)).astype(np.float32)
    all_frames = np.ones(256, bool)
    assert np.all(tracker.track(quiet, ~all_frames) == 5.0)
    first, second = tracker.track(quiet, all_frames), tracker.track(loud, all_frames)
    assert first[-1].mean() == pytest.approx(1.6, abs=0.4)
    # Noise of 5 s ago, two and a half time constants, has a weight of 8%. The mean of the whole
    # recording has the weight of 0.2 s.
    assert second[-1].mean() == pytest.approx(80, rel=0.1)
    assert second[0].mean() < second[2].mean() < 0.9 * second[-1].mean()


def test_clicks_in_pauses_are_not_tracked_as_noise():
    tracker = NoiseTracker(np.ones(8, np.float32), frames_per_s=50, segment=16)
    bin_powers = np.random.default_rng(0).exponential(1.0, (128, 8)).astype(np.float32)
    bin_powers[[20, 21, 90]] = 1e4
    assert tracker.track(bin_powers, np.ones(128, bool)).max() < 2

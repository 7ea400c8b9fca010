"""Lag and clock drift between recordings of the same event."""

import numpy as np
import pytest

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.alignment import (
    MARGIN_WINDOWS,
    Alignment,
    AlignmentProbe,
    find_alignment,
)
from tests.sessions import RATE, make_session

TRACKS, _ = make_session(-12)
LONG = np.tile(TRACKS, 3)


def align(y, other, rate=RATE, other_rate=RATE):
    probe, other_probe = AlignmentProbe(rate), AlignmentProbe(other_rate, MARGIN_WINDOWS)
    probe.process(y[:, None], last=True)
    other_probe.process(other[:, None], last=True)
    return find_alignment(probe, other_probe)


def resample(y, factor):
    """Return `y` on a clock that runs faster by `factor`."""
    return np.interp(np.arange(int(len(y) * factor)) / factor, np.arange(len(y)), y)


@pytest.mark.parametrize("start_s", [2.5, -1.75, 0.0])
def test_the_start_of_the_other_track_is_found(start_s):
    cut = round(abs(start_s) * RATE)
    y, other = TRACKS
    found = align(y, other[cut:]) if start_s > 0 else align(y[cut:], other)
    assert found.start_s == pytest.approx(start_s, abs=0.01)


@pytest.mark.parametrize("drift_ppm", [100, -50])
def test_clock_drift_is_found(drift_ppm):
    found = align(LONG[0], resample(LONG[1], 1 + drift_ppm * 1e-6))
    assert found.drift_ppm == pytest.approx(drift_ppm, abs=8)
    assert found.start_s == pytest.approx(0, abs=0.01)


def test_sample_rates_may_differ():
    assert align(TRACKS[0], resample(TRACKS[1], 2.75), RATE, 44000).start_s == pytest.approx(
        0, abs=0.01
    )


def test_an_inverted_or_quiet_track_is_aligned_too():
    assert align(TRACKS[0], -0.001 * TRACKS[1]).start_s == pytest.approx(0, abs=0.01)


def test_tracks_without_a_common_sound_have_no_alignment():
    own_tracks, _ = make_session(-200)
    rng = np.random.default_rng(99)
    assert align(own_tracks[0], own_tracks[1]) is None
    assert align(TRACKS[0], rng.normal(0, 0.1, len(TRACKS[0]))) is None
    assert align(TRACKS[0], np.zeros(len(TRACKS[0]))) is None
    assert align(TRACKS[0][:0], TRACKS[1]) is None


def test_an_alignment_converts_times():
    other = Alignment(start_s=2.0, drift_ppm=100).to_other(np.array([2.0, 10002.0]))
    assert other == pytest.approx([0.0, 10001.0])


def test_a_probe_stores_a_bounded_number_of_windows():
    probe = AlignmentProbe(4000, MARGIN_WINDOWS)
    stored = []
    for _ in range(30):
        probe.process(np.ones((16000 * 10, 1), np.float32))
        stored.append(len(probe._windows))
    assert probe.count == 300
    assert max(stored) <= 16 * (2 * MARGIN_WINDOWS + 1) * 2


def test_samples_that_are_not_finite_are_refused():
    y = np.full((20000, 1), 0.1)
    y[5000] = np.nan
    with pytest.raises(SignalError, match="NaN or infinite"):
        AlignmentProbe(4000).process(y, last=True)

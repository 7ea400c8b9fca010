"""Lag and clock drift between recordings of the same event."""

import numpy as np
import pytest

from noisegate_cli.errors import SignalError
from noisegate_cli.gating.alignment import Alignment, find_alignment
from noisegate_cli.gating.alignment_probe import MARGIN_WINDOWS, AlignmentProbe
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


@pytest.mark.parametrize("drift_ppm", [100, -50, 400])
def test_clock_drift_is_found(drift_ppm):
    found = align(LONG[0], resample(LONG[1], 1 + drift_ppm * 1e-6))
    assert found.drift_ppm == pytest.approx(drift_ppm, abs=8)
    assert found.start_s == pytest.approx(0, abs=0.01)


def test_clocks_that_differ_by_more_than_the_limit_have_no_alignment():
    sound = np.random.default_rng(2).normal(0, 0.1, 600 * 4000).astype(np.float32)
    assert align(sound, resample(sound, 1 + 400e-6), 4000, 4000).drift_ppm == pytest.approx(
        400, abs=5
    )
    assert align(sound, resample(sound, 1 + 3000e-6), 4000, 4000) is None


def test_sample_rates_may_differ():
    assert align(TRACKS[0], resample(TRACKS[1], 2.75), RATE, 44000).start_s == pytest.approx(
        0, abs=0.01
    )


def test_a_low_sample_rate_is_aligned_by_the_frequencies_that_both_tracks_have():
    rng = np.random.default_rng(7)
    sound = rng.normal(0, 0.1, 60 * 4000).astype(np.float32)
    low = sound.reshape(-1, 4).mean(axis=1)
    assert align(low, sound[2 * 4000 :], 1000, 4000).start_s == pytest.approx(2, abs=0.01)
    assert align(sound[2 * 4000 :], low, 4000, 1000).start_s == pytest.approx(-2, abs=0.01)


@pytest.mark.parametrize("rate", [1, 2, 10, 199, 200, 201])
def test_tracks_without_a_common_frequency_have_no_alignment(rate):
    sound = np.random.default_rng(7).normal(0, 0.1, 60 * 4000).astype(np.float32)
    assert align(sound[: 60 * rate], sound, rate, 4000) is None
    assert align(sound, sound[: 60 * rate], 4000, rate) is None


def test_an_inverted_or_quiet_track_is_aligned_too():
    assert align(TRACKS[0], -0.001 * TRACKS[1]).start_s == pytest.approx(0, abs=0.01)


def test_tracks_without_a_common_sound_have_no_alignment():
    own_tracks, _ = make_session(-200)
    rng = np.random.default_rng(99)
    assert align(own_tracks[0], own_tracks[1]) is None
    assert align(TRACKS[0], rng.normal(0, 0.1, len(TRACKS[0]))) is None
    assert align(TRACKS[0], np.zeros(len(TRACKS[0]))) is None
    assert align(TRACKS[0][:0], TRACKS[1]) is None


def make_tone(frequency_hz, phase, seconds):
    return 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(seconds * RATE) / RATE + phase)


def make_hits(rate_hz, first_s, seconds, decay_s=0.01):
    """Return equal hits at a fixed rate: clicks, or with a long decay a drum loop."""
    places = np.round(np.arange(first_s, seconds, 1 / rate_hz) * RATE).astype(int)
    hits = np.zeros(seconds * RATE)
    hits[places] = 0.5
    t = np.arange(0, 10 * decay_s, 1 / RATE)
    shape = np.exp(-t / decay_s) * np.random.default_rng(5).normal(0, 1, len(t))
    return np.convolve(hits, shape)[: len(hits)]


PERIODIC = {
    "tones": lambda side, s: make_tone(440, side, s),
    "tones of two pitches": lambda side, s: make_tone(440 + 220 * side, side, s),
    "hum": lambda side, s: sum(make_tone(50 * k, k * k + side, s) / k for k in range(2, 12)),
    "clicks": lambda side, s: make_hits(2, 0.1 + 0.21 * side, s),
    "fast clicks": lambda side, s: make_hits(10, 0.03 * side, s),
    "a drum loop": lambda side, s: make_hits(4, 0.17 * side, s, decay_s=0.04),
    "an offset": lambda side, s: np.full(s * RATE, 0.1 + 0.1 * side),
}


@pytest.mark.parametrize("kind", PERIODIC)
@pytest.mark.parametrize("seconds", [3, 30])
def test_periodic_sounds_determine_no_alignment(kind, seconds):
    rng = np.random.default_rng(8)
    noise = rng.normal(0, 1e-4, (2, seconds * RATE))
    assert align(*(PERIODIC[kind](side, seconds) + noise[side] for side in (0, 1))) is None


def test_a_steady_tone_in_both_tracks_does_not_prevent_the_alignment():
    hum = np.resize(make_tone(150, 0, 1), len(TRACKS[0]))
    found = align(TRACKS[0] + hum, TRACKS[1] + hum)
    assert found.start_s == pytest.approx(0, abs=0.01)


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

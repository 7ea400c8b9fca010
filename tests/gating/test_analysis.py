from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, analyze, gate
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.rule import AdaptiveThreshold
from noisegate_cli.gating.frames.level_track import LevelTrack
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.level_report import compute_drift_db
from noisegate_cli.gating.simulation import SimulatedGate
from noisegate_cli.samples import from_db, to_db
from tests.conftest import DATA, SPEECH, as_type, loud_and_quiet, tone

RATE = 16000


def test_a_level_track_has_the_documented_resolution():
    track, rng = LevelTrack(), np.random.default_rng(0)
    levels = from_db(rng.uniform(-100, 0, (300, 2)))
    track.add(levels[:100])
    track.add(levels[100:])
    assert len(track) == 300
    assert to_db(track.levels_at(np.arange(300))) == pytest.approx(to_db(levels), abs=0.00501)
    assert to_db(track.levels_at(np.array([7]))) == pytest.approx(to_db(levels[7:8]), abs=0.00501)


def test_digital_silence_is_zero_in_a_level_track():
    track = LevelTrack()
    track.add(np.array([[0.0], [0.5], [0.0], [0.0]]))
    assert track.levels_at(np.arange(4)).ravel()[[0, 2, 3]].tolist() == [0, 0, 0]
    assert track.compute_quiet_levels_db(2) == pytest.approx([-6.02, -6.02], abs=0.005)


@pytest.mark.parametrize("threshold_db", [-43.1, -43, -42.8])
def test_the_figures_of_a_threshold_are_those_of_its_gate_in_a_hum_near_it(threshold_db):
    # The hum has -45.9 dBFS, and the gate closes 3 dB below the threshold.
    y = tone(6, float(from_db(-45.9)))
    y[RATE : 2 * RATE] *= 30
    threshold = float(from_db(threshold_db))
    report = analyze(y, RATE, threshold=threshold)
    gated = gate(y, RATE, threshold=threshold, return_result=True)
    closed_share = gated.statistics.closed_share
    assert report.closed_share == pytest.approx(closed_share, abs=0.01)
    assert report.given_trial.closed_share == pytest.approx(closed_share, abs=0.01)


def test_the_suggested_level_agrees_with_the_automatic_gate():
    y, rate = sf.read(SPEECH)
    report = analyze(y, rate)
    automatic, by_level = (
        gate(y, rate) != 0,
        gate(y, rate, threshold=report.suggestion.threshold) != 0,
    )
    is_nonzero = y != 0
    assert (automatic == by_level)[is_nonzero].mean() == pytest.approx(
        report.suggestion.agreement, abs=0.03
    )
    # A threshold cannot tell the reverberation at the end from speech.
    assert report.suggestion.agreement > 0.85


def test_trials_are_monotonic_and_predict_the_gate():
    y, rate = sf.read(SPEECH)
    trials = analyze(y, rate).trials
    assert np.all(np.diff([trial.threshold_db for trial in trials]) == pytest.approx(1))
    shares = [trial.closed_share for trial in trials]
    assert shares == sorted(shares)
    assert [trial.at_risk for trial in trials] == sorted(trial.at_risk for trial in trials)
    trial = trials[len(trials) // 2]
    settings = GateSettings(threshold=float(from_db(trial.threshold_db)))
    report = analyze(y, rate, settings=settings)
    assert report.closed_share == pytest.approx(trial.closed_share, abs=0.001)
    assert report.openings_per_minute == pytest.approx(trial.openings_per_minute, abs=0.001)


def test_trials_without_contrast_are_not_compared_with_the_automatic_gate():
    report = analyze(tone(3, 0.1), RATE)
    assert report.suggestion.threshold is report.suggestion.agreement is None
    assert report.trials[0].closed_share < 0.01
    assert report.trials[-1].closed_share == 1
    assert {(trial.at_risk, trial.agreement) for trial in report.trials} == {(None, None)}


def test_a_given_threshold_is_compared_with_the_automatic_gate():
    y, rate = sf.read(SPEECH)
    automatic = analyze(y, rate)
    trial = automatic.trials[len(automatic.trials) // 2]
    given = analyze(y, rate, threshold=float(from_db(trial.threshold_db)))
    assert given.given_trial == replace(trial, threshold_db=given.given_trial.threshold_db)
    assert given.given_trial.threshold_db == pytest.approx(trial.threshold_db)
    assert given.trials == automatic.trials
    assert given.suggestion == automatic.suggestion
    assert automatic.given_trial is None


@pytest.mark.parametrize("name", ["speech_easy", "speech_hard", "speech_drift", "meeting"])
def test_no_lower_threshold_is_much_safer_than_the_suggested_one(name):
    report = analyze(*sf.read(DATA / f"{name}.flac"))
    suggested = to_db(report.suggestion.threshold)
    best = min(report.trials, key=lambda trial: abs(trial.threshold_db - suggested))
    for trial in report.trials:
        gained = (best.at_risk - trial.at_risk) * 6
        assert gained <= best.balanced - trial.balanced + 6 * (1 - trial.balanced)


@pytest.mark.parametrize("noise_rms", [0.0003, 0.02, 0.2])
def test_the_contrast_is_the_difference_of_both_levels(noise_rms):
    y = np.tile(loud_and_quiet(), 4) + np.random.default_rng(0).normal(0, noise_rms, 12 * RATE)
    suggestion = analyze(y, RATE).suggestion
    contrast = suggestion.active_db - suggestion.noise_floor_db
    assert suggestion.contrast_db == suggestion.distance_db == pytest.approx(contrast)


def test_an_open_gate_reports_the_level_of_the_quietest_frames_as_the_noise_floor():
    t = np.arange(6 * RATE) / RATE
    y = 0.3 * np.sin(2 * np.pi * 220 * t) * 10 ** (-t / 3)
    suggestion = analyze(y, RATE).suggestion
    assert suggestion.threshold is None
    assert suggestion.noise_floor_db < -45
    assert suggestion.active_db > -25


def noisy_words(snr_db):
    """Words of a smooth noise over a steady one."""
    rng = np.random.default_rng(0)
    t = np.arange(20 * RATE) / RATE
    noise, words = rng.normal(0, 0.01, (2, len(t)))
    return noise + words * from_db(snr_db) * (t % 2 < 1)


@pytest.mark.parametrize(("snr_db", "range_db"), [(8, -12), (20, -np.inf)])
def test_the_automatic_gate_is_softer_where_the_contrast_is_low(snr_db, range_db):
    y = noisy_words(snr_db)
    report = analyze(y, RATE)
    assert report.range_db == range_db
    assert (report.suggestion.contrast_db < 9) == (range_db == -12)
    pause = slice(round(1.5 * RATE), round(1.8 * RATE))
    ratio = np.abs(gate(y, RATE)[pause]).sum() / np.abs(y[pause]).sum()
    assert ratio == pytest.approx(from_db(range_db), abs=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        GateSettings(range_db=-60),
        GateSettings(threshold=0.015),
        GateSettings(spectral="soft"),
        GateSettings.preset("hard"),
        GateSettings.preset("music"),
    ],
)
def test_a_range_or_threshold_that_was_given_is_not_softened(settings):
    assert analyze(noisy_words(8), RATE, settings=settings).range_db == settings.closed_range_db


def test_the_drift_of_the_noise_is_measured():
    y, rate = sf.read(DATA / "speech_drift.flac")
    assert analyze(y, rate).drift_db == pytest.approx(8, abs=4)
    y, rate = sf.read(DATA / "speech_easy.flac")
    assert analyze(y, rate).drift_db < 3


def test_a_click_in_the_last_second_is_not_a_drift_of_the_noise():
    levels = np.full((1100, 1), 0.01)
    levels[1040:] = 0.1
    closed = np.ones((1100, 1), np.bool_)
    simulated = SimulatedGate(np.arange(1100), levels, ~closed, closed)
    assert compute_drift_db(simulated, frames_per_s=100) == 0
    levels[600:] = 0.1
    assert compute_drift_db(simulated, frames_per_s=100) == pytest.approx(18, abs=2)


def test_drift_compensation_makes_drifting_noise_constant():
    drift = np.array([-10.0, 0.0, 10.0])
    adaptive = AdaptiveThreshold(0.1, drift, step=10)
    levels = from_db(np.interp(np.arange(30), [5, 15, 25], drift) - 40)[:, None]
    compensated = adaptive.compensate_drift(levels, np.arange(30))
    assert to_db(compensated) == pytest.approx(np.full((30, 1), -40.0))


def test_an_adaptive_threshold_follows_a_change_of_the_noise_level():
    rng = np.random.default_rng(0)
    rooms = [(0.002, 20), (0.02, 8)]
    y = np.concatenate([np.tile(loud_and_quiet(), repeats) for _, repeats in rooms])
    y += np.concatenate([rng.normal(0, rms, 3 * repeats * RATE) for rms, repeats in rooms])
    fixed, adaptive = (
        GateSettings(threshold="floor+10dB", adaptive=is_adaptive) for is_adaptive in (False, True)
    )
    pause = (np.arange(len(y)) / RATE % 3 > 1.4) & (np.arange(len(y)) / RATE % 3 < 1.7)
    assert gate(y, RATE, settings=fixed)[pause].any()
    assert not gate(y, RATE, settings=adaptive)[pause].any()


def test_only_settings_that_need_an_analysis_require_one():
    assert GateDecision.from_settings(GateSettings(threshold=0.1)) is not None
    for settings in (
        GateSettings(),
        GateSettings(threshold="auto:otsu"),
        GateSettings(threshold=0.1, target_floor_db=-60),
        GateSettings(threshold=0.1, adaptive=True),
    ):
        assert GateDecision.from_settings(settings) is None


def test_the_target_floor_applies_to_the_full_band_for_any_key():
    rng = np.random.default_rng(0)
    y = np.tile(loud_and_quiet(), 4) + tone(12, 0.01, hz=40) + rng.normal(0, 0.001, 12 * RATE)
    settings = GateSettings(threshold=0.01, key_hz=(250, 4000), target_floor_db=-62)
    out = gate(y, RATE, settings=settings)
    pause = out[round(1.3 * RATE) : round(1.7 * RATE)]
    assert 20 * np.log10(np.sqrt((pause**2).mean())) == pytest.approx(-62, abs=1)


def test_the_target_floor_uses_fading_frames_without_a_closed_pause():
    settings = GateSettings(threshold=0.01, release_ms=3000, target_floor_db=-70)
    analyzer = Analyzer(settings, RATE)
    analyzer.process(loud_and_quiet()[:, None], last=True)
    assert -25 < analyzer.decide().range_db < 0


@pytest.mark.parametrize("gain", [1e-6, 1e-9])
def test_very_quiet_recordings_are_not_silence(gain):
    y = gain * np.tile(loud_and_quiet(), 4)
    assert gate(y, RATE).any()


def test_the_analysis_predicts_the_closed_share_of_the_gate():
    for name in ("speech_easy", "speech_hard", "speech_drift", "meeting"):
        y, rate = sf.read(DATA / f"{name}.flac")
        report = analyze(y, rate)
        gate_stream = Gate(GateDecision(decide_rule(y, rate), GateSettings()), rate)
        gate_stream.process(y[:, None], last=True)
        assert gate_stream.report.statistics.closed_share == report.closed_share


def decide_rule(y, rate):
    analyzer = Analyzer(GateSettings(), rate)
    analyzer.process(y[:, None], last=True)
    return analyzer.decide().rule


def test_a_target_floor_above_the_noise_changes_nothing():
    settings = GateSettings(threshold=0.01, target_floor_db=-40)
    y = loud_and_quiet()
    analyzer = Analyzer(settings, RATE)
    analyzer.process(y[:, None], last=True)
    assert analyzer.decide().range_db == 0
    assert np.array_equal(gate(y, RATE, settings=settings), y)


@pytest.mark.parametrize("channels", ["linked", "separate"])
def test_the_gate_decides_on_linked_channels_together_and_on_separate_ones_alone(channels):
    noise = np.random.default_rng(0).normal(0, 0.001, 12 * RATE)
    y = np.column_stack([np.tile(loud_and_quiet(), 4), noise])
    out = gate(y, RATE, settings=GateSettings(channels=channels))
    pause, loud = slice(22000, 30000), slice(1000, 15000)
    assert not out[pause].any()
    assert np.array_equal(out[loud, 0], y[loud, 0])
    assert out[loud, 1].any() == (channels == "linked")


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_the_dc_offset_is_taken_from_the_channel_with_the_greatest_one(subtype):
    noise = np.random.default_rng(0).normal(0, 0.01, (RATE, 3))
    y = noise - noise.mean(axis=0) + [0.001, -0.1, 0.01]
    samples = as_type(y, subtype)
    assert analyze(samples, RATE).dc_offset_db == pytest.approx(-20, abs=0.01)
    assert analyze(0 * samples, RATE).dc_offset_db == -np.inf

import re

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, analyze, suggest_threshold
from noisegate_cli.gating.detection.threshold_estimators import (
    below_active_level,
    otsu,
    two_normals,
)
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.samples import from_db
from tests.conftest import SPEECH


def histogram(noise_db=-60.0, signal_db=-25.0, frames=2000, speech_share=0.5, silent_frames=0):
    rng = np.random.default_rng(1)
    signal_frames = round(frames * speech_share)
    levels = [
        rng.normal(noise_db, 2, frames - signal_frames),
        rng.normal(signal_db, 5, signal_frames),
    ]
    result = LevelHistogram()
    result.add(np.append(from_db(np.concatenate(levels)), np.zeros(silent_frames)))
    return result


def threshold_db(suggestion):
    return 20 * np.log10(suggestion.threshold)


@pytest.mark.parametrize("method", [otsu, two_normals, below_active_level])
def test_each_method_separates_noise_from_signal(method):
    levels = histogram()
    assert -57 < method(levels.centres_db, levels.counts / levels.nonsilent_frames) < -33


@pytest.mark.parametrize("speech_share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_suggestion_lies_between_noise_and_signal_for_any_share_of_speech(speech_share):
    suggestion = suggest_threshold(histogram(speech_share=speech_share))
    assert -56 < threshold_db(suggestion) < -30
    assert suggestion.noise_floor_db == pytest.approx(-60, abs=1)


@given(st.floats(-25, 15))
def test_the_suggestion_moves_with_the_level(shift):
    original, shifted = (
        suggest_threshold(histogram(-60 + offset, -25 + offset)) for offset in (0.0, shift)
    )
    assert threshold_db(shifted) - threshold_db(original) == pytest.approx(shift, abs=0.3)


def test_digital_silence_does_not_change_the_suggestion():
    assert suggest_threshold(histogram(silent_frames=5000)) == suggest_threshold(histogram())


@pytest.mark.parametrize(
    ("given_histogram", "verdict"),
    [
        (LevelHistogram(silent_frames=500), Verdict.SILENT),
        (histogram(frames=10), Verdict.TOO_SHORT),
        (histogram(-40, -40, speech_share=0.0), Verdict.NARROW),
    ],
    ids=["silence", "short", "no contrast"],
)
def test_recordings_without_contrast_get_no_suggestion(given_histogram, verdict):
    suggestion = suggest_threshold(given_histogram)
    assert suggestion.threshold is None
    assert suggestion.verdict is verdict


def test_a_threshold_between_noise_and_signal_has_the_verdict_separated():
    suggestion = suggest_threshold(histogram())
    assert suggestion.verdict is Verdict.SEPARATED
    assert suggestion.distance_db == suggestion.contrast_db == pytest.approx(35, abs=4)


def test_a_threshold_that_hysteresis_raises_has_the_verdict_raised():
    plain, raised = (suggest_threshold(histogram(), hysteresis_db=db) for db in (0, 30))
    assert raised.verdict is Verdict.RAISED
    assert raised.threshold > plain.threshold


def test_a_threshold_above_the_noise_floor_has_the_requested_distance():
    suggestion = suggest_threshold(histogram(), method="floor+6dB")
    assert (suggestion.verdict, suggestion.distance_db) == (Verdict.ABOVE_FLOOR, 6)
    assert threshold_db(suggestion) == pytest.approx(suggestion.noise_floor_db + 6)


def test_levels_far_above_full_scale_get_no_threshold():
    suggestion = suggest_threshold(histogram(-20, 15))
    assert suggestion.verdict is Verdict.TOO_LOUD
    assert suggestion.distance_db > 10
    assert suggestion.threshold is None


def test_a_suggestion_prints_its_threshold_and_its_verdict():
    assert re.fullmatch(
        r"0\.\d+ \(-\d+\.\d dBFS\): separated, noise -60 dBFS, signal -2\d dBFS",
        str(suggest_threshold(histogram())),
    )
    assert str(suggest_threshold(LevelHistogram())).startswith("no threshold: silent")


def test_the_suggestion_for_real_speech_lies_between_hiss_and_voice():
    samples, rate = sf.read(SPEECH)
    suggestion = analyze(samples, rate).suggestion
    # The pauses lie at -42 to -36 dBFS, the syllables at -20 to -9 dBFS.
    assert -39 < threshold_db(suggestion) < -22


def test_a_gate_with_hysteresis_closes_in_every_pause_with_steady_noise():
    rate = 8000
    t = np.arange(6 * rate) / rate
    noise = 1e-3 * np.random.default_rng(1).standard_normal(len(t))
    y = 0.4 * np.sin(2 * np.pi * 220 * t) * (t % 1.5 > 0.7) + noise
    levels = analyze(y, rate, settings=GateSettings(threshold="auto:gmm"))
    assert levels.openings_per_minute == pytest.approx(40, abs=0.5)
    assert levels.closed_share == pytest.approx(0.43, abs=0.03)


def test_noise_alone_has_a_noise_floor_and_no_threshold():
    levels = analyze(0.1 * np.random.default_rng(0).standard_normal(40000), 8000)
    assert levels.suggestion.threshold is None
    assert levels.suggestion.noise_floor_db == pytest.approx(-20, abs=1)

import json
from dataclasses import replace

import numpy as np
import pytest

from noisegate_cli import ThresholdSuggestion
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display.reasons import REASONS, format_reason, format_recorded_reason
from tests.conftest import loud_and_quiet

SUGGESTION = ThresholdSuggestion(0.01, -60.4, -20.4, Verdict.SEPARATED, distance_db=40.0)


@pytest.mark.parametrize("verdict", Verdict)
def test_each_verdict_has_a_sentence(verdict):
    reason = format_reason(replace(SUGGESTION, verdict=verdict))
    assert reason.endswith(".")
    assert "{" not in reason


def test_no_two_verdicts_have_the_same_sentence():
    assert len(set(REASONS.values())) == len(REASONS) == len(Verdict)


def test_a_long_recording_with_little_sound_is_not_called_short(write, capsys):
    y = np.zeros(600 * 16000)
    for start_s in (100, 300):
        y[start_s * 16000 :][:48000] = np.random.default_rng(0).normal(0, 0.1, 48000)
    path = write(y)
    assert run(["gate", str(path), "-o", str(path.with_name("out.wav"))]) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "There is too little sound to distinguish noise from signal" in printed


def test_a_reason_has_the_numbers_of_the_suggestion():
    assert format_reason(SUGGESTION) == (
        "Noise around -60.4 dBFS, signal around -20.4 dBFS (40.0 dB apart)."
    )


@pytest.mark.parametrize("verdict", [Verdict.SEPARATED, Verdict.RAISED])
def test_low_contrast_is_part_of_the_reason(verdict):
    suggestion = replace(SUGGESTION, verdict=verdict, distance_db=11.9)
    assert format_reason(suggestion).endswith("If the gate pumps, try --range -8dB.")
    assert "pumps" not in format_reason(replace(suggestion, distance_db=12.0))


@pytest.mark.parametrize("verdict", Verdict)
def test_a_batch_gives_the_same_reason_from_the_recorded_numbers(verdict):
    suggestion = replace(SUGGESTION, verdict=verdict, active_db=-np.inf)
    result = {
        "verdict": str(verdict),
        "noise_floor_db": suggestion.noise_floor_db,
        "active_db": None,
        "distance_db": suggestion.distance_db,
    }
    assert format_recorded_reason(result) == format_reason(suggestion)


def test_gate_analyze_and_batch_give_the_same_reason(write, tmp_path, capsys):
    source = write(np.tile(loud_and_quiet(), 4), "in/speech.wav")
    reasons = set()
    for args in (
        ["gate", str(source), "-o", str(tmp_path / "out.wav")],
        ["analyze", str(source)],
        ["batch", str(source.parent), "--jobs", "1"],
    ):
        assert run([*args, "--json", "--quiet"]) == 0
        data = json.loads(capsys.readouterr().out)
        assert data["verdict"] == "separated"
        reasons.add(data["reason"])
    assert len(reasons) == 1
    assert "Noise around" in reasons.pop()


def test_a_given_threshold_has_no_reason():
    assert format_recorded_reason({"verdict": None}) is None

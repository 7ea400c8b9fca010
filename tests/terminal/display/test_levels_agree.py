"""A noise floor and a contrast are the same numbers in all outputs."""

import json
import re

import numpy as np
import pytest

from noisegate_cli.terminal.cli import run
from tests.conftest import SPEECH, loud_and_quiet, tone

NUMBER = r"(-?\d+\.\d)"
RATE = 16000


@pytest.fixture
def hiss():
    return np.random.default_rng(0).normal(0, 0.01, 5 * RATE)


def analyze(capsys, source, *options):
    assert run(["analyze", str(source), *options]) == 0
    return capsys.readouterr().out


def find_numbers(pattern, text):
    found = re.search(pattern.replace("#", NUMBER), " ".join(text.split()))
    assert found, text
    return [float(number) for number in found.groups()]


def test_table_and_sentence_give_the_same_levels(capsys):
    out = analyze(capsys, SPEECH)
    (floor_db,) = find_numbers("noise floor # dBFS", out)
    active_db, contrast_db = find_numbers("active level # dBFS, # dB above the floor", out)
    levels = find_numbers(r"Noise around # dBFS, signal around # dBFS \(# dB apart\)", out)
    assert levels == [floor_db, active_db, contrast_db]
    assert contrast_db == pytest.approx(active_db - floor_db, abs=1e-6)


def test_json_has_the_levels_of_the_text(capsys):
    out, data = analyze(capsys, SPEECH), json.loads(analyze(capsys, SPEECH, "--json"))
    assert find_numbers("noise floor # dBFS", out)[0] == round(data["noise_floor_db"], 1)
    assert find_numbers("active level # dBFS", out)[0] == round(data["active_db"], 1)
    assert find_numbers("# dB above the floor", out)[0] == pytest.approx(
        data["contrast_db"], abs=0.11
    )


def test_a_low_contrast_is_the_same_in_the_sentence_the_note_and_the_table(write, capsys, hiss):
    source = write(np.tile(loud_and_quiet(), 5)[: len(hiss)] * 0.1 + hiss)
    out = analyze(capsys, source)
    contrasts = {float(db) for db in re.findall(rf"{NUMBER} dB (?:above|apart)", out)}
    assert len(contrasts) == 1
    assert run(["gate", str(source), "-f"]) == 0
    err = capsys.readouterr().err
    assert {float(db) for db in re.findall(rf"{NUMBER} dB\s+apart", err)} == contrasts


@pytest.mark.parametrize("options", [[], ["-p", "music"], ["--key=300-3000"]])
def test_a_threshold_above_the_floor_is_above_the_printed_noise_floor(capsys, options):
    floor_db = find_numbers("noise floor # dBFS", analyze(capsys, SPEECH, *options))[0]
    out = analyze(capsys, SPEECH, *options, "-t", "floor+6dB")
    assert find_numbers("noise floor # dBFS", out) == [floor_db]
    assert find_numbers("noise floor is # dBFS", out) == [floor_db]
    assert find_numbers(r"threshold \S+ \(# dBFS\)", out)[0] == pytest.approx(
        floor_db + 6, abs=0.11
    )


def test_no_level_of_an_analysis_is_infinite(write, capsys, hiss):
    for sound in (np.zeros(RATE), hiss, tone(2, 0.1), np.append(np.zeros(RATE), tone(1, 0.1))):
        assert "inf" not in analyze(capsys, write(sound))

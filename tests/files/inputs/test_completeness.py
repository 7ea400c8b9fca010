"""What is said about a recording that could not be read completely."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.holes import Hole
from noisegate_cli.files.inputs.completeness import ReadSamples, describe_losses

RATE = 8000
FLAC = AudioInfo(Path("take.flac"), RATE, 1, 4 * RATE, "FLAC", "PCM_16")
OGG = AudioInfo(Path("take.ogg"), RATE, 1, 4 * RATE, "OGG", "VORBIS")
COMPLETE = ReadSamples(
    FLAC, 4 * RATE, 4 * RATE, tolerance=0, errors=0, is_interrupted=False, holes=[]
)


def losses(**changes):
    return " | ".join(describe_losses(replace(COMPLETE, **changes)))


def test_a_complete_recording_has_no_losses():
    assert losses() == ""
    assert losses(declared_length=0) == ""
    assert losses(length=3 * RATE, tolerance=RATE) == ""


def test_missing_samples_are_counted():
    assert losses(length=3 * RATE, errors=1) == (
        "it is truncated: it contains 3.00 s of 4.00 s, 1.00 s are missing"
    )
    assert losses(length=3 * RATE, errors=2).startswith("it is damaged: it contains 3.00 s")
    assert losses(length=3 * RATE, is_interrupted=True).startswith("it is damaged: it contains")


def test_a_missing_end_of_unknown_length_is_named_in_addition_to_holes():
    warnings = losses(declared_length=math.inf, holes=[Hole(RATE, RATE)])
    assert "the original length is unknown | it is damaged: 1.00 s at 1.00 s" in warnings


def test_bytes_after_the_last_ogg_page_do_not_count_as_a_missing_end():
    assert losses(info=OGG, declared_length=math.inf) == ""
    assert "its end is missing" in losses(info=OGG, is_end_missing=True)


def test_errors_after_all_declared_samples_do_not_count_as_damage():
    exact = replace(FLAC, is_length_exact=True)
    assert losses(info=exact, errors=1) == ""
    assert "parts that cannot be decoded are omitted" in losses(info=OGG, errors=1)


def test_a_recording_without_any_samples_fails():
    with pytest.raises(AudioError, match=r"'take.flac' is truncated: .* no audio of 4.00 s"):
        losses(length=0)
    with pytest.raises(AudioError, match="it contains no audio; copy it again"):
        losses(length=0, declared_length=math.inf)

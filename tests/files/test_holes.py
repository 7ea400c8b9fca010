"""Damaged parts become silence, so that all after them stays in step."""

import re

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.files.holes import HoleFinder, parse_flac_position
from noisegate_cli.files.reader import AudioReader
from tests.zoo import encode

RATE = 48000


def read_whole(path):
    with AudioReader(path) as reader:
        blocks = [block.astype(float) for block, _ in reader.blocks()]
        return np.concatenate(blocks)[:, 0], reader.warnings


def write_source(path):
    """Write six seconds of noise."""
    y = np.random.default_rng(0).normal(0, 0.1, 6 * RATE)
    by_libsndfile = {
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
        "opus": ("OGG", "OPUS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
    }
    by_pyav = {
        "aac.m4a": ("ipod", "aac", "fltp"),
        "alac.m4a": ("ipod", "alac", "s16p"),
        "opus.mka": ("matroska", "libopus", "flt"),
        "flac.mka": ("matroska", "flac", "s16"),
        "oga": ("ogg", "flac", "s16"),
        "ac3": ("ac3", "ac3", "fltp"),
    }
    kind = path.name.partition(".")[2]
    if kind in by_libsndfile:
        container, subtype = by_libsndfile[kind]
        sf.write(path, y, RATE, subtype, format=container)
    else:
        encode(path, y, *by_pyav[kind], RATE)
    return path


def find_lag(a, b):
    """Return by how many samples `a` is later than `b`."""
    size = 1 << 17
    product = np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size))
    lag = int(np.argmax(np.fft.irfft(product)))
    return lag if lag < size // 2 else lag - size


@pytest.mark.parametrize(
    "kind",
    "flac ogg opus mp3 aac.m4a alac.m4a opus.mka flac.mka oga ac3".split(),
)
@pytest.mark.parametrize("share", [0.4, 0.6])
def test_all_after_a_damaged_part_stays_in_step(tmp_path, kind, share):
    source = write_source(tmp_path / f"in.{kind}")
    expected, warnings = read_whole(source)
    assert warnings == []
    content = bytearray(source.read_bytes())
    position = int(share * len(content))
    content[position : position + 200] = np.random.default_rng(1).bytes(200)
    source.write_bytes(content)
    samples, warnings = read_whole(source)
    end = slice(-RATE, -RATE // 5)
    assert abs(len(samples) - len(expected)) <= 1152
    n = min(len(samples), len(expected))
    assert find_lag(samples[:n][end], expected[:n][end]) == 0
    for warning in warnings:
        words = r"it is damaged: \d\.\d\d s at (\d\.\d\d) s can't be decoded and are silence"
        place = re.fullmatch(words, warning)
        assert float(place[1]) == pytest.approx(6 * share, abs=1.2)
    # A decoder can't detect every damage of these.
    assert warnings or kind in ("mp3", "ac3")


def test_time_stamps_far_ahead_are_not_believed():
    finder = HoleFinder(0.5, 1000)
    assert [finder.find(time, 100) for time in (0, 10**15, 10**15 + 100, 10**15 + 500)] == [
        *(0, 0, 0, 300)
    ]
    assert finder.find(10**15 + 1500, 100) == 0  # the total is limited


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), min_size=2))
def test_the_rounding_of_time_stamps_is_no_hole(frames):
    rate, length, ticks_per_second = 44100, 1024, 1000
    finder = HoleFinder(2 * rate / ticks_per_second, 10**9)
    time, position, is_first = 0, 0, True
    for _, lost in frames:
        position += 0 if is_first else lost * length
        time = round(position / rate * ticks_per_second) * rate / ticks_per_second
        assert finder.find(time, length) == (0 if is_first else lost * length)
        position += length
        is_first = False


@pytest.mark.parametrize(
    ("number", "coded"), [(0, "00"), (127, "7f"), (128, "c280"), (5000, "e18e88")]
)
def test_numbers_of_flac_frames(number, coded):
    frame = bytes.fromhex("fff8c908" + coded).ljust(16, b"\0")
    assert parse_flac_position(frame, 4096) == number * 4096
    frame = bytes.fromhex("fff9c908" + coded).ljust(16, b"\0")
    assert parse_flac_position(frame, 4096) == number
    assert parse_flac_position(b"\0" + frame, 4096) is None

"""Damaged parts become silence, so that everything after them stays in sync."""

import re

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.files.containers.ogg import is_end_missing, read_pages
from noisegate_cli.files.holes import HoleFinder, parse_flac_position
from noisegate_cli.files.inputs.reader import AudioReader
from tests.zoo import encode

RATE = 48000
LOW_RATES = {"8k.opus": 8000, "16k.opus": 16000, "16k.aac": 16000}


def read_whole(path):
    with AudioReader(path) as reader:
        blocks = [block.astype(float) for block, _ in reader.blocks()]
        return np.concatenate(blocks)[:, 0], reader.warnings


def read_rate(path):
    with AudioReader(path) as reader:
        return reader.info.sample_rate


def write_source(path):
    """Write six seconds of noise."""
    kind = path.name.partition(".")[2]
    rate = LOW_RATES.get(kind, RATE)
    y = np.random.default_rng(0).normal(0, 0.1, 6 * rate)
    by_libsndfile = {
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
        "opus": ("OGG", "OPUS"),
        "8k.opus": ("OGG", "OPUS"),
        "16k.opus": ("OGG", "OPUS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
    }
    by_pyav = {
        "aac.m4a": ("ipod", "aac", "fltp"),
        "alac.m4a": ("ipod", "alac", "s16p"),
        "opus.mka": ("matroska", "libopus", "flt"),
        "flac.mka": ("matroska", "flac", "s16"),
        "wv": ("wv", "wavpack", "s16p"),
        "tta": ("tta", "tta", "s16"),
        "oga": ("ogg", "flac", "s16"),
        "ac3": ("ac3", "ac3", "fltp"),
        "aac": ("adts", "aac", "fltp"),
        "16k.aac": ("adts", "aac", "fltp"),
    }
    if kind in by_libsndfile:
        container, subtype = by_libsndfile[kind]
        sf.write(path, y, rate, subtype, format=container)
    else:
        encode(path, y, *by_pyav[kind], rate)
    return path


def find_lag(a, b):
    """Return by how many samples `a` is later than `b`."""
    size = 1 << 17
    product = np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size))
    lag = int(np.argmax(np.fft.irfft(product)))
    return lag if lag < size // 2 else lag - size


@pytest.mark.parametrize(
    "kind",
    "flac ogg opus 8k.opus 16k.opus mp3 aac.m4a alac.m4a opus.mka flac.mka oga ac3 aac "
    "16k.aac".split(),
)
@pytest.mark.parametrize("share", [0.4, 0.6])
def test_everything_after_a_damaged_part_stays_in_sync(tmp_path, kind, share):
    source = write_source(tmp_path / f"in.{kind}")
    expected, warnings = read_whole(source)
    assert warnings == []
    content = bytearray(source.read_bytes())
    position = int(share * len(content))
    content[position : position + 200] = np.random.default_rng(1).bytes(200)
    source.write_bytes(content)
    samples, warnings = read_whole(source)
    rate = read_rate(source)
    end = slice(-rate, -rate // 5)
    assert abs(len(samples) - len(expected)) <= 1152
    n = min(len(samples), len(expected))
    assert find_lag(samples[:n][end], expected[:n][end]) == 0
    for warning in warnings:
        words = r"it is damaged: \d\.\d\d s at (\d\.\d\d) s are replaced with silence"
        place = re.fullmatch(words, warning)
        assert float(place[1]) == pytest.approx(6 * share, abs=1.2)
    # A decoder cannot detect every damage of these.
    assert warnings or kind in ("mp3", "ac3", "16k.aac")


@pytest.mark.parametrize("kind", ["ogg", "opus", "oga"])
def test_a_damaged_beginning_becomes_silence_and_all_after_it_stays_in_sync(tmp_path, kind):
    source = write_source(tmp_path / f"in.{kind}")
    expected, _ = read_whole(source)
    content = bytearray(source.read_bytes())
    with source.open("rb") as file:
        pages = [offset for offset, page in read_pages(file) if page[6:14] != bytes(8)]
    content[pages[0] + 400 : pages[0] + 450] = bytes(50)
    source.write_bytes(content)
    samples, (warning,) = read_whole(source)
    assert len(samples) == len(expected)
    assert find_lag(samples[-RATE:], expected[-RATE:]) == 0
    assert re.fullmatch(r"it is damaged: \S+ s at 0\.00 s are replaced with silence", warning)


@pytest.mark.parametrize("kind", ["flac", "oga", "flac.mka", "wv", "tta"])
@pytest.mark.parametrize("seed", range(6))
def test_a_single_wrong_byte_of_a_lossless_recording_becomes_silence_and_not_noise(
    tmp_path, kind, seed
):
    source = write_source(tmp_path / f"in.{kind}")
    expected, _ = read_whole(source)
    content = bytearray(source.read_bytes())
    content[np.random.default_rng(seed).integers(len(content) // 3, len(content) // 2)] ^= 0x55
    source.write_bytes(content)
    samples, warnings = read_whole(source)
    assert len(samples) == len(expected)
    wrong = samples != expected
    assert wrong.any()
    assert not samples[wrong].any()
    assert "are replaced with silence" in warnings[0]


@pytest.mark.parametrize("kind", ["ogg", "opus", "16k.opus", "oga"])
@pytest.mark.parametrize("damage", ["content", "header", "cut"])
def test_a_missing_end_of_an_ogg_file_causes_a_warning(tmp_path, kind, damage):
    source = write_source(tmp_path / f"in.{kind}")
    expected, warnings = read_whole(source)
    assert warnings == []
    content = bytearray(source.read_bytes())
    last_page = content.rindex(b"OggS")
    if damage == "cut":
        del content[last_page + 40 :]
    else:
        position = last_page if damage == "header" else last_page + 400
        content[position : position + 10] = b"\x55" * 10
    source.write_bytes(content)
    samples, (warning,) = read_whole(source)
    assert np.array_equal(samples[:40000], expected[:40000])
    assert len(samples) < len(expected)
    rate = read_rate(source)
    assert f"its end is missing: it contains {len(samples) / rate:.2f} s" in warning


@pytest.mark.parametrize("kind", ["ogg", "opus", "oga"])
def test_a_complete_last_page_that_is_not_marked_causes_no_warning(tmp_path, kind):
    """Browsers record such files."""
    source = write_source(tmp_path / f"in.{kind}")
    content = source.read_bytes()
    source.write_bytes(content[: content.rindex(b"OggS")])
    assert not is_end_missing(source)
    assert read_whole(source)[1] == []


@pytest.mark.parametrize("after", [b"", bytes(1000), b"OggS" + bytes(50)])
def test_other_bytes_after_the_last_page_are_ignored(tmp_path, after):
    source = write_source(tmp_path / "in.opus")
    assert not is_end_missing(source)
    source.write_bytes(source.read_bytes() + after)
    assert not is_end_missing(source)
    source.write_bytes(after)
    assert is_end_missing(source)


def test_id3_tags_between_the_packets_of_bare_aac_are_not_holes(tmp_path):
    source = write_source(tmp_path / "in.aac")
    expected, _ = read_whole(source)
    content = source.read_bytes()
    tag = b"ID3\4\0\0\0\0\2\0" + bytes(256)
    frame = content.index(content[:3], len(content) // 2)
    source.write_bytes(tag + content[:frame] + tag + content[frame:])
    samples, warnings = read_whole(source)
    assert (warnings, np.array_equal(samples, expected)) == ([], True)


def test_timestamps_far_ahead_are_ignored():
    finder = HoleFinder(0.5, 1000)
    assert [finder.find(time, 100) for time in (0, 10**15, 10**15 + 100, 10**15 + 500)] == [
        *(0, 0, 0, 300)
    ]
    assert finder.find(10**15 + 1500, 100) == 0  # the total is limited


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), min_size=2))
def test_the_rounding_of_timestamps_is_not_a_hole(frames):
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

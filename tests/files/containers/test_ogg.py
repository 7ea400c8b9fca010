"""Ogg files that are joined end to end, as radio streams are, are read to their end."""

import random

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.containers import ogg
from noisegate_cli.files.containers.ogg import find_chained_parts
from noisegate_cli.files.inputs.reader import AudioReader
from tests.conftest import read_blocks
from tests.zoo import sound

RATE = 16000
CODECS = ["VORBIS", "OPUS", "FLAC"]


def write_ogg(path, seconds, codec, channels=1, rate=RATE):
    y = np.repeat(sound(rate, seconds)[:, None], channels, axis=1)
    if codec == "FLAC":
        sf.write(path.with_suffix(".wav"), y, rate)
        opened = GateSettings(threshold=0.0, range_db=0.0)
        gate_file(path.with_suffix(".wav"), path, opened)
    else:
        sf.write(path, y, rate, format="OGG", subtype=codec)
    return path


def read_whole(path):
    with AudioReader(path) as reader:
        samples = read_blocks(reader)
        return samples, reader.info, reader.warnings


def join(path, parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.fixture
def parts(tmp_path, codec):
    return [
        write_ogg(tmp_path / f"{number}.oga", seconds, codec)
        for number, seconds in enumerate([2, 0.01, 3.3])
    ]


@pytest.mark.parametrize("codec", CODECS)
def test_joined_files_are_read_and_gated_one_after_the_other(tmp_path, parts):
    samples, info, warnings = read_whole(join(tmp_path / "joined.ogg", parts))
    expected = np.concatenate([read_whole(part)[0] for part in parts])
    assert (info.samples, warnings) == (len(expected), [])
    assert np.array_equal(samples, expected)
    result = gate_file(tmp_path / "joined.ogg", tmp_path / "out.wav", GateSettings(threshold=0.01))
    assert (result.output.samples, result.warnings) == (len(expected), ())


def test_only_a_limited_number_of_invalid_pages_is_checked(tmp_path, monkeypatch):
    """Each can claim 64 kB, so that checking all of them would take minutes."""
    source = write_ogg(tmp_path / "in.ogg", 1, "VORBIS")
    start = b"OggS\0\2" + bytes(20) + b"\xff" * 256
    source.write_bytes(source.read_bytes() + start * (ogg.MAX_INVALID_PAGES + 500))
    checked = []
    read_page = ogg._read_page
    monkeypatch.setattr(ogg, "_read_page", lambda *page: checked.append(page) or read_page(*page))
    assert find_chained_parts(source) == []
    assert len(checked) <= ogg.MAX_INVALID_PAGES + 2


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_is_not_joined_has_no_parts(tmp_path, codec):
    assert find_chained_parts(write_ogg(tmp_path / "in.ogg", 2, codec)) == []


@pytest.mark.parametrize("codec", ["VORBIS"])
def test_parts_are_found_wherever_they_begin(tmp_path, parts, monkeypatch):
    joined = join(tmp_path / "joined.ogg", parts)
    sizes = [part.stat().st_size for part in parts]
    expected = [(0, sizes[0]), (sizes[0], sum(sizes[:2])), (sum(sizes[:2]), sum(sizes))]
    for scan_bytes in (1 << 20, 1000, sizes[0], sizes[0] - 1, sizes[0] + 1, sizes[0] + 5):
        monkeypatch.setattr(ogg, "SCAN_BYTES", scan_bytes)
        assert [part[:2] for part in find_chained_parts(joined)] == expected


@pytest.mark.parametrize("codec", ["VORBIS"])
def test_parts_with_other_channels_are_omitted(tmp_path, parts):
    stereo = write_ogg(tmp_path / "stereo.ogg", 1, "VORBIS", channels=2)
    joined = join(tmp_path / "joined.ogg", [parts[0], stereo, parts[2]])
    samples, _, warnings = read_whole(joined)
    assert len(samples) == round(5.3 * RATE)
    assert "another recording of 1.00 s in the same file is omitted" in warnings[0]


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_a_damaged_part_is_read_as_far_as_possible(tmp_path, codec):
    parts = [write_ogg(tmp_path / f"{seconds}.ogg", seconds, codec) for seconds in (12, 4)]
    joined = join(tmp_path / "joined.ogg", parts)
    damaged = bytearray(joined.read_bytes())
    start = parts[0].stat().st_size // 2
    damaged[start : start + 2000] = random.Random(0).randbytes(2000)
    joined.write_bytes(damaged)
    samples, _, warnings = read_whole(joined)
    assert len(samples) == pytest.approx(16 * RATE, abs=RATE / 50)
    assert np.array_equal(samples[-3 * RATE :], read_whole(parts[1])[0][-3 * RATE :])
    assert "replaced with silence" in warnings[0]

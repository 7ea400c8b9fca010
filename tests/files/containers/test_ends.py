"""Containers that are truncated or damaged cause a warning whenever sound is lost."""

import numpy as np
import pytest

from noisegate_cli.files.containers.ends import is_broken
from noisegate_cli.files.inputs.reader import AudioReader
from tests.conftest import read_blocks
from tests.zoo import encode, sound

SECONDS = 10

CONTAINERS = {
    "mp3.avi": ("avi", "libmp3lame", "s16p", 44100),
    "pcm.avi": ("avi", "pcm_s16le", "s16", 16000),
    "mp3.ts": ("mpegts", "libmp3lame", "s16p", 44100),
    "aac.ts": ("mpegts", "aac", "fltp", 16000),
    "mp3.flv": ("flv", "libmp3lame", "s16p", 44100),
    "opus.webm": ("webm", "libopus", "flt", 48000),
    "opus.mka": ("matroska", "libopus", "flt", 48000),
}
"""File names with FFmpeg's container, codec and sample format, and the sample rate."""


def read(path):
    with AudioReader(path) as reader:
        return read_blocks(reader), reader.warnings


@pytest.fixture(params=CONTAINERS)
def source(request, tmp_path):
    path = tmp_path / request.param
    *arguments, rate = CONTAINERS[request.param]
    return encode(path, sound(rate, SECONDS), *arguments, rate)


def test_a_whole_container_causes_no_warning(source):
    samples, warnings = read(source)
    assert len(samples) > 0
    assert warnings == []


@pytest.mark.parametrize("share", [0.3, 0.9, 0.97, 0.99, 0.995])
def test_a_truncated_container_that_lacks_sound_causes_a_warning(source, share):
    expected, _ = read(source)
    content = source.read_bytes()
    source.write_bytes(content[: int(share * len(content)) | 1])
    samples, warnings = read(source)
    assert len(warnings) == 1 or np.array_equal(samples, expected)


def find_third_header(content):
    """Return the position of the header of a packet in an AVI or FLV file."""
    if content.startswith(b"RIFF"):
        return content.index(b"00wb", content.index(b"00wb", content.index(b"00wb") + 1) + 1)
    position = 13
    for _ in range(3):
        position += 15 + int.from_bytes(content[position + 1 : position + 4], "big")
    return position


@pytest.mark.parametrize("name", ["mp3.avi", "mp3.flv"])
def test_a_damaged_header_of_a_packet_causes_a_warning(tmp_path, name):
    *arguments, rate = CONTAINERS[name]
    source = encode(tmp_path / name, sound(rate, SECONDS), *arguments, rate)
    content = bytearray(source.read_bytes())
    position = find_third_header(content)
    content[position : position + 4] = b"\xff" * 4
    source.write_bytes(content)
    assert len(read(source)[1]) == 1


def test_a_truncated_index_of_an_avi_file_causes_no_warning(tmp_path):
    source = encode(tmp_path / "in.avi", sound(), "avi", "pcm_s16le", "s16", 16000)
    content = source.read_bytes()
    source.write_bytes(content[: content.rindex(b"idx1") + 20])
    assert not is_broken(source, "avi")


@pytest.mark.parametrize(("missing", "is_lost"), [(0, False), (4, False), (5, True)])
def test_an_flv_file_may_lack_the_size_after_its_last_packet(tmp_path, missing, is_lost):
    *arguments, rate = CONTAINERS["mp3.flv"]
    path = encode(tmp_path / "in.flv", sound(rate), *arguments, rate)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - missing])
    assert is_broken(path, "flv") == is_lost


def test_a_chunk_of_odd_size_may_lack_its_padding(tmp_path):
    path = tmp_path / "in.avi"
    chunks = b"00wb\3\0\0\0abc00wb\2\0\0\0ab"
    for padding in (b"", b"\0"):
        padded = chunks.replace(b"abc00", b"abc" + padding + b"00")
        path.write_bytes(b"RIFF\0\0\0\0AVI LIST\0\0\0\0movi" + padded)
        assert not is_broken(path, "avi")
    path.write_bytes(path.read_bytes()[:-1])
    assert is_broken(path, "avi")

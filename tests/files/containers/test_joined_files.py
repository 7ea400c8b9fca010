"""Files that are joined end to end, as by `cat`, are read to their end, whatever their format."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.containers import joined_files
from noisegate_cli.files.containers.joined_files import CONTAINERS, find_joined_parts
from noisegate_cli.files.containers.voc import VOC_MAGIC
from noisegate_cli.files.inputs.reader import AudioReader
from tests.conftest import read_blocks
from tests.zoo import LIBSNDFILE_FORMATS, PYAV_FORMATS, RATE, encode, sound

FRAMES_WITHOUT_CONTAINER = ("aac.aac", "ac3.ac3", "layer2.mp2")
"""Formats in which the decoder goes on with its state at the end of the first file."""

MORE_FORMATS = {
    "pcm.nut": ("nut", "pcm_s16le", "s16", RATE),
    "aac.flv": ("flv", "aac", "fltp", 44100),
    "ac3.rm": ("rm", "ac3", "fltp", 48000),
    "pcm.avi": ("avi", "pcm_s16le", "s16", RATE),
    "mp3.wav": ("wav", "libmp3lame", "fltp", RATE),
}
PYAV = PYAV_FORMATS | MORE_FORMATS


def read_whole(path):
    with AudioReader(path) as reader:
        samples = read_blocks(reader)
        return samples, reader.info, reader.warnings


def write_part(path, name, seconds):
    """Write a recording in the format of a name of the zoo."""
    if name in LIBSNDFILE_FORMATS:
        container, subtype = LIBSNDFILE_FORMATS[name]
        sf.write(path, sound(RATE, seconds), RATE, subtype, format=container)
    else:
        container, codec, stored, rate = PYAV[name]
        encode(path, sound(rate, seconds), container, codec, stored, rate)
    return path


def join(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("name", [*LIBSNDFILE_FORMATS, *PYAV])
def test_joined_files_of_every_format_are_read_one_after_the_other(tmp_path, name):
    suffix = Path(name).suffix
    first = write_part(tmp_path / f"a{suffix}", name, 1.0)
    second = write_part(tmp_path / f"b{suffix}", name, 0.7)
    expected = [read_whole(path)[0] for path in (first, second, first)]
    samples, info, warnings = read_whole(join(tmp_path / f"c{suffix}", first, second, first))
    assert warnings == []
    assert len(samples) == sum(map(len, expected))
    if name not in FRAMES_WITHOUT_CONTAINER:
        assert np.array_equal(samples, np.concatenate(expected))
        assert info.samples == len(samples) or not info.is_length_exact


@pytest.mark.parametrize("container", ["WAV", "AU", "CAF", "AIFF", "W64"])
def test_a_joined_file_keeps_the_bits_of_the_part_with_the_most(tmp_path, container):
    paths = [tmp_path / f"{subtype}.x" for subtype in ("PCM_16", "PCM_24", "FLOAT")]
    for path in paths:
        sf.write(path, sound(), RATE, path.stem, format=container)
    samples, info, warnings = read_whole(join(tmp_path / "in.x", *paths))
    assert (info.subtype, warnings) == ("FLOAT", [])
    assert np.array_equal(samples[:, 0], np.concatenate([sf.read(path)[0] for path in paths]))
    gate_file(tmp_path / "in.x", tmp_path / "out.wav", GateSettings(threshold=0.0, range_db=0.0))
    assert np.array_equal(sf.read(tmp_path / "out.wav")[0], samples[:, 0])


def stream_wav(content):
    """Return a WAV file as a program writes it to a pipe: it does not declare its size."""
    position = content.index(b"data") + 4
    return content[:4] + b"\xff" * 4 + content[8:position] + b"\xff" * 4 + content[position + 4 :]


def stream_au(content):
    return content[:8] + b"\xff" * 4 + content[12:]


def stream_caf(content):
    position = content.index(b"data") + 4
    return content[:position] + b"\xff" * 8 + content[position + 8 :]


@pytest.mark.parametrize(
    ("name", "stream"), [("s16.wav", stream_wav), ("s16.au", stream_au), ("s16.caf", stream_caf)]
)
def test_a_file_that_follows_one_of_unknown_size_is_found(tmp_path, name, stream, monkeypatch):
    part = write_part(tmp_path / name, name, 1.0)
    expected, _, _ = read_whole(part)
    content = stream(part.read_bytes())
    for path, count in ((tmp_path / f"in.{name}", 2), (part, 1)):
        path.write_bytes(content * count)
        for scan_bytes in (1 << 20, 1000, len(content) - 5):
            monkeypatch.setattr(joined_files, "SCAN_BYTES", scan_bytes)
            samples, _, warnings = read_whole(path)
            assert warnings == []
            assert np.array_equal(samples, np.tile(expected, (count, 1)))


@pytest.mark.parametrize("name", ["s16.wav", "s16.flac", "wavpack.wv", "tta.tta", "alac16.m4a"])
def test_a_part_with_other_channels_is_omitted_with_a_warning(tmp_path, name):
    part = write_part(tmp_path / name, name, 1.0)
    y = np.repeat(sound(RATE, 0.5)[:, None], 2, axis=1)
    other = tmp_path / f"other.{name}"
    if name in LIBSNDFILE_FORMATS:
        sf.write(other, y, RATE, "PCM_16")
    else:
        container, codec, stored, rate = PYAV[name]
        encode(other, y, container, codec, stored, rate)
    samples, _, warnings = read_whole(join(tmp_path / f"in.{name}", part, other, part))
    assert np.array_equal(samples, np.tile(read_whole(part)[0], (2, 1)))
    assert warnings == [
        "another recording of 0.50 s in the same file is omitted, because it has 2 channels "
        "at 16000 Hz"
    ]


@pytest.mark.parametrize("name", ["s16.wav", "s16.flac", "w64.w64", "tta.tta", "aac.m4a"])
def test_a_last_part_that_is_truncated_causes_a_warning(tmp_path, name):
    part = write_part(tmp_path / name, name, 1.0)
    joined = join(tmp_path / f"in.{name}", part, part)
    joined.write_bytes(joined.read_bytes()[: -part.stat().st_size // 3])
    samples, _, (warning,) = read_whole(joined)
    assert RATE <= len(samples) < 2 * RATE
    assert "are missing" in warning or "are omitted" in warning


@pytest.mark.parametrize("name", sorted({*LIBSNDFILE_FORMATS, *PYAV} - {"gsm.wav"}))
def test_a_tag_after_the_last_sample_is_neither_audio_nor_damage(tmp_path, name):
    part = write_part(tmp_path / name, name, 0.3)
    alone, _, _ = read_whole(part)
    part.write_bytes(part.read_bytes() + b"TAG" + bytes(125))
    samples, info, warnings = read_whole(part)
    if info.format == "NUT":  # Its last packet has no end of its own.
        samples = samples[: len(alone)]
    assert np.array_equal(samples, alone)
    assert warnings == []


LENGTH_IN_HEADER = (
    *("s16.wav", "rf64.wav", "s24.flac", "s24.aiff", "s16.caf", "vorbis.ogg", "opus.opus"),
    *("aac.m4a", "opus.webm", "wavpack.wv", "tta.tta"),
)


@pytest.mark.parametrize("name", LENGTH_IN_HEADER)
@pytest.mark.parametrize("after", [b"\n", bytes(1000)], ids=["line", "zeros"])
def test_other_bytes_after_the_declared_length_are_neither_audio_nor_damage(tmp_path, name, after):
    part = write_part(tmp_path / name, name, 0.3)
    alone, _, _ = read_whole(part)
    part.write_bytes(part.read_bytes() + after)
    samples, _, warnings = read_whole(part)
    assert np.array_equal(samples, alone)
    assert warnings == []


def test_the_blocks_of_a_voc_file_follow_each_other_without_their_headers(tmp_path):
    y = np.rint(sound() * 2**15).astype("<i2")
    header = VOC_MAGIC + struct.pack("<HHH", 26, 0x10A, 0x1129)
    fmt = struct.pack("<IBBHI", RATE, 16, 1, 4, 0)
    pieces = [fmt + y[:5000].tobytes(), y[5000:9000].tobytes(), y[9000:].tobytes()]
    blocks = [
        bytes([kind]) + len(piece).to_bytes(3, "little") + piece
        for kind, piece in zip((9, 2, 2), pieces, strict=True)
    ]
    path = tmp_path / "in.voc"
    path.write_bytes(header + b"".join(blocks) + b"\0")
    for count in (1, 2):
        path.write_bytes((header + b"".join(blocks) + b"\0") * count)
        samples, info, warnings = read_whole(path)
        assert (info.format, warnings) == ("VOC", [])
        assert np.array_equal(samples[:, 0], np.tile(y, count))


def test_no_bytes_make_the_search_fail(tmp_path):
    rng = np.random.default_rng(0)
    starts = [
        path.read_bytes()
        for name in (*LIBSNDFILE_FORMATS, *PYAV)
        for path in [write_part(tmp_path / name, name, 0.05)]
    ]
    assert sum(any(kind.start_re.match(start) for kind in CONTAINERS) for start in starts) > 20
    path = tmp_path / "damaged"
    for start in starts:
        for _ in range(20):
            damaged = np.frombuffer(start[: rng.integers(1, len(start))] * 2, np.uint8).copy()
            damaged[rng.integers(8, 8 + len(damaged), 5) % len(damaged)] = rng.integers(256)
            path.write_bytes(damaged.tobytes())
            parts = find_joined_parts(path)
            assert all(0 <= part.start < part.end <= len(damaged) for part in parts)

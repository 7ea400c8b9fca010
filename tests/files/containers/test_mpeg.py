"""MP3 files: every frame is read, without side effects on the rest of the process."""

import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from mutagen.apev2 import BINARY, APEv2, APEValue
from mutagen.id3 import APIC, ID3, TIT2

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.containers import mpeg
from noisegate_cli.files.containers.mpeg import find_parts
from noisegate_cli.files.containers.trailing_tags import find_audio_end
from noisegate_cli.files.inputs.reader import AudioReader, probe
from tests.conftest import read_blocks, tone
from tests.zoo import encode, sound

RATE = 44100
OPEN = GateSettings(threshold=0.03, range_db=0.0)


def write_mp3(path, y, rate=RATE, mode="VARIABLE"):
    with sf.SoundFile(
        path, "w", rate, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode=mode, compression_level=0.3
    ) as file:
        file.write(y)
    return path


def remove_length_header(path):
    """Remove the first frame, which holds the length header."""
    content = path.read_bytes()
    assert b"Info" in content[:64] or b"Xing" in content[:64]
    path.write_bytes(content[content.index(content[:2], 4) :])
    return path


def add_tag(path):
    """Add an ID3 tag with a picture that contains the bytes of length headers and frames."""
    header = path.read_bytes()[:64]
    tag = ID3()
    tag.add(TIT2(encoding=3, text="ID3 Info Xing"))
    tag.add(APIC(encoding=3, mime="image/png", type=3, desc="Info", data=header * 50))
    tag.save(path)
    return path


def read_whole(path):
    with AudioReader(path) as reader:
        samples = read_blocks(reader)
        return samples, reader.warnings


def make_quiet_and_loud(seconds):
    """Return a quiet beginning, which takes few bits, and noise, which takes many."""
    y = np.random.default_rng(0).normal(0, 0.2, round(seconds * RATE))
    y[: len(y) // 3] *= 1e-4
    return y


def test_every_frame_of_a_file_without_a_length_header_is_read(tmp_path):
    y = make_quiet_and_loud(12)
    whole, _ = read_whole(write_mp3(tmp_path / "whole.mp3", y))
    assert len(whole) == len(y)
    source = remove_length_header(write_mp3(tmp_path / "in.mp3", y))
    assert sf.info(source).frames != pytest.approx(len(y), rel=0.1)  # the estimate is wrong
    samples, warnings = read_whole(source)
    assert warnings == []
    assert len(y) < len(samples) < len(y) + 3 * 1152
    result = gate_file(source, tmp_path / "out.wav", OPEN)
    assert result.warnings == ()
    assert result.source.samples == sf.info(tmp_path / "out.wav").frames == len(samples)
    # Without the header, the delay of the encoder is unknown and cannot be removed.
    delay = 1105
    middle = slice(5 * RATE, 10 * RATE)
    assert np.array_equal(samples[delay:][middle], whole[middle])


@pytest.mark.parametrize("prepare", [lambda path: path, add_tag, remove_length_header])
@pytest.mark.parametrize("prepare_next", [lambda path: path, add_tag])
def test_joined_files_are_read_one_after_the_other(tmp_path, prepare, prepare_next):
    first = prepare(write_mp3(tmp_path / "a.mp3", make_quiet_and_loud(3)))
    second = prepare_next(write_mp3(tmp_path / "b.mp3", sound(RATE, 4.1)))
    third = prepare_next(write_mp3(tmp_path / "c.mp3", tone(2, 0.1, RATE), mode="CONSTANT"))
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(path.read_bytes() for path in (first, second, third)))
    samples, warnings = read_whole(joined)
    expected = np.concatenate([read_whole(path)[0] for path in (first, second, third)])
    assert warnings == []
    assert np.array_equal(samples, expected)
    result = gate_file(joined, tmp_path / "out.flac", OPEN)
    assert (result.warnings, result.output.samples) == ((), len(expected))


def test_a_joined_file_without_a_length_header_is_read_too(tmp_path):
    first = write_mp3(tmp_path / "a.mp3", make_quiet_and_loud(3))
    second = remove_length_header(write_mp3(tmp_path / "b.mp3", make_quiet_and_loud(5)))
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    samples, warnings = read_whole(joined)
    assert warnings == []
    assert np.array_equal(samples, np.concatenate([read_whole(first)[0], read_whole(second)[0]]))


@pytest.mark.parametrize("seconds", [0.05, 0.3])
@pytest.mark.parametrize("is_last", [False, True])
def test_very_short_joined_files_are_read(tmp_path, seconds, is_last):
    short = remove_length_header(write_mp3(tmp_path / "a.mp3", 0.1 * sound(RATE, seconds)))
    long = write_mp3(tmp_path / "b.mp3", make_quiet_and_loud(2))
    paths = (long, short) if is_last else (short, long)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(path.read_bytes() for path in paths))
    samples, warnings = read_whole(joined)
    assert warnings == []
    assert np.array_equal(samples, np.concatenate([read_whole(path)[0] for path in paths]))


def test_a_joined_file_without_audio_causes_a_warning_and_the_next_one_is_read(tmp_path):
    content = write_mp3(tmp_path / "in.mp3", sound(RATE)).read_bytes()
    length_header = content[: content.index(content[:2], 4)]
    tag = add_tag(tmp_path / "in.mp3").read_bytes().removesuffix(content)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(content + tag + length_header + bytes(3000) + tag + content)
    samples, (warning,) = read_whole(joined)
    assert len(samples) == 2 * RATE
    assert "damaged" in warning


def test_a_joined_file_of_another_sample_rate_causes_a_warning(tmp_path):
    first = write_mp3(tmp_path / "a.mp3", sound(RATE))
    second = write_mp3(tmp_path / "b.mp3", sound(16000), 16000)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    samples, (warning,) = read_whole(joined)
    assert len(samples) == RATE
    assert warning.endswith("is omitted, because it has 1 channel at 16000 Hz")


def test_a_truncated_mp3_causes_a_warning(tmp_path):
    source = write_mp3(tmp_path / "in.mp3", sound(RATE, 10))
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    _, (warning,) = read_whole(source)
    assert "is truncated" in warning
    assert "of 10.00 s" in warning


@pytest.mark.parametrize("junk", [bytes(8), bytes(600), b"some text before the frames"])
def test_bytes_before_the_first_frame_are_skipped(tmp_path, junk):
    source = write_mp3(tmp_path / "in.mp3", sound(RATE))
    expected, _ = read_whole(source)
    source.write_bytes(junk + source.read_bytes())
    samples, warnings = read_whole(source)
    assert warnings == []
    assert np.array_equal(samples, expected)


@pytest.mark.parametrize("size", [3000, 20000])
@pytest.mark.parametrize("has_tag", [True, False])
def test_random_bytes_before_the_first_frame_are_skipped(tmp_path, size, has_tag):
    source = write_mp3(tmp_path / "in.mp3", sound(RATE))
    expected, _ = read_whole(source)
    if has_tag:
        add_tag(source)
    source.write_bytes(np.random.default_rng(0).bytes(size) + source.read_bytes())
    samples, _ = read_whole(source)
    assert len(samples) == len(expected)


@pytest.mark.parametrize("has_length_header", [True, False])
@pytest.mark.parametrize("where", ["first", "next"])
def test_several_tags_before_the_frames_are_skipped(tmp_path, has_length_header, where):
    """Some programs add a tag in front of a tag."""
    source = write_mp3(tmp_path / "in.mp3", sound(RATE))
    if not has_length_header:
        remove_length_header(source)
    frames = source.read_bytes()
    before = b"" if where == "first" else frames
    tag = add_tag(source).read_bytes().removesuffix(frames)
    source.write_bytes(before + tag + frames)
    expected, _ = read_whole(source)
    source.write_bytes(before + 2 * tag + frames)
    samples, warnings = read_whole(source)
    assert warnings == []
    assert np.array_equal(samples, expected)


def make_tags(folder):
    """Return tags that can follow the frames, by name."""
    path = folder / "tag"
    id3 = ID3()
    id3.add(TIT2(encoding=3, text="Info Xing"))
    # It contains the bytes of frame headers.
    id3.add(APIC(encoding=3, mime="image/png", type=3, desc="", data=b"\xff\xfb\x90\0" * 10000))
    id3.save(path)
    tag = path.read_bytes()
    marked = tag[:5] + b"\x10" + tag[6:]
    ape = APEv2()
    ape["Title"], ape["Cover"] = "A title", APEValue(b"\xff\xfb\x90\0" * 10000, BINARY)
    path.write_bytes(b"")
    ape.save(path)
    lyrics = b"LYRICSBEGINLYR00011Hello world"
    tags = {
        "id3v1": b"TAG" + bytes(125),
        "id3v2": tag,
        "small id3v2": b"ID3\4\0\0\0\0\0\x15"
        + b"TIT2"
        + bytes([0, 0, 0, 11, 0, 0, 3])
        + b"Info Xing\0",
        "id3v2 with footer": marked + b"3DI" + marked[3:10],
        "ape": path.read_bytes(),
        "lyrics": lyrics + b"%06dLYRICS200" % len(lyrics),
    }
    path.unlink()
    return tags


TRAILING_TAGS = [
    *[
        ("id3v1",),
        ("id3v2",),
        ("small id3v2",),
        ("id3v2 with footer",),
        ("ape",),
        ("lyrics", "id3v1"),
    ],
    *[("ape", "id3v1"), ("id3v2", "ape", "id3v1"), ("ape", "id3v2"), ("ape", "lyrics", "id3v1")],
]


@pytest.mark.parametrize("names", TRAILING_TAGS)
@pytest.mark.parametrize("has_length_header", [True, False])
def test_tags_after_the_frames_change_nothing(tmp_path, names, has_length_header):
    source = write_mp3(tmp_path / "in.mp3", sound(RATE))
    if not has_length_header:
        remove_length_header(source)
    expected, _ = read_whole(source)
    tags = make_tags(tmp_path)
    source.write_bytes(source.read_bytes() + b"".join(tags[name] for name in names))
    samples, warnings = read_whole(source)
    assert warnings == []
    assert np.array_equal(samples, expected)


def test_tags_between_joined_files_change_nothing(tmp_path):
    source = write_mp3(tmp_path / "in.mp3", sound(RATE))
    expected, _ = read_whole(source)
    frames, tags = source.read_bytes(), make_tags(tmp_path)
    source.write_bytes((frames + tags["ape"] + tags["id3v1"]) * 2)
    samples, _ = read_whole(source)
    assert len(samples) == pytest.approx(2 * len(expected), abs=2 * 1152)


RATES = [(16000, 1), (22050, 1), (24000, 2), (32000, 1), (48000, 2)]
MPEG_2_5_RATES = [(8000, 1), (12000, 1), (11025, 2)]
"""Rates with layer III only."""


@pytest.mark.parametrize(
    ("kind", "rate", "channels"),
    [
        *[("layer3", *rate) for rate in RATES + MPEG_2_5_RATES],
        *[("layer2", *rate) for rate in RATES],
    ],
)
def test_another_decoder_reads_the_same_samples(tmp_path, kind, rate, channels):
    source = tmp_path / "in.mp3"
    y = np.random.default_rng(0).normal(0, 0.1, (rate, channels))
    if kind == "layer3":
        sf.write(source, y, rate, format="MP3")
    else:
        encode(source, y, "mp2", "mp2", "s16", rate)
    samples, warnings = read_whole(source)
    expected = sf.read(source, always_2d=True)[0]  # by mpg123
    assert warnings == []
    assert samples.shape == expected.shape
    assert np.abs(samples / (2**15 if samples.dtype == np.int16 else 1) - expected).max() < 1e-4


def test_a_vbri_length_header_is_not_decoded(tmp_path):
    source = write_mp3(tmp_path / "in.mp3", sound(RATE))
    frame_header = source.read_bytes()[:4]
    length_header_size = source.read_bytes().index(frame_header[:2], 4)
    remove_length_header(source)
    expected, _ = read_whole(source)
    frames = source.read_bytes()
    count = len(expected) // 1152
    size = length_header_size + len(frames)
    fields = (1, 0, 75, size, count, 1, 1, 2, count, len(frames) % 65536)
    header = frame_header + bytes(32) + b"VBRI" + struct.pack(">HHHIIHHHHH", *fields)
    source.write_bytes(header.ljust(length_header_size, b"\0") + frames)
    samples, warnings = read_whole(source)
    assert warnings == []
    assert np.array_equal(samples, expected)


@pytest.mark.parametrize("has_tag", [False, True])
def test_a_free_format_file_is_read(tmp_path, has_tag):
    source = tmp_path / "in.mp3"
    y = np.random.default_rng(0).normal(0, 0.1, 48000)
    write_mp3(source, y, 48000, mode="CONSTANT")
    remove_length_header(source)
    expected, _ = read_whole(source)
    content = bytearray(source.read_bytes())
    kbps = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[content[2] >> 4]
    for position in range(0, len(content), 144 * kbps // 48):
        assert content[position] == 0xFF
        content[position + 2] &= 0x0F
    source.write_bytes(content)
    if has_tag:
        add_tag(source)
    samples, warnings = read_whole(source)
    assert warnings == []
    assert samples.shape == expected.shape
    assert np.abs(samples - expected).max() < 1e-4


def test_a_tag_that_declares_more_than_the_file_holds_is_not_a_tag(tmp_path):
    path = tmp_path / "in"
    for size in (0, 10**6):
        footer = b"APETAGEX" + struct.pack("<IIII", 2000, size, 1, 0) + bytes(8)
        path.write_bytes(bytes(500) + footer)
        with path.open("rb") as file:
            assert find_audio_end(file, 532) == 532


@pytest.mark.parametrize("scan_bytes", [4, 7, 100, 1 << 16])
def test_parts_do_not_depend_on_the_scan_block_size(tmp_path, monkeypatch, scan_bytes):
    first = add_tag(write_mp3(tmp_path / "a.mp3", sound(8000, 0.3), 8000))
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() * 3)
    size = first.stat().st_size
    monkeypatch.setattr(mpeg, "SCAN_BYTES", scan_bytes)
    parts = find_parts(joined)
    assert [(part.start, part.end) for part in parts] == [
        (0, size),
        (size, 2 * size),
        (2 * size, 3 * size),
    ]
    assert all(part.declares_length for part in parts)


def test_the_number_of_parts_is_limited(tmp_path, monkeypatch):
    first = write_mp3(tmp_path / "a.mp3", sound(8000, 0.3), 8000)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() * 10)
    monkeypatch.setattr(mpeg, "MAX_PARTS", 4)
    assert len(find_parts(joined)) == 4
    assert find_parts(joined)[-1].end == joined.stat().st_size
    monkeypatch.setattr(mpeg, "MAX_MARKERS", 2)
    assert len(find_parts(joined)) == 3


def test_a_flac_file_after_an_id3_tag_is_not_read_as_mp3(tmp_path):
    source = tmp_path / "in.flac"
    sf.write(source, sound(), 16000)
    content = source.read_bytes()
    ID3().save(tmp_path / "tag")
    source.write_bytes((tmp_path / "tag").read_bytes() + content)
    assert probe(source).format == "FLAC"
    assert probe(source).samples == 16000


def damage(path):
    content = bytearray(path.read_bytes())
    for position in range(2000, len(content) - 300, 5000):
        content[position : position + 300] = np.random.default_rng(position).bytes(300)
    path.write_bytes(content)
    return path


def test_a_damaged_file_writes_nothing_to_stderr(tmp_path, capfd):
    source = damage(write_mp3(tmp_path / "in.mp3", make_quiet_and_loud(5)))
    _, warnings = read_whole(source)
    assert "is damaged" in warnings[0]
    assert capfd.readouterr().err == ""


LOGGING_THREADS = """
import os, sys, threading
from pathlib import Path
from noisegate_cli.files.inputs.reader import AudioReader

def read():
    for _ in range(20):
        with AudioReader(Path(sys.argv[1])) as reader:
            for _ in reader.blocks():
                pass

def log():
    global lines
    while reader.is_alive():
        os.write(2, b"line\\n")
        lines += 1

lines = 0
reader = threading.Thread(target=read)
reader.start()
log()
print(lines)
"""


def test_reading_mp3s_does_not_lose_the_log_lines_of_other_threads(tmp_path):
    source = damage(write_mp3(tmp_path / "in.mp3", sound(RATE, 5)))
    command = [sys.executable, "-c", LOGGING_THREADS, source]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    lines = process.stderr.splitlines()
    assert set(lines) == {"line"}
    assert len(lines) == int(process.stdout) > 100


FORKS = """
import os, sys, threading
from pathlib import Path
from noisegate_cli.files.inputs.reader import AudioReader, probe

def read():
    while not done:
        with AudioReader(Path(sys.argv[1])) as reader:
            for _ in reader.blocks():
                pass

probe(Path(sys.argv[1]))  # forking during an import would deadlock in Python itself
done = False
thread = threading.Thread(target=read)
thread.start()
children = 0
for _ in range(20):
    child = os.fork()
    if not child:
        probe(Path(sys.argv[1]))
        os._exit(0)
    children += os.waitpid(child, 0)[1] == 0
done = True
thread.join()
print(children)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_processes_forked_while_mp3s_are_read_do_not_deadlock(tmp_path):
    source = damage(write_mp3(tmp_path / "in.mp3", sound(RATE, 5)))
    command = [sys.executable, "-W", "ignore", "-c", FORKS, source]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert process.stdout.split() == ["20"]


def write_layer_1(path, levels, rate=48000, channels=1, bit_rate_index=12):
    """Write frames of MPEG-1 layer I (ISO/IEC 11172-3, 2.4.1.5): noise around 5 and 6 kHz.

    Each level is the scale factor of a frame of 384 samples; 0 is the loudest, 62 the quietest.
    """
    rng = np.random.default_rng(0)
    rate_index = {44100: 0, 48000: 1, 32000: 2}[rate]
    mode = 3 if channels == 1 else 0
    content, slots = b"", 0.0
    for level in levels:
        slots += 12 * 32000 * bit_rate_index / rate
        padding = int(slots) - int(12 * 32000 * bit_rate_index / rate)
        length, slots = 4 * int(slots), slots - int(slots)
        header = 0xFFFF << 16 | bit_rate_index << 12 | rate_index << 10 | padding << 9 | mode << 6
        subbands = [7, 8]
        allocation = [7 if band in subbands else 0 for band in range(32) for _ in range(channels)]
        values = rng.integers(0, 255, 12 * len(subbands) * channels)
        fields = [(header, 32), *((bits, 4) for bits in allocation)]
        fields += [(level, 6)] * (len(subbands) * channels) + [(int(v), 8) for v in values]
        bits = "".join(f"{value:0{width}b}" for value, width in fields).ljust(8 * length, "0")
        content += int(bits, 2).to_bytes(length, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["in.mp1", "in.mp3", "in"])
@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (44100, 2), (32000, 1)])
def test_mpeg_layer_1_is_read_and_gated(tmp_path, name, rate, channels):
    levels = [12] * 60 + [50] * 60 + [12] * 60  # factors 0.125 and 2e-5
    write_layer_1(tmp_path / name, levels, rate, channels)
    samples, warnings = read_whole(tmp_path / name)
    assert (samples.shape, warnings) == ((384 * len(levels), channels), [])
    spectrum = np.abs(np.fft.rfft(samples[:20000, 0]))
    hz = np.argmax(spectrum) * rate / 20000
    assert 7 / 64 * rate < hz < 9 / 64 * rate
    result = gate_file(tmp_path / name, tmp_path / "out.wav", GateSettings(threshold=0.01))
    assert (result.source.subtype, result.warnings) == ("MPEG_LAYER_I", ())
    gated, _ = sf.read(tmp_path / "out.wav", always_2d=True)
    assert not gated[100 * 384 : 110 * 384].any()
    assert np.abs(gated[:10000] - samples[:10000]).max() < 1e-6

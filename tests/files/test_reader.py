import os
import re
import shutil
from fractions import Fraction

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, OutputError, analyze_file, gate_file
from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.output_target import output_info
from noisegate_cli.files.reader import AudioReader, probe
from tests.conftest import GUITAR, loud_and_quiet, read, tone


def refused(path, words):
    """Assert that reading `path` fails in one line that quotes it, and leaves nothing behind."""
    there = sorted(path.parent.iterdir())
    with pytest.raises(AudioError, match=words) as caught:
        gate_file(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert sorted(path.parent.iterdir()) == there


def recovered(path, words, samples):
    """Assert that so much of `path` is gated, with one warning."""
    for threshold in ("auto", 0.03):
        result = gate_file(path, settings=GateSettings(threshold=threshold), force=True)
        assert result.source.samples == result.output.samples == samples
        (warning,) = result.warnings
        assert re.search(words, warning), warning
        assert sf.info(result.output.path).frames == samples
    assert analyze_file(path).warnings == result.warnings


def test_a_missing_file(tmp_path):
    refused(tmp_path / "no.wav", "doesn't exist")


def test_a_directory(tmp_path):
    refused(tmp_path, "is a directory: use ngate batch")


def test_no_bytes(tmp_path):
    (tmp_path / "in.wav").touch()
    refused(tmp_path / "in.wav", r"is empty \(0 bytes\)")


@pytest.mark.parametrize(
    "content", [b"x", b"hello, world\n" * 99, bytes(4096), b"fLaC" + b"q" * 99]
)
def test_what_is_no_recording(tmp_path, content):
    (tmp_path / "in.wav").write_bytes(content)
    refused(tmp_path / "in.wav", "is not a recording that can be read")


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("WAV", "wav"),
        ("RF64", "wav"),
        ("AIFF", "aiff"),
        ("W64", "w64"),
        ("AU", "au"),
    ],
)
def test_a_file_cut_short(tmp_path, kind, ending):
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    with sf.SoundFile(whole, "w", 16000, 1, "PCM_16", format=kind) as file:
        file.write(tone(4, 0.1))
    cut.write_bytes(whole.read_bytes()[:64000])
    samples = sf.info(cut).frames
    recovered(cut, r"cut short: it holds (1\.99|2\.00) s of 4\.0\d s, 2\.0\d s are miss", samples)


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_a_header_and_nothing_else(tmp_path, kind):
    whole, cut = tmp_path / "whole.wav", tmp_path / "cut.wav"
    with sf.SoundFile(whole, "w", 16000, 1, "PCM_16", format=kind) as file:
        file.write(tone(1, 0.1))
    cut.write_bytes(whole.read_bytes()[:-32000])
    whole.unlink()
    refused(cut, "is cut short: it holds nothing")


def test_a_compressed_file_cut_short(tmp_path):
    cut = tmp_path / "cut.flac"
    cut.write_bytes(GUITAR.read_bytes()[:150000])
    recovered(cut, r"damaged: it holds 1\.95 s of 5\.97 s, 4\.02 s are missing", 86016)
    assert np.array_equal(read(cut.with_name("cut_gated.flac")), read(GUITAR)[:86016])


def test_a_streamed_header_that_announces_no_length_is_no_cut(write):
    source = write(tone(1, 0.1))
    content = bytearray(source.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    source.write_bytes(content)
    assert gate_file(source).source.samples == 16000


def test_what_may_not_be_read(write):
    source = write(tone(1, 0.1))
    source.chmod(0)
    if os.access(source, os.R_OK):
        pytest.skip("root may read everything")
    refused(source, "can't be read: Permission denied")


def test_blocks_join_to_the_whole(write):
    y = np.tile(loud_and_quiet(), 50)
    with AudioReader(write(y)) as reader:
        blocks = [(block.copy(), last) for block, last in reader.blocks()]
    assert [last for _, last in blocks] == [False] * (len(blocks) - 1) + [True]
    assert len(blocks) > 2
    assert sum(len(block) for block, _ in blocks) == len(y)


@pytest.mark.parametrize(
    "name",
    ["-n.wav", "--help.wav", "ひと 🎙.wav", "new\nline.wav", "$(x);&|.wav", "%s%d.wav", "UPPER.WAV"],
)
def test_awkward_names(tmp_path, write, name):
    source = tmp_path / name
    shutil.copy(write(tone(1, 0.1)), source)
    output = gate_file(source).output.path
    assert output.name == name.replace(".", "_gated.")
    assert sf.info(os.fsencode(output)).frames == 16000


def test_a_name_that_is_no_text(tmp_path, write):
    source = tmp_path / os.fsdecode(b"latin1_\xe9.wav")
    try:
        shutil.copy(write(tone(1, 0.1)), source)
    except OSError:
        pytest.skip("this file system wants text")
    assert gate_file(source).source.samples == 16000


def test_a_name_too_long_is_an_error_in_one_line(write):
    source = write(tone(1, 0.1))
    with pytest.raises(OutputError, match="can't be written: File name too long"):
        gate_file(source, source.with_name("a" * 300 + ".wav"))


def test_a_recording_beyond_4_gib_is_written_as_rf64(tmp_path):
    long = AudioInfo(tmp_path / "in.w64", 48000, 2, 30 * 3600 * 48000, "W64", "PCM_16")
    assert output_info(long, tmp_path / "out.wav").format == "RF64"
    short = AudioInfo(tmp_path / "in.w64", 48000, 2, 3600 * 48000, "W64", "PCM_16")
    assert output_info(short, tmp_path / "out.wav").format == "WAV"


def test_a_format_that_cannot_hold_the_rate_says_so(write, tmp_path):
    with pytest.raises(OutputError, match=r"Opus only supports sample rates.*ends in \.wav"):
        gate_file(write(tone(1, 0.1, 44100), rate=44100), tmp_path / "out.opus")


def test_probe_tells_what_a_recording_is():
    info = probe(GUITAR)
    assert (info.sample_rate, info.channels, info.format) == (44100, 2, "FLAC")
    assert (info.subtype, info.dtype) == ("PCM_16", np.int16)
    assert info.duration == pytest.approx(5.97, abs=0.01)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_stream_without_its_end(tmp_path, subtype):
    whole, cut = tmp_path / "whole.ogg", tmp_path / "cut.ogg"
    with sf.SoundFile(whole, "w", 16000, 1, subtype, format="OGG") as file:
        file.write(np.random.default_rng(0).normal(0, 0.1, 160000))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    recovered(cut, r"its end is missing: it holds (4\.|3\.9)", sf.info(cut).frames)


def test_a_byte_of_padding_that_is_missing_is_no_cut(write):
    source = write(tone(1, 0.1))
    content = bytearray(source.read_bytes())
    content[40:44] = (32001).to_bytes(4, "little")
    source.write_bytes(content)
    assert gate_file(source).source.samples == 16000


def test_a_file_that_ends_before_the_length_it_announced(write, monkeypatch):
    source = write(tone(1, 0.1))
    real = sf.SoundFile.read
    monkeypatch.setattr(sf.SoundFile, "read", lambda self, out: real(self, out=out)[:8000])
    recovered(source, r"is cut short: it holds 0\.50 s of 1\.00 s, 0\.50 s are missing", 8000)


def test_a_flac_that_announces_no_length(tmp_path):
    source = tmp_path / "in.flac"
    content = bytearray(GUITAR.read_bytes())
    # The last 36 bits of the fields before the checksum count the samples.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    source.write_bytes(content)
    result = gate_file(source)
    assert result.warnings == ()
    assert result.output.samples == sf.info(GUITAR).frames


def test_what_is_no_file_on_a_disk(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "in.wav")
    refused(tmp_path / "in.wav", "is no file on a disk")


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_file_of_just_so_many_blocks(write, monkeypatch, blocks):
    monkeypatch.setattr("noisegate_cli.samples.BLOCK_BYTES", 16000)
    with AudioReader(write(tone(0.5 * blocks, 0.1))) as reader:
        lengths = [(len(block), last) for block, last in reader.blocks()]
    assert lengths == [(8000, False)] * blocks + [(0, True)]


@pytest.mark.parametrize("name", ["out.flac", "out.ogg", "out.w64"])
def test_a_byte_order_is_not_carried_to_formats_that_have_their_own(tmp_path, name):
    source = tmp_path / "in.aiff"
    with sf.SoundFile(source, "w", 16000, 1, "PCM_16", "LITTLE", "AIFF") as file:
        file.write(tone(1, 0.1))
    assert gate_file(source, tmp_path / name).output.samples == 16000


def write_film(path, container, late_s=0.0, cut=False):
    """Write two seconds of sound, and six of pictures, unless the file is cut."""
    import av

    with av.open(str(path), "w", format=container) as file:
        codec, layout = ("wmav2", "stereo") if container == "asf" else ("aac", "mono")
        codec = "libopus" if container == "webm" else codec
        video = file.add_stream("libvpx" if container == "webm" else "mpeg4", rate=10)
        if container == "flv":
            video = file.add_stream("flv1", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = file.add_stream(codec, rate=48000, layout=layout)
        audio.codec_context.bit_rate = 64000
        channels = audio.codec_context.layout.nb_channels
        sound_packets, video_packets = [], []
        for number in range(100):
            values = np.full((1, 960 * channels), 0.1, np.float32)
            frame = av.AudioFrame.from_ndarray(values, "flt", layout)
            frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
            frame.pts = round(48000 * late_s) + 960 * number
            sound_packets += audio.encode(frame)
        for _ in range(60):
            video_packets += video.encode(av.VideoFrame(64, 48, "yuv420p"))
        packets = sound_packets + audio.encode(None) + video_packets + video.encode(None)
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            file.mux(packet)
    return path


@pytest.mark.parametrize("container", ["matroska", "webm", "asf"])
@pytest.mark.parametrize("late_s", [0.0, 3.0])
def test_a_picture_that_is_longer_than_the_sound_is_no_cut(tmp_path, container, late_s):
    source = write_film(tmp_path / f"in.{container}", container, late_s)
    with AudioReader(source) as reader:
        samples = sum(len(block) for block, _ in reader.blocks())
        assert samples == pytest.approx(96000, abs=3000)
        assert reader.warnings == []
    if container == "asf":  # FFmpeg computes the length of a cut file from its size.
        return
    content = source.read_bytes()
    share = (late_s + 1) / 6
    source.write_bytes(content[: int(share * len(content))])
    with AudioReader(source) as reader:
        assert 0 < sum(len(block) for block, _ in reader.blocks()) < 90000
        assert len(reader.warnings) == 1
        assert "cut short" in reader.warnings[0]


def test_a_recording_after_one_of_unknown_length_is_left_out(write):
    source = write(tone(1, 0.1))
    content = source.read_bytes()
    streamed = bytearray(content)
    streamed[4:8] = streamed[40:44] = b"\xff" * 4
    source.write_bytes(bytes(streamed) + bytes(streamed) + content)
    result = gate_file(source)
    assert result.source.samples == 16000
    assert result.warnings == ("it holds a second recording of 2.00 s, which is left out",)

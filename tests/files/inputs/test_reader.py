import errno
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, OutputError, analyze_file, gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.inputs.reader import AudioReader, probe
from noisegate_cli.files.outputs.target import output_info
from tests.conftest import (
    GUITAR,
    drop_permission_override,
    loud_and_quiet,
    read,
    read_blocks,
    tone,
)
from tests.zoo import RATE, encode, sound


def expect_refused(path, message):
    """Assert that reading `path` fails with one line that quotes it, and leaves no files."""
    files_before = sorted(path.parent.iterdir())
    with pytest.raises(AudioError, match=message) as error:
        gate_file(path)
    text = str(error.value)
    assert path.name in text
    assert "\n" not in text
    assert sorted(path.parent.iterdir()) == files_before


def expect_recovered(path, message, samples):
    """Assert that `samples` samples of `path` are gated, with one warning."""
    for threshold in ("auto", 0.03):
        result = gate_file(path, settings=GateSettings(threshold=threshold), force=True)
        assert result.source.samples == result.output.samples == samples
        (warning,) = result.warnings
        assert re.search(message, warning), warning
        assert sf.info(result.output.path).frames == samples
    assert analyze_file(path).warnings == result.warnings


def test_a_missing_file_is_refused(tmp_path):
    expect_refused(tmp_path / "no.wav", "does not exist")


def test_a_directory_is_refused(tmp_path):
    expect_refused(tmp_path, "is a folder: use ngate batch")


def test_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "link.wav").symlink_to("gone.wav")
    expect_refused(tmp_path / "link.wav", "is a link to 'gone.wav', which does not exist")


def test_an_unreadable_folder_is_not_treated_as_a_readable_one(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AudioError, match="cannot be read: Permission denied"):
        probe(tmp_path)


@pytest.mark.parametrize("open_recording", [probe, analyze_file, gate_file])
def test_a_header_that_names_no_codec_is_refused(tmp_path, open_recording):
    path = tmp_path / "in.wav"
    sf.write(path, tone(0.1, 0.1), RATE, "PCM_16")
    header = bytearray(path.read_bytes())
    header[34:36] = bytes(2)  # bits per sample
    path.write_bytes(header)
    with pytest.raises(AudioError, match="is not a readable recording"):
        open_recording(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "in.wav").touch()
    expect_refused(tmp_path / "in.wav", r"is empty \(0 bytes\)")


@pytest.mark.parametrize(
    "content", [b"x", b"hello, world\n" * 99, bytes(4096), b"fLaC" + b"q" * 99]
)
def test_a_file_that_is_not_a_recording_is_refused(tmp_path, content):
    (tmp_path / "in.wav").write_bytes(content)
    expect_refused(tmp_path / "in.wav", "is not a readable recording")


@pytest.mark.parametrize(
    ("container", "extension"),
    [
        ("WAV", "wav"),
        ("RF64", "wav"),
        ("AIFF", "aiff"),
        ("W64", "w64"),
        ("AU", "au"),
    ],
)
def test_a_truncated_file_is_gated_with_a_warning(tmp_path, container, extension):
    whole, truncated = tmp_path / f"whole.{extension}", tmp_path / f"cut.{extension}"
    with sf.SoundFile(whole, "w", 16000, 1, "PCM_16", format=container) as file:
        file.write(tone(4, 0.1))
    truncated.write_bytes(whole.read_bytes()[:64000])
    samples = sf.info(truncated).frames
    expect_recovered(
        truncated, r"truncated: it contains (1\.99|2\.00) s of 4\.0\d s, 2\.0\d s are miss", samples
    )


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_a_header_without_samples_is_refused(tmp_path, container):
    whole, truncated = tmp_path / "whole.wav", tmp_path / "cut.wav"
    with sf.SoundFile(whole, "w", 16000, 1, "PCM_16", format=container) as file:
        file.write(tone(1, 0.1))
    truncated.write_bytes(whole.read_bytes()[:-32000])
    whole.unlink()
    expect_refused(truncated, "is truncated: it contains no audio")


def test_a_truncated_compressed_file_is_gated_with_a_warning(tmp_path):
    truncated = tmp_path / "cut.flac"
    truncated.write_bytes(GUITAR.read_bytes()[:150000])
    expect_recovered(
        truncated, r"damaged: it contains 1\.95 s of 5\.97 s, 4\.02 s are missing", 86016
    )
    assert np.array_equal(read(truncated.with_name("cut_gated.flac")), read(GUITAR)[:86016])


def test_a_header_without_a_length_causes_no_warning(write):
    source = write(tone(1, 0.1))
    content = bytearray(source.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    source.write_bytes(content)
    assert gate_file(source).source.samples == 16000


@pytest.mark.skipif(sys.platform != "linux", reason="takes a capability away from root")
def test_a_file_without_read_permission_is_refused(write):
    source = write(tone(1, 0.1))
    source.chmod(0)
    command = [sys.executable, "-m", "noisegate_cli", "gate", str(source)]
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=drop_permission_override, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"ngate: '{source}' cannot be read: Permission denied\n"
    assert list(source.parent.iterdir()) == [source]


@pytest.mark.parametrize(("codec", "stored"), [("pcm_s16le", "s16"), ("mp2", "s16")])
def test_a_damaged_index_of_an_avi_file_hides_no_samples(tmp_path, codec, stored):
    path = encode(tmp_path / "in.avi", sound(seconds=2.0), "avi", codec, stored, RATE)
    content = bytearray(path.read_bytes())

    def count_samples():
        with AudioReader(path) as reader:
            return sum(len(block) for block, _ in reader.blocks())

    whole = count_samples()
    index = content.index(b"idx1")
    content[index : index + 200] = b"x" * len(content[index : index + 200])
    path.write_bytes(content)
    assert count_samples() == whole >= 2 * RATE


@pytest.mark.skipif(sys.platform != "linux", reason="reads a file in /proc")
def test_a_file_that_cannot_be_searched_is_refused_by_name():
    with pytest.raises(AudioError, match="'/proc/self/maps' is not a readable recording"):
        probe(Path("/proc/self/maps"))


def test_blocks_contain_every_sample(write):
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
def test_files_with_unusual_names_are_gated(tmp_path, write, name):
    source = tmp_path / name
    shutil.copy(write(tone(1, 0.1)), source)
    output = gate_file(source).output.path
    assert output.name == name.replace(".", "_gated.")
    assert sf.info(os.fsencode(output)).frames == 16000


def test_a_name_that_is_not_valid_utf_8_is_accepted(tmp_path, write):
    source = tmp_path / os.fsdecode(b"latin1_\xe9.wav")
    try:
        shutil.copy(write(tone(1, 0.1)), source)
    except OSError:
        pytest.skip("this file system wants text")
    assert gate_file(source).source.samples == 16000


def test_a_name_too_long_is_an_error_in_one_line(write):
    source = write(tone(1, 0.1))
    with pytest.raises(OutputError, match="cannot be written: File name too long"):
        gate_file(source, source.with_name("a" * 300 + ".wav"))


def test_a_recording_above_4_gib_is_written_as_rf64(tmp_path):
    long_info = AudioInfo(tmp_path / "in.w64", 48000, 2, 30 * 3600 * 48000, "W64", "PCM_16")
    assert output_info(long_info, tmp_path / "out.wav").format == "RF64"
    short_info = AudioInfo(tmp_path / "in.w64", 48000, 2, 3600 * 48000, "W64", "PCM_16")
    assert output_info(short_info, tmp_path / "out.wav").format == "WAV"


def test_an_unsupported_sample_rate_is_refused_with_a_hint(write, tmp_path):
    with pytest.raises(OutputError, match=r"Opus only supports sample rates.*ends in \.wav"):
        gate_file(write(tone(1, 0.1, 44100), rate=44100), tmp_path / "out.opus")


def test_probe_returns_the_properties_of_a_recording():
    info = probe(GUITAR)
    assert (info.sample_rate, info.channels, info.format) == (44100, 2, "FLAC")
    assert (info.subtype, info.dtype) == ("PCM_16", np.int16)
    assert info.duration == pytest.approx(5.97, abs=0.01)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_truncated_ogg_file_is_gated_with_a_warning(tmp_path, subtype):
    whole, truncated = tmp_path / "whole.ogg", tmp_path / "cut.ogg"
    with sf.SoundFile(whole, "w", 16000, 1, subtype, format="OGG") as file:
        file.write(np.random.default_rng(0).normal(0, 0.1, 160000))
    truncated.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    expect_recovered(
        truncated, r"its end is missing: it contains (4\.|3\.9)", sf.info(truncated).frames
    )


def test_a_missing_padding_byte_causes_no_warning(write):
    source = write(tone(1, 0.1))
    content = bytearray(source.read_bytes())
    content[40:44] = (32001).to_bytes(4, "little")
    source.write_bytes(content)
    assert gate_file(source).source.samples == 16000


def test_a_file_shorter_than_its_declared_length_is_gated_with_a_warning(write, monkeypatch):
    source = write(tone(1, 0.1))
    read = sf.SoundFile.read
    monkeypatch.setattr(sf.SoundFile, "read", lambda self, out: read(self, out=out)[:8000])
    expect_recovered(
        source, r"is truncated: it contains 0\.50 s of 1\.00 s, 0\.50 s are missing", 8000
    )


def test_a_flac_without_a_declared_length_is_read_completely(tmp_path):
    source = tmp_path / "in.flac"
    content = bytearray(GUITAR.read_bytes())
    # The last 36 bits of the fields before the checksum count the samples.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    source.write_bytes(content)
    result = gate_file(source)
    assert result.warnings == ()
    assert result.output.samples == sf.info(GUITAR).frames


def test_a_named_pipe_as_input_is_refused(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "in.wav")
    expect_refused(tmp_path / "in.wav", "is not a regular file")


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_file_of_whole_blocks_ends_with_an_empty_block(write, monkeypatch, blocks):
    monkeypatch.setattr("noisegate_cli.samples.BLOCK_BYTES", 16000)
    with AudioReader(write(tone(0.5 * blocks, 0.1))) as reader:
        lengths = [(len(block), last) for block, last in reader.blocks()]
    assert lengths == [(8000, False)] * blocks + [(0, True)]


def test_a_short_recording_is_read_once_for_both_passes(write, monkeypatch):
    monkeypatch.delattr(AudioReader, "reopen")
    y = loud_and_quiet()
    result = gate_file(write(y))
    assert result.output.samples == len(y)
    assert 0 < result.statistics.closed_share < 1


@pytest.mark.parametrize("seconds", [0.25, 0.5])
def test_samples_that_were_read_ahead_are_read_again(write, monkeypatch, seconds):
    monkeypatch.setattr("noisegate_cli.samples.BLOCK_BYTES", 12000)
    path = write(tone(seconds, 0.1))
    with AudioReader(path) as reader:
        # The length may be an estimate, so that more than one block follows.
        reader.info = replace(reader.info, samples=4000)
        ahead = reader.read_ahead()
        assert (ahead is not None) == (seconds == 0.25)
        assert np.array_equal(read_blocks(reader), read(path))


def test_a_recording_that_was_read_is_not_read_ahead(write):
    with AudioReader(write(tone(0.25, 0.1))) as reader:
        assert sum(len(block) for block, _ in reader.blocks()) == 4000
        assert reader.read_ahead() is None


@pytest.mark.parametrize("name", ["out.flac", "out.ogg", "out.w64"])
def test_the_byte_order_is_not_copied_to_formats_with_a_fixed_byte_order(tmp_path, name):
    source = tmp_path / "in.aiff"
    with sf.SoundFile(source, "w", 16000, 1, "PCM_16", "LITTLE", "AIFF") as file:
        file.write(tone(1, 0.1))
    assert gate_file(source, tmp_path / name).output.samples == 16000


def write_film(path, container, late_s=0.0, codec="aac"):
    """Write two seconds of sound, and six of pictures."""
    import av

    with av.open(str(path), "w", format=container) as file:
        codec, layout = ("wmav2", "stereo") if container == "asf" else (codec, "mono")
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
        picture = np.zeros((72, 64), np.uint8)
        for _ in range(60):
            video_packets += video.encode(av.VideoFrame.from_ndarray(picture, "yuv420p"))
        packets = sound_packets + audio.encode(None) + video_packets + video.encode(None)
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            file.mux(packet)
    return path


@pytest.mark.parametrize(
    ("container", "codec"),
    [*[(name, "aac") for name in ("matroska", "webm", "asf", "avi")], ("avi", "pcm_s16le")],
)
@pytest.mark.parametrize("late_s", [0.0, 3.0])
def test_a_video_that_is_longer_than_its_audio_is_not_truncated(tmp_path, container, codec, late_s):
    source = write_film(tmp_path / f"in.{container}", container, late_s, codec)
    with AudioReader(source) as reader:
        samples = sum(len(block) for block, _ in reader.blocks())
        assert samples == pytest.approx(96000, abs=3000)
        assert reader.warnings == []
    if container == "asf":  # FFmpeg computes the length of a cut file from its size.
        return
    content = source.read_bytes()
    start = content.index(b"movi") if container == "avi" else 0  # after a long header
    share = (late_s + 1) / 6
    source.write_bytes(content[: start + int(share * (len(content) - start))])
    with AudioReader(source) as reader:
        assert 0 < sum(len(block) for block, _ in reader.blocks()) < 90000
        assert len(reader.warnings) == 1
        assert "truncated" in reader.warnings[0]


@pytest.mark.parametrize("name", ["in.wav", "in.m4a"])
def test_an_error_of_the_disk_makes_the_recording_fail(tmp_path, monkeypatch, name):
    path = tmp_path / name
    if name == "in.wav":
        sf.write(path, sound(), RATE)
    else:
        encode(path, sound(), "ipod", "aac", "fltp", RATE)
    with AudioReader(path) as reader:
        reader._decoder.declared_length += RATE  # as if the library had stopped early

        def fail(*_arguments, **_options):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(Path, "open", fail)
        with pytest.raises(AudioError, match="cannot be read: Input/output error"):
            list(reader.blocks())

"""Outputs that are too large for their container are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, gate_file
from noisegate_cli.files import formats
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import FORMATS
from noisegate_cli.files.outputs.size_limits import check_size, max_samples
from noisegate_cli.files.outputs.target import default_output_path, output_info
from noisegate_cli.files.outputs.writer import open_writer
from noisegate_cli.files.raw_format import RawFormat
from tests.conftest import Writer

AT_003 = GateSettings(threshold=0.03)
HOURS_30 = 30 * 3600 * 48000
LIMITED = [
    file_format.name
    for file_format in FORMATS.values()
    if file_format.max_bytes or file_format.max_samples
]


@pytest.mark.parametrize("extension", ["aiff", "voc", "w64", "rf64", "caf", "au", "sph", "flac"])
def test_a_long_recording_is_refused_by_containers_with_32_bit_sizes(tmp_path, extension):
    info = AudioInfo(tmp_path / "in.w64", 48000, 2, HOURS_30, "W64", "PCM_16")
    if extension in ("aiff", "voc"):
        message = (
            rf"out\.{extension}' cannot store this recording: .* is limited to .*ends in \.wav"
        )
        with pytest.raises(OutputError, match=message):
            output_info(info, tmp_path / f"out.{extension}")
    else:
        assert output_info(info, tmp_path / f"out.{extension}").samples == HOURS_30


def test_a_default_output_has_a_container_that_is_large_enough(tmp_path):
    info = AudioInfo(tmp_path / "in.voc", 48000, 2, HOURS_30, "VOC", "PCM_16")
    path = default_output_path(info)
    assert (path.name, output_info(info, path).format) == ("in_gated.wav", "RF64")


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW"])
def test_a_long_big_endian_wav_file_becomes_little_endian_rf64(tmp_path, subtype):
    samples = HOURS_30 * 2
    info = AudioInfo(tmp_path / "in.wav", 48000, 2, samples, "WAV", subtype, endian="BIG")
    output = output_info(info, tmp_path / "out.wav")
    assert (output.format, output.endian) == ("RF64", "FILE")


def test_the_size_limit_of_voc_is_exact(tmp_path):
    limit = int(max_samples(AudioInfo(tmp_path, 48000, 1, 0, "VOC", "PCM_16")))
    block = np.zeros((limit, 1), np.int16)
    info = AudioInfo(tmp_path / "out.voc", 48000, 1, 0, "VOC", "PCM_16")
    with open_writer(info) as writer:
        writer.write(block)
    content = info.path.read_bytes()
    start = int.from_bytes(content[20:22], "little")
    assert int.from_bytes(content[start + 1 : start + 4], "little") == 2 * limit + 12
    with (
        pytest.raises(OutputError, match="ends in .wav"),
        open_writer(info, force=True) as writer,
    ):
        writer.write(np.concatenate([block, block[:1]]))
    assert info.path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [info.path]


@pytest.mark.parametrize("container", LIMITED)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_maximum_size_is_accepted_and_one_more_sample_is_refused(container, channels):
    info = AudioInfo(Path("out"), 48000, channels, 0, container, "PCM_16", endian="BIG")
    limit = int(max_samples(info))
    assert limit > 0
    check_size(info, limit)
    with pytest.raises(OutputError, match="use output= with a name that ends in"):
        check_size(info, limit + 1)


def test_libsndfile_reads_back_the_largest_sds_file(tmp_path):
    info = AudioInfo(tmp_path / "out.sds", 48000, 1, 0, "SDS", "PCM_16")
    with open_writer(info) as writer:
        writer.write(np.zeros((FORMATS["SDS"].max_samples, 1), np.int16))
    assert sf.info(info.path).frames == FORMATS["SDS"].max_samples


def test_a_stream_is_refused_at_the_limit_and_leaves_nothing(tmp_path, monkeypatch, write: Writer):
    small = FORMATS["AIFF"]._replace(max_bytes=40000)
    monkeypatch.setitem(formats.FORMATS, "AIFF", small)
    source = write(np.zeros(30000))
    with pytest.raises(OutputError, match=r"AIFF is limited to 1\.25 s"):
        gate_file(source, tmp_path / "out.aiff", AT_003)
    raw = tmp_path / "in.raw"
    raw.write_bytes(bytes(60000))
    with pytest.raises(OutputError, match="ends in .wav"):
        gate_file(raw, tmp_path / "out.aiff", AT_003, raw=RawFormat.parse("16000:1:s16"))
    assert not (tmp_path / "out.aiff").exists()


def test_a_pipe_that_is_too_long_for_voc_is_refused_in_one_line(tmp_path):
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "--raw", "48000:1:s16"]
    out = tmp_path / "out.voc"
    process = subprocess.run(
        [*command, "-t", "0.03", "-o", str(out)],
        input=bytes(17 << 20),
        capture_output=True,
        check=False,
    )
    assert (process.returncode, process.stderr.count(b"\n")) == (1, 1)
    assert b"VOC is limited to 2:55 min: use -o with a name that ends in .wav" in process.stderr
    assert list(tmp_path.iterdir()) == []


COMPRESSED = [
    ("WAV", "IMA_ADPCM", 1),
    ("WAV", "IMA_ADPCM", 2),
    ("WAV", "MS_ADPCM", 1),
    ("WAV", "MS_ADPCM", 2),
    ("WAV", "GSM610", 1),
    ("WAV", "NMS_ADPCM_32", 1),
    ("AIFF", "IMA_ADPCM", 1),
    ("AIFF", "IMA_ADPCM", 2),
    ("AIFF", "GSM610", 1),
]


@pytest.mark.parametrize(("container", "subtype", "channels"), COMPRESSED)
def test_the_limit_of_a_compressed_output_agrees_with_its_size(
    tmp_path, container, subtype, channels
):
    info = AudioInfo(tmp_path / "out", 48000, channels, 0, container, subtype, endian="FILE")
    length = 640000
    noise = np.random.default_rng(0).choice([-0.9, 0.9], (length, channels)).astype(np.float32)
    with open_writer(info) as writer:
        writer.write(noise)
    expected = FORMATS[container].max_bytes / (info.path.stat().st_size / length)
    assert 0.35 * expected < max_samples(info) < 1.01 * expected

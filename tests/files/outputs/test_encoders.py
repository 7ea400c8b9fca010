"""What an encoder writes is decoded by another program, to the last sample."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.inputs.reader import open_reader
from noisegate_cli.files.outputs.target import output_info
from noisegate_cli.files.outputs.writer import open_writer
from tests.benchmarks.read_back import CONTAINERS, Case, check_case, make_cases
from tests.conftest import Writer, tone

SHORT = [
    *[
        Case("M4A", f"ALAC_{bits}", channels, 48000, samples)
        for bits in (16, 24)
        for channels in (3, 6)
        for samples in (1, 2, 4097, 4098)
    ],
    *[Case("TTA", "PCM_16", 1, *numbers) for numbers in ((48000, 1), (48000, 50156), (2, 3))],
]
"""Recordings with a last frame for which FFmpeg's encoder ends the process."""


@pytest.mark.parametrize("case", SHORT)
def test_a_last_frame_of_few_samples_is_encoded_exactly(tmp_path, case):
    assert check_case(case, tmp_path) == "exact"


@pytest.mark.parametrize("container", CONTAINERS)
def test_another_program_decodes_every_sample(tmp_path, container):
    cases = list(make_cases(container))
    for index in np.random.default_rng(0).choice(len(cases), 6, replace=False):
        check_case(cases[index], tmp_path)


@pytest.mark.parametrize(
    ("ending", "rate", "reason"),
    [
        ("ogg", 200001, "Vorbis is limited to 200000 Hz"),
        ("ogg", 384000, "Vorbis is limited to 200000 Hz"),
        ("flac", 200001, "problem with initialization of the flac decoder"),
        ("svx", 96000, "its sample rate would become 30464 Hz"),
        ("htk", 44100, "its sample rate would become 44247 Hz"),
    ],
)
def test_a_sample_rate_that_the_encoder_does_not_support_is_refused(ending, rate, reason):
    kind = ending.upper() if ending in ("svx", "htk") else "WAV"
    source = AudioInfo(Path(f"in.{ending}"), rate, 1, 100, kind, "PCM_16")
    with pytest.raises(OutputError, match=f"cannot store this recording .{reason}"):
        output_info(source, Path(f"out.{ending}"))


def test_a_sample_type_that_would_change_the_sample_rate_is_not_used():
    """VOC stores the rate of 8-bit samples as a period in microseconds."""
    source = AudioInfo(Path("in.voc"), 48000, 1, 100, "VOC", "PCM_U8")
    assert output_info(source, Path("out.voc")).subtype == "PCM_16"
    assert output_info(replace(source, sample_rate=8000), Path("out.voc")).subtype == "PCM_U8"


def test_tta_with_frames_of_one_sample_has_24_bits():
    source = AudioInfo(Path("in.wav"), 1, 1, 100, "WAV", "PCM_16")
    assert output_info(source, Path("out.tta")).subtype == "PCM_24"
    assert output_info(source, Path("out.wv")).subtype == "PCM_16"


def test_the_highest_sample_rate_of_vorbis_is_accepted(tmp_path):
    assert check_case(Case("OGG", "VORBIS", 1, 200000, 5000), tmp_path) == "lossy"


def test_a_format_of_two_files_is_refused_without_writing_any(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = AudioInfo(Path("in.sd2"), 48000, 1, 100, "SD2", "PCM_16")
    with pytest.raises(OutputError, match="an SD2 file consists of two files"):
        output_info(source, Path("out.sd2"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", [16, 24])
def test_alac_in_caf_becomes_pcm_since_its_encoder_can_lose_samples(tmp_path, bits):
    source, out = tmp_path / "in.caf", tmp_path / "out.caf"
    sf.write(source, tone(0.5, 0.2), 16000, f"ALAC_{bits}", format="CAF")
    gate_file(source, out, GateSettings(threshold=0.03, range_db=0.0))
    assert sf.info(out).subtype == f"PCM_{bits}"
    assert np.array_equal(sf.read(out)[0], sf.read(source)[0])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of this kind")
@pytest.mark.parametrize("extension", WRITABLE_EXTENSIONS)
def test_outputs_of_a_private_recording_are_private(tmp_path, write: Writer, extension):
    source = write(tone(0.5, 0.2))
    source.chmod(0o600)
    out, residue = tmp_path / f"out{extension}", tmp_path / f"residue{extension}"
    for force in (False, True):
        gate_file(source, out, GateSettings(threshold=0.03), residue=residue, force=force)
        assert [path.stat().st_mode & 0o777 for path in (out, residue)] == [0o600, 0o600]
        out.chmod(0o644)
        residue.chmod(0o644)


def test_every_writable_container_is_read_back():
    assert {*CONTAINERS, "RAW"} == set(WRITABLE_EXTENSIONS.values())


@pytest.mark.parametrize("ending", ["mp3", "ogg", "opus", "m4a"])
@pytest.mark.parametrize("scale", [1e6, 1e30])
def test_a_lossy_output_of_samples_far_above_full_scale_is_limited(write, tmp_path, ending, scale):
    """LAME ends the process for such samples."""
    source = write(scale * tone(1, 0.3), subtype="FLOAT")
    result = gate_file(source, tmp_path / f"out.{ending}", GateSettings(threshold=0.1))
    assert "samples above full scale are clipped" in " ".join(result.warnings)
    assert result.output.samples == 16000


@pytest.mark.parametrize(
    ("ending", "name", "limit"),
    [("ogg", "Vorbis", 255), ("flac", "FLAC", 8), ("tta", "TTA", 16), ("wv", "WavPack", 64)],
)
def test_more_channels_than_an_encoder_supports_are_refused(tmp_path, ending, name, limit):
    """Without the limit, libsndfile ends the process, and FFmpeg's message names no cause."""
    source = AudioInfo(Path("in.wav"), 16000, limit, 100, "WAV", "PCM_16")
    out = tmp_path / f"out.{ending}"
    with open_writer(output_info(source, out)) as writer:
        writer.write(np.zeros((20000, limit), np.int16))
    with open_reader(out) as reader:
        assert sum(len(block) for block, _ in reader.blocks()) == 20000
    for channels in (limit + 1, 1024):
        with pytest.raises(OutputError, match=f"{name} is limited to {limit} channels"):
            output_info(replace(source, channels=channels), out)

"""WAV files: reading and writing of chunks, formats and codecs."""

import struct
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.containers.chunks import build_chunk
from noisegate_cli.files.containers.riff import (
    AMBISONIC_GUID_TAIL,
    SUBFORMAT_GUID_TAIL,
    read_layout,
)
from noisegate_cli.files.pcm import encode_pcm
from tests.conftest import loud_and_quiet, read
from tests.zoo import RATE, encode, sound, write_with_chunks

AT_003 = GateSettings(threshold=0.03)


@pytest.mark.parametrize("second", ["WAV", "RF64", "RIFX", "odd", "chunks"])
def test_a_second_file_after_the_first_is_gated_and_its_chunks_are_not_copied(
    write, tmp_path, second
):
    single = write(loud_and_quiet())
    first = single.read_bytes()
    other = tmp_path / "other.wav"
    if second == "chunks":
        write_with_chunks(other, sound())
    else:
        container = "RF64" if second == "RF64" else "WAV"
        endian = "BIG" if second == "RIFX" else "FILE"
        with sf.SoundFile(other, "w", RATE, 1, "PCM_16", endian, container) as file:
            file.write(sound())
    if second == "odd":
        first += build_chunk(b"odd ", b"abc")[:-1]
    source = tmp_path / "both.wav"
    source.write_bytes(first + other.read_bytes() * 2)
    result = gate_file(source, tmp_path / "out.wav", AT_003)
    whole = write(np.concatenate([sf.read(single)[0], np.tile(sf.read(other)[0], 2)]), "whole.wav")
    assert (result.warnings, result.source.samples) == ((), sf.info(whole).frames)
    gate_file(whole, tmp_path / "alone.wav", AT_003)
    assert np.array_equal(read(result.output.path), read(tmp_path / "alone.wav"))
    ids = [chunk.id for chunk in read_layout(result.output.path).chunks]
    assert ids == [b"fmt ", b"data"] + [b"odd "] * (second == "odd")


@pytest.mark.parametrize("after", [b"", build_chunk(b"odd ", b"abc")])
def test_a_second_stream_after_the_first_is_reported(write, after):
    content = write(loud_and_quiet()).read_bytes() + after
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-o", "-"]
    for stream, warns in ((content, False), (content * 2, True)):
        process = subprocess.run(command, input=stream, capture_output=True, check=True)
        assert (b"contains a second recording, which is ignored" in process.stderr) == warns
        assert len(process.stdout) == len(content) - len(after)


def test_a_second_au_file_in_a_pipe_is_reported(tmp_path):
    sf.write(tmp_path / "in.au", sound(), RATE)
    content = (tmp_path / "in.au").read_bytes()
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-o", "-"]
    for stream, warns in ((content, False), (content * 2, True)):
        process = subprocess.run(command, input=stream, capture_output=True, check=True)
        assert (b"contains a second recording, which is ignored" in process.stderr) == warns
        assert len(process.stdout) == len(content)


def write_with_format(path, y, bits, valid_bits, mask, tail=SUBFORMAT_GUID_TAIL, name=b"RIFF"):
    """Write integers of `bits` bits, shaped (samples, channels), with an extensible format."""
    channels, width = y.shape[1], bits // 8
    order = ">" if name == b"RIFX" else "<"
    head = (0xFFFE, channels, RATE, RATE * channels * width, channels * width, bits)
    fmt = struct.pack(order + "HHIIHHHHIH", *head, 22, valid_bits, mask, 1) + tail
    data = encode_pcm(y, f"PCM_{bits}", order == ">").tobytes()
    parts = build_chunk(b"fmt ", fmt, order) + build_chunk(b"data", data, order)
    path.write_bytes(build_chunk(name, b"WAVE" + parts, order))
    return path


@pytest.mark.parametrize(("bits", "valid_bits"), [(24, 20), (32, 24), (16, 12), (16, 16), (24, 0)])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_invalid_bits_stay_zero_and_valid_bits_are_declared(
    tmp_path, bits, valid_bits, is_streamed
):
    used_bits = valid_bits or bits
    step = 1 << ((32 if bits > 16 else 16) - used_bits)
    dtype = np.int32 if bits > 16 else np.int16
    y = (np.rint(sound()[:, None] * 2.0 ** (used_bits - 1)).astype(np.int64) * step).astype(dtype)
    source = write_with_format(tmp_path / "in.wav", y, bits, valid_bits, 4)
    out = tmp_path / "out.wav"
    if is_streamed:
        command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-o", "-"]
        out.write_bytes(subprocess.check_output([*command, "-q"], input=source.read_bytes()))
    else:
        gate_file(source, out, AT_003)
    assert not np.any(read(out, y.dtype.name) % step)
    fmt = read_layout(out).fmt
    assert (fmt.bits, fmt.valid_bits or bits) == (bits, used_bits)


def test_samples_with_24_valid_bits_are_lossless_in_flac(tmp_path):
    y = np.rint(sound()[:, None] * 2**23).astype(np.int32) << 8
    source = write_with_format(tmp_path / "in.wav", y, 32, 24, 4)
    result = gate_file(source, tmp_path / "out.flac", GateSettings(threshold=0.03, range_db=0.0))
    assert result.output.subtype == "PCM_24"
    assert np.array_equal(read(result.output.path, "int32"), y)


@pytest.mark.parametrize("extension", ["wav", "flac", "opus", "ogg"])
@pytest.mark.parametrize(
    ("channels", "mask"), [(3, 0x7), (4, 0x33), (5, 0x37), (6, 0x3F), (7, 0x70F), (8, 0x63F)]
)
def test_speaker_positions_are_written_to_a_wav_file(tmp_path, extension, channels, mask):
    y = np.tile(np.rint(sound()[:4000, None] * 2**15).astype(np.int16), (1, channels))
    source = write_with_format(tmp_path / "in.wav", y, 16, 16, mask)
    intermediate, out = tmp_path / f"coded.{extension}", tmp_path / "out.wav"
    gate_file(source, intermediate, AT_003)
    gate_file(intermediate, out, AT_003)
    assert read_layout(out).fmt.channel_mask == mask


def test_speaker_positions_in_a_comment_are_written_to_a_wav_file(tmp_path):
    y = np.tile(np.rint(sound()[:4000, None] * 2**15).astype(np.int16), (1, 6))
    source = write_with_format(tmp_path / "in.wav", y, 16, 16, 0x60F)
    gate_file(source, tmp_path / "side.flac", AT_003)
    gate_file(tmp_path / "side.flac", tmp_path / "out.wav", AT_003)
    assert read_layout(tmp_path / "out.wav").fmt.channel_mask == 0x60F


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_ambisonic_recording_stays_ambisonic(tmp_path, is_streamed):
    y = np.tile(np.rint(sound()[:, None] * 2**15).astype(np.int16), (1, 4))
    source = write_with_format(tmp_path / "in.wav", y, 16, 16, 0, AMBISONIC_GUID_TAIL)
    out = tmp_path / "out.wav"
    if is_streamed:
        command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-o", "-"]
        out.write_bytes(subprocess.check_output([*command, "-q"], input=source.read_bytes()))
    else:
        gate_file(source, out, AT_003)
    fmt = read_layout(out).fmt
    assert (fmt.is_ambisonic, fmt.channel_mask, sf.info(out).frames) == (True, 0, RATE)


@pytest.mark.parametrize(
    ("codec", "sample_format"),
    [
        ("adpcm_yamaha", "s16"),
        ("adpcm_swf", "s16"),
        ("flac", "s16"),
        ("libmp3lame", "fltp"),
        ("wmav2", "fltp"),
        ("mp2", "s16"),
    ],
)
def test_codecs_in_wav_are_read_completely_without_a_warning(tmp_path, codec, sample_format):
    y = sound(44100, 3)
    source = encode(tmp_path / "in.wav", y, "wav", codec, sample_format, 44100)
    result = gate_file(source, tmp_path / "out.flac", AT_003)
    assert result.warnings == ()
    # A block is padded with silence, and a decoder may not return its last block.
    assert result.source.samples == pytest.approx(len(y), abs=4096)


@pytest.mark.parametrize("has_length", [False, True])
def test_mp3_with_a_variable_bit_rate_in_wav_is_read_completely(tmp_path, has_length):
    # The first frames are silent and have a low bit rate, which would give a wrong estimate.
    y = np.concatenate([np.zeros(44100), sound(44100, 5), np.zeros(44100), sound(44100, 5)])
    source = tmp_path / "in.wav"
    with av.open(str(source), "w", format="wav") as file:
        stream = file.add_stream("libmp3lame", rate=44100, layout="mono", options={"q": "9"})
        stream.codec_context.options = {"compression_level": "5"}
        stream.codec_context.flags |= av.codec.context.Flags.qscale
        frame = av.AudioFrame.from_ndarray(y.astype("f4")[None, :], "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, 0
        if has_length:
            frame.time_base = Fraction(1, 44100)
        file.mux([*stream.encode(frame), *stream.encode(None)])
    result = gate_file(source, tmp_path / "out.flac", AT_003)
    assert result.warnings == ()
    assert result.source.samples == pytest.approx(len(y), abs=4096)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    assert "truncated" in gate_file(source, tmp_path / "half.flac", AT_003).warnings[0]

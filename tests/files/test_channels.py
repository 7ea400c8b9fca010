"""Recordings of many channels are decoded, in the usual order of the channels."""

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from noisegate_cli import AudioError, GateSettings, gate_file
from noisegate_cli.files.containers.ogg import CHECKSUM, compute_checksum, read_pages
from noisegate_cli.files.containers.opus import ambisonic_layout
from noisegate_cli.files.inputs.reader import AudioReader
from tests.conftest import read_blocks
from tests.zoo import encode

MULTICHANNEL = {
    "aac.mka": ("matroska", "aac", "fltp", 8),
    "aac.m4a": ("ipod", "aac", "fltp", 8),
    "opus.mka": ("matroska", "libopus", "flt", 8),
    "wavpack.mka": ("matroska", "wavpack", "s16p", 16),
    "float.wv": ("wv", "wavpack", "fltp", 16),
    "flac.mka": ("matroska", "flac", "s16", 8),
    "tta.tta": ("tta", "tta", "s16", 16),
    "alac.m4a": ("ipod", "alac", "s16p", 6),
    "pcm.mov": ("mov", "pcm_s16le", "s16", 16),
    "pcm24.mov": ("mov", "pcm_s24le", "s32", 16),
}
"""Names, and FFmpeg's container, codec and type of samples, and the maximum number of channels."""

PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from noisegate_cli.files.inputs.reader import AudioReader
for name in sys.argv[1:]:
    with AudioReader(Path(name)) as reader:
        y = np.concatenate([block.astype(float) for block, _ in reader.blocks()])
        print(len(y), *np.argmax(np.abs(np.fft.rfft(y[:16000], axis=0)), axis=0))
"""


@pytest.mark.parametrize("name", MULTICHANNEL)
def test_files_of_many_channels_are_decoded(tmp_path, name):
    container, codec, kind, most = MULTICHANNEL[name]
    rate, paths = 48000, []
    t = np.arange(rate // 2) / rate
    for channels in range(1, most + 1):
        paths.append(tmp_path / f"{channels}.{name}")
        hz = 300 + 60 * np.arange(channels)
        y = 0.1 * np.sin(2 * np.pi * hz * t[:, None])
        encode(paths[-1], y, container, codec, kind, rate)
    # A process of its own, because a fault would end it.
    command = [sys.executable, "-c", PROGRAM, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    for channels, line in enumerate(done.stdout.splitlines(), 1):
        length, *peaks = map(int, line.split())
        assert abs(length - rate // 2) < 2048
        expected = [100 + 20 * i for i in range(channels)]
        assert len(peaks) == channels
        if codec == "libopus" and channels > 4:  # FFmpeg's encoder changes the order.
            continue
        for channel, (found, wanted) in enumerate(zip(peaks, expected, strict=True)):
            is_low_frequency = channel == 3 and channels >= 6 and codec in ("aac", "libopus")
            assert abs(found - wanted) <= 1 or is_low_frequency, (channels, peaks)


def test_a_mov_file_with_its_own_channel_order_is_read_in_the_usual_order(tmp_path):
    rate, path = 48000, tmp_path / "in.mov"
    t = np.arange(rate) / rate
    y = 0.1 * np.sin(2 * np.pi * (300 + 60 * np.arange(7)) * t[:, None])
    encode(path, y, "mov", "pcm_s16le", "s16", rate)
    content = bytearray(path.read_bytes())
    tag = content.index(b"chan") + 8
    content[tag : tag + 12] = (125 << 16 | 7).to_bytes(4, "big") + bytes(8)  # L R C LFE Ls Rs Cs
    path.write_bytes(content)
    program = PROGRAM + "        print(hex(reader.info.channel_mask))"
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    peaks, mask = done.stdout.splitlines()
    assert mask == hex(0b0111_0000_1111)  # FL FR FC LFE BC SL SR
    assert [int(peak) for peak in peaks.split()[1:]] == [100, 120, 140, 160, 220, 180, 200]


def write_opus(path, y, family):
    channels = y.shape[1]
    layout = {2: "stereo", 6: "5.1"}.get(channels) if family < 2 else f"{channels} channels"
    if family == 2:
        layout = ambisonic_layout(channels)
    options = {"mapping_family": str(family), "b": str(96000 * channels)}
    with av.open(str(path), "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=48000, layout=layout, options=options)
        stream.codec_context.format = av.AudioFormat("flt")
        packed = y.astype(np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def make_noise(channels):
    """Return noise with a level of its own in each channel, and the levels."""
    levels = 0.02 * np.arange(1, channels + 1)
    return np.random.default_rng(0).normal(0, 1, (48000, channels)) * levels, levels


def read_whole(path):
    with AudioReader(path) as reader:
        return read_blocks(reader), reader.info


@pytest.mark.parametrize(("family", "channels"), [(0, 2), (1, 6), (2, 4), (255, 5), (255, 6)])
def test_the_channels_of_opus_keep_their_order_in_each_mapping_family(tmp_path, family, channels):
    path = tmp_path / "in.opus"
    y, levels = make_noise(channels)
    write_opus(path, y, family)
    samples, info = read_whole(path)
    assert info.channel_mask == (0x3F if family == 1 else 0)
    loud = [channel for channel in range(channels) if (family, channel) != (1, 3)]
    assert samples.std(axis=0)[loud] == pytest.approx(levels[loud], rel=0.15)


@pytest.mark.parametrize("ending", ["opus", "mka"])
@pytest.mark.parametrize(("family", "channels"), [(2, 4), (2, 6), (2, 9), (255, 6)])
def test_channels_without_positions_keep_their_family_and_are_not_filtered(
    tmp_path, family, channels, ending
):
    y, levels = make_noise(channels)
    y[24000:] *= 1e-4  # so that the file is gated, and not copied
    write_opus(tmp_path / "in.opus", y, family)
    out = tmp_path / f"out.{ending}"
    result = gate_file(tmp_path / "in.opus", out, GateSettings(threshold=0.01))
    assert (result.output.subtype, result.warnings) == ("OPUS", ())
    samples, info = read_whole(out)
    assert (info.opus_mapping_family, info.channel_mask, len(samples)) == (family, 0, len(y))
    assert samples[2000:22000].std(axis=0) == pytest.approx(levels, rel=0.15)
    assert np.abs(samples[40000:]).max() < 1e-3


def test_another_format_cannot_declare_ambisonic_channels(tmp_path):
    write_opus(tmp_path / "in.opus", make_noise(4)[0], 2)
    result = gate_file(tmp_path / "in.opus", tmp_path / "out.wav", GateSettings(threshold=0.01))
    assert result.warnings == ("its channels are ambisonic: WAV cannot declare that",)
    assert result.output.channel_mask == 0


def test_ambisonic_channels_by_projection_are_refused_in_one_line(tmp_path):
    path = tmp_path / "in.opus"
    write_opus(path, make_noise(4)[0], 2)
    with path.open("rb") as file:
        pages = [page for _, page in read_pages(file)]
    header = pages[0][28:]
    matrix = (32767 * np.eye(4)).astype("<i2").tobytes()
    header = header[:18] + bytes([3]) + header[19:21] + matrix  # RFC 8486, 3.2
    pages[0][CHECKSUM] = bytes(4)
    pages[0] = pages[0][:26] + bytes([1, len(header)]) + header
    pages[0][CHECKSUM] = compute_checksum(pages[0]).to_bytes(4, "little")
    path.write_bytes(b"".join(pages))
    with pytest.raises(AudioError, match="ambisonic projection, which is not supported"):
        AudioReader(path)

"""The same samples give the same bytes, at any time, under any name and in any process."""

import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.outputs.target import unsupported_reason
from noisegate_cli.files.outputs.writer import open_writer
from tests.conftest import SPEECH, as_type
from tests.zoo import RATE, sound

SUBTYPES = {
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "PCM_16": "PCM_16",
    "PCM_32": "PCM_32",
    "PCM_S8": "PCM_16",
    "ULAW": "PCM_16",
}
"""Subtypes, and the subtype of `as_type` with the same sample type."""

FILE_TYPES = [
    (container, subtype, endian)
    for container in sf.available_formats()
    for subtype in SUBTYPES
    for endian in ("FILE", "BIG")
    # libsndfile writes a second file for SD2.
    if container != "SD2"
    and sf.check_format(container, subtype, endian)
    and not unsupported_reason(AudioInfo("", RATE, 1, 0, container, subtype, endian))
]


def write_file(path, container, subtype, endian):
    with open_writer(AudioInfo(path, RATE, 1, 0, container, subtype, endian)) as writer:
        writer.write(as_type(sound()[:500], SUBTYPES[subtype])[:, None])
    return path.read_bytes()


def test_files_of_libsndfile_do_not_depend_on_the_time_or_the_name(tmp_path):
    first = {
        file_type: write_file(tmp_path / f"{i}.a", *file_type)
        for i, file_type in enumerate(FILE_TYPES)
    }
    assert len(first) > 40
    assert {"SVX", "AIFF", "MAT5", "MPC2K"} <= {file_type[0] for file_type in FILE_TYPES}
    time.sleep(1.1)
    for i, file_type in enumerate(FILE_TYPES):
        assert write_file(tmp_path / f"again-{i}.b", *file_type) == first[file_type], file_type


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("SVX", "PCM_16"), ("AIFF", "FLOAT"), ("MAT5", "PCM_16"), ("MPC2K", "PCM_16")],
)
def test_a_file_with_cleared_fields_is_read_correctly(tmp_path, container, subtype):
    path = tmp_path / "out.a"
    write_file(path, container, subtype, "FILE")
    samples, rate = sf.read(path, dtype="int16" if subtype == "PCM_16" else "float32")
    assert rate == RATE
    assert np.array_equal(samples, as_type(sound()[:500], subtype))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Return an output of each extension, from a recording with tags."""
    folder = tmp_path_factory.mktemp("outputs")
    source = folder / "in.flac"
    y, rate = sf.read(SPEECH, stop=40000)
    with sf.SoundFile(source, "w", rate, 1) as file:
        file.title = "A title"
        file.write(y)
    for extension in WRITABLE_EXTENSIONS:
        gate_file(source, folder / f"out{extension}", GateSettings(threshold=0.03))
    return folder


@pytest.mark.parametrize("extension", WRITABLE_EXTENSIONS)
def test_every_format_is_the_same_in_another_run_and_in_a_pipe(tmp_path, outputs, extension):
    expected = (outputs / f"out{extension}").read_bytes()
    again = tmp_path / f"again{extension}"
    gate_file(outputs / "in.flac", again, GateSettings(threshold=0.03))
    assert again.read_bytes() == expected
    if extension in (".ogg", ".webm", ".mka"):
        options = ["-t", "0.03", "--format", extension[1:], "-q", "-o", "-"]
        command = [sys.executable, "-m", "noisegate_cli", "gate", str(outputs / "in.flac")]
        done = subprocess.run([*command, *options], capture_output=True, check=True)
        assert done.stdout == expected


@pytest.mark.parametrize("extension", ["ogg", "mka"])
def test_a_batch_writes_the_same_bytes_with_several_workers(tmp_path, outputs, extension):
    tree = tmp_path / "in"
    tree.mkdir()
    for name in "abc":
        (tree / f"{name}.flac").hardlink_to(outputs / "in.flac")
    command = [sys.executable, "-m", "noisegate_cli", "batch", str(tree), "-j", "2"]
    options = ["-t", "0.03", "--format", extension, "-q", "-o", str(tmp_path / "out")]
    subprocess.run([*command, *options], check=True)
    for path in (tmp_path / "out").glob(f"*.{extension}"):
        assert path.read_bytes() == (outputs / f"out.{extension}").read_bytes()
    assert len(list((tmp_path / "out").glob(f"*.{extension}"))) == 3


@pytest.mark.parametrize("extension", [".ogg", ".opus", ".oga"])
def test_different_recordings_have_different_ogg_serial_numbers(tmp_path, extension):
    serials = set()
    for number in range(3):
        path = tmp_path / f"{number}{extension}"
        y = np.random.default_rng(number).normal(0, 0.1, (48000, 1)).astype(np.float32)
        subtype = {".opus": "OPUS", ".ogg": "VORBIS", ".oga": "PCM_16"}[extension]
        samples = as_type(y, "PCM_16") if extension == ".oga" else y
        with open_writer(AudioInfo(path, 48000, 1, 0, "OGG", subtype)) as writer:
            writer.write(samples)
        serials.add(path.read_bytes()[14:18])
        if extension != ".oga":
            assert len(sf.read(path)[0]) == 48000
    assert len(serials) == 3


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "ULAW", "PCM_24"])
@pytest.mark.parametrize("length", [1, 2, 501])
def test_the_padding_of_an_aiff_file_is_not_a_sample(tmp_path, subtype, length):
    path = tmp_path / "out.aiff"
    info = AudioInfo(path, RATE, 1, 0, "AIFF", subtype)
    samples = np.full((length, 1), 256 << 8 if subtype == "PCM_24" else 256, info.dtype)
    with open_writer(info) as writer:
        writer.write(samples)
    assert sf.info(path).frames == length
    content = path.read_bytes()
    width = 3 if subtype == "PCM_24" else 1
    at = content.index(b"SSND") + 4
    assert int.from_bytes(content[at : at + 4], "big") == 8 + width * length
    assert len(content) % 2 == 0

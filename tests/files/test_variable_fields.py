"""The same samples give the same bytes, at any time and with any file name."""

import time

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.output_target import unsupported_reason
from noisegate_cli.files.writer import open_writer
from tests.conftest import as_type
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

"""WAV files: what is read from their chunks, and what is written."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.chunks import build_chunk
from noisegate_cli.files.riff import read_layout
from tests.conftest import loud_and_quiet, read
from tests.zoo import RATE, sound, with_chunks

AT_003 = GateSettings(threshold=0.03)


@pytest.mark.parametrize("second", ["WAV", "RF64", "RIFX", "odd", "chunks"])
def test_a_file_after_the_file_is_reported_and_not_copied(write, tmp_path, second):
    alone = write(loud_and_quiet())
    first = alone.read_bytes()
    other = tmp_path / "other.wav"
    if second == "chunks":
        with_chunks(other, sound())
    else:
        kind = "RF64" if second == "RF64" else "WAV"
        endian = "BIG" if second == "RIFX" else "FILE"
        with sf.SoundFile(other, "w", RATE, 1, "PCM_16", endian, kind) as file:
            file.write(sound())
    if second == "odd":
        first += build_chunk(b"odd ", b"abc")[:-1]
    source = tmp_path / "both.wav"
    source.write_bytes(first + other.read_bytes() * 2)
    result = gate_file(source, tmp_path / "out.wav", AT_003)
    assert result.warnings == ("it holds a second recording of 2.00 s, which is left out",)
    gate_file(alone, tmp_path / "alone.wav", AT_003)
    assert np.array_equal(read(result.output.path), read(tmp_path / "alone.wav"))
    ids = [chunk.id for chunk in read_layout(result.output.path).chunks]
    assert ids == [b"fmt ", b"data"] + [b"odd "] * (second == "odd")


@pytest.mark.parametrize("after", [b"", build_chunk(b"odd ", b"abc")])
def test_a_stream_after_the_stream_is_reported(write, after):
    content = write(loud_and_quiet()).read_bytes() + after
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-o", "-"]
    for stream, warns in ((content, False), (content * 2, True)):
        done = subprocess.run(command, input=stream, capture_output=True, check=True)
        assert (b"holds a second recording, which is left out" in done.stderr) == warns
        assert len(done.stdout) == len(content) - len(after)

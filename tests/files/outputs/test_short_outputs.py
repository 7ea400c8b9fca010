"""A recording shorter than a frame of its codec is written exactly, or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.files.outputs.encoders import unsupported_reason
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.files.outputs.target import output_info
from noisegate_cli.files.outputs.writer import open_writer
from tests.benchmarks.read_back import CONTAINERS, LOSSLESS, LOSSY, Case

OPEN = GateSettings(threshold=0.03, range_db=0.0)


def write_silence(info):
    """Write a file; return the message if it is refused."""
    try:
        with open_writer(info) as writer:
            writer.write(np.zeros((info.samples, info.channels), info.dtype))
    except OutputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_short_recording_comes_back_with_its_length_or_is_refused(tmp_path, container):
    written = 0
    for subtype in (*LOSSLESS, *LOSSY):
        for rate, samples in ((8000, 0), (8000, 1), (16000, 10), (48000, 600), (48000, 0)):
            info = Case(container, subtype, 1, rate, samples).info
            if unsupported_reason(info):
                continue
            path = tmp_path / info.path
            message = write_silence(replace(info, path=path))
            if message:
                length = {0: "no samples", 1: "only 1 sample"}.get(
                    samples, f"only {samples} samples"
                )
                assert f"cannot store a recording that has {length}: use" in message
            else:
                with AudioReader(path) as reader:
                    count = sum(len(block) for block, _ in reader.blocks())
                    expected = samples * reader.info.sample_rate // rate
                    assert (count, reader.warnings) == (expected, [])
                path.unlink()
                written += 1
            assert list(tmp_path.iterdir()) == []
    assert written or container == "WEBM"  # FFmpeg reads too much of Opus that is so short.


@pytest.mark.parametrize("ending", [*WRITABLE_EXTENSIONS])
def test_an_empty_recording_gives_a_file_that_can_be_read_or_is_refused(tmp_path, ending):
    source, out = tmp_path / "in.wav", tmp_path / "out" / f"out{ending}"
    sf.write(source, np.zeros(0), 48000)
    try:
        gate_file(source, out, OPEN)
    except OutputError:
        assert not out.parent.exists()
        return
    if ending != ".raw":
        with AudioReader(out) as reader:
            assert sum(len(block) for block, _ in reader.blocks()) == 0


def test_a_short_output_on_standard_output_is_refused_too(tmp_path, capfdbinary):
    source = tmp_path / "in.wav"
    sf.write(source, np.zeros(0), 48000)
    with pytest.raises(OutputError, match="standard output cannot store .* no samples"):
        gate_file(source, "-", OPEN, options=OutputOptions(format="flac"))
    assert capfdbinary.readouterr().out == b""


def test_companded_samples_are_not_written_to_voc():
    source = AudioInfo(Path("in.voc"), 8000, 1, 100, "VOC", "ULAW")
    assert output_info(source, Path("out.voc")).subtype == "PCM_16"

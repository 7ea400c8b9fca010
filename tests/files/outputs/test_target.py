import os
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, OutputOptions, SettingsError, gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.inputs.reader import probe
from noisegate_cli.files.outputs.target import default_output_path, output_info
from noisegate_cli.terminal.cli import run
from tests.conftest import SPEECH, read, tone

AT_003 = GateSettings(threshold=0.03)


@pytest.mark.parametrize("before", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("after", ["PCM_U8", "PCM_16", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_a_selected_sample_type_preserves_the_samples(write, tmp_path, before, after):
    source, out = write(tone(1, 0.1), subtype=before), tmp_path / "out.wav"
    result = gate_file(source, out, AT_003, options=OutputOptions(subtype=after))
    assert sf.info(out).subtype == result.output.subtype == after
    tolerance = {"PCM_U8": 2**-7, "ULAW": 2**-6}.get(after, 2**-14)
    assert np.allclose(read(out, "float64"), read(source, "float64"), atol=tolerance)


def test_the_residue_has_the_selected_sample_type(write, tmp_path):
    out, residue_path = tmp_path / "out.wav", tmp_path / "rest.wav"
    source = write(tone(1, 0.1), subtype="PCM_24")
    options = OutputOptions(subtype="PCM_16")
    gate_file(source, out, GateSettings(threshold=0.5), residue=residue_path, options=options)
    assert sf.info(residue_path).subtype == "PCM_16"
    assert not read(out).any()


def test_an_unsupported_sample_type_is_refused_with_a_list_of_supported_types(write, tmp_path):
    source = write(tone(1, 0.1))
    with pytest.raises(OutputError, match="cannot store FLOAT: FLAC with 1 channel can have PCM_"):
        gate_file(source, tmp_path / "out.flac", AT_003, options=OutputOptions(subtype="FLOAT"))
    assert list(tmp_path.iterdir()) == [source]


def test_invalid_output_options_are_refused():
    for options, message in (
        ({"format": "xyz"}, "format 'xyz' cannot be written: give one of wav"),
        ({"subtype": "PCM_25"}, "subtype 'PCM_25' is not a sample type: give one of"),
        ({"suffix": "../_x"}, "suffix '../_x' cannot be part of a file name"),
    ):
        with pytest.raises(SettingsError, match=message):
            OutputOptions(**options)


def test_the_default_output_name_follows_the_options():
    info = probe(SPEECH)
    for options, name in (
        (OutputOptions(), "jfk_1961_gated.wav"),
        (OutputOptions(format="FLAC"), "jfk_1961_gated.flac"),
        (OutputOptions(format=".flac", suffix="_clean"), "jfk_1961_clean.flac"),
    ):
        assert default_output_path(info, options) == SPEECH.with_name(name)


def test_the_modification_time_can_be_kept(write, tmp_path):
    source, out, residue_path = write(tone(1, 0.1)), tmp_path / "out.flac", tmp_path / "rest.flac"
    os.utime(source, ns=(10**18, 123456789 * 10**9))
    gate_file(source, out, AT_003, residue=residue_path, options=OutputOptions(keep_mtime=True))
    assert out.stat().st_mtime_ns == residue_path.stat().st_mtime_ns == source.stat().st_mtime_ns
    gate_file(source, out, AT_003, force=True)
    assert out.stat().st_mtime_ns > source.stat().st_mtime_ns


def test_output_options_can_be_pickled():
    options = OutputOptions("flac", "PCM_24", "_clean", True)
    assert pickle.loads(pickle.dumps(options)) == options


def test_output_options_can_be_given_on_the_command_line(write):
    source = write(tone(1, 0.1))
    os.utime(source, ns=(10**18, 123456789 * 10**9))
    assert run(["gate", str(source), "--subtype", "pcm_24", "--keep-mtime", "-q"]) == 0
    output = source.with_name("in_gated.wav")
    assert sf.info(output).subtype == "PCM_24"
    assert output.stat().st_mtime == 123456789
    assert run(["gate", str(source), "--subtype", "x"]) == 2


@pytest.mark.parametrize("ending", sorted(WRITABLE_EXTENSIONS))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_sample_types_in_a_refusal_are_those_that_can_be_written(ending, channels):
    source = AudioInfo(Path("in.wav"), 16000, channels, 100, "WAV", "PCM_16")
    out = Path(f"out{ending}")
    with pytest.raises(OutputError, match="cannot store DPCM_8") as refusal:
        output_info(source, out, OutputOptions(subtype="DPCM_8"))
    listed = str(refusal.value).partition(" can have ")[2].split()
    possible = []
    for subtype in [*sf.available_subtypes(), "AAC"]:
        with suppress(OutputError):
            possible.append(output_info(source, out, OutputOptions(subtype=subtype)).subtype)
    assert sorted(possible) == [name for name in sorted(listed) if name not in ("AC3", "EAC3")]


def test_an_extension_that_cannot_be_written_is_unknown_even_for_an_input_that_has_it():
    source = AudioInfo(Path("in.mp2"), 48000, 2, 100, "MP3", "MPEG_LAYER_II")
    with pytest.raises(OutputError, match=r"'out.mp2' has no known extension: end the name in"):
        output_info(source, Path("out.mp2"))

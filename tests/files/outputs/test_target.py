import os
import pickle

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, OutputOptions, SettingsError, gate_file
from noisegate_cli.files.inputs.reader import probe
from noisegate_cli.files.outputs.target import default_output_path
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
    with pytest.raises(OutputError, match="cannot store FLOAT: FLAC supports PCM_S8 PCM_16 PCM_24"):
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

"""Standard descriptors that are closed when ngate starts."""

import shlex
import subprocess
import sys
from itertools import product

import pytest
import soundfile as sf

from noisegate_cli import gate_file
from tests.conftest import loud_and_quiet

COMBINATIONS = [
    " ".join(redirection for redirection in redirections if redirection)
    for redirections in product(["", "<&-"], ["", ">&-"], ["", "2>&-"])
]
CLOSED_OUTPUT_ERROR = "ngate: standard output can't be written: Bad file descriptor\n"


def ngate(redirection, *arguments):
    """Run the command line in a shell that closes descriptors."""
    command = shlex.join([sys.executable, "-m", "noisegate_cli", *map(str, arguments)])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {redirection}"], input=b"", capture_output=True, check=False
    )


@pytest.mark.parametrize("redirection", COMBINATIONS)
def test_closed_descriptors_do_not_change_the_output(tmp_path, redirection):
    source, expected = tmp_path / "in.mp3", tmp_path / "expected.wav"
    sf.write(source, loud_and_quiet(), 16000)
    gate_file(source, expected, force=True)
    process = ngate(redirection, "gate", source, "-o", tmp_path / "out.wav")
    assert (process.returncode, process.stdout) == (0, b"")
    assert (b"openings" in process.stderr) == ("2>&-" not in redirection)
    assert (tmp_path / "out.wav").read_bytes() == expected.read_bytes()
    (tmp_path / "tree").mkdir()
    source.rename(tmp_path / "tree" / "in.mp3")
    process = ngate(
        redirection, "batch", tmp_path / "tree", "-o", tmp_path / "out", "--format=wav", "-j1"
    )
    assert (process.returncode, process.stdout) == (0, b"")
    assert (tmp_path / "out" / "in.wav").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("redirection", COMBINATIONS)
def test_data_for_a_closed_standard_output_is_an_error(write, redirection):
    source = write(loud_and_quiet())
    for arguments in (["gate", source, "-t", "0.03", "-o", "-"], ["analyze", source]):
        process = ngate(redirection, *arguments)
        if ">&-" in redirection.split():
            assert process.returncode == 1
            assert process.stderr.decode() == ("" if "2>&-" in redirection else CLOSED_OUTPUT_ERROR)
        else:
            assert (process.returncode, bool(process.stdout)) == (0, True)
            assert b"ngate: " not in process.stderr


def test_encoded_and_json_data_for_a_closed_standard_output_is_an_error(write):
    source = write(loud_and_quiet())
    for options in (["-o", "-", "--format", "flac"], ["--json"]):
        process = ngate(">&-", "gate", source, *options)
        assert (process.returncode, process.stderr.decode()) == (1, CLOSED_OUTPUT_ERROR)
    process = ngate("<&-", "gate", "-", "-o", "-")
    assert process.returncode == 1
    assert b" is empty" in process.stderr

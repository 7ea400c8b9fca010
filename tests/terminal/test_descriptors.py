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
    " ".join(redirection for redirection in chosen if redirection)
    for chosen in product(["", "<&-"], ["", ">&-"], ["", "2>&-"])
]
CLOSED_OUTPUT_ERROR = "ngate: standard output can't be written: Bad file descriptor\n"


def ngate(closed, *arguments):
    """Run the command line in a shell that closes descriptors."""
    command = shlex.join([sys.executable, "-m", "noisegate_cli", *map(str, arguments)])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {closed}"], input=b"", capture_output=True, check=False
    )


@pytest.mark.parametrize("closed", COMBINATIONS)
def test_a_closed_descriptor_changes_no_output(tmp_path, closed):
    source, expected = tmp_path / "in.mp3", tmp_path / "expected.wav"
    sf.write(source, loud_and_quiet(), 16000)
    gate_file(source, expected, force=True)
    done = ngate(closed, "gate", source, "-o", tmp_path / "out.wav")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (b"openings" in done.stderr) == ("2>&-" not in closed)
    assert (tmp_path / "out.wav").read_bytes() == expected.read_bytes()
    (tmp_path / "tree").mkdir()
    source.rename(tmp_path / "tree" / "in.mp3")
    done = ngate(closed, "batch", tmp_path / "tree", "-o", tmp_path / "out", "--format=wav", "-j1")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "out" / "in.wav").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("closed", COMBINATIONS)
def test_data_for_a_closed_standard_output_is_an_error(write, closed):
    source = write(loud_and_quiet())
    for arguments in (["gate", source, "-t", "0.03", "-o", "-"], ["analyze", source]):
        done = ngate(closed, *arguments)
        if ">&-" in closed.split():
            assert done.returncode == 1
            assert done.stderr.decode() == ("" if "2>&-" in closed else CLOSED_OUTPUT_ERROR)
        else:
            assert (done.returncode, bool(done.stdout)) == (0, True)
            assert b"ngate: " not in done.stderr


def test_every_kind_of_data_for_a_closed_standard_output_is_an_error(write):
    source = write(loud_and_quiet())
    for options in (["-o", "-", "--format", "flac"], ["--json"]):
        done = ngate(">&-", "gate", source, *options)
        assert (done.returncode, done.stderr.decode()) == (1, CLOSED_OUTPUT_ERROR)
    done = ngate("<&-", "gate", "-", "-o", "-")
    assert done.returncode == 1
    assert b" is empty" in done.stderr

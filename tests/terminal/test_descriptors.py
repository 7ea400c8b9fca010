"""Standard descriptors that are closed, or a pipe whose reader has exited."""

import os
import shlex
import subprocess
import sys
from itertools import product

import pytest
import soundfile as sf

from noisegate_cli import gate_file
from noisegate_cli.terminal.interrupts import EXIT_BROKEN_PIPE
from tests.conftest import loud_and_quiet

COMBINATIONS = [
    (" ".join(filter(None, redirections)), sum(map(bool, redirections)) % 2)
    for redirections in product(["", "<&-"], ["", ">&-"], ["", "2>&-"])
]
"""Redirections, and which of two commands runs: each has each descriptor open and closed."""

CLOSED_OUTPUT_ERROR = "ngate: standard output cannot be written: Bad file descriptor\n"


def ngate(redirection, *arguments):
    """Run the command line in a shell that closes descriptors."""
    command = shlex.join([sys.executable, "-m", "noisegate_cli", *map(str, arguments)])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {redirection}"], input=b"", capture_output=True, check=False
    )


@pytest.mark.parametrize(("redirection", "is_batch"), COMBINATIONS)
def test_closed_descriptors_do_not_change_the_output(tmp_path, redirection, is_batch):
    tree, out = tmp_path / "in", tmp_path / "out" / "in.wav"
    tree.mkdir()
    sf.write(tree / "in.mp3", loud_and_quiet(), 16000)
    gate_file(tree / "in.mp3", tmp_path / "expected.wav")
    batch = ["batch", tree, "-o", out.parent, "--format=wav", "-j1"]
    process = ngate(redirection, *(batch if is_batch else ["gate", tree / "in.mp3", "-o", out]))
    assert (process.returncode, process.stdout) == (0, b"")
    summary = b"1 of 1 recording" if is_batch else b"openings"
    assert (summary in process.stderr) == ("2>&-" not in redirection)
    assert out.read_bytes() == (tmp_path / "expected.wav").read_bytes()


@pytest.mark.parametrize(("redirection", "is_analysis"), COMBINATIONS)
def test_data_for_a_closed_standard_output_is_an_error(write, redirection, is_analysis):
    source = write(loud_and_quiet())
    gate = ["gate", source, "-t", "0.03", "-o", "-"]
    process = ngate(redirection, *(["analyze", source] if is_analysis else gate))
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


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "gate in.wav -o -",
        "gate in.wav -t -40 -o -",
        "gate in.wav -o out.flac --json",
        "analyze in.wav --json",
        "analyze in.wav in.wav --csv",
    ],
)
def test_every_command_ends_silently_if_the_reader_of_its_output_has_exited(tmp_path, arguments):
    sf.write(tmp_path / "in.wav", loud_and_quiet(), 16000)
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "noisegate_cli", *arguments.split()]
    process = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
    os.close(writing)
    assert process.returncode == EXIT_BROKEN_PIPE
    assert not process.stderr or process.stderr.lstrip().startswith(b"threshold")

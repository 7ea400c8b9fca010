"""A WAV file after another one of unknown length is found in a stream, however it is divided."""

import io
import subprocess

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.files.containers.joined_streams import find_next_file
from tests.files.test_streams import NGATE
from tests.zoo import sound


def find_in_pieces(content, sizes, is_au=False):
    """Return the bytes before the next file, and whether there is one."""
    held = found = b""
    position = 0
    for size in (*sizes, len(content)):
        octets = held + content[position : position + size]
        position += size
        end, is_found = find_next_file(octets, is_au)
        found += octets[:end]
        if is_found:
            return found, True
        held = octets[end:]
    return found + held, False


@given(
    st.lists(st.sampled_from([b"R", b"RI", b"RIFF", b"RF64", b"WAVE", b"1234", b"x"]), max_size=8),
    st.lists(st.integers(1, 9), max_size=12),
)
def test_the_result_does_not_depend_on_the_division_of_the_stream(parts, sizes):
    content = b"".join(parts)
    assert find_in_pieces(content, sizes) == find_in_pieces(content, [])
    file = b"RIFF1234WAVE"
    before, is_found = find_in_pieces(content + file, sizes)
    assert is_found
    assert before == content or before in content


@pytest.mark.parametrize("is_second_streamed", [False, True])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_second_recording_in_a_pipe_is_omitted(is_second_streamed, subtype):
    file = io.BytesIO()
    sf.write(file, sound(), 16000, subtype, format="WAV")
    complete = file.getvalue()
    streamed = bytearray(complete)
    size_position = streamed.index(b"data") + 4
    streamed[4:8] = streamed[size_position : size_position + 4] = b"\xff" * 4
    joined = bytes(streamed) + (bytes(streamed) if is_second_streamed else complete)
    command = [*NGATE, "gate", "-", "-t", "0.0001", "--range", "-0dB", "-o", "-"]
    done = subprocess.run(command, input=joined, capture_output=True, check=True)
    assert done.stdout[size_position + 4 :][-len(streamed) + 44 :] == streamed[44:]
    assert b"it contains a second recording, which is ignored" in done.stderr
    alone = subprocess.run(command, input=bytes(streamed), capture_output=True, check=True)
    assert alone.stdout == done.stdout
    assert b"second" not in alone.stderr


def test_samples_that_end_like_a_file_begins_are_kept():
    samples = np.frombuffer(b"1234RIFF5678WA", "<i2")
    content = samples.tobytes()
    assert find_next_file(content) == (4, False)
    assert find_in_pieces(content, [3, 5]) == (content, False)


@given(st.lists(st.integers(1, 9), max_size=20))
def test_an_au_file_in_a_stream_is_found_however_it_is_divided(sizes):
    file = io.BytesIO()
    sf.write(file, sound(seconds=0.01), 16000, "PCM_16", format="AU")
    samples = b"12.sn.sn3456"
    assert find_in_pieces(samples + file.getvalue(), sizes, is_au=True) == (samples, True)
    assert find_in_pieces(samples, sizes, is_au=True) == (samples, False)


def test_a_second_au_recording_in_a_pipe_of_unknown_length_is_omitted():
    file = io.BytesIO()
    sf.write(file, sound(), 16000, "PCM_16", format="AU")
    streamed = bytearray(file.getvalue())
    streamed[8:12] = b"\xff" * 4
    command = [*NGATE, "gate", "-", "-t", "0.0001", "--range", "-0dB", "-o", "-"]
    joined = bytes(streamed) + file.getvalue()
    done = subprocess.run(command, input=joined, capture_output=True, check=True)
    alone = subprocess.run(command, input=bytes(streamed), capture_output=True, check=True)
    assert done.stdout == alone.stdout
    assert b"it contains a second recording, which is ignored" in done.stderr
    assert b"second" not in alone.stderr

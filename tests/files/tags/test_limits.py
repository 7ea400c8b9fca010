"""Files that would occupy the processor or the memory are refused or read at once."""

import subprocess
import sys
import zlib

import pytest
import soundfile as sf

from noisegate_cli import AudioError
from noisegate_cli.files.inputs.reader import AudioReader, probe
from noisegate_cli.files.tags.limits import MAX_TAGS, has_excessive_tags
from noisegate_cli.files.tags.reading import read_tags
from tests.bombs import BOMBS, make_bomb, make_id3, make_text_frame, syncsafe
from tests.zoo import make_zoo, sound

REPORTED = (
    "too many or too large tags",
    "tags are damaged",
    "its pages are damaged",
    "it has more than 128 tracks",
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory_and_time(tmp_path, name):
    path = make_bomb(tmp_path / name)
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\n"
        "from noisegate_cli import NoisegateError, gate_file\n"
        "try:\n"
        "    print(gate_file(sys.argv[1], sys.argv[2], threshold=0.03).warnings)\n"
        "except NoisegateError as error:\n"
        "    print(error)\n"
        "status = open('/proc/self/status').read()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) // 1024)\n"
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "out.flac")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert any(text in done.stdout for text in REPORTED), done.stdout
    assert int(done.stdout.split()[-1]) < 150


def test_ordinary_recordings_are_within_the_limits(tmp_path):
    assert not any(map(has_excessive_tags, make_zoo(tmp_path)))


@pytest.mark.parametrize(("count", "is_excessive"), [(MAX_TAGS, False), (MAX_TAGS + 1, True)])
def test_the_number_of_id3_frames_is_limited(tmp_path, count, is_excessive):
    path = tmp_path / "in.mp3"
    path.write_bytes(make_id3([make_text_frame(i) for i in range(count)]))
    assert has_excessive_tags(path) == is_excessive


def test_a_text_in_capitals_is_not_a_compressed_frame(tmp_path):
    path = tmp_path / "in.mp3"
    # After any four capitals, a byte can be the flag of a compressed frame, and "H," begins one.
    text = b"\3eng\0" + b"OH, OH, YEAH, HOLD ME NOW\n" * 400
    path.write_bytes(make_id3([b"USLT" + syncsafe(len(text)) + bytes(2) + text]))
    assert not has_excessive_tags(path)


@pytest.mark.parametrize(("mebibytes", "is_excessive"), [(16, False), (17, True)])
def test_a_compressed_frame_may_not_declare_too_much(tmp_path, mebibytes, is_excessive):
    path, content = tmp_path / "in.mp3", zlib.compress(b"\3K\0v")
    declared = b"TXXX" + syncsafe(len(content) + 4) + b"\0\x09" + syncsafe(mebibytes << 20)
    path.write_bytes(make_id3([declared + content]))
    assert has_excessive_tags(path) == is_excessive


def test_the_message_names_the_file(tmp_path):
    with pytest.raises(AudioError, match=r"comments\.flac.*too many or too large tags"):
        probe(make_bomb(tmp_path / "comments.flac"))


def test_a_joined_file_with_excessive_tags_is_omitted(tmp_path):
    bomb, path = make_bomb(tmp_path / "comments.flac"), tmp_path / "joined.flac"
    sf.write(path, sound(), 16000)
    path.write_bytes(path.read_bytes() + bomb.read_bytes())
    with AudioReader(path) as reader:
        assert sum(len(block) for block, _ in reader.blocks()) == 16000
        assert reader.warnings == ["it is damaged: parts that cannot be decoded are omitted"]


def test_the_title_of_an_avi_file_is_read(tmp_path):
    import av
    import numpy as np

    path = tmp_path / "in.avi"
    with av.open(str(path), "w", format="avi") as file:
        file.metadata["title"] = "A title"
        stream = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16", "mono")
        frame.sample_rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with AudioReader(path) as reader:
        assert read_tags(path, reader.tags, reader.chunks).text["title"] == ["A title"]

"""A Python program is interrupted while it writes, or the encoder fails."""

import gc
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from noisegate_cli import OutputError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.ffmpeg.encoder import PyavEncoder
from noisegate_cli.files.outputs.writer import AudioWriter, open_writer
from noisegate_cli.files.unfinished import remove_when_left
from tests.conftest import tone

INFO = AudioInfo(Path("out.mp3"), 16000, 1, 0, "MP3", "MPEG_LAYER_III")


class WaitingEncoder:
    """Encoder whose `write` returns when the test lets it."""

    def __init__(self):
        self.may_return = threading.Event()
        self.is_writing = threading.Event()
        self.was_abandoned_while_writing = False

    def write(self, block):
        self.is_writing.set()
        self.may_return.wait(60)
        self.is_writing.clear()

    def close(self):
        pass

    def abandon(self):
        self.was_abandoned_while_writing = self.is_writing.is_set()


def test_the_file_is_abandoned_when_the_thread_that_uses_it_has_ended():
    encoder = WaitingEncoder()
    writer = AudioWriter(encoder, INFO)
    for _ in range(3):
        writer.write(np.zeros((10, 1), np.float32))
    encoder.is_writing.wait()
    threading.Timer(0.05, encoder.may_return.set).start()
    writer.abandon()
    assert not encoder.was_abandoned_while_writing
    assert not writer._thread.is_alive() or writer._has_ended.is_set()


def test_a_thread_that_starts_after_the_interrupt_does_not_use_the_file(monkeypatch):
    encoder, threads = WaitingEncoder(), []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: threads.append(thread.run))
    writer = AudioWriter(encoder, INFO)
    for _ in range(2):
        writer.write(np.zeros((10, 1), np.float32))
    writer.abandon()
    (run,) = threads
    run()
    assert not encoder.is_writing.is_set()


def write_and_interrupt(path, line_number):
    """Write a file, raise SIGINT, and again before the line of that number after the first.

    Return whether there was such a line.
    """
    remaining = line_number

    def count_lines(frame, event, _argument):
        nonlocal remaining
        if frame.f_code.co_name in {"_remove", "__del__"}:  # callbacks that cannot raise
            return None
        if event == "line":
            remaining -= 1
            if not remaining:
                signal.raise_signal(signal.SIGINT)
        return count_lines

    block = tone(0.1, 0.1, INFO.sample_rate)[:, None].astype(np.float32)
    previous, is_interrupted = sys.gettrace(), False
    try:
        with open_writer(replace(INFO, path=path)) as writer:
            for _ in range(4):
                writer.write(block)
            sys.settrace(count_lines)
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        is_interrupted = True
    finally:
        sys.settrace(previous)
    assert is_interrupted
    return remaining <= 0


@pytest.fixture
def no_garbage_collection():
    # It would run the finalizers of other tests, which an interrupt must not hit.
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_second_interrupt_at_any_line_leaves_no_thread_and_no_file(tmp_path):
    threads, line_number = threading.active_count(), 1
    while write_and_interrupt(tmp_path / "new" / "out.mp3", line_number):
        assert list(tmp_path.iterdir()) == []
        assert threading.active_count() == threads
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        line_number += 1
    assert line_number > 50


def test_an_interrupt_after_a_lost_one_is_raised(tmp_path):
    with remove_when_left(tmp_path / "out"):
        with suppress(KeyboardInterrupt):  # as in a callback of a library
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("error", [av.error.ExternalError, av.error.EOFError, av.error.OSError])
def test_an_error_of_the_encoder_is_reported_and_does_not_block_the_writer(
    tmp_path, monkeypatch, error
):
    def fail(*_):
        raise error(1, "it failed", "out.m4a")

    monkeypatch.setattr(PyavEncoder, "_build_frame", fail)
    info = AudioInfo(tmp_path / "out.m4a", 16000, 1, 0, "M4A", "AAC")

    def write_blocks():
        with open_writer(info) as writer:
            for _ in range(5):
                writer.write(np.zeros((4096, 1), np.float32))

    with pytest.raises(OutputError, match="cannot be written: it failed"):
        write_blocks()
    assert list(tmp_path.iterdir()) == []

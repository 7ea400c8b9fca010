"""Writing is interrupted by an exception in a Python program."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.writer import AudioWriter


class WaitingEncoder:
    """Encoder whose `write` returns when the test lets it."""

    def __init__(self):
        self.may_return = threading.Event()
        self.is_writing = False

    def write(self, block):
        self.is_writing = True
        self.may_return.wait(60)
        self.is_writing = False

    def close(self):
        pass


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize("count", [1, 3])
def test_an_interrupt_waits_for_the_thread_that_uses_the_encoder(count, monkeypatch):
    encoder = WaitingEncoder()
    writer = AudioWriter(encoder, AudioInfo(Path("out.wav"), 16000, 1, 0, "WAV", "PCM_16"))
    for _ in range(3):
        writer.write(np.zeros((10, 1), np.int16))
    waits = threading.Semaphore(0)

    def announce(wait):
        def announce_and_wait(*arguments):
            waits.release()
            return wait(*arguments)

        return announce_and_wait

    # The queue is full until the encoder returns.
    monkeypatch.setattr(writer._queue, "put", announce(writer._queue.put))

    def send():
        for _ in range(count):
            waits.acquire()
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        waits.acquire()
        encoder.may_return.set()

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        writer.finish()
    assert not encoder.is_writing
    sender.join()

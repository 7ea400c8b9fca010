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


class SlowEncoder:
    """Encoder whose `write` takes half a second."""

    is_writing = False

    def write(self, block):
        self.is_writing = True
        time.sleep(0.5)
        self.is_writing = False

    def close(self):
        pass


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize("count", [1, 3])
def test_an_interrupt_waits_for_the_thread_that_uses_the_encoder(count):
    encoder = SlowEncoder()
    info = AudioInfo(Path("out.wav"), 16000, 1, 0, "WAV", "PCM_16")
    writer = AudioWriter(encoder, info)
    block = np.zeros((10, 1), np.int16)

    def send() -> None:
        for _ in range(count):
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)

    for _ in range(3):
        writer.write(block)
    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        writer.finish()
    assert not encoder.is_writing
    sender.join()

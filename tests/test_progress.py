import io
import sys

import numpy as np
import pytest

from noisegate_cli import analyze, analyze_file, gate, gate_file, segments
from tests.conftest import loud_and_quiet

LONG = np.tile(loud_and_quiet(), 3)
CALLS = {
    "gate": lambda path, progress: gate(LONG, 16000, progress=progress),
    "segments": lambda path, progress: segments(LONG, 16000, threshold=0.1, progress=progress),
    "analyze": lambda path, progress: analyze(LONG, 16000, progress=progress),
    "gate_file": lambda path, progress: gate_file(path, progress=progress),
    "analyze_file": lambda path, progress: analyze_file(path, progress=progress),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_callback_receives_increasing_shares_up_to_1(name, write, monkeypatch):
    monkeypatch.setattr("noisegate_cli.samples.BLOCK_BYTES", 40_000)
    shares = []
    CALLS[name](write(LONG), shares.append)
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("name", CALLS)
def test_progress_true_shows_a_bar_that_ends_at_100_percent(name, write, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())
    CALLS[name](write(LONG), True)
    label = "in.wav" if name.endswith("file") else name
    assert f"{label}: 100%" in stderr.getvalue()


def test_no_progress_is_shown_by_default(write, capfd):
    for call in CALLS.values():
        call(write(LONG, "other.wav"), False)
        (write(LONG, "other.wav").parent / "other_gated.wav").unlink(missing_ok=True)
    assert capfd.readouterr() == ("", "")

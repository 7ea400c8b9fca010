import io
import json
import sys
from pathlib import Path

import pytest

from noisegate_cli.batch.interface import BatchReport
from noisegate_cli.batch.records import RecordingResult
from noisegate_cli.terminal import progress_display
from noisegate_cli.terminal.batch_progress import BatchProgress


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def at_once(monkeypatch):
    for name in ("LOG_INTERVAL_S", "BAR_DELAY_S", "BAR_INTERVAL_S"):
        monkeypatch.setattr(progress_display, name, 0)


def half_done(shown, quiet=False):
    report = BatchReport(Path("out"), audio_seconds=7200.0, failed=2)
    watch = BatchProgress(Path("in"), Path("out"), quiet, json=False)
    watch.on_phase("gating", 8, 1000)
    for files in (1, 4):
        watch.on_progress(files, 125 * files, report, ["deep/a.wav", "b.wav"])
    watch.close()
    return " ".join(shown.getvalue().split())


def test_a_terminal_shows_what_is_done_and_what_is_being_done(at_once, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    text = half_done(sys.stderr)
    assert "gating" in text
    assert "50 %" in text
    assert "4 of 8 files, 2:00:00 h of audio" in text
    assert "× real time, 2 failed" in text
    assert "now 'deep/a.wav', 'b.wav'" in text


def test_a_log_gets_plain_lines(at_once, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    text = half_done(sys.stderr)
    assert "ngate: gating: 50 % in" in text
    assert "4 of 8 files, 2:00:00 h of audio" in text
    assert "2 failed" in text
    assert "\x1b" not in text
    assert "\r" not in text


def test_nobody_is_told_who_wants_to_be_left_alone(at_once, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert half_done(sys.stderr, quiet=True) == ""


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("failing", ["__init__", "update", "close"])
def test_an_error_of_the_display_does_not_stop_a_batch(at_once, monkeypatch, terminal, failing):
    def fail(*_):
        calls.append(failing)
        raise RuntimeError

    calls = []
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    display = progress_display.BatchPanel if terminal else progress_display.ProgressLog
    monkeypatch.setattr(display, failing, fail)
    half_done(sys.stderr)
    assert calls == [failing]


def test_what_became_of_a_recording_is_a_line_of_data_at_once(capsys):
    watch = BatchProgress(Path("in"), Path("out"), quiet=True, json=True)
    watch.on_recording("a.wav", RecordingResult("done", "a.flac", result={"openings": 3}))
    settled = json.loads(capsys.readouterr().out)
    assert settled["file"] == str(Path("in/a.wav"))
    assert settled["output"] == str(Path("out/a.flac"))
    assert (settled["status"], settled["error"], settled["openings"]) == ("done", None, 3)

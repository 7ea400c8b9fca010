import io
import json
import re
import sys
from pathlib import Path

import pytest

from noisegate_cli.batch.interface import BatchReport
from noisegate_cli.batch.records import RecordingResult
from noisegate_cli.terminal.display import progress_display
from noisegate_cli.terminal.display.batch_progress import BatchProgress

SUMMARY = {"openings": 3, "verdict": None, "warnings": []}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def no_display_delays(monkeypatch):
    for name in ("LOG_INTERVAL_S", "BAR_DELAY_S", "BAR_INTERVAL_S"):
        monkeypatch.setattr(progress_display, name, 0)


def show_half_done_batch(stderr, quiet=False):
    report = BatchReport(Path("out"), audio_seconds=7200.0, failed=2)
    progress_display = BatchProgress(Path("in"), Path("out"), quiet, json=False)
    progress_display.on_phase("gating", 8, 1000)
    for files in (1, 4):
        progress_display.on_progress(files, 125 * files, report, ["deep/a.wav", "b.wav"])
    progress_display.close()
    return " ".join(stderr.getvalue().split())


@pytest.mark.usefixtures("no_display_delays")
def test_a_terminal_shows_progress_and_current_recordings(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    text = show_half_done_batch(sys.stderr)
    assert "gating" in text
    assert "50%" in text
    assert "4 of 8 files, 2:00:00 h of audio" in text
    assert "× real time, 2 failed" in text
    assert "now 'deep/a.wav', 'b.wav'" in text


@pytest.mark.usefixtures("no_display_delays")
def test_a_log_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    text = show_half_done_batch(sys.stderr)
    assert re.search(r"ngate: gating 50%, \d+ s left, 4 of 8 files", text)
    assert "4 of 8 files, 2:00:00 h of audio" in text
    assert "2 failed" in text
    assert "\x1b" not in text
    assert "\r" not in text


@pytest.mark.usefixtures("no_display_delays")
def test_quiet_shows_no_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert show_half_done_batch(sys.stderr, quiet=True) == ""


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("failing", ["__init__", "update", "close"])
@pytest.mark.usefixtures("no_display_delays")
def test_an_error_of_the_display_does_not_stop_a_batch(monkeypatch, terminal, failing):
    def fail(*_):
        calls.append(failing)
        raise RuntimeError

    calls = []
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    display = progress_display.BatchPanel if terminal else progress_display.ProgressLog
    monkeypatch.setattr(display, failing, fail)
    show_half_done_batch(sys.stderr)
    assert calls == [failing]


def test_each_result_is_printed_as_data_immediately(capsys):
    watch = BatchProgress(Path("in"), Path("out"), quiet=True, json=True)
    watch.on_recording("a.wav", RecordingResult("done", "a.flac", result=SUMMARY))
    settled = json.loads(capsys.readouterr().out)
    assert settled["file"] == str(Path("in/a.wav"))
    assert settled["output"] == str(Path("out/a.flac"))
    assert (settled["status"], settled["error"], settled["openings"]) == ("done", None, 3)

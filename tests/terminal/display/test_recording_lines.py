"""What the command line reports about other tracks and their bleed."""

import json

import numpy as np
import pytest

from noisegate_cli.gating.alignment import Alignment
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display.recording_lines import format_alignment
from tests.sessions import RATE, make_session

TRACKS, _ = make_session(-12)


def ngate(*arguments, status=0):
    assert run([*map(str, arguments)]) == status


@pytest.mark.parametrize(
    ("alignment", "text"),
    [
        (Alignment(0.4123, 23.4), "0.412 s later, 23 ppm fast"),
        (Alignment(-2.5, -100.2), "2.500 s earlier, 100 ppm slow"),
        (Alignment(0.0, 0.3), "in sync"),
    ],
)
def test_an_alignment_is_described_in_words(alignment, text):
    assert format_alignment(alignment) == text


def test_the_summary_and_json_report_lag_level_and_closed_share(write, tmp_path, capsys):
    host = write(TRACKS[0], "host.wav")
    guest = write(TRACKS[1][round(1.5 * RATE) :], "guest.flac")
    ngate("gate", host, "--against", guest, "-o", tmp_path / "out.wav", "--json")
    out, err = capsys.readouterr()
    data = json.loads(out)["bleed"]
    (track,) = data["tracks"]
    assert track["file"] == str(guest)
    assert track["used"]
    assert track["start_s"] == pytest.approx(1.5, abs=0.01)
    assert track["level_db"] == pytest.approx(-12, abs=2)
    assert 0.2 < data["closed_share"] < 0.5
    ngate("gate", host, "--against", guest, "-o", tmp_path / "out.wav", "-f")
    err = capsys.readouterr().err
    assert "guest.flac': 1.50" in err
    assert "s later, bleed -1" in err
    assert f"closed for bleed {100 * data['closed_share']:.1f}% of the time" in err


def test_an_analysis_against_other_tracks_predicts_the_gate(write, tmp_path, capsys):
    host, guest = write(TRACKS[0], "host.wav"), write(TRACKS[1], "guest.wav")
    ngate("gate", host, "--against", guest, "-o", tmp_path / "out.wav", "--json")
    gated = json.loads(capsys.readouterr().out)
    ngate("analyze", host, "--against", guest, "--json")
    analyzed = json.loads(capsys.readouterr().out)
    assert analyzed["bleed"] == gated["bleed"]
    assert analyzed["segments"] == gated["segments"]
    assert analyzed["closed_share"] == pytest.approx(gated["closed_share"], abs=0.001)
    ngate("analyze", host, "--against", guest)
    table = capsys.readouterr().out
    assert f"closed for bleed {100 * gated['bleed']['closed_share']:.1f}% of the time" in table
    assert f"--against={guest}" in "".join(table.split())


def test_a_threshold_against_other_tracks_is_compared_without_bleed(write, capsys):
    host, guest = write(TRACKS[0], "host.wav"), write(TRACKS[1], "guest.wav")
    ngate("analyze", host, "--against", guest, "-t", "-50dB", "--json")
    against = json.loads(capsys.readouterr().out)
    ngate("analyze", host, "-t", "-50dB", "--json")
    alone = json.loads(capsys.readouterr().out)
    assert against["given"]["closed_share"] > alone["given"]["closed_share"] + 0.15
    assert against["given"]["agreement"] > 0.95


@pytest.mark.parametrize("option", ["--csv", "--page=page.html"])
def test_an_analysis_against_other_tracks_has_no_page_and_no_csv(write, capsys, option):
    host, guest = write(TRACKS[0], "host.wav"), write(TRACKS[1], "guest.wav")
    ngate("analyze", host, "--against", guest, option, status=2)
    assert "not both" in capsys.readouterr().err
    ngate("analyze", host, guest, "--against", guest, status=2)
    assert "--against requires a single recording" in capsys.readouterr().err


def test_exclusive_channels_are_reported_pair_by_pair(write, tmp_path, capsys):
    path = write(np.stack(TRACKS, axis=1))
    ngate("gate", path, "--channels", "exclusive", "-o", tmp_path / "out.wav", "--json")
    out, _ = capsys.readouterr()
    channels = json.loads(out)["bleed"]["channels"]
    assert [(pair["channel"], pair["from_channel"]) for pair in channels] == [(1, 2), (2, 1)]


def test_messages_name_options(write, tmp_path, capsys):
    path = write(TRACKS[0])
    ngate("gate", path, "--channels", "exclusive", "-o", tmp_path / "out.wav", status=1)
    assert "--channels exclusive needs two channels" in capsys.readouterr().err
    wide = write(np.zeros((100, 65)), "wide.wav")
    ngate("gate", wide, "--channels", "exclusive", "-o", tmp_path / "out.wav", status=1)
    assert "at most 64 channels, and it has 65: give --channels linked" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()

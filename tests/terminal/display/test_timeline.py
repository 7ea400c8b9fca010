import re
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings
from noisegate_cli.api.decisions import decide
from noisegate_cli.api.overviews import record, record_timeline
from noisegate_cli.api.sources import ArraySource
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.terminal.display.histogram import build_histogram
from noisegate_cli.terminal.display.timeline import build_timeline
from tests.conftest import loud_and_quiet, tone

SETTINGS = GateSettings(threshold="-25dB")
WIDTHS = [24, 40, 60, 80, 200]
DECAY = np.concatenate([tone(1, 1e-4), tone(3, 0.5) * 10 ** (-np.arange(48000) / 16000)])
SOUNDS = {
    "pauses": np.tile(loud_and_quiet(), 2),
    "cut decay": np.concatenate([DECAY[:40000], tone(1, 1e-4)]),
    "silence": np.zeros(16000),
    "one sample": np.ones(1),
}


def make_timeline(y, settings=SETTINGS, make=record_timeline):
    source = ArraySource(y[:, None], 16000)
    decision, _ = decide(source, settings, lambda _: None)
    return make(source, decision)


@pytest.fixture(scope="module")
def timelines():
    return {name: make_timeline(y) for name, y in SOUNDS.items()}


def row(lines, label):
    (line,) = [line for line in lines if line.startswith(label)]
    return line[9:]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_terminal_or_ends_in_a_blank(timelines, width, name, ascii_only):
    lines = build_timeline(timelines[name], width, ascii_only).plain.split("\n")
    assert not ascii_only or "".join(lines).isascii()
    for line in lines:
        assert len(line) <= max(width, 25)
        assert line == line.rstrip()
        assert not any(unicodedata.east_asian_width(c) in "WF" for c in line)
    assert len(row(lines, "gate")) == max(width - 9, 16)


def test_the_gate_is_open_where_the_sound_is_loud(timelines):
    lines = build_timeline(timelines["pauses"], 69, ascii_only=True).plain.split("\n")
    assert re.fullmatch(r"#{10,11}[.+*-]{8,10}#{20,23}[.+*-]{8,10}#{9,11}", row(lines, "gate"))
    peaks = row(lines, "-60")
    assert peaks[5] == "|"
    assert row(lines, "0 dBFS")[15:16].strip() == ""


@pytest.mark.parametrize("options", [{}, {"spectral": "soft"}, {"ratio": 4}, {"duck": True}])
def test_a_timeline_without_gated_samples_is_the_timeline_of_the_gate(options):
    settings = replace(SETTINGS, **options)
    y = SOUNDS["cut decay"]
    timeline, overview = (make_timeline(y, settings, make) for make in (record_timeline, record))
    assert timeline.report == overview.report
    assert build_timeline(timeline, 80) == build_timeline(overview, 80)


def test_peaks_have_the_height_of_their_level():
    for db, heights in ((0.0, "███"), (-20.0, "█ █"), (-40.0, "█"), (-70.0, "")):
        y = np.full(16000, 10 ** (db / 20))
        lines = build_timeline(make_timeline(y), 25).plain.split("\n")[:3]
        assert [line[9:10] == "█" for line in lines].count(True) == heights.count("█")


def test_cut_sounds_are_marked_at_their_time(timelines):
    timeline = timelines["cut decay"]
    (cutoff,) = timeline.report.cutoffs.worst
    lines = build_timeline(timeline, 109).plain.split("\n")
    assert row(lines, "cut-offs").index("▲") == int(cutoff.time / timeline.duration * 100)


def test_times_are_shown_at_their_columns(timelines):
    lines = build_timeline(timelines["pauses"], 129).plain.split("\n")
    (times,) = [line[9:] for line in lines if "0.5 s" in line]
    for half in range(12):
        assert times[half * 10 :].startswith(f"{half / 2:.1f} s")


@given(st.lists(st.floats(1e-5, 1), min_size=1, max_size=50), st.sampled_from(WIDTHS))
def test_a_histogram_fits_the_terminal_and_points_to_the_threshold(levels, width):
    histogram = LevelHistogram()
    histogram.add(np.array(levels))
    text = build_histogram(histogram, 10**-1.5, width, ascii_only=True).plain
    assert text.isascii()
    for line in text.split("\n"):
        assert len(line) <= max(width, 16 + 8 + 7)
        assert line == line.rstrip()
    assert text.count("<-- -t") <= 1

"""Label files are read by other programs, and give back what was written."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from fractions import Fraction

import opentimelineio
import pytest
import rpp
import srt
from hypothesis import given
from hypothesis import strategies as st
from praatio import textgrid as praat

from noisegate_cli import LabelsError, OutputError
from noisegate_cli.files.labels.label_file import open_label_writer, read_label_file
from noisegate_cli.files.labels.registry import LABEL_FORMATS
from noisegate_cli.files.labels.track import LabelTrack, Mark, Segment
from tests.conftest import examples

READABLE = [ending for ending, label_format in LABEL_FORMATS.items() if label_format.read]
PRECISION_S = {".srt": 0.0005, ".edl": 1 / 25}
TRACK = LabelTrack(
    path="/rec/two words.wav",
    duration=12.5,
    channels=1,
    segments=(Segment(0.011609977, 1.5), Segment(4.25, 5.125), Segment(9.0, 12.5)),
    marks=(Mark(1.75, "cut-off decay"), Mark(8.9, "cut-off attack")),
    envelopes=(((0.0, 0.0), (0.011609977, 1.0), (1.5, 1.0), (1.75, 0.0), (12.5, 0.0)),),
)
STEREO = LabelTrack(
    path="duo.flac",
    duration=5.0,
    channels=2,
    segments=(Segment(0.0, 2.0, 2), Segment(0.5, 1.0, 1), Segment(3.0, 5.0, 2)),
    envelopes=(((0.0, 1.0), (5.0, 0.0)), ((0.0, 0.5), (5.0, 1.0))),
)


def write(track, ending):
    return LABEL_FORMATS[ending].write(track)


def read(text, ending):
    return LABEL_FORMATS[ending].read(text)


@st.composite
def tracks(draw):
    """Return tracks of one or two channels whose segments do not touch."""
    channels = draw(st.sampled_from([(None,), (1, 2)]))
    segments = []
    for channel in channels:
        gaps = draw(st.lists(st.floats(0.1, 500), max_size=10))
        edges = [sum(gaps[: i + 1]) for i in range(len(gaps) - len(gaps) % 2)]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        segments += [Segment(start, end, channel) for start, end in pairs]
    return LabelTrack(
        path="a.wav",
        duration=max((s.end for s in segments), default=1.0) + draw(st.floats(0, 5)),
        channels=len(channels),
        segments=tuple(sorted(segments, key=lambda s: (s.start, s.channel or 0))),
        marks=tuple(Mark(t, "cut-off decay") for t in sorted(draw(st.lists(st.floats(0, 100))))),
        envelopes=((),) * len(channels),
    )


@pytest.mark.parametrize("ending", READABLE)
@examples(40)
@given(track=tracks())
def test_a_file_gives_back_the_segments_that_were_written(ending, track):
    back = sorted(read(write(track, ending), ending), key=lambda s: (s.start, s.channel or 0))
    precision = PRECISION_S.get(ending, 1e-9) * 1.001
    if ending == ".edl":  # It has no channels, and joins what overlaps after rounding.
        for segment in track.segments:
            assert any(
                b.start <= segment.start + 1e-6 and b.end >= segment.end - 1e-6 for b in back
            )
        edges = [edge for segment in track.segments for edge in segment[:2]]
        for edge in (edge for segment in back for edge in segment[:2]):
            assert min(abs(edge - other) for other in edges) <= precision
        return
    assert len(back) == len(track.segments)
    for one, other in zip(back, track.segments, strict=True):
        assert one.channel == other.channel
        assert math.isclose(one.start, other.start, rel_tol=0, abs_tol=precision)
        assert math.isclose(one.end, other.end, rel_tol=0, abs_tol=precision)


def test_praatio_reads_the_textgrid(tmp_path):
    for track, names in ((TRACK, ("open", "cut-offs")), (STEREO, ("open 1", "open 2"))):
        path = tmp_path / "a.TextGrid"
        path.write_text(write(track, ".TextGrid"))
        grid = praat.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
        assert grid.tierNames == names
        assert grid.maxTimestamp == track.duration
        assert grid.validate(reportingMode="error")
        for name, (channel, segments) in zip(names, track.by_channel.items(), strict=False):
            entries = [entry for entry in grid.getTier(name).entries if entry.label]
            assert [entry[:2] for entry in entries] == [s[:2] for s in segments], channel
    grid = praat.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    path.write_text(write(TRACK, ".TextGrid"))
    grid = praat.openTextgrid(str(path), includeEmptyIntervals=False)
    assert [tuple(point) for point in grid.getTier("cut-offs").entries] == [
        (1.75, "cut-off decay"),
        (8.9, "cut-off attack"),
    ]


@pytest.mark.parametrize("variant", ["short_textgrid", "long_textgrid"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids_that_praatio_writes_are_read(tmp_path, variant, encoding):
    grid = praat.Textgrid()
    grid.addTier(praat.IntervalTier("words", [(0.5, 1.25, 'she said "hé!"'), (2, 3, "[1]")], 0, 4))
    grid.addTier(praat.PointTier("clicks", [(1.0, "x")], 0, 4))
    path = tmp_path / "praat.TextGrid"
    grid.save(str(path), format=variant, includeBlankSpaces=True)
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    assert read_label_file(path) == [Segment(0.5, 1.25), Segment(2.0, 3.0)]


def test_the_srt_library_reads_the_subtitles():
    subtitles = list(srt.parse(write(TRACK, ".srt"), ignore_errors=False))
    assert [s.index for s in subtitles] == [1, 2, 3]
    assert [s.start.total_seconds() for s in subtitles] == [0.012, 4.25, 9.0]
    assert [s.end.total_seconds() for s in subtitles] == [1.5, 5.125, 12.5]
    assert {s.content for s in subtitles} == {"open"}
    text = srt.compose(subtitles)
    assert read(text.replace("\n", "\r\n"), ".srt") == read(write(TRACK, ".srt"), ".srt")


def test_opentimelineio_reads_the_edit_decision_list():
    timeline = opentimelineio.adapters.read_from_string(write(TRACK, ".edl"), "cmx_3600", rate=25)
    assert timeline.name == "two words.wav"
    (track,) = timeline.tracks
    assert track.kind == "Audio"
    clips = list(track.find_clips())
    ranges = [
        (c.source_range.start_time.to_seconds(), c.source_range.duration.value) for c in clips
    ]
    assert ranges == [(0.0, 38), (4.24, 23), (9.0, 88)]
    for clip, (start, _) in zip(clips, ranges, strict=True):
        # The event is at the same time in the list as in the recording.
        assert track.transformed_time(opentimelineio.opentime.RationalTime(0, 25), clip) is not None
        assert clip.range_in_parent().start_time.to_seconds() == pytest.approx(start)
        assert clip.name == "two words.wav"
    assert [marker.name for clip in clips for marker in clip.markers] == [
        "cut-off decay",
        "cut-off attack",
    ]


@pytest.mark.parametrize(
    ("rate", "frames_per_s"),
    [(Fraction(30000, 1001), 30), (Fraction(24000, 1001), 24), (Fraction(50), 50)],
)
def test_an_edit_decision_list_has_the_frames_of_the_video(rate, frames_per_s):
    film = replace(TRACK, segments=(Segment(600.0, 3600.0),), duration=4000.0, frame_rate=rate)
    text = write(film, ".edl")
    assert "FCM: NON-DROP FRAME\n" in text
    timeline = opentimelineio.adapters.read_from_string(text, "cmx_3600", rate=frames_per_s)
    (clip,) = timeline.find_clips()
    first = clip.source_range.start_time.to_frames()
    end = first + clip.source_range.duration.to_frames()
    # The number of each frame in the film, rounded outwards.
    assert (first, end) == (math.floor(600 * rate), math.ceil(3600 * rate))
    ((start, end, _),) = read(text, ".edl")
    assert start == pytest.approx(600, abs=float(1 / rate))
    assert end == pytest.approx(3600, abs=float(1 / rate))
    assert start <= 600
    assert end >= 3600


def test_an_edit_decision_list_of_two_channels_has_two_audio_tracks():
    text = write(STEREO, ".edl")
    timeline = opentimelineio.adapters.read_from_string(text, "cmx_3600", rate=25)
    assert {track.name: len(list(track.find_clips())) for track in timeline.tracks} == {
        "A1": 1,
        "A2": 2,
    }
    assert all(track.kind == "Audio" for track in timeline.tracks)


def test_an_edit_decision_list_is_refused_after_24_hours():
    day = LabelTrack(
        path="a.wav", duration=90000.0, channels=1, segments=(Segment(86399.5, 86401.0),)
    )
    with pytest.raises(LabelsError, match="24 hours"):
        write(day, ".edl")


def test_rttm_follows_the_evaluation_plan_of_nist():
    # pyannote.database reads RTTM too, but needs pandas. The plan defines the pattern.
    number = r"\d+(\.\d+)?"
    line = rf"SPEAKER \S+ [12] {number} {number} <NA> <NA> \S+ <NA> <NA>"
    for track in (TRACK, STEREO):
        rows = write(track, ".rttm").splitlines()
        assert len(rows) == len(track.segments)
        assert all(re.fullmatch(line, row) for row in rows)
    assert write(TRACK, ".rttm").startswith("SPEAKER two_words 1 0.011609977 1.488390023 ")
    text = ";; comment\nNOSCORE a 1 0 9 <NA> <NA> <NA> <NA>\n" + write(TRACK, ".rttm")
    assert len(read(text, ".rttm")) == 3


def test_the_standard_library_reads_csv_and_json():
    rows = list(csv.DictReader(io.StringIO(write(TRACK, ".csv"))))
    assert [row["label"] for row in rows] == [
        "open",
        "cut-off decay",
        "open",
        "cut-off attack",
        "open",
    ]
    data = json.loads(write(TRACK, ".json"))
    assert [(s["start"], s["end"]) for s in data["segments"]] == [s[:2] for s in TRACK.segments]
    assert data["marks"] == [
        {"time": 1.75, "label": "cut-off decay"},
        {"time": 8.9, "label": "cut-off attack"},
    ]
    assert [s["channel"] for s in json.loads(write(STEREO, ".json"))["segments"]] == [2, 1, 2]


def test_rpp_reads_the_reaper_project():
    project = rpp.loads(write(TRACK, ".rpp"))
    assert project.tag == "REAPER_PROJECT"
    assert project.find("MARKER") == ["MARKER", "1", "1.750000", "cut-off decay", "0"]
    track = project.find("TRACK")
    points = [tuple(map(float, point[1:])) for point in track.find("VOLENV2").findall("PT")]
    assert points == [(*point, 0.0) for point in TRACK.envelopes[0]]
    item = track.find("ITEM")
    assert item.find("POSITION") == ["POSITION", "0"]
    assert item.find("LENGTH") == ["LENGTH", "12.500000"]
    assert item.find("SOURCE").attrib == ["WAVE"]
    assert item.find("SOURCE").find("FILE") == ["FILE", "/rec/two words.wav"]
    tracks = rpp.loads(write(STEREO, ".rpp")).findall("TRACK")
    assert [t.find("ITEM").find("CHANMODE")[1] for t in tracks] == ["3", "4"]


def test_a_reaper_project_of_many_channels_has_the_mode_of_each():
    track = LabelTrack(path="a.wav", duration=1, channels=66, segments=(), envelopes=((),) * 66)
    modes = re.findall(r"CHANMODE (\d+)", write(track, ".rpp"))
    assert (modes[0], modes[63:]) == ("3", ["66", "131", "132"])


def test_names_with_quotes_and_line_breaks_stay_on_one_line_of_a_project():
    for name in ('a"b.wav', "a'\"b.wav", "a'\"`b.wav", "a\nb.wav", "<a>.wav", "a #b.wav"):
        track = LabelTrack(path=name, duration=1.0, channels=1, segments=(), envelopes=((),))
        (parsed,) = rpp.loads(write(track, ".rpp")).findall("TRACK")
        assert parsed.find("NAME") == ["NAME", name.replace("\n", " ").replace("'\"`", "'\"'")]


def test_labels_that_audacity_writes_are_read():
    text = "1.5\t2.5\tcough\r\n\\\t100.0\t2000.0\r\n3.0\t3.0\tpoint\r\n4\t5.25\r\n"
    assert read(text, ".txt") == [Segment(1.5, 2.5), Segment(4.0, 5.25)]
    assert read("0\t1\topen 2\n", ".txt") == [Segment(0.0, 1.0, 2)]


def test_json_may_be_a_list_of_pairs():
    assert read("[[1, 2.5], [3, 4]]", ".json") == [Segment(1.0, 2.5), Segment(3.0, 4.0)]


GRID = write(TRACK, ".TextGrid")
MALFORMED = [
    (".txt", "0\t1\topen\nabc\t2\topen\n", "line 2: 'abc' is not a time in seconds"),
    (".txt", "0\t1\n\n1.5 2.5 open\n", "line 3: it must be START, tab, END, tab, TEXT"),
    (".txt", "2\t1\topen\n", "line 1: it ends at 1 s, before it starts at 2 s"),
    (".txt", "-1\t1\topen\n", "line 1: -1 s is before the recording"),
    (".txt", "nan\t1\topen\n", "line 1: 'nan' is not a time in seconds"),
    (".csv", "from,to\n1,2\n", "line 1: the header lacks start or end: start,end,label,channel"),
    (".csv", "start,end\n1,2\n3\n", "line 3: '' is not a time in seconds"),
    (".csv", "start,end,channel\n1,2,left\n", "line 2: channel 'left' must be a number from 1"),
    (".csv", 'start,end\n1,"2', "line 2: it is not CSV"),
    (".json", '{"segments":\n [1,,2]}', "line 2: it is not JSON"),
    (".json", '{"labels": []}', 'it has no "segments"'),
    (".json", '[[1, 2], {"start": 3}]', "segment 2: it is not"),
    (".json", '[{"start": 1, "end": 2, "channel": 0}]', "segment 1: channel 0 must be a number"),
    (".json", "[[1, NaN]]", "NaN is not a time in seconds"),
    (".json", "[" * 100_000, "it is nested too deeply"),
    (".TextGrid", "hello\n", "line 1: it is not a TextGrid"),
    (".TextGrid", GRID.replace("size = 6", "size = 9"), ': "TextTier" is not a number'),
    (".TextGrid", GRID[:-40], "is not"),
    (".TextGrid", '"ooTextFile"\n"Sound"\n', "line 1: it is not a TextGrid"),
    (".rttm", "SPEAKER a 1 0.5\n", "line 1: it has 4 fields, but a line of RTTM has 9 or 10"),
    (".rttm", "SPEAKER a 1 0 x <NA> <NA> a <NA>\n", "line 1: 'x' is not a time in seconds"),
    (
        ".rttm",
        "SPEAKER a 1 0 1 <NA> <NA> x <NA>\nSPEAKER b 1 0 1 <NA> <NA> x <NA>\n",
        "line 2: it is for 'b', and the lines above are for 'a': keep the lines of one recording",
    ),
    (".srt", "1\n00:00:01 --> 00:00:02\nopen\n", "line 2: '00:00:01 --> 00:00:02' must be like"),
    (".srt", "hello\n", "line 1: it has no line like"),
    (".edl", "TITLE: a\n001 AX A C 1 2\n", "line 2: it is not an event of CMX 3600"),
    (".edl", "001 AX A C 00:00:01;00 00:00:02;00 00:00:01;00 00:00:02;00", "is drop-frame"),
    (".edl", "001 AX A C 00:00:01:25 00:00:02:00 00:00:01:00 00:00:02:00", "25 frames per second"),
]


@pytest.mark.parametrize(("ending", "text", "message"), MALFORMED)
def test_a_malformed_file_is_refused_with_its_line(tmp_path, ending, text, message):
    path = tmp_path / f"edited{ending}"
    path.write_text(text)
    with pytest.raises(LabelsError) as caught:
        read_label_file(path)
    assert str(caught.value).startswith(f"'{path}': ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", READABLE)
@examples(40)
@given(
    text=st.text('0123456789:;,.-> \t\n"<[{}]é\\', max_size=99)
    | st.sampled_from(["0\t1\t", GRID[:300], "001  AX A C "])
)
def test_any_text_gives_segments_or_one_line_of_error(ending, text):
    segments, message = [], ""
    try:
        segments = read(text, ending)
    except LabelsError as error:
        message = str(error)
    assert "\n" not in message
    assert all(0 <= segment.start < segment.end < math.inf for segment in segments)


def test_files_that_are_not_text_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"0\t1\topen\n\xff\xfe\n")
    (tmp_path / "dir.txt").mkdir()
    for name, message in (
        ("a.txt", "line 2: it is not UTF-8 text"),
        ("dir.txt", "is a folder"),
        ("missing.txt", "cannot be read: No such file"),
        (
            "a.rpp",
            "is not a known label format: give a file that ends in one of .txt .csv .json",
        ),
        ("a.wav", "has no known extension for labels: end the name in one of .txt .csv"),
    ):
        with pytest.raises(LabelsError, match=re.escape(message)):
            read_label_file(tmp_path / name)


def test_an_existing_file_is_only_overwritten_with_force(tmp_path):
    path = tmp_path / "new" / "labels.txt"
    for force in (False, True):
        with open_label_writer(path, force) as write_track:
            assert force == path.exists()
            write_track(TRACK)
    before = path.read_text()
    with pytest.raises(OutputError, match="already exists"), open_label_writer(path) as write_track:
        write_track(STEREO)
    assert path.read_text() == before
    with pytest.raises(AttributeError), open_label_writer(path, force=True) as write_track:
        write_track(LabelTrack(path="", duration=1, channels=1, segments=(None,)))
    assert path.read_text() == before
    assert [p.name for p in path.parent.iterdir()] == ["labels.txt"]


def test_undecodable_names_are_escaped(tmp_path):
    path = tmp_path / "a.json"
    track = LabelTrack(path="\udcff.wav", duration=1.0, channels=1, segments=())
    with open_label_writer(path) as write_track:
        write_track(track)
    assert "udcff.wav" in json.loads(path.read_text(encoding="utf-8"))["recording"]

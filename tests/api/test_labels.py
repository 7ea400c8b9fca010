"""Labels of recordings: from a file to labels, and back to the same file."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import (
    AudioError,
    Excerpt,
    LabelsError,
    OutputError,
    OutputOptions,
    SettingsError,
    analyze_file,
    gate,
    gate_file,
    write_labels,
)
from noisegate_cli.files.labels.edl import DEFAULT_FRAMES_PER_S
from noisegate_cli.files.labels.label_file import read_label_file
from noisegate_cli.terminal.cli import run
from tests.conftest import DATA, SPEECH, loud_and_quiet, read
from tests.files.ffmpeg.test_video import write_film

EXACT = ["txt", "csv", "json", "TextGrid", "rttm", "srt"]


@pytest.mark.parametrize("ending", EXACT)
def test_labels_that_are_applied_give_the_same_samples(tmp_path, ending):
    source, labels = DATA / "speech_hard.flac", tmp_path / f"labels.{ending}"
    first = gate_file(source, tmp_path / "first.flac", labels=labels)
    again = gate_file(source, tmp_path / "again.flac", segments=labels)
    assert first.labels == labels
    assert np.array_equal(read(tmp_path / "first.flac"), read(tmp_path / "again.flac"))
    assert again.segments == first.segments
    assert again.cutoffs == first.cutoffs


@pytest.mark.parametrize("changes", [{}, {"spectral": True}, {"channels": "separate"}])
def test_gaps_within_the_lookahead_have_no_labels_and_make_no_difference(tmp_path, changes):
    """The field preset looks ahead 80 ms, so that it often opens again before it closes."""
    source = DATA / "meeting.flac"
    options = {"preset": "field", "threshold": "-42dB", "min_closed_ms": 20, **changes}
    labels = tmp_path / "labels.txt"
    first = gate_file(source, tmp_path / "first.flac", labels=labels, **options)
    again = gate_file(source, tmp_path / "again.flac", segments=labels, **options)
    assert np.array_equal(read(tmp_path / "first.flac"), read(tmp_path / "again.flac"))
    assert again.segments == first.segments
    runs, hop = first.segments.runs[0], first.segments.timing.hop_length
    assert (runs[1:, 0] - runs[:-1, 1]).min() * hop / first.segments.sample_rate > 0.08


def test_segments_alone_are_written_as_labels(tmp_path):
    result = gate_file(SPEECH, tmp_path / "out.wav", labels=tmp_path / "a.srt")
    write_labels(tmp_path / "b.srt", result.segments)
    assert (tmp_path / "a.srt").read_text() == (tmp_path / "b.srt").read_text()


def test_labels_of_separate_channels_are_applied_to_them(tmp_path, write):
    y = np.column_stack([loud_and_quiet(), np.zeros(48000), np.roll(loud_and_quiet(), 9000)])
    source, labels = write(y), tmp_path / "labels.txt"
    changes = {"threshold": 0.02, "channels": "separate"}
    gate_file(source, tmp_path / "first.wav", labels=labels, **changes)
    gate_file(source, tmp_path / "again.wav", segments=labels, channels="separate")
    assert np.array_equal(read(tmp_path / "first.wav"), read(tmp_path / "again.wav"))
    assert {s.channel for s in read_label_file(labels)} == {1, 3}
    with pytest.raises(SettingsError, match=r"channel 3, and the gate has 1: give channels='sep"):
        gate_file(source, tmp_path / "linked.wav", segments=labels)
    assert not (tmp_path / "linked.wav").exists()


def test_an_edit_decision_list_opens_at_least_where_the_gate_was_open(tmp_path):
    labels = tmp_path / "labels.edl"
    first = gate_file(SPEECH, tmp_path / "first.wav", labels=labels)
    again = gate_file(SPEECH, tmp_path / "again.wav", segments=labels)
    assert (again.segments.compute_mask() >= first.segments.compute_mask()).all()
    # Each edge moves by less than a frame of the film, and to the next hop.
    hop_s = first.segments.timing.hop_length / first.segments.sample_rate
    moved = first.statistics.closed - again.statistics.closed
    assert moved <= 2 * first.statistics.openings * (1 / DEFAULT_FRAMES_PER_S / hop_s + 1)


def test_the_envelope_of_a_reaper_project_is_the_gain_of_the_gate(tmp_path):
    y, rate = sf.read(SPEECH)
    result = gate(y, rate, preset="music", return_result=True)
    write_labels(tmp_path / "a.rpp", result, SPEECH)
    text = (tmp_path / "a.rpp").read_text()
    points = [line.split()[1:3] for line in text.splitlines() if line.strip().startswith("PT ")]
    times, gains = np.array(points, float).T
    difference = np.interp(np.arange(len(y)) / rate, times, gains)
    difference -= result.segments.compute_gain()[:, 0]
    assert np.abs(difference[:: result.segments.timing.hop_length]).max() < 1e-6
    assert np.abs(difference).max() < 0.08
    assert f'FILE "{SPEECH.absolute()}"' in text


def test_the_analysis_writes_the_labels_of_the_gate(tmp_path):
    report = analyze_file(SPEECH, labels=tmp_path / "analysis.csv")
    result = gate_file(SPEECH, tmp_path / "out.wav", labels=tmp_path / "gate.csv")
    assert (tmp_path / "analysis.csv").read_text() == (tmp_path / "gate.csv").read_text()
    assert report.gate.segments == result.segments
    assert analyze_file(SPEECH).gate is None
    with pytest.raises(OutputError, match="already exists: force=True"):
        analyze_file(SPEECH, labels=tmp_path / "analysis.csv")


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_times_of_a_video_count_from_its_start(tmp_path, capsys, extension):
    """The audio starts half a second after the video, which a player shows at 0:00."""
    codec = {"mkv": "flac", "mp4": "aac"}[extension]
    film = write_film(tmp_path / f"film.{extension}", codec, start=0.5, seconds=3.0)
    outputs = [tmp_path / f"{name}.{extension}" for name in "abc"]
    labels = tmp_path / "labels.txt"
    options = {"threshold": 0.03, "preset": "hard"}
    keep, cut = [(1.0, 1.25)], [(0.0, 0.6)]
    result = gate_file(film, outputs[0], labels=labels, keep=keep, cut=cut, **options)
    # An MP4 file begins with the silence that the AAC encoder needs.
    offset = result.offset_s
    assert offset == pytest.approx(0.5, abs={"mkv": 1e-3, "mp4": 0.023}[extension])
    written = np.array([segment[:2] for segment in read_label_file(labels)])
    np.testing.assert_allclose(written, result.segments.seconds + offset, atol=1e-8)
    np.testing.assert_allclose(result.forced.keep, [(1 - offset, 1.25 - offset)])
    np.testing.assert_allclose(result.forced.cut, [(0, 0.6 - offset)])
    again = gate_file(film, outputs[1], segments=labels, **options)
    assert again.segments == result.segments
    write_labels(tmp_path / "again.txt", again, film)
    assert (tmp_path / "again.txt").read_text() == labels.read_text()
    command = ["gate", str(film), "-o", str(outputs[2]), "--json", "-q", "-p", "hard", "-t", "0.03"]
    assert run([*command, "--keep", "1-1.25", "--cut", "0-0.6"]) == 0
    data = json.loads(capsys.readouterr().out)
    shown = [(segment["start"], segment["end"]) for segment in data["segments"]]
    np.testing.assert_allclose(shown, written, atol=1e-8)
    np.testing.assert_allclose(data["forced"]["keep"], keep, atol=1e-3)


def test_excerpts_noise_and_plots_of_a_video_count_from_its_start(tmp_path, capsys):
    film = write_film(tmp_path / "film.mkv", start=0.5, seconds=3.0)
    whole = gate_file(film, tmp_path / "whole.wav", threshold=0.03)
    offset = round(whole.offset_s * 48000)
    excerpt = Excerpt(start=1.5, duration=1.0)
    part = gate_file(film, tmp_path / "part.wav", threshold=0.03, excerpt=excerpt)
    start = (72000 - offset) // 512 * 512
    assert part.excerpt == pytest.approx([(start + offset) / 48000, (start + offset) / 48000 + 1])
    expected = read(tmp_path / "whole.wav")[start : start + 48000]
    assert np.array_equal(read(tmp_path / "part.wav"), expected)
    with pytest.raises(AudioError, match=r"ends at 0:03.50, before the excerpt starts at 0:03.\d"):
        gate_file(film, tmp_path / "none.wav", threshold=0.03, excerpt=Excerpt(start=3.8))
    with pytest.raises(AudioError, match=r"ends at 0:03.50, before the end of the noise"):
        gate_file(film, tmp_path / "none.wav", spectral=True, noise=(3.0, 3.8))
    labels = [label.get_text() for label in whole.plot().axes[-1].get_xticklabels()]
    ticks = whole.plot().axes[-1].get_xticks()
    assert labels[1] == "0.5 s"
    assert ticks[1] == pytest.approx(0.5 - whole.offset_s, abs=1e-6)
    assert run(["analyze", str(film)]) == 0
    (times,) = [line for line in capsys.readouterr().out.splitlines() if line.strip()[:3] == "0.5"]
    assert times.split()[::2] == ["0.5", "1.0", "1.5", "2.0", "2.5", "3.0"]


def test_labels_of_an_excerpt_count_from_its_start(tmp_path):
    film = write_film(tmp_path / "film.mkv", start=0.5, seconds=3.0)
    options = {"threshold": 0.03, "labels": tmp_path / "labels.txt", "force": True}
    result = gate_file(film, tmp_path / "a.wav", excerpt=Excerpt(start=0, duration=1), **options)
    written = np.array([segment[:2] for segment in read_label_file(tmp_path / "labels.txt")])
    np.testing.assert_allclose(written, result.segments.seconds)


def test_labels_cannot_replace_another_file_of_the_same_call(tmp_path, write):
    source = write(loud_and_quiet())
    labels = tmp_path / "labels.txt"
    gate_file(source, labels=labels)
    before = labels.read_bytes()
    output = tmp_path / "out.wav"
    with pytest.raises(OutputError, match="is the applied label file, which is never overwritten"):
        gate_file(source, output, segments=labels, labels=labels, force=True)
    with pytest.raises(LabelsError, match=r"one of .txt .csv .json"):
        gate_file(source, output, labels=tmp_path / "labels.doc")
    with pytest.raises(OutputError, match="already exists"):
        gate_file(source, output, labels=labels)
    (tmp_path / "link.txt").symlink_to(source)
    with pytest.raises(OutputError, match="is the input, which is never overwritten"):
        gate_file(source, output, labels=tmp_path / "link.txt", force=True)
    assert labels.read_bytes() == before
    assert not output.exists()


def test_nothing_is_left_if_the_labels_cannot_be_written(tmp_path, write, monkeypatch):
    source = write(loud_and_quiet())
    before = sorted(tmp_path.iterdir())

    def fail(track):
        raise LabelsError("it does not fit")

    from noisegate_cli.files.labels import audacity, registry

    formats = {".txt": audacity.FORMAT._replace(write=fail)}
    monkeypatch.setattr(registry, "LABEL_FORMATS", formats)
    with pytest.raises(LabelsError):
        gate_file(source, labels=tmp_path / "new" / "labels.txt")
    assert sorted(tmp_path.iterdir()) == before


def test_labels_next_to_the_output_have_its_name_and_the_usual_extension(tmp_path, write):
    source = write(loud_and_quiet())
    result = gate_file(source, tmp_path / "out.flac", options=OutputOptions(labels=".textgrid"))
    assert result.labels == tmp_path / "out.TextGrid"
    assert result.labels.exists()


@pytest.mark.parametrize("target", ["labels.srt", "-"])
def test_a_live_stream_writes_labels_and_keeps_segments(tmp_path, write, target):
    source = write(loud_and_quiet())
    labels = tmp_path / "labels.srt"
    output = "-" if target == "labels.srt" else tmp_path / "out.wav"
    command = [sys.executable, "-m", "noisegate_cli", "gate", "-", "-t", "0.03", "-o", output]
    command += ["--keep", "1.4-1.5", "--labels", labels if target == "labels.srt" else "-"]
    process = subprocess.run(
        command, input=source.read_bytes(), capture_output=True, check=True, env=os.environ
    )
    if target == "labels.srt":
        assert len(read_label_file(labels)) == 3
        samples = np.frombuffer(process.stdout[-96000:], np.int16)
    else:
        assert process.stdout.decode().count("\topen\n") == 3
        samples = read(tmp_path / "out.wav")[:, 0]
    assert np.array_equal(samples[22400:24000], read(source)[22400:24000, 0])


def test_a_gate_without_labels_loads_no_label_formats(tmp_path):
    script = (
        "import sys; from noisegate_cli import gate_file; "
        f"gate_file({str(SPEECH)!r}, {str(tmp_path / 'out.wav')!r}, threshold=0.1); "
        "print(*[name for name in sys.modules if 'files.labels' in name])"
    )
    command = [sys.executable, "-c", script]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.split() == []

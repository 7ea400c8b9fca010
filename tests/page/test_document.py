"""The file of a page: its contents, its size, and what it refuses."""

import base64
import io
import json
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.gating.gain.mask import GateMask
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.gating.timing import Timing
from noisegate_cli.page import document, moments, sound, survey, unsure_moments
from noisegate_cli.page.codes import (
    LEVEL_OFFSET_DB,
    LEVEL_STEP_DB,
    SCORE_STEP,
    decode_scores,
    encode_levels,
    encode_scores,
)
from noisegate_cli.page.sound import encode_segments
from noisegate_cli.page.unsure_moments import DetectorTrack, find_unsure_moments
from noisegate_cli.samples import from_db, iterate_slices
from noisegate_cli.terminal.cli import run
from tests.conftest import loud_and_quiet


class PageParser(HTMLParser):
    """Collects the names of all elements, and the data."""

    def __init__(self, text):
        super().__init__()
        self.names, self.data = [], ""
        self._is_data = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self._is_data = dict(attributes).get("id") == "data"

    def handle_data(self, data):
        self.data += data if self._is_data else ""

    def handle_endtag(self, tag):
        self._is_data = False


def read_page(path):
    return PageParser(path.read_text(encoding="utf-8"))


def refusal(capsys, *arguments):
    """Return the exit status and the only line on stderr of a command that is refused."""
    status = run(list(map(str, arguments)))
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return status, error


def test_a_name_can_neither_end_the_data_nor_add_an_element(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    name = "<!--<script></script><img src=x onerror=alert(1)>%%SCRIPT%%\udcff\n.wav"
    folder = Path("a<") / "script>"
    write(loud_and_quiet(), str(folder / "in.wav"))
    source = (tmp_path / folder / "in.wav").rename(tmp_path / folder / name.replace("/", "-"))
    assert run(["analyze", str(source.relative_to(tmp_path)), "--page", "page.html", "-q"]) == 0
    page = read_page(tmp_path / "page.html")
    assert page.names.count("script") == 2
    assert "img" not in page.names
    assert "onerror=alert(1)" in json.loads(page.data)["command"]["end"]


def test_the_page_allows_only_its_own_script_and_style(write_page, write):
    text = write_page(write(loud_and_quiet())).read_text(encoding="utf-8")
    policy = text.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "://" not in text.replace("http://www.w3.org", "")


def test_a_page_is_only_overwritten_with_force(tmp_path, write, capsys):
    source, page = write(loud_and_quiet()), tmp_path / "page.html"
    page.write_text("mine")
    status, error = refusal(capsys, "analyze", source, "--page", page, "-q")
    assert status == 1
    assert "already exists: --force overwrites it" in error
    assert page.read_text() == "mine"
    assert run(["analyze", str(source), "--page", str(page), "-q", "--force"]) == 0
    assert page.stat().st_size > 10_000


def test_the_uncertain_moments_are_the_same_for_any_length_of_chunk(monkeypatch):
    rng = np.random.default_rng(0)
    values = np.convolve(rng.standard_normal(5000), np.ones(20) / 4, "same")
    mask = np.repeat(values.reshape(-1, 50).mean(axis=1) > 0, 50)
    track = DetectorTrack(values, mask, 0.3, -0.3, 0.02, 3, 5)
    expected = find_unsure_moments(track)
    assert {moment.kind for moment in expected} == {"sound", "pause"}
    for length in (7, 1000, 4999):
        monkeypatch.setattr(unsure_moments, "CHUNK_FRAMES", length)
        assert find_unsure_moments(track) == expected


def test_the_recording_is_never_replaced_by_its_page(tmp_path, write, capsys):
    source = write(loud_and_quiet()).rename(tmp_path / "recording.html")
    before = source.read_bytes()
    status, error = refusal(capsys, "analyze", source, "--page", source, "-f", "-q")
    assert status == 1
    assert "is the input: give the page another name" in error
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--page", "-"], 1, "end the name in .html or .htm"),
        (["--page", "other.wav"], 1, "end the name in .html or .htm"),
        (
            ["--page", "page.html", "--duck"],
            2,
            "--keep and --cut do not: omit --duck",
        ),
        (["--page", "page.html", "other.wav"], 2, "--page requires a single recording"),
    ],
)
def test_what_a_page_cannot_show_is_refused(write, capsys, options, status, message):
    refused, error = refusal(capsys, "analyze", write(loud_and_quiet()), "-q", *options)
    assert refused == status
    assert message in error


def test_a_recording_that_is_too_long_for_a_page_is_refused(write, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(survey, "MAX_PAGE_FRAMES", 100)
    page = tmp_path / "new" / "page.html"
    status, error = refusal(capsys, "analyze", write(loud_and_quiet()), "--page", page, "-q")
    assert status == 1
    assert "376 frames, and a page is limited to 100" in error
    assert "--hop-length" in error
    assert not page.parent.exists()


def test_a_long_recording_has_finer_spectrograms_of_its_segments(write_page, write, monkeypatch):
    monkeypatch.setattr(survey, "MAX_COLUMNS", 10)
    monkeypatch.setattr(sound, "MAX_WHOLE_S", 1.0)
    monkeypatch.setattr(moments, "SEGMENT_S", 1.0)
    data = json.loads(read_page(write_page(write(np.tile(loud_and_quiet(), 3)))).data)
    assert len(data["details"]) == len(data["sounds"]) > 0
    for packed, segment in zip(data["details"], data["sounds"], strict=True):
        columns = len(zlib.decompress(base64.b64decode(packed))) / data["spectrogram_bands"]
        seconds = columns * data["detail_column"] / data["sample_rate"]
        assert seconds == pytest.approx(segment["end_s"] - segment["start_s"], abs=0.05)


def test_an_unfinished_page_is_removed(write, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(document, "build_document", fail)
    before = sorted(tmp_path.iterdir())
    source = write(loud_and_quiet())
    assert run(["analyze", str(source), "--page", str(tmp_path / "page.html"), "-q"]) == 1
    assert sorted(tmp_path.iterdir()) == sorted([*before, source])


def test_the_page_of_standard_input_names_it(write, tmp_path):
    source, page = write(loud_and_quiet()), tmp_path / "page.html"
    command = [sys.executable, "-m", "noisegate_cli", "analyze", "-", "--page", page, "-q"]
    subprocess.run(command, input=source.read_bytes(), check=True)
    assert json.loads(read_page(page).data)["name"] == "standard input"
    assert "<title>standard input – ngate</title>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("samples", [0, 1, 3000])
def test_a_short_or_silent_recording_has_a_page(write_page, write, samples):
    data = json.loads(read_page(write_page(write(np.zeros(samples)))).data)
    assert data["samples"] == samples
    assert len(data["sounds"]) == (samples > 0)


def test_the_spectrogram_of_silence_has_the_shade_of_silence(write_page, write):
    data = json.loads(read_page(write_page(write(np.zeros(16000)))).data)
    for packed in (data["spectrogram"], *data["details"]):
        assert set(zlib.decompress(base64.b64decode(packed))) <= {0}


def test_the_command_of_the_page_keeps_the_other_options(write_page, write):
    source = write(loud_and_quiet(), "two words.wav")
    options = ["--key=250-3000", "--listen=all", "--track=1"]
    data = json.loads(read_page(write_page(source, *options, "--hold", "99")).data)
    assert data["command"]["start"]["voice"] == f"ngate gate {' '.join(options)}"
    assert data["command"]["start"]["music"] == "ngate gate --key=250-3000 --track=1"
    assert data["command"]["end"] == f"'{source}'"
    assert data["settings"]["hold_ms"] == 99
    assert data["settings"]["range_db"] is None


@pytest.mark.parametrize("preset", PRESETS)
def test_the_command_of_the_page_begins_with_no_more_than_the_preset(write_page, write, preset):
    data = json.loads(read_page(write_page(write(loud_and_quiet()), "-p", preset)).data)
    assert data["command"]["start"][preset] == "ngate gate"
    assert data["settings"].items() >= data["presets"][preset].items()
    assert data["settings"]["detector"] == "auto"


def test_a_page_begins_with_the_given_threshold(write_page, write):
    source = write(loud_and_quiet())
    for options, detector, adaptive in (
        (["-t", "0.03"], "level", False),
        (["-t", "0.03", "--adaptive"], "level", True),
        (["-t", "auto:otsu"], "level", False),
        (["--adaptive"], "auto", False),
    ):
        settings = json.loads(read_page(write_page(source, *options)).data)["settings"]
        assert (settings["detector"], settings["adaptive"]) == (detector, adaptive)
        assert settings["threshold_db"] == -30.46 or "0.03" not in options


@pytest.mark.parametrize(
    ("options", "others", "range_db"),
    [
        ("--spectral", " --reduction=11 --noise=0:01.00-0:02.00", 0),
        ("--channels=exclusive", "", -30),
    ],
)
def test_the_command_keeps_what_the_page_does_not_preview(
    tmp_path, write, capsys, options, others, range_db
):
    source, page = write(np.tile(loud_and_quiet()[:, None], 2)), tmp_path / "page.html"
    assert run(["analyze", str(source), "--page", str(page), options, *others.split()]) == 0
    assert f"note       The page does not preview {options}." in capsys.readouterr().err
    data = json.loads(read_page(page).data)
    assert data["command"]["start"]["voice"] == f"ngate gate {options}{others}"
    assert data["command"]["not_previewed"] == options
    assert data["presets"]["music"]["range_db"] == range_db


def test_a_dead_channel_does_not_open_the_gate_of_a_page(write_page, write, tmp_path):
    noise = 0.02 * np.random.default_rng(0).normal(size=3 * 48000)
    source = write(np.column_stack([np.tile(loud_and_quiet(), 3), noise]))
    data = json.loads(read_page(write_page(source)).data)
    scores = np.frombuffer(zlib.decompress(base64.b64decode(data["scores"])), "<i2")
    result = gate_file(source, tmp_path / "out.wav")
    assert result.active_channels == (0,)
    is_open = result.segments.compute_mask()[:, 0]
    assert np.median(scores[is_open]) > 20
    assert (scores[~is_open] <= 20).all()


def test_a_target_floor_becomes_a_range(write_page, write, tmp_path):
    source = write(loud_and_quiet())
    data = json.loads(read_page(write_page(source, "--target-floor", "-70dB")).data)
    result = gate_file(source, tmp_path / "out.wav", target_floor_db=-70)
    assert data["settings"]["range_db"] == pytest.approx(result.range_db, abs=0.05)


@given(st.integers(-1000, 0), st.floats(-120, 0))
def test_codes_compare_with_a_threshold_as_levels_do(tenths, level_db):
    threshold = (tenths / 10 - LEVEL_OFFSET_DB) / LEVEL_STEP_DB
    level = from_db(level_db)
    if abs(level_db - tenths / 10) > 1e-6:
        assert (encode_levels(level) > round(threshold)) == (level > from_db(tenths / 10))


@given(st.floats(-300, 300), st.sampled_from([0.1, 0.2]))
def test_codes_compare_with_a_threshold_as_scores_do(score, threshold):
    if abs(score - threshold) > 1e-6:
        is_above = encode_scores(np.array([score]))[0] > round(threshold / SCORE_STEP)
        assert is_above == (score > threshold)


def test_infinite_scores_stay_infinite():
    scores = np.array([-np.inf, -1.25, np.inf])
    np.testing.assert_array_equal(decode_scores(encode_scores(scores)), scores)


# For a mask, only the minimum durations and the hold matter.
TIMING = Timing(16, 8, min_closed=20, min_open=8, hold=0, lookahead=0, attack=0, release=0)


def open_gate(values):
    """Return the mask of a gate that opens above 0.2 and closes below 0.1."""
    return GateMask(0.2, 0.1, TIMING).process(values[:, None], last=True)[:, 0]


def test_uncertain_moments_are_the_sounds_and_pauses_nearest_to_the_threshold():
    """A quiet word, a pause that hardly closes, shorter gaps and clicks, and noise far below."""
    values = np.full(4000, -5.0)
    values[500:1000] = 8
    values[600:610] = values[700:710] = 0.1  # too short to close
    values[1500:1540] = 0.4
    values[2000:2003] = 0.21  # too short to open
    values[2500:2800] = values[2830:3100] = 8
    values[2800:2830] = -0.3
    track = DetectorTrack(values, open_gate(values), 0.2, 0.1, 0.01, 8, 20)
    found = find_unsure_moments(track)
    nearest = sorted(found, key=lambda moment: abs(moment.value))[:2]
    assert [m.kind for m in nearest] == ["sound", "pause"]
    assert [m.value for m in nearest] == pytest.approx([0.3, -0.5])
    assert 15 <= nearest[0].time < 15.4
    assert 28 <= nearest[1].time < 28.3


def test_a_moment_that_decides_nothing_is_not_uncertain():
    """The first word begins quietly; its loud end opens the gate."""
    values = np.full(3000, -9.0)
    values[500:520] = 0.25
    values[600:700] = 8
    values[520:600] = 0.15  # almost closes the gate
    values[2000:2100] = 0.12
    values[2500:2600] = 6
    track = DetectorTrack(values, open_gate(values), 0.2, 0.1, hop_s=0.01)
    found = find_unsure_moments(track, max_distance=1.0)
    assert [(m.kind, round(m.value, 2)) for m in found] == [("pause", 0.05), ("sound", -0.08)]
    assert 5.2 <= found[0].time < 6
    assert 20 <= found[1].time < 21


def test_the_longest_of_equally_uncertain_moments_come_first():
    lengths = [10, 90, 20, 80, 30, 70, 40, 60, 50]
    values = np.full(1000 * len(lengths), -9.0)
    for index, length in enumerate(lengths):
        values[1000 * index : 1000 * index + length] = 0.25 + 0.0001 * length
    found = find_unsure_moments(DetectorTrack(values, open_gate(values), 0.2, 0.1, hop_s=0.01))
    assert [lengths[round(m.time // 10)] for m in found] == [90, 80, 70, 60, 50]


@pytest.mark.parametrize("length", [701, 100_000])
def test_segments_of_sound_do_not_depend_on_the_blocks(length):
    samples = np.random.default_rng(1).integers(-9999, 9999, (20_000, 2), np.int16)
    info = AudioInfo(Path("in.wav"), 8000, 2, len(samples), "WAV", "PCM_16")
    segments = [(0.0, 0.5), (0.75, 2.5)]
    sounds = list(encode_segments(iterate_slices(samples, length), info, segments))
    assert [(s.start_s, s.end_s) for s in sounds] == segments
    for encoded, (start, end) in zip(sounds, [(0, 4000), (6000, 20_000)], strict=True):
        decoded, rate = sf.read(io.BytesIO(base64.b64decode(encoded.data)), dtype="int16")
        assert rate == 8000
        np.testing.assert_array_equal(decoded, samples[start:end])


def test_a_long_segment_is_opus_in_parts(monkeypatch):
    monkeypatch.setattr(sound, "MAX_FLAC_SAMPLES", 0)
    monkeypatch.setattr(sound, "MAX_SOUND_S", 1.0)
    y = np.random.default_rng(1).normal(0, 0.1, (55_000, 3)).astype(np.float32)
    info = AudioInfo(Path("in.wav"), 22050, 3, len(y), "WAV", "FLOAT")
    sounds = list(encode_segments(iterate_slices(y, 7000), info, [(0.0, len(y) / 22050)]))
    assert [s.end_s - s.start_s for s in sounds] == pytest.approx([1, 1, len(y) / 22050 - 2])
    assert {(s.sample_rate, s.channels) for s in sounds} == {(24000, 1)}
    assert all(base64.b64decode(s.data).startswith(b"\x1aE\xdf\xa3") for s in sounds)
    assert sum(len(s.data) for s in sounds) < 42_000


def test_a_sample_rate_that_flac_does_not_support_is_resampled_to_opus():
    y = np.random.default_rng(1).normal(0, 0.1, (100_000, 1)).astype(np.float32)
    for rate, encoded_rate in ((655_350, 655_350), (655_351, 48_000), (3_000_000, 48_000)):
        info = AudioInfo(Path("in.wav"), rate, 1, len(y), "WAV", "FLOAT")
        (encoded,) = encode_segments(iterate_slices(y, 7000), info, [(0.0, len(y) / rate)])
        assert encoded.sample_rate == encoded_rate


@pytest.mark.parametrize("scale", [1e19, 1e37])
def test_the_page_of_samples_whose_power_overflows_holds_finite_numbers(write, tmp_path, scale):
    source = write(scale * loud_and_quiet(), subtype="FLOAT")
    assert run(["analyze", str(source), "--page", str(tmp_path / "a.html"), "-q"]) == 0

    def refuse(constant):
        raise AssertionError(constant)

    json.loads(read_page(tmp_path / "a.html").data, parse_constant=refuse)

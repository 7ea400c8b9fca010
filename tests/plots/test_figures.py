"""What the plots show, read from matplotlib objects."""

import os
import subprocess
import sys
import threading

import matplotlib as mpl
import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, analyze, analyze_file, gate, gate_file
from noisegate_cli.api.overviews import record_array, record_file
from noisegate_cli.gating import cutoffs
from noisegate_cli.plots import style
from noisegate_cli.plots.analysis_figure import draw_analysis
from noisegate_cli.plots.contact_sheet import SheetEntry, draw_contact_sheet
from noisegate_cli.plots.gate_figure import draw_gate
from noisegate_cli.plots.style import FORMATS, format_clock, render
from noisegate_cli.plots.tracks import SpectrogramTrack
from tests.conftest import SPEECH, loud_and_quiet, tone
from tests.files.ffmpeg.test_video import write_film
from tests.zoo import sound

LOUD_AND_QUIET = np.tile(loud_and_quiet(), 2)[:, None]
GATE_TITLES = ["before", "gain", "after", "removed signal"]


def record(y, rate=16000, **changes):
    settings = GateSettings(**changes)
    return record_array(np.atleast_2d(y.T).T, rate, settings, (), with_spectrogram=True)


@pytest.fixture(scope="module")
def speech():
    return record_file(SPEECH, GateSettings(), with_spectrogram=True)


@pytest.fixture(scope="module")
def threshold_gate():
    return record(LOUD_AND_QUIET, threshold="-30dB", range_db=-20.0)


def texts(axes):
    return [axes.get_title(place) for place in ("left", "right")]


def find_panel(figure, title):
    (axes,) = [axes for axes in figure.axes if axes.get_title("left").startswith(title)]
    return axes


def closed_spans(axes):
    """Return the shaded segments of a panel."""
    (spans,) = [
        c for c in axes.collections if type(c).__name__ == "PolyCollection" and not c.zorder > 0.5
    ]
    boxes = [path.get_extents() for path in spans.get_paths()]
    return np.array([[box.x0, box.x1] for box in boxes])


def test_the_overview_describes_the_gate_that_runs(threshold_gate, speech):
    result = gate(LOUD_AND_QUIET, 16000, threshold="-30dB", range_db=-20.0, return_result=True)
    overview = threshold_gate
    assert overview.report.segments == result.segments
    assert overview.after.high.max() == pytest.approx(result.samples.max())
    removed = LOUD_AND_QUIET - result.samples
    assert overview.removed.low.min() == pytest.approx(removed.min())
    assert overview.gain_db.low.min() == pytest.approx(-20)
    assert (overview.opens_above, overview.closes_below) == pytest.approx((-30, -33))
    assert speech.report.segments == gate_segments_of_file(SPEECH)


def gate_segments_of_file(path):
    y, rate = sf.read(path, dtype="int16", always_2d=True)
    return gate(y, rate, return_result=True).segments


def test_open_and_closed_frames_add_up_in_the_histogram(speech):
    split = speech.level_split
    nonsilent = int((split.open + split.closed).sum())
    assert 0 < split.closed.sum() < split.open.sum()
    assert nonsilent <= speech.segments.frames
    loudest_closed = split.edges_db[np.flatnonzero(split.closed)[-1]]
    loudest_open = split.edges_db[np.flatnonzero(split.open)[-1]]
    assert loudest_closed < loudest_open


def test_the_share_of_columns_adds_up_to_the_open_time(speech):
    for columns in (1, 7, 80, 1000):
        share = speech.open_share(columns)
        assert share.shape == (columns,)
        open_s = np.diff(speech.segments.seconds).sum()
        assert share.mean() * speech.duration == pytest.approx(open_s, rel=1e-6)


def test_an_analysis_shows_waveform_levels_scores_and_spectrogram(speech):
    figure = draw_analysis(speech, "name.wav", suggested_db=-32.0)
    closed = 100 * speech.report.statistics.closed_share
    waveform = find_panel(figure, f"waveform, gate closed {closed:.1f}%")
    np.testing.assert_allclose(closed_spans(waveform), speech.closed_seconds, atol=1e-6)
    levels = find_panel(figure, "frame level (RMS)")
    assert levels.get_ylabel() == "dBFS"
    assert texts(levels)[1] == "as a fixed threshold: −32 dBFS"
    scores = find_panel(figure, "automatic detector")
    assert texts(scores)[1] == "opens above 0.2, closes below 0.1 (dashed)"
    spectrogram = find_panel(figure, "spectrogram")
    assert spectrogram.get_ylabel() == "Hz"
    assert spectrogram.get_ylim()[1] == 8000
    for axes in (waveform, levels, scores, spectrogram):
        assert axes.get_xlim() == pytest.approx((0, 11))
    assert figure.get_suptitle().startswith("name.wav · 11.00 s · 16000 Hz mono · noise around −4")


def test_the_labels_of_the_histogram_and_of_the_color_bar_do_not_overlap(speech, threshold_gate):
    for overview in (speech, threshold_gate):
        figure = draw_analysis(overview, "name.wav", suggested_db=-32.0)
        figure.draw_without_rendering()
        (histogram,) = [axes for axes in figure.axes if "per dB" in axes.get_xlabel()]
        (bar,) = [bar for axes in figure.axes for bar in axes.child_axes]
        assert not histogram.xaxis.get_tightbbox().overlaps(bar.get_tightbbox())


def test_an_analysis_is_drawn_without_the_samples_after_the_gate(speech):
    overview = record_file(SPEECH, GateSettings(), with_spectrogram=True, with_output=False)
    assert not len(overview.after.low)
    pictures = [render(draw_analysis(o, "name.wav", -32.0), "png") for o in (speech, overview)]
    assert pictures[0] == pictures[1]


def test_no_thread_outlives_an_overview():
    before = set(threading.enumerate())
    overview = record(LOUD_AND_QUIET, threshold="-30dB")
    assert overview.spectrogram is not None
    assert set(threading.enumerate()) <= before


def test_an_error_in_the_thread_of_the_spectrogram_is_raised(monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    before = set(threading.enumerate())
    monkeypatch.setattr(SpectrogramTrack, "process", fail)
    with pytest.raises(MemoryError, match="no room"):
        record(LOUD_AND_QUIET, threshold="-30dB")
    assert set(threading.enumerate()) <= before


def test_a_threshold_is_drawn_with_its_hysteresis(threshold_gate):
    figure = draw_analysis(threshold_gate, "name.wav")
    levels = find_panel(figure, "frame level (RMS)")
    assert texts(levels)[1] == "opens above −30.0 dBFS, closes below −33.0 dBFS (dashed)"
    lines = {round(line.get_ydata()[0], 1) for line in levels.lines if len(line.get_ydata()) == 2}
    assert {-30.0, -33.0} <= lines
    assert not [axes for axes in figure.axes if axes.get_title("left").startswith("automatic")]


def test_the_levels_name_the_key_band_and_the_drift_that_they_leave_out():
    overview = record(
        np.tile(LOUD_AND_QUIET, (3, 1)), threshold=0.03, adaptive=True, key_hz=(250.0, 4000.0)
    )
    levels = find_panel(draw_analysis(overview, "name.wav"), "frame level (RMS)")
    assert texts(levels)[0] == "frame level (RMS), 250 to 4000 Hz, noise drift removed"


def test_a_gate_shows_before_gain_after_and_the_removed_signal_magnified(threshold_gate):
    figure = draw_gate(threshold_gate, "name.wav")
    panels = figure.axes[:4]
    for axes, title in zip(panels, GATE_TITLES, strict=True):
        assert axes.get_title("left").startswith(title)
    before, gain, after, removed = panels
    assert before.get_ylim() == after.get_ylim()
    assert before.get_ylim()[1] > 0.2 * 2**0.5
    assert "magnified" in removed.get_title("left")
    assert [label.get_text() for label in gain.get_yticklabels()] == ["0", "−10", "−20"]


def test_every_cutoff_is_marked_up_to_a_limit(monkeypatch):
    decay = tone(3, 0.5) * 10 ** (-np.arange(48000) / 16000)
    y = np.tile(np.concatenate([tone(1, 1e-4), decay[:40000], tone(1, 1e-4)]), 12)
    for limit, note in ((200, "12 cut-offs (▲)"), (5, "12 cut-offs (▲ the worst 5)")):
        monkeypatch.setattr(cutoffs, "MAX_MARKED_CUTOFFS", limit)
        panel = find_panel(draw_gate(record(y, threshold="-25dB"), "name.wav"), "before")
        assert panel.get_title("left").endswith(note)
        (marks,) = [line for line in panel.lines if line.get_marker() == "^"]
        assert len(marks.get_xdata()) == min(12, limit)


def test_a_muted_pause_has_a_gain_of_minus_infinity():
    figure = draw_gate(record(LOUD_AND_QUIET, threshold="-30dB"), "name.wav")
    labels = [label.get_text() for label in find_panel(figure, "gain").get_yticklabels()]
    assert labels == ["0", "−30", "−∞"]


def test_a_spectral_gate_shows_both_spectrograms_in_the_same_colors():
    y = LOUD_AND_QUIET + np.random.default_rng(0).normal(0, 0.003, LOUD_AND_QUIET.shape)
    figure = draw_gate(record(y, spectral="soft"), "name.wav")
    before, after = (find_panel(figure, f"spectrogram {when}") for when in ("before", "after"))
    assert before.collections[0].get_clim() == after.collections[0].get_clim()


AWKWARD = {
    "silence": np.zeros((16000, 1)),
    "no samples": np.zeros((0, 1)),
    "one sample": np.full((1, 1), 0.5),
    "always open": tone(2, 0.1)[:, None],
    "full scale": np.ones((4000, 3)),
    "float over full scale": 40 * LOUD_AND_QUIET,
    "float far over full scale": 4e5 * LOUD_AND_QUIET,
    "float whose power overflows": 1e37 * LOUD_AND_QUIET,
    "very quiet": 1e-4 * LOUD_AND_QUIET,
}


CHANGES = ({}, {"threshold": 0.03, "channels": "separate"})


@pytest.mark.parametrize(
    ("name", "changes"),
    [(name, CHANGES[i % 2]) for i, name in enumerate(AWKWARD)],
    ids=list(AWKWARD),
)
def test_awkward_recordings_are_drawn_without_a_warning(name, changes):
    overview = record(AWKWARD[name], **changes)
    for figure in (draw_analysis(overview, name), draw_gate(overview, name)):
        assert figure.axes
        figure.draw_without_rendering()
        assert not [axes for axes in figure.axes if label_overlaps_ticks(axes)]


def label_overlaps_ticks(axes):
    """Return whether the label of the y axis lies on the numbers of its ticks."""
    label = axes.yaxis.label.get_window_extent()
    numbers = [text.get_window_extent() for text in axes.get_yticklabels() if text.get_text()]
    return bool(axes.get_ylabel()) and any(label.overlaps(number) for number in numbers)


def test_a_contact_sheet_of_awkward_recordings_is_drawn_without_a_warning():
    entries = [SheetEntry(name, "all closed", record(y)) for name, y in AWKWARD.items()]
    assert render(draw_contact_sheet(entries, "sheet"), "png").startswith(b"\x89PNG")


HOSTILE_NAME = "$x^2$ \n \x1b[31m 録音 \udcff <b>.wav"


@pytest.mark.parametrize("extension", FORMATS)
def test_a_plot_has_the_format_of_its_extension_and_the_same_bytes_each_time(
    threshold_gate, extension
):
    entry = SheetEntry(HOSTILE_NAME, "clipped", threshold_gate)
    first, second = (render(draw_contact_sheet([entry], HOSTILE_NAME), extension) for _ in range(2))
    assert first == second
    magic = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert first.startswith(magic[extension])


def test_names_are_not_formulas_and_stay_on_one_line(threshold_gate):
    title = draw_gate(threshold_gate, HOSTILE_NAME).get_suptitle()
    assert title.startswith(r"$x^2$ \n \x1b[31m 録音 \udcff <b>.wav · ")


def test_the_style_of_the_user_neither_changes_the_plot_nor_is_changed(threshold_gate):
    entry = SheetEntry("name", "clipped", threshold_gate)
    plain = render(draw_contact_sheet([entry], "sheet"), "png")
    with mpl.rc_context({"axes.facecolor": "black", "text.color": "white", "font.size": 30}):
        assert render(draw_contact_sheet([entry], "sheet"), "png") == plain
        assert mpl.rcParams["axes.facecolor"] == "black"


def luminance(color):
    channels = np.array(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_text_and_lines_are_dark_on_white():
    contrast = {
        name: 1.05 / (luminance(getattr(style, name)) + 0.05)
        for name in ("TEXT", "BLUE", "VERMILION", "GREEN", "NOISE")
    }
    assert contrast.pop("TEXT") > 7
    # The limit of WCAG 2.2 for graphics.
    assert min(contrast.values()) > 3


@pytest.mark.parametrize(
    ("seconds", "step", "label"),
    [(0.25, 0.05, "0.25 s"), (1.5, 0.5, "1.5 s"), (75, 15, "1:15"), (3600, 600, "1:00:00")],
)
def test_times_are_labeled_by_their_step(seconds, step, label):
    assert format_clock(seconds, step) == label


def test_a_contact_sheet_names_the_recordings_and_the_reasons(threshold_gate):
    entries = [SheetEntry(f"{'deep/' * 20}{i}.wav", "cut-offs", threshold_gate) for i in range(3)]
    figure = draw_contact_sheet(entries, "title")
    assert [axes.get_title("right") for axes in figure.axes[:3]] == ["cut-offs, 31% closed"] * 3
    assert all(len(axes.get_title("left")) <= 48 for axes in figure.axes)
    assert figure.axes[2].get_title("left").endswith("/2.wav")
    assert not figure.axes[3].axison


def test_results_of_files_and_arrays_plot_the_same(tmp_path):
    y, rate = sf.read(SPEECH, dtype="int16")
    of_array = gate(y, rate, return_result=True).plot()
    of_file = gate_file(SPEECH, tmp_path / "out.wav").plot()
    for one, other in zip(of_array.axes, of_file.axes, strict=True):
        assert texts(one) == texts(other)
        assert one.get_ylim() == other.get_ylim()
    titles = [axes.get_title("left") for axes in analyze(y, rate).plot().axes]
    assert titles == [axes.get_title("left") for axes in analyze_file(SPEECH).plot().axes]


def test_a_plot_shows_the_track_that_was_gated(tmp_path):
    film = write_film(tmp_path / "film.mkv", tracks=[1.0, 0.25])
    result = gate_file(film, tmp_path / "out.mkv", track=2, threshold=0.001)
    analysis = analyze_file(film, track=2)
    for overview in (result._record(), analysis._record()):
        assert overview.before.high.max() == pytest.approx(0.25 * sound(48000, 1.0).max(), 1e-3)


def test_a_given_noise_is_used_again_for_the_plot():
    rng = np.random.default_rng(0)
    room, hiss = rng.normal(0, 0.01, (2, 32000))
    y = np.tile(tone(1, 0.2), 2) + hiss
    result = gate(y, 16000, threshold=0.1, spectral=True, y_noise=room, return_result=True)
    overview = result._record()
    assert overview.report.noises == result.noises
    assert overview.after.high.max() == pytest.approx(result.samples.max())


def test_drawing_does_not_touch_pyplot_and_needs_no_window_system():
    code = (
        "import sys, numpy as np; from noisegate_cli import gate\n"
        "figure = gate(np.ones(8000), 8000, return_result=True).plot()\n"
        "print(type(figure).__name__, 'matplotlib.pyplot' in sys.modules)"
    )
    environment = {"MPLBACKEND": "TkAgg"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    assert done.stdout == "Figure False\n"


@pytest.mark.parametrize(
    "name", [100 * "W", 100 * "音", 30 * "long name "], ids=["wide", "Chinese", "long"]
)
@pytest.mark.parametrize("draw", [draw_gate, draw_analysis])
def test_the_title_of_a_long_name_fits_and_describes_the_recording(speech, draw, name):
    figure = draw(speech, f"{name}.wav")
    title = figure.get_suptitle()
    with style.own_style():
        figure.canvas.draw()
        (box,) = [t.get_window_extent() for t in figure.texts if t.get_text() == title]
    assert title.endswith("signal around −15 dBFS")
    assert ".wav · 11.00 s" in title
    assert box.x1 <= figure.bbox.x1


def test_silence_is_drawn_on_an_axis_of_full_scale():
    silence = draw_gate(record(np.zeros(16000)), "silence.wav")
    for axes in (find_panel(silence, title) for title in ("before", "after", "removed signal")):
        assert axes.get_ylim() == (-1, 1)


def test_nothing_removed_is_not_magnified():
    always_open = draw_gate(record(tone(1, 0.1), threshold="-80dB"), "tone.wav")
    assert find_panel(always_open, "removed").get_title("left") == "removed signal"

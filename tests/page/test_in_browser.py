"""The page in a real browser: what the user sees, hears, drags, types and saves."""

import json
import shlex
import shutil
import time

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.api.decisions import decide
from noisegate_cli.api.sources import ArraySource
from noisegate_cli.gating.forced import ForcedSegments
from noisegate_cli.gating.gate import Gate
from noisegate_cli.page import sound
from noisegate_cli.page.document import CONTROLS
from noisegate_cli.terminal.cli import run
from tests.conftest import DATA, SPEECH, read
from tests.files.ffmpeg.test_video import write_film

NAME = "a \"b\" 'c' $(d) <img src=x onerror=window.ran=1>.wav"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Return a recording whose path ends the script element and runs another one, if it can."""
    folder = tmp_path_factory.mktemp("page") / "<" / "script><script>window.ran=1<"
    folder.mkdir(parents=True)
    return shutil.copy(SPEECH, folder / NAME)


@pytest.fixture(scope="module")
def speech_page(recording):
    page = recording.parent / "page.html"
    assert run(["analyze", str(recording), "--page", str(page), "-q"]) == 0
    return page


@pytest.fixture
def opened(browser, speech_page):
    """Return the browser with the page of the speech, in a new state."""
    browser.set_screen(1200, 900)
    browser.open(speech_page)
    yield browser
    assert browser.read_errors() == []


def can_play(browser):
    """Return whether a browser has an audio output; Firefox needs a device."""
    return browser.evaluate(
        "Promise.race([new AudioContext().resume().then(() => true),"
        " new Promise((resolve) => setTimeout(() => resolve(false), 1000))])"
    )


@pytest.fixture
def playing(opened):
    """Return the browser with the page of the speech, if it can be played."""
    if not can_play(opened):
        pytest.skip("the browser has no audio output")
    return opened


def command(browser):
    return browser.evaluate("document.getElementById('command').value")


def status(browser):
    return browser.evaluate("document.getElementById('status').textContent")


def setting(browser, name):
    return browser.evaluate(f"ngate.page.state.settings.{name}")


def choose_preset(browser, name):
    browser.evaluate(
        f"(() => {{ const select = document.getElementById('preset'); select.value = '{name}';"
        " select.dispatchEvent(new Event('change')); })()"
    )


def shown_mask(browser):
    """Return the mask that the page shows, shaped (frames, gates)."""
    browser.wait_until("!ngate.page.isUpdating")
    masks = browser.evaluate("ngate.page.state.masks.map((mask) => mask.join('')).join(',')")
    return np.array([[digit == "1" for digit in mask] for mask in masks.split(",")]).T


def gate_by_shown_command(browser, output):
    """Run the command that the page shows, and return the gated samples."""
    assert run([*shlex.split(command(browser))[1:], "-o", str(output), "-q", "-f"]) == 0
    return read(output)


def test_a_page_needs_no_network(chromium, speech_page):
    chromium.open(speech_page)
    urls = chromium.requested_urls()
    assert len(urls) == 1
    assert urls[0].startswith("file://")


def test_nothing_from_the_name_of_a_recording_runs(opened):
    assert opened.evaluate("document.getElementById('name').textContent") == NAME
    assert opened.evaluate("document.title") == f"{NAME} – ngate"
    assert opened.evaluate("window.ran") is None
    assert opened.evaluate("document.querySelectorAll('img').length") == 0
    assert opened.evaluate("document.scripts.length") == 2


def test_an_added_script_is_blocked(browser, speech_page):
    browser.open(speech_page)
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.ran = 1'}))"
    )
    assert browser.evaluate("window.ran") is None
    assert browser.read_errors()


def test_dragging_the_threshold_line_moves_the_gate(opened):
    shown_before = shown_mask(opened)
    x, start, end = opened.evaluate(
        "(() => { const box = document.getElementById('view').getBoundingClientRect();"
        " const y = (db) => box.top + ngate.page.picture.yOfLevel(db);"
        " return [box.left + 500, y(ngate.page.state.settings.threshold_db), y(-18)]; })()"
    )
    opened.drag((x, start), (x, end))
    closed_share = 1 - shown_mask(opened).mean()
    assert closed_share > 1 - shown_before.mean() + 0.05
    assert setting(opened, "detector") == "level"
    threshold = setting(opened, "threshold_db")
    assert abs(threshold + 18) < 2
    assert f"--threshold={threshold:g}dB" in command(opened)
    assert f"Closed {100 * closed_share:.1f}%" in opened.evaluate(
        "document.getElementById('summary').textContent"
    )


def touch(browser, kind, *points):
    touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    browser.send("Input.dispatchTouchEvent", type=kind, touchPoints=touches)


def test_a_finger_drags_the_threshold_and_two_zoom(chromium, speech_page):
    chromium.set_screen(360, 740, touch=True)
    chromium.send("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    chromium.open(speech_page)
    left, top, start, end = chromium.evaluate(
        "(() => { const box = document.getElementById('view').getBoundingClientRect();"
        " const y = (db) => box.top + ngate.page.picture.yOfLevel(db);"
        " return [box.left, box.top, y(ngate.page.state.settings.threshold_db), y(-20)]; })()"
    )
    touch(chromium, "touchStart", (left + 100, start + 6))
    for y in (start + 2, end - 4, end):
        touch(chromium, "touchMove", (left + 100, y))
    touch(chromium, "touchEnd")
    chromium.wait_until("!ngate.page.isUpdating")
    assert abs(setting(chromium, "threshold_db") + 20) < 2
    assert chromium.evaluate("scrollY") == 0

    times = "[100, 200].map((x) => ngate.page.picture.timeAt(x, ngate.page.state.view))"
    before = chromium.evaluate(times)
    touch(chromium, "touchStart", (left + 100, top + 50))
    touch(chromium, "touchStart", (left + 100, top + 50), (left + 200, top + 50))
    touch(chromium, "touchMove", (left + 50, top + 50), (left + 250, top + 50))
    touch(chromium, "touchEnd")
    after = chromium.evaluate(times.replace("100, 200", "50, 250"))
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert chromium.evaluate("ngate.page.state.selection") is None
    chromium.send("Emulation.setTouchEmulationEnabled", enabled=False)


def test_the_focus_stays_in_the_list_of_marks(opened):
    opened.evaluate("ngate.page.addMark(1, 2, 'keep')")
    opened.evaluate("document.querySelector('#marks button').focus()")
    opened.press(",")
    opened.wait_until("!ngate.page.isUpdating")
    assert opened.evaluate("document.activeElement.textContent") == "Remove"


def test_dragging_over_the_waveform_selects_a_segment_to_cut(opened):
    box = opened.evaluate("document.getElementById('view').getBoundingClientRect().toJSON()")
    opened.drag((box["left"] + 100, box["top"] + 50), (box["left"] + 300, box["top"] + 50))
    opened.press("x")
    start, end = (11 * pixel / box["width"] for pixel in (100, 300))
    assert f"--cut=0:0{start:.2f}-0:0{end:.2f}" in command(opened)
    frames = np.arange(int(start * 125) + 1, int(end * 125))
    assert not shown_mask(opened)[frames].any()


def test_one_key_plays_and_others_change_what_is_played(playing):
    playing.press("Space")
    playing.wait_until("ngate.page.player.position > 0.2")
    assert playing.evaluate("document.getElementById('play').textContent") == "Pause"
    for key, listen in (("1", "before"), ("3", "removed"), ("2", "after")):
        playing.press(key)
        assert playing.evaluate("ngate.page.state.listen") == listen
        assert playing.evaluate(f"document.querySelector('[value={listen}]').checked")
    playing.press("m")
    playing.press("ArrowRight")
    playing.wait_until("ngate.page.player.isPlaying && ngate.page.player.position > 1.2")
    playing.press("Space")
    stopped = playing.evaluate("ngate.page.player.position")
    assert not playing.evaluate("ngate.page.player.isPlaying")
    time.sleep(0.1)
    assert playing.evaluate("ngate.page.player.position") == stopped


def heard(browser, listen, start, length):
    """Return the samples that the page plays, of the first channel."""
    return np.array(
        browser.evaluate(
            "(async () => { const { player } = ngate.page; player.openContext();"
            f" const sound = player.findSound({start}); const buffer = await player.decode(sound);"
            f" ngate.page.setListen('{listen}');"
            f" const chunk = player.renderChunk(sound, buffer, {start}, {length});"
            " return Array.from(chunk.getChannelData(0)); })()"
        )
    )


def test_before_after_and_removed_sound_as_the_files_of_the_tool(opened, recording, tmp_path):
    after, removed = tmp_path / "after.wav", tmp_path / "removed.wav"
    gate_file(recording, after, residue=removed)
    start, length = 4.0, 24000
    span = slice(64000, 64000 + length)
    for listen, path in (("before", recording), ("after", after), ("removed", removed)):
        expected = read(path)[span, 0] / 32768
        np.testing.assert_allclose(heard(opened, listen, start, length), expected, atol=1e-4)


def test_matched_loudness_raises_what_is_removed(opened):
    plain = heard(opened, "removed", 4.0, 24000)
    opened.press("m")
    opened.wait_until("ngate.page.matchingGain > 1")
    assert np.abs(heard(opened, "removed", 4.0, 24000)).max() > 3 * np.abs(plain).max()


def test_the_copied_command_gates_as_the_page_shows(opened, recording, tmp_path):
    choose_preset(opened, "music")
    opened.evaluate("ngate.page.changeSetting('hold_ms', 120)")
    opened.evaluate("ngate.page.changeSetting('threshold_db', -27.3)")
    mask = shown_mask(opened)
    opened.press("c")
    opened.wait_until("document.getElementById('status').textContent.includes('copied')")
    if opened.can_read_clipboard:
        assert opened.evaluate("navigator.clipboard.readText()") == command(opened)
    expected = gate_file(
        recording, tmp_path / "expected.wav", preset="music", hold_ms=120, threshold="-27.3dB"
    )
    gated = gate_by_shown_command(opened, tmp_path / "out.wav")
    np.testing.assert_array_equal(gated, read(tmp_path / "expected.wav"))
    np.testing.assert_array_equal(mask, expected.segments.compute_mask())


def test_saved_labels_are_the_open_segments(opened, recording, tmp_path):
    opened.press("s")
    deadline = time.monotonic() + 120
    # A browser creates an empty file first.
    while not any(files := {f.read_text(encoding="utf-8") for f in opened.downloads.glob("*.txt")}):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    rows = [line.split("\t") for text in files for line in text.splitlines()]
    segments = gate_file(recording, tmp_path / "out.wav").segments
    np.testing.assert_allclose([[float(a), float(b)] for a, b, _ in rows], segments.edges[0])
    assert {text for *_, text in rows} == {"open"}


def test_an_uncertain_moment_is_played_and_answered_by_keyboard(playing):
    moments = playing.evaluate("ngate.page.data.moments")
    assert {moment["kind"] for moment in moments[:3]} <= {"sound", "pause"}
    playing.evaluate("document.querySelector('#moments .go').focus()")
    playing.press("Enter")
    playing.wait_until("ngate.page.player.isPlaying")
    assert abs(playing.evaluate("ngate.page.player.position") - moments[0]["time"]) < 1.6
    assert status(playing).startswith("Moment 1 of")
    for kind in ("keep", "cut"):
        playing.press("Tab")
        playing.press("Enter")
        assert f"--{kind}=0:0" in command(playing)
        frame = round(moments[0]["time"] * 125)
        assert shown_mask(playing)[frame, 0] == (kind == "keep")
    assert command(playing).count("=0:0") == 1
    playing.press("Enter")
    assert "=0:0" not in command(playing)


def test_every_control_is_reached_by_tab(opened):
    reached = []
    for _ in range(60):
        opened.press("Tab")
        reached.append(opened.evaluate("document.activeElement.id || document.activeElement.name"))
    expected = {"play", "listen", "match", "seek", "zoom-in", "preset", "detector", "reset"}
    expected |= {"threshold_db", "hold_ms_number", "mute", "from", "keep", "command", "copy"}
    assert expected | {"save"} <= set(reached)


ROLES = {"button", "slider", "spinbutton", "radio", "checkbox", "combobox", "textbox", "image"}


def list_accessible(browser):
    """Return the name, the role and the properties of each node that a screen reader offers."""
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    return [
        (
            node["name"]["value"],
            node["role"]["value"],
            {p["name"]: p["value"].get("value") for p in node["properties"]},
        )
        for node in nodes
        if not node["ignored"] and "name" in node
    ]


def test_a_screen_reader_gets_the_name_the_state_and_the_news(chromium, speech_page):
    chromium.open(speech_page)
    chromium.evaluate("ngate.page.addMark(1, 2, 'keep')")
    chromium.evaluate("ngate.page.changeSetting('threshold_db', -30)")
    chromium.wait_until("!ngate.page.isUpdating")
    nodes = list_accessible(chromium)
    controls = [node for node in nodes if node[1] in ROLES]
    assert len(controls) > 40
    assert all(name.strip() for name, *_ in controls)
    names = [(name, role) for name, role, _ in controls if role not in ("spinbutton", "image")]
    assert len(set(names)) == len(names)
    by_name = {(name, role): properties for name, role, properties in nodes}
    assert by_name["Level above a threshold", "radio"]["checked"] == "true"
    assert by_name["The threshold follows the noise", "checkbox"]["checked"] == "false"
    assert by_name["Mute: closed is silence", "checkbox"]["checked"] == "true"
    assert ("Remove: keep 0:01.00 to 0:02.00", "button") in by_name
    spoken = "[...document.querySelectorAll('[aria-live=polite]')].map((e) => e.textContent)"
    chromium.wait_until(f"{spoken}[0].startsWith('Closed ')")
    live = chromium.evaluate(spoken)
    assert live[1] == "The gate now uses the threshold."


def contrast(one, other):
    """Return the contrast ratio of two colors, as WCAG 2.2 defines it."""

    def luminance(color):
        share = np.array(color) / 255
        return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_and_lines_have_contrast(chromium, speech_page, dark):
    chromium.set_screen(1200, 900, dark=dark)
    chromium.open(speech_page)
    colors = chromium.evaluate(
        "(() => { const context = document.createElement('canvas').getContext('2d');"
        " const style = getComputedStyle(document.documentElement);"
        " return Object.fromEntries('back panel text muted accent on-accent wave level threshold"
        " line cursor keep cut'.split(' ').map((name) => {"
        " context.fillStyle = style.getPropertyValue(`--${name}`); context.fillRect(0, 0, 1, 1);"
        " return [name, [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)]]; })); })()"
    )
    for back in ("back", "panel"):
        assert min(contrast(colors[name], colors[back]) for name in ("text", "muted")) >= 4.5
        for name in ("wave", "level", "threshold", "line", "cursor", "keep", "cut"):
            assert contrast(colors[name], colors[back]) >= 3, name
    assert contrast(colors["accent"], colors["on-accent"]) >= 4.5


def test_no_line_or_shade_is_drawn_over_the_labels_of_the_axes(opened):
    order = opened.evaluate(
        "(() => { const order = []; const { picture, state } = ngate.page;"
        " const { context, colors } = picture; const shapes = [colors.closed, colors.threshold];"
        " context.fillText = (text) => order.push(/(dB|Hz)$/.test(text) ? 'label' : 'text');"
        " context.fillRect = () => shapes.includes(context.fillStyle) && order.push('shape');"
        " context.stroke = () => order.push('shape');"
        " picture.draw(state); return order; })()"
    )
    assert order.count("label") >= 4
    assert order.count("shape") >= 2
    assert "shape" not in order[order.index("label") :]


@pytest.mark.parametrize("width", [320, 360, 1200])
def test_the_names_of_the_lanes_are_not_clipped(chromium, speech_page, width):
    chromium.set_screen(width, 740)
    chromium.open(speech_page)
    ends = chromium.evaluate(
        "(() => { const ends = []; const { picture, state } = ngate.page;"
        " const { context, width } = picture; context.fillText = (text, x, y) =>"
        " y > 18 && ends.push(width - x - context.measureText(text).width);"
        " picture.draw(state); return ends; })()"
    )
    assert len(ends) >= 8
    assert min(ends) >= 0


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_is_printed_in_dark_on_white(browser, speech_page, dark):
    browser.set_screen(1200, 900, dark=dark)
    browser.open(speech_page)
    colors = browser.evaluate(
        "(() => { dispatchEvent(new Event('beforeprint'));"
        " const { canvas, colors } = ngate.page.picture;"
        " const pixel = () => canvas.getContext('2d').getImageData(5, 200, 1, 1).data[0];"
        " const printed = [colors.panel, pixel()]; dispatchEvent(new Event('afterprint'));"
        " return [printed, [ngate.page.picture.colors.panel, pixel()]]; })()"
    )
    (printed, printed_red), (shown, shown_red) = colors
    assert printed == "#ffffff"
    assert printed_red > 200
    assert (shown == "#ffffff", shown_red > 200) == (not dark, not dark)


def test_silence_has_no_list_of_moments(chromium, write_page, write):
    chromium.open(write_page(write(np.zeros(16000))))
    note = chromium.evaluate("document.getElementById('moments-note').textContent")
    assert note == "With the initial settings, no decision of the gate is uncertain."


def test_keys_can_be_switched_off(opened):
    opened.evaluate("document.getElementById('shortcuts').click()")
    opened.press("1")
    assert opened.evaluate("ngate.page.state.listen") == "after"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_the_page_without_scrolling_sideways(chromium, speech_page, dark):
    browser = chromium
    browser.set_screen(360, 740, dark=dark, touch=True)
    browser.open(speech_page)
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    browser.wait_until("!ngate.page.isDrawing")
    red = browser.evaluate(
        "document.getElementById('view').getContext('2d').getImageData(5, 200, 1, 1).data[0]"
    )
    assert red < 60 if dark else red > 200
    assert browser.read_errors() == []


CASES = [
    {},
    {"preset": "hard"},
    {"preset": "field", "threshold": "-34.7dB"},
    {"threshold": "-41.1dB", "hysteresis_db": 5.5, "hold_ms": 137, "min_open_ms": 41},
    {"preset": "music", "lookahead_ms": 77, "min_closed_ms": 333, "threshold": "-25dB"},
    {"threshold": "-38.2dB", "adaptive": True},
]


def page_settings(changes):
    """Return the settings of the page that correspond to those of the library."""
    single = {name: value for name, value in changes.items() if name != "preset"}
    settings = GateSettings.preset(changes.get("preset", "voice"), **single).resolved
    values = {name: getattr(settings, name) for name in CONTROLS}
    values["range_db"] = None if np.isinf(settings.range_db) else settings.range_db
    text = changes.get("threshold")
    values["detector"] = "level" if text else "auto"
    values["threshold_db"] = float(text.removesuffix("dB")) if text else 0
    values["adaptive"] = settings.adaptive
    values["ratio"] = settings.ratio if settings.expands else None
    return values


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("speech_hard.flac", []),
        ("meeting.flac", ["--key", "250-3000"]),
        ("guitar_stereo.flac", ["--channels", "separate"]),
    ],
)
def test_the_page_gates_as_the_tool_does(browser, write_page, tmp_path, name, options):
    browser.open(write_page(DATA / name, *options))
    fixed = {"key_hz": (250, 3000)} if "--key" in options else {}
    fixed |= {"channels": "separate"} if "--channels" in options else {}
    fixed |= {"listen": GateSettings().listen}  # The command of the page says so.
    for changes in CASES:
        settings = json.dumps(page_settings(changes))
        masks = browser.evaluate(
            f"ngate.computeMasks(ngate.page.data, {settings}).map((mask) => mask.join(''))"
        )
        shown = np.array([[digit == "1" for digit in mask] for mask in masks]).T
        result = gate_file(DATA / name, tmp_path / "out.wav", force=True, **fixed, **changes)
        is_equal = shown == result.segments.compute_mask()
        # The drift of an adaptive threshold is not a whole number of steps of the codes.
        assert is_equal.mean() >= (0.999 if changes.get("adaptive") else 1), changes


EXPANDERS = [
    {"threshold": "-32dB", "ratio": 2, "knee_db": 10},
    {"threshold": "-27dB", "ratio": 5, "preset": "music", "range_db": -30},
    {"threshold": "-30dB", "ratio": 3, "preset": "hard", "adaptive": True},
]


def test_an_expander_of_the_page_has_the_gains_of_the_tool(browser, write_page):
    source = DATA / "speech_hard.flac"
    browser.open(write_page(source, "-t", "-32dB", "--ratio", "2", "--knee", "10"))
    assert command(browser).endswith(f"--ratio=2 --knee=10 --threshold=-32dB {source}")
    marks = {"cut": [(1.0, 2.0)], "keep": [(4.0, 4.5)]}
    given = json.dumps([{"start": a, "end": b, "kind": kind} for kind, [(a, b)] in marks.items()])
    samples, rate = sf.read(source, dtype="int16", always_2d=True)
    for changes in EXPANDERS:
        shown = browser.evaluate(
            f"(() => {{ const [s, m] = [{json.dumps(page_settings(changes))}, {given}];"
            " const { data } = ngate.page;"
            " return Array.from(ngate.computeGains(data, s, [], m)[0]); })()"
        )
        single = {name: value for name, value in changes.items() if name != "preset"}
        settings = GateSettings.preset(changes.get("preset", "voice"), **single)
        decision, _ = decide(
            ArraySource(samples, rate),
            settings,
            lambda _: None,
            noises=(),
            forced=ForcedSegments(**marks),
        )
        gains = []
        gate = Gate(decision, rate, on_gains=gains.append)
        gate.process(samples, last=True)
        # A level is rounded to a code, and the ratio magnifies the difference.
        np.testing.assert_allclose(shown, np.concatenate(gains)[:, 0], atol=0.005)


def test_an_expander_needs_the_threshold(opened):
    opened.evaluate("document.getElementById('expander').click()")
    opened.wait_until("!ngate.page.isUpdating")
    assert setting(opened, "detector") == "level"
    assert " --ratio=2 " in command(opened)
    opened.evaluate("document.querySelector('[name=detector][value=auto]').click()")
    assert setting(opened, "ratio") is None
    assert "--ratio" not in command(opened)
    assert status(opened) == "The expander is off: it needs a threshold."


def test_marked_segments_are_those_of_keep_and_cut(opened, recording, tmp_path):
    marks = {"cut": [(1.23, 2.5), (7.0, 7.01)], "keep": [(0.0, 0.1), (3.0, 3.31), (10.9, 11.0)]}
    for kind, spans in marks.items():
        for start, end in spans:
            opened.evaluate(f"ngate.page.addMark({start}, {end}, '{kind}')")
    for preset in ("voice", "music"):
        choose_preset(opened, preset)
        expected = gate_file(
            recording,
            tmp_path / "out.wav",
            preset=preset,
            listen=GateSettings().listen,
            force=True,
            **marks,
        )
        np.testing.assert_array_equal(shown_mask(opened), expected.segments.compute_mask())
        labels = opened.evaluate("ngate.formatLabels(ngate.page.data, ngate.page.state.masks)")
        edges = [line.split("\t")[:2] for line in labels.splitlines()]
        np.testing.assert_allclose(np.array(edges, float), expected.segments.edges[0])


def test_a_long_recording_has_the_sound_around_its_moments(browser, write_page, monkeypatch):
    monkeypatch.setattr(sound, "MAX_WHOLE_S", 10.0)
    monkeypatch.setattr(sound, "MAX_FLAC_SAMPLES", 0)
    monkeypatch.setattr(sound, "MAX_SOUND_S", 1.0)
    monkeypatch.setattr("noisegate_cli.page.moments.SEGMENT_S", 2.0)
    browser.open(write_page(DATA / "speech_easy.flac"))
    sounds = browser.evaluate("ngate.page.data.sounds.map((s) => [s.start_s, s.end_s])")
    moments = browser.evaluate("ngate.page.data.moments.map((m) => m.time)")
    assert sum(end - start for start, end in sounds) < 14
    assert all(any(start <= t < end for start, end in sounds) for t in moments)
    start, end = sounds[0]
    original = read(DATA / "speech_easy.flac")[:, 0] / 32768
    rate = browser.evaluate("ngate.page.data.sample_rate")
    part = original[round(start * rate) : round(end * rate)]
    decoded = heard(browser, "before", start, len(part))
    correlation = np.corrcoef(part, decoded)[0, 1]
    assert correlation > 0.95
    if can_play(browser):
        browser.evaluate(f"void ngate.page.play({start})")
        browser.wait_until(f"ngate.page.player.position > {end + 0.3}")
    gap = next(t for t in np.arange(0, 30, 0.1) if not any(a <= t < b for a, b in sounds))
    browser.evaluate(f"void ngate.page.play({gap})")
    assert "no audio there" in status(browser)
    assert browser.read_errors() == []


def test_times_of_a_video_count_from_its_start(browser, write_page, tmp_path):
    film = write_film(tmp_path / "film.mkv", start=0.5, seconds=3.0)
    browser.open(write_page(film, "-t", "0.03"))
    position = browser.evaluate("document.getElementById('position').value")
    assert position.startswith("0:00.50, ")
    for name, seconds in (("from", 1), ("to", 1.25)):
        browser.evaluate(f"document.getElementById('{name}').value = {seconds}")
    browser.evaluate("document.getElementById('to').dispatchEvent(new Event('change'))")
    browser.evaluate("document.getElementById('keep').click()")
    assert " --keep=0:01.00-0:01.25 " in command(browser)
    result = gate_file(film, tmp_path / "out.mkv", threshold=0.03, keep=[(1.0, 1.25)])
    np.testing.assert_array_equal(shown_mask(browser), result.segments.compute_mask())
    labels = browser.evaluate("ngate.formatLabels(ngate.page.data, ngate.page.state.masks)")
    edges = np.array([line.split("\t")[:2] for line in labels.splitlines()], float)
    np.testing.assert_allclose(edges, result.segments.seconds + 0.5, atol=1e-3)

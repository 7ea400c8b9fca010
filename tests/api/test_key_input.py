"""Another recording as the key."""

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import SettingsError, gate, gate_file
from noisegate_cli.api.key_input import KeyTrack
from noisegate_cli.errors import AudioError, OutputError
from noisegate_cli.samples import from_db
from tests.conftest import SPEECH, read

RATE = 16000
BURSTS_S = ((1.0, 2.0), (3.5, 4.5))
LENGTH_S = 6.0
GATE = {"threshold": "-30dB"}


def make_bursts(rate=RATE, length_s=LENGTH_S, level=0.3, shift_s=0.0):
    """Return noise that is loud in `BURSTS_S`."""
    y = np.random.default_rng(3).normal(0, 1, round(length_s * rate)) * 1e-4
    for start, end in BURSTS_S:
        y[round((start + shift_s) * rate) : round((end + shift_s) * rate)] *= level / 1e-4
    return y


def make_music(length_s=LENGTH_S, rate=RATE):
    t = np.arange(round(length_s * rate)) / rate
    return 0.1 * np.sin(2 * np.pi * 440 * t)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sf.write("music.wav", make_music(), RATE, "FLOAT")
    sf.write("voice.wav", make_bursts(), RATE, "FLOAT")
    return tmp_path


def closed_share(y, out, start_s, end_s, rate=RATE):
    part = slice(round(start_s * rate), round(end_s * rate))
    return np.mean(np.abs(out[part]) < 1e-3 * np.abs(y[part]) + 1e-12)


def test_the_key_opens_the_gate_where_it_sounds(files):
    result = gate_file("music.wav", "out.wav", key="voice.wav", **GATE)
    y, out = read(files / "music.wav"), read(files / "out.wav")
    for start, end in BURSTS_S:
        part = slice(round(start * RATE), round(end * RATE))
        assert np.array_equal(out[part], y[part])
    assert closed_share(y, out, 2.3, 3.2) == closed_share(y, out, 5, 6) == 1
    assert result.segments.seconds == pytest.approx(np.array(BURSTS_S), abs=0.12)
    assert result.key == KeyTrack(path=result.key.path, alignment=None)
    assert not result.cutoffs.count


def test_ducking_attenuates_the_music_under_the_voice(files):
    result = gate_file("music.wav", "out.wav", key="voice.wav", duck=True, range_db=-12, **GATE)
    y, out = read(files / "music.wav"), read(files / "out.wav")
    for start, end in BURSTS_S:
        part = slice(round(start * RATE), round(end * RATE))
        np.testing.assert_allclose(out[part], y[part] * from_db(-12), atol=1e-7)
    assert np.array_equal(out[36000:50000], y[36000:50000])
    assert result.statistics.openings == 3


@pytest.mark.parametrize(("rate", "name"), [(44100, "k.flac"), (8000, "k.wav"), (48000, "k.mp3")])
def test_the_key_may_have_another_format_and_rate(files, rate, name):
    sf.write(name, make_bursts(rate), rate)
    result = gate_file("music.wav", "out.wav", key=name, **GATE)
    assert result.segments.seconds == pytest.approx(np.array(BURSTS_S), abs=0.15)


def test_a_copy_of_the_recording_as_the_key_gives_the_same_samples(files):
    sf.write("copy.wav", sf.read(SPEECH, dtype="int16")[0], sf.info(SPEECH).samplerate)
    for changes in ({}, {"threshold": "-35dB"}, {"threshold": 0.02, "ratio": 3}):
        plain = gate_file(SPEECH, "plain.wav", range_db=-30, force=True, **changes)
        keyed = gate_file(SPEECH, "keyed.wav", key="copy.wav", range_db=-30, force=True, **changes)
        assert keyed.key.alignment.start_s == pytest.approx(0, abs=1e-4)
        assert read(files / "keyed.wav").tobytes() == read(files / "plain.wav").tobytes()
        assert keyed.threshold == plain.threshold


def test_a_key_that_starts_at_another_time_is_aligned(files):
    y, rate = sf.read(SPEECH)
    sf.write("late.wav", y[round(1.5 * rate) :], rate)
    plain = gate_file(SPEECH, "plain.wav", **GATE)
    keyed = gate_file(SPEECH, "keyed.wav", key="late.wav", **GATE)
    assert keyed.key.alignment.start_s == pytest.approx(1.5, abs=0.002)
    after = plain.segments.seconds[plain.segments.seconds[:, 0] > 1.6]
    assert keyed.segments.seconds[-len(after) :] == pytest.approx(after, abs=0.04)
    assert keyed.segments.seconds.min() > 1.3


@pytest.mark.parametrize("length_s", [2.0, 9.0])
def test_outside_a_key_of_another_length_the_gate_is_closed(files, length_s):
    sf.write("key.wav", np.full(round(length_s * RATE), 0.5), RATE)
    gate_file("music.wav", "out.wav", key="key.wav", **GATE)
    y, out = read(files / "music.wav"), read(files / "out.wav")
    assert len(out) == len(y)
    kept = slice(0, round(min(length_s, LENGTH_S) * RATE) - 512)
    assert np.array_equal(out[kept], y[kept])
    if length_s < LENGTH_S:
        assert closed_share(y, out, length_s + 0.2, LENGTH_S) == 1


def test_outside_a_key_ducking_leaves_the_recording_unchanged(files):
    sf.write("key.wav", np.full(2 * RATE, 0.5), RATE)
    gate_file("music.wav", "out.wav", key="key.wav", duck=True, **GATE)
    y, out = read(files / "music.wav"), read(files / "out.wav")
    assert np.array_equal(out[36000:], y[36000:])


def test_a_band_of_the_key_opens_the_gate(files):
    t = np.arange(round(LENGTH_S * RATE)) / RATE
    hum = 0.3 * np.sin(2 * np.pi * 100 * t)
    sf.write("hum.wav", hum + make_bursts(), RATE)
    result = gate_file("music.wav", "out.wav", key="hum.wav", key_hz=(500, 4000), **GATE)
    assert result.segments.seconds == pytest.approx(np.array(BURSTS_S), abs=0.12)


def test_the_automatic_detector_is_applied_to_the_key(files):
    y, rate = sf.read(SPEECH)
    sf.write("music.wav", make_music(len(y) / rate, rate), rate)
    result = gate_file("music.wav", "out.wav", key=SPEECH)
    plain = gate_file(SPEECH, "plain.wav")
    assert result.suggestion == plain.suggestion
    assert np.array_equal(result.segments.seconds, plain.segments.seconds)


def test_the_plot_of_a_result_shows_the_effect_of_the_key(files):
    result = gate_file("music.wav", "out.wav", key="voice.wav", **GATE)
    overview = result._record()
    assert np.array_equal(overview.segments.seconds, result.segments.seconds)


@pytest.mark.parametrize("changes", [GATE, GATE | {"ratio": 3.0}, {"threshold": "auto"}])
def test_a_plot_is_drawn_where_the_key_is_shorter(files, changes):
    sf.write("key.wav", make_bursts()[: 4 * RATE], RATE)
    result = gate_file("music.wav", "out.wav", key="key.wav", plot="out.png", **changes)
    assert (files / "out.png").stat().st_size > 1000
    assert result.segments.seconds.max() < 4.3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": "separate"}, "a key opens all of them"),
        ({"spectral": True}, "a key has other pauses"),
        ({"target_floor_db": -60}, "give range_db="),
        ({"segments": [(0, 1)]}, "give one of them"),
        ({"key": "-"}, "standard input can be read only once"),
        ({"keep": [(0, 1)], "duck": True}, "omit duck=True"),
    ],
)
def test_contradictions_are_refused_before_anything_is_written(files, changes, message):
    with pytest.raises(SettingsError, match=message):
        gate_file("music.wav", "out.wav", **GATE | {"key": "voice.wav"} | changes)
    assert not (files / "out.wav").exists()


def test_a_key_that_cannot_be_used_is_named(files):
    (files / "text.wav").write_text("no sound")
    sf.write("nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    for name in ("text.wav", "missing.wav", "nan.wav"):
        with pytest.raises(AudioError, match=name):
            gate_file("music.wav", "out.wav", key=name, **GATE)
    with pytest.raises(AudioError, match=r"voice\.wav.*is above half the sample rate"):
        gate_file("music.wav", "out.wav", key="voice.wav", key_hz=(9000, 9500), **GATE)
    with pytest.raises(OutputError, match="the key"):
        gate_file("music.wav", "voice.wav", key="voice.wav", force=True, **GATE)
    assert not (files / "out.wav").exists()


def test_arrays_take_a_key_too(files):
    music, voice = make_music(), make_bursts()
    gate_file("music.wav", "out.wav", key="voice.wav", duck=True, range_db=-12, **GATE)
    settings = {"duck": True, "range_db": -12, **GATE}
    y, key = (read(files / name) for name in ("music.wav", "voice.wav"))
    assert np.array_equal(gate(y, RATE, key=key, **settings), read(files / "out.wav"))
    result = gate(music[None], RATE, key=voice, axis=-1, return_result=True, **GATE)
    assert result.key == KeyTrack(None, None)
    assert result.segments.seconds == pytest.approx(np.array(BURSTS_S), abs=0.12)
    assert "shape" in result._repr_html_()
    with pytest.raises(SettingsError, match="cannot be drawn"):
        result.plot()


def test_a_key_in_an_array_is_aligned():
    y, rate = sf.read(SPEECH)
    result = gate(y, rate, key=y[rate:], return_result=True, **GATE)
    assert result.key.alignment.start_s == pytest.approx(1, abs=0.002)


def test_errors_name_a_key_in_an_array():
    with pytest.raises(AudioError, match="key: it has NaN"):
        gate(make_music(), RATE, key=np.full(RATE, np.nan), **GATE)


def test_the_key_is_gated_against_other_tracks_first(files):
    with pytest.raises(SettingsError, match="gate the key against the other tracks first"):
        gate_file("music.wav", "out.wav", key="voice.wav", against=["voice.wav"], **GATE)

"""The default gate and the presets preserve the signal of real recordings."""

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, analyze, gate, segments
from noisegate_cli.gating.detection.verdict import Verdict
from tests.benchmarks.quality import recordings, score
from tests.conftest import DATA, GUITAR, SPEECH

MIXTURES = {path.stem: (path, truth) for path, truth in recordings(DATA)}


def load(path):
    return sf.read(path, always_2d=True)


def level_change_db(before, after):
    return 10 * np.log10((after**2).sum() / (before**2).sum())


def cut(y, rate, start, end):
    return y[round(start * rate) : round(end * rate)]


# Minimum balanced, maximum lost and maximum onset, in percent.
REQUIRED_SCORES = {
    "speech_easy": (99.5, 0.5, 0),
    "speech_hard": (99, 0.5, 3),
    "speech_drift": (99, 1, 10),
    "meeting": (99, 0.5, 0),
}


def test_every_recording_with_ground_truth_is_scored():
    assert set(MIXTURES) == set(REQUIRED_SCORES)


@pytest.mark.parametrize("name", REQUIRED_SCORES)
def test_speech_passes_and_pauses_close(name):
    path, truth = MIXTURES[name]
    y, rate = load(path)
    result = score(name, y, gate(y, rate), rate, truth)
    balanced, lost, onset = REQUIRED_SCORES[name]
    assert result.balanced >= balanced
    assert result.lost <= lost
    assert result.onset <= onset


@pytest.mark.parametrize("gain", [0.1, 10])
def test_20_db_more_or_less_do_not_change_the_accuracy(gain):
    path, truth = MIXTURES["speech_drift"]
    y, rate = load(path)
    assert score("", gain * y, gate(gain * y, rate), rate, truth).balanced >= 99


def test_digital_silence_around_and_inside_does_not_change_the_accuracy():
    path, truth = MIXTURES["speech_hard"]
    y, rate = load(path)
    start, end = truth["pauses"][1]
    middle = round((start + end) / 2 * rate)
    silence = np.zeros((2 * rate, 1))
    out = gate(np.concatenate([silence, y[:middle], silence, y[middle:]]), rate)
    out = np.concatenate([out[len(silence) :][:middle], out[middle + 2 * len(silence) :]])
    assert score("", y, out, rate, truth).balanced >= 98


def test_two_rooms_in_one_recording_are_gated_accurately():
    parts = [MIXTURES[name] for name in ("speech_easy", "speech_drift")]
    originals = [load(path)[0] for path, _ in parts]
    out = gate(np.concatenate(originals), 16000)
    outputs = np.split(out, [len(originals[0])])
    for (_, truth), y, part in zip(parts, originals, outputs, strict=True):
        assert score("", y, part, 16000, truth).balanced >= 97


def test_sixty_hertz_hum_does_not_hold_the_gate_open():
    path, truth = MIXTURES["speech_easy"]
    y, rate = load(path)
    t = np.arange(len(y))[:, None] / rate
    hum = sum(10 ** (-4 * k / 20) * np.sin(2 * np.pi * 60 * k * t + k) for k in range(1, 8))
    y = y + 0.01 * hum / np.sqrt(np.mean(hum**2))
    assert score("", y, gate(y, rate), rate, truth).balanced >= 97


def test_a_historic_speech_with_hum_keeps_its_words_and_closes_its_pauses():
    y, rate = load(SPEECH)
    out = gate(y, rate)
    assert level_change_db(y, out) > -0.02
    for start, end in [(0.05, 0.2), (2.4, 3.1), (4.7, 5.2), (7.7, 8)]:
        assert not cut(out, rate, start, end).any()


def test_a_robin_keeps_its_song_and_the_background_is_attenuated():
    y, rate = load(DATA / "robin.ogg")
    out = gate(y, rate, settings=GateSettings.preset("field"))
    assert np.array_equal(cut(out, rate, 0.15, 2.2), cut(y, rate, 0.15, 2.2))
    assert level_change_db(y[: rate // 50], out[: rate // 50]) < -20


def test_toads_keep_their_calls_and_the_gap_between_them_is_attenuated():
    y, rate = load(DATA / "toads.flac")
    out = gate(y, rate, settings=GateSettings.preset("field"))
    for start, end in [(0, 2), (4, 5)]:
        assert np.array_equal(cut(out, rate, start, end), cut(y, rate, start, end))
    assert level_change_db(cut(y, rate, 3, 3.5), cut(out, rate, 3, 3.5)) < -20
    assert level_change_db(y, out) > -0.25


def test_the_music_preset_preserves_the_decay_of_a_guitar():
    y, rate = load(GUITAR)
    assert level_change_db(y, gate(y, rate, settings=GateSettings.preset("music"))) > -0.01


@pytest.mark.parametrize("quiet_db", [0, -14])
def test_continuous_music_with_quiet_passages_is_unchanged(quiet_db):
    rate, note_s = 22050, 0.25
    rng = np.random.default_rng(0)
    t = np.arange(round(note_s * rate)) / rate
    vibrato = 0.3 * np.sin(2 * np.pi * 5 * t)
    chords = [(220, 277, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247)]
    notes = []
    for i in range(48):
        loudness = 0.2 if i % 16 < 8 else 0.2 * 10 ** (quiet_db / 20)
        waves = [
            np.sin(2 * np.pi * k * hz * t + k * vibrato) / k
            for hz in chords[rng.integers(4)]
            for k in range(1, 6)
        ]
        notes.append(loudness * np.sum(waves, axis=0))
    y = np.concatenate(notes)
    y += rng.normal(0, 1e-4, len(y))
    assert np.array_equal(gate(y, rate), y)


def test_a_recording_with_a_dc_offset_is_unchanged():
    # A gate would switch the offset on and off, which is audible as a thump.
    y, rate = load(DATA / "humpback_offset.flac")
    assert np.array_equal(gate(y, rate), y)
    assert analyze(y, rate).suggestion.verdict is Verdict.LOW_CONTRAST


@pytest.mark.parametrize("rate", [8000, 44100])
def test_noise_alone_is_silenced(rate):
    assert not gate(np.random.default_rng(1).normal(0, 0.05, 8 * rate), rate).any()


def test_speech_without_pauses_stays_open():
    y, rate = load(MIXTURES["speech_easy"][0])
    inside = cut(y, rate, 4.15, 6.75)
    assert level_change_db(inside, gate(inside, rate)) > -0.01


@pytest.mark.parametrize(
    "settings", [{"preset": "music"}, {"threshold": "floor+6dB", "key_hz": (1000, 4000)}]
)
def test_the_gate_is_closed_in_a_hum_at_the_beginning_and_at_the_end(settings):
    y, rate = sf.read(SPEECH)
    y = np.pad(y, 2 * rate)
    t = np.arange(len(y)) / rate
    hum = sum(0.02 / k * np.cos(2 * np.pi * 50 * k * t) for k in (1, 2, 3, 5))
    noise = np.random.default_rng(0).normal(0, 2e-4, len(y))
    found = list(segments(y + hum + noise, rate, **settings))
    assert found[0][0] > 1
    assert found[-1][1] < t[-1] - 1

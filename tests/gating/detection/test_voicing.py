"""What is voiced, and what becomes of sounds far from any voice."""

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, gate
from noisegate_cli.gating.detection.voicing import (
    MIN_PERIODICITY,
    VoicingDetector,
    create_voiced_runs,
)
from tests.conftest import DATA

RATE = 16000
RNG = np.random.default_rng(5)


def vowel(seconds, pitch_hz=120.0, rate=RATE):
    """Return pulses through two resonances, as in a vowel, with an RMS of 0.1."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * pitch_hz * (t + 0.01 * np.sin(2 * np.pi * 3 * t) / (2 * np.pi))
    y = np.zeros(len(t))
    for harmonic in range(1, int(3500 / pitch_hz)):
        hz = harmonic * pitch_hz
        gain = 1 / (1 + ((hz - 600) / 150) ** 2) + 0.3 / (1 + ((hz - 1800) / 250) ** 2)
        y += gain * np.cos(harmonic * phase)
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
    return 0.1 * y * fade / y.std()


def knock(seconds=0.15, rate=RATE):
    t = np.arange(round(seconds * rate)) / rate
    return 0.3 * RNG.normal(0, 1, len(t)) * np.exp(-t / 0.03)


def chirp(seconds, rate=RATE):
    t = np.arange(round(seconds * rate)) / rate
    return 0.1 * np.sin(2 * np.pi * (3000 * t + 250 * t**2 / seconds))


def find_voiced_frames(y, rate=RATE):
    detector = VoicingDetector(rate, channels=1)
    voicing = detector.process(np.asarray(y)[:, None], last=True)
    runs = create_voiced_runs(detector.hop_length / rate)
    return runs.process(voicing.periodicity > MIN_PERIODICITY, last=True)[:, 0]


def share_voiced(y, rate=RATE):
    return find_voiced_frames(y, rate)[4:-4].mean()


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("pitch_hz", [80, 150, 380])
def test_a_vowel_is_voiced_at_every_sample_rate(pitch_hz, rate):
    assert share_voiced(vowel(1, pitch_hz, rate), rate) > 0.95


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_noise_clicks_and_chirps_are_not_voiced(rate):
    noise = RNG.normal(0, 0.1, 10 * rate)
    assert share_voiced(noise, rate) < 0.02
    clicks = np.zeros(2 * rate)
    clicks[np.sort(RNG.choice(len(clicks), 8))] = 0.9
    assert share_voiced(clicks + 0.001 * noise[: len(clicks)], rate) < 0.02
    assert share_voiced(chirp(1, rate) + 0.02 * noise[:rate], rate) < 0.02
    assert share_voiced(knock(1, rate), rate) < 0.02


@pytest.mark.parametrize("rate", [2, 100, 1000, 2400])
def test_very_low_sample_rates_are_accepted(rate):
    voicing = VoicingDetector(rate, 1).process(np.ones((50, 1)), last=True)
    assert all(np.isfinite(values).all() for values in voicing)


def test_the_level_does_not_matter():
    y = vowel(1) + RNG.normal(0, 0.02, RATE)
    assert np.array_equal(*(find_voiced_frames(gain * y) for gain in (1, 1e-4)))


def hum(seconds, hz=60.0, rate=RATE):
    """Return harmonics of the mains frequency with an RMS of 0.1."""
    t = np.arange(round(seconds * rate)) / rate
    y = sum(10 ** (-4 * k / 20) * np.sin(2 * np.pi * hz * k * t + k) for k in range(1, 12))
    return 0.1 * y / y.std()


@pytest.mark.parametrize("hz", [50, 58, 60, 65, 100, 120])
def test_hum_is_not_voiced_and_does_not_hide_a_voice(hz):
    y = hum(6, hz) + RNG.normal(0, 0.001, 6 * RATE)
    voiced = find_voiced_frames(y)
    # Frames beyond either end are partly silent, and tones there are not steady.
    assert voiced[40:-40].mean() < 0.02
    y[3 * RATE : 4 * RATE] += vowel(1)
    voiced = find_voiced_frames(y)
    seconds = np.arange(len(voiced)) * 0.016
    assert voiced[(seconds > 3.1) & (seconds < 3.9)].mean() > 0.9


def place(parts, seconds):
    """Return noise that contains sounds, each with its time in seconds."""
    y = RNG.normal(0, 0.001, round(seconds * RATE))
    for start, part in parts:
        at = round(start * RATE)
        y[at : at + len(part)] += part
    return y


WORDS = [(start, vowel(0.6, pitch)) for start, pitch in ((1, 110), (4, 130), (7, 120), (10, 125))]
KNOCKS = [(start, knock()) for start in (2.7, 5.6, 8.8)]


def is_kept(y, out, start, seconds):
    span = slice(round(start * RATE), round((start + seconds) * RATE))
    return np.array_equal(out[span], y[span])


@pytest.mark.parametrize(("listen", "kept"), [("voice", False), ("all", True)])
def test_a_knock_between_words_is_closed_only_on_request(listen, kept):
    y = place(WORDS + KNOCKS, 12)
    out = gate(y, RATE, listen=listen)
    assert all(is_kept(y, out, start, 0.6) for start, _ in WORDS)
    for start, _ in KNOCKS:
        assert is_kept(y, out, start, 0.05) == kept


def test_sounds_in_a_recording_that_was_gated_before_are_kept():
    y = place(WORDS + KNOCKS, 12)
    for start in (0, 3, 6, 9):
        y[round((start + 0.1) * RATE) : round((start + 0.6) * RATE)] = 0
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start, 0.05) for start, _ in KNOCKS)


@pytest.mark.parametrize("silence_s", [0.0, 0.6])
def test_faint_ends_of_words_are_kept_in_a_recording_that_was_gated_before(silence_s):
    tails = [(start + 0.6, RNG.normal(0, 0.0032, round(0.3 * RATE))) for start, _ in WORDS]
    y = place([(start, 0.1 * word) for start, word in WORDS] + tails, 12)
    for start, _ in WORDS:
        y[round((start + 1.2) * RATE) : round((start + 1.2 + silence_s) * RATE)] = 0
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start + 0.7, 0.2) == (silence_s > 0) for start, _ in WORDS)


def test_a_fricative_before_a_vowel_is_kept():
    hiss = 0.05 * np.diff(RNG.normal(0, 1, round(0.2 * RATE) + 1))
    y = place([*WORDS, *KNOCKS, *[(start - 0.2, hiss) for start, _ in WORDS]], 12)
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start - 0.19, 0.79) for start, _ in WORDS)


@pytest.mark.parametrize("sound", [knock, lambda: chirp(0.3)])
def test_sounds_without_any_voice_are_kept(sound):
    y = place([(start, sound()) for start in (1, 2.7, 5.6, 8.8)], 12)
    np.testing.assert_array_equal(gate(y, RATE, listen="voice"), gate(y, RATE, listen="all"))


def test_drums_that_fill_the_time_between_voices_are_kept():
    """Evidence that would close on most of the loud sounds takes a melody for a voice."""
    fade = np.exp(-np.arange(round(0.12 * RATE)) / RATE / 0.1)
    drums = [
        (start, 0.1 * RNG.normal(0, 1, len(fade)) * fade)
        for start in np.arange(0.1, 12.5, 0.2)
        if not any(word - 0.35 < start < word + 0.7 for word, _ in WORDS)
    ]
    y = place(WORDS + drums, 13)
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start + 0.01, 0.04) for start, _ in drums)
    few = drums[::4]
    y = place(WORDS + few, 13)
    out = gate(y, RATE, listen="voice")
    assert not any(is_kept(y, out, start + 0.01, 0.04) for start, _ in few)


def test_a_key_band_defines_what_counts():
    y = place(WORDS + KNOCKS, 12)
    out = gate(y, RATE, listen="voice", key_hz=(200, 6000))
    assert all(is_kept(y, out, start, 0.05) for start, _ in KNOCKS)


@pytest.mark.parametrize("name", ["robin.ogg", "toads.flac", "guitar_stereo.flac"])
def test_animals_and_instruments_are_not_affected(name):
    y, rate = sf.read(DATA / name)
    np.testing.assert_array_equal(gate(y, rate, listen="voice"), gate(y, rate, listen="all"))


def test_pauses_that_quieter_song_fills_are_closed():
    words = [(start, vowel(0.4)) for start in (1, 4, 7, 10)]
    songs = [(start + 1.0, 0.2 * chirp(1.6)) for start, _ in words]
    y = place(words + songs, 14)
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start, 0.4) for start, _ in words)
    assert not any(is_kept(y, out, start + 0.4, 0.8) for start, _ in songs)


def test_voiced_notes_without_unvoiced_sounds_are_not_speech():
    notes = [vowel(0.7, hz) for hz in (220, 262, 330, 880, 294, 247)]
    y = place([(1 + 1.5 * k, note) for k, note in enumerate(notes)], 11)
    np.testing.assert_array_equal(gate(y, RATE, listen="voice"), gate(y, RATE, listen="all"))


def test_each_separate_channel_is_judged_by_its_own_voices():
    settings = GateSettings(channels="separate", listen="voice")
    y = np.stack([place(WORDS + KNOCKS, 12), place(KNOCKS, 12)], axis=1)
    out = gate(y, RATE, settings=settings)
    assert not is_kept(y[:, 0], out[:, 0], 2.7, 0.05)
    assert is_kept(y[:, 1], out[:, 1], 2.7, 0.05)


def test_events_that_resemble_speech_do_not_close_on_speech():
    def fricative():
        return np.diff(RNG.normal(0, 0.05, 2401))

    hisses = [(start, fricative()) for start in (2.7, 5.6, 8.8)]
    words = [(start, np.concatenate([fricative(), word])) for start, word in WORDS]
    y = place(words + hisses, 12)
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start + 0.01, 0.73) for start, _ in WORDS)
    assert not any(is_kept(y, out, start, 0.15) for start, _ in hisses)


def test_a_voice_that_the_noise_nearly_hides_is_kept():
    # The second voice is 12 dB below the first one, and 6 dB below the noise, which rises by 6 dB.
    rng = np.random.default_rng(1)
    fricative = np.diff(rng.normal(0, 0.07, 4801))
    loud = [(start, np.r_[fricative, vowel(0.6, 130)]) for start in (1, 2.2, 4, 5.2, 7, 8.2)]
    quiet = [(start, 0.25 * vowel(0.6, 110)) for start in np.arange(11, 22, 0.8)]
    noise = rng.normal(0, 0.05, 24 * RATE)
    y = place(loud + quiet, 24) + noise * 10 ** (np.linspace(-6, 0, len(noise)) / 20)
    out = gate(y, RATE, listen="voice")
    assert np.mean([is_kept(y, out, start + 0.1, 0.4) for start, _ in quiet]) > 0.6
    assert not is_kept(y, out, 0.1, 0.5)


def test_voices_that_the_noise_nearly_hides_are_kept_in_a_short_recording():
    rng = np.random.default_rng(1)
    loud = [(0.3, np.r_[np.diff(rng.normal(0, 0.07, 4801)), vowel(0.6, 130)])]
    quiet = [(start, 0.3 * vowel(0.6, 110)) for start in (1.6, 2.4, 3.2)]
    y = place(loud + quiet, 5)
    y += rng.normal(0, 0.05, len(y))
    out = gate(y, RATE, listen="voice")
    assert all(is_kept(y, out, start + 0.1, 0.4) for start, _ in quiet)
    assert not is_kept(y, out, 0.02, 0.15)


@pytest.mark.parametrize("gain_db", [-20, 20])
def test_the_level_of_a_recording_does_not_change_what_is_closed(gain_db):
    y = place(WORDS + KNOCKS, 12)
    gain = 10 ** (gain_db / 20)
    out, scaled = gate(y, RATE, listen="voice"), gate(gain * y, RATE, listen="voice")
    np.testing.assert_allclose(scaled, gain * out, atol=1e-6 * gain)

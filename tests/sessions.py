"""Sessions of several microphones, made from the voices in `tests/data`."""

import numpy as np
import soundfile as sf

from noisegate_cli.samples import Samples
from tests.conftest import DATA

RATE = 16000
VOICES = ("speech_easy.flac", "jfk_1961.wav", "speech_drift.flac")
TURN_S, GAP_S, OVERLAP_S = 2.2, 0.4, 1.4
NOISE_RMS, VOICE_RMS = 3e-4, 0.05


def make_own_tracks(talkers: int = 2, turns: int = 6) -> list[Samples]:
    """Return what each talker says: turns, of which every third one overlaps with the next."""
    voices = [sf.read(DATA / name)[0] for name in VOICES[:talkers]]
    length, start, places = round(TURN_S * RATE), RATE // 2, [0] * talkers
    own = np.zeros((talkers, RATE + turns * round((TURN_S + GAP_S) * RATE)))
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 800)
    for turn in range(turns):
        talker = turn % talkers
        part = voices[talker][places[talker] :][:length]
        part = part * fade[: len(part)] * VOICE_RMS / np.sqrt(np.mean(part**2))
        own[talker, start : start + len(part)] += part
        places[talker] = (places[talker] + length) % (len(voices[talker]) - length)
        start += length + round((-OVERLAP_S if turn % 3 == 2 else GAP_S) * RATE)
    return list(own)


def make_room(rng: np.random.Generator, bleed_db: float, decay_s: float = 0.3) -> Samples:
    """Return an impulse response from one talker to the microphone of another one."""
    t = np.arange(round(decay_s * RATE)) / RATE
    response = rng.normal(0, 1, len(t)) * 10 ** (-3 * t / decay_s)
    response *= np.sqrt(0.5 / np.sum(response**2))
    response[0] += np.sqrt(0.5)
    delay = int(rng.uniform(0.003, 0.009) * RATE)
    return np.concatenate([np.zeros(delay), response]) * 10 ** (bleed_db / 20)


def make_session(
    bleed_db: float, talkers: int = 2, seed: int = 1, decay_s: float = 0.3
) -> tuple[list[Samples], list[Samples]]:
    """Return the tracks of all microphones, and what each talker says; float, mono, 16 kHz."""
    rng, own = np.random.default_rng(seed), make_own_tracks(talkers)
    tracks = []
    for i in range(talkers):
        track = rng.normal(0, NOISE_RMS, len(own[0]))
        for j, voice in enumerate(own):
            track += voice if i == j else convolve(voice, make_room(rng, bleed_db, decay_s))
        tracks.append(track)
    return tracks, own


def find_active(y: Samples, threshold: float = 0.004) -> Samples:
    """Return which hops of 10 ms are louder than a threshold."""
    hops = y[: len(y) // 160 * 160].reshape(-1, 160)
    return np.asarray(np.sqrt(np.mean(hops**2, axis=1)) > threshold)


def convolve(y: Samples, response: Samples) -> Samples:
    """Return `y` in a room with an impulse response, in the length of `y`."""
    length = len(y) + len(response) - 1
    return np.asarray(
        np.fft.irfft(np.fft.rfft(y, length) * np.fft.rfft(response, length), length)[: len(y)]
    )

"""Sessions of several microphones: the voices in `tests/data`, and synthetic drums."""

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
    own = make_own_tracks(talkers)
    return mix_bleed(own, bleed_db, seed, decay_s), own


def mix_bleed(
    own: list[Samples], bleed_db: float, seed: int = 1, decay_s: float = 0.3
) -> list[Samples]:
    """Return the tracks of the microphones of sources in one room."""
    rng, tracks = np.random.default_rng(seed), []
    for i in range(len(own)):
        track = rng.normal(0, NOISE_RMS, len(own[0]))
        for j, source in enumerate(own):
            track += source if i == j else convolve(source, make_room(rng, bleed_db, decay_s))
        tracks.append(track)
    return tracks


def make_drums(seed: int = 1, beats: int = 32) -> list[Samples]:
    """Return a kick drum, a snare drum and a hi-hat that are played together, each on its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(0.35 * RATE)) / RATE
    thump = np.sin(2 * np.pi * np.cumsum(50 + 90 * np.exp(-t / 0.03)) / RATE)
    ring = np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.06)
    own = np.zeros((3, RATE + round(0.28 * beats * RATE)))
    for beat in range(beats):
        noise = rng.normal(0, 0.5, (3, len(t)))
        kick = thump * np.exp(-t / 0.12) + 0.3 * noise[0] * np.exp(-t / 0.004)
        snare = 0.5 * ring + noise[1] * np.exp(-t / 0.07)
        hat = 0.5 * np.diff(noise[2], n=2, prepend=[0, 0]) * np.exp(-t / 0.03)
        start = round((0.3 + 0.28 * beat + rng.normal(0, 0.006)) * RATE)
        is_played = beat % 8 in (0, 5), beat % 8 in (2, 6), True
        for drum, hit, plays in zip(own, (kick, snare, hat), is_played, strict=True):
            drum[start : start + len(hit)] += plays * 0.3 * rng.uniform(0.6, 1) * hit
    return list(own)


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
